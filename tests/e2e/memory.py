# SPDX-License-Identifier: Apache-2.0
"""What a tracer remembers of a socket, to be taken from it or given back, as if its programs had been
skipped by the kernel in between."""

import ctypes
import json
import os
import struct
import subprocess

from harness import check, remembers_in_table

LOOKUP, UPDATE, DELETE, GET_FD_BY_ID = 1, 2, 3, 14  # commands of bpf(2)
SYS_BPF = 321 if os.uname().machine == "x86_64" else 280
# In struct conn of bpf/store.h: pid, owner, that of an end that connected.
PID_AT, OWNER_AT, BY_CONNECT = 48, 56, 1
ATTRIBUTES = 120  # bytes


def bpf(command, attributes):
    """bpf(2): the kernel's answer."""
    buffer = ctypes.create_string_buffer(attributes.ljust(ATTRIBUTES, b"\0"))
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.syscall(SYS_BPF, command, buffer, ATTRIBUTES)
    check(answer >= 0, f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return answer


def maps_of(pid):
    """Ids of the BPF maps that a process has open."""
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as f:
            yield from (int(line.split()[1]) for line in f if line.startswith("map_id:"))


def bpftool(*args):
    return json.loads(subprocess.run(["bpftool", "-j", *map(str, args)], capture_output=True,
                                     text=True, check=True).stdout)


class Memory:
    """Of the one connection that this process made under a tracer: in the storage of its socket, or
    in the table."""

    def __init__(self, tracer, socket):
        self.table = remembers_in_table(tracer.status())
        name = "conn_table" if self.table else "connections"
        ours = set(maps_of(tracer.process("supervisor")["pid"]))
        (found,) = [m for m in bpftool("map", "show")
                    if m["id"] in ours and m.get("name") == name]
        number, self.value_bytes = found["id"], found["bytes_value"]
        self.map_fd = bpf(GET_FD_BY_ID, struct.pack("<III", number, 0, 0))
        self.key = self.find(number) if self.table else struct.pack("<i", socket.fileno())

    @staticmethod
    def find(number):
        """The key of its entry."""
        found = []
        for entry in bpftool("map", "dump", "id", number):
            key, value = (bytes(int(byte, 16) for byte in entry[part]) for part in ("key", "value"))
            (pid,) = struct.unpack_from("<I", value, PID_AT)
            if pid == os.getpid() and value[OWNER_AT] == BY_CONNECT:
                found.append(key)
        (key,) = found
        return key

    def call(self, command, value=b""):
        key = ctypes.create_string_buffer(self.key, len(self.key))
        room = ctypes.create_string_buffer(value, self.value_bytes)
        bpf(command, struct.pack("<IxxxxQQ", self.map_fd, ctypes.addressof(key),
                                 0 if command == DELETE else ctypes.addressof(room)))
        return room.raw

    def read(self):
        return self.call(LOOKUP)

    def write(self, value):
        self.call(UPDATE, value)

    def forget(self):
        self.call(DELETE)

    def close(self):
        os.close(self.map_fd)
