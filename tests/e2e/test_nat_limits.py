# SPDX-License-Identifier: Apache-2.0
"""Address translation when there is much of it, when events are lost, when an end comes early, when
the exporter is another one."""

import os
import signal
import time

from harness import SLOWDOWN, Tree, check, equal, load, main, proc_status, steps_of, wait_for
from nat_nets import Nets, as_nat, run, sees, stats, traced


def test_the_end_in_the_kernel_may_come_before_the_close():
    with traced() as (nets, tracer):
        client = nets.client("10.99.0.1", 80)
        wait_for("an open record", lambda: client.records(tracer, nets.inode()))
        run(*nets.host, "conntrack", "-D", "-p", "tcp", "--dport", "80")
        wait_for("its end told", lambda: stats(tracer)["nat_events"] >= 2)
        time.sleep(0.5 * SLOWDOWN)
        client.end("by a reset")  # what it sends is not translated any more
        sees(tracer, nets, client, as_nat("10.77.0.1", client.sport, "10.77.0.2", 8080))


def test_what_is_tracked_already_comes_by_a_dump_of_bounded_size():
    count = load(20000)
    with Tree(nat=True) as tree, Nets() as nets:
        held = nets.client("10.99.0.1", 80)
        nets.flood("10.77.0.2", 20000, count)
        there = int(run(*nets.host, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))
        check(there >= count, f"tracked: {there}")
        with nets.tracer(tree) as tracer:
            began = time.monotonic()
            wait_for("the dump", lambda: stats(tracer)["nat_dumped"] >= count, 15)
            took = time.monotonic() - began
            said = stats(tracer)
            print(f"# {there} connections tracked: {said['nat_dumped']} dumped, within "
                  f"{took:.1f} s of the start; exporter {proc_status(tracer.process('exporter')['pid'])['VmRSS']}")
            equal((said["nat_dumps_cut"], said["nat_overruns"]), (0, 0), "cut, overruns")
            equal(said["nat_connections"], 1, "kept: the one that is translated")
            want = as_nat("10.77.0.1", held.sport, "10.77.0.2", 8080)
            status = tracer.status()
            # Where older connections are not known before they end it is told then.
            if steps_of(status)[status["tracer"], "seed"]["result"] != "skipped":
                update = wait_for("an update", lambda: held.records(tracer, nets.inode()))[0]
                equal((update["seeded"], update["nat"]), (True, want), "of the older connection")
            held.end()
            equal(held.close_record(tracer, nets.inode())["nat"], want, "its close")


def test_a_storm_is_cut_at_the_limit_and_counted():
    count = 45000
    # In one second an emulated machine would not come near the limit.
    if SLOWDOWN > 1:
        return "needs a real machine's speed"
    with traced("memory_budget: 512MiB\n") as (nets, tracer):
        for _ in range(5):
            before = stats(tracer)
            nets.flood("10.99.0.2", 1000, count)
            wait_for("all told", lambda: stats(tracer)["nat_events"] - before["nat_events"]
                     >= count or stats(tracer)["nat_overruns"], 20)
            said = stats(tracer)
            if said["nat_skipped"]:
                break
            run(*nets.host, "conntrack", "-F")
        equal(said["nat_overruns"], 0, "overruns, with such a buffer")
        check(said["nat_skipped"] > 0, f"nothing was skipped: {said}")
        equal(said["nat_events"] - before["nat_events"], count, "told of")
        equal(said["nat_connections"] + said["nat_skipped"], count + before["nat_connections"],
              "kept and skipped")
        print(f"# of {count} begins {said['nat_skipped']} were skipped")
        time.sleep(1.1)
        client = nets.client("10.99.0.1", 80)
        client.end()
        sees(tracer, nets, client, as_nat(*client.seen, "10.77.0.2", 8080))
    return None


def test_an_overrun_is_counted_and_what_is_missing_is_read_anew():
    with traced("memory_budget: 1MiB\n") as (nets, tracer):
        exporter, loader = (tracer.process(name)["pid"] for name in ("exporter", "loader"))
        wait_for("the dump at the start", lambda: stats(tracer)["nat_dumps_cut"] == 0)
        os.kill(exporter, signal.SIGSTOP)
        nets.flood("10.99.0.2", 1000, 300)
        client = nets.client("10.99.0.1", 80)  # of which nobody could tell
        os.kill(exporter, signal.SIGCONT)
        wait_for("an overrun", lambda: stats(tracer)["nat_overruns"] > 0)
        wait_for("a fresh loader", lambda: tracer.running("loader", other_than=loader), 40)
        equal(tracer.process("exporter")["pid"], exporter, "the exporter goes on")
        equal(steps_of(tracer.status())[tracer.status()["tracer"], "adopt"]["result"], "ok",
              "the probes were adopted")
        want = as_nat("10.77.0.1", client.sport, "10.77.0.2", 8080)
        wait_for("a dump that was read", lambda: stats(tracer)["nat_dumped"] >= 300)
        client.end()
        equal(client.close_record(tracer, nets.inode())["nat"], want, "its close")


def test_a_restarted_exporter_knows_what_the_one_before_knew():
    with traced() as (nets, tracer):
        client = nets.client("10.99.0.1", 80)
        want = as_nat("10.77.0.1", client.sport, "10.77.0.2", 8080)
        wait_for("a record", lambda: client.records(tracer, nets.inode()))
        pid = tracer.process("exporter")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another", lambda: tracer.running("exporter", other_than=pid))
        client.end()
        sees(tracer, nets, client, want)
        equal(stats(tracer)["nat_dumps_cut"], 0, "dumps cut")


def test_the_cache_is_bounded_and_what_it_forgets_is_counted():
    with traced("memory_budget: 1MiB\n") as (nets, tracer):
        room = tracer.status()["config"]["nat_max"]
        equal(room, 481, "room")
        used = nets.client("10.99.0.1", 80)
        wait_for("a record", lambda: used.records(tracer, nets.inode()))
        nets.flood("10.99.0.2", 1000, 1000, pause=20)
        said = wait_for("all told", lambda: stats(tracer)["nat_events"] > 700 and stats(tracer))
        equal(said["nat_connections"], room, "kept")
        equal(said["nat_connections"] + said["nat_evicted"], said["nat_events"],
              f"kept and evicted of those told of: {said}")
        used.end()
        sees(tracer, nets, used, as_nat("10.77.0.1", used.sport, "10.77.0.2", 8080))


if __name__ == "__main__":
    main([test_the_end_in_the_kernel_may_come_before_the_close,
          test_what_is_tracked_already_comes_by_a_dump_of_bounded_size,
          test_a_storm_is_cut_at_the_limit_and_counted,
          test_an_overrun_is_counted_and_what_is_missing_is_read_anew,
          test_a_restarted_exporter_knows_what_the_one_before_knew,
          test_the_cache_is_bounded_and_what_it_forgets_is_counted])
