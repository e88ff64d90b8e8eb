# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""Connects that fail at once: connect(2) returns an error and no connection comes of it. Each is
recorded once, with the error and the process that tried; what is no failure is not."""

import contextlib
import subprocess

from harness import Tracer, check, equal, main, network_namespace, steps_of, wait_for
from scenario import Script, Stage, check_pair

# attempt(...) connects, and notes what came of it.
ATTEMPT = """
import ctypes
attempts = []
def attempt(s, address, port):
    before, error = time.monotonic_ns(), None
    try:
        s.connect((address, port))
    except OSError as e:
        error = errno.errorcode[e.errno]
    note(error, address, port, before)
def attempt_raw(s, sockaddr, address, port):
    before = time.monotonic_ns()
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.connect(s.fileno(), sockaddr, len(sockaddr))
    note(errno.errorcode[ctypes.get_errno()] if failed else None, address, port, before)
def note(error, address, port, before):
    attempts.append({"error": error, "daddr": address.removeprefix("::ffff:"), "dport": port,
                     "took_ns": time.monotonic_ns() - before})
def tell():
    say(attempts=attempts, pid=os.getpid(), uid=os.getuid(),
        comm=open("/proc/self/comm").read().strip())
"""


def fields(record, **expected):
    for name, want in expected.items():
        equal(record[name], want, f"{name} of {record}")


class Here:
    """A network namespace, and what the tracer records and counts from now on."""

    def __init__(self, stage, prefix, netns):
        self.tracer, self.stage = stage.tracer, stage
        self.prefix, self.netns = prefix, netns
        self.found = []
        self.before = self.tracer.status()["counters"]
        stage.skip()

    def closes(self):
        self.found += self.stage.closes(self.netns)
        return self.found

    def ends(self):
        """Both ends of the one connection that came to be, the outgoing first."""
        both = sorted((r for r in self.closes() if r["established_ns"]),
                      key=lambda r: r["direction"], reverse=True)
        equal([r["direction"] for r in both], ["outgoing", "incoming"], "ends")
        check_pair(*both)
        return both

    def wait_for_closes(self, count):
        wait_for(f"{count} close records", lambda: len(self.closes()) >= count)
        counters = self.holds()
        found = self.closes()
        equal(len(found), count, f"close records: {found}")
        return found, counters

    def holds(self):
        """All that was made is delivered, and accounted for. Returns what was counted."""
        status = self.tracer.drained()
        check(status["identity"]["holds"], f"identity: {status['identity']} {status['counters']}")
        equal(status["ledger"]["dropped_malformed"], 0, "malformed records")
        return {name: n - self.before[name] for name, n in status["counters"].items()}

    def run(self, *command):
        subprocess.run([*self.prefix, *command], check=True)


@contextlib.contextmanager
def here(stage=None):
    with network_namespace() as (prefix, netns):
        try:
            yield Here(stage or shared_stage, prefix, netns)
        finally:
            Script.kill_all()


def returns_are_seen(tracer):
    """Whether the tracer sees connects fail at once; if not it must have said so."""
    probes = {p["name"]: p for p in tracer.status()["probes"]}
    seen = {probes[name]["state"] for name in ("trace_connect", "trace_connect6")}
    if seen == {"attached"}:
        return True
    status = tracer.status()
    equal(seen, {"missing"}, "state of the programs")
    check(status["degraded"], "not degraded")
    plan = steps_of(status)[status["tracer"], "plan"]
    check("connects that fail at once are not recorded: " in plan["detail"], f"{plan}")
    return False


def failures(at, who, others=0):
    """The records of a script's failed attempts, in their order; others: close records there are
    beside them. Nothing but these may be there."""
    failed = [a for a in who["attempts"] if a["error"] not in (None, "EINPROGRESS", "EISCONN")]
    seen = returns_are_seen(at.tracer)
    found, counters = at.wait_for_closes((len(failed) if seen else 0) + others)
    if not failed or not seen:
        return None
    check(counters["run_connect"] >= len(failed), f"failed at once: {counters['run_connect']}")
    equal(counters["missed_connect"], 0, "connects whose return was missed")
    found = sorted((r for r in found if r["established_ns"] == 0), key=lambda r: r["opened_ns"])
    equal(len(found), len(failed), "records of failures")
    for record, attempt in zip(found, failed):
        took_ns = attempt.pop("took_ns")
        fields(record, **attempt, pid=who["pid"], uid=who["uid"], comm=who["comm"],
               owner="connect", direction="outgoing", protocol="tcp", connect_ns=None, closer=None,
               partial=False, seeded=False, bytes_sent=0, bytes_received=0, segs_out=0, segs_in=0,
               retransmits=0, family=6 if ":" in attempt["daddr"] else 4)
        check(record["pid_start_ns"], f"no start of the process: {record}")
        check(0 < record["opened_ns"] <= record["closed_ns"], f"times of {record}")
        check(record["duration_ns"] <= took_ns, f"{record['duration_ns']} of {took_ns} ns")
    return found


def attempts(at, text):
    """Run a script to its end; returns what it said."""
    script = Script(at.prefix, ATTEMPT + text + "tell()\n")
    who = script.fact()
    script.end()
    return who


NOT_SEEN = "this tracer does not see where connect(2) returns, and says so"


def test_no_route():
    with here() as at:
        who = attempts(at, """
attempt(socket.socket(), "192.0.2.9", 81)
attempt(socket.socket(socket.AF_INET6), "2001:db8::9", 82)
attempt(socket.socket(socket.AF_INET6), "::ffff:192.0.2.9", 83)
""")
        equal([a["error"] for a in who["attempts"]], ["ENETUNREACH"] * 3, "what the script met")
        found = failures(at, who)
        if not found:
            return NOT_SEEN
        for record in found:
            fields(record, end="unreachable", state="close", sport=0)
    return None


def test_routes_that_forbid():
    words = {"prohibit": "EACCES", "unreachable": "EHOSTUNREACH", "blackhole": "EINVAL"}
    with here() as at:
        for number, kind in enumerate(words, 1):
            at.run("ip", "route", "add", kind, f"198.51.{number}.0/24")
            at.run("ip", "-6", "route", "add", kind, f"2001:db8:{number}::/48")
        who = attempts(at, """
for number in range(1, 4):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    attempt(s, f"198.51.{number}.1", s.getsockname()[1])
    attempt(socket.socket(socket.AF_INET6), f"2001:db8:{number}::1", 80 + number)
""")
        equal([a["error"] for a in who["attempts"]],
              [word for word in words.values() for _ in range(2)], "what the script met")
        found = failures(at, who)
        if not found:
            return NOT_SEEN
        equal([r["end"] for r in found], ["error"] * 2 + ["unreachable"] * 2 + ["error"] * 2,
              "how they ended")
        for record in found[::2]:
            fields(record, saddr="127.0.0.1", sport=record["dport"])
    return None


def test_no_port_is_left():
    """These have changed the socket's state before they fail."""
    with here() as at:
        at.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000")
        who = attempts(at, """
server = socket.create_server(("127.0.0.1", 50000))
server6 = socket.create_server(("::1", 50001), family=socket.AF_INET6)
first = socket.create_connection(("127.0.0.1", 50000))
first6 = socket.create_connection(("::1", 50001))
attempt(socket.socket(), "127.0.0.1", 50000)
attempt(socket.socket(socket.AF_INET6), "::1", 50001)
attempt(socket.socket(socket.AF_INET6), "::ffff:127.0.0.1", 50000)
""")
        equal([a["error"] for a in who["attempts"]], ["EADDRNOTAVAIL"] * 3, "what the script met")
        # Where its error is not seen such an attempt looks like one that was cancelled.
        seen = returns_are_seen(at.tracer)
        found = failures(at, who, others=4 if seen else 7)
        if not found:
            equal(sum(r["end"] == "cancelled" for r in at.closes()), 3, "cancelled")
            return NOT_SEEN
        for record in found:
            fields(record, end="error", state="syn_sent", sport=0)
    return None


def test_a_port_that_is_in_use():
    with here() as at:
        who = attempts(at, """
server = socket.create_server(("127.0.0.1", 50000))
held = []
for _ in range(2):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 40000))
    attempt(s, "127.0.0.1", 50000)
    held.append(s)
""")
        equal([a["error"] for a in who["attempts"]], [None, "EADDRNOTAVAIL"], "what the script met")
        seen = returns_are_seen(at.tracer)
        found = failures(at, who, others=2 if seen else 3)
        if not found:
            return NOT_SEEN
        fields(found[0], sport=40000, saddr="127.0.0.1", end="error", state="syn_sent")
    return None


def test_addresses_of_another_family():
    with here() as at:
        who = attempts(at, """
v6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7")
v4 = socket.inet_aton("192.0.2.7")
attempt_raw(socket.socket(), struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", 81, 0) + v6
            + bytes(4), "2001:db8::7", 81)
attempt_raw(socket.socket(socket.AF_INET6), struct.pack("=H", socket.AF_INET)
            + struct.pack("!H", 82) + v4 + bytes(20), "192.0.2.7", 82)
attempt_raw(socket.socket(), struct.pack("=H", socket.AF_UNIX) + bytes(40), "0.0.0.0", 0)
attempt_raw(socket.socket(), struct.pack("=H", socket.AF_INET) + bytes(6), "0.0.0.0", 0)
""")
        equal([a["error"] for a in who["attempts"]], ["EAFNOSUPPORT"] * 3 + ["EINVAL"],
              "what the script met")
        found = failures(at, who)
        if not found:
            return NOT_SEEN
        for record in found:
            fields(record, end="error")
    return None


def test_a_socket_that_fails_twice_and_then_connects():
    with here() as at:
        who = attempts(at, """
server = socket.create_server(("127.0.0.1", 50000))
s = socket.socket()
attempt(s, "192.0.2.9", 80)
attempt(s, "192.0.2.9", 80)
attempt(s, "127.0.0.1", 50000)
s.sendall(b"at last")
s.close()
c, _ = server.accept()
drain(c)
c.close()
""")
        equal([a["error"] for a in who["attempts"]], ["ENETUNREACH"] * 2 + [None], "what it met")
        found = failures(at, who, others=2)
        out, in_ = at.ends()
        fields(out, bytes_sent=7, end="fin", owner="connect", partial=False)
        fields(in_, bytes_received=7, end="fin")
        if not found:
            return NOT_SEEN
        check(max(r["closed_ns"] for r in found) < out["opened_ns"], "failed before it connected")
        if not out["cookie"] >> 63:
            equal({r["cookie"] for r in found}, {out["cookie"]}, "the socket's cookie")
    return None


def test_what_is_under_way_or_done_is_no_failure():
    with here() as at:
        who = attempts(at, """
server = socket.create_server(("127.0.0.1", 50000))
s = socket.socket()
s.setblocking(False)
for _ in range(3):
    attempt(s, "127.0.0.1", 50000)
c, _ = server.accept()
attempt(s, "127.0.0.1", 50000)
c.close()
""")
        equal([a["error"] for a in who["attempts"]],
              ["EINPROGRESS", None, "EISCONN", "EISCONN"], "what the script met")
        failures(at, who, others=2)
        at.ends()


def test_fast_open_which_connects_later():
    """connect(2) only notes where to; the SYN goes with the first data. No cookie is asked for."""
    with here() as at:
        at.run("sysctl", "-qw", f"net.ipv4.tcp_fastopen={0x207}")
        who = attempts(at, """
TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, MSG_FASTOPEN = 23, 30, 0x20000000
server = socket.create_server(("127.0.0.1", 50000))
server.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, 5)
def later():
    s = socket.socket()
    s.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    return s
s = later()
attempt(s, "127.0.0.1", 50000)
s.sendall(b"with the SYN")
c, _ = server.accept()
assert c.recv(100) == b"with the SYN"
s.close(); drain(c); c.close()
s = later()
attempt(s, "127.0.0.1", 50000)
s.close()
s = later()
attempt(s, "192.0.2.9", 80)
s = socket.socket()
before, error = time.monotonic_ns(), None
try:
    s.sendto(b"data", MSG_FASTOPEN, ("192.0.2.9", 81))
except OSError as e:
    error = errno.errorcode[e.errno]
note(error, "192.0.2.9", 81, before)
""")
        equal([a["error"] for a in who["attempts"]], [None, None, "ENETUNREACH", "ENETUNREACH"],
              "what the script met")
        seen = returns_are_seen(at.tracer)
        found, _ = at.wait_for_closes(3 + 2 * seen)
        out, in_ = at.ends()
        fields(out, bytes_sent=12, end="fin", error=None)
        fields(in_, bytes_received=12)
        (cancelled,) = [r for r in found if r["end"] == "cancelled"]
        fields(cancelled, error=None, state="syn_sent", dport=50000)
        failed = [r for r in found if r["end"] == "unreachable"]
        equal([r["dport"] for r in failed], [80, 81] if seen else [], "failures")
        return None if seen else NOT_SEEN


def test_filters_leave_failures_out_and_count_them():
    with Tracer(more="filters: [{exclude: {port: 81}}]\n") as tracer, here(Stage(tracer)) as at:
        seen = returns_are_seen(at.tracer)
        who = attempts(at, """
attempt(socket.socket(), "192.0.2.9", 81)
attempt(socket.socket(), "192.0.2.9", 82)
""")
        counters = at.holds()
        equal([r["dport"] for r in at.closes()], [82] if seen else [], f"of {who}")
        equal(counters["filtered_close"], 1 if seen else 0, "filtered")
        return None if seen else NOT_SEEN


if __name__ == "__main__":
    with Tracer() as shared_tracer:
        shared_stage = Stage(shared_tracer)
        main([test for name, test in list(globals().items())
              if name.startswith("test_") and test.__module__ == "__main__"])
