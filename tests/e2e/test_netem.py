# SPDX-License-Identifier: Apache-2.0
"""A transfer over a link that delays, loses and reorders: what is recorded of both ends is what ss
says of their sockets at the same moment, and in the end what tcpdump saw of each."""

import collections
import contextlib
import os
import signal
import struct
import subprocess
import tempfile

from connections import same_moment
from harness import Tracer, check, equal, main, network_namespace, wait_for
from scenario import Script

CLIENT, SERVER = "192.0.2.1", "198.51.100.1"
SENT, ANSWERED, LAST = 1_000_000, 100_000, 1000  # bytes

# Both ends tell when all that they sent has been acknowledged, and go on when they are told to.
PRELUDE = """
import fcntl, json, os, socket, struct, sys, termios, time
def say(**facts):
    print(json.dumps(facts), flush=True)
def wait():
    sys.stdin.readline()
def settle(s):
    while struct.unpack("i", fcntl.ioctl(s.fileno(), termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(0.01)
    say(settled=True)
    wait()
def take(s, count):
    while count:
        count -= len(s.recv(min(count, 65536)))
"""
SERVE = """
listener = socket.create_server((sys.argv[1], 0))
say(port=listener.getsockname()[1])
s, _ = listener.accept()
take(s, %d)
s.sendall(b"y" * %d)
settle(s)
while s.recv(65536): pass
s.close()
""" % (SENT, ANSWERED)
SEND = """
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
say(port=s.getsockname()[1])
wait()
s.sendall(b"x" * %d)
take(s, %d)
settle(s)
s.sendall(b"z" * %d)
s.shutdown(1)
while s.recv(65536): pass
""" % (SENT, ANSWERED, LAST)


def run(prefix, command):
    return subprocess.run([*prefix, *command.split()], check=True, capture_output=True,
                          text=True).stdout


@contextlib.contextmanager
def path():
    """A client and a server with a router between them. Gives the prefixes of commands of the three,
    and the numbers of the first two's namespaces."""
    with network_namespace() as (client, client_ns), network_namespace("-r") as (router, _), \
            network_namespace("-s") as (server, server_ns):
        for prefix, local, far, address, gateway in (
                (client, "c0", "r0", CLIENT, "192.0.2.254"),
                (server, "s0", "r1", SERVER, "198.51.100.254")):
            run((), f"ip -n {prefix[-1]} link add {local} type veth peer {far} netns {router[-1]}")
            run(router, f"ip addr add {gateway}/24 dev {far}")
            run(router, f"ip link set {far} up")
            # A packet for each segment, so that one is lost at a time.
            run(prefix, f"ip link set {local} gso_max_segs 1 up")
            run(prefix, f"ip addr add {address}/24 dev {local}")
            run(prefix, f"ip route add default via {gateway}")
        run(router, "sysctl -q net.ipv4.ip_forward=1")
        yield client, client_ns, router, server, server_ns


FIN, SYN, ACK = 1, 2, 16
HALF = 1 << 31  # of the sequence numbers


def is_at_least(seq, other):
    return (seq - other) % (2 * HALF) < HALF


def packets(path):
    """(source port, sequence number, acknowledged number, flags, payload bytes) of each TCP segment in
    a capture."""
    with open(path, "rb") as file:
        data = file.read()
    equal(struct.unpack_from("<I", data)[0], 0xa1b2c3d4, "magic number of the capture")
    at = 24
    while at + 16 < len(data):
        (length,) = struct.unpack_from("<I", data, at + 8)
        if at + 16 + length > len(data):
            break  # is being written
        ip = at + 16 + 14  # behind the header of Ethernet
        header = 4 * (data[ip] & 15)
        (total,) = struct.unpack_from(">H", data, ip + 2)
        sport, _, seq, ack, offset, flags = struct.unpack_from(">HHIIBB", data, ip + header)
        yield sport, seq, ack, flags, total - header - 4 * (offset >> 4)
        at += 16 + length


def lifetime(path, passive):
    """The segments of a connection, from a capture, None if it is not over: up to the first that
    acknowledges the FIN of the end with that port, which is the last to send one. What comes then
    is sent and received by no socket: a FIN that is probed with, its answer."""
    found, over = [], None
    for segment in packets(path):
        sport, seq, ack, flags, payload = segment
        found.append(segment)
        if sport == passive and flags & FIN:
            over = seq + payload + 1
        elif over is not None and flags & ACK and is_at_least(ack, over):
            return found
    return None


class Capture:
    """tcpdump at one end, from when it says that it listens."""

    def __init__(self, prefix, device, directory):
        self.path = os.path.join(directory, device)
        self.process = subprocess.Popen(
            [*prefix, "tcpdump", "-Z", "root", "-n", "-s", "128", "-B", "8192", "-U",
             "--immediate-mode", "-i", device, "-w", self.path, "tcp"], stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        check("listening on" in line, f"tcpdump: {line}")

    def stop(self, passive):
        """Returns the segments of the connection."""
        found = wait_for("the end of the connection in the capture",
                         lambda: lifetime(self.path, passive))
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate()[1]
        check("\n0 packets dropped by kernel" in said, f"tcpdump: {said}")
        return found


def count(segments, port):
    """What of it went through a capture from that port, in the order in which it did."""
    counts = collections.Counter()
    high = None
    for sport, seq, _, flags, payload in segments:
        if sport != port:
            continue
        counts["segments"] += 1
        counts["handshakes"] += bool(flags & SYN)
        counts["with payload"] += payload > 0
        length = payload + bool(flags & SYN) + bool(flags & FIN)
        high = seq if high is None else high
        if length and not is_at_least(seq, high):
            counts["again"] += 1
        new = (seq + length - high) % (2 * HALF)
        if length and new < HALF:
            counts["bytes"] += min(payload, new)
            high = (seq + length) % (2 * HALF)
    return counts


def compare_live(tracer, prefix, netns, syn):
    """The list against ss, at a moment when nothing moves. syn: those of the bytes acknowledged that
    are none."""
    ((_, told, acked),), listed = same_moment(tracer, prefix, netns)
    equal(len(listed), 1, f"connections of the namespace in the list: {listed}")
    (record,) = listed
    for name, want in {**told, "bytes_sent": acked - syn}.items():
        equal(record[name], want, f"{name} of {record}; ss: {told}")
    return record


def loss_probes(prefix):
    """Segments that were sent again, before they were taken for lost, to find out."""
    lines = [line.split() for line in run(prefix, "cat /proc/net/netstat").splitlines()
             if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["TCPLossProbes"])


def compare_close(record, out, in_, passive):
    """The close record against the segments that went out of its end, and came in. passive: it was the
    listener that answered the SYN, and any other one; the kernel counts the first as the socket's."""
    equal(record["segs_out"], out["segments"] - passive * out["handshakes"], "segs_out")
    equal(record["segs_in"], in_["segments"] - passive * (in_["handshakes"] - 1), "segs_in")
    equal(record["retransmits"], out["again"], "retransmits")


def test_what_is_recorded_is_what_ss_and_tcpdump_say():
    with contextlib.ExitStack() as stack:
        client, client_ns, router, server, server_ns = stack.enter_context(path())
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        tracer = stack.enter_context(Tracer())
        stack.callback(Script.kill_all)
        at_client = Capture(client, "c0", directory)
        stack.callback(at_client.process.kill)
        at_server = Capture(server, "s0", directory)
        stack.callback(at_server.process.kill)
        serving = Script(server, SERVE, SERVER, prelude=PRELUDE)
        server_port = serving.fact()["port"]
        sending = Script(client, SEND, SERVER, server_port, prelude=PRELUDE)
        client_port = sending.fact()["port"]
        # Not before: while the handshake lasts the listener answers some segments, and not the socket.
        bad = "delay 10ms 2ms loss 2% reorder 10% 50%"
        try:
            for device in ("r0", "r1"):
                run(router, f"tc qdisc add dev {device} root netem {bad}")
        except subprocess.CalledProcessError as error:
            return f"the kernel has no netem: {error.stderr.strip()}"
        sending.go()
        for script in (serving, sending):
            equal(script.fact(), {"settled": True}, "what the script says")
        live = compare_live(tracer, client, client_ns, syn=1)
        equal((live["bytes_sent"], live["bytes_received"]), (SENT, ANSWERED), "bytes so far")
        answering = compare_live(tracer, server, server_ns, syn=0)
        equal((answering["bytes_sent"], answering["bytes_received"]), (ANSWERED, SENT),
              "bytes so far, of the other end")
        # The end is without losses: who repeats a last FIN or ACK is no connection any more.
        for device in ("r0", "r1"):
            run(router, f"tc qdisc del dev {device} root")
        sending.go()
        serving.go()
        sending.end()
        serving.end()
        wait_for("both records", lambda: tracer.closes(client_ns) and tracer.closes(server_ns))
        (ours,), (theirs,) = tracer.closes(client_ns), tracer.closes(server_ns)
        of_client, of_server = (capture.stop(server_port) for capture in (at_client, at_server))
        sent, got = (count(of_client, port) for port in (client_port, server_port))
        there, back = (count(of_server, port) for port in (client_port, server_port))
        probes = loss_probes(client)
    print(f"# sent {dict(sent)}, of them received {dict(there)}; answered {dict(back)}; "
          f"lost {ours['lost']}, reordered {ours['reordered']}, probes {probes}")
    compare_close(ours, sent, got, passive=False)
    compare_close(theirs, back, there, passive=True)
    equal(ours["bytes_sent"], sent["bytes"], "payload bytes that went out")
    equal(theirs["bytes_sent"], back["bytes"], "payload bytes that were answered")
    equal((ours["bytes_sent"], ours["bytes_received"]), (SENT + LAST, ANSWERED), "bytes")
    equal((theirs["bytes_sent"], theirs["bytes_received"]), (ANSWERED, SENT + LAST), "bytes")
    never_came = sent["with payload"] - there["with payload"]
    check(never_came > 0 and ours["retransmits"] >= never_came, f"lost on the way: {never_came}")
    # What never came was taken for lost, or a probe was sent instead.
    check(ours["lost"] >= never_came - probes, f"lost {ours['lost']}, never came: {never_came}")
    check(ours["reordered"] + theirs["reordered"] > 0, "no reordering was seen")
    return None


if __name__ == "__main__":
    main([test_what_is_recorded_is_what_ss_and_tcpdump_say])
