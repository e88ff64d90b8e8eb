# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""UDP flows: what each socket and each of its peers sent each other, exact against what those say
who sent and received it."""

import collections
import contextlib
import functools
import json
import os
import signal
import sys

from harness import Tracer, check, equal, main, network_namespace, wait_for
from scenario import Script, same_cgroup

# What each script begins with. expect(...) says what the record of a flow is to hold; wait() tells
# us that we may look, and goes on when we have.
PRELUDE = """
import ctypes, json, os, socket, struct, sys
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
expected = []
def plain(address):
    return address.removeprefix("::ffff:")
def ends(a, b):
    return dict(zip(("saddr", "sport", "daddr", "dport"),
                    (plain(a[0]), a[1], plain(b[0]), b[1])))
def expect(local, remote, sent=(0, 0), received=(0, 0), first="outgoing", end="closed", **more):
    expected.append({**ends(local, remote), "segs_out": sent[0], "bytes_sent": sent[1],
                     "segs_in": received[0], "bytes_received": received[1],
                     "direction": first, "owner": "send" if first == "outgoing" else "receive",
                     "pid": os.getpid(), "uid": os.getuid(), "end": end, "protocol": "udp",
                     "comm": open("/proc/self/comm").read()[:-1],
                     "family": 6 if ":" in plain(remote[0]) else 4, **more})
def both(a, b, sent, received, **more):
    expect(a, b, sent, received, **more)
    expect(b, a, received, sent, first="incoming", **more)
def wait():
    print(json.dumps(expected), flush=True)
    expected.clear()
    sys.stdin.readline()
def udp(address="127.0.0.1", family=socket.AF_INET, port=0):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind((address, port))
    s.settimeout(20)
    return s
def pair(address="127.0.0.1", family=socket.AF_INET):
    server, client = udp(address, family), udp(address, family)
    client.connect(server.getsockname()[:2])
    return server, client, server.getsockname()[:2], client.getsockname()[:2]
"""


# What a flow does not have.
NONE_OF_UDP = {"state": None, "error": None, "closer": None, "connect_ns": None,
               "established_ns": 0, "retransmits": 0, "srtt_us": 0, "rttvar_us": 0,
               "min_rtt_us": 0, "lost": 0, "reordered": 0, "ecn_marked": 0, "ecn": False,
               "partial": False, "seeded": False}


def udp_is_traced(tracer):
    return any(p["name"] == "walk_flows" and p["state"] == "attached"
               for p in tracer.status()["probes"])


@contextlib.contextmanager
def tracing(config=""):
    """A tracer and a network namespace."""
    with network_namespace() as (prefix, netns):
        tracer = Tracer()
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            + (config or "snapshot_interval: 200ms\n"))
        with tracer:
            yield tracer, prefix, netns


class Flows(Script):
    """A script that says what it expects, and waits to be told."""

    def __init__(self, prefix, text, *args):
        super().__init__(prefix, text, *args, prelude=PRELUDE)

    expected = Script.fact

    def end(self):
        """What it expects at its end."""
        return [flow for line in super().end() for flow in line]


def records(tracer, netns, event="close"):
    return [r for r in tracer.records()
            if r["event"] == event and r["netns"] == netns and r["protocol"] == "udp"]


def ends_of(record):
    return tuple(record[name] for name in ("saddr", "sport", "daddr", "dport"))


def compare(found, expected, partial=False):
    found = {ends_of(record): record for record in found}
    for flow in expected:
        record = found.get(ends_of(flow))
        check(record, f"no record of {flow}; there are {list(found)}")
        for name, want in flow.items():
            equal(record[name], want, f"{name} of {record}")
        check(record["recorded_ns"] >= record["closed_ns"] >= record["opened_ns"] >= 0
              and partial == (record["opened_ns"] == 0), f"times of {record}")
        if record["event"] == "close" and not partial:
            equal(record["duration_ns"], record["closed_ns"] - record["opened_ns"], "duration_ns")
        for name, want in {**NONE_OF_UDP, **same_cgroup(), "partial": partial,
                           "seeded": partial}.items():
            equal(record[name], want, f"{name} of {record}")
        other = found.get((*ends_of(record)[2:], *ends_of(record)[:2]))
        check(not other or other["pair"] == record["pair"], f"pair: {record}, {other}")


def holds(tracer):
    status = tracer.status()
    check(status["identity"]["holds"], f"identity: {status['identity']} {status['counters']}")
    equal(status["ledger"]["dropped_malformed"], 0, "malformed records")
    return status


@contextlib.contextmanager
def one_tracer():
    """Gives a function that gives the tracer of the tests that need none of their own."""
    with contextlib.ExitStack() as stack:
        started = []

        def get():
            if not started:
                tracer = Tracer()
                tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                                    "snapshot_interval: 200ms\n")
                started.append(stack.enter_context(tracer))
            return started[0]
        yield get


def run(script, *args):
    """Run a script to its end: its flows, no more and no less, are recorded as it says."""
    tracer = shared_tracer()
    with network_namespace() as (prefix, netns):
        # The number of a namespace that is gone is used again.
        before = len(records(tracer, netns))
        expected = Flows(prefix, script + "\nwait()\n", *args).end()
        check(expected, "the script expects something")
        wait_for(f"{len(expected)} flows ended",
                 lambda: len(records(tracer, netns)) >= before + len(expected))
        found = records(tracer, netns)[before:]
        equal(len(found), len(expected), f"flows: {found}")
        compare(found, expected)
        equal(holds(tracer)["counters"]["lost_flow_full"], 0, "lost_flow_full")


# Three, then one back, then one more.
EXCHANGE = """
server, client, at, by = pair(*ENDS)
for _ in range(3):
    client.send(b"x" * 100)
for _ in range(3):
    who = server.recvfrom(2000)[1]
server.sendto(b"y" * 50, who)
client.recv(2000)
client.send(b"z" * 10)
server.recv(2000)
both(by, at, (4, 310), (1, 50), assured=True)
"""


def test_a_connected_and_an_unconnected_socket_over_ipv4():
    run("ENDS = ()\n" + EXCHANGE)


def test_the_same_over_ipv6():
    run("ENDS = ('::1', socket.AF_INET6)\n" + EXCHANGE)


def test_ipv4_in_ipv6_sockets_is_ipv4():
    run("ENDS = ('::ffff:127.0.0.1', socket.AF_INET6)\n" + EXCHANGE)


def test_one_socket_and_many_peers_are_many_flows():
    run("""
one, peers = udp(), [udp() for _ in range(30)]
for n, peer in enumerate(peers, 1):
    for _ in range(n):
        one.sendto(b"x" * n, peer.getsockname())
        peer.recv(2000)
    both(one.getsockname(), peer.getsockname(), (n, n * n), (0, 0), assured=False)
""")


def test_a_query_and_its_answer_are_not_assured_and_a_third_message_is():
    run("""
server, client, at, by = pair()
client.send(b"query")
server.sendto(b"answer", server.recvfrom(2000)[1])
client.recv(2000)
both(by, at, (1, 5), (1, 6), assured=False)
server, client, at, by = pair()
client.send(b"query")
server.sendto(b"answer", server.recvfrom(2000)[1])
client.recv(2000)
client.send(b"again")
server.recv(2000)
both(by, at, (2, 10), (1, 6), assured=True)
server, client, at, by = pair()
for _ in range(9):
    client.send(b"never answered")
    server.recv(2000)
both(by, at, (9, 126), (0, 0), assured=False)
""")


def test_a_dns_exchange():
    run("""
server, client = udp(port=53), udp()
client.connect(("127.0.0.1", 53))
at, by = server.getsockname(), client.getsockname()
name = b"".join(bytes([len(part)]) + part for part in (b"host", b"example", b"com", b""))
query = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)
client.send(query)
asked, who = server.recvfrom(512)
answer = (struct.pack(">6H", 4711, 0x8180, 1, 1, 0, 0) + asked[12:]
          + struct.pack(">3HIH4B", 0xc00c, 1, 1, 300, 4, 192, 0, 2, 1))
server.sendto(answer, who)
assert client.recv(512) == answer
both(by, at, (1, len(query)), (1, len(answer)), assured=False)
""")


def test_many_messages_of_one_call():
    run("""
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]
server, client, at, by = pair()
messages = (mmsghdr * 64)()
pieces = [iovec(b"x" * n, n) for n in range(64)]
for message, piece in zip(messages, pieces):
    message.hdr.iov, message.hdr.iovlen = ctypes.pointer(piece), 1
got = ctypes.CDLL(None, use_errno=True).sendmmsg(client.fileno(), messages, 64, 0)
assert got == 64, (got, ctypes.get_errno())
for _ in range(64):
    server.recv(2000)
both(by, at, (64, sum(range(64))), (0, 0), assured=False)
""")


# By a socket option, by a control message, and received in one piece, which on Linux 5.10 loopback
# has cut up before.
SEGMENTS = """
def send(client, how):
    if how == "message":
        client.sendmsg([b"x" * 10001], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", 1000))])
    else:
        client.setsockopt(SOL_UDP, UDP_SEGMENT, 1000)
        client.send(b"x" * 10001)
for how in ("option", "message", "whole"):
    server, client, at, by = pair(*ENDS)
    if how == "whole":
        server.setsockopt(SOL_UDP, UDP_GRO, 1)
    send(client, how)
    got = 0
    while got < 10001:
        got += len(server.recv(65536))
    both(by, at, (11, 10001), (0, 0))
"""


def test_what_the_kernel_cuts_up_or_puts_together_counts_as_datagrams():
    run("ENDS = ()\n" + SEGMENTS)


def test_the_same_of_ipv6():
    run("ENDS = ('::1', socket.AF_INET6)\n" + SEGMENTS)


def test_datagrams_that_are_empty_looked_at_cut_off_or_put_together_by_the_sender():
    run("""
server, client, at, by = pair()
client.send(b"")
for _ in range(3):
    server.recv(10, socket.MSG_PEEK)
server.recv(10)
both(by, at, (1, 0), (0, 0))
server, client, at, by = pair()
client.send(b"x" * 1000)
for _ in range(3):
    server.recv(10, socket.MSG_PEEK)
server.recv(10)
both(by, at, (1, 1000), (0, 0))
server, client, at, by = pair()
for flags in (socket.MSG_MORE, socket.MSG_MORE, 0):
    client.send(b"x" * 100, flags)
server.recv(2000)
both(by, at, (1, 300), (0, 0))
server, client, at, by = pair()
try:
    client.send(b"x" * 70000)
except OSError:
    pass
client.send(b"not too long")
both(by, at, (1, 12), (0, 0))
expected.pop()  # it was never received
""")


def test_multicast_over_loopback():
    run("""
group, at = "239.1.2.3", "127.0.0.1"
members = []
for _ in range(2):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((group, 4567))
    s.settimeout(20)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                 socket.inet_aton(group) + socket.inet_aton(at))
    members.append(s)
sender = udp()
sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(at))
for _ in range(3):
    sender.sendto(b"to all", (group, 4567))
for member in members:
    for _ in range(3):
        member.recv(2000)
expect(sender.getsockname(), (group, 4567), (3, 18), (0, 0))
for member in members:
    expect((group, 4567), sender.getsockname(), (0, 0), (3, 18), first="incoming")
""")


def test_a_process_that_is_gone_is_known():
    with tracing() as (tracer, prefix, netns):
        server = Flows(prefix, """
server = udp()
expected.append(server.getsockname()[1])
wait()
who = server.recvfrom(2000)[1]
server.sendto(b"answer", who)
expect(server.getsockname(), who, (1, 6), (1, 5), first="incoming")
wait()
""")
        (port,) = server.expected()
        client = Flows(prefix, """
client = udp()
client.sendto(b"query", ("127.0.0.1", int(sys.argv[1])))
client.recv(2000)
expect(client.getsockname(), ("127.0.0.1", int(sys.argv[1])), (1, 5), (1, 6),
       comm=open("/proc/self/comm", encoding="utf-8").read().strip())
wait()
""", port)
        server.go()
        expected = client.end()
        wait_for("the client's flow", lambda: records(tracer, netns))
        compare(records(tracer, netns), expected)
        equal(len(records(tracer, netns)), 1, "the server's flow is live still")
        expected += server.end()
        wait_for("both flows", lambda: len(records(tracer, netns)) == 2)
        compare(records(tracer, netns), expected)
        holds(tracer)


def test_a_live_flow_is_updated_listed_and_outlives_the_loader():
    with tracing("snapshot_interval: 200ms\nrecords: {open: true}\n") as (tracer, prefix, netns):
        before = tracer.status()["counters"]
        script = Flows(prefix, """
server, client, at, by = pair()
for part in range(3):
    for n in range(10):
        client.send(b"x" * 10)
        server.recv(2000)
    sofar = 10 * (part + 1)
    both(by, at, (sofar, 10 * sofar), (0, 0), end=None)
    wait()
both(by, at, (30, 300), (0, 0))
wait()
""")
        for part in range(3):
            flows = script.expected()
            wait_for("updates", lambda flows=flows: sum(
                r["segs_out"] + r["segs_in"] == flows[0]["segs_out"]
                for r in records(tracer, netns, "update")) >= 2)
            latest = {ends_of(r): r for r in records(tracer, netns, "update")}
            for flow in flows:
                for name, want in flow.items():
                    equal(latest[ends_of(flow)][name], want, f"{name}: {latest[ends_of(flow)]}")
            listed = [json.loads(line) for line in tracer.cli("list", "--json").stdout.splitlines()]
            equal(sum(r["netns"] == netns and r["protocol"] == "udp" for r in listed), 2, "listed")
            wait_for("a walk that met them", lambda: tracer.process("exporter")["stats"]["walk_live"]
                     >= 2)
            if part == 0:
                pid = tracer.process("loader")["pid"]
                os.kill(pid, signal.SIGKILL)
                wait_for("another loader", lambda: tracer.running("loader", other_than=pid))
            script.go()
        expected = script.end()
        wait_for("both flows", lambda: len(records(tracer, netns)) == 2)
        compare(records(tracer, netns), expected)
        opens = records(tracer, netns, "open")
        equal(sorted(r["cookie"] for r in opens),
              sorted(r["cookie"] for r in records(tracer, netns)), "open records")
        equal({(r["segs_out"], r["segs_in"]) for r in opens}, {(1, 0), (0, 1)}, "of one datagram")
        # Each walk after a part, and there were more.
        visits = holds(tracer)["counters"]["run_walk"] - before["run_walk"]
        check(visits >= 3 * 2, f"{visits} visits")


@contextlib.contextmanager
def timeouts(seconds, stream_seconds):
    """Conntrack's, from which the loader takes them; gives False where there is no conntrack."""
    paths = [f"/proc/sys/net/netfilter/nf_conntrack_udp_timeout{end}" for end in ("", "_stream")]
    if not all(os.path.exists(path) for path in paths):
        yield False
        return
    before = []
    for path, value in zip(paths, (seconds, stream_seconds)):
        with open(path, "r+", encoding="ascii") as f:
            before.append(f.read())
            f.seek(0)
            f.write(str(value))
    try:
        yield True
    finally:
        for path, value in zip(paths, before):
            with open(path, "w", encoding="ascii") as f:
                f.write(value)


def test_a_flow_that_falls_idle_ends_by_the_timeouts_of_conntrack():
    with timeouts(2, 6) as lowered, tracing() as (tracer, prefix, netns):
        if not lowered:
            return "the kernel has no conntrack to take shorter timeouts from"
        script = Flows(prefix, """
server, client, at, by = pair()
client.send(b"alone")
server.recv(2000)
both(by, at, (1, 5), (0, 0), end="idle", assured=False)
again = (server, client, at, by)
server, client, at, by = pair()
client.send(b"query")
server.sendto(b"answer", server.recvfrom(2000)[1])
client.recv(2000)
client.send(b"again")
server.recv(2000)
both(by, at, (2, 10), (1, 6), end="idle", assured=True)
wait()
server, client, at, by = again
client.send(b"once more")
server.recv(2000)
both(by, at, (1, 9), (0, 0), assured=False)
wait()
""")
        expected = script.expected()
        wait_for("all flows idle", lambda: len(records(tracer, netns)) == 4, 20)
        idle = records(tracer, netns)
        compare(idle, expected)
        for record in idle:
            waited = (record["recorded_ns"] - record["closed_ns"]) / 1e9
            check(waited >= (6 if record["assured"] else 2), f"ended after {waited} s: {record}")
        script.go()
        more = script.end()
        wait_for("the flows begun anew", lambda: len(records(tracer, netns)) == 6)
        compare(records(tracer, netns)[4:], more)
        # A socket whose flows have all ended is none with flows: of the two pairs one was used again.
        equal(holds(tracer)["counters"]["run_udp_end"], 2, "sockets with flows that were closed")
    return None


def test_a_full_table_counts_what_it_lost():
    with tracing("snapshot_interval: 200ms\nmemory_budget: 1MiB\n") as (tracer, prefix, netns):
        room = tracer.status()["config"]["flow_max"]
        before = tracer.status()["counters"]["lost_flow_full"]
        script = Flows(prefix, """
one = udp()
for port in range(2000, 2000 + int(sys.argv[1])):
    for _ in range(3):
        one.sendto(b"x" * 7, ("127.0.0.1", port))
wait()
""", 2 * room)
        script.end()
        sent = 3 * 2 * room
        wait_for("every flow ended", lambda: tracer.status()["identity"]["live"] == 0)
        tracer.drained()
        found = records(tracer, netns)
        status = holds(tracer)
        lost = status["counters"]["lost_flow_full"] - before
        equal(sum(r["segs_out"] for r in found) + lost, sent, "datagrams recorded and lost")
        equal(sum(r["bytes_sent"] for r in found) + 7 * lost, 7 * sent, "bytes")
        equal(len(found), room, "flows recorded")
        refused = {t["what"]: t["count"] for t in status["telemetry"]}
        equal(refused.get("map_flow_table"), lost, f"refusals: {refused}")
        # And there is room again.
        expected = Flows(prefix, EXCHANGE.replace("*ENDS", "") + "wait()\n").end()
        wait_for("flows afterwards", lambda: len(records(tracer, netns)) == room + 2)
        compare(records(tracer, netns)[room:], expected)


def test_sockets_that_come_and_go_leave_nothing_behind():
    with tracing("snapshot_interval: 200ms\nmemory_budget: 1MiB\n") as (tracer, prefix, netns):
        count = 3 * tracer.status()["config"]["flow_max"]
        Flows(prefix, """
server = udp()
for _ in range(int(sys.argv[1])):
    client = udp(port=0)
    client.sendto(b"query", server.getsockname())
    client.close()
wait()
""", count).end()
        wait_for("every flow", lambda: len(records(tracer, netns)) >= count)
        found = records(tracer, netns)
        equal((len(found), sum(r["segs_out"] for r in found)), (count, count), "flows, datagrams")
        status = holds(tracer)
        equal(status["counters"]["lost_flow_full"], 0, "lost_flow_full")
        equal(status["counters"]["opened_flow"], status["counters"]["closed"], "all have ended")
        sequences = collections.defaultdict(list)
        for record in tracer.records():
            if record["cpu"] != 65535:  # where the ends of the walks are numbered, too
                sequences[record["cpu"]].append(record["seq"])
        for cpu, numbers in sequences.items():
            equal(numbers, list(range(len(numbers))), f"sequence {cpu}")


def test_filters_leave_flows_out_and_count_them():
    with tracing("snapshot_interval: 200ms\nfamilies: [ipv6]\n") as (tracer, prefix, netns):
        script = Flows(prefix, "ENDS = ()\n" + EXCHANGE + "expected.clear()\n"
                        "ENDS = ('::1', socket.AF_INET6)\n" + EXCHANGE + "wait()\n")
        expected = script.end()
        wait_for("two flows", lambda: len(records(tracer, netns)) >= 2)
        compare(records(tracer, netns), expected)
        equal(len(records(tracer, netns)), 2, "flows recorded")
        wait_for("the others counted",
                 lambda: tracer.status()["counters"]["filtered_close"] >= 2)
        holds(tracer)


def skipped(test):
    @functools.wraps(test)
    def skip():
        return "UDP is not traced by this tracer"
    return skip


if __name__ == "__main__":
    status = 0
    try:
        with one_tracer() as shared_tracer:
            try:
                tests = [test for name, test in list(globals().items())
                         if name.startswith("test_")]
                main(tests if udp_is_traced(shared_tracer()) else [skipped(t) for t in tests])
            except SystemExit as ended:
                status = ended.code
    finally:
        Script.kill_all()
    sys.exit(status)
