# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""How connections begin and end: a table of scenarios, each field of both ends asserted against what
those say who made the connection."""

import contextlib
import json
import subprocess
import sys

from harness import Tracer, check, equal, main, network_namespace, wait_for

# What each script begins with: say(...) tells us a fact as a line of JSON; wait() waits for a line.
PRELUDE = """
import errno, json, os, socket, struct, sys, time
def say(**facts):
    print(json.dumps(facts), flush=True)
def wait():
    sys.stdin.readline()
def listen(address="127.0.0.1", family=socket.AF_INET):
    s = socket.create_server((address, 0), family=family)
    say(port=s.getsockname()[1], pid=os.getpid())
    return s
def connect(address, family=socket.AF_INET):
    s = socket.socket(family)
    s.connect((address, int(sys.argv[1])))
    say(sport=s.getsockname()[1], pid=os.getpid())
    return s
def drain(s):
    n = 0
    while True:
        part = s.recv(65536)
        if not part:
            return n
        n += len(part)
def linger_0(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""


class Script:
    """A Python program in a network namespace that says facts and waits to be told."""

    running = []  # to be killed if a test fails

    def __init__(self, prefix, text, *args):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", PRELUDE + text, *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running.append(self.process)

    def fact(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"no fact; exit code {self.process.wait(10)}")
        return json.loads(line)

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        equal(self.process.wait(60), 0, "the script's exit code")
        self.process.stdout.close()


def closes(tracer, netns):
    return [r for r in tracer.records() if r["event"] == "close" and r["netns"] == netns]


def ends(tracer, netns, count, seconds=10):
    """The close records, by direction if there are two."""
    wait_for(f"{count} close records", lambda: len(closes(tracer, netns)) >= count, seconds)
    records = closes(tracer, netns)
    equal(len(records), count, f"close records: {records}")
    return records[0] if count == 1 else {r["direction"]: r for r in records}


def fields(record, **expected):
    for name, want in expected.items():
        equal(record[name], want, f"{name} of {record}")


def pair_of(client_text, server_text, prefix, address="127.0.0.1"):
    """Run a server and a client that connects to it. Returns what they said of themselves."""
    server = Script(prefix, server_text)
    at = server.fact()
    client = Script(prefix, client_text, at["port"], address)
    by = client.fact()
    client.end()
    server.end()
    return by, at


@contextlib.contextmanager
def traced():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        try:
            yield prefix, netns, tracer
        finally:
            while Script.running:
                Script.running.pop().kill()


def joined(both):
    """The two ends of one connection."""
    out, in_ = both["outgoing"], both["incoming"]
    equal(out["pair"], in_["pair"], "pair of the two ends")
    equal((out["saddr"], out["sport"], out["daddr"], out["dport"]),
          (in_["daddr"], in_["dport"], in_["saddr"], in_["sport"]), "addresses")
    equal(out["bytes_sent"], in_["bytes_received"], "bytes one way")
    equal(in_["bytes_sent"], out["bytes_received"], "bytes the other way")
    return out, in_


def owned(record, who):
    """By the process that said it was; its start as /proc has it, in clock ticks."""
    fields(record, pid=who["pid"])
    check(record["pid_start_ns"], f"no start of the process: {record}")


def test_refused():
    with traced() as (prefix, netns, tracer):
        client = Script(prefix, """
s = socket.socket()
s.bind(("127.0.0.1", 0))
say(pid=os.getpid(), sport=s.getsockname()[1],
    start=int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]))
try:
    s.connect(("127.0.0.1", 9))
except ConnectionRefusedError:
    say(refused=True)
""")
        who = client.fact()
        equal(client.fact(), {"refused": True}, "what the client met")
        client.end()
        record = ends(tracer, netns, 1)
    owned(record, who)
    fields(record, end="refused", error="ECONNREFUSED", closer=None, direction="outgoing",
           established_ns=0, connect_ns=None, owner="connect", sport=who["sport"], dport=9,
           bytes_sent=0, bytes_received=0, state="syn_sent", partial=False)
    ticks = record["pid_start_ns"] // 10_000_000
    check(abs(ticks - who["start"]) <= 1, f"start {ticks} ticks, /proc says {who['start']}")


def test_the_client_closes_first():
    with traced() as (prefix, netns, tracer):
        by, at = pair_of("s = connect(sys.argv[2]); s.sendall(b'x' * 1000); s.shutdown(1); drain(s)",
                         "c, _ = listen().accept(); drain(c); c.sendall(b'y' * 300); c.close()",
                         prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    owned(out, by)
    owned(in_, at)
    fields(out, end="fin", closer="local", error=None, bytes_sent=1000, bytes_received=300,
           ecn_marked=0, lost=0, reordered=0)
    fields(in_, end="fin", closer="remote", error=None)
    check(0 < out["connect_ns"] < 5e9, f"connect_ns {out['connect_ns']}")
    fields(in_, connect_ns=None)


def test_the_server_closes_first():
    with traced() as (prefix, netns, tracer):
        pair_of("s = connect(sys.argv[2]); drain(s)",
                "c, _ = listen().accept(); c.sendall(b'y' * 300); c.close()", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    fields(out, end="fin", closer="remote")
    fields(in_, end="fin", closer="local")


def test_reset_by_the_peer():
    with traced() as (prefix, netns, tracer):
        pair_of("""
s = connect(sys.argv[2])
try:
    drain(s)
    sys.exit("no reset")
except ConnectionResetError:
    pass
""", "c, _ = listen().accept(); linger_0(c); c.close()", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    fields(out, end="reset_in", error="ECONNRESET", closer=None)
    fields(in_, end="reset_out", error=None, closer=None)


def test_close_with_data_unread_resets():
    with traced() as (prefix, netns, tracer):
        pair_of("""
s = connect(sys.argv[2])
s.sendall(b"unread")
try:
    drain(s)
    sys.exit("no reset")
except ConnectionResetError:
    pass
""", "c, _ = listen().accept(); c.recv(6, socket.MSG_PEEK); c.close()", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    fields(out, end="reset_in", bytes_sent=6)
    fields(in_, end="reset_out", bytes_received=6)


@contextlib.contextmanager
def link(prefix, syn_retries=1):
    """A link of the namespace to nowhere: 192.0.2.1 is here, 192.0.2.7 gets all packets and answers
    none, 192.0.2.8 has no hardware address."""
    for command in ("ip link add v0 type veth peer name v1", "ip link set v1 up",
                    "ip link set v0 up", "ip addr add 192.0.2.1/24 dev v0",
                    "ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev v0",
                    f"sysctl -q net.ipv4.tcp_syn_retries={syn_retries}"):
        subprocess.run([*prefix, *command.split()], check=True)
    yield


CONNECT_AND_SAY = """
s = socket.socket()
say(pid=os.getpid())
try:
    s.connect((sys.argv[1], 80))
except OSError as e:
    say(error=errno.errorcode[e.errno])
"""


def test_nobody_answers():
    with traced() as (prefix, netns, tracer), link(prefix):
        client = Script(prefix, CONNECT_AND_SAY, "192.0.2.7")
        who = client.fact()
        equal(client.fact(), {"error": "ETIMEDOUT"}, "what the client met")
        client.end()
        record = ends(tracer, netns, 1)
        snmp = subprocess.run([*prefix, "cat", "/proc/net/snmp"], capture_output=True, text=True,
                              check=True).stdout
    names, numbers = (line.split() for line in snmp.splitlines() if line.startswith("Tcp:"))
    sent_again = int(numbers[names.index("RetransSegs")])
    check(sent_again > 0, "the kernel retransmitted nothing")
    owned(record, who)
    fields(record, end="timeout", error="ETIMEDOUT", established_ns=0, retransmits=sent_again,
           daddr="192.0.2.7", dport=80, owner="connect")


def test_the_host_is_unreachable():
    with traced() as (prefix, netns, tracer), link(prefix, syn_retries=3):
        client = Script(prefix, CONNECT_AND_SAY, "192.0.2.8")
        who = client.fact()
        equal(client.fact(), {"error": "EHOSTUNREACH"}, "what the client met")
        client.end()
        record = ends(tracer, netns, 1)
    owned(record, who)
    fields(record, end="unreachable", error="EHOSTUNREACH", established_ns=0)


def test_a_connect_that_is_cancelled():
    with traced() as (prefix, netns, tracer), link(prefix):
        client = Script(prefix, """
s = socket.socket()
s.setblocking(False)
say(pid=os.getpid(), result=errno.errorcode[s.connect_ex(("192.0.2.7", 80))])
s.close()
""")
        who = client.fact()
        equal(who["result"], "EINPROGRESS", "connect")
        client.end()
        record = ends(tracer, netns, 1)
    owned(record, who)
    fields(record, end="cancelled", error=None, established_ns=0, owner="connect")


def test_half_open():
    """The other end is gone without a word: data is not acknowledged any more."""
    with traced() as (prefix, netns, tracer), link(prefix):
        subprocess.run([*prefix, "ip", "addr", "add", "192.0.2.7/32", "dev", "lo"], check=True)
        server = Script(prefix, "c, _ = listen('192.0.2.7').accept(); wait(); linger_0(c); c.close()")
        at = server.fact()
        client = Script(prefix, """
s = connect("192.0.2.7")
s.setsockopt(socket.IPPROTO_TCP, 18, 1000)  # TCP_USER_TIMEOUT, ms
wait()
s.sendall(b"anybody?")
try:
    drain(s)
except TimeoutError:
    say(timeout=True)
""", at["port"])
        client.fact()
        subprocess.run([*prefix, "ip", "addr", "del", "192.0.2.7/32", "dev", "lo"], check=True)
        client.go()
        equal(client.fact(), {"timeout": True}, "what the client met")
        client.end()
        wait_for("the client's record", lambda: closes(tracer, netns), 10)
        (record,) = closes(tracer, netns)
        server.go()
        server.end()
    fields(record, end="timeout", error="ETIMEDOUT", direction="outgoing", bytes_sent=0)
    check(record["established_ns"], f"{record}")


def test_both_close_at_once():
    """While nothing gets through both send their FIN."""
    with traced() as (prefix, netns, tracer):
        def loopback(command):
            subprocess.run([*prefix, *command.split()], check=True)
        server = Script(prefix, "c, _ = listen().accept(); wait(); c.shutdown(1); wait(); drain(c)")
        client = Script(prefix, "s = connect('127.0.0.1'); wait(); s.shutdown(1); wait(); drain(s)",
                        server.fact()["port"])
        client.fact()
        loopback("ip link set lo down")
        for _ in range(2):
            client.go()
            server.go()
        wait_for("both FINs", lambda: subprocess.run(
            [*prefix, "ss", "-tnH", "state", "fin-wait-1"], capture_output=True, text=True,
            check=True).stdout.count("\n") == 2)
        loopback("ip link set lo up")
        client.end()
        server.end()
        out, in_ = joined(ends(tracer, netns, 2, 30))
    fields(out, end="fin", closer="local")
    fields(in_, end="fin", closer="local")


def test_reuseport_listeners():
    """Several processes listen at one port: each accepted connection belongs to the right one."""
    text = """
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
say(port=s.getsockname()[1])
s.setblocking(False)
ports = []
while True:
    line = sys.stdin.readline()
    if not line:
        break
    try:
        while True:
            c, peer = s.accept()
            ports.append(peer[1])
            c.close()
    except BlockingIOError:
        say(ports=ports, pid=os.getpid())
"""
    with traced() as (prefix, netns, tracer):
        first = Script(prefix, text, 0)
        port = first.fact()["port"]
        others = [Script(prefix, text, port) for _ in range(2)]
        for script in others:
            script.fact()
        count = 30
        client = Script(prefix, f"""
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range({count})]
say(ports=[s.getsockname()[1] for s in held])
for s in held:
    drain(s)
""", port)
        asked = set(client.fact()["ports"])
        told = {}
        for script in (first, *others):
            script.go()
            fact = script.fact()
            told.update({p: fact["pid"] for p in fact["ports"]})
        equal(set(told), asked, "connections that the listeners accepted")
        client.end()
        for script in (first, *others):
            script.end()
        wait_for("all closes", lambda: len(closes(tracer, netns)) >= 2 * count)
        accepted = [r for r in closes(tracer, netns) if r["direction"] == "incoming"]
    equal({r["dport"]: r["pid"] for r in accepted}, told, "process of each accepted connection")
    check(len(set(told.values())) > 1, "all went to one listener: nothing was tested")


def test_fork_and_close_in_the_child():
    with traced() as (prefix, netns, tracer):
        by, at = pair_of("s = connect(sys.argv[2]); drain(s)", """
s = listen()
c, _ = s.accept()
pid = os.fork()
if pid == 0:
    c.sendall(b"from the child")
    c.close()
    os._exit(0)
c.close()
os.waitpid(pid, 0)
""", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    owned(out, by)
    fields(in_, end="fin", closer="local", bytes_sent=14)
    # By accept it is the parent; else the process that put the last reference: the child.
    if in_["owner"] == "accept":
        owned(in_, at)
    else:
        check(in_["owner"] == "close" and in_["pid"] != at["pid"], f"owner: {in_}")


def test_fd_passed_to_another_process():
    with traced() as (prefix, netns, tracer):
        by, at = pair_of("s = connect(sys.argv[2]); drain(s)", """
s = listen()
ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
    c = socket.socket(fileno=fds[0])
    c.sendall(b"passed on")
    c.close()
    os._exit(0)
c, _ = s.accept()
socket.send_fds(ours, [b"x"], [c.fileno()])
c.close()
os.waitpid(pid, 0)
""", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    owned(out, by)
    fields(in_, end="fin", bytes_sent=9)
    check(in_["owner"] in ("accept", "close"), f"owner: {in_}")
    if in_["owner"] == "accept":
        owned(in_, at)


def test_ipv6():
    with traced() as (prefix, netns, tracer):
        pair_of("s = connect('::1', socket.AF_INET6); s.sendall(b'six'); s.close()",
                "c, _ = listen('::1', socket.AF_INET6).accept(); drain(c); c.close()", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    fields(out, family=6, saddr="::1", daddr="::1", bytes_sent=3, end="fin", closer="local")
    fields(in_, family=6, bytes_received=3)


def test_ipv4_in_an_ipv6_socket():
    with traced() as (prefix, netns, tracer):
        pair_of("s = connect('::ffff:127.0.0.1', socket.AF_INET6); s.sendall(b'six'); s.close()",
                """
s = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
say(port=s.getsockname()[1], pid=os.getpid())
c, _ = s.accept()
drain(c)
c.close()
""", prefix)
        out, in_ = joined(ends(tracer, netns, 2))
    fields(out, family=4, saddr="127.0.0.1", daddr="127.0.0.1")
    fields(in_, family=4, saddr="127.0.0.1")


def test_a_process_that_has_exited_by_the_end():
    """It leaves; the kernel delivers what it sent, and the connection ends later."""
    with traced() as (prefix, netns, tracer):
        server = Script(prefix, "c, _ = listen().accept(); wait(); n = drain(c); say(got=n); c.close()")
        client = Script(prefix, "s = connect('127.0.0.1'); s.sendall(b'x' * 50000)",
                        server.fact()["port"])
        who = client.fact()
        client.end()
        server.go()
        equal(server.fact(), {"got": 50000}, "what the server got")
        server.end()
        out, _ = joined(ends(tracer, netns, 2))
    owned(out, who)
    fields(out, comm="python3", owner="connect", bytes_sent=50000, closer="local", end="fin")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
