# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""Reads of kernel memory that fail are counted, and the record is made all the same. They are had
to fail by BTF with wrong offsets: what is then taken for a pointer is none.

Only the tracer by kprobes reads by offsets of BTF that nobody compares with the kernel's."""

import contextlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from cgroups import CAN_NOT
from connections import exchange
from harness import Tracer, Tree, check, equal, main, network_namespace, wait_for

BTF = "/sys/kernel/btf/vmlinux"
STRUCT = 4
# Bytes behind a type by its kind, and for each of its members.
BEHIND = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0),
          15: (0, 12), 17: (4, 0), 19: (0, 12)}
FAR = 0xffffff00  # bits: half a gigabyte beyond a stack there is nothing
# What the walk over files needs: the kernel would not let a program in that takes its pointers by type
# from a wrong place.
SEED = "bpf_sock_from_file"

DATAGRAM = """
import socket
a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
a.bind(("127.0.0.1", 0))
b.sendto(b"x", a.getsockname())
a.recv(10)
"""
NO_ROUTE = """
import socket
assert socket.socket().connect_ex(("192.0.2.9", 80))
"""


def structs(blob):
    """(name, [(place of the offset, name of the member)]) of each struct."""
    header, types, types_bytes, strings, _ = struct.unpack_from("<IIIII", blob, 4)

    def name_at(offset):
        begin = header + strings + offset
        return blob[begin:blob.index(b"\0", begin)].decode()

    at = header + types
    while at < header + types + types_bytes:
        name, info, _ = struct.unpack_from("<III", blob, at)
        kind, count = info >> 24 & 31, info & 0xffff
        fixed, each = BEHIND.get(kind, (0, 0))
        at += 12
        if kind == STRUCT and name:
            yield name_at(name), [
                (at + 12 * i + 8, name_at(struct.unpack_from("<I", blob, at + 12 * i)[0]))
                for i in range(count)]
        at += fixed + each * count


def spoil(path, struct_name, member, instead):
    """The kernel's BTF in that file, but for a member's offset: that of another one, or so many bits."""
    with open(BTF, "rb") as f:
        blob = bytearray(f.read())
    spoiled = 0
    for name, members in structs(bytes(blob)):
        if name != struct_name:
            continue
        places = {named: place for place, named in members}
        if isinstance(instead, str):
            (offset,) = struct.unpack_from("<I", blob, places[instead])
        else:
            offset = instead
        struct.pack_into("<I", blob, places[member], offset)
        spoiled += 1
    check(spoiled, f"no struct {struct_name}")
    with open(path, "wb") as f:
        f.write(blob)
    os.chmod(path, 0o644)


def failed_reads(tracer):
    return sum(t["count"] for t in tracer.status()["telemetry"] if t["what"] == "helper_read")


@contextlib.contextmanager
def tracing(struct_name, member, instead, more=""):
    """A tracer that takes the member to be elsewhere, and a network namespace; None where another
    tracer is asked for, or comes up."""
    if os.environ.get("CONNTRACE_TRACER") != "kprobe":
        yield None, None, None
        return
    with tempfile.TemporaryDirectory() as directory, Tree() as tree, \
            network_namespace() as (prefix, netns):
        os.chmod(directory, 0o755)
        path = os.path.join(directory, "kernel.btf")
        spoil(path, struct_name, member, instead)
        tree.rename_hook(SEED, SEED[:-1] + "Z")
        with Tracer(more=f"snapshot_interval: 1h\nbtf: {path}\n{more}", binaries=tree.bin) as tracer:
            equal(failed_reads(tracer), 0, "before")
            yield tracer, prefix, netns


OTHERS = "this tracer's reads are checked by the kernel"


def run(prefix, script):
    subprocess.run([*prefix, sys.executable, "-c", script], check=True)


def closed(tracer, count):
    wait_for(f"{count} ends", lambda: tracer.status()["counters"]["submitted_close"] >= count)


def more_than(tracer, before, what):
    return wait_for(f"counted: {what}", lambda: max(failed_reads(tracer) - before, 0)) + before


def test_of_a_connection_an_attempt_and_a_flow():
    """The network namespace, which a record of each has."""
    with tracing("sock_common", "skc_net", 0) as (tracer, prefix, _):
        if not tracer:
            return OTHERS
        exchange(prefix)
        closed(tracer, 2)
        count = more_than(tracer, 0, "both ends of a connection")
        run(prefix, NO_ROUTE)
        closed(tracer, 3)
        count = more_than(tracer, count, "a connect that failed at once")
        run(prefix, DATAGRAM)
        more_than(tracer, count, "both ends of a flow")
        tracer.drained()
        records = [r for r in tracer.records() if r["netns"] == 0]
        check(len(records) >= 4, f"{len(records)} records all the same")
    return None


def test_of_the_process():
    with tracing("task_struct", "group_leader", "comm") as (tracer, prefix, netns):
        if not tracer:
            return OTHERS
        exchange(prefix)
        more_than(tracer, 0, "the process of each end")
        records = tracer.closes(netns, 2)
        equal([(r["pid_start_ns"], bool(r["pid"])) for r in records], [(None, True)] * 2,
              "when it began, which")
    return None


def test_of_the_cgroups_above():
    if CAN_NOT:
        return CAN_NOT
    with tracing("cgroup_subsys_state", "parent", "refcnt",
                 "filters: [{exclude: {cgroup: /nowhere}}]\n") as (tracer, prefix, netns):
        if not tracer:
            return OTHERS
        exchange(prefix)
        more_than(tracer, 0, "the way up from a cgroup")
        equal(len(tracer.closes(netns, 2)), 2, "close records")
    return None


def test_of_what_is_sent():
    with tracing("flowi4", "saddr", FAR) as (tracer, prefix, _):
        if not tracer:
            return OTHERS
        run(prefix, DATAGRAM)
        more_than(tracer, 0, "what was sent")
    return None


def test_of_what_is_received():
    with tracing("sk_buff", "head", "len") as (tracer, prefix, _):
        if not tracer:
            return OTHERS
        run(prefix, DATAGRAM)
        more_than(tracer, 0, "what was received")
    return None


if __name__ == "__main__":
    main([test_of_a_connection_an_attempt_and_a_flow, test_of_the_process, test_of_the_cgroups_above,
          test_of_what_is_sent, test_of_what_is_received])
