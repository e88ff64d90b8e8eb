# SPDX-License-Identifier: Apache-2.0
"""The tracers that bench.py compares: how each is started, stopped, weighed and held to account."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time

START_SECONDS = 20
STOP_SECONDS = 10
SETTLE_SECONDS = 10
TCPLIFE = "/usr/sbin/tcplife"


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BenchError(Exception):
    """The benchmark can't go on; the text says why and what to do."""


@contextlib.contextmanager
def uninterrupted():
    """A signal that asks for the end is kept until the block is over."""
    kept = []
    before = {s: signal.signal(s, lambda number, _: kept.append(number)) for s in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in kept[:1]:
            signal.raise_signal(number)


def process_table():
    """{pid: (comm, parent)} of every process."""
    table = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as f:
            text = f.read()
            comm = text[text.index("(") + 1:text.rindex(")")]
            table[int(entry)] = (comm, int(text[text.rindex(")") + 2:].split()[1]))
    return table


def refuse_if_running():
    for pid, (comm, _) in process_table().items():
        if comm in ("tcplife", "conntraced") or comm.startswith("conntrace-"):
            raise BenchError(f"{comm} is already running as process {pid}: stop it first, "
                             "two tracers at once would be measured together")


def process_family(root):
    """root and all its descendants."""
    table = process_table()
    family = {root} & set(table)
    while True:
        more = {pid for pid, (_, parent) in table.items() if parent in family} - family
        if not more:
            return family
        family |= more


def field_kb(path, name):
    with open(path) as f:
        for line in f:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    raise BenchError(f"{path}: no {name}")


class Tool:
    """One life of a tracer: start(), loads each followed by expect(), settle(), stop(), account().
    count_records() returns the loads' records, and how many more were repetitions of one."""

    stop_signal = signal.SIGTERM

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.process = None
        self.errors_path = os.path.join(directory, "stderr")
        self.records_path = os.path.join(directory, "records")
        self.expected = 0
        self.ports = set()

    def spawn(self, command, stdout):
        with open(self.errors_path, "wb") as errors, uninterrupted():
            # a session of its own: a Ctrl-C reaches this program alone, which then stops it
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout,
                                            stderr=errors, start_new_session=True)

    def errors(self):
        with open(self.errors_path, errors="backslashreplace") as f:
            return f.read().strip()[-800:]

    def fail(self, what):
        raise BenchError(f"{type(self).__name__.lower()}: {what}; it said: {self.errors()!r}")

    def wait_until(self, what, ready):
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.process.poll() is not None:
                self.fail(f"ended with status {self.process.returncode} before {what}")
            if time.monotonic() > deadline:
                self.fail(f"{what} not reached within {START_SECONDS} s")
            time.sleep(0.05)

    def memory(self):
        family = process_family(self.process.pid)
        if not family:
            self.fail("died under load")
        return {
            "rss_bytes": 1024 * sum(field_kb(f"/proc/{p}/status", "VmRSS") for p in family),
            "pss_bytes": 1024 * sum(field_kb(f"/proc/{p}/smaps_rollup", "Pss") for p in family),
        }

    def expect(self, ports, records):
        self.ports.update(ports)
        self.expected += records

    def settle(self):
        """Wait for what is still under way."""

    def stop(self):
        if self.process is not None:
            with uninterrupted():
                self.stop_process()

    def stop_process(self):
        family = process_family(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
            self.fail(f"did not stop within {STOP_SECONDS} s and was killed")
        left = family & set(process_table())
        if left:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.fail(f"left {len(left)} process behind, killed now")

    def account(self):
        """After stop(): records of the loads' connections against what conngen made."""
        seen, repeated = self.count_records()
        return {"expected": self.expected, "seen": seen, "lost": max(self.expected - seen, 0),
                "surplus": repeated + max(seen - self.expected, 0)}


class NoTracer(Tool):
    @staticmethod
    def programs(_options):
        return []

    def start(self):
        pass

    def memory(self):
        return {}

    def account(self):
        return {}


class Tcplife(Tool):
    stop_signal = signal.SIGINT

    @staticmethod
    def programs(_options):
        return [TCPLIFE]

    def start(self):
        command = [TCPLIFE]
        if not any(os.path.exists(f"/sys/kernel/{d}/events") for d in ("tracing", "debug/tracing")):
            # in a mount namespace of its own: the machine stays as it is
            command = ["unshare", "--mount", "sh", "-c",
                       "mount -t tracefs tracefs /sys/kernel/tracing && exec " + command[0]]
        with open(self.records_path, "wb") as records:
            self.spawn(command, records)
        self.wait_until("its perf buffers", self.attached)

    def attached(self):
        """It says nothing before the first record: its perf buffers, one per CPU, come last."""
        links = []
        with contextlib.suppress(OSError):
            fds = f"/proc/{self.process.pid}/fd"
            links = [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)]
        tracepoint = 1
        return links.count("anon_inode:[perf_event]") >= tracepoint + os.cpu_count()

    def count_records(self):
        seen = 0
        with open(self.records_path) as f:
            next(f, None)  # the heading
            for line in f:
                columns = line.split()
                # from the right: a command name may contain blanks
                local, remote = int(columns[-6]), int(columns[-4])
                seen += local in self.ports or remote in self.ports
        return seen, 0


class Conntrace(Tool):
    @staticmethod
    def programs(options):
        return [os.path.join(options.bin, name) for name in ("conntraced", "conntrace")]

    def __init__(self, options, directory):
        super().__init__(options, directory)
        # conntraced makes its socket and its output as the user it becomes
        self.own = os.path.join(directory, "conntrace")
        self.socket = os.path.join(self.own, "control")
        self.records_path = os.path.join(self.own, "records.json")
        self.counted = None

    def program(self, name):
        return os.path.join(self.options.bin, name)

    def start(self):
        os.chmod(self.directory, 0o755)
        if os.path.isdir(self.own):
            shutil.rmtree(self.own)
        os.mkdir(self.own)
        user = conntrace_user()
        os.chown(self.own, user.pw_uid, user.pw_gid)
        config = os.path.join(self.directory, "conntrace.yaml")
        with open(config, "w") as f:
            f.write(f"output:\n  format: json\n  path: {self.records_path}\n")
        os.chmod(config, 0o644)
        self.spawn([self.program("conntraced"), "--config", config, "--socket", self.socket],
                   subprocess.DEVNULL)
        self.wait_until("tracing", lambda: self.status() is not None)

    def status(self):
        try:
            done = subprocess.run(
                [self.program("conntrace"), "--socket", self.socket, "status", "--json"],
                capture_output=True, text=True, timeout=10)
        except subprocess.TimeoutExpired:
            return None
        return json.loads(done.stdout) if done.returncode == 0 else None

    def settle(self):
        """Until the records are all there, or none came for a second; then what status counted."""
        deadline, last, moved = time.monotonic() + SETTLE_SECONDS, -1, time.monotonic()
        while time.monotonic() < deadline:
            seen, _ = self.count_records()
            if seen >= self.expected or time.monotonic() - moved > 1:
                break
            if seen != last:
                last, moved = seen, time.monotonic()
            time.sleep(0.1)
        status = self.status()
        if status is None:
            self.fail("has no status after the load")
        self.counted = losses(status)

    def count_records(self):
        seen, repeated = set(), 0
        with contextlib.suppress(FileNotFoundError), open(self.records_path) as f:
            for line in f:
                if '"close"' not in line or not line.endswith("\n"):
                    continue
                record = json.loads(line)
                if record["event"] != "close" or not (
                        {record["sport"], record["dport"]} & self.ports):
                    continue
                repeated += record["cookie"] in seen  # one socket has one close
                seen.add(record["cookie"])
        return len(seen), repeated

    def account(self):
        return {**super().account(), "counted_losses": sum(self.counted.values()),
                "counted": {name: value for name, value in self.counted.items() if value}}


def conntrace_user():
    """Whom conntraced becomes when started as root."""
    try:
        return pwd.getpwnam("conntrace")
    except KeyError:
        return pwd.getpwnam("nobody")


LOSS_PREFIXES = ("lost_", "dropped_", "storage_failed", "sink_errors")


def losses(status):
    """Every counter of a loss in the status, and whether opened = live + closed and so on hold."""
    try:
        counters = {**status["counters"], **status["ledger"]}
        found = {name: value for name, value in counters.items() if name.startswith(LOSS_PREFIXES)}
        found["identity_violated"] = int(not status["identity"]["holds"])
    except (KeyError, TypeError) as e:
        raise BenchError(f"conntrace status: no {e} in its JSON: has its format changed?") from None
    if len(found) < 2:
        raise BenchError("conntrace status: no counter of losses: have their names changed?")
    return found
