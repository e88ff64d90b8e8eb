# SPDX-License-Identifier: Apache-2.0
"""Filters: what each of them lets through and counts, exactly; cgroups that come and go; samples."""

import collections
import os
import signal
import subprocess
import sys

from cgroups import CAN_NOT, NAME, cgroup, within
from harness import (CONNGEN, Tracer, check, conngen, equal, load, main, network_namespace, wait_for,
                     wait_until)

# Addresses that nobody else on the machine uses: filters see the connections of all namespaces.
NET = f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}"
HOST = f"{NET}.1"
QUIET = "snapshot_interval: 1h\n"

# Tries to connect to where nobody listens.
REFUSED = """
import socket, sys
for _ in range(int(sys.argv[2])):
    s = socket.socket()
    assert s.connect_ex((sys.argv[1], 9)) == 111
    s.close()
"""

# One socket, two peers, a datagram to each; then the socket is closed.
DATAGRAMS = """
import socket, sys
peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for i, peer in enumerate(peers):
    peer.bind((sys.argv[1], int(sys.argv[2]) + i))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    for peer in peers:
        s.sendto(b"hello", peer.getsockname())
        peer.recv(64)
"""

# Accepts and doesn't read; says its port.
SINK = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
listener.settimeout(30)
print(listener.getsockname()[1], flush=True)
s, _ = listener.accept()
sys.stdin.read()
"""

# Sends more than is taken and goes: the kernel keeps the socket.
LEAVE = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.setblocking(False)
try:
    while True:
        s.send(bytes(65536))
except BlockingIOError:
    pass
"""


def run(prefix, script, *args):
    subprocess.run([*prefix, sys.executable, "-c", script, *map(str, args)], check=True)


def filters(*items, more=QUIET):
    return more + "filters:\n" + "".join(f"  - {item}\n" for item in items)


def hits(tracer, column="close"):
    return [f[column] for f in tracer.status()["config"]["filters"]]


def settled(tracer, want, column="close"):
    """The hits when they are no less than wanted: the last ACK may be under way."""
    wait_until(lambda: all(g is not None and g >= w
                           for g, w in zip(hits(tracer, column), want)))
    equal(hits(tracer, column), want, f"{column} hits")


def of(tracer, netns, event="close"):
    return [r for r in tracer.records() if r["netns"] == netns and r["event"] == event]


def holds(tracer):
    tracer.drained()
    identity = tracer.status()["identity"]
    check(identity["holds"], f"identity: {identity}")


def only(path):
    """Of our connections only those of that cgroup."""
    return filters(f"include: {{cgroup: {path}}}", f"exclude: {{cidr: {NET}.0/24}}")


def present(tracer):
    """The number of the cgroup that the first filter names, None if there is none."""
    return tracer.status()["config"]["filters"][0]["cgroup_id"]


def udp_is_traced(tracer):
    return any(p["name"] == "trace_udp_send" and p["state"] == "attached"
               for p in tracer.status()["probes"])


def test_each_filter_counts_what_it_decides():
    config = filters(f"exclude: {{cidr: {NET}.0/24, port: 7001}}",
                     f"include: {{cidr: {HOST}, port: 7010-7019, protocol: tcp}}",
                     f"exclude: {{cidr: {NET}.0/24, port: 7030, protocol: udp}}",
                     f"exclude: {{cidr: {NET}.0/24, port: 7030, protocol: tcp}}",
                     f"include: {{cidr: {NET}.0/24}}",
                     more=QUIET + "records: {open: true}\n")
    made = {7001: 40, 7009: 3, 7010: 30, 7019: 20, 7020: 5, 7030: 25}
    # Both ends of each.
    want = [80, 100, 0, 50, 16]
    with network_namespace() as (prefix, netns), Tracer(more=config) as tracer:
        for port, count in made.items():
            conngen(prefix, "run", "--connections", count, "--addr", HOST, "--port", port)
        for column in ("close", "open"):
            settled(tracer, want, column)
            got = collections.Counter(
                min(r["sport"], r["dport"]) for r in of(tracer, netns, column)
                ) if tracer.closes(netns, 116) else {}
            equal(got, {7009: 6, 7010: 60, 7019: 40, 7020: 10}, f"{column} records by port")
        equal(hits(tracer, "update"), [0] * 5, "update hits")
        equal(hits(tracer, "sampled_out"), [0] * 5, "left out by a sample")
        counters = tracer.status()["counters"]
        equal((counters["filtered_open"], counters["filtered_close"]), (130, 130), "left out")
        equal([f["filter"] for f in tracer.status()["config"]["filters"]],
              [f"exclude {NET}.0/24 port 7001", f"include {HOST}/32 port 7010-7019 protocol tcp",
               f"exclude {NET}.0/24 port 7030 protocol udp",
               f"exclude {NET}.0/24 port 7030 protocol tcp", f"include {NET}.0/24"], "in words")
        check(f"80           0          80           0  1 exclude {NET}.0/24 port 7001"
              in tracer.cli("status").stdout, tracer.cli("status").stdout)
        holds(tracer)


def test_updates_of_what_is_excluded_are_counted_and_not_written():
    config = filters(f"exclude: {{cidr: {HOST}, port: 7001}}", more="snapshot_interval: 200ms\n")
    with network_namespace() as (prefix, netns), Tracer(more=config) as tracer:
        conngen(prefix, "run", "--connections", 1, "--addr", HOST, "--port", 7001, "--hold", 2000)
        check(hits(tracer, "update")[0] >= 4, f"update hits: {hits(tracer, 'update')}")
        settled(tracer, [2])
        equal(of(tracer, netns, "update"), [], "updates of what is excluded")
        equal(tracer.status()["counters"]["filtered_update"], hits(tracer, "update")[0], "left out")


def test_counts_are_those_of_one_configuration():
    def configuration(more):
        return (f"output: {{format: json, path: {tracer.records_path}}}\n"
                + filters(f"include: {{cidr: {HOST}}}", more=more))

    def make(count):
        conngen(prefix, "run", "--connections", count, "--addr", HOST)

    with network_namespace() as (prefix, _), Tracer(
            more=filters(f"include: {{cidr: {HOST}}}")) as tracer:
        make(20)
        settled(tracer, [40])
        # Another loader adopts what is there, and the counts go on.
        pid = tracer.process("loader")["pid"]
        os.kill(pid, signal.SIGKILL)
        make(10)
        wait_for("a new loader", lambda: tracer.running("loader", other_than=pid))
        settled(tracer, [60])
        for version, more in enumerate(("snapshot_interval: 30m\n", "snapshot_interval: 20m\n",
                                        "snapshot_interval: 10m\n"), 2):
            tracer.write_config(configuration(more))
            tracer.proc.send_signal(signal.SIGHUP)
            wait_for("the next configuration, its counts at 0", lambda v=version:
                     tracer.status()["config"]["version"] == v and hits(tracer) == [0])
            make(version)
            settled(tracer, [2 * version])
        holds(tracer)


def test_a_cgroup_that_comes_and_goes():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.slice"

    def refuse(directory, count):
        run(within(directory, prefix), REFUSED, HOST, count)

    with network_namespace() as (prefix, netns), Tracer(more=only(path)) as tracer:
        equal(present(tracer), None, "id of a cgroup that is not there")
        check(f"include cgroup {path} (no such cgroup now)" in tracer.cli("status").stdout,
              tracer.cli("status").stdout)
        run(prefix, REFUSED, HOST, 3)
        ids = []
        for turn in (1, 2):
            # Its own, one below it, and one whose name only begins like it.
            with cgroup(path) as directory, cgroup(f"{path}/a/b.service") as below, \
                    cgroup(f"{path}r") as other:
                wait_for("it is there", lambda: present(tracer) == os.stat(directory).st_ino, 2)
                ids.append(present(tracer))
                check("(no such cgroup now)" not in tracer.cli("status").stdout, "still absent")
                refuse(directory, 4)
                refuse(below, 5)
                refuse(other, 6)
                settled(tracer, [9 * turn, 3 + 6 * turn])
            wait_for("it is gone", lambda: present(tracer) is None, 2)
        check(ids[0] != ids[1], f"the same id twice: {ids}")
        paths = collections.Counter(r["cgroup"] for r in tracer.closes(netns, 18))
        equal(paths, {path: 8, f"{path}/a/b.service": 10}, "records by cgroup")
        holds(tracer)


def test_a_connection_that_outlives_its_cgroup():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.service"
    with network_namespace() as (prefix, netns), Tracer(more=only(path)) as tracer, \
            subprocess.Popen([*prefix, sys.executable, "-c", SINK, HOST], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sink:
        port = sink.stdout.readline().strip()
        with cgroup(path) as directory:
            wait_for("it is there", lambda: present(tracer) == os.stat(directory).st_ino, 2)
            first = present(tracer)
            run(within(directory, prefix), LEAVE, HOST, port)
        with cgroup(path) as directory:
            wait_for("another one", lambda: present(tracer) not in (None, first), 2)
            equal(of(tracer, netns), [], "records before the end")
            sink.stdin.close()
            sink.wait()
            settled(tracer, [1, 1])
        (record,) = tracer.closes(netns, 1)
        equal(record["cgroup_id"], first, "id of the cgroup that is gone")


def test_udp_by_protocol_and_by_cgroup():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.slice"
    config = filters(f"exclude: {{cidr: {NET}.0/24, port: 7100-7109, protocol: udp}}",
                     f"include: {{cgroup: {path}, protocol: udp}}",
                     f"exclude: {{cidr: {NET}.0/24, port: 7110-7119}}",
                     more="snapshot_interval: 200ms\n")
    with network_namespace() as (prefix, netns), cgroup(f"{path}/a") as directory, \
            Tracer(more=config) as tracer:
        if not udp_is_traced(tracer):
            return "this tracer records no UDP"
        # Two peers, so four flows: two of the socket that sends, the others of those it sends to.
        run(prefix, DATAGRAMS, HOST, 7100)
        conngen(prefix, "run", "--connections", 1, "--addr", HOST, "--port", 7100)
        run(prefix, DATAGRAMS, HOST, 7110)
        run(within(directory, prefix), DATAGRAMS, HOST, 7110)
        settled(tracer, [4, 4, 4])
        tracer.closes(netns, 6)
        got = collections.Counter((r["protocol"], r["cgroup"] == f"{path}/a")
                                  for r in of(tracer, netns))
        equal(got, {("tcp", False): 2, ("udp", True): 4}, "records by protocol and cgroup")
        holds(tracer)


IDLE = 100


def idle_updates(tracer, prefix, netns, one_in):
    """Connections that are open while one walk is made; its records of them."""
    with subprocess.Popen([*prefix, CONNGEN, "idle", "--addr", HOST, "--connections", str(IDLE),
                           "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as idle:
        idle.stdout.readline()
        tracer.cli("list")
        settled(tracer, [2 * IDLE], "update")
        idle.communicate()
    tracer.drained()
    updates = of(tracer, netns, "update")
    check(len(updates) < 2 * IDLE, f"{len(updates)} updates in a sample of one in {one_in}")
    return updates


def test_a_sample_leaves_whole_connections_out_and_no_failure():
    count, one_in = load(2000), 10
    config = filters(f"include: {{cidr: {HOST}, sample: {one_in}}}",
                     more=QUIET + "records: {open: true}\n")
    with network_namespace() as (prefix, netns), Tracer(more=config) as tracer:
        conngen(prefix, "run", "--connections", count, "--addr", HOST)
        settled(tracer, [2 * count])
        tracer.drained()
        opened, closed = ({r["cookie"] for r in of(tracer, netns, event)}
                          for event in ("open", "close"))
        equal(opened, closed, "connections with an open record, and with a close record")
        # Six standard deviations of so many trials.
        wanted = 2 * count / one_in
        check(abs(len(closed) - wanted) <= 6 * (wanted * (1 - 1 / one_in)) ** 0.5,
              f"{len(closed)} of {2 * count} connections are in a sample of one in {one_in}")
        counters = tracer.status()["counters"]
        for event, taken in (("open", opened), ("close", closed)):
            equal(counters[f"sampled_{event}"], 2 * count - len(taken), f"sampled_{event}")
        equal(hits(tracer, "sampled_out"), [4 * count - 2 * len(closed)], "sampled out")
        holds(tracer)

        # A walk over some that are open.
        updates = idle_updates(tracer, prefix, netns, one_in)
        settled(tracer, [2 * count + 2 * IDLE])
        equal(tracer.status()["counters"]["sampled_update"], 2 * IDLE - len(updates),
              "sampled_update")
        count += IDLE

        # Refused ones, and those of which an end was reset.
        run(prefix, REFUSED, HOST, 100)
        conngen(prefix, "run", "--connections", 50, "--addr", HOST, "--reset")
        settled(tracer, [2 * count + 200])
        tracer.drained()
        errors = collections.Counter(r["error"] for r in of(tracer, netns) if r["error"])
        equal(errors, {"ECONNREFUSED": 100, "ECONNRESET": 50}, "records by error")
        holds(tracer)


if __name__ == "__main__":
    main([test_each_filter_counts_what_it_decides,
          test_updates_of_what_is_excluded_are_counted_and_not_written,
          test_counts_are_those_of_one_configuration,
          test_a_cgroup_that_comes_and_goes,
          test_a_connection_that_outlives_its_cgroup,
          test_udp_by_protocol_and_by_cgroup,
          test_a_sample_leaves_whole_connections_out_and_no_failure],
         once=(test_updates_of_what_is_excluded_are_counted_and_not_written,
               test_counts_are_those_of_one_configuration))
