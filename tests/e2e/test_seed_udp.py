# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""UDP sockets that were open before the tracer began: a connected one is listed at once, with its
process, and what it then sends and receives belongs to it."""

import collections
import json

from harness import Tracer, check, equal, main, missing_probes, network_namespace, wait_for
from test_udp import Flows, compare, ends_of, holds, records, timeouts, udp_is_traced

NOT_TRACED = "UDP is not traced by this tracer"
NOT_SEEDED = "this kernel cannot tell a file's socket, and says so"

# known(...) says what the flow of a connected socket is to be like.
KNOWN = """
def known(s, sent=(0, 0), received=(0, 0), **more):
    expect(s.getsockname(), s.getpeername(), sent, received, owner="seeded", seeded=True,
           partial=True, opened_ns=0, duration_ns=0, **more)
"""

OPEN = KNOWN + """
pairs = []
for address, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6),
                        ("::ffff:127.0.0.1", socket.AF_INET6)):
    low = udp(address, family, 5000 + len(pairs))
    high = udp(address, family)
    high.connect(low.getsockname()[:2])
    low.connect(high.getsockname()[:2])
    pairs.append((low, high))
"""


def why_not(tracer):
    """Why nothing is seeded; None if it is."""
    if not udp_is_traced(tracer):
        return NOT_TRACED
    return NOT_SEEDED if "task_file" in missing_probes(tracer.status()) else None


def listed(tracer, netns):
    lines = tracer.cli("list", "--json").stdout.splitlines()
    return [r for r in map(json.loads, lines) if r["netns"] == netns and r["protocol"] == "udp"]


def test_connected_sockets_are_listed_and_their_datagrams_belong_to_them():
    with network_namespace() as (prefix, netns):
        script = Flows(prefix, OPEN + """
low, high = udp(), udp()  # not connected: they have no peer, and no flow before a datagram
for a, b in pairs:
    known(a, first="incoming", end=None)
    known(b, first="outgoing", end=None)
wait()
for a, b in pairs:
    b.send(b"query"); a.recv(100); a.send(b"an answer"); b.recv(100); b.send(b"more"); a.recv(100)
    known(a, (1, 9), (2, 9), first="incoming", assured=True)
    known(b, (2, 9), (1, 9), first="outgoing", assured=True)
high.sendto(b"first", low.getsockname())
low.recv(100)
expected.append(dict(ends(high.getsockname(), low.getsockname()), segs_out=1))
expected.append(dict(ends(low.getsockname(), high.getsockname()), segs_in=1))
wait()
""")
        before = script.expected()
        with Tracer(more="snapshot_interval: 1h\n") as tracer:
            reason = why_not(tracer)
            if reason:
                script.go()
                script.end()
                equal(len([r for r in records(tracer, netns) if r["seeded"]]), 0, "seeded")
                return reason
            found = listed(tracer, netns)
            equal(len(found), len(before), f"flows listed: {found}")
            cookies = {ends_of(r): r["cookie"] for r in found}
            found = {ends_of(r): r for r in found}
            for flow in before:
                record = found[ends_of(flow)]
                for name in set(flow) - {"owner"}:
                    equal(record[name], flow[name], f"{name} of {record}")
                equal(record["owner"], "seeded", "owner")
            script.go()
            after = script.end()
            wait_for("all flows", lambda: len(records(tracer, netns)) >= len(after))
            closed = records(tracer, netns)
            equal(len(closed), len(after), f"flows: {closed}")
            seeded = [r for r in closed if r["seeded"]]
            compare(seeded, [f for f in after if "owner" in f], partial=True)
            equal({ends_of(r): r["cookie"] for r in seeded}, cookies, "the flows' numbers")
            fresh = {ends_of(r): r for r in closed if not r["seeded"]}
            for flow in [f for f in after if "owner" not in f]:
                record = fresh[ends_of(flow)]
                equal({name: record[name] for name in flow}, flow, f"{record}")
                check(not record["partial"] and record["opened_ns"], f"{record}")
            counters = holds(tracer)["counters"]
            for name in ("run_seed", "opened_seeded"):
                check(counters[name] >= len(before), f"{name} {counters[name]}")
            equal(counters["unaccounted"], 0, "unaccounted")
    return None


def test_a_seeded_flow_ends_idle_and_is_not_seeded_again():
    """The walk over files goes on looking; an idle socket is no flow to it."""
    with timeouts(2, 4) as lowered, network_namespace() as (prefix, netns):
        if not lowered:
            return "the kernel has no conntrack to take shorter timeouts from"
        script = Flows(prefix, OPEN + """
for pair in pairs:
    for s in pair:
        known(s, first=None, end="idle", assured=False)
wait()
""")
        expected = script.expected()
        with Tracer(more="snapshot_interval: 200ms\n") as tracer:
            reason = why_not(tracer)
            if not reason:
                wait_for("all flows", lambda: len(records(tracer, netns)) >= len(expected), 20)
                walks = tracer.process("loader")["stats"]["checks"]
                wait_for("the walk over files again",
                         lambda: tracer.process("loader")["stats"]["checks"] > walks + 1, 30)
                found = records(tracer, netns)
                equal(len(found), len(expected), f"flows: {found}")
                for flow in expected:
                    del flow["direction"]
                compare(found, expected, partial=True)
                equal(listed(tracer, netns), [], "listed")
                holds(tracer)
            script.go()
            script.end()
    return reason


def test_more_sockets_than_room():
    with network_namespace() as (prefix, netns):
        script = Flows(prefix, """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))
server, clients = udp(), []
for _ in range(1000):
    clients.append(udp())
    clients[-1].connect(server.getsockname())
wait()
""")
        script.expected()
        with Tracer(more="memory_budget: 1MiB\n") as tracer:
            reason = why_not(tracer)
            if not reason:
                room = tracer.status()["config"]["flow_max"]
                check(room < 1000, f"room for {room}")
                equal(len(listed(tracer, netns)), room, "flows listed")
                status = holds(tracer)
                equal(status["counters"]["opened_seeded"] >= room, True, "opened_seeded")
                refused = collections.Counter()
                for row in status["telemetry"]:
                    refused[row["errno"]] += row["count"] * row["what"].startswith("map_flow_")
                check(refused["E2BIG"] >= 1000 - room, f"refused: {refused}")
            script.go()
            script.end()
    return reason


if __name__ == "__main__":
    main([test for name, test in list(globals().items())
          if name.startswith("test_") and getattr(test, "__module__", "") == "__main__"])
