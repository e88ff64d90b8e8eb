# SPDX-License-Identifier: Apache-2.0
"""nat: true on a kernel that tracks no connections: it works without, says so, and does not change
that."""

import json
import os
import subprocess

from connections import exchange, wait_for_closes
from harness import BIN, SLOWDOWN, Tracer, Tree, check, equal, main, network_namespace, steps_of

TRACKED = "/proc/sys/net/netfilter/nf_conntrack_count"


def modules():
    """{module: those that use it}"""
    with open("/proc/modules", encoding="ascii") as f:
        lines = [line.split() for line in f]
    return {words[0]: [user for user in words[3].split(",") if user not in ("", "-")]
            for words in lines}


def unload(name):
    """A module, and first whatever uses it."""
    while name in modules():
        for user in modules()[name]:
            unload(user)
        subprocess.run(["rmmod", name], check=True)


def test_where_nothing_is_tracked_nat_is_not_known():
    unload("nf_conntrack")
    check(not os.path.exists(TRACKED), "connections are tracked still")
    with Tree(nat=True) as tree, network_namespace() as (prefix, netns), \
            Tracer(more="nat: true\n", binaries=tree.bin) as tracer:
        exchange(prefix)
        records = wait_for_closes(tracer, netns, 2)
        status = tracer.status()
        said = tracer.text()
    equal([r["nat"] for r in records], [None, None], "nat")
    step = steps_of(status)["-", "nat"]
    equal(step["result"], "degraded", "the step")
    check("not tracked" in step["detail"] and "nf_conntrack" in step["detail"], step["detail"])
    check(status["degraded"], "the status does not say degraded")
    check("loader: nat: connections are not tracked" in said, said)
    check("nf_conntrack" not in modules(), "it was loaded")


def test_doctor_tells_it_before():
    done = subprocess.run([os.path.join(BIN, "conntrace"), "doctor", "--json", "--nat"],
                          capture_output=True, text=True, timeout=30 * SLOWDOWN, check=False)
    said = json.loads(done.stdout)
    check(not said["kernel"]["conntrack"], "doctor takes it for tracked")
    problem = [p for p in said["problems"] if "not tracked" in p["what"]]
    equal([p["weight"] for p in problem], ["degraded"], f"problems: {said['problems']}")
    check("modprobe nf_conntrack" in problem[0]["remedy"], problem)


if __name__ == "__main__":
    main([test_where_nothing_is_tracked_nat_is_not_known, test_doctor_tells_it_before])
