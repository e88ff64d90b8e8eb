# SPDX-License-Identifier: Apache-2.0
# timeout: 180
"""The snapshot walk tells what has changed and nothing else, the list is complete all the same, and
a walk is cut into slices."""

import contextlib
import json
import os
import pwd
import resource
import signal
import subprocess
import sys
import time

from harness import (BIN, CONNGEN, SLOWDOWN, WALK_S, Tracer, check, conngen, equal, load, main,
                     network_namespace, proc_limits, remembers_in_table, wait_for)

ADDRESS = "127.77.4.1"
# What others on this machine do is not counted. A ring of 256 KiB has room for 1200 records or so.
CONFIG = f"""memory_budget: 1MiB
snapshot_interval: 200ms
filters:
  - include: {{cidr: {ADDRESS}}}
  - exclude: all
"""
COUNT = 50

# Connections of which the first one can be told to send a byte, and to close one after the other.
TALK = """
import socket, sys
listener = socket.create_server((sys.argv[1], 0))
ends = []
for _ in range(int(sys.argv[2])):
    ends.append((socket.create_connection(listener.getsockname()), listener.accept()[0]))
listener.close()
print(ends[0][0].getsockname()[1], flush=True)
for line in sys.stdin:
    if line.strip() == "send":
        ends[0][0].send(b"x")
        ends[0][1].recv(1)
    else:
        for end in ends.pop():
            end.close()
    print("done", flush=True)
"""


class Talker:
    """Connections in a process of their own."""

    def __init__(self, prefix, count=COUNT):
        self.process = subprocess.Popen([*prefix, sys.executable, "-c", TALK, ADDRESS, str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def tell(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        equal(self.process.stdout.readline(), "done\n", "the talker's answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10 * SLOWDOWN)
        self.process.stdout.close()


@contextlib.contextmanager
def tracing(config=CONFIG):
    tracer = Tracer(more=config)
    with network_namespace() as (prefix, netns), tracer:
        yield tracer, prefix, netns


def stats(tracer, name="loader"):
    """A process that has just begun has given none."""
    return wait_for(f"stats of the {name}", lambda: tracer.process(name)["stats"])


def walks(tracer, more):
    """Wait until so many more whole walks were begun and ended."""
    before = stats(tracer)["walks"]
    wait_for("walks", lambda: stats(tracer)["walks"] > before + more, 30)


def count(tracer, name):
    return tracer.status()["counters"][name]


def settled(tracer, least):
    """The number of updates, at least so many, when there are no more. A connection that is met in
    the midst of its handshake, or before accept, has another."""
    wait_for(f"{least} updates", lambda: count(tracer, "submitted_update") >= least, 30)

    def calm():
        before = count(tracer, "submitted_update")
        walks(tracer, 2)
        return count(tracer, "submitted_update") == before and before
    return wait_for("no more updates", calm, 30)


def no_more_updates(tracer, expected, what):
    """Not so if ends of others' connections went unseen meanwhile: then all are told once more."""
    if not count(tracer, "lost_unseen"):
        equal(count(tracer, "submitted_update"), expected, what)


def listed(tracer, netns):
    lines = tracer.cli("list", "--json").stdout.splitlines()
    return [r for r in map(json.loads, lines) if r["netns"] == netns]


def test_an_update_only_for_what_changed():
    with tracing() as (tracer, prefix, netns), Talker(prefix) as talker:
        before = settled(tracer, 2 * COUNT)
        walks(tracer, 3)
        no_more_updates(tracer, before, "of what has not changed")
        equal(len(listed(tracer, netns)), 2 * COUNT, "listed")
        talker.tell("send")
        settled(tracer, before + 2)
        no_more_updates(tracer, before + 2, "when both ends of one have changed")
        tracer.drained()
        latest = [r for r in tracer.records()
                  if r["event"] == "update" and talker.port in (r["sport"], r["dport"])][-2:]
        equal(sorted((r["bytes_sent"], r["bytes_received"]) for r in latest), [(0, 1), (1, 0)],
              "what they say")
        check(stats(tracer, "exporter")["walk_live"] >= 2 * COUNT, "not all met by a walk")
        equal(len(listed(tracer, netns)), 2 * COUNT, "listed at the end")


def test_the_list_is_complete_after_the_exporter_or_the_loader_was_killed():
    with tracing() as (tracer, prefix, netns), Talker(prefix):
        before = settled(tracer, 2 * COUNT)
        pid = tracer.process("exporter")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another exporter", lambda: tracer.running("exporter", other_than=pid))
        equal(len(listed(tracer, netns)), 2 * COUNT, "listed by another exporter")
        settled(tracer, before + 2 * COUNT)
        no_more_updates(tracer, before + 2 * COUNT, "each end once more")
        pid = tracer.process("loader")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("another loader", lambda: tracer.running("loader", other_than=pid))
        walks(tracer, 3)
        equal(len(listed(tracer, netns)), 2 * COUNT, "listed after another loader came")
        no_more_updates(tracer, before + 2 * COUNT, "none once more")


def cookies(tracer, netns):
    return {r["cookie"] for r in listed(tracer, netns)}


def lose_closes(tracer, prefix, netns, ends):
    """The talker's connections are closed while the ring has no room."""
    wait_for("listed", lambda: len(listed(tracer, netns)) == 4 * COUNT)
    exporter = tracer.process("exporter")["pid"]
    os.kill(exporter, signal.SIGSTOP)
    try:
        conngen(prefix, "run", "--addr", ADDRESS, "--connections", max(load(2000), 800),
                "--threads", 2)
        wait_for("a full ring", lambda: count(tracer, "lost_close") > 0)
        lost = count(tracer, "lost_close")
        for _ in range(COUNT):
            ends.tell("close")
        wait_for("their closes lost", lambda: count(tracer, "lost_close") >= lost + 2 * COUNT)
    finally:
        # On a slow machine it is killed for its silence: another one comes.
        with contextlib.suppress(ProcessLookupError):
            os.kill(exporter, signal.SIGCONT)


def list_in_background(tracer):
    return subprocess.Popen([os.path.join(BIN, "conntrace"), "list", "--json", "--socket",
                             tracer.socket], stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        # If it took too long it was killed for its silence.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_what_a_walk_leaves_out_stays_in_the_list():
    """After losses the exporter wants all connections anew, and forgets those that walks do not meet:
    but not when the ring had no room to tell of them."""
    if SLOWDOWN > 1:
        return "the exporter would be killed for its silence"
    with tracing(CONFIG.replace("200ms", "1h")) as (tracer, prefix, netns), Talker(prefix):
        wait_for("listed", lambda: len(listed(tracer, netns)) == 2 * COUNT)
        there = cookies(tracer, netns)
        exporter = tracer.process("exporter")["pid"]
        with stopped(exporter):
            conngen(prefix, "run", "--addr", ADDRESS, "--connections", 1500, "--threads", 2)
            wait_for("losses", lambda: count(tracer, "lost_close") > 0)
        wait_for("losses told", lambda: tracer.status()["ledger"]["told_lost_close"]
                 == count(tracer, "lost_close"))
        tracer.drained()
        time.sleep(WALK_S)
        with stopped(exporter):
            conngen(prefix, "run", "--addr", ADDRESS, "--connections", 500, "--threads", 2)
            lists, before = [], count(tracer, "submitted_walk")
            for walk in (1, 2):
                lists.append(list_in_background(tracer))
                wait_for("a walk", lambda n=walk: count(tracer, "submitted_walk") >= before + n)
            # Each but for what it passed over, since others ended meanwhile.
            check(count(tracer, "deferred_update") >= 2 * COUNT, "they were not left out")
        for each in lists:
            lines, _ = each.communicate(timeout=20)
            found = {r["cookie"] for r in map(json.loads, lines.splitlines()) if r["netns"] == netns}
            equal(len(found & there), 2 * COUNT, "listed meanwhile")
        equal(cookies(tracer, netns), there, "listed")
    return None


def test_a_connection_whose_close_was_lost_leaves_the_list():
    with tracing() as (tracer, prefix, netns), Talker(prefix):
        wait_for("listed", lambda: len(listed(tracer, netns)) == 2 * COUNT)
        stay = cookies(tracer, netns)
        with Talker(prefix) as ends:
            lose_closes(tracer, prefix, netns, ends)
            wait_for("none but the others in the list", lambda: cookies(tracer, netns) == stay, 20)
        before = settled(tracer, 0)
        walks(tracer, 3)
        no_more_updates(tracer, before, "updates of what has not changed")
        equal(cookies(tracer, netns), stay, "listed")


def test_other_filters_change_the_list():
    """By the source: the exporter stays and its list is another."""
    tracer = Tracer(more="memory_budget: 1MiB\n", source=True)

    def apply(*filters):
        hidden = os.path.join(tracer.source, ".filters.tmp")
        with open(hidden, "w", encoding="ascii") as f:
            f.write("snapshot_interval: 200ms\nfilters:\n" + "".join(
                f"  - {filter}\n" for filter in
                [*filters, f"include: {{cidr: {ADDRESS}}}", "exclude: all"]))
        os.rename(hidden, os.path.join(tracer.source, "filters.yaml"))

    apply()
    with network_namespace() as (prefix, netns), tracer, Talker(prefix) as first, Talker(prefix):
        wait_for("listed", lambda: len(listed(tracer, netns)) == 4 * COUNT, 20)
        exporter = tracer.process("exporter")["pid"]
        for filters, ends in (([f"exclude: {{port: {first.port}}}"], 4 * COUNT - 2),
                              ([], 4 * COUNT)):
            apply(*filters)
            wait_for(f"{ends} listed",
                     lambda ends=ends: len(listed(tracer, netns)) == ends, 20)
        equal(tracer.process("exporter")["pid"], exporter, "the exporter")


def limit_fds(pid, soft, hard):
    """By a child that becomes its user, who may: root needs a capability for it."""
    child = os.fork()
    if child == 0:
        try:
            nobody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setresgid(*[nobody.pw_gid] * 3)
            os.setresuid(*[nobody.pw_uid] * 3)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        except OSError:
            os._exit(1)
        os._exit(0)
    equal(os.waitpid(child, 0)[1], 0, "status of who limits it")


def test_a_walk_that_fails_is_counted_and_told():
    with tracing() as (tracer, _, _):
        walks(tracer, 0)
        loader = tracer.process("loader")["pid"]
        soft, hard = map(int, proc_limits(loader)["Max open files"])
        limit_fds(loader, 0, hard)
        wait_for("failures", lambda: stats(tracer)["walks_failed"] >= 2)
        check("walk over the connections: Too many open files" in tracer.text(), tracer.text())
        limit_fds(loader, soft, hard)
        walks(tracer, 2)


SLICE = 2048  # loader/walk.h
MANY = load(9000)


def test_a_walk_is_cut_into_slices_and_its_loader_stays_awake():
    config = CONFIG.replace("memory_budget: 1MiB", "memory_budget: 64MiB")
    with tracing(config) as (tracer, prefix, netns):
        idle = subprocess.Popen([*prefix, CONNGEN, "idle", "--addr", ADDRESS, "--connections",
                                 str(MANY), "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        try:
            idle.stdout.readline()
            settled(tracer, 2 * MANY)
            now = stats(tracer)
            print(f"# {now}")
            check(now["walk_visits"] >= 2 * MANY, f"visits: {now}")
            equal(now["walk_slices"], now["walk_visits"] // SLICE + 1, f"slices of {now}")
            check(now["walk_last_us"] > now["walk_busy_us"] + 1000 * (now["walk_slices"] - 1),
                  f"pauses: {now}")
            updates = settled(tracer, 2 * MANY)
            walks(tracer, 2)
            no_more_updates(tracer, updates, "updates of what has not changed")
            equal(len(listed(tracer, netns)), 2 * MANY, "listed")
            equal((now["walks_failed"], tracer.process("loader")["restarts"]), (0, 0), "failures")
        finally:
            idle.communicate()
        wait_for("all ended", lambda: count(tracer, "closed") >= 2 * MANY, 30)
        wait_for("an empty list", lambda: not listed(tracer, netns))
        status = tracer.drained()
        identity, unseen = status["identity"], status["counters"]["lost_unseen"]
        # The kernel skips programs while one of them is scheduled away.
        check(identity["holds"] and identity["dropped"] == unseen, f"identity: {identity}")


def test_what_ends_while_a_walk_looks_at_it_leaves_the_list():
    """Nothing would take it out again if its update came behind its close."""
    config = CONFIG.replace("memory_budget: 1MiB", "memory_budget: 64MiB").replace("200ms", "100ms")
    with tracing(config) as (tracer, prefix, netns):
        before = stats(tracer)["walks"]
        conngen(prefix, "run", "--addr", ADDRESS, "--connections", load(50000), "--threads", 4)
        print(f"# {stats(tracer)['walks'] - before} walks, {count(tracer, 'submitted_update')} updates")
        wait_for("an empty list", lambda: not listed(tracer, netns))


LIST_LONG = 10000  # loader/walk.h: WALK_LIST_LONG


def lists():
    """In how many lists the kernel keeps the sockets of a map."""
    count = 2
    while count < os.sysconf("SC_NPROCESSORS_CONF"):
        count *= 2
    return count


@contextlib.contextmanager
def many_idle(prefix, ends):
    idle = [subprocess.Popen([*prefix, CONNGEN, "idle", "--addr", ADDRESS, "--connections",
                              str(ends // 4), "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for process in idle:
            process.stdout.readline()
        yield
    finally:
        for process in idle:
            process.communicate()


def updates_of(tracer, port):
    with open(tracer.records_path, encoding="utf-8") as f:
        return sum(f'port":{port},' in line for line in f if line.startswith('{"event":"update"'))


def test_walks_over_many_sockets_go_by_files_and_tell_the_same():
    ends = 11 * LIST_LONG // 10 * lists()
    if SLOWDOWN > 1 or ends > 40000:
        return f"{ends} ends are too many here"
    config = CONFIG.replace("memory_budget: 1MiB", "memory_budget: 64MiB")
    with tracing(config) as (tracer, prefix, netns), Talker(prefix) as talker:
        if remembers_in_table(tracer.status()) or "seed_sockets" not in [
                p["name"] for p in tracer.status()["probes"] if p["state"] == "attached"]:
            return "sockets have no storage here, or cannot be found by their files"
        with many_idle(prefix, ends):
            wait_for("a whole walk", lambda: stats(tracer)["walk_visits"] >= ends, 30)
            wait_for("all told", lambda: count(tracer, "submitted_update") >= ends + 2 * COUNT, 30)
            wait_for("walks by files", lambda: stats(tracer)["check_visits"] >= ends, 30)

            def told_by_files():
                before, told = stats(tracer), updates_of(tracer, talker.port)
                talker.tell("send")
                wait_for("walks by files",
                         lambda: stats(tracer)["checks"] > before["checks"] + 2, 30)
                after = stats(tracer)
                tracer.drained()
                return (after["walks"] == before["walks"] and
                        updates_of(tracer, talker.port) == told + 2)
            wait_for("a change told without a whole walk", told_by_files, 30)
            print(f"# {stats(tracer)}")
            whole = stats(tracer)["walks"]
            wait_for("a whole walk now and then", lambda: stats(tracer)["walks"] > whole, 30)
            equal(len(listed(tracer, netns)), ends + 2 * COUNT, "listed")
        identity = tracer.drained()["identity"]
        check(identity["holds"] and identity["dropped"] == 0, f"identity: {identity}")
    return None


if __name__ == "__main__":
    main([test_an_update_only_for_what_changed,
          test_the_list_is_complete_after_the_exporter_or_the_loader_was_killed,
          test_a_connection_whose_close_was_lost_leaves_the_list,
          test_what_a_walk_leaves_out_stays_in_the_list,
          test_other_filters_change_the_list,
          test_a_walk_that_fails_is_counted_and_told,
          test_a_walk_is_cut_into_slices_and_its_loader_stays_awake,
          test_what_ends_while_a_walk_looks_at_it_leaves_the_list,
          test_walks_over_many_sockets_go_by_files_and_tell_the_same])
