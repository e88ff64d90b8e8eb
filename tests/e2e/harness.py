# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a conntraced of their own, a network namespace of their own,
the records it wrote, and TAP on standard output. Needs root, for namespaces and file capabilities.

CONNTRACE_TRACER=NAME has every conntraced trace by that tracer, and has the tests that depend on it
run and no others; "auto" has the others run. CONNTRACE_SLOWDOWN=N tells that the
machine is about N times slower than a real one, as an emulated one is."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.environ.get("O", os.path.join(ROOT, "build"))
OUT = OUT if os.path.isabs(OUT) else os.path.join(ROOT, OUT)
BIN = os.path.join(OUT, "bin")
CONNGEN = os.path.join(OUT, "bench", "conngen")
CGROUP_PLACES = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
CHILDREN = ("loader", "exporter", "poller")
OBJECT = "tracer-tracepoint.bpf.o"
SLOWDOWN = int(os.environ.get("CONNTRACE_SLOWDOWN", "1"))
WALKS_FOR_UNSEEN = 20  # at most
WALK_S = 0.5   # a list has another walk made after this
POLL_S = min(0.02 * SLOWDOWN, 0.2)  # most of what is polled for costs a process
REASON_MAX = 300  # characters of why a test failed, in the line about it


def load(count):
    """Of a real machine's connections, as many as this one makes in the same time."""
    return count // SLOWDOWN


def wait_until(condition, seconds=10.0):
    """Poll until condition() is true, or a real machine's time is up; returns what it gave last."""
    end = time.monotonic() + seconds * SLOWDOWN
    while True:
        got = condition()
        if got or time.monotonic() > end:
            return got
        time.sleep(POLL_S)


def wait_for(what, condition, seconds=10.0):
    """Poll until condition() is true and return what it gave; fail after the time."""
    got = wait_until(condition, seconds)
    check(got, f"not within {seconds * SLOWDOWN} s: {what}")
    return got


def check(true, message):
    if not true:
        raise AssertionError(message)


def equal(got, want, what):
    check(got == want, f"{what}: {got!r}, expected {want!r}")


class Tracer:
    """A conntraced with its own directory, socket and output. more: lines of configuration beside
    the output, which config replaces."""

    def __init__(self, config="", more="", binaries=BIN, source=False, wrap=()):
        self.dir = tempfile.mkdtemp(prefix="conntrace-e2e-")
        os.chmod(self.dir, 0o755)
        self.out = os.path.join(self.dir, "out")
        os.mkdir(self.out)
        shutil.chown(self.out, "nobody", "nogroup")
        self.state = os.path.join(self.dir, "state")
        os.mkdir(self.state)
        shutil.chown(self.state, "nobody", "nogroup")
        self.records_path = os.path.join(self.out, "records.jsonl")
        self.socket = os.path.join(self.out, "control.sock")
        self.config_path = os.path.join(self.dir, "conntrace.yaml")
        self.source = os.path.join(self.dir, "conf.d")
        os.mkdir(self.source, 0o755)
        self.binaries = binaries
        self.wrap = list(wrap)
        self.prepare = None  # called in the process that becomes conntraced
        self.proc = None
        text = (config or f"output: {{format: json, path: {self.records_path}}}\n") + more
        if source:
            text += f"source: {{dir: {self.source}, interval: 200ms}}\n"
        self.write_config(text)

    def write_config(self, text):
        tracer = os.environ.get("CONNTRACE_TRACER")
        if tracer and not re.search(r"^tracer:", text, re.MULTILINE):
            text += f"tracer: {tracer}\n"
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    def put(self, name, text):
        """A file into the source, whole at once."""
        path = os.path.join(self.source, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def start(self, wait=True):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.proc = subprocess.Popen(
            self.wrap + [os.path.join(self.binaries, "conntraced"), "--user", "nobody", "--config",
                         self.config_path, "--socket", self.socket, "--state-dir", self.state],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
            preexec_fn=self.prepare, close_fds=self.prepare is None)
        if wait:
            wait_for("tracing", self.tracing, 20)
        return self

    def tracing(self):
        check(self.proc.poll() is None, f"conntraced exited {self.proc.returncode}: {self.text()}")
        return self.cli("status", check_code=False).returncode == 0

    def text(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def cli(self, *args, check_code=True, timeout=10):
        done = subprocess.run([os.path.join(BIN, "conntrace"), *args[0].split(), "--socket",
                               self.socket, *args[1:]], capture_output=True, text=True,
                              timeout=timeout * SLOWDOWN)
        if check_code:
            check(done.returncode == 0, f"conntrace {args}: {done.returncode}: {done.stderr}")
        return done

    def config(self, command):
        """What conntrace config says, of the configuration in force or of verdicts."""
        return json.loads(self.cli(f"config {command}", "--json").stdout)

    def status(self):
        done = self.cli("status", "--json", check_code=False)
        check(done.stdout, f"conntrace status: {done.returncode}: {done.stderr}")
        return json.loads(done.stdout)

    def process(self, name):
        for process in self.status()["processes"]:
            if process["name"] == name:
                return process
        raise AssertionError(f"no process {name} in the status")

    def running(self, name, other_than=0):
        """The process if it runs and isn't that pid."""
        process = self.process(name)
        return process if process["state"] == "running" and process["pid"] != other_than else None

    def drained(self):
        """Wait until every record made is delivered."""
        def empty():
            status = self.status()
            return status["identity"]["waiting"] == 0 and status
        return wait_for("the ring drained", empty)

    def lines(self, path=None):
        """Those written so far. The last line may be under way, and one that a killed exporter was
        writing is ended by the next one, unfinished."""
        with open(path or self.records_path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("}\n")]

    def records(self, path=None):
        return [line for line in self.lines(path) if line["event"] != "loss"]

    def markers(self):
        """What the output says is missing from it."""
        return [line for line in self.lines() if line["event"] == "loss"]

    def closes(self, netns, count=0):
        """The close records of a namespace. Those who made the connections may be done before the
        last ACK of one: so many are waited for, and after a while it is what is there."""
        def found():
            return [r for r in self.records() if r["event"] == "close" and r["netns"] == netns]
        # A repetition does not count. It may differ in its times, which are another exporter's; and
        # a tracer loaded anew begins its sequences again.
        wait_until(lambda: len({(r["cpu"], r["seq"], r["cookie"], r["sport"], r["dport"])
                                for r in found()}) >= count)
        return found()

    def unseen(self, least=1):
        """Ends of anybody's connections that no program saw. A kernel may skip programs on top of
        some of its threads; what two whole walks in a row do not meet is counted, but for as many as
        end during them: so they are made until it is so many."""
        for _ in range(WALKS_FOR_UNSEEN):
            self.cli("list", timeout=60)
            time.sleep(WALK_S)
            if self.status()["counters"]["lost_unseen"] >= least:
                break
        return self.status()["counters"]["lost_unseen"]

    def every_close(self, netns, count):
        """The close records of a namespace, each once: so many, but for ends that no program saw."""
        once = {(r["cpu"], r["seq"], r["cookie"], r["sport"], r["dport"]): r
                for r in self.closes(netns, count)}
        check(len(once) <= count, f"{len(once)} close records, expected {count}")
        if len(once) < count:
            self.check_unseen(count - len(once), count)
        return list(once.values())

    def check_unseen(self, missing, count):
        """Of so many ends these are missing, all of them since no program saw them: no more than a
        few, and a loss marker tells them."""
        unseen = self.unseen(missing)
        check(missing <= unseen, f"{missing} of {count} close records missing, {unseen} unseen")
        check(missing <= max(2, count // 50), f"{missing} of {count} ends unseen")
        wait_for("the marker", lambda: missing <= sum(
            m["count"] for m in self.markers() if (m["cause"], m["records"]) == ("unseen", "close")))
        print(f"# {missing} of {count} ends were seen by no program, and are told", flush=True)

    def stop(self, code=0):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                got = self.proc.wait(15 * SLOWDOWN)
            except subprocess.TimeoutExpired:
                os.killpg(self.proc.pid, signal.SIGKILL)
                self.proc.wait()
                raise AssertionError("conntraced did not stop: " + self.text()) from None
            equal(got, code, "exit code of conntraced")
        if self.proc:
            self.log.close()

    def kill(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        finally:
            self.kill()
            if kind:
                sys.stdout.write("".join("# " + l + "\n" for l in self.text().splitlines()[-40:]))
            shutil.rmtree(self.dir, ignore_errors=True)


def ends(tracer, code, *said):
    """conntraced ends by itself with that code, having said this, and leaves nothing. Returns all
    that it said."""
    try:
        tracer.start(wait=False)
        try:
            got = tracer.proc.wait(20 * SLOWDOWN)
        except subprocess.TimeoutExpired:
            raise AssertionError("conntraced goes on: " + tracer.text()) from None
        text = tracer.text()
        equal(got, code, f"exit code; it said: {text}")
        for words in said:
            check(words in text, f"not said: {words!r}; it said: {text}")
        for sign in ("signal", "Sanitizer", "runtime error", "Assertion", "too many crashes"):
            check(sign not in text, f"looks like a crash: {text}")
        check(len(text.splitlines()) <= 5, f"more than a person reads: {text}")
        check(not os.path.exists(tracer.socket), "the control socket is still there")
        return text
    finally:
        tracer.kill()
        tracer.log.close()
        shutil.rmtree(tracer.dir, ignore_errors=True)


class Tree:
    """A copy of the programs and the BPF objects, to break. Without an archive of BTF."""

    def __init__(self, armed=True, nat=False):
        self.dir = tempfile.mkdtemp(prefix="conntrace-tree-")
        os.chmod(self.dir, 0o755)
        self.bin = os.path.join(self.dir, "bin")
        self.object = os.path.join(self.dir, "share", OBJECT)
        self.loader = os.path.join(self.bin, "conntrace-loader")
        shutil.copytree(BIN, self.bin)
        shutil.copytree(os.path.join(OUT, "share"), os.path.join(self.dir, "share"),
                        ignore=shutil.ignore_patterns("btf"))
        subprocess.run([os.path.join(ROOT, "packaging/dev/arm"), *(["--nat"] if nat else []),
                        self.loader], check=True)
        if not armed:
            subprocess.run(["setcap", "-r", self.loader], check=True)

    def rename_hook(self, old, new):
        """Have the loader look for another function than the kernel's, as if that were gone."""
        equal(len(new), len(old), "length of the new name")
        with open(self.loader, "rb") as f:
            bytes_ = f.read()
        check(old.encode() in bytes_, f"{old} is no name in the loader")
        with open(self.loader, "wb") as f:
            f.write(bytes_.replace(old.encode() + b"\0", new.encode() + b"\0"))
        subprocess.run([os.path.join(ROOT, "packaging/dev/arm"), self.loader], check=True)

    def processes(self):
        """Those that run a program of this tree."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/exe").startswith(self.bin + "/"):
                    found.append(int(pid))
            except OSError:  # it has ended, or is the kernel's
                pass
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        left = self.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)
        equal(left, [], "processes left")


@contextlib.contextmanager
def network_namespace(suffix=""):
    """A network namespace with its loopback up; gives (prefix of commands, inode number). suffix: of
    its name, if a test has several."""
    name = f"conntrace-test-{os.getpid()}{suffix}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ["ip", "netns", "exec", name], os.stat(f"/run/netns/{name}").st_ino
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def remembers_in_table(status):
    """Whether connections are remembered in the table, not in socket storage."""
    return any(p["name"] == "walk_table" and p["state"] != "off" for p in status["probes"])


def cgroup_root():
    """The root of the cgroup2 tree, None if there is none."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        kinds = {line.split()[1]: line.split()[2] for line in mounts}
    return next((place for place in CGROUP_PLACES if kinds.get(place) == "cgroup2"), None)


def missing_probes(status):
    return {p["hook"]: p for p in status["probes"] if p["state"] == "missing"}


def steps_of(status):
    """The ladder, by tracer and step."""
    return {(s["tracer"], s["step"]): s for s in status["ladder"]}


def proc_limits(pid):
    """{name: (soft, hard)} of its resource limits, as the kernel names and writes them."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        lines = [re.split(r"\s{2,}", line.strip()) for line in f][1:]
    return {line[0]: tuple(line[1:3]) for line in lines}


def proc_status(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def conngen(prefix, *args, timeout=120):
    done = subprocess.run([*prefix, CONNGEN, *map(str, args)], capture_output=True, text=True,
                          timeout=timeout * SLOWDOWN)
    check(done.returncode == 0, f"conngen: {done.returncode}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def bpf_ids(pid, what):
    """Numbers of the BPF objects that a process has open; what: "map" or "link"."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), \
             open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as info:
            found.update(int(line.split()[1]) for line in info if line.startswith(f"{what}_id:"))
    return found


def bpf_links():
    text = subprocess.run(["bpftool", "link", "show", "-j"], capture_output=True, text=True,
                          check=True).stdout
    return {link["id"] for link in json.loads(text)}


def why_not(test, once):
    """Why a test is not to be run here, "" if it is."""
    tracer = os.environ.get("CONNTRACE_TRACER")
    if not tracer or not once:
        return ""
    if tracer == "auto":
        return "" if test in once else "depends on the tracer: is run with each"
    return "does not depend on the tracer" if test in once else ""


def main(tests, once=()):
    """Run the tests, a line of TAP each; with arguments only those that have one in their name. once:
    those of them that do not depend on the tracer."""
    failed = 0
    if sys.argv[1:]:
        tests = [test for test in tests if any(word in test.__name__ for word in sys.argv[1:])]
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        name = test.__name__.removeprefix("test_").replace("_", " ")
        began = time.monotonic()
        try:
            skip = why_not(test, once) or test()
            print(f"ok {number} - {name}" + (f" # SKIP {skip}" if skip else ""), flush=True)
        except Exception as failure:  # a test may fail in any way; the rest still runs
            failed += 1
            print(f"not ok {number} - {name}")
            print("# reason: " + " ".join(str(failure).split())[:REASON_MAX])
            sys.stdout.write("".join("# " + l + "\n"
                                     for l in traceback.format_exc().splitlines()))
        print(f"# took {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(1 if failed else 0)
