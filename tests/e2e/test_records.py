# SPDX-License-Identifier: Apache-2.0
"""Every connection once and with the right numbers; the truth comes from those who made them."""

import collections
import json
import os
import signal
import subprocess
import tempfile
import time

from connections import listed, same_moment
from harness import (SLOWDOWN, Tracer, check, conngen, equal, load, main, network_namespace,
                     wait_for)

IPERF3_PORT = 5201
MUCH = 100000  # bytes, more than what iperf3 says beside the transfer


def ends_of(path):
    """conngen's own list: one line for each end of each connection."""
    with open(path, encoding="ascii") as f:
        for line in f:
            _, saddr, sport, daddr, dport, sent, received = line.split()
            yield (saddr, int(sport), daddr, int(dport), int(sent), int(received))


def ends_at(tracer, netns, port):
    """The close records of both ends of the connection with that port, once both are there."""
    ends = [r for r in tracer.closes(netns) if port in (r["sport"], r["dport"])]
    return ends if len(ends) == 2 else None


def output_of(command):
    """What the command printed, None if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def run_and_compare(tracer, netns, prefix, *args):
    with tempfile.TemporaryDirectory() as tmp:
        listing = os.path.join(tmp, "ends")
        conngen(prefix, "run", "--list", listing, *args)
        want = collections.Counter(ends_of(listing))
        ends = sum(want.values())
    got = collections.Counter(
        (r["saddr"], r["sport"], r["daddr"], r["dport"], r["bytes_sent"], r["bytes_received"])
        for r in tracer.closes(netns, ends))
    missing, extra = want - got, got - want
    check(not extra, f"{sum(extra.values())} not conngen's, e.g. {list(extra)[:2]}; "
                     f"{sum(missing.values())} missing, e.g. {list(missing)[:2]}")
    if missing:
        tracer.check_unseen(sum(missing.values()), ends)
    return ends


def test_each_of_many_connections_gives_two_exact_close_records():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        ends = run_and_compare(tracer, netns, prefix, "--connections", load(20000),
                               "--request", 64, "--response", 256, "--threads", 2, "--ports", 8)
        equal(ends, 2 * load(20000), "ends")
        identity = tracer.drained()["identity"]
        counters = tracer.status()["counters"]
        check(identity["holds"], f"identity: {identity}")
        equal(identity["dropped"], counters["lost_unseen"], "dropped")
        equal(identity["opened"], identity["live"] + identity["closed"], "opened = live + closed")
        equal(counters["lost_close"], 0, "lost")
        seen = collections.Counter((r["cpu"], r["seq"]) for r in tracer.records())
        equal(max(seen.values()), 1, "records with the same cpu and seq")


def test_ipv6_and_the_server_closing_first():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        run_and_compare(tracer, netns, prefix, "--addr", "::1", "--connections", load(500),
                        "--close", "server", "--request", 1000, "--response", 100000, "--ports", 4)
        check(all(r["family"] == 6 for r in tracer.closes(netns)), "family is not 6")


def test_a_refused_connect_is_a_close_that_never_was_established():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        subprocess.run([*prefix, "curl", "-s", "http://127.0.0.1:9/"], check=False)
        (record,) = wait_for("the record", lambda: tracer.closes(netns))
        equal(record["established_ns"], 0, "established_ns")
        equal(record["error"], "ECONNREFUSED", "error")
        equal(record["state"], "syn_sent", "state")
        equal(record["comm"], "curl", "comm")


def test_curl_and_nginx_with_owner_bytes_and_duration():
    with network_namespace() as (prefix, netns), tempfile.TemporaryDirectory() as tmp:
        conf = os.path.join(tmp, "nginx.conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"daemon off; pid {tmp}/pid; error_log {tmp}/err; user root;\n"
                    "events {}\n"
                    "http { access_log off; server { listen 127.0.0.1:8080;\n"
                    f"location / {{ root {tmp}; }} }} }}\n")
        with open(os.path.join(tmp, "page"), "wb") as f:
            f.write(b"x" * 300000)
        with Tracer() as tracer:
            nginx = subprocess.Popen([*prefix, "nginx", "-c", conf], stderr=subprocess.DEVNULL)
            try:
                out = wait_for("nginx answers", lambda: output_of(
                    [*prefix, "curl", "-s", "-o", "/dev/null", "-w",
                     '{"size_request": %{size_request}, "size_header": %{size_header}, '
                     '"size_download": %{size_download}, "local_port": %{local_port}, '
                     '"time_total": %{time_total}}', "http://127.0.0.1:8080/page"]))
                told = json.loads(out)
                both = wait_for("both ends", lambda: ends_at(tracer, netns, told["local_port"]))
                ours = {r["direction"]: r for r in both}
            finally:
                nginx.terminate()
                nginx.wait()
            client, server = ours["outgoing"], ours["incoming"]
            equal(client["comm"], "curl", "client")
            equal(client["bytes_sent"], told["size_request"], "bytes sent")
            equal(client["bytes_received"], told["size_header"] + told["size_download"],
                  "bytes received")
            equal(server["bytes_sent"], client["bytes_received"], "the other end's view")
            equal(server["comm"], "nginx", "server")
            took = (client["closed_ns"] - client["opened_ns"]) / 1e9
            check(took <= told["time_total"] + 0.05 * SLOWDOWN, f"duration {took} s, curl says {told}")
            check(abs(client["closed_ns"] / 1e9 - time.time()) < 30, "closed_ns is not realtime")


def iperf3_server(prefix):
    server = subprocess.Popen([*prefix, "iperf3", "-s", "-1", "-B", "127.0.0.1"],
                              stdout=subprocess.DEVNULL)
    wait_for("iperf3 listens", lambda: str(IPERF3_PORT) in subprocess.run(
        [*prefix, "ss", "-ltn"], capture_output=True, text=True, check=True).stdout)
    return server


def transfer(tracer, netns):
    """The data connection of iperf3 in the list, once much has been sent."""
    return wait_for("the transfer in the list", lambda: [
        r for r in listed(tracer, netns)
        if r["dport"] == IPERF3_PORT and r["bytes_sent"] > MUCH])


def test_iperf3_bytes_and_the_live_list():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        server = iperf3_server(prefix)
        client = subprocess.Popen([*prefix, "iperf3", "-c", "127.0.0.1", "-J", "-t",
                                   "3" if SLOWDOWN == 1 else "6"],
                                  stdout=subprocess.PIPE, text=True)
        flowing = transfer(tracer, netns)
        told = json.loads(client.communicate(timeout=30 * SLOWDOWN)[0])
        server.wait(10 * SLOWDOWN)
        port = told["start"]["connected"][0]["local_port"]
        equal([(r["sport"], r["state"]) for r in flowing], [(port, "established")],
              "the transfer in the list while it runs")
        both = wait_for("both ends", lambda: ends_at(tracer, netns, port))
        sender = [r for r in both if r["sport"] == port]
        receiver = [r for r in both if r["dport"] == port]
        equal((len(sender), len(receiver)), (1, 1), "records of the data connection")
        sent = told["end"]["sum_sent"]["bytes"]
        cookie = 37  # iperf3 opens each stream with a cookie that its report doesn't count
        # iperf3 counts what it wrote until its time was up; the close may cut the tail that was
        # still unacknowledged: no more than one send buffer.
        window = 16 << 20
        for name, got in (("sender", sender[0]["bytes_sent"]),
                          ("receiver", receiver[0]["bytes_received"])):
            check(sent + cookie - window <= got <= sent + cookie,
                  f"{name}: record {got}, iperf3 {sent}, difference {sent + cookie - got}")
        print(f"# iperf3 sent {sent} + cookie {cookie}; sender's record "
              f"{sender[0]['bytes_sent']}, receiver's {receiver[0]['bytes_received']}")


def test_a_live_connection_agrees_with_ss():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        server = iperf3_server(prefix)
        client = subprocess.Popen([*prefix, "iperf3", "-c", "127.0.0.1", "-t", "100"],
                                  stdout=subprocess.DEVNULL)
        try:
            transfer(tracer, netns)
            # In the middle of it, so that little changes between our look and that of ss.
            client.send_signal(signal.SIGSTOP)
            server.send_signal(signal.SIGSTOP)
            told, live = same_moment(tracer, prefix, netns, ["dst", f"127.0.0.1:{IPERF3_PORT}"])
        finally:
            for process in (client, server):
                process.kill()
                process.wait()
    equal(len(told), 2, "connections compared")
    for port, words, acked in told:
        (ours,) = [r for r in live if r["sport"] == port]
        for name, want in {**words, "bytes_sent": acked - 1}.items():  # less the SYN
            equal(ours[name], want, f"{name} of {ours}; ss: {words}")


if __name__ == "__main__":
    main([test_each_of_many_connections_gives_two_exact_close_records,
          test_ipv6_and_the_server_closing_first,
          test_a_refused_connect_is_a_close_that_never_was_established,
          test_curl_and_nginx_with_owner_bytes_and_duration,
          test_iperf3_bytes_and_the_live_list,
          test_a_live_connection_agrees_with_ss])
