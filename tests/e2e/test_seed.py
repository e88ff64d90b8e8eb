# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""What was open before the tracer began: listed at once, with its owner, and closed complete."""

import collections
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

from harness import (SLOWDOWN, Tracer, check, equal, load, main, missing_probes,
                     network_namespace, remembers_in_table, wait_for)
from memory import Memory

# Opens N connections between two processes, says who has them, closes them when told.
HOLD = """
import os, resource, socket, sys
n = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (n + 100,) * 2)
listener = socket.create_server((sys.argv[2], 0), backlog=4096)
told, tell = os.pipe()
child = os.fork()
if child == 0:
    os.close(tell)
    accepted = [listener.accept()[0] for _ in range(n)]
    os.read(told, 1)
    os._exit(0)
connected = [socket.create_connection(listener.getsockname()) for _ in range(n)]
listener.close()
print(os.getpid(), child, *(s.getsockname()[1] for s in connected), flush=True)
sys.stdin.readline()
"""

PAIRS = 10 if SLOWDOWN == 1 else 2  # of processes: the limit of open files is for each
COUNT = load(50000) // 2 // PAIRS * PAIRS  # connections: two ends each

# Files that are visited before it is looked whether there is still room: WALK_SLICE_FILES.
SLICE = 512

NO_SEED = "this kernel cannot tell a file's socket"


def missing_names(status):
    return {probe["name"] for probe in missing_probes(status).values()}


class Holder:
    """A client and a server process with connections between them."""

    def __init__(self, prefix, address, count):
        self.process = subprocess.Popen([*prefix, sys.executable, "-c", HOLD, str(count), address],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.client, self.server, *ports = map(int, self.process.stdout.readline().split())
        self.ends = {(address, port) for port in ports}

    def close(self):
        self.process.communicate("\n")
        equal(self.process.returncode, 0, "the holder's exit code")


def test_connections_that_were_open_before_are_listed_with_their_owner():
    with network_namespace() as (prefix, netns):
        holders = []
        try:
            for i in range(PAIRS):
                holders.append(Holder(prefix, f"127.0.1.{i + 1}", COUNT // PAIRS))
            tracer = Tracer()
            tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                                "memory_budget: 64MiB\nsnapshot_interval: 1s\n"
                                # What others on this machine do is not waited for.
                                "filters: [{include: {cidr: 127.0.1.0/24}}, {exclude: all}]\n")
            with tracer:
                status = tracer.status()
                if "seed_sockets" in missing_names(status):
                    return NO_SEED
                check(status["counters"]["opened_seeded"] >= 2 * COUNT,
                      f"seeded {status['counters']['opened_seeded']} of {2 * COUNT}")
                text = tracer.cli("list", "--json", timeout=120).stdout
                live = [r for r in map(json.loads, text.splitlines()) if r["netns"] == netns]
                (seed,) = [s for s in status["ladder"] if s["step"] == "seed"]
                print(f"# {2 * COUNT} ends seeded in {seed['duration_us']} us")
                ends = collections.defaultdict(set)
                for r in live:
                    ends[r["pid"]].add((r["saddr"], r["sport"], r["daddr"], r["dport"]))
                for holder in holders:
                    ours, theirs = ends[holder.client], ends[holder.server]
                    equal({(daddr, sport) for _, sport, daddr, _ in ours}, holder.ends,
                          "the client's ends")
                    equal({(saddr, dport) for saddr, _, _, dport in theirs}, holder.ends,
                          "the server's ends")
                equal(len(live), 2 * COUNT, "ends listed")
                words = collections.Counter((r["owner"], r["seeded"], r["partial"]) for r in live)
                equal(words, {("seeded", True, True): 2 * COUNT}, "how they are known")
                for holder in holders:
                    holder.close()
                wait_for("all closes, or what no program saw counted", lambda: 2 * COUNT <= sum(
                    tracer.status()["counters"][n] for n in ("submitted_close", "lost_unseen")), 60)
                status = tracer.drained()
                closed = tracer.every_close(netns, 2 * COUNT)
            owners = collections.Counter(r["pid"] for r in closed)
            equal(set(owners), {pid for h in holders for pid in (h.client, h.server)},
                  "owners at the end")
            check(max(owners.values()) <= COUNT // PAIRS, f"owners at the end: {owners}")
            check(all(r["seeded"] for r in closed), "a close that is not seeded")
            identity = status["identity"]
            check(identity["holds"] and identity["dropped"] == status["counters"]["lost_unseen"],
                  f"identity: {identity}")
        finally:
            for holder in holders:
                holder.process.kill()
                holder.process.wait()
    return None


def test_what_is_found_takes_no_more_room_than_the_budget_has():
    held, address = 2000, "127.0.1.1"  # two ends each
    with network_namespace() as (prefix, _):
        holder = Holder(prefix, address, held)
        try:
            tracer = Tracer(more="memory_budget: 1MiB\nsnapshot_interval: 1h\n")
            with tracer:
                status = tracer.status()
                if "seed_sockets" in missing_names(status):
                    return NO_SEED
                room, seeded = status["config"]["conn_max"], status["counters"]["opened_seeded"]
                tracer.cli("list")  # by a walk
                there = wait_for("how many there are",
                                 lambda: tracer.process("loader")["stats"]["walk_visits"])
                print(f"# room for {room}: {seeded} of {2 * held} ends seeded, {there} remembered")
                for what, number in (("seeded", seeded), ("remembered", there)):
                    check(room <= number <= room + SLICE, f"{number} {what}, room for {room}")
                left_out = tracer.status()["counters"]["storage_failed"]
                check(left_out >= 2 * held - room - SLICE, f"{left_out} counted that had no room")
                check(tracer.status()["identity"]["holds"], "the account")
        finally:
            holder.close()
    return None


def test_a_listener_that_was_there_before_owns_what_it_accepts():
    with network_namespace() as (prefix, netns):
        text = """
import os, socket, sys
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], os.getpid(), flush=True)
c, _ = s.accept()
sys.stdin.readline()
"""
        server = subprocess.Popen([*prefix, sys.executable, "-c", text], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        try:
            port, pid = map(int, server.stdout.readline().split())
            with Tracer() as tracer:
                if "seed_sockets" in missing_names(tracer.status()):
                    return NO_SEED
                client = subprocess.Popen(
                    [*prefix, sys.executable, "-c", "import socket, sys; s = socket."
                     "create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.readline()",
                     str(port)], stdin=subprocess.PIPE, text=True)

                def accepted():
                    text = tracer.cli("list", "--json").stdout
                    return [r for r in map(json.loads, text.splitlines())
                            if r["netns"] == netns and r["direction"] == "incoming"]
                (record,) = wait_for("the accepted end in the list", accepted)
                equal(record["pid"], pid, "its process")
                check(not record["seeded"] and not record["partial"], f"{record}")
                client.communicate("\n")
                server.communicate("\n")
        finally:
            server.kill()
            server.wait()
    return None


def test_a_connection_that_no_program_saw_begin_is_found_and_counted():
    with Tracer() as tracer:
        if remembers_in_table(tracer.status()):
            return "the table cannot be told to forget a socket"
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            "snapshot_interval: 200ms\n")
        tracer.proc.send_signal(signal.SIGHUP)
        wait_for("the new interval",
                 lambda: tracer.status()["config"]["snapshot_interval_ms"] == 200)
        wait_for("the loader", lambda: tracer.running("loader"))
        with socket.create_server(("127.0.0.1", 0)) as listener, \
                socket.create_connection(listener.getsockname()) as client, \
                listener.accept()[0] as server:
            equal(tracer.status()["counters"]["unaccounted"], 0, "before")
            with contextlib.closing(Memory(tracer, client)) as memory:
                memory.forget()
            wait_for("it is counted",
                     lambda: tracer.status()["counters"]["unaccounted"] == 1, 20)
            wait_for("it is told", lambda: "1 connections were found open" in tracer.text())
            port = client.getsockname()[1]
            live = [r for r in map(json.loads, tracer.cli("list", "--json").stdout.splitlines())
                    if r["sport"] == port]
            equal([(r["pid"], r["seeded"]) for r in live], [(os.getpid(), True)], "in the list")
            del server
    return None


def test_who_closed_first_before_is_known():
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as first, \
            listener.accept()[0] as second:
        port = first.getsockname()[1]
        first.shutdown(socket.SHUT_WR)
        equal(second.recv(1), b"", "what the other one got")
        with Tracer() as tracer:
            if "seed_sockets" in missing_names(tracer.status()):
                return NO_SEED
            second.close()

            def ends():
                return [r for r in tracer.records()
                        if r["event"] == "close" and port in (r["sport"], r["dport"])]
            wait_for("both ends", lambda: len(ends()) == 2)
            closers = {r["sport"] == port: (r["closer"], r["pid"]) for r in ends()}
    equal(closers, {True: ("local", os.getpid()), False: ("remote", os.getpid())}, "closers")
    return None


if __name__ == "__main__":
    main([test_connections_that_were_open_before_are_listed_with_their_owner,
          test_what_is_found_takes_no_more_room_than_the_budget_has,
          test_a_listener_that_was_there_before_owns_what_it_accepts,
          test_a_connection_that_no_program_saw_begin_is_found_and_counted,
          test_who_closed_first_before_is_known])
