# SPDX-License-Identifier: Apache-2.0
"""What the records say of connections whose addresses are translated, and who is told what."""

import json
import os
import subprocess
import sys
import time

from harness import (SLOWDOWN, Tracer, Tree, check, equal, main, proc_status, steps_of,
                     wait_for)
from metrics import check_as_status
from nat_nets import FILTERS, UDP_CLIENT, Nets, as_nat, run, sees, stats, traced

CAP_NET_ADMIN = 1 << 12
TRACER_CAPS = (1 << 38) | (1 << 39)
GIVEN_UP = "; permitted now: cap_perfmon,cap_bpf"  # before anything else is done

FACTS = """
import errno, os, socket, struct
def open_socket():
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    s.bind((0, 0))
    s.settimeout(30)
    return s
REQUEST = struct.pack("=IHHIIBBH", 20, 1 << 8 | 1, 0x301, 1, 0, 0, 0, 0)
events, dump, asking = open_socket(), open_socket(), open_socket()
for group in (1, 3):
    events.setsockopt(270, 1, group)
dump.send(REQUEST)
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
with open("/proc/self/status") as f:
    print("capabilities:", dict(l.split(":", 1) for l in f)["CapEff"].strip())
dumped, parts, done = 0, 0, False
while not done:
    data = dump.recv(1 << 16)
    parts += 1
    at = 0
    while at < len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        done = done or kind == 3
        dumped += kind == 1 << 8
        at += (length + 3) & ~3
print("dumped:", dumped)
print("parts:", parts)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b"?", ("10.77.0.2", 15000))
s.sendto(b"?", ("10.99.0.2", 15001))
read = [struct.unpack_from("=IH", events.recv(1 << 16))[1] == 1 << 8 for _ in range(2)]
print("events:", sum(read))
asking.send(REQUEST)
print("asking:", errno.errorcode[-struct.unpack_from("=IHHIIi", asking.recv(1 << 16))[5]])
try:
    asking.setsockopt(270, 1, 1)
    print("joining: allowed")
except OSError as error:
    print("joining:", errno.errorcode[error.errno])
"""


def test_the_reader_is_told_what_it_may_not_ask():
    """The facts that this is built on, of this kernel: whoever has the fds but no privilege reads
    events and the dump to its end, and can neither ask for one nor join."""
    with Nets() as nets:
        for _ in range(3):
            nets.flood("10.77.0.2", 20000, 200)
        said = run(*nets.host, sys.executable, "-c", FACTS)
        print("".join(f"# {line}\n" for line in said.splitlines()), end="")
        facts = dict(line.split(": ") for line in said.splitlines())
        equal(facts["capabilities"], "0000000000000000", "of the reader")
        check(int(facts["dumped"]) >= 200, facts)
        check(int(facts["parts"]) > 2, facts)
        equal(facts["events"], "2", "events read")
        equal(facts["asking"], "EPERM", "asking for a dump")
        equal(facts["joining"], "EPERM", "joining a group")


def test_a_client_behind_dnat_is_told_who_answers():
    with traced() as (nets, tracer):
        client = nets.client("10.99.0.1", 80)
        original, reply = nets.tracked("dst=10.99.0.1 ", f"sport={client.sport} ")
        equal(original, ("10.77.0.1", "10.99.0.1", client.sport, 80), "conntrack's original")
        equal(client.seen, (client.saddr, client.sport), "whom the server saw")
        client.end()
        sees(tracer, nets, client, as_nat(reply[1], reply[3], "10.77.0.2", 8080))
        check_as_status(tracer, os.uname().release)
        # The server's socket is of a namespace whose connection tracking is not listened to.
        other = [r for r in tracer.closes(nets.inode("peer"), 1) if r["dport"] == client.sport]
        equal([(r["saddr"], r["sport"], r["nat"]) for r in other], [("10.77.0.2", 8080, None)],
              "the other end, in another namespace")


def test_a_client_behind_masquerade_and_snat_is_told_who_it_seems_to_be():
    with traced() as (nets, tracer):
        snat = nets.client("10.77.0.2", 8081)
        masqueraded = nets.client("10.77.0.2", 8080, source="10.88.0.1")
        plain = nets.client("10.77.0.2", 8080)
        equal(snat.seen[0], "10.77.0.9", "whom the server saw")
        check(20000 <= snat.seen[1] <= 29999, f"its port: {snat.seen}")
        equal(masqueraded.saddr, "10.88.0.1", "its own name")
        check(masqueraded.seen[0] != "10.88.0.1", f"not masqueraded: {masqueraded.seen}")
        for client, port in ((snat, 8081), (masqueraded, 8080)):
            _, reply = nets.tracked(f"dport={port} ", f"sport={client.sport} ")
            equal((reply[1], reply[3]), client.seen, "conntrack's reply goes to")
            client.end()
            sees(tracer, nets, client, as_nat(*client.seen, "10.77.0.2", port))
        equal(plain.seen, (plain.saddr, plain.sport), "whom the server saw, untranslated")
        plain.end()
        sees(tracer, nets, plain, None)
        wait_for("translated connections known", lambda: stats(tracer)["nat_connections"] == 2)
        # The filter in the kernel: of others nothing is told.
        nets.flood("10.77.0.2", 20000, 50)
        before = tracer.process("exporter")["stats"]["records"]
        nets.client("10.77.0.2", 8080).end()
        wait_for("later numbers", lambda: stats(tracer)["records"] > before)
        equal(stats(tracer)["nat_events"], 2, "events")


def test_a_server_behind_dnat_is_told_whom_the_client_called():
    with traced() as (nets, tracer):
        client = nets.client("10.77.0.9", 80, prefix=nets.peer)
        original, _ = nets.tracked("dst=10.77.0.9 ", f"sport={client.sport} ")
        equal(original, ("10.77.0.2", "10.77.0.9", client.sport, 80), "conntrack's original")
        client.end()
        record = wait_for("the server's close", lambda: [
            r for r in tracer.closes(nets.inode()) if r["direction"] == "incoming"])[0]
        equal((record["saddr"], record["sport"], record["daddr"], record["dport"]),
              ("10.77.0.1", 8080, "10.77.0.2", client.sport), "the server's socket")
        equal(record["nat"], as_nat("10.77.0.9", 80, "10.77.0.2", client.sport), "nat")


def test_ipv6():
    with traced() as (nets, tracer):
        client = nets.client("fd99::1", 80)
        client.end()
        sees(tracer, nets, client, as_nat(*client.seen, "fd77::2", 8080))


def test_udp_where_flows_are_traced():
    with traced() as (nets, tracer):
        if not any((p["name"], p["state"]) == ("trace_udp_send", "attached")
                   for p in tracer.status()["probes"]):
            return "the tracer that is taken here records no UDP flow"
        client = nets.client("10.99.0.1", 53, script=UDP_CLIENT)
        # Its end may come first, too.
        run(*nets.host, "conntrack", "-D", "-p", "udp", "--dport", "53")
        time.sleep(0.3 * SLOWDOWN)
        client.end()
        sees(tracer, nets, client, as_nat(*client.seen, "10.77.0.2", 5353))
    return None


def test_without_the_capability_it_works_without_and_says_so():
    with Tree() as tree, Nets() as nets, nets.tracer(tree) as tracer:
        client = nets.client("10.99.0.1", 80)
        client.end()
        sees(tracer, nets, client, None)
        status = tracer.status()
        step = steps_of(status)["-", "nat"]
        equal(step["result"], "degraded", "the step")
        check("setcap cap_bpf,cap_perfmon,cap_net_admin+p" in step["detail"], step["detail"])
        check(status["degraded"], "the status does not say degraded")
        check("loader: nat: lacks cap_net_admin" in tracer.text(), tracer.text())
        # What the loader's file does not have, nobody can get.
        for name in ("supervisor", "loader", "exporter"):
            bounding = int(proc_status(tracer.process(name)["pid"])["CapBnd"], 16)
            equal(bounding & ~TRACER_CAPS, 0, f"{name}: CapBnd")


def not_degraded(tracer):
    """But for what the tracer's programs lack here."""
    status = tracer.status()
    equal(status["degraded"], any(p["state"] in ("missing", "failed") for p in status["probes"]),
          "degraded")


def test_with_the_capability_nobody_keeps_it():
    with traced() as (nets, tracer):
        step = steps_of(tracer.status())["-", "nat"]
        equal(step["result"], "ok", "the step")
        check(step["detail"].endswith(GIVEN_UP), step["detail"])
        not_degraded(tracer)
        for name in ("supervisor", "loader", "exporter"):
            status = proc_status(tracer.process(name)["pid"])
            equal(int(status["CapBnd"], 16), TRACER_CAPS | CAP_NET_ADMIN, f"{name}: CapBnd")
            for cap_set in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
                equal(int(status[cap_set], 16) & CAP_NET_ADMIN, 0, f"{name}: {cap_set}")


def test_the_capability_without_nat_is_given_up():
    with Tree(nat=True) as tree, Nets() as nets:
        with Tracer(more=FILTERS, binaries=tree.bin, wrap=nets.host) as tracer:
            step = steps_of(tracer.status())["-", "nat"]
            equal((step["result"], step["detail"]), ("skipped", "not asked for (nat)" + GIVEN_UP),
                  "the step")
            not_degraded(tracer)
            status = proc_status(tracer.process("loader")["pid"])
            equal(int(status["CapPrm"], 16) & CAP_NET_ADMIN, 0, "CapPrm")
            client = nets.client("10.99.0.1", 80)
            client.end()
            sees(tracer, nets, client, None)


def test_doctor_tells_it_before():
    for nat, verdict in ((False, 1), (True, 0)):
        with Tree(nat=nat) as tree:
            done = subprocess.run([os.path.join(tree.bin, "conntrace"), "doctor", "--json",
                                   "--nat"], capture_output=True, text=True, check=False,
                                  timeout=30 * SLOWDOWN)
            said = json.loads(done.stdout)
            check(said["kernel"]["conntrack"], "not tracked here")
            about = [p for p in said["problems"] if "nat" in p["what"].split()]
            equal(len(about), verdict, f"problems with nat: {said['problems']}")
            for problem in about:
                check("cap_net_admin" in problem["what"], problem)
                check("setcap cap_bpf,cap_perfmon,cap_net_admin+p" in problem["remedy"], problem)


def test_listening_does_not_make_the_kernel_track():
    with traced(rules="") as (nets, tracer):
        equal(steps_of(tracer.status())["-", "nat"]["result"], "ok", "the step")
        client = nets.client("10.77.0.2", 8080)
        tracked = int(run(*nets.host, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))
        equal(tracked, 0, "connections tracked, without a rule that asks for it")
        client.end()
        sees(tracer, nets, client, None)


def test_without_events_it_works_without_and_says_so():
    with Tree(nat=True) as tree, Nets() as nets:
        run(*nets.host, "sh", "-c", "echo 0 >/proc/sys/net/netfilter/nf_conntrack_events")
        with nets.tracer(tree) as tracer:
            step = steps_of(tracer.status())["-", "nat"]
            equal(step["result"], "degraded", "the step")
            check("nf_conntrack_events=1" in step["detail"], step["detail"])


if __name__ == "__main__":
    main([test_the_reader_is_told_what_it_may_not_ask,
          test_a_client_behind_dnat_is_told_who_answers,
          test_a_client_behind_masquerade_and_snat_is_told_who_it_seems_to_be,
          test_a_server_behind_dnat_is_told_whom_the_client_called,
          test_ipv6,
          test_udp_where_flows_are_traced,
          test_without_the_capability_it_works_without_and_says_so,
          test_with_the_capability_nobody_keeps_it,
          test_the_capability_without_nat_is_given_up,
          test_doctor_tells_it_before,
          test_listening_does_not_make_the_kernel_track,
          test_without_events_it_works_without_and_says_so])
