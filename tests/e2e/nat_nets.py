# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces, a veth between them, nftables: "host", in which conntraced runs, tracks
connections and translates their addresses; "peer" does neither. The truth comes from the sockets at
both ends and from conntrack."""

import contextlib
import os
import re
import subprocess
import sys

from harness import SLOWDOWN, Tracer, Tree, check, equal, wait_for

RULES = """
table ip t {
    chain in {
        type nat hook prerouting priority -100
        ip daddr 10.77.0.9 tcp dport 80 dnat to 10.77.0.1:8080
    }
    chain out {
        type nat hook output priority -100
        ip daddr 10.99.0.1 tcp dport 80 dnat to 10.77.0.2:8080
        ip daddr 10.99.0.1 udp dport 53 dnat to 10.77.0.2:5353
        ip daddr 10.99.0.2 udp dport 1000-60999 dnat to 10.77.0.2
    }
    chain post {
        type nat hook postrouting priority 100
        tcp dport 8081 snat to 10.77.0.9:20000-29999
        oifname "vh" ip saddr 10.88.0.1 masquerade
    }
}
table ip6 t {
    chain out {
        type nat hook output priority -100
        ip6 daddr fd99::1 tcp dport 80 dnat to [fd77::2]:8080
    }
}
"""

# Of what else this machine does nothing is recorded.
FILTERS = """
filters:
  - include: {cidr: 10.77.0.0/24}
  - include: {cidr: 10.99.0.0/24}
  - include: {cidr: "fd77::/64"}
  - include: {cidr: "fd99::/64"}
  - exclude: all
"""

# Answers each connection, and each datagram, with the address it came from.
SERVER = """
import socket, threading
def tcp(address, family):
    listener = socket.create_server(address, family=family)
    while True:
        peer, name = listener.accept()
        threading.Thread(target=answer, args=(peer, name), daemon=True).start()
def answer(peer, name):
    peer.sendall(f"{name[0]} {name[1]}\\n".encode())
    while peer.recv(100): pass
    peer.close()
def udp(address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(address)
    while True:
        data, name = s.recvfrom(100)
        s.sendto(f"{name[0]} {name[1]}\\n".encode(), name)
for target, args in ((tcp, (("", 8080), socket.AF_INET)), (tcp, (("", 8081), socket.AF_INET)),
                     (tcp, (("fd77::2", 8080), socket.AF_INET6)), (udp, (("", 5353),))):
    if args[-1] != socket.AF_INET6 or SIX:
        threading.Thread(target=target, args=args, daemon=True).start()
print("up", flush=True)
threading.Event().wait()
"""

# Connects, tells own name and what the server saw, and closes when it is told to, or by a reset.
CLIENT = """
import socket, struct, sys
host, port, source = sys.argv[1], int(sys.argv[2]), sys.argv[3]
s = socket.create_connection((host, port), 30, (source, 0) if source else None)
print(*s.getsockname()[:2], *s.getpeername()[:2], s.recv(100).decode().strip(), flush=True)
if sys.stdin.read():
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()
"""

UDP_CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(30)
s.connect((sys.argv[1], int(sys.argv[2])))
s.send(b"?")
print(*s.getsockname(), *s.getpeername(), s.recv(100).decode().strip(), flush=True)
sys.stdin.read()
s.close()
"""

# A datagram to each of so many ports: a tracked connection each; with a pause after so many.
FLOOD = """
import socket, sys, time
host, first, count, pause = sys.argv[1], *map(int, sys.argv[2:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
for port in range(first, first + count):
    s.sendto(b"?", (host, port))
    if pause and port % pause == 0: time.sleep(0.03)
"""


def run(*argv, check_code=True, **kwargs):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **kwargs)
    check(done.returncode == 0 or not check_code, f"{argv}: {done.returncode}: {done.stdout}")
    return done.stdout


class Client:
    """A connection that stays open until it is told to end."""

    def __init__(self, prefix, script, host, port, source=""):
        self.proc = subprocess.Popen([*prefix, sys.executable, "-c", script, host, str(port),
                                      source], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        words = self.proc.stdout.readline().split()
        check(len(words) == 6, f"no connection to {host} port {port}: {words}")
        self.saddr, self.sport, self.daddr, self.dport = (words[0], int(words[1]), words[2],
                                                          int(words[3]))
        self.seen = (words[4], int(words[5]))  # by the server

    def end(self, how=""):
        self.proc.stdin.write(how)
        self.proc.stdin.close()
        equal(self.proc.wait(30 * SLOWDOWN), 0, "the client's exit code")
        self.proc.stdout.close()

    def records(self, tracer, netns):
        return [r for r in tracer.records() if r["netns"] == netns and (r["saddr"], r["sport"],
                r["daddr"], r["dport"]) == (self.saddr, self.sport, self.daddr, self.dport)]

    def close_record(self, tracer, netns):
        def found():
            return [r for r in self.records(tracer, netns) if r["event"] == "close"]
        return wait_for("a close record", found, 20)[0]


OPTIONS = "nat: true\nsnapshot_interval: 300ms\nrecords: {open: true}\n"


class Nets:
    """The two namespaces."""

    def __init__(self, rules=RULES):
        self.names = {name: f"conntrace-{name}-{os.getpid()}" for name in ("host", "peer")}
        self.rules = rules
        self.children = []

    def __enter__(self):
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        host, peer = self.names["host"], self.names["peer"]
        run("ip", "link", "add", "vh", "netns", host, "type", "veth", "peer", "name", "vp", "netns",
            peer)
        for name, link, addresses in ((host, "vh", ("10.77.0.1/24", "10.77.0.9/24",
                                                    "10.88.0.1/32", "fd77::1/64")),
                                      (peer, "vp", ("10.77.0.2/24", "fd77::2/64"))):
            for address in addresses:
                run("ip", "-n", name, "addr", "add", address, "dev", link,
                    *(["nodad"] if ":" in address else []))
            run("ip", "-n", name, "link", "set", link, "up")
        run("ip", "-n", host, "route", "add", "10.99.0.0/24", "via", "10.77.0.2")
        run("ip", "-n", host, "-6", "route", "add", "fd99::/64", "via", "fd77::2")
        if self.rules:
            run(*self.host, "nft", "-f", "-", input=self.rules)
        for prefix, six in ((self.peer, True), (self.host, False)):
            server = subprocess.Popen([*prefix, sys.executable, "-c",
                                       SERVER.replace("SIX", str(six))],
                                      stdout=subprocess.PIPE, text=True)
            self.children.append(server)
            equal(server.stdout.readline().strip(), "up", "the server")
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()
            child.stdout.close()
        for name in self.names.values():
            run("ip", "netns", "del", name)

    @property
    def host(self):
        return ["ip", "netns", "exec", self.names["host"]]

    @property
    def peer(self):
        return ["ip", "netns", "exec", self.names["peer"]]

    def inode(self, which="host"):
        return os.stat(f"/run/netns/{self.names[which]}").st_ino

    def client(self, host, port, source="", script=CLIENT, prefix=None):
        client = Client(prefix or self.host, script, host, port, source)
        self.children.append(client.proc)
        return client

    def tracked(self, *words):
        """What conntrack shows of it: {direction: (src, dst, sport, dport)}; None if nothing."""
        for line in run(*self.host, "conntrack", "-L", check_code=False).splitlines():
            tuples = re.findall(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)", line)
            if len(tuples) == 2 and all(word in line for word in words):
                return [(src, dst, int(sport), int(dport)) for src, dst, sport, dport in tuples]
        return None

    def flood(self, host, first, count, pause=0):
        run(*self.host, sys.executable, "-c", FLOOD, host, *map(str, (first, count, pause)))

    def tracer(self, tree, more="", **kwargs):
        return Tracer(more=OPTIONS + FILTERS + more,
                      binaries=tree.bin, wrap=self.host, **kwargs)


@contextlib.contextmanager
def traced(more="", rules=RULES, **kwargs):
    """(nets, tracer), with a loader that has CAP_NET_ADMIN."""
    with Tree(nat=True) as tree, Nets(rules) as nets, nets.tracer(tree, more, **kwargs) as tracer:
        yield nets, tracer


def stats(tracer):
    """Of the exporter, which tells them once a second."""
    return wait_for("numbers", lambda: tracer.process("exporter")["stats"])


def as_nat(saddr, sport, daddr, dport):
    return {"saddr": saddr, "sport": sport, "daddr": daddr, "dport": dport}


def sees(tracer, nets, client, want):
    """All of a client's records, to the close, say how the server sees it."""
    record = client.close_record(tracer, nets.inode())
    equal(record["nat"], want, f"nat of {client.daddr} port {client.dport}")
    for other in client.records(tracer, nets.inode()):
        # A datagram is recorded before it leaves, and translated when it does.
        if (other["event"], other["protocol"], other["nat"]) != ("open", "udp", None):
            equal(other["nat"], want, f"nat of its {other['event']} record")
