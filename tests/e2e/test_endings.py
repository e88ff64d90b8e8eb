# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""How connections begin and end: a table of scenarios. Every field of each end's record is compared
with what those say who made the connection, and with what the kernel said of their sockets."""

import contextlib

from harness import Tracer, check, equal, main, wait_for
from scenario import Stage, check_pair, check_record

stage = None  # the tracer that all scenes share


def pair_of(scene, client_text, server_text):
    """Run a server, and a client that connects to it. Returns what they said of the connecting end,
    of the accepted end, and of the listener."""
    server = scene.script("named('server')\n" + server_text)
    listener = server.fact()
    client = scene.script("named('client')\n" + client_text, listener["port"])
    by, at = client.fact(), server.fact()
    server.go()
    # What they say later of themselves is newer.
    for fact in client.end():
        by.update(fact)
    for fact in server.end():
        at.update(fact)
    return by, at, listener


def check_both(scene, facts, out, in_, closer=None):
    """The records of both ends. out, in_: what is expected of them; closer: facts of who closed the
    accepted end, None if it ended before anybody did."""
    by, at, listener = facts
    owner, who = scene.owner(at, listener, closer)
    ours = check_record(scene, by, **out)
    theirs = check_record(scene, at, who=who, owner=owner, **in_)
    check_pair(ours, theirs)
    scene.ended(2)
    return ours, theirs


def retransmitted(scene):
    """Segments of TCP that were sent again in the namespace."""
    names, numbers = (line.split() for line in scene.run("cat /proc/net/snmp").splitlines()
                      if line.startswith("Tcp:"))
    return int(numbers[names.index("RetransSegs")])


def attempt(scene, text, met, answers=0, **expected):
    """A connection that is never established: the script must meet that error. answers: segments
    that come back. Returns how often a SYN was sent again."""
    script = scene.script("named('tries')\n" + text)
    facts = script.fact()
    script.end()
    equal(facts["met"], met, "what the script met")
    # After an error the kernel forgets the socket's own counts: what it counted of the namespace.
    again = retransmitted(scene)
    check_record(scene, facts, established_ns=0, state="syn_sent", segs_out=1 + again,
                 segs_in=answers, retransmits=again, lost=again, **expected)
    scene.ended(1)
    return again


# --- connections that are never established -------------------------------------------------------

def test_refused():
    with stage.scene() as scene:
        attempt(scene, "try_to_connect('127.0.0.1', 9)", "ECONNREFUSED", answers=1,
                end="refused", error="ECONNREFUSED")


def filter_input(scene, rule):
    scene.run("nft add table ip t")
    scene.run("nft add chain ip t in { type filter hook input priority 0 ; }")
    scene.run(f"nft add rule ip t in {rule}")


def test_timeout():
    """Every SYN is dropped."""
    with stage.scene() as scene:
        scene.run("sysctl -q net.ipv4.tcp_syn_retries=1")
        filter_input(scene, "tcp dport 80 drop")
        again = attempt(scene, "try_to_connect('127.0.0.1', 80)", "ETIMEDOUT", end="timeout",
                        error="ETIMEDOUT")
    check(again > 0, "the kernel sent nothing again")


def link(scene):
    """A link of the namespace to nowhere: 192.0.2.1 is here, 192.0.2.7 gets all packets and answers
    none, 192.0.2.8 has no hardware address."""
    for command in ("ip link add v0 type veth peer name v1", "ip link set v1 up",
                    "ip link set v0 up", "ip addr add 192.0.2.1/24 dev v0",
                    "ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev v0",
                    "sysctl -q net.ipv4.neigh.v0.retrans_time_ms=200"):
        scene.run(command)


def test_the_host_is_unreachable():
    """It does not answer who it is."""
    with stage.scene() as scene:
        link(scene)
        attempt(scene, "try_to_connect('192.0.2.8', 80, '192.0.2.1')", "EHOSTUNREACH",
                end="unreachable", error="EHOSTUNREACH")


def test_the_network_is_unreachable():
    """A router says so."""
    with stage.scene() as scene:
        filter_input(scene, "tcp dport 80 reject with icmp type net-unreachable")
        attempt(scene, "try_to_connect('127.0.0.1', 80)", "ENETUNREACH", end="unreachable",
                error="ENETUNREACH")


def test_a_connect_that_is_cancelled():
    with stage.scene() as scene:
        link(scene)
        attempt(scene, "try_to_connect('192.0.2.7', 80, '192.0.2.1', 0).close()", "EINPROGRESS",
                end="cancelled")


# --- orderly ends ---------------------------------------------------------------------------------

def test_the_client_closes_first():
    with stage.scene() as scene:
        facts = pair_of(scene, "s = connect(); s.sendall(b'x' * 1000); s.shutdown(1); drain(s)",
                        "c = accept(listen()); drain(c); c.sendall(b'y' * 300); c.close()")
        check_both(scene, facts, closer=facts[1],
                   out={"end": "fin", "closer": "local", "bytes_sent": 1000,
                        "bytes_received": 300, "state": "fin_wait2"},
                   in_={"end": "fin", "closer": "remote", "bytes_sent": 300,
                        "bytes_received": 1000, "state": "last_ack"})


def test_the_server_closes_first():
    with stage.scene() as scene:
        facts = pair_of(scene, "s = connect(); drain(s)",
                        "c = accept(listen()); c.sendall(b'y' * 300); c.close()")
        check_both(scene, facts, closer=facts[1],
                   out={"end": "fin", "closer": "remote", "bytes_received": 300,
                        "state": "last_ack"},
                   in_={"end": "fin", "closer": "local", "bytes_sent": 300, "state": "fin_wait2"})


def test_both_close_at_once():
    """While nothing gets through both send their FIN."""
    with stage.scene() as scene:
        ends = "wait(); {0}.shutdown(1); wait(); drain({0})"
        server = scene.script("named('server'); c = accept(listen()); " + ends.format("c"))
        listener = server.fact()
        client = scene.script("named('client'); s = connect(); " + ends.format("s"),
                              listener["port"])
        by, at = client.fact(), server.fact()
        server.go()
        scene.run("ip link set lo down")
        for _ in range(2):
            client.go()
            server.go()
        wait_for("both FINs",
                 lambda: scene.run("ss -tnH state fin-wait-1").count("\n") == 2)
        scene.run("ip link set lo up")
        client.end()
        server.end()
        both = {"end": "fin", "closer": "local"}
        ours, theirs = scene.record_of(by), scene.record_of(at)
        # Either FIN may be the one that is sent again first.
        check({"closing"} <= {ours["state"], theirs["state"]} <= {"closing", "fin_wait2"},
              f"states {ours['state']}, {theirs['state']}")
        check(ours["retransmits"] + theirs["retransmits"] > 0, "no FIN was sent again")
        check_both(scene, (by, at, listener), closer=at,
                   out={**both, "state": ours["state"], "lost": ours["lost"]},
                   in_={**both, "state": theirs["state"], "lost": theirs["lost"]})


def test_a_process_that_has_exited_by_the_end():
    """It leaves; the kernel delivers what it sent, and the connection ends later."""
    with stage.scene() as scene:
        server = scene.script("named('server'); c = accept(listen()); say(got=drain(c)); c.close()")
        listener = server.fact()
        client = scene.script("named('gone by then'); os.setuid(65534); s = connect();"
                              "s.sendall(b'x' * 50000)", listener["port"])
        by, at = client.fact(), server.fact()
        client.end()
        server.go()
        equal(server.fact(), {"got": 50000}, "what the server got")
        server.end()
        equal((by["uid"], by["comm"]), (65534, "gone by then"), "who the client was")
        check_both(scene, (by, at, listener), closer=at,
                   out={"end": "fin", "closer": "local", "bytes_sent": 50000,
                        "state": "fin_wait2"},
                   in_={"end": "fin", "closer": "remote", "bytes_received": 50000,
                        "state": "last_ack"})


# --- ends out of order ----------------------------------------------------------------------------

def test_reset_by_the_peer():
    with stage.scene() as scene:
        facts = pair_of(scene, "s = connect(); drain_to_reset(s)",
                        "c = accept(listen()); say(info=info(c)); linger_0(c); c.close()")
        check_both(scene, facts,
                   out={"end": "reset_in", "error": "ECONNRESET", "state": "established"},
                   in_={"end": "reset_out", "state": "established"})


def test_close_with_data_unread_resets():
    with stage.scene() as scene:
        facts = pair_of(scene, "s = connect(); s.sendall(b'unread'); drain_to_reset(s)",
                        "c = accept(listen()); c.recv(6, socket.MSG_PEEK); c.close()")
        check_both(scene, facts,
                   out={"end": "reset_in", "error": "ECONNRESET", "bytes_sent": 6,
                        "state": "established"},
                   in_={"end": "reset_out", "bytes_received": 6, "resets": 1,
                        "state": "established"})


def test_half_open():
    """The other end is gone without a word: data is not acknowledged any more."""
    with stage.scene() as scene:
        link(scene)
        scene.run("ip addr add 192.0.2.7/32 dev lo")
        server = scene.script("c = accept(listen('192.0.2.7'));"
                              "say(info=info(c)); linger_0(c); c.close()")
        listener = server.fact()
        client = scene.script("""
s = connect("192.0.2.7", source="192.0.2.1")
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)
wait()
s.sendall(b"anybody?")
try:
    drain(s)
except TimeoutError:
    say(met="timeout")
""", listener["port"])
        by, at = client.fact(), server.fact()
        scene.run("ip addr del 192.0.2.7/32 dev lo")
        client.go()
        equal(client.fact(), {"met": "timeout"}, "what the client met")
        client.end()
        record = scene.record_of(by)
        check(record["retransmits"] > 0, "nothing was sent again")
        check_record(scene, by, end="timeout", error="ETIMEDOUT", state="established",
                     lost=record["lost"])
        equal(scene.ended(1), [record], "the other end does not know")
        server.go()
        for fact in server.end():
            at.update(fact)
        check_both(scene, (by, at, listener),
                   out={"end": "timeout", "error": "ETIMEDOUT", "state": "established",
                        "lost": record["lost"]},
                   in_={"end": "reset_out", "state": "established"})


def test_aborted_by_the_administrator():
    with stage.scene() as scene:
        server = scene.script("named('server'); c = accept(listen())")
        listener = server.fact()
        client = scene.script("named('client'); s = connect(); s.sendall(b'x' * 100); wait()",
                              listener["port"])
        by, at = client.fact(), server.fact()
        killed = scene.run(f"ss -K -tnH sport = :{by['local'][1]}")
        if not killed:
            return "this kernel lets no administrator end a connection"
        client.end()
        server.end()
        check_both(scene, (by, at, listener),
                   out={"end": "aborted", "error": "ECONNABORTED", "bytes_sent": 100,
                        "state": "established"},
                   in_={"end": "reset_in", "error": "ECONNRESET", "bytes_received": 100,
                        "state": "established"})
    return None


# --- whose it is ----------------------------------------------------------------------------------

def test_reuseport_listeners():
    """Several processes listen at one port: each accepted connection belongs to the right one."""
    text = """
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", int(sys.argv[1])))
s.listen()
s.setblocking(False)
say(port=s.getsockname()[1], **me())
wait()
try:
    while True:
        c, _ = s.accept()
        say(**about(c), after=time.time_ns())
        c.close()
except BlockingIOError:
    pass
"""
    count = 20
    with stage.scene() as scene:
        servers = [scene.script(text, 0)]
        listeners = [servers[0].fact()]
        port = listeners[0]["port"]
        servers += [scene.script(text, port) for _ in range(2)]
        listeners += [script.fact() for script in servers[1:]]
        client = scene.script(f"held = [connect() for _ in range({count})]\n"
                              "for s in held: drain(s)\n", port)
        asked = [client.fact() for _ in range(count)]
        told = []
        for script in servers:
            script.go()
            told.append(script.end())
        client.end()
        equal(sorted(at["remote"] for accepted in told for at in accepted),
              sorted(by["local"] for by in asked), "connections that the listeners accepted")
        check(sum(map(bool, told)) > 1, "all went to one listener: nothing was tested")
        scene.ended(2 * count)
        by_port = {by["local"][1]: by for by in asked}
        for listener, accepted in zip(listeners, told):
            for at in accepted:
                equal(at["pid"], listener["pid"], "process of the script")
                owner, who = scene.owner(at, listener, at)
                theirs = check_record(scene, at, who=who, owner=owner, end="fin", closer="local",
                                      state="fin_wait2")
                ours = check_record(scene, by_port[at["remote"][1]], end="fin", closer="remote",
                                    state="last_ack")
                check_pair(ours, theirs)
        equal(len({r["pair"] for r in scene.records()}), count, "keys of the connections")


def test_fork_and_close_in_the_child():
    with stage.scene() as scene:
        by, at, listener = pair_of(scene, "s = connect(); drain(s)", """
c = accept(listen())
ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    named('child')
    say(child=me())
    c.sendall(b"from the child")
    theirs.recv(1)  # the other has closed it: this is the last
    c.close()
    os._exit(0)
c.close()
ours.send(b"x")
os.waitpid(pid, 0)
""")
        check(at["child"]["pid"] != at["pid"], "the child is another process")
        # The one that has it open last, or that was first to accept it.
        check_both(scene, (by, at, listener), closer=at["child"],
                   out={"end": "fin", "closer": "remote", "bytes_received": 14,
                        "state": "last_ack"},
                   in_={"end": "fin", "closer": "local", "bytes_sent": 14, "state": "fin_wait2"})


def test_fd_passed_to_another_process():
    with stage.scene() as scene:
        by, at, listener = pair_of(scene, "s = connect(); drain(s)", """
s = listen()
ours, theirs = socket.socketpair()
pid = os.fork()
if pid == 0:
    named('heir')
    c = socket.socket(fileno=socket.recv_fds(theirs, 1, 1)[1][0])
    say(child=me())
    c.sendall(b"passed on")
    theirs.recv(1)  # the other has closed it: this is the last
    c.close()
    os._exit(0)
c = accept(s)
socket.send_fds(ours, [b"x"], [c.fileno()])
c.close()
ours.send(b"x")
os.waitpid(pid, 0)
""")
        check(at["child"]["pid"] != at["pid"], "the heir is another process")
        check_both(scene, (by, at, listener), closer=at["child"],
                   out={"end": "fin", "closer": "remote", "bytes_received": 9,
                        "state": "last_ack"},
                   in_={"end": "fin", "closer": "local", "bytes_sent": 9, "state": "fin_wait2"})


# --- addresses and the network --------------------------------------------------------------------

def three_bytes(scene, connect, listen, family):
    by, at, listener = pair_of(scene, f"s = {connect}; s.sendall(b'six'); s.close()",
                               f"c = accept({listen}); drain(c); c.close()")
    check_both(scene, (by, at, listener), closer=at,
               out={"end": "fin", "closer": "local", "bytes_sent": 3, "state": "fin_wait2",
                    "family": family},
               in_={"end": "fin", "closer": "remote", "bytes_received": 3, "state": "last_ack",
                    "family": family})
    return by["local"][0], at["local"][0]


def test_ipv6():
    with stage.scene() as scene:
        ends = three_bytes(scene, "connect('::1', socket.AF_INET6)",
                           "listen('::1', socket.AF_INET6)", 6)
    equal(ends, ("::1", "::1"), "addresses")


def test_ipv4_in_an_ipv6_socket():
    with stage.scene() as scene:
        ends = three_bytes(scene, "connect('::ffff:127.0.0.1', socket.AF_INET6)",
                           "listen('::', socket.AF_INET6, dualstack_ipv6=True)", 4)
    equal(ends, ("127.0.0.1", "127.0.0.1"), "addresses")


def test_congestion_that_is_marked():
    """Both ends agree on it, and what the client sends is marked on its way."""
    with stage.scene() as scene:
        scene.run("sysctl -q net.ipv4.tcp_ecn=1")
        filter_input(scene, "tcp sport >= 1 ip ecn ect0 ip ecn set ce")
        by, at, listener = pair_of(scene, "s = connect(); s.sendall(b'x' * 1000); s.shutdown(1);"
                                   "drain(s); say(info=info(s))",
                                   "c = accept(listen()); drain(c); c.close()")
        del by["info"]
        ours, _ = check_both(scene, (by, at, listener), closer=at,
                             out={"end": "fin", "closer": "local", "bytes_sent": 1000,
                                  "state": "fin_wait2", "ecn": True},
                             in_={"end": "fin", "closer": "remote", "bytes_received": 1000,
                                  "state": "last_ack", "ecn": True})
    check(ours["ecn_marked"] > 0, "nothing was marked")


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        stage = Stage(stack.enter_context(Tracer()))
        main([test for name, test in list(globals().items()) if name.startswith("test_")])
