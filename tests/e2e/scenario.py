# SPDX-License-Identifier: Apache-2.0
"""Programs that make connections and say what they did, what the kernel said of their sockets, and
records that must agree with both, field by field."""

import contextlib
import ctypes
import gc
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

from harness import (SLOWDOWN, cgroup_root, check, equal, network_namespace, remembers_in_table,
                     wait_for)

FACT_S = 60
SLACK_NS = 2_000_000 * SLOWDOWN  # of times taken in two processes, by two clocks
TICK_NS = 10_000_000  # of the times in /proc/PID/stat
OWN_COOKIE = 1 << 63
CLONE_NEWNET = 0x40000000

# What each script begins with: say(...) tells facts as a line of JSON; wait() waits for a line.
PRELUDE = """
import errno, json, os, socket, struct, sys, time
SO_COOKIE = 57
def say(**facts):
    print(json.dumps(facts), flush=True)
def wait():
    sys.stdin.readline()
def me():
    stat = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    return {"pid": os.getpid(), "uid": os.getuid(), "start": int(stat[19]),
            "comm": open("/proc/self/comm").read()[:-1]}
def named(name):
    open("/proc/self/comm", "w").write(name)
def end(name):
    return [name[0].removeprefix("::ffff:"), name[1]]
def about(s, local=None, remote=None):
    return {**me(), "cookie": struct.unpack("Q", s.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0],
            "local": end(local or s.getsockname()), "remote": end(remote or s.getpeername())}
def listen(address="127.0.0.1", family=socket.AF_INET, **how):
    s = socket.create_server((address, 0), family=family, **how)
    say(port=s.getsockname()[1], **me())
    return s
def accept(s):
    c, _ = s.accept()
    say(**about(c), after=time.time_ns())
    wait()
    return c
def connect(address="127.0.0.1", family=socket.AF_INET, source=None):
    s = socket.socket(family)
    if source:
        s.bind((source, 0))
    before = time.time_ns()
    s.connect((address, int(sys.argv[1])))
    say(**about(s), before=before, after=time.time_ns())
    return s
def try_to_connect(address, port, source="127.0.0.1", timeout=None):
    s = socket.socket()
    s.bind((source, 0))
    local = s.getsockname()
    before = time.time_ns()
    try:
        s.settimeout(timeout)
        s.connect((address, port))
        sys.exit("connected")
    except OSError as e:
        error = errno.errorcode[e.errno]
    say(**about(s, local, (address, port)), before=before, after=time.time_ns(), met=error)
    return s
def info(s):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 240).hex()
def drain(s):
    n = 0
    while True:
        part = s.recv(65536)
        if not part:
            return n
        n += len(part)
def drain_to_reset(s):
    try:
        drain(s)
        sys.exit("no reset")
    except ConnectionResetError:
        pass
def linger_0(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""


def enter_namespace(name):
    with open(f"/run/netns/{name}", encoding="ascii") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")


def become(name, text, args, stdin, stdout):
    """In a child: another Python program, in a network namespace. To start one anew would take most
    of a test's time where a processor is emulated."""
    gc.freeze()  # what is the parent's is never destroyed here
    enter_namespace(name)
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(fd)
    sys.argv = ["-c", *args]
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")
    exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})
    sys.stdout.flush()


class Script:
    """A Python program in a network namespace that says facts and waits to be told."""

    running = []  # to be killed if a test fails

    def __init__(self, prefix, text, *args, prelude=PRELUDE):
        (*command, name) = prefix
        equal(command, ["ip", "netns", "exec"], "how a script is started")
        theirs, stdin = os.pipe()
        stdout, ours = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                become(name, prelude + text, list(map(str, args)), theirs, ours)
                os._exit(0)
            except BaseException:  # whatever it is, this is not the parent
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(theirs)
        os.close(ours)
        self.stdin = open(stdin, "wb", buffering=0)
        self.stdout = open(stdout, "rb", buffering=0)
        self.running.append(self)

    def fact(self):
        """What it says next. Unbuffered, so that nothing read waits unseen."""
        said = select.select([self.stdout], [], [], FACT_S * SLOWDOWN)[0]
        check(said, f"no fact in {FACT_S * SLOWDOWN} s")
        line = self.stdout.readline()
        check(line, "no fact: the script ended")
        return json.loads(line)

    def go(self):
        self.stdin.write(b"\n")

    def end(self):
        """Wait for it; returns the facts that nobody asked for."""
        self.stdin.close()
        rest = self.stdout.read()
        self.stdout.close()
        self.running.remove(self)
        equal(os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), 0, "the script's exit code")
        return [json.loads(line) for line in rest.splitlines()]

    @classmethod
    def kill_all(cls):
        while cls.running:
            script = cls.running.pop()
            os.kill(script.pid, signal.SIGKILL)
            os.waitpid(script.pid, 0)


# --- what the kernel says of a socket when it destroys it -----------------------------------------

NETLINK_SOCK_DIAG = 4
SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY = 1, 3
INET_DIAG_INFO = 2
ECN = 8  # of tcpi_options
NO_RTT = 0xffffffff
# struct tcp_info of linux/tcp.h, and of its members those that a record has, too.
TCP_INFO = struct.Struct("<8B24I4Q6I4Q2I2Q2I")
OF_TCP_INFO = {"options": 5, "srtt_us": 23, "rttvar_us": 24, "retransmits": 31, "segs_out": 36,
               "segs_in": 37, "min_rtt_us": 39, "ecn_marked": 47, "reordered": 51}


def in_namespace(name, make):
    """What make() makes in a network namespace."""
    made = []

    def run():
        enter_namespace(name)
        made.append(make())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    check(made, f"not to be entered: {name}")
    return made[0]


class Destroyed:
    """What the kernel's sock_diag(7) tells of the TCP sockets of a namespace when they go."""

    def __init__(self, name):
        self.socket = in_namespace(name, lambda: socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG))
        groups = 1 << (SKNLGRP_INET_TCP_DESTROY - 1) | 1 << (SKNLGRP_INET6_TCP_DESTROY - 1)
        self.socket.bind((0, groups))
        self.told = {}

    def read(self):
        while select.select([self.socket], [], [], 0)[0]:
            message = self.socket.recv(1 << 16)
            (cookie,) = struct.unpack_from("<Q", message, 60)  # of struct inet_diag_msg
            at = 16 + 72
            while at + 4 <= len(message):
                length, kind = struct.unpack_from("<HH", message, at)
                if kind == INET_DIAG_INFO:
                    self.told[cookie] = message[at + 4:at + length]
                at += (length + 3) & ~3

    def of(self, cookie):
        def told():
            self.read()
            return self.told.get(cookie)
        return wait_for(f"the kernel's word of socket {cookie}", told)


# --- records --------------------------------------------------------------------------------------

class Scene:
    """A network namespace under the eyes of a tracer that other scenes use, too."""

    def __init__(self, stage, prefix, netns):
        self.stage = stage
        self.prefix = prefix
        self.netns = netns
        self.found = []
        stage.skip()
        self.destroyed = Destroyed(prefix[-1])

    def run(self, command):
        return subprocess.run([*self.prefix, *command.split()], check=True, capture_output=True,
                              text=True).stdout

    def script(self, text, *args):
        return Script(self.prefix, text, *args)

    def records(self):
        """The close records so far."""
        self.found += self.stage.closes(self.netns)
        return self.found

    def ended(self, count):
        """The close records, once there are so many, and no more."""
        wait_for(f"{count} close records", lambda: len(self.records()) >= count)
        equal(len(self.records()), count, f"close records: {self.records()}")
        return self.records()

    def record_of(self, facts):
        """The close record of the end that a script told of."""
        def found():
            return [r for r in self.records() if [r["saddr"], r["sport"]] == facts["local"]
                    and [r["daddr"], r["dport"]] == facts["remote"]]
        wait_for(f"the record of {facts}", found)
        (record,) = found()
        return record

    def owner(self, accepted, listener, closer):
        """What can be known of whose an accepted end is. closer: who closed it, if anybody did
        before it ended."""
        if self.stage.sees_accept:
            return "accept", accepted
        if closer:
            return "close", closer
        return ("listen", listener) if self.stage.inherits else ("unknown", NOBODY)


def attached(status, name):
    return any(p["name"] == name and p["state"] == "attached" for p in status["probes"])


class Stage:
    """A tracer for many scenes."""

    def __init__(self, tracer):
        status = tracer.status()
        self.tracer = tracer
        self.at = 0  # how far its output was read
        self.own_cookies = remembers_in_table(status)
        self.sees_accept = attached(status, "trace_accept")
        # Of the table only the programs by functions tell an accepted socket whose listener it was.
        self.inherits = not self.own_cookies or attached(status, "trace_child")

    def skip(self):
        """What was written before is of no scene any more: the number of a namespace that is gone
        is used again."""
        self.at = os.stat(self.tracer.records_path).st_size

    def closes(self, netns):
        """Close records of that namespace among those written since this was asked last. There may
        be very many of others."""
        with open(self.tracer.records_path, "rb") as file:
            file.seek(self.at)
            lines = file.read().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self.at += sum(map(len, lines))
        mark = b'"netns":%d,' % netns
        records = [json.loads(line) for line in lines if mark in line]
        return [r for r in records if r["event"] == "close"]

    @contextlib.contextmanager
    def scene(self):
        with network_namespace() as (prefix, netns):
            try:
                yield Scene(self, prefix, netns)
            finally:
                Script.kill_all()


def own_cgroup():
    """(id, path) of the cgroup of this process and its scripts, as a record is to have them."""
    root = cgroup_root()
    if not root:
        return None
    with open("/proc/self/cgroup", encoding="utf-8") as cgroups:
        path = re.search(r"^0::(.*)$", cgroups.read(), re.MULTILINE).group(1)
    return os.stat(root + path).st_ino, path


def same_metrics(scene, facts, resets):
    """What the kernel said when it destroyed the socket, or to the script just before it closed it.
    resets: how many segments were sent after the end, as the RST is when data was unread."""
    info = bytes.fromhex(facts["info"]) if "info" in facts else scene.destroyed.of(facts["cookie"])
    values = TCP_INFO.unpack_from(info)
    told = {name: values[n] for name, n in OF_TCP_INFO.items()}
    rtt = 0 if told["min_rtt_us"] == NO_RTT else told["min_rtt_us"]
    return {"segs_out": told["segs_out"] - resets, "segs_in": told["segs_in"],
            "retransmits": told["retransmits"], "srtt_us": told["srtt_us"],
            "rttvar_us": told["rttvar_us"], "min_rtt_us": rtt, "reordered": told["reordered"],
            "ecn": bool(told["options"] & ECN), "ecn_marked": told["ecn_marked"]}


NOBODY = {"pid": None, "comm": "", "uid": None, "start": None}


def same_process(facts):
    return {"pid": facts["pid"], "comm": facts["comm"], "uid": facts["uid"]}


def same_cgroup():
    cgroup = own_cgroup()
    if not cgroup:
        return {"cgroup": None}
    return {"cgroup_id": cgroup[0], "cgroup": cgroup[1]}


def check_times(record, facts):
    """Between what the script's clock said before and after, and now."""
    opened, established, closed = (record[f"{n}_ns"] for n in ("opened", "established", "closed"))
    told = f"of {record}; the script: {facts}; now {time.time_ns()}"
    check(facts.get("before", 0) - SLACK_NS < opened < facts["after"] + SLACK_NS, f"begin {told}")
    if established:
        check(opened <= established < facts["after"] + SLACK_NS, f"established {told}")
    check(max(opened, established) < closed < time.time_ns() + SLACK_NS, f"end {told}")
    equal(record["recorded_ns"], closed, f"recorded_ns {told}")
    equal(record["duration_ns"], closed - opened, f"duration_ns {told}")
    took = established - opened if established and record["direction"] == "outgoing" else None
    equal(record["connect_ns"], took, f"connect_ns {told}")


def check_record(scene, facts, who=None, owner="connect", resets=0, **expected):
    """Every field of the close record of the end that a script told of; who: facts of its process,
    if that is another. Returns the record."""
    who = who or facts
    record = scene.record_of(facts)
    incoming = owner != "connect"
    expected = {"protocol": "tcp", "family": 6 if ":" in facts["local"][0] else 4,
                "direction": "incoming" if incoming else "outgoing", "netns": scene.netns,
                "error": None, "closer": None, "lost": 0, "partial": False, "seeded": False,
                "owner": owner, "assured": None, "bytes_sent": 0, "bytes_received": 0,
                **same_process(who), **same_cgroup(),
                **same_metrics(scene, facts, resets), **expected}
    for name, want in expected.items():
        equal(record[name], want, f"{name} of {record}")
    check_times(record, facts)
    if who is NOBODY:
        equal(record["pid_start_ns"], None, "pid_start_ns")
    else:
        ticks = record["pid_start_ns"] // TICK_NS
        check(abs(ticks - who["start"]) <= 1, f"pid_start_ns of {record}; /proc: {who['start']}")
    if scene.stage.own_cookies:
        check(record["cookie"] & OWN_COOKIE, f"cookie {record['cookie']}")
    else:
        equal(record["cookie"], facts["cookie"], "cookie")
    check(re.fullmatch("[0-9a-f]{16}", record["pair"]), f"pair {record['pair']}")
    return record


def check_pair(out, in_):
    """The two ends of one connection: one key joins them, and it is no other connection's."""
    equal(out["pair"], in_["pair"], "pair of the two ends")
    equal((out["saddr"], out["sport"], out["daddr"], out["dport"]),
          (in_["daddr"], in_["dport"], in_["saddr"], in_["sport"]), "addresses")
