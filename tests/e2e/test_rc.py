# SPDX-License-Identifier: Apache-2.0
"""Configuration from a local agent: what conntraced asks for, field by field, and what becomes of
what it is answered."""

import contextlib
import os
import re
import signal
import time

import harness
from harness import Tracer, check, equal, wait_for, wait_until
from rc_agent import BACKEND, Agent
from tuf_world import NodeSigner, Server, differences, reported, sha256

BASE = "datadog/2/CONNTRACE/base/config"
WEB = "employee/CONNTRACE/web/text"
TEAM = "datadog/77/CONNTRACE/team-a/0"
TEXT = b"snapshot_interval: 300ms\n"


class World:
    """An agent that has one file, and a conntraced that asks it ten times a second. answer: what
    else is different about the agent from the start."""

    def __init__(self, signer, unix=False, report=None, probation="100ms", **answer):
        self.stack = contextlib.ExitStack()
        self.tracer = Tracer()
        self.agent = Agent(signer, os.path.join(self.tracer.out, "agent.sock") if unix else None)
        self.stack.callback(self.agent.close)
        self.agent.put(BASE, TEXT, 3)
        for name, value in answer.items():
            setattr(self.agent, name, value)
        self.judged = 0  # of the agent's requests
        self.root = os.path.join(self.tracer.dir, "root.json")
        with open(self.root, "wb") as file:
            file.write(self.agent.roots[0])
        self.source = (f"source: {{rc: '{self.agent.url}', root: {self.root}, interval: 100ms, "
                       f"probation: {probation}{f', report: {report!r}' if report else ''}}}\n")
        with open(self.tracer.config_path, "a", encoding="utf-8") as file:
            file.write(self.source)

    def __enter__(self):
        self.stack.enter_context(self.tracer)
        return self

    def __exit__(self, *exception):
        return self.stack.__exit__(*exception)

    # --- what conntraced says ---

    def config(self):
        return self.tracer.status()["config"]

    def status(self):
        return self.tracer.status()["source"]

    def has(self, interval_ms, ports=()):
        """The configuration in force: an interval, and the ports that filters exclude."""
        config = self.config()
        return (config["snapshot_interval_ms"] == interval_ms
                and [f["filter"] for f in config["filters"]] == [f"exclude port {p}" for p in ports])

    def wait_for_config(self, interval_ms, *ports):
        wait_for(f"{interval_ms} ms and filters of {ports}", lambda: self.has(interval_ms, ports))

    # --- what conntraced asks ---

    def last(self):
        """The last request, once there is one that was not yet judged."""
        wait_for("a request", lambda: len(self.agent.requests) > self.judged, 5)
        self.judged = len(self.agent.requests)
        path, kind, request, *_ = self.agent.requests[self.judged - 1]
        equal((path, kind), ("/v0.7/config", "application/json"), "path and type of a request")
        return request

    def wanted(self, targets, *files, root=1, state=2, errors=None, error=""):
        """The request of a client that has these files; its id and runtime_id are its own.
        errors: apply_error by path."""
        client = self.agent.requests[-1][2]["client"]
        files = sorted(files)
        have = {path: self.agent.files[path] for path in files}
        return {
            "client": {
                "id": client["id"],
                "products": ["CONNTRACE"],
                "state": {
                    "root_version": root,
                    "targets_version": targets,
                    "config_states": [
                        {"id": path.split("/")[-2], "version": have[path][1],
                         "product": "CONNTRACE", "apply_state": state,
                         "apply_error": (errors or {}).get(path, "")} for path in files],
                    "has_error": bool(error),
                    "error": error,
                    "backend_client_state": BACKEND if targets else "",
                },
                "is_tracer": True,
                "client_tracer": {
                    "runtime_id": client["client_tracer"]["runtime_id"],
                    "language": "c",
                    "tracer_version": self.version,
                    "service": "conntrace",
                    "env": "",
                    "app_version": self.version,
                },
                "capabilities": "",
            },
            "cached_target_files": [
                {"path": path, "length": len(have[path][0]),
                 "hashes": [{"algorithm": "sha256", "hash": sha256(have[path][0])}]}
                for path in files],
        }

    def asks(self, *wanted, **how):
        """Soon each field of each request is as wanted."""
        left = []

        def same():
            left[:] = differences(self.last(), self.wanted(*wanted, **how))
            return not left
        check(wait_until(same, 6), "; ".join(left))

    version = ""  # of conntraced, as requests say it


def version():
    done = harness.subprocess.run([os.path.join(harness.BIN, "conntraced"), "--version"],
                                  capture_output=True, text=True, check=True)
    return done.stdout.split(None, 1)[1].strip()


def exclude(*ports):
    return "".join(["filters:\n", *(f"  - exclude: {{port: {p}}}\n" for p in ports)]).encode()


# --- scenarios ------------------------------------------------------------------------------------

def test_first_request(signer):
    with World(signer, body=b"{}") as w:
        wait_for("two requests", lambda: len(w.agent.requests) > 1)
        first, second = (entry[2] for entry in w.agent.requests[:2])
        equal(list(differences(first, w.wanted(0))), [], "the first request")
        equal(first, second, "the second request")
        client = first["client"]
        check(re.fullmatch(r"[A-Za-z0-9_-]{21}", client["id"]), client["id"])
        check(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                           client["client_tracer"]["runtime_id"]),
              client["client_tracer"]["runtime_id"])
        equal(w.status()["poll"], "ok", "poll")
        equal(w.status()["kind"], "agent", "kind of source")


def test_files_come_change_and_go(signer):
    with World(signer) as w:
        agent = w.agent
        w.wait_for_config(300)
        w.asks(1, BASE)

        with agent.lock:  # modified
            agent.put(BASE, b"snapshot_interval: 400ms\n", 4)
            agent.version = 2
        w.wait_for_config(400)
        w.asks(2, BASE)

        with agent.lock:  # several at once, one of them with another root
            agent.put(WEB, exclude(81), 1)
            agent.put(TEAM, exclude(82, 83), 9)
            agent.add_root(root=agent.key(), targets=agent.key())
            agent.version = 3
        w.wait_for_config(400, 82, 83, 81)  # in the order of their paths
        w.asks(3, BASE, WEB, TEAM, root=2)

        with agent.lock:  # nothing but the version is new, and nothing is sent again
            agent.version = 4
        w.asks(4, BASE, WEB, TEAM, root=2)
        sent = [entry for entry in agent.requests if b'"targets"' in entry[4]]
        equal(harness.json.loads(sent[-1][4])["target_files"], [], "files of the last answer")
        before = w.config()["version"]

        with agent.lock:  # sent, listed, but no longer for this client
            agent.client_configs.remove(TEAM)
            agent.put(TEAM, exclude(84), 10)
            agent.client_configs.remove(TEAM)
            agent.version = 5
        w.wait_for_config(400, 81)
        w.asks(5, BASE, WEB, root=2)
        equal(w.config()["version"], before + 1, "configurations since")

        with agent.lock:
            agent.client_configs.clear()
            agent.version = 6
        w.wait_for_config(10000)
        w.asks(6, root=2)


def test_what_is_wrong_changes_nothing(signer):
    def break_raw(agent):
        agent.withheld.add(WEB)
        return f"{WEB}: the file itself is missing"

    def break_list(agent):
        agent.unlisted.add(WEB)
        return f"{WEB}: not in targets"

    def break_version(agent):
        agent.version = 1
        return "targets: version 1, but 2 was seen before"

    def break_key(agent):
        agent.keys["targets"] = agent.key()
        return "targets: signed by 0 keys that count, 1 are needed"

    def break_path(agent):
        agent.put("CONNTRACE/base", TEXT)
        return ("CONNTRACE/base: not datadog/ORGANISATION/PRODUCT/ID/NAME nor "
                "employee/PRODUCT/ID/NAME")

    def break_json(agent):
        agent.body = b'{"targets": "e30=", "targets": "e30="}'
        return "line 1: duplicate object key near '\"targets\"'"

    with World(signer, version=2) as w:
        agent = w.agent
        w.wait_for_config(300)
        w.asks(2, BASE)
        before = w.config()["version"]
        for spoil in (break_raw, break_list, break_version, break_key, break_path, break_json):
            kept = dict(agent.keys), dict(agent.files), list(agent.client_configs)
            with agent.lock:
                agent.put(WEB, exclude(81))
                agent.version = 3
                text = spoil(agent)
            wait_for(f"refused: {text}", lambda t=text: t in w.status()["poll_error"])
            equal(w.status()["poll"], "failed", f"poll: {text}")
            with agent.lock:
                agent.keys, agent.files, agent.client_configs = kept
                agent.withheld, agent.unlisted, agent.body = set(), set(), None
                agent.version = 2
            w.asks(2, BASE, error=text)
            wait_for("a success", lambda: w.status()["poll"] == "ok")
        with agent.lock:  # told until something is accepted
            agent.body, w.judged = b"{}", len(agent.requests)
        w.asks(2, BASE, error=text)
        equal(w.config()["version"], before, "version of the configuration")
        check(w.has(300), "the configuration is another one")
        with agent.lock:
            agent.body, agent.version = None, 3
        w.asks(3, BASE)
        wait_for("polls succeed", lambda: w.status()["poll"] == "ok")


def test_a_configuration_that_is_none_is_told(signer):
    with World(signer) as w:
        agent = w.agent
        w.wait_for_config(300)
        with agent.lock:
            agent.put(WEB, b"filters: []\nnosuch: 1\n", 5)
            agent.version = 2
        wait_for("refused", lambda: not w.config()["applied"])
        reason = w.config()["verdict"]
        check(f"{WEB}:2:" in reason and "nosuch" in reason, reason)
        w.asks(2, BASE, WEB, state=3, errors={BASE: reason, WEB: reason})
        check(w.has(300), "the configuration is another one")
        equal([(p["name"], p["state"]) for p in w.status()["parts"]], [(BASE, 1), (WEB, 3)],
              "parts")
        with agent.lock:
            agent.put(WEB, exclude(81), 6)
            agent.version = 3
        w.wait_for_config(300, 81)
        w.asks(3, BASE, WEB)


def test_what_is_in_force_outlives_conntraced(signer):
    with World(signer) as w:
        agent, tracer = w.agent, w.tracer
        with agent.lock:
            agent.add_root(targets=agent.key())
            agent.version = 7
        w.asks(7, BASE, root=2)
        # The poller has it; so has the store once it is in force.
        wait_for("in force", lambda: (w.status()["state"], [r["version"] for r in
                                                            w.status()["roles"]]) == (2, [2, 7]))
        tracer.stop()

        agent.status = 503
        tracer.start()
        w.wait_for_config(300)
        w.asks(7, BASE, root=2)
        with agent.lock:
            agent.status, agent.version = None, 6
        w.asks(7, BASE, root=2, error="targets: version 6, but 7 was seen before")
        check(w.has(300), "the configuration is another one")


def test_an_agent_without_remote_configuration_is_left_alone(signer):
    with World(signer, status=404) as w:
        wait_for("stopped", lambda: w.status()["poll"] == "stopped")
        count = len(w.agent.requests)
        time.sleep(0.5)
        equal(len(w.agent.requests), count, "requests")
        check("not enabled in this agent" in w.status()["poll_error"], w.status()["poll_error"])
        w.agent.status = None
        os.kill(w.tracer.proc.pid, signal.SIGHUP)
        w.wait_for_config(300)


def test_by_a_socket_and_reported_by_the_network(signer):
    server = Server({"/": 200})
    with contextlib.closing(server), World(signer, unix=True, report=server.url + "/",
                                           probation="1s") as w:
        w.wait_for_config(300)
        w.asks(1, BASE, state=1)  # on probation
        w.asks(1, BASE)
        told = reported(w.tracer, server)
        equal([(p["name"], p["state"]) for p in told["parts"]], [(BASE, 2)], "parts")


def main():
    World.version = version()
    signer = NodeSigner()
    tests = []
    for name, scenario in list(globals().items()):
        if name.startswith("test_"):
            def test(scenario=scenario):
                scenario(signer)
            test.__name__ = name
            tests.append(test)
    try:
        harness.main(tests)
    finally:
        signer.close()


if __name__ == "__main__":
    main()
