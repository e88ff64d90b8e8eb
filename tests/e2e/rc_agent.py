# SPDX-License-Identifier: Apache-2.0
"""A local agent that speaks the remote-configuration protocol, small and obedient to its test: what
it has it signs, what it is asked it notes."""

import base64
import http.server
import json
import os
import socketserver
import threading

import tuf_world
from tuf_world import sha256

FUTURE = "2099-01-01T00:00:00.123456789Z"  # the fraction is what such repositories write
BACKEND = base64.b64encode(b"what the backend wants to be told").decode()


def text64(data):
    return base64.b64encode(data).decode()


OTHERS = 200


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Agent:
    """files: {path: (bytes, custom.v)}, what targets list; client_configs: paths. withheld: paths
    whose bytes are not sent; unlisted: paths that targets lack. status or body, if set, are the
    answer to anything."""

    def __init__(self, signer, unix=None):
        self.signer = signer
        self.keys = {"root": self.key(), "targets": self.key()}
        self.roots = []
        self.add_root()
        self.version, self.files, self.client_configs = 1, {}, []
        self.withheld, self.unlisted = set(), set()
        self.status = self.body = None
        self.requests = []
        self.serve(unix)

    # --- what it signs ---

    def key(self):
        """Such repositories call a key by the hash of its raw bytes."""
        key = self.signer.key()
        key.id = sha256(bytes.fromhex(key.public["keyval"]["public"]))
        return key

    def sign(self, body, *keys):
        return json.dumps({"signatures": self.signer.sign(body, keys), "signed": body}).encode()

    def add_root(self, *, expires=FUTURE, signers=None, **keys):
        """The next root, with other keys for the roles that are given."""
        old = self.keys["root"]
        self.keys.update(keys)
        both = {key.id: key for key in (old, self.keys["root"])}
        body = {"_type": "root", "spec_version": "1.0", "version": len(self.roots) + 1,
                "expires": expires, "consistent_snapshot": True,
                "keys": {key.id: key.public for key in self.keys.values()},
                "roles": {role: {"keyids": [self.keys[of].id], "threshold": 1}
                          for role, of in (("root", "root"), ("targets", "targets"),
                                           ("snapshot", "targets"), ("timestamp", "targets"))}}
        self.roots.append(self.sign(body, *(signers or both.values())))

    def targets(self):
        # What others get is listed, too.
        every = {**self.files, **{f"datadog/2/OTHER/{n}/x": (b"", n) for n in range(OTHERS)}}
        listed = {path: {"length": len(data), "hashes": {"sha256": sha256(data)},
                         "custom": {"v": version}}
                  for path, (data, version) in every.items() if path not in self.unlisted}
        return self.sign({"_type": "targets", "spec_version": "1.0", "version": self.version,
                          "expires": FUTURE, "targets": listed,
                          "custom": {"opaque_backend_state": BACKEND}}, self.keys["targets"])

    # --- what it has ---

    def put(self, path, data, version=1):
        """A new file, or a new version of one."""
        self.files[path] = (data, version)
        if path not in self.client_configs:
            self.client_configs.append(path)

    # --- what it answers ---

    def answer(self, request):
        state = request["client"]["state"]
        if self.status:
            return self.status, b""
        if self.body is not None:
            return 200, self.body
        if (state["targets_version"], state["root_version"]) == (self.version, len(self.roots)):
            return 200, b"{}"
        cached = {file["path"]: {h["hash"] for h in file["hashes"]}
                  for file in request["cached_target_files"]}
        needed = [(path, data) for path, (data, _) in self.files.items()
                  if path not in self.withheld and sha256(data) not in cached.get(path, ())]
        return 200, json.dumps({
            "roots": [text64(root) for root in self.roots[state["root_version"]:]],
            "targets": text64(self.targets()),
            "target_files": [{"path": path, "raw": text64(data)} for path, data in needed],
            "client_configs": self.client_configs}).encode()

    def serve(self, unix):
        agent = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"]))
                request = json.loads(text)
                with agent.lock:
                    status, data = agent.answer(request)
                    agent.requests.append((self.path, self.headers["Content-Type"], request,
                                           status, data))
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.lock = threading.Lock()
        if unix:
            self.http, self.url = UnixServer(unix, Handler), f"unix://{unix}"
            os.chmod(unix, 0o666)
        else:
            self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(10)
