# SPDX-License-Identifier: Apache-2.0
"""Many UDP flows through tables of fixed size: each is a record, or its datagrams are counted. The truth
is what the generator sent and received; others' datagrams are filtered out."""

import collections
import json
import os
import subprocess

from harness import OUT, SLOWDOWN, Tracer, check, equal, main, network_namespace, wait_for

DGRAMGEN = os.path.join(OUT, "bench", "dgramgen")
FLOWS = int(os.environ.get("CONNTRACE_FLOWS", "20000"))
KEPT = FLOWS // 4  # to one socket, which stays open
DATAGRAMS = 2  # of a flow
BYTES = 100
PER_DATAGRAM = 20000
ROUNDS = 3
CONFIG = """snapshot_interval: 1s
tracer: fentry
filters: [{include: {cidr: 127.64.0.0/16}}, {exclude: all}]
"""


def dgramgen(prefix, *args):
    done = subprocess.run([*prefix, DGRAMGEN, *map(str, args)], capture_output=True, text=True,
                          timeout=60 * SLOWDOWN, check=False)
    equal((done.returncode, done.stderr), (0, ""), "dgramgen")
    return json.loads(done.stdout)


def counters(tracer):
    return tracer.status()["counters"]


def ended(tracer):
    """The counters when nothing is left: flows of sockets that are gone are found by the walk."""
    wait_for("all flows ended", lambda: tracer.status()["identity"]["live"] == 0, 20)
    return tracer.drained()["counters"]


def closes(tracer, netns):
    """A line each, of which there are many: counted by direction."""
    flows, datagrams, sizes = (collections.Counter() for _ in range(3))
    with open(tracer.records_path, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            if record["event"] != "close" or record["netns"] != netns:
                continue
            way = record["direction"]
            flows[way] += 1
            datagrams[way] += record["segs_out"] + record["segs_in"]
            sizes[way] += record["bytes_sent"] + record["bytes_received"]
    return flows, datagrams, sizes


def test_every_one_of_many_flows_is_recorded_in_a_table_of_bounded_size():
    """Of each socket one, so its end is the flow's."""
    with network_namespace() as (prefix, netns), Tracer(more=CONFIG) as tracer:
        made = dgramgen(prefix, FLOWS, FLOWS, DATAGRAMS, BYTES)
        now = ended(tracer)
        flows, datagrams, sizes = closes(tracer, netns)
        print(f"# {made}: {dict(flows)} flows, {dict(datagrams)} datagrams; room for "
              f"{tracer.status()['config']['flow_max']}")
    equal(now["lost_flow_full"], 0, "datagrams without room")
    equal(flows, {"outgoing": made["flows"], "incoming": made["flows"]}, "flows")
    equal(datagrams, {"outgoing": made["datagrams_sent"], "incoming": made["datagrams_received"]},
          "datagrams")
    equal(sizes, {"outgoing": made["bytes"], "incoming": made["bytes"]}, "bytes")


def test_what_has_no_room_is_counted_to_the_datagram():
    """All of one socket, which has more peers than the table has room."""
    with network_namespace() as (prefix, netns), \
            Tracer(more=CONFIG + "memory_budget: 2MiB\n") as tracer:
        made = dgramgen(prefix, KEPT, 1, DATAGRAMS, BYTES)
        now = ended(tracer)
        flows, datagrams, _ = closes(tracer, netns)
        print(f"# {made}: {dict(flows)} flows, {dict(datagrams)} datagrams recorded, "
              f"{now['lost_flow_full']} without room, which is for "
              f"{tracer.status()['config']['flow_max']} flows")
    check(now["lost_flow_full"] > KEPT // 2, f"without room: {now['lost_flow_full']}")
    equal(sum(datagrams.values()) + now["lost_flow_full"],
          made["datagrams_sent"] + made["datagrams_received"], "recorded, or counted")


def test_what_a_datagram_costs():
    """No claim: an emulated machine tells ratios at best."""
    costs = collections.defaultdict(list)
    with network_namespace() as (prefix, _):
        for _ in range(ROUNDS):
            costs["none"].append(dgramgen(prefix, 1, 1, PER_DATAGRAM, BYTES)["elapsed_ns"])
            with Tracer(more=CONFIG) as tracer:
                costs["traced"].append(dgramgen(prefix, 1, 1, PER_DATAGRAM, BYTES)["elapsed_ns"])
                check(counters(tracer)["run_udp_send"] >= PER_DATAGRAM, "it is not traced")
    least = {how: min(ns) / PER_DATAGRAM for how, ns in costs.items()}
    print(f"# a datagram sent and received: {least['none']:.0f} ns without, "
          f"{least['traced']:.0f} ns traced: {least['traced'] / least['none']:.2f} times")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
