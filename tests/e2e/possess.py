# SPDX-License-Identifier: Apache-2.0
"""Take a running process over, as whoever found a hole in it would have: by ptrace it is made to make
one system call of our choice, from its own code, with its own fds, privileges and sandbox. x86-64."""

import ctypes
import os
import platform
import signal
import struct

SUPPORTED = platform.machine() == "x86_64"

# ptrace(2)
CONT, GETREGS, SETREGS, SINGLESTEP, ATTACH, DETACH = 7, 12, 13, 9, 16, 17
GETEVENTMSG, SEIZE = 0x4201, 0x4206
TRACEFORK = 2  # PTRACE_O_TRACEFORK
EVENT_FORK = 1
# struct user_regs_struct: the places of what a system call uses
REGS = 27
RAX, ORIG_RAX, RIP, RSP = 10, 15, 16, 19
ARGS = (14, 13, 12, 7, 9, 8)  # rdi, rsi, rdx, r10, r8, r9
SYSCALL = b"\x0f\x05"
RED_ZONE = 4096  # below the stack pointer: nobody's

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


WALL = 0x40000000  # __WALL of waitpid(2)


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}")


class HeldAtFork:
    """A process that stops when it has forked, until the block ends; its child runs on."""

    def __init__(self, pid):
        self.pid = pid
        self.stopped = False

    def __enter__(self):
        ptrace(SEIZE, self.pid, TRACEFORK)
        return self

    def child(self):
        """Wait for the fork; the pid of the child."""
        forked = signal.SIGTRAP | EVENT_FORK << 8
        while True:
            _, status = os.waitpid(self.pid, WALL)
            self.stopped = os.WIFSTOPPED(status)
            if status >> 8 == forked:
                break
            # The end of a child before this one.
            if not self.stopped or os.WSTOPSIG(status) != signal.SIGCHLD:
                raise AssertionError(f"{self.pid}: status {status:#x}, not a fork")
            ptrace(CONT, self.pid, signal.SIGCHLD)
        pid = ctypes.c_ulong()
        ptrace(GETEVENTMSG, self.pid, ctypes.byref(pid))
        os.waitpid(pid.value, WALL)
        ptrace(DETACH, pid.value)
        return pid.value

    def __exit__(self, *_):
        if self.stopped:
            ptrace(DETACH, self.pid)


class Killed(Exception):
    """The process was killed by that signal."""


class Possessed:
    """The process while it is held."""

    def __init__(self, pid):
        self.pid = pid
        self.gone = False

    def __enter__(self):
        ptrace(ATTACH, self.pid)
        self.wait()
        self.memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)
        self.saved = self.registers()
        self.gadget = self.find_syscall()
        return self

    def __exit__(self, *_):
        os.close(self.memory)
        if not self.gone:
            ptrace(SETREGS, self.pid, self.saved)
            ptrace(DETACH, self.pid)

    def wait(self):
        _, status = os.waitpid(self.pid, WALL)
        if not os.WIFSTOPPED(status):
            self.gone = True
            raise Killed(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -1)

    def registers(self):
        regs = (ctypes.c_ulonglong * REGS)()
        ptrace(GETREGS, self.pid, regs)
        return regs

    def find_syscall(self):
        """The address of a system call instruction in the C library."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            for line in maps:
                words = line.split()
                if words[1] != "r-xp" or "libc" not in words[-1]:
                    continue
                begin, end = (int(x, 16) for x in words[0].split("-"))
                at = os.pread(self.memory, end - begin, begin).find(SYSCALL)
                if at >= 0:
                    return begin + at
        raise AssertionError(f"{self.pid}: no system call instruction in its C library")

    def syscall(self, number, *args):
        """Make it; returns what the kernel answered, a negative errno if it refused. bytes are
        given as the address of a copy."""
        regs = (ctypes.c_ulonglong * REGS)(*self.saved)
        room = self.saved[RSP] - RED_ZONE
        for place, arg in zip(ARGS, (*args, *(0,) * (len(ARGS) - len(args)))):
            if isinstance(arg, bytes):
                room -= (len(arg) + 16) & ~15
                os.pwrite(self.memory, arg + b"\0", room)
                arg = room
            regs[place] = arg & (1 << 64) - 1
        regs[RAX], regs[ORIG_RAX], regs[RIP] = number, (1 << 64) - 1, self.gadget
        ptrace(SETREGS, self.pid, regs)
        ptrace(SINGLESTEP, self.pid)
        self.wait()
        return struct.unpack("q", struct.pack("Q", self.registers()[RAX]))[0]


def attempt(pid, number, *args):
    """One system call by that process: ("killed", signal) or ("answered", result)."""
    try:
        with Possessed(pid) as process:
            return "answered", process.syscall(number, *args)
    except Killed as killed:
        return "killed", signal.Signals(killed.args[0]).name
