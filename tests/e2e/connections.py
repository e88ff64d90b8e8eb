# SPDX-License-Identifier: Apache-2.0
"""Single connections between processes of a test, and what becomes of them on Fargate."""

import json
import subprocess
import sys
import time

from harness import (SLOWDOWN, WALK_S, Tracer, check, equal, network_namespace, steps_of,
                     wait_for)

CONNECT = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"hello")
s.shutdown(socket.SHUT_WR)
while s.recv(4096): pass
"""

# Listens, says where, lets a child accept and answer one connection.
SERVE = """
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
child = os.fork()
if child == 0:
    s, _ = listener.accept()
    while s.recv(4096): pass
    s.sendall(b"bye")
    s.close()
    os._exit(0)
print(child, flush=True)
os.waitpid(child, 0)
"""

# So many more ends are remembered at most before it is noticed that there is no room: it is looked for
# each 0.1 s when half of it is taken.
BITES_LATE = 500

# Holds N connections open, both ends, 50 of which it opens in 0.1 s; for each line it reads it closes
# so many of them, the oldest; the newest if it is negative.
HOLD = """
import resource, socket, sys, time
n = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (2 * n + 100,) * 2)
listener = socket.create_server(("127.0.0.1", 0), backlog=128)
ends = []
for i in range(n):
    if i % 50 == 0:
        time.sleep(0.1)
    ends.append(socket.create_connection(listener.getsockname()))
    ends.append(listener.accept()[0])
print("held", flush=True)
for line in sys.stdin:
    which = slice(0, 2 * int(line)) if int(line) > 0 else slice(2 * int(line), None)
    for end in ends[which]:
        end.close()
    del ends[which]
"""


def python(prefix, script, *args, **kwargs):
    return subprocess.Popen([*prefix, sys.executable, "-c", script, *args],
                            stdout=subprocess.PIPE, text=True, **kwargs)


def closes(tracer, netns):
    return [r for r in tracer.records() if r["event"] == "close" and r["netns"] == netns]


def wait_for_closes(tracer, netns, count):
    wait_for(f"{count} close records", lambda: len(closes(tracer, netns)) >= count, 20)
    return closes(tracer, netns)


def exchange(prefix, wrap_client=()):
    """One connection between a server's child and a client. Returns the child's pid."""
    server = python(prefix, SERVE)
    port, child = server.stdout.readline().strip(), server.stdout.readline().strip()
    client = python([*prefix, *wrap_client], CONNECT, port)
    equal(client.wait(30 * SLOWDOWN), 0, "the client's exit code")
    equal(server.wait(30 * SLOWDOWN), 0, "the server's exit code")
    return int(child)


def listed(tracer, netns):
    """The live connections of a namespace."""
    return [r for r in map(json.loads, tracer.cli("list", "--json").stdout.splitlines())
            if r["netns"] == netns and r["event"] == "update"]


def ss(prefix, which=()):
    """What ss -ti says of each established connection of a namespace: (local port, by the names that
    records have, bytes acknowledged)."""
    lines = subprocess.run([*prefix, "ss", "-tinH", "state", "established", *which],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    found = []
    for head, info in zip(lines[0::2], lines[1::2]):
        words = dict(word.split(":", 1) for word in info.split() if ":" in word)
        rtt, rttvar = (round(float(number) * 1000) for number in words["rtt"].split("/"))
        told = {"srtt_us": rtt, "rttvar_us": rttvar,
                "min_rtt_us": round(float(words["minrtt"]) * 1000),
                "retransmits": int(words.get("retrans", "0/0").split("/")[1]),
                "reordered": int(words.get("reord_seen", 0))}
        for name in ("segs_out", "segs_in", "bytes_received"):
            told[name] = int(words.get(name, 0))
        found.append((int(head.split()[2].rsplit(":", 1)[1]), told, int(words["bytes_acked"])))
    return found


def same_moment(tracer, prefix, netns, which=()):
    """What ss and the list say while nothing moves."""
    def look():
        before = ss(prefix, which)
        time.sleep(WALK_S)  # a list may be as old as that
        live = listed(tracer, netns)
        return (before, live) if ss(prefix, which) == before else None
    return wait_for("a quiet moment", look)


# A child pid namespace: what another tenant of the machine has.
ANOTHER_TENANT = ["unshare", "--pid", "--fork", "--kill-child"]


def with_filtered(tracer, count):
    """The status once so many ends were filtered."""
    status = tracer.status()
    return status if status["counters"]["filtered_close"] >= count else None


def trace_on_fargate():
    """Of the connections of a tracer on Fargate those ends are recorded whose process is in its own
    pid namespace, and no others. Returns the status."""
    with network_namespace() as (prefix, netns), \
            Tracer(wrap=["env", "ECS_FARGATE=1"]) as tracer:
        exchange([*prefix, *ANOTHER_TENANT])
        exchange(prefix)
        exchange(prefix, wrap_client=ANOTHER_TENANT)
        wait_for_closes(tracer, netns, 3)
        status = wait_for("all ends accounted for", lambda: with_filtered(tracer, 3))
        records = closes(tracer, netns)
    equal(sorted(r["direction"] for r in records), ["incoming", "incoming", "outgoing"],
          "ends inside")
    equal(status["instance"],
          {"type": "ecs-fargate", "evidence": "ECS_FARGATE=1", "tenants_only": True}, "instance")
    equal(steps_of(status)["-", "instance"]["detail"],
          "ecs-fargate: ECS_FARGATE=1; tenant filter on", "the ladder")
    outside = sum(row["count"] for row in status["telemetry"] if row["what"] == "helper_pidns")
    check(outside >= 3, f"{outside} times that a process was not in it")
    return status
