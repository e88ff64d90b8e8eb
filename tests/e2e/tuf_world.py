# SPDX-License-Identifier: Apache-2.0
"""What the tests of signed configuration share: signers, a repository whose every byte can be
wrong, a server that can misbehave, and conntrace-tuf as its client."""

import copy
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time

import harness
from harness import BIN, OUT, ROOT, check, equal, wait_for

NODE_MODULES = os.path.join(OUT, "node", "node_modules")
ALL_ONE = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
TOP = ("root", "timestamp", "snapshot", "targets")
FUTURE = "2099-01-01T00:00:00Z"
PAST = "2020-01-01T00:00:00Z"
# Thousands of files are written to disk one by one: not what is tested here.
SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ENVIRONMENT = {**os.environ, "CONNTRACE_TUF_LOOPBACK_HTTP": "1"}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sha512(data):
    return hashlib.sha512(data).hexdigest()


# --- signers ------------------------------------------------------------------------------------

class Key:
    """One key: what metadata says of it, and what its signer calls it."""

    def __init__(self, signer, handle, public, keyid):
        self.signer, self.handle, self.public, self.id = signer, handle, public, keyid


class NodeSigner:
    """npm's @tufjs packages, in one process for all tests."""
    name = "tufjs"

    def __init__(self):
        check(os.path.isdir(NODE_MODULES), f"{NODE_MODULES} is not there: make signer")
        self.process = subprocess.Popen(
            ["node", os.path.join(ROOT, "tests", "tuf", "signer.js")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "NODE_PATH": NODE_MODULES})

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        check("error" not in answer, f"signer: {answer.get('error')}")
        return answer

    def key_id(self, public):
        return self.ask(op="hash", value=public)["hash"]

    def key(self, kind="ed25519", **more):
        made = self.ask(op="key", type=kind, **more)
        return Key(self, made["handle"], made["public"], self.key_id(made["public"]))

    def sign(self, body, keys):
        sigs = self.ask(op="sign", body=body, handles=[k.handle for k in keys])["sigs"]
        return [{"keyid": k.id, "sig": sig} for k, sig in zip(keys, sigs)]

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class RepoSigner:
    """conntrace-repo key and conntrace-repo sign --file. Keys are made once and lent to each test."""
    name = "conntrace-repo"

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="conntrace-tuf-keys-", dir=SCRATCH)
        self.count = 0

    def key(self, kind="ed25519"):
        path = os.path.join(self.dir, str(self.count))
        self.count += 1
        done = run(["conntrace-repo", "--key-type", kind, "key", path])
        with open(path + ".pub", encoding="ascii") as file:
            pem = file.read()
        raw = subprocess.run(["openssl", "pkey", "-pubin", "-in", path + ".pub", "-outform", "DER"],
                             stdout=subprocess.PIPE, check=True).stdout[-32:]
        public = {"keytype": kind,
                  "scheme": "ed25519" if kind == "ed25519" else "ecdsa-sha2-nistp256",
                  "keyval": {"public": raw.hex() if kind == "ed25519" else pem}}
        return Key(self, path, public, done.stdout.strip())

    def sign(self, body, keys):
        path = os.path.join(self.dir, "body.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"signatures": [], "signed": body}, file)
        arguments = [word for key in keys for word in ("--key", key.handle)]
        if keys:
            run(["conntrace-repo", "sign", "--file", path, *arguments])
        with open(path, encoding="utf-8") as file:
            return json.load(file)["signatures"]

    def close(self):
        shutil.rmtree(self.dir)


def run(argv, code=0):
    """Run one of our programs; fail unless it exits as told."""
    done = subprocess.run([os.path.join(BIN, argv[0]), *argv[1:]], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    check(code is None or done.returncode == code,
          f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr}")
    return done


# --- a repository -------------------------------------------------------------------------------

def role_entry(keys, threshold=1):
    return {"keyids": [key.id for key in keys], "threshold": threshold}


class Repository:
    """Bodies by role, signed and put among files when told. hashes: snapshot and timestamp list
    lengths and hashes."""

    def __init__(self, signer, consistent=True, hashes=False):
        self.signer, self.hashes = signer, hashes
        self.keys = {role: [signer.key()] for role in TOP}
        self.delegated_keys = {}
        self.files = {}  # what the server has, by its path
        self.targets = {}  # bytes, by target path
        self.bodies = {
            "root": self.head("root", consistent_snapshot=consistent, keys={}, roles={}),
            "timestamp": self.head("timestamp", meta={}),
            "snapshot": self.head("snapshot", meta={}),
            "targets": self.head("targets", targets={}),
        }
        self.set_root()
        for role in ("root", "targets", "snapshot", "timestamp"):
            self.publish(role)

    def head(self, kind, **more):
        return {"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": FUTURE, **more}

    def set_root(self, **thresholds):
        """Put the keys of each role into the root's body."""
        body = self.bodies["root"]
        body["keys"] = {key.id: key.public for role in TOP for key in self.keys[role]}
        body["roles"] = {role: role_entry(self.keys[role], thresholds.get(role, 1))
                         for role in TOP}

    def name(self, role, version=None):
        encoded = "".join(c if re.match(r"[A-Za-z0-9._~-]", c)
                          else "".join(f"%{b:02X}" for b in c.encode()) for c in role)
        version = version or self.bodies[role]["version"]
        versioned = role == "root" or (role != "timestamp"
                                       and self.bodies["root"].get("consistent_snapshot"))
        return f"/metadata/{version}.{encoded}.json" if versioned else f"/metadata/{encoded}.json"

    def signed(self, role, keys=None):
        keys = self.keys.get(role) or self.delegated_keys[role] if keys is None else keys
        body = self.bodies[role]
        return {"signed": copy.deepcopy(body), "signatures": self.signer.sign(body, keys)}

    def put(self, role, whole):
        """Serve an envelope, or bytes, as a role's present version; gives the bytes."""
        data = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
        self.files[self.name(role)] = data
        return data

    def publish(self, role, keys=None):
        if role == "snapshot":
            self.bodies["snapshot"]["meta"].setdefault("targets.json", self.listed("targets"))
        if role == "timestamp":
            self.bodies["timestamp"]["meta"]["snapshot.json"] = self.listed("snapshot")
        return self.put(role, self.signed(role, keys))

    def listed(self, role):
        entry = {"version": self.bodies[role]["version"]}
        if self.hashes:
            data = self.files[self.name(role)]
            entry.update(length=len(data), hashes={"sha256": sha256(data)})
        return entry

    def list(self, role, **more):
        self.bodies["snapshot"]["meta"][f"{role}.json"] = {**self.listed(role), **more}

    def bump(self, *roles):
        """The next version of roles of targets, and of snapshot and timestamp."""
        for role in roles:
            self.bodies[role]["version"] += 1
            self.publish(role)
            self.list(role)
        self.release()

    def rotate(self, *roles, keys=None, sign=None, **thresholds):
        """The next root, with new keys for roles (those given, or one each), signed by the old keys
        of root and the new ones, or by sign."""
        old = self.keys["root"]
        for role in roles:
            self.keys[role] = keys or [self.signer.key()]
        self.set_root(**thresholds)
        self.bodies["root"]["version"] += 1
        both = old if self.keys["root"] is old else [*old, *self.keys["root"]]
        return self.publish("root", both if sign is None else sign)

    def release(self):
        """New snapshot and timestamp for what was changed."""
        for role in ("snapshot", "timestamp"):
            self.bodies[role]["version"] += 1
            self.publish(role)

    def add(self, path, data, role="targets", **entry):
        """List a target and serve it; entry replaces or adds members."""
        entry = {"length": len(data), "hashes": {"sha256": sha256(data)}, **entry}
        self.bodies[role]["targets"][path] = entry
        folder, slash, last = path.rpartition("/")
        for digest in entry["hashes"].values():
            self.files[f"/targets/{folder}{slash}{digest}.{last}"] = data
        self.files[f"/targets/{path}"] = data
        return entry

    def delegate(self, role, parent="targets", keys=None, threshold=1, **how):
        """Let parent delegate to role, which is made if it isn't there. how: paths,
        path_hash_prefixes, terminating."""
        if role not in self.bodies:
            self.bodies[role] = self.head("targets", targets={})
            self.delegated_keys[role] = keys or [self.signer.key()]
        keys = keys or self.delegated_keys[role]
        body = self.bodies[parent]
        delegations = body.setdefault("delegations", {"keys": {}, "roles": []})
        delegations["keys"].update({key.id: key.public for key in keys})
        if not how.keys() & {"paths", "path_hash_prefixes"}:
            how["paths"] = ["*"]
        delegations["roles"].append({"name": role, **role_entry(keys, threshold),
                                     "terminating": False, **how})

    def publish_all(self):
        """Publish and list every role of targets, then release."""
        for role in self.bodies:
            if role not in ("root", "snapshot", "timestamp"):
                self.publish(role)
                self.list(role)
        self.release()


# --- a server -----------------------------------------------------------------------------------

class Server:
    """Serves files, a dictionary by path. A value that is a number is a status; one that can be
    called is given the request and answers itself. What is posted is noted and answered alike."""

    def __init__(self, files, tls=None):
        """tls: the files of a certificate and its key; the server speaks https then."""
        self.requests = []
        self.posted = []  # (path, type, text)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one segment per answer: the second would wait for an ACK

            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"]))
                server.posted.append((self.path, self.headers["Content-Type"], text))
                self.do_GET()

            def do_GET(self):
                server.requests.append(self.path)
                value = files.get(self.path, 404)
                if callable(value):
                    self.close_connection = True
                    value(self)
                    return
                data = value if isinstance(value, bytes) else b""
                self.send_response(200 if isinstance(value, bytes) else value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.http.handle_error = lambda *_: None  # clients hang up: that is what is tested
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True,
                                                   do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(10)


def endless(handler):
    """As many bytes as are taken; the time is there for a client that never hangs up."""
    handler.send_response(200)
    handler.end_headers()
    end = time.monotonic() + 20
    try:
        while time.monotonic() < end:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def many_headers(handler):
    """More than there may be, less than libcurl itself refuses; but for them it is a good answer."""
    handler.send_response(404)
    for at in range(1500):  # 150 kB
        handler.send_header(f"X-{at:04}", "x" * 90)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def trickle(handler, chunk=100):
    """Ten seconds for less than any limit: never idle, and never done in time."""
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(100):
            handler.wfile.write(b" " * chunk)
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


def silent(handler):
    trickle(handler, 0)


def dropped(handler):
    handler.connection.shutdown(2)


def answer(status=200, headers=(), data=b""):
    def send(handler):
        handler.send_response(status)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)
    return send


# --- reports ------------------------------------------------------------------------------------

def differences(got, want, place="request"):
    """Where two values of JSON differ."""
    if isinstance(got, dict) and isinstance(want, dict):
        for name in got.keys() | want.keys():
            yield from differences(got.get(name), want.get(name), f"{place}.{name}")
    elif isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        for at, (one, other) in enumerate(zip(got, want)):
            yield from differences(one, other, f"{place}[{at}]")
    elif got != want or type(got) is not type(want):
        yield f"{place}: {got!r}, expected {want!r}"


def reported(tracer, server):
    """Once the last report says what the status does, field by field: that."""
    def told():
        mine = ("report_url", "reports_sent", "reports_failed", "report_error")
        status = tracer.status()
        want = {k: v for k, v in status["source"].items() if k not in mine}
        if not server.posted:
            return None
        path, kind, text = server.posted[-1]
        check(status["source"]["report_url"].endswith(path), f"a report came to {path}")
        equal(kind, "application/json", "type of a report")
        got = json.loads(text)
        # They have gone on since, and are no news; the status has two of them once a second.
        for at, most in (("next_poll_ms", 3600000), ("probation_left_ms", 3600000),
                         ("errors_in_row", 100)):
            check(0 <= got["source"][at] <= most, f"{at}: {got['source'][at]}")
            want[at] = got["source"][at]
        last[:] = differences(got, {"version": status["version"], "source": want}, "report")
        return not last and want
    last = []
    try:
        return wait_for("a report of what the status says", told)
    except AssertionError as e:
        raise AssertionError(f"{e}: {'; '.join(last)}") from None


# --- a client -----------------------------------------------------------------------------------

class World:
    """A repository, its server, and conntrace-tuf with folders of its own."""

    def __init__(self, signer, **how):
        self.signer = signer
        self.repo = Repository(signer, **how)
        self.server = Server(self.repo.files)
        self.dir = tempfile.mkdtemp(prefix="conntrace-tuf-", dir=SCRATCH)
        self.metadata = os.path.join(self.dir, "metadata")
        self.targets = os.path.join(self.dir, "targets")
        self.extra = []  # options for each run
        self.write_root(self.repo.files["/metadata/1.root.json"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()
        shutil.rmtree(self.dir)

    def certificate(self, address):
        """Files of a self-signed certificate for an address, and of its key."""
        files = [os.path.join(self.dir, f"{address}.{end}") for end in ("crt", "key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", f"subjectAltName=IP:{address}", "-out", files[0], "-keyout",
                        files[1]], check=True, capture_output=True)
        return files

    def write_root(self, data, code=0):
        path = os.path.join(self.dir, "trusted.json")
        with open(path, "wb") as file:
            file.write(data)
        return self.client("init", path, code=code)

    def client(self, *arguments, code=0):
        return run(["conntrace-tuf", "--metadata-dir", self.metadata, *self.extra, *arguments],
                   code)

    def refresh(self, code=0):
        return self.client("--metadata-url", f"{self.server.url}/metadata/", "refresh", code=code)

    def download(self, *names, code=0):
        targets = [word for name in names for word in ("--target-name", name)]
        return self.client("--metadata-url", f"{self.server.url}/metadata", *targets, "--target-dir",
                           self.targets, "--target-base-url", f"{self.server.url}/targets",
                           "download", code=code)

    def refused(self, what, done=None):
        """The run ends with that text in what it says; and changes no file but those before it."""
        done = done or self.refresh(code=None)
        equal(done.returncode, 1, f"exit status, saying: {done.stderr}")
        check(f"conntrace-tuf: {what}" in done.stderr, f"'{what}' is not in: {done.stderr}")
        return done

    def refused_download(self, name, what):
        return self.refused(what, self.download(name, code=None))

    def stored(self, role):
        """The bytes kept of a role, None if there are none."""
        path = os.path.join(self.metadata, f"{role}.json")
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def versions(self):
        """What is kept, by name: all of *.json."""
        return {name.removesuffix(".json"): json.loads(self.stored(name.removesuffix(".json")))
                ["signed"]["version"]
                for name in os.listdir(self.metadata) if name.endswith(".json")}

    def store(self, role, data):
        with open(os.path.join(self.metadata, f"{role}.json"), "wb") as file:
            file.write(data)

    def target(self, name):
        """The bytes of a target that was downloaded, None if it was not."""
        path = os.path.join(self.targets, name.replace("/", "%2F"))
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read()

    def asked(self):
        """The requests since the last time."""
        asked, self.server.requests[:] = list(self.server.requests), []
        return asked


# --- running ------------------------------------------------------------------------------------

def once(scenario):
    """It is about servers, or about keys that conntrace-repo doesn't make: no second signer."""
    scenario.once = True
    return scenario


def main(names):
    """Run each test_* of a module with metadata signed by an independent signer, and again with
    metadata signed by conntrace-repo."""
    signers = [NodeSigner(), RepoSigner()]
    tests = []
    for name, scenario in list(names.items()):
        if name.startswith("test_"):
            for signer in signers[:1] if hasattr(scenario, "once") else signers:
                test = functools.partial(scenario, signer)
                test.__name__ = f"{name}, signed by {signer.name}"
                tests.append(test)
    try:
        harness.main(tests)
    finally:
        for signer in signers:
            signer.close()
