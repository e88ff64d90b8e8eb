# SPDX-License-Identifier: Apache-2.0
"""One tracer takes over from another, under load: no connection is missing, none is recorded by
both, what is known of open ones goes on. See blows.py for how to have more of it."""
# timeout: 600

import contextlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

from blows import (KILLS_IN_A_ROW, PAUSE_S, SEED, another_object, reload, taken_over, traces_udp,
                   under_load)
from harness import (SLOWDOWN, Tracer, Tree, bpf_ids, check, conngen, equal, main, network_namespace,
                     remembers_in_table, steps_of, wait_for, wait_until)

# Offsets in struct settings, to which bpf/event.h holds it.
GENERATION_AT = 32  # and takeover behind it
LAYOUT_AT = 40


def test_another_object_takes_over_and_loses_nothing():
    with Tree() as tree:
        def blow(tracer, n):
            another_object(tree)
            reload(tracer, "")
            taken_over(tracer, f"generation {n + 2}: with all maps")
        under_load(Tracer(binaries=tree.bin), blow)


def test_another_size_of_the_ring_takes_over_and_loses_nothing():
    with Tracer() as tracer:
        status = tracer.status()
        if traces_udp(tracer) or remembers_in_table(status):
            return "the budget changes more than the ring here: tables of connections or UDP flows"

    def blow(tracer, n):
        reload(tracer, f"memory_budget: {(8, 16)[n % 2]}MiB\n")
        taken_over(tracer, "a new ring; all other maps")
    return under_load(Tracer(), blow)


def test_a_loader_killed_while_it_takes_over_loses_nothing():
    moments = random.Random(SEED)
    print(f"# seed {SEED}")
    with Tree() as tree:
        def blow(tracer, n):
            another_object(tree)
            if n % KILLS_IN_A_ROW == 0:
                tracer.proc.send_signal(signal.SIGHUP)
            # Whichever loader it is: one that is told to end, one that takes over, one that has.
            time.sleep(moments.uniform(0, 0.25 * SLOWDOWN))
            pid = tracer.process("loader")["pid"]
            if pid:
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    os.kill(pid, signal.SIGKILL)
            wait_for("the loader", lambda: tracer.running("loader", other_than=pid))
        under_load(Tracer(binaries=tree.bin), blow)


UDP = """
import json, socket, sys, time
server, client = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
server.bind(("127.0.0.1", 0))
client.connect(server.getsockname())
sent, end = 0, time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    client.send(b"0123456789")
    server.recv(100)
    sent += 1
    time.sleep(0.002)
print(sent, server.getsockname()[1], client.getsockname()[1])
"""


def test_udp_flows_go_on_in_another_tracer():
    with network_namespace() as (prefix, netns), Tree() as tree, \
         Tracer(binaries=tree.bin, more="snapshot_interval: 1s\n") as tracer:
        if not traces_udp(tracer):
            return "no UDP by this tracer on this kernel"
        with subprocess.Popen([*prefix, sys.executable, "-c", UDP, str(6 * SLOWDOWN)],
                              stdout=subprocess.PIPE, text=True) as flow:
            for n in range(3):
                time.sleep(PAUSE_S)
                another_object(tree)
                reload(tracer, "snapshot_interval: 1s\n")
                taken_over(tracer, f"generation {n + 2}: with all maps")
            check(flow.poll() is None, "the flow ended too early")
            sent, *ports = map(int, flow.communicate()[0].split())

        def ends():
            return [r for r in tracer.records() if r["event"] == "close" and r["netns"] == netns
                    and r["protocol"] == "udp" and r["sport"] in ports]
        wait_for("both ends of the flow", lambda: len(ends()) >= 2)
        time.sleep(PAUSE_S)
        equal(sorted(r["sport"] for r in ends()), sorted(ports), "flows")
        for record in ends():
            counted = record["segs_out"] + record["segs_in"]
            check(abs(counted - sent) <= 3, f"{counted} datagrams counted of {sent}: {record}")
        return None


def settings_map(tracer):
    """The number of its settings map."""
    maps = json.loads(subprocess.run(["bpftool", "map", "show", "-j"], capture_output=True,
                                     text=True, check=True).stdout)
    (found,) = {m["id"] for m in maps
                if m.get("name") == "settings"} & bpf_ids(tracer.proc.pid, "map")
    return found


def settings_bytes(map_id):
    dump = subprocess.run(["bpftool", "map", "dump", "id", str(map_id), "-j"], capture_output=True,
                          text=True, check=True).stdout
    return bytes(int(byte, 16) for byte in json.loads(dump)[0]["value"])


def change_layout(map_id):
    """Have a settings map say that the maps beside it are laid out otherwise."""
    value = bytearray(settings_bytes(map_id))
    value[LAYOUT_AT] ^= 0x80
    subprocess.run(["bpftool", "map", "update", "id", str(map_id), "key", "0", "0", "0", "0",
                    "value", *map(str, value)], check=True)


def test_both_act_only_until_the_old_one_is_gone():
    with Tree() as tree, Tracer(binaries=tree.bin) as tracer:
        map_id = settings_map(tracer)

        def now():
            """Generation in charge, and takeover."""
            return struct.unpack_from("II", settings_bytes(map_id), GENERATION_AT)
        equal(now(), (1, 0), "before")
        another_object(tree)
        reload(tracer, "")
        equal(now(), (2, 2), "while one takes over")
        wait_for("it is alone", lambda: now() == (2, 0), 5)


def test_maps_that_another_version_made_are_not_used():
    with network_namespace() as (prefix, netns), Tree() as tree, \
         Tracer(binaries=tree.bin, more="tracer: tracepoint\n") as tracer:
        conngen(prefix, "run", "--connections", 100)
        tracer.closes(netns, 200)
        change_layout(settings_map(tracer))
        another_object(tree)
        reload(tracer, "tracer: tracepoint\n")
        step = steps_of(tracer.status())["tracepoint", "take over"]
        equal(step["result"], "degraded", f"take over: {step}")
        check("no map of the tracer before fits" in step["detail"], f"take over: {step}")
        conngen(prefix, "run", "--connections", 100)
        tracer.every_close(netns, 400)
        wait_for("the account holds", lambda: tracer.status()["identity"]["holds"])


def can_run(tracer):
    """Whether that tracer comes up by its name."""
    found = Tracer(more=f"tracer: {tracer}\n")
    try:
        found.start(wait=False)
        return wait_until(lambda: found.proc.poll() is None and
                          found.cli("status", check_code=False).returncode == 0, 5)
    finally:
        found.kill()
        found.log.close()
        shutil.rmtree(found.dir, ignore_errors=True)


def test_another_kind_of_tracer_takes_over_what_fits():
    if not (can_run("kprobe") and can_run("tracepoint")):
        return "needs a kernel with two kinds of tracers, tracepoint and kprobe"
    with network_namespace() as (prefix, netns), Tracer(more="tracer: tracepoint\n") as tracer:
        conngen(prefix, "run", "--connections", 100)
        tracer.closes(netns, 200)
        reload(tracer, "tracer: kprobe\n")
        step = steps_of(tracer.status())["kprobe", "take over"]
        equal(step["result"], "degraded", f"take over: {step}")
        check("only the settings fit" in step["detail"], f"take over: {step}")
        conngen(prefix, "run", "--connections", 100)
        tracer.every_close(netns, 400)
        return None

if __name__ == "__main__":
    main([test_another_object_takes_over_and_loses_nothing,
          test_another_size_of_the_ring_takes_over_and_loses_nothing,
          test_a_loader_killed_while_it_takes_over_loses_nothing,
          test_udp_flows_go_on_in_another_tracer,
          test_both_act_only_until_the_old_one_is_gone,
          test_maps_that_another_version_made_are_not_used,
          test_another_kind_of_tracer_takes_over_what_fits])
