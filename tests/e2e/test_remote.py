# SPDX-License-Identifier: Apache-2.0
"""A fleet's configuration, from conntrace-repo by nginx over TLS to what is in force: applied, refused,
kept over a restart. And a poller that lies."""

import contextlib
import ctypes
import datetime
import errno
import json
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time

from harness import CONNGEN, Tracer, check, conngen, equal, main, network_namespace, wait_for
from metrics import check_as_status
from possess import SUPPORTED, attempt
from test_hostile import Stage
from tuf_world import (Repository, RepoSigner, Server, answer, dropped, endless, reported, run,
                       sha256, silent)

INTERVAL_S = 0.2
# The longest that a poll can be away, and what a check may take on a busy machine.
WITHIN_S = INTERVAL_S * 1.2 + 2
PROBATION_S = 0.5


def landlock_abi():
    """0 if this kernel has none."""
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def copy(source, target):
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


class Fleet:
    """A repository made by conntrace-repo, and nginx that serves a copy of its public folders over
    TLS, by a certificate of its own."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="conntrace-fleet-")
        os.chmod(self.dir, 0o755)
        self.repo, self.served = (os.path.join(self.dir, n) for n in ("repo", "served"))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}/"
        self.root = os.path.join(self.dir, "root.json")
        self.ca = os.path.join(self.dir, "ca.crt")
        self.nginx = None
        self.reports = None
        run(["conntrace-repo", "init", self.repo])
        shutil.copy(os.path.join(self.repo, "metadata", "1.root.json"), self.root)
        os.chmod(self.root, 0o644)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=fleet",
                        "-addext", "subjectAltName=DNS:localhost", "-out", self.ca, "-keyout",
                        os.path.join(self.dir, "key")], check=True, capture_output=True)
        os.chmod(self.ca, 0o644)
        with open(os.path.join(self.dir, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write(f"""
daemon off; user nobody nogroup; pid {self.dir}/pid; error_log {self.dir}/error.log;
events {{}}
http {{
  access_log {self.dir}/access.log;
  server {{
    listen 127.0.0.1:{self.port} ssl;
    ssl_certificate {self.ca};
    ssl_certificate_key {self.dir}/key;
    root {self.served};
  }}
}}
""")

    def __enter__(self):
        self.serve()
        self.nginx = subprocess.Popen(["nginx", "-c", os.path.join(self.dir, "nginx.conf")],
                                      stderr=subprocess.DEVNULL)
        self.reports = Server({"/told": 202}, tls=(self.ca, os.path.join(self.dir, "key")))
        return self

    def __exit__(self, *_):
        self.cut()
        self.reports.close()
        shutil.rmtree(self.dir)

    def cut(self):
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait()
        self.nginx = None

    def serve(self, what=None):
        """What the server has from now on: the repository, or something else."""
        new = self.served + ".new"
        shutil.rmtree(new, ignore_errors=True)
        for folder in ("metadata", "targets"):
            os.makedirs(os.path.join(self.repo, folder), exist_ok=True)
            shutil.copytree(os.path.join(what or self.repo, folder), os.path.join(new, folder))
        subprocess.run(["chmod", "-R", "go+rX", new], check=True)
        shutil.rmtree(self.served, ignore_errors=True)
        os.rename(new, self.served)

    def add(self, target, text, *more):
        path = os.path.join(self.dir, "text")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        run(["conntrace-repo", "add", self.repo, target, path, *more])
        self.serve()

    def command(self, *words):
        run(["conntrace-repo", *words])
        self.serve()

    def key(self, role):
        keys = os.path.join(self.repo, "keys")
        return max((os.path.join(keys, n) for n in os.listdir(keys)
                    if n.startswith(role) and n.endswith(".pem")), key=os.path.getmtime)

    def body(self, name):
        with open(os.path.join(self.repo, "metadata", name), encoding="utf-8") as f:
            return json.load(f)["signed"]

    def versions(self):
        """Of root, timestamp, snapshot, targets, as they are published."""
        timestamp = self.body("timestamp.json")
        snapshot = timestamp["meta"]["snapshot.json"]["version"]
        targets = self.body(f"{snapshot}.snapshot.json")["meta"]["targets.json"]["version"]
        roots = [int(n.split(".")[0]) for n in os.listdir(os.path.join(self.repo, "metadata"))
                 if n.endswith(".root.json")]
        return [max(roots), timestamp["version"], snapshot, targets]

    def requests(self):
        with open(os.path.join(self.dir, "access.log"), encoding="utf-8") as f:
            return [line.split('"')[1].split()[1] + " " + line.split('"')[2].split()[0]
                    for line in f]

    def config(self, more=""):
        return (f"source: {{url: '{self.url}', root: {self.root}, ca: {self.ca}, host: h1, "
                f"report: 'https://localhost:{self.reports.port}/told', "
                f"groups: [web, db], interval: {int(INTERVAL_S * 1000)}ms, "
                f"probation: {int(PROBATION_S * 1000)}ms}}\n" + more)

    def tracer(self, **how):
        return Tracer(more=self.config(), **how)


def sign(folder, name, body, key):
    """Put a file signed by that key into a folder of metadata."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"signatures": [], "signed": body}, f)
    run(["conntrace-repo", "sign", "--file", path, "--key", key])


def poll_now(tracer):
    """After errors the next poll may be a while away: a new poller begins at once."""
    tracer.proc.send_signal(signal.SIGHUP)


def source(tracer):
    return tracer.status()["source"]


def versions(told):
    return [role["version"] for role in told["roles"]]


def await_source(tracer, what, holds, seconds=10):
    """The source's status once it holds; what it was if it never does."""
    last = []

    def look():
        last[:] = [source(tracer)]
        return holds(last[0]) and last[0]
    try:
        return wait_for(what, look, seconds)
    except AssertionError as e:
        raise AssertionError(f"{e}: {last[0]}\n{tracer.text()[-2000:]}") from None


def accepted(tracer, want):
    """Versions in force, applied and off probation."""
    return await_source(tracer, f"versions {want} in force", lambda s: versions(s) == want
                        and s["trust"] == "accepted" and s["state"] == 2,
                        10 + PROBATION_S)


def filters(tracer):
    return [f["filter"] for f in tracer.status()["config"]["filters"]]


def refused(tracer, trust, words, before):
    """What was fetched is refused so, and all that was in force still is."""
    told = await_source(tracer, f"refused as {trust}", lambda s: s["trust"] == trust)
    check(words in told["trust_error"], f"not in what is said: {words}: {told['trust_error']}")
    equal((versions(told), filters(tracer)), before, "in force after it was refused")
    status = tracer.status()
    check(told["degraded"] and status["degraded"] and status["tracing"], "degraded, and tracing")
    return told


def in_force(tracer):
    return versions(source(tracer)), filters(tracer)


def the_story_of_a_group(fleet, tracer):
    """Signed by the team that it is delegated to; applied within an interval under load, and no
    connection is lost."""
    told = accepted(tracer, fleet.versions())
    equal([p["name"] for p in told["parts"]], ["base.yaml"], "parts")
    equal(told["kind"], "signed", "kind")
    equal([r["warning"] for r in told["roles"]], [""] * 4, "warnings")
    fleet.command("delegate", fleet.repo, "web", "group/web*.yaml")
    accepted(tracer, fleet.versions())
    with network_namespace() as (prefix, netns):
        with subprocess.Popen([*prefix, CONNGEN, "run", "--connections", "1500", "--rate", "500",
                               "--port", "7100"], stdout=subprocess.PIPE) as load:
            fleet.add("group/web.yaml", "filters: [{exclude: {port: 7001}}]\n", "--role", "web")
            began = time.monotonic()
            wait_for("the filter is in force",
                     lambda: filters(tracer) == ["exclude port 7001"], WITHIN_S)
            print(f"# applied after {time.monotonic() - began:.2f} s")
            load.wait(30)
            equal(load.returncode, 0, "conngen")
        conngen(prefix, "run", "--connections", 20, "--port", 7001)
        equal(len(tracer.closes(netns, 3000)), 3000, "closes of those that no filter leaves out")
    check(tracer.status()["identity"]["holds"], "the account does not hold")
    equal(tracer.markers(), [], "loss")
    accepted(tracer, fleet.versions())
    told = reported(tracer, fleet.reports)
    equal((told["host"], told["has_error"], versions(told)), ("h1", False, fleet.versions()),
          "reported")
    equal([(p["name"], p["state"]) for p in told["parts"]],
          [("base.yaml", 2), ("group/web.yaml", 2)], "parts")


def the_story_of_the_roots(fleet, tracer):
    old = os.path.join(fleet.dir, "old.pem")
    fleet.command("rotate-root", fleet.repo)
    accepted(tracer, fleet.versions())
    shutil.copy(fleet.key("targets"), old)
    fleet.command("rotate-root", fleet.repo, "--role", "targets")
    before = versions(accepted(tracer, fleet.versions())), filters(tracer)

    # Whoever has stolen that key, and those that sign without a person, has nothing.
    forged = os.path.join(fleet.dir, "forged")
    copy(fleet.served, forged)
    folder = os.path.join(forged, "metadata")
    _, at, last_snapshot, last_targets = fleet.versions()
    targets, snapshot = (fleet.body(f"{last_targets}.targets.json"),
                         fleet.body(f"{last_snapshot}.snapshot.json"))
    timestamp = fleet.body("timestamp.json")
    targets["version"] = snapshot["version"] = timestamp["version"] = at + 5
    targets["targets"] = {}
    snapshot["meta"]["targets.json"] = {"version": at + 5}
    timestamp["meta"]["snapshot.json"] = {"version": at + 5}
    sign(folder, f"{at + 5}.targets.json", targets, old)
    sign(folder, f"{at + 5}.snapshot.json", snapshot, fleet.key("snapshot"))
    sign(folder, "timestamp.json", timestamp, fleet.key("timestamp"))
    fleet.serve(forged)
    refused(tracer, "untrusted", f"{at + 5}.targets.json", before)
    told = reported(tracer, fleet.reports)
    equal((told["trust"], told["has_error"]), ("untrusted", True), "reported")
    # The owner replaces the keys that signed it: what they said is forgotten.
    fleet.command("rotate-root", fleet.repo, "--role", "timestamp")
    fleet.command("rotate-root", fleet.repo, "--role", "snapshot")
    poll_now(tracer)
    told = accepted(tracer, fleet.versions())
    equal(versions(told)[0], 5, "root")
    check(not told["degraded"], "degraded though all is well")


def the_story_of_the_clock(fleet, tracer):
    """A timestamp that is out of date is refused; one that runs out leaves all as it is."""
    told = source(tracer)
    before = versions(told), filters(tracer)
    stale = os.path.join(fleet.dir, "stale")
    copy(fleet.served, stale)
    folder = os.path.join(stale, "metadata")
    body = fleet.body("timestamp.json")
    body["version"] += 1
    body["expires"] = "2026-01-01T00:00:00Z"
    sign(folder, "timestamp.json", body, fleet.key("timestamp"))
    fleet.serve(stale)
    refused(tracer, "expired", "expired on 2026-01-01", before)

    runs_out = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=4)
    body["expires"] = runs_out.strftime("%Y-%m-%dT%H:%M:%SZ")
    sign(folder, "timestamp.json", body, fleet.key("timestamp"))
    fleet.serve(stale)
    poll_now(tracer)
    told = await_source(tracer, "accepted", lambda s: s["trust"] == "accepted")
    equal(versions(told)[1], body["version"], "timestamp")
    check("timestamp expires in 0 hours" in told["roles"][1]["warning"], told["roles"][1])
    told = await_source(tracer, "expired", lambda s: "expired on" in s["roles"][1]["warning"])
    check(told["degraded"] and tracer.status()["tracing"], "degraded, and tracing")
    equal(filters(tracer), before[1], "filters")
    wait_for("a word in the log", lambda: "timestamp has expired" in tracer.text())
    # Signed anew all is well. Beyond what was signed by the same key elsewhere.
    while fleet.body("timestamp.json")["version"] <= body["version"]:
        fleet.command("refresh", fleet.repo)
    poll_now(tracer)
    await_source(tracer, "accepted", lambda s: s["trust"] == "accepted"
                 and s["roles"][1]["warning"] == "")


def the_story_of_the_server(fleet, tracer):
    """Without it what is in force stays, over a restart, too."""
    before = in_force(tracer)
    # What was written just now may be written again with the same tag: it is not relied on.
    asked = len(fleet.requests())
    wait_for("polls", lambda: len(fleet.requests()) >= asked + 6, 10)
    check("/metadata/timestamp.json 304" not in fleet.requests()[asked:], "a tag was relied on")
    os.utime(os.path.join(fleet.served, "metadata", "timestamp.json"), (0, time.time() - 3600))
    wait_for("a conditional request",
             lambda: "/metadata/timestamp.json 304" in fleet.requests()[asked:])
    unchanged = len(fleet.requests())
    wait_for("polls", lambda: len(fleet.requests()) >= unchanged + 4, 10)
    seen = set(fleet.requests()[unchanged:])
    check("/metadata/timestamp.json 200" not in seen, f"asked for in vain: {seen}")
    equal({s for s in seen if "snapshot" in s or "/targets/" in s}, set(), "asked for in vain")
    fleet.cut()
    told = await_source(tracer, "errors", lambda s: s["errors_in_row"] >= 2, 10)
    equal(told["poll"], "failed", "polls")
    check("unreachable" in told["poll_error"], told["poll_error"])
    check(told["next_poll_ms"] > 0, "no next poll")
    equal(in_force(tracer), before, "in force without the server")
    told = reported(tracer, fleet.reports)
    equal((told["poll"], told["has_error"]), ("failed", True), "reported")

    tracer.stop()
    tracer.start()
    equal(in_force(tracer), before, "in force after a restart without the server")
    told = source(tracer)
    equal([(p["name"], p["state"]) for p in told["parts"]],
          [("base.yaml", 2), ("group/web.yaml", 2)], "parts")
    equal((told["store_error"], told["trust"]), ("", "none"), "store, and what was fetched")
    # Another group by the local file: what is stored of it is there, and comes back.
    for groups, wanted in (("db", []), ("web", before[1])):
        tracer.write_config(tracer.config.replace("[web, db]", f"[{groups}]"))
        poll_now(tracer)
        wait_for(f"the group {groups}", lambda w=wanted: filters(tracer) == w)
    text = tracer.cli("status").stdout
    for line in ("source signed: https://localhost", "in force: root 5 until "):
        check(line in text, f"not in the status: {line}: {text}")
    wait_for("a poll", lambda: tracer.process("poller")["stats"].get("polls"))
    check_as_status(tracer, os.uname().release)


def test_a_fleet_is_configured_and_what_is_wrong_changes_nothing():
    with Fleet() as fleet:
        fleet.add("base.yaml", "snapshot_interval: 2s\n")
        with fleet.tracer() as tracer:
            with open(tracer.config_path, encoding="utf-8") as f:
                tracer.config = f.read()
            the_story_of_a_group(fleet, tracer)
            the_story_of_the_roots(fleet, tracer)
            the_story_of_the_clock(fleet, tracer)
            the_story_of_the_server(fleet, tracer)
            for child in ("poller", "loader", "exporter"):
                equal(tracer.process(child)["restarts"], 0, f"{child} restarted")


def test_a_name_that_is_not_known_and_a_repository_that_is_not_there():
    with Fleet() as fleet:
        with Tracer(more=fleet.config().replace("localhost", "config.invalid")) as tracer:
            told = await_source(tracer, "a failed poll", lambda s: s["poll"] == "failed", 15)
            check("resolve" in told["poll_error"].lower(), told["poll_error"])
            equal(tracer.process("poller")["restarts"], 0, "poller restarted")
        os.remove(os.path.join(fleet.served, "metadata", "timestamp.json"))
        with fleet.tracer() as tracer:
            told = await_source(tracer, "stopped", lambda s: s["poll"] == "stopped", 10)
            check("404" in told["poll_error"], told["poll_error"])
            asked = len(fleet.requests())
            time.sleep(3 * INTERVAL_S)
            equal(len(fleet.requests()), asked, "requests after that")


def test_a_server_may_ask_for_time_or_say_that_it_is_none():
    with Fleet() as fleet:
        fleet.cut()
        files = {"/metadata/2.root.json": answer(503, [("Retry-After", "30")])}
        server = Server(files, tls=(fleet.ca, os.path.join(fleet.dir, "key")))
        with contextlib.closing(server):
            config = fleet.config().replace(fleet.url, server.url.replace("127.0.0.1", "localhost"))
            with Tracer(more=config) as tracer:
                told = await_source(tracer, "a failed poll", lambda s: s["poll"] == "failed", 10)
                check("503" in told["poll_error"], told["poll_error"])
                told = await_source(tracer, "a long wait", lambda s: s["next_poll_ms"] > 20000, 3)
                check(told["next_poll_ms"] <= 30000, told["next_poll_ms"])
                files["/metadata/2.root.json"] = 501
                poll_now(tracer)
                await_source(tracer, "stopped", lambda s: s["poll"] == "stopped", 10)


def acknowledged(told):
    return told if told["state"] == 2 else None


class Watched:
    """A directory of configuration, and a server that is told what became of it."""

    def __init__(self, tracer, files, server):
        self.tracer, self.files, self.server = tracer, files, server
        self.interval_ms = 300

    def change(self):
        """One part more, applied as ever: no poll waits for a report."""
        self.interval_ms += 1
        self.tracer.put(f"{self.interval_ms}.yaml", f"snapshot_interval: {self.interval_ms}ms\n")
        wait_for("the change", lambda: self.tracer.status()["config"]["snapshot_interval_ms"]
                 == self.interval_ms, WITHIN_S)

    def told(self):
        """It says at last that what there is is in force."""
        told = wait_for("reported as in force", lambda: acknowledged(reported(self.tracer, self.server)))
        equal((told["kind"], told["poll"], told["has_error"]), ("directory", "ok", False), "told")

    def first_told(self, poll, since):
        """The first of the reports from that one on that says how polls end."""
        told = (json.loads(text)["source"] for _, _, text in self.server.posted[since:])
        return next((t for t in told if t["poll"] == poll), None)

    def told_with_its_verdict(self):
        """That the source can be read again is news; but what it has now is still under check."""
        sent = len(self.server.posted)
        os.symlink("nothing", os.path.join(self.tracer.source, "0.yaml"))
        wait_for("told that it fails", lambda: self.first_told("failed", sent), 5)
        time.sleep(0.3)  # the next report may come at once
        sent = len(self.server.posted)
        self.tracer.put("0.yaml", "families: [ipv4, ipv6]\n")
        told = wait_for("told that it does not", lambda: self.first_told("ok", sent), 5)
        check("0.yaml" in [part["name"] for part in told["parts"]], told)

    def fails(self, how, words):
        self.files["/told"] = how
        self.change()
        await_source(self.tracer, f"a failed report: {words}",
                     lambda s: s["report_error"] and words in s["report_error"], 5)
        self.files["/told"] = 200
        await_source(self.tracer, "a report", lambda s: not s["report_error"], 5)


def test_who_is_told_can_neither_delay_nor_change_anything():
    files = {"/told": b"this is not looked at"}
    server = Server(files)
    tracer = Tracer()
    with open(tracer.config_path, "a", encoding="utf-8") as f:
        f.write(f"source: {{dir: {tracer.source}, interval: 100ms, probation: 100ms, "
                f"report: '{server.url}/told'}}\n")
    with contextlib.closing(server), tracer:
        watched = Watched(tracer, files, server)
        watched.change()
        watched.told()
        sent = len(server.posted)
        time.sleep(0.5)  # and four polls
        equal(len(server.posted), sent, "reports when nothing is new")
        watched.told_with_its_verdict()
        watched.fails(dropped, "")
        watched.fails(silent, "no answer in time")
        watched.fails(endless, "more bytes than there may be")
        watched.fails(answer(302, [("Location", f"{server.url}/elsewhere")]), "302")
        check("/elsewhere" not in server.requests, "a redirect was followed")
        watched.told()
        server.close()
        watched.change()
        await_source(tracer, "a failed report", lambda s: "connect" in s["report_error"], 5)
        told = await_source(tracer, "counted", lambda s: s["reports_failed"] >= 5)
        check(5 <= told["reports_sent"] <= len(server.posted), told)
        line = f"reports to {server.url}/told: sent "
        check(line in tracer.cli("status").stdout, f"not in the status: {line}")
        equal(tracer.process("poller")["restarts"], 0, "poller restarted")


# --- a poller that was taken over --------------------------------------------------------------------

def address(port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, bytes((127, 0, 0, 1)))


def test_a_poller_with_a_network_has_little_else():
    if not SUPPORTED:
        return "the calls are those of x86-64"
    stream, killed = (socket.SOCK_STREAM, 0), ("killed", "SIGSYS")
    refused_softly = ("answered", -errno.EACCES)
    with Fleet() as fleet, fleet.tracer() as tracer:
        pid = wait_for("the poller", lambda: tracer.running("poller"))["pid"]
        equal(attempt(pid, 41, socket.AF_UNIX, *stream), refused_softly, "a unix socket")
        equal(attempt(pid, 41, socket.AF_NETLINK, socket.SOCK_RAW, 0), refused_softly, "netlink")
        if landlock_abi():
            equal(attempt(pid, 257, -100, b"/usr/bin/env", os.O_RDONLY, 0), refused_softly,
                  "a file elsewhere")
        how, fd = attempt(pid, 41, socket.AF_INET, *stream)
        check(how == "answered" and fd >= 0, f"a socket for TCP: {how} {fd}")
        if landlock_abi() >= 4:
            equal(attempt(pid, 42, fd, address(22), 16), refused_softly, "another port")
        for what, call in {
                "a raw socket": (41, socket.AF_PACKET, socket.SOCK_RAW, 0),
                "execute a program": (59, b"/bin/sh", 0, 0),
                "a process": (56, signal.SIGCHLD, 0, 0, 0, 0),
                "listen": (50, fd, 1),
                "write to a file": (257, -100, b"/tmp/conntrace-remote", os.O_WRONLY, 0)}.items():
            process = wait_for("a poller", lambda: tracer.running("poller"))
            equal(attempt(process["pid"], *call), killed, what)
            wait_for("another", lambda p=process: tracer.running("poller", other_than=p["pid"]))
        check(tracer.status()["identity"]["holds"], "the account does not hold")
    return None


# --- a poller that lies -----------------------------------------------------------------------------

def bundle_of(files):
    """As common/bundle.h has it."""
    out = b""
    for name, data in files:
        name = name.encode() + b"\0"
        out += struct.pack("=II", len(name), len(data)) + name + data
    return out


def served(repo):
    """A repository's files as a poller hands them on."""
    return [("m/" + path.removeprefix("/metadata/") if path.startswith("/metadata/")
             else "t/" + path.removeprefix("/targets/"), data)
            for path, data in repo.files.items()]


NO_COMPILER = "no compiler here, for a poller that lies"


class Liar:
    """A poller that sends whatever it is given, in the place of the real one."""

    def __init__(self):
        self.stage = Stage.of("poller")
        self.stage.set("bundles", 1000).__exit__(None, None, None)

    def trust(self, repo):
        """Install a repository's root; gives the configuration that follows it."""
        root = os.path.join(self.stage.dir, "root.json")
        with open(root, "wb") as f:
            f.write(repo.files["/metadata/1.root.json"])
        os.chmod(root, 0o644)
        return (f"source: {{url: 'https://localhost/', root: {root}, host: h1, "
                "probation: 300ms}\n")

    def says(self, files):
        data = files if isinstance(files, bytes) else bundle_of(files)
        path = os.path.join(self.stage.dir, "bundle")
        with open(path + ".new", "wb") as f:
            f.write(data)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)


def release(repo, filters):
    repo.add("base.yaml", f"filters: [{', '.join(filters)}]\n".encode())
    repo.bump("targets")


def changed(files, name, data):
    return [(n, data if n == name else d) for n, d in files]


def without(files, data):
    return [(n, d) for n, d in files if d != data]


def lies(repo, old, new):
    """What a poller could make of what it got, X: (what, the bundle, verdict)."""
    names = dict(new)
    text = names["t/base.yaml"]
    target = f"t/{sha256(text)}.base.yaml"
    latest = max(n for n, _ in new if n.endswith(".targets.json"))
    other = json.loads(names[latest])
    other["signed"]["targets"] = {}
    stranger = Repository(repo.signer)
    release(stranger, ["exclude: all"])
    # No two of a kind after each other: what is said must be of the last one.
    return [
        ("an older release", old, "rollback"),
        ("targets changed", changed(new, latest, json.dumps(other).encode()), "untrusted"),
        ("no JSON", changed(new, "m/timestamp.json", b"{"), "malformed"),
        ("a file changed", without(new, text) + [(target, b"filters: []\n")], "untrusted"),
        ("nothing", b"", "incomplete"),
        ("signed by somebody else", served(stranger), "untrusted"),
        ("no bundle", b"\xff" * 100, "malformed"),
        ("roles mixed up", changed(changed(new, "m/timestamp.json", names[latest]), latest,
                                   names["m/timestamp.json"]), "untrusted"),
        ("a file withheld", without(new, text), "incomplete"),
        ("a root of its own", new + [("m/2.root.json", stranger.files["/metadata/1.root.json"])],
         "untrusted"),
    ]


def test_a_poller_that_lies_changes_nothing():
    if not shutil.which("cc"):
        return NO_COMPILER
    signer = RepoSigner()
    with contextlib.closing(signer), contextlib.ExitStack() as stack:
        repo, liar = Repository(signer), Liar()
        tracer = Tracer(binaries=liar.stage.bin, more=liar.trust(repo))
        release(repo, ["exclude: {port: 1}"])
        old = served(repo)
        release(repo, ["exclude: {port: 1}", "exclude: {port: 2}"])
        new = served(repo)
        liar.says(new)
        stack.enter_context(tracer)
        before = versions(accepted(tracer, [1, 3, 3, 3])), filters(tracer)
        equal(len(before[1]), 2, "filters")
        release(repo, ["exclude: all"])
        prefix, netns = stack.enter_context(network_namespace())
        load = stack.enter_context(subprocess.Popen(
            [*prefix, CONNGEN, "run", "--connections", "200", "--rate", "50", "--port", "7100"],
            stdout=subprocess.PIPE))
        for what, said, trust in lies(repo, old, served(repo)):
            liar.says(said)
            print(f"# {what}")
            refused(tracer, trust, "", before)
        equal(load.wait(30), 0, "conngen")
        equal(len(tracer.closes(netns, 400)), 400, "connections")
        equal(tracer.process("loader")["restarts"], 0, "loader restarted")
        check(tracer.status()["identity"]["holds"], "the account does not hold")
        tracer.stop()
        tracer.start()
        equal(in_force(tracer), before, "in force after a restart")
        wait_for("the liar again", lambda: tracer.running("poller"))


def store_file(tracer, ending):
    folder = os.path.join(tracer.state, "remote")
    return next(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(ending))


def rewrite(path, change):
    with open(path, "r+b") as f:
        data = change(f.read())
        f.seek(0)
        f.truncate()
        f.write(data)


def test_what_is_stored_is_verified_again():
    if not shutil.which("cc"):
        return NO_COMPILER
    signer = RepoSigner()
    with contextlib.closing(signer):
        repo, liar = Repository(signer), Liar()
        config = liar.trust(repo)
        repo.rotate("root")
        old = served(repo)
        release(repo, ["exclude: {port: 1}"])
        liar.says(served(repo))
        with Tracer(binaries=liar.stage.bin, more=config) as tracer:
            before = versions(accepted(tracer, [2, 2, 2, 2])), filters(tracer)
            equal(stat.S_IMODE(os.stat(os.path.join(tracer.state, "remote")).st_mode), 0o700,
                  "mode of the store")
            # A clock that was ahead when something was accepted, or is behind now.
            tracer.stop()
            floor = store_file(tracer, "floor")
            rewrite(floor, lambda d: re.sub(rb"time=\d+", b"time=4000000000", d))
            release(repo, ["exclude: {port: 1}", "exclude: {port: 2}"])
            liar.says(served(repo))
            tracer.start()
            refused(tracer, "clock", "clock is behind", before)
            # The floor holds even if somebody removes the rest.
            tracer.stop()
            rewrite(floor, lambda d: re.sub(rb"time=\d+", b"time=1000000000", d))
            for ending in ("timestamp.json", "snapshot.json", "targets.json", "active"):
                os.remove(store_file(tracer, ending))
            liar.says(old)
            tracer.start()
            await_source(tracer, "a rollback", lambda s: s["trust"] == "rollback")
            liar.says(served(repo))
            accepted(tracer, [2, 3, 3, 3])
            # What is damaged is not applied, and fetched anew.
            tracer.stop()
            rewrite(store_file(tracer, ".target"), lambda d: d.replace(b"1", b"7"))
            liar.says(b"")
            tracer.start()
            equal(filters(tracer), [], "filters of what is damaged")
            check("as it is stored" in tracer.text(), "not a word in the log")
            liar.says(served(repo))
            accepted(tracer, [2, 3, 3, 3])
            equal(len(filters(tracer)), 2, "filters")
            # Without a folder to write to it goes on, and says so.
            tracer.stop()
            os.rename(os.path.join(tracer.state, "remote"), os.path.join(tracer.dir, "remote"))
            os.chmod(tracer.state, 0o500)
            tracer.start()
            told = accepted(tracer, [2, 3, 3, 3])
            check("kept in memory only" in told["store_error"] and told["degraded"], told)
            # Another root: whoever may install it decides anew.
            tracer.stop()
            os.chmod(tracer.state, 0o700)
            os.rename(os.path.join(tracer.dir, "remote"), os.path.join(tracer.state, "remote"))
            stranger = Repository(signer)
            release(stranger, ["exclude: {port: 3}"])
            liar.trust(stranger)
            liar.says(served(stranger))
            tracer.start()
            accepted(tracer, [1, 2, 2, 2])
            equal(filters(tracer), ["exclude port 3"], "filters of the other repository")


if __name__ == "__main__":
    main([test_a_fleet_is_configured_and_what_is_wrong_changes_nothing,
          test_a_name_that_is_not_known_and_a_repository_that_is_not_there,
          test_a_server_may_ask_for_time_or_say_that_it_is_none,
          test_who_is_told_can_neither_delay_nor_change_anything,
          test_a_poller_with_a_network_has_little_else,
          test_a_poller_that_lies_changes_nothing,
          test_what_is_stored_is_verified_again])
