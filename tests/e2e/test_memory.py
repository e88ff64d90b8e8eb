# SPDX-License-Identifier: Apache-2.0
"""What memory_budget bounds, as the kernel accounts for it (memlock of each map), and what the exporter
takes while its list fills. Bytes, not time."""

import contextlib
import ctypes
import json
import os
import resource
import struct
import subprocess
import time

from connections import BITES_LATE, HOLD, python
from harness import (CONNGEN, SLOWDOWN, Tracer, check, equal, main, network_namespace, remembers_in_table,
                     wait_for)

MIB = 1 << 20
FIXED = MIB // 2  # docs/configuration.md: programs, counters, settings, pages of the ring
HASH = 1          # BPF_MAP_TYPE_HASH
TABLES = ("conn_table", "flow_table", "flow_sockets")

# Begins N handshakes by TCP Fast Open, none of which is ever done: of each the listener gets a socket
# with a copy of what is remembered of itself. The kernel's answers go to nobody.
HALF_OPEN = """
import socket, struct, sys
SERVER_WITHOUT_COOKIE, ANY_LISTENER, TCP_FASTOPEN = 0x202, 0x400, 23
with open("/proc/sys/net/ipv4/tcp_fastopen", "w") as f:
    f.write(str(SERVER_WITHOUT_COOKIE | ANY_LISTENER))
server, client, n = "127.77.9.1", "127.77.9.2", int(sys.argv[1])
listener = socket.create_server((server, 0), backlog=2 * n)
port = listener.getsockname()[1]
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
raw.bind((client, 0))

def syn(sport, checksum=0):
    return struct.pack("!HHIIBBHHHxx", sport, port, 1, 0, 5 << 4, 2, 1024, checksum, 0)

def ones(data):
    total = sum(word for (word,) in struct.iter_unpack("!H", data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total

pseudo = socket.inet_aton(client) + socket.inet_aton(server) + struct.pack("!HH", 6, len(syn(0)))
for sport in range(10000, 10000 + n):
    raw.sendto(syn(sport, 0xffff ^ ones(pseudo + syn(sport))), (server, 0))
print("begun", flush=True)
sys.stdin.readline()
"""

HANDSHAKES = 1500

SLABS = "/proc/slabinfo"
PAGE = os.sysconf("SC_PAGE_SIZE")
OBJECT_MAX = 512    # bytes
CONNECTIONS = 8000  # two ends each


def bpftool(kind):
    done = subprocess.run(["bpftool", kind, "show", "-j"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def programs_of(pid):
    """Ids of the programs that a process has open."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
            found |= {int(line.split()[1]) for line in f if line.startswith("prog_id:")}
    return found


def kernel_objects(tracer):
    """Its programs, and the maps that these use."""
    ids = programs_of(tracer.process("supervisor")["pid"])
    programs = [p for p in bpftool("prog") if p["id"] in ids]
    maps = {i for p in programs for i in p["map_ids"]}
    return programs, {m.get("name", "?"): m for m in bpftool("map") if m["id"] in maps}


def memlock_of_hash(like, entries):
    """What the kernel takes for such a table with so many entries: one is made, and freed."""
    attributes = struct.pack("<IIIII", HASH, like["bytes_key"], like["bytes_value"], entries,
                             like.get("flags", 0))
    with contextlib.suppress(ValueError):  # before Linux 5.11 it counts as locked memory
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    buffer = ctypes.create_string_buffer(attributes.ljust(120, b"\0"))
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(321 if os.uname().machine == "x86_64" else 280, 0, buffer, 120)
    check(fd >= 0, f"a table of {entries} entries: {os.strerror(ctypes.get_errno())}")
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("memlock:"))
    finally:
        os.close(fd)


def anonymous(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(1024 * int(line.split()[1]) for line in f if line.startswith("RssAnon:"))


def test_maps_are_within_the_budget_and_what_is_documented_beside_it():
    for mib in (1, 16, 64):
        budget = mib * MIB
        with Tracer(more=f"memory_budget: {mib}MiB\n") as tracer:
            programs, maps = kernel_objects(tracer)
            config = tracer.status()["config"]
            check("ring" in maps and "counters" in maps and programs, f"maps: {list(maps)}")
            taken = sum(m["bytes_memlock"] for name, m in maps.items() if name not in TABLES)
            taken += sum(p["bytes_memlock"] for p in programs)
            check(taken <= budget // 4 + FIXED, f"{mib} MiB: {taken} bytes of {list(maps)}")
            # Where a tracer needs the tables they have this many entries.
            entries = {"conn_table": config["conn_max"], "flow_table": config["flow_max"],
                       "flow_sockets": config["flow_max"]}
            known = {name: m for name, m in maps.items() if name in TABLES}
            check("conn_table" in known, f"maps: {list(maps)}")
            tables = {name: memlock_of_hash(m, entries[name]) for name, m in known.items()}
            shares = {"conn_table": budget // 4, "flow_table": budget // 8}
            print(f"# {mib} MiB: {taken} bytes of maps and programs, tables {tables}")
            for name, share in shares.items():
                if name in tables:
                    check(tables[name] <= share + 16384, f"{mib} MiB: {name} {tables[name]}")
            # The list and the names beside it are three eighths: tests/unit/test_budget.c.
            check(taken + sum(tables.values()) + budget * 3 // 8 <= budget + FIXED,
                  f"{mib} MiB: {taken} and {tables}")


def test_the_exporters_list_takes_no_more_than_its_share():
    with network_namespace() as (prefix, _), \
            Tracer(more="memory_budget: 1MiB\nsnapshot_interval: 200ms\n") as tracer:
        # More than there is room for are remembered until that is noticed.
        if SLOWDOWN > 1 or remembers_in_table(tracer.status()):
            return "fewer are remembered than the list has room for"
        pid = tracer.process("exporter")["pid"]
        before = anonymous(pid)
        room = tracer.status()["config"]["live_max"]
        idle = subprocess.Popen([*prefix, CONNGEN, "idle", "--addr", "127.77.8.1", "--connections",
                                 str(room), "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        try:
            idle.stdout.readline()
            wait_for("a full list", lambda: tracer.process("exporter")["stats"]["live"] == room, 30)
            wait_for("it is counted", lambda: tracer.status()["ledger"]["table_full"] > 0)
            grown = anonymous(pid) - before
            print(f"# the list of {room} took {grown} bytes")
            check(grown <= MIB * 3 // 8 + 65536, f"grown by {grown} bytes")
            equal(tracer.process("exporter")["pid"], pid, "the exporter")
        finally:
            idle.communicate()
        # As many ends again were not listed; each is recorded all the same.
        wait_for("all closes", lambda: tracer.status()["counters"]["closed"] >= 2 * room, 20)
        check(tracer.drained()["identity"]["holds"], "the account")
    return None


def met_by_a_walk(tracer):
    """How many sockets there are that something is remembered of, whatever the counters say."""
    def walks():
        return tracer.process("loader")["stats"]
    before = walks()["walks"]
    tracer.cli("list")  # has one made
    return wait_for("a walk", lambda: walks()["walks"] > before and walks())["walk_visits"]


def test_what_the_counters_do_not_know_takes_no_room_beyond_the_budget():
    with network_namespace() as (prefix, _), \
            Tracer(more="memory_budget: 1MiB\nsnapshot_interval: 1h\n") as tracer:
        if remembers_in_table(tracer.status()):
            return "the table has a limit of its own"

        def counted():
            counters = tracer.status()["counters"]
            return counters["remembered"] - counters["destroyed"]
        room = tracer.status()["config"]["conn_max"]
        half_open = python(prefix, HALF_OPEN, str(HANDSHAKES), stdin=subprocess.PIPE)
        equal(half_open.stdout.readline(), "begun\n", "what it says")
        met, known = met_by_a_walk(tracer), counted()
        check(met > HANDSHAKES and known < room, f"{met} met by a walk, {known} counted")
        wait_for("no room", lambda: f"has room for {room}:" in tracer.text())
        half_open.communicate("\n")
        wait_for("room again", lambda: "there is room for new connections" in tracer.text())
        # From now on they are behind for good.
        behind = counted()
        check(behind < -room, f"{behind} counted")
        holder = python(prefix, HOLD, str(room), stdin=subprocess.PIPE)
        equal(holder.stdout.readline(), "held\n", "what the holder says")
        held = met_by_a_walk(tracer)
        print(f"# room for {room}: {met} met, {known} counted; {behind} counted, {held} met")
        check(room <= held <= room + BITES_LATE, f"{held} of {2 * room} remembered")
        holder.communicate()
    return None


def allocated():
    """Bytes of kernel memory in objects of the sizes that kmalloc() has, with what is left over of their
    pages, and {size: objects}. Larger ones are not of a socket's storage."""
    with open(SLABS, encoding="ascii") as f:
        rows = [line.split() for line in f if line.startswith("kmalloc")]
    rows = [row for row in rows if int(row[3]) <= OBJECT_MAX]
    objects = {row[0]: int(row[1]) for row in rows}
    return sum(int(row[1]) * int(row[5]) * PAGE // int(row[4]) for row in rows), objects


def settled():
    """The same, when it changes no more."""
    before = allocated()
    time.sleep(0.1)
    now = allocated()
    return now if abs(now[0] - before[0]) < CONNECTIONS else None


@contextlib.contextmanager
def idle_connections(prefix, count):
    """At least so many, each process with as many as it may have open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = (most - 100) // 2
    started = []
    try:
        while len(started) * each < count:
            address = f"127.77.9.{len(started) + 10}"
            started.append(subprocess.Popen(
                [*prefix, CONNGEN, "idle", "--addr", address, "--connections", str(each),
                 "--hold-until-stdin-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            check(started[-1].stdout.readline(), "conngen idle")
        yield
    finally:
        for process in started:
            process.communicate()


def storages():
    """Maps in whose name sockets have storage."""
    return sum(m["type"] == "sk_storage" for m in bpftool("map"))


def test_a_socket_takes_no_more_than_is_reckoned_for_it():
    if not os.access(SLABS, os.R_OK):
        return f"this kernel has no {SLABS}"
    if storages():
        return "another tracer is at work: what it takes cannot be told apart"
    with network_namespace() as (prefix, _), idle_connections(prefix, CONNECTIONS):
        before, objects = wait_for("what others freed to be free", settled)
        with Tracer(more="memory_budget: 64MiB\nsnapshot_interval: 1h\n") as tracer:
            if remembers_in_table(tracer.status()):
                return "the table has its memory from the begin"
            after, more = allocated()
            if storages() != 1:
                return "another tracer has begun its work: what it takes cannot be told apart"
            there = met_by_a_walk(tracer)
            config = tracer.status()["config"]
    check(there >= 2 * CONNECTIONS, f"{there} sockets remembered")
    each, reckoned = (after - before) / there, config["memory_budget"] * 3 // 8 // config["conn_max"]
    grown = {size: more[size] - objects[size] for size in more
             if abs(more[size] - objects[size]) > there // 50}
    print(f"# {each:.0f} bytes for each of {there} sockets: {grown}")
    check(72 < each <= reckoned, f"{each:.0f} bytes for a socket, {reckoned} reckoned: {grown}")
    return None


if __name__ == "__main__":
    main([test_maps_are_within_the_budget_and_what_is_documented_beside_it,
          test_the_exporters_list_takes_no_more_than_its_share,
          test_what_the_counters_do_not_know_takes_no_room_beyond_the_budget,
          test_a_socket_takes_no_more_than_is_reckoned_for_it])
