# SPDX-License-Identifier: Apache-2.0
"""What a listening socket drops because its queue is full: the kernel's own count of that socket
(ss -m) and of its network namespace (ListenDrops) say how much."""

import json
import os
import re
import subprocess
import sys

from harness import (SLOWDOWN, Tracer, check, equal, main, network_namespace, remembers_in_table,
                     wait_for)

# A listener that nobody accepts from, and more connects than it has room for.
LISTEN = """
import socket, sys
family, address = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, sys.argv[1]
listener = socket.socket(family)
listener.bind((address, 0))
listener.listen(int(sys.argv[2]))
clients = []
for _ in range(int(sys.argv[3])):
    clients.append(socket.socket(family))
    clients[-1].setblocking(False)
    clients[-1].connect_ex(listener.getsockname())
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
listener.close()
print("closed", flush=True)
sys.stdin.readline()
"""


class Listener:
    def __init__(self, prefix, address, backlog, connects):
        self.prefix = prefix
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", LISTEN, address, str(backlog), str(connects)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def facts(self):
        """(waiting, room, dropped) as the kernel has them."""
        text = subprocess.run([*self.prefix, "ss", "-Hltnm", f"sport = :{self.port}"],
                              capture_output=True, text=True, check=True).stdout
        _, waiting, room = text.split()[:3]
        return int(waiting), int(room), int(re.search(r",d(\d+)\)", text).group(1))

    def close(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        equal(self.process.stdout.readline(), "closed\n", "the listener's answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10 * SLOWDOWN)
        self.process.stdin.close()
        self.process.stdout.close()


def listen_drops(prefix):
    """ListenDrops of the namespace."""
    lines = subprocess.run([*prefix, "cat", "/proc/net/netstat"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return dict(zip(lines[0].split(), lines[1].split()))["ListenDrops"]


def of(records, netns, port):
    return [r for r in records
            if r["event"] == "listener" and r["netns"] == netns and r["sport"] == port]


def agreed(tracer, netns, listener):
    """The latest record, when it says what the kernel does before and after it was read."""
    before = listener.facts()
    records = of(tracer.records(), netns, listener.port)
    if not records or listener.facts() != before:
        return None
    latest = records[-1]
    return latest if (latest["queue"], latest["queue_max"], latest["drops"]) == before else None


def listed(tracer, netns, port):
    lines = tracer.cli("list", "--json").stdout.splitlines()
    return of(map(json.loads, lines), netns, port)


def test_drops_of_each_listener_as_the_kernel_counts_them():
    with network_namespace() as (prefix, netns), Tracer(more="snapshot_interval: 200ms\n") as tracer:
        with Listener(prefix, "127.0.0.1", 1, 8) as narrow, \
                Listener(prefix, "::1", 2, 12) as wider, \
                Listener(prefix, "127.0.0.1", 50, 5) as wide:
            records = {}
            for listener, address, family in ((narrow, "127.0.0.1", 4), (wider, "::1", 6)):
                record = wait_for("a record that agrees",
                                  lambda l=listener: agreed(tracer, netns, l), 20)
                equal((record["saddr"], record["family"], record["state"]),
                      (address, family, "listen"), "where")
                equal((record["pid"], record["owner"]), (listener.process.pid, "listen"), "whose")
                check(record["drops"] > 0, f"{record}")
                records[listener.port] = record["cookie"]
            equal(of(tracer.records(), netns, wide.port), [], "of one that dropped nothing")
            wait_for("ListenDrops is the sum", lambda: int(listen_drops(prefix)) == sum(
                listed(tracer, netns, l.port)[0]["drops"] for l in (narrow, wider)), 20)
            drops = [r["drops"] for r in of(tracer.records(), netns, narrow.port)]
            equal(drops, sorted(set(drops)), "one record for each change")
            # In the list until it is closed; with its last count.
            equal([r["cookie"] for r in listed(tracer, netns, narrow.port)],
                  [records[narrow.port]], "listed")
            before = narrow.facts()[2]
            narrow.close()
            last = wait_for("its last record", lambda: [
                r for r in of(tracer.records(), netns, narrow.port) if r["state"] == "close"])[0]
            check(last["drops"] >= before, f"{last}, before {before}")
            if not remembers_in_table(tracer.status()):
                equal(last["cookie"], records[narrow.port], "its cookie")
            equal(last["pid"], narrow.process.pid, "its process")
            wait_for("gone from the list", lambda: not listed(tracer, netns, narrow.port))
            check(" drops\n" in tracer.cli("list").stdout, "no drops in the table")
        identity = tracer.drained()["identity"]
        check(identity["holds"] and identity["dropped"] == 0, f"identity: {identity}")


def test_a_listener_that_was_there_before_is_known():
    with network_namespace() as (prefix, netns), Listener(prefix, "127.0.0.1", 1, 8) as listener:
        tracer = Tracer(more="snapshot_interval: 200ms\n")
        with tracer:
            if "missing" in [p["state"] for p in tracer.status()["probes"]
                             if p["name"] == "seed_sockets"]:
                return "this kernel cannot tell a file's socket"
            record = wait_for("a record that agrees", lambda: agreed(tracer, netns, listener), 20)
            equal(record["pid"], listener.process.pid, "its process")
            pid = tracer.process("exporter")["pid"]
            os.kill(pid, 9)
            wait_for("another exporter", lambda: tracer.running("exporter", other_than=pid))
            wait_for("listed by another exporter", lambda: listed(tracer, netns, listener.port))
    return None


if __name__ == "__main__":
    main([test_drops_of_each_listener_as_the_kernel_counts_them,
          test_a_listener_that_was_there_before_is_known])
