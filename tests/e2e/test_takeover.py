# SPDX-License-Identifier: Apache-2.0
# timeout: 300
"""What somebody gains who has taken a child over: each running child is made to make the system calls
that an attacker would. Nearly all of them end it; the rest the kernel refuses."""

import ctypes
import errno
import grp
import os
import signal
import socket
import subprocess
import sys

from harness import BIN, CHILDREN, Tracer, check, equal, main, proc_limits, proc_status, wait_for
from possess import SUPPORTED, HeldAtFork, attempt

KILLED = ("killed", "SIGSYS")
ROUNDS = 4  # the wait before a restart doubles with each death in a row
AT_FDCWD = -100
PTRACE_ATTACH = 16
LANDLOCK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
SYS_LANDLOCK_CREATE_RULESET = 444
SYS_PIDFD_GETFD = 438


def words(*numbers):
    return b"".join(n.to_bytes(8, sys.byteorder) for n in numbers)


# What it tries: system call of x86-64, arguments. PID stands for the supervisor's.
PID = object()
ATTACKS = {
    "execute a program": (59, b"/bin/sh", 0, 0),
    "execute by fd": (322, AT_FDCWD, b"/bin/sh", 0, 0, 0),
    "fork": (56, signal.SIGCHLD, 0, 0, 0, 0),
    "vfork": (58,),
    "clone3": (435, words(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64),
    "trace the supervisor": (101, PTRACE_ATTACH, PID, 0, 0),
    "read the supervisor's memory": (310, PID, words(0, 0), 1, words(0, 0), 1, 0),
    "write to the supervisor's memory": (311, PID, words(0, 0), 1, words(0, 0), 1, 0),
    "signal the supervisor": (62, PID, signal.SIGKILL),
    "signal a thread of it": (234, PID, PID, signal.SIGKILL),
    "queue a signal to it": (129, PID, signal.SIGKILL, bytes(128)),
    "open a pidfd of it": (434, PID, 0),
    "take an fd of it": (SYS_PIDFD_GETFD, 3, 3, 0),
    "starve it by limits": (302, PID, 7, words(0, 0), 0),
    "starve it by priority": (141, 0, PID, 19),
    "starve it by scheduling": (144, PID, 5, words(0)),
    "bind it to a processor": (203, PID, 8, words(1)),
    "a socket for TCP": (41, socket.AF_INET, socket.SOCK_STREAM, 0),
    "a socket for IPv6": (41, socket.AF_INET6, socket.SOCK_DGRAM, 0),
    "a raw socket": (41, socket.AF_PACKET, socket.SOCK_RAW, 0),
    "a unix socket": (41, socket.AF_UNIX, socket.SOCK_STREAM, 0),
    "a netlink socket": (41, socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "write to a file": (257, AT_FDCWD, b"/tmp/conntrace-takeover", os.O_WRONLY | os.O_CREAT, 0o600),
    "create a file": (85, b"/tmp/conntrace-takeover", 0o600),
    "open by handle": (304, AT_FDCWD, bytes(128), 0),
    "remove a file": (263, AT_FDCWD, b"/tmp/conntrace-takeover", 0),
    "rename a file": (82, b"/tmp/conntrace-takeover", b"/tmp/conntrace-takeover-2"),
    "make code of memory": (9, 0, 4096, 7, 0x22, -1, 0),
    "make memory executable": (10, 0, 4096, 5),
    "load a BPF program": (321, 5, bytes(128), 128),
    "make a BPF map": (321, 0, bytes(72), 72),
    "find a BPF program": (321, 13, bytes(16), 16),
    "open a perf event": (298, bytes(128), 0, -1, -1, 0),
    "raise capabilities": (126, words(0x20080522), bytes(24)),
    "become root": (105, 0),
    "be dumpable": (157, 4, 1, 0, 0, 0),
    "a user namespace": (272, 0x10000000),
    "enter a namespace": (308, 3, 0),
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "change root": (161, b"/tmp"),
    "io_uring": (425, 8, bytes(120)),
    "userfaultfd": (323, 0),
    "keys": (250, 0, -3, 1),
    "a kernel module": (313, 3, b"", 0),
    "type into a terminal": (16, 0, 0x5412, b"x"),
    "another filter": (317, 1, 0, bytes(16)),
}

# What a child may call for its work is refused by Landlock, where the kernel has it.
READ_ATTACKS = {
    "read a file": (257, AT_FDCWD, b"/etc/passwd", os.O_RDONLY, 0),
    "list a directory": (257, AT_FDCWD, b"/etc",
                         os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, 0),
}
REFUSED_BY_LANDLOCK = {("poller", "read a file"), ("poller", "list a directory"),
                       ("exporter", "list a directory")}


def has_landlock():
    return ctypes.CDLL(None).syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION) > 0


def made_by(supervisor, attack):
    return tuple(supervisor if word is PID else word for word in attack)


def in_rounds(attacks):
    names = list(attacks)
    for first in range(0, len(names), ROUNDS):
        yield names[first:first + ROUNDS]


def try_in_all(tracer, name, attack, expected):
    """All children that last make the call; then all are at work again."""
    wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
    pids = {child: tracer.process(child)["pid"] for child in CHILDREN}
    for child, pid in pids.items():
        equal(attempt(pid, *made_by(tracer.proc.pid, attack)), expected(child, name),
              f"{child}: {name}")
    for child in (c for c in CHILDREN if expected(c, name) == KILLED):
        wait_for(f"a new {child}", lambda c=child: tracer.running(c, other_than=pids[c]))
        last = tracer.process(child)["last"]
        check(last.startswith("killed by signal 31"), f"{child}: {name}: ended by: {last}")


def attacked(attacks, expected):
    for names in in_rounds(attacks):
        with Tracer(source=True) as tracer:
            for name in names:
                try_in_all(tracer, name, attacks[name], expected)
            wait_for("tracing", tracer.tracing)
            check(tracer.status()["identity"]["holds"], "the identity of the records holds not")


def test_a_child_taken_over_dies_of_the_call_that_an_attack_needs():
    if not SUPPORTED:
        return "the calls are those of x86-64"
    attacked(ATTACKS, lambda child, name: KILLED)
    return None


def test_no_child_reads_a_file_that_is_not_its_own():
    if not SUPPORTED:
        return "the calls are those of x86-64"
    if not has_landlock():
        return "this kernel has no Landlock: poller and exporter may read what their user may"
    attacked(READ_ATTACKS, lambda child, name: ("answered", -errno.EACCES)
             if (child, name) in REFUSED_BY_LANDLOCK else KILLED)
    return None


def awaits_text(pid):
    """Whether a verifier has closed itself in and waits for what it is to check."""
    status = proc_status(pid)
    return (status["Name"] == "conntrace-verif" and status["Seccomp"].strip() == "2"
            and status["State"][0] == "S")


def attacked_verifier(tracer, attack):
    """What came of it. A verifier lives for milliseconds, so the supervisor is held while it waits
    for its texts."""
    with HeldAtFork(tracer.proc.pid) as held:
        tracer.proc.send_signal(signal.SIGHUP)
        pid = held.child()
        wait_for("a verifier that waits", lambda: awaits_text(pid))
        return attempt(pid, *made_by(tracer.proc.pid, attack))


REPLACED = ("loader", "exporter")  # for each configuration that is applied


def in_force(tracer):
    """What it says."""
    told = ("version", "verdict", "no_filter")  # its number, and what was counted since it is in force
    return {k: v for k, v in tracer.status()["config"].items() if k not in told}


def test_a_verifier_taken_over_dies_and_the_configuration_stays():
    if not SUPPORTED:
        return "the calls are those of x86-64"
    attacks = ATTACKS | READ_ATTACKS
    for names in in_rounds(attacks):
        with Tracer() as tracer:
            before = in_force(tracer)
            for number, name in enumerate(names, 2):
                pids = {child: tracer.process(child)["pid"] for child in REPLACED}
                equal(attacked_verifier(tracer, attacks[name]), KILLED, name)
                # A fresh one, that nobody attacks, checks it again.
                wait_for("the verdict", lambda n=number: f"applied as version {n}" in tracer.text())
                equal(in_force(tracer), before, "the configuration in force")
                # No other fork is to be taken for the next verifier's.
                wait_for("all replaced", lambda p=pids: all(tracer.running(c, other_than=p[c])
                                                            for c in REPLACED))
    return None


def test_a_verifier_has_little_time():
    with Tracer() as tracer, HeldAtFork(tracer.proc.pid) as held:
        tracer.proc.send_signal(signal.SIGHUP)
        pid = held.child()
        wait_for("a verifier that waits", lambda: awaits_text(pid))
        equal(proc_limits(pid)["Max cpu time"], ("5", "5"), "seconds of processor time")


def status_asked_by(tracer, uid, gid):
    return subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups",
                           os.path.join(BIN, "conntrace"), "status", "--socket", tracer.socket],
                          capture_output=True, text=True, check=False)


def test_whoever_is_not_root_nor_of_conntraces_group_gets_no_answer():
    group = grp.getgrnam("nogroup").gr_gid
    with Tracer() as tracer:
        done = status_asked_by(tracer, 4242, 4242)
        equal((done.returncode, done.stdout), (3, ""), "a stranger")
        check("permission denied" in done.stderr, f"it said: {done.stderr}")
        done = status_asked_by(tracer, 4242, group)
        equal(done.returncode, 0, f"one of its group: {done.stderr}")


# As another process of the same user, without any sandbox: a line for each thing that worked.
OUTSIDER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1:]):
    def tried(what, worked):
        if worked: print(pid, what)
    def opens(path, flags):
        try: os.close(os.open(path, flags))
        except OSError: return False
        return True
    tried("ptrace", libc.ptrace(16, pid, 0, 0) == 0)
    tried("mem", opens(f"/proc/{pid}/mem", os.O_RDWR))
    tried("environ", opens(f"/proc/{pid}/environ", os.O_RDONLY))
    tried("maps", opens(f"/proc/{pid}/maps", os.O_RDONLY))
    tried("fd", opens(f"/proc/{pid}/fd/3", os.O_RDONLY))
    pidfd = os.pidfd_open(pid)
    tried("pidfd_getfd", libc.syscall(438, pidfd, 3, 0) >= 0)
    local = (ctypes.c_ulong * 2)(ctypes.addressof(ctypes.c_long()), 8)
    remote = (ctypes.c_ulong * 2)(0x400000, 8)
    read = libc.process_vm_readv(pid, local, 1, remote, 1, 0)
    tried("process_vm_readv", read >= 0 or ctypes.get_errno() != 1)
print("done")
"""


def outsider(*pids):
    return subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                           sys.executable, "-c", OUTSIDER, *map(str, pids)],
                          capture_output=True, text=True, check=True).stdout.splitlines()


def test_nobody_of_the_same_user_reaches_into_any_of_them():
    with Tracer(source=True) as tracer:
        wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
        pids = [p["pid"] for p in tracer.status()["processes"] if p["state"] == "running"]
        check(len(pids) >= 1 + len(CHILDREN), f"processes: {pids}")
        equal(outsider(*pids), ["done"], "what another process of the same user reached")
    # The same, where nothing protects: the test itself is not blind.
    sleeper = subprocess.Popen(["setpriv", "--reuid", "nobody", "--regid", "nogroup",
                                "--clear-groups", "sleep", "60"])
    try:
        wait_for("the sleeper", lambda: os.stat(f"/proc/{sleeper.pid}").st_uid != 0)
        reached = {line.split()[1] for line in outsider(sleeper.pid)[:-1]}
        check({"ptrace", "mem", "environ", "maps"} <= reached, f"of one unprotected: {reached}")
    finally:
        sleeper.kill()
        sleeper.wait()


# With what podman, for one, gives a container's process that is not root.
AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
             "--inh-caps", "+bpf,+perfmon", "--ambient-caps", "+bpf,+perfmon"]


def test_nor_does_it_into_a_conntraced_that_was_never_root():
    with Tracer(wrap=AS_NOBODY) as tracer:
        equal(outsider(tracer.proc.pid), ["done"], "what another process of the same user reached")
        status = proc_status(tracer.proc.pid)
        for caps in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            equal(int(status[caps], 16), 0, caps)


if __name__ == "__main__":
    main([test_a_child_taken_over_dies_of_the_call_that_an_attack_needs,
          test_no_child_reads_a_file_that_is_not_its_own,
          test_a_verifier_taken_over_dies_and_the_configuration_stays,
          test_a_verifier_has_little_time,
          test_whoever_is_not_root_nor_of_conntraces_group_gets_no_answer,
          test_nobody_of_the_same_user_reaches_into_any_of_them,
          test_nor_does_it_into_a_conntraced_that_was_never_root])
