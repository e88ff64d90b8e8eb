# SPDX-License-Identifier: Apache-2.0
"""What the programs count: each of their runs, and begins and ends that no program saw. For those,
what a tracer remembers of a socket is changed as if its programs had been skipped. And all of it as
metrics."""

import contextlib
import ctypes
import fcntl
import os
import socket
import stat
import struct
import subprocess

from harness import (BIN, CONNGEN, Tracer, cgroup_root, check, conngen, equal, main, network_namespace, remembers_in_table,
                     wait_for)
from memory import Memory
from metrics import check_as_status, parse
from scenario import attached

EVENT_CPU_LATE = 0x8000
COUNT = 50
SEEDED = 3  # sockets: a listener, and both ends of a connection
# Each counter, the program that counts in it, and how often that ran at least: for as many
# connections and datagrams, for one listener that was there before and one that came.
RUNS = (("run_set_state", "trace_set_state", 8 * COUNT), ("run_accept", "trace_accept", COUNT),
        ("run_listen", "trace_listen", 1), ("run_seed", "seed_sockets", SEEDED),
        ("opened_connect", "trace_set_state", COUNT), ("opened_accept", "trace_set_state", COUNT),
        ("opened_seeded", "seed_sockets", 2), ("closed", "trace_set_state", 2 * COUNT),
        ("established", "trace_set_state", 2 * COUNT),
        ("remembered", "trace_set_state", 2 * COUNT), ("run_udp_send", "trace_udp_send", COUNT),
        ("run_udp_receive", "trace_udp_recv", COUNT), ("run_udp_end", "trace_udp_end", 1))
# As above, where connections are remembered in the table, and where in the socket's storage.
RUNS_TABLE = (("run_child", "trace_child", COUNT),)
RUNS_STORAGE = (("destroyed", "trace_destroy_sock", 2 * COUNT),)


def counters(tracer):
    return tracer.status()["counters"]


def datagrams(count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        for _ in range(count):
            client.send(b"x")
            server.recv(1)


def test_every_run_is_counted():
    with network_namespace() as (prefix, netns), \
            socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()), listener.accept()[0], \
            Tracer() as tracer:
        conngen(prefix, "run", "--connections", COUNT)
        datagrams(COUNT)
        tracer.closes(netns, 2 * COUNT)
        status = tracer.drained()
        by_table = remembers_in_table(status)
        for counter, program, least in RUNS + (RUNS_TABLE if by_table else RUNS_STORAGE):
            if attached(status, program):
                check(status["counters"][counter] >= least,
                      f"{counter}: {status['counters'][counter]}, at least {least}")
            else:
                equal(status["counters"][counter], 0, f"{counter}, with no {program}")
        tracer.stop()
        # Until the very end, of which there is no status, the size may grow but not shrink.
        check(0 < status["ledger"]["delivered_bytes"] <= os.stat(tracer.records_path).st_size,
              f"delivered_bytes {status['ledger']['delivered_bytes']}")


@contextlib.contextmanager
def connected(more=""):
    """A tracer; a connection of this process, both ends; what is remembered of the one that
    connected."""
    with Tracer(more=more) as tracer, socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.socket() as client:
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server, contextlib.closing(Memory(tracer, client)) as memory:
            yield tracer, client, server, memory


def closes(tracer, port):
    """Of this namespace: another one has the same ports."""
    netns = os.stat("/proc/self/ns/net").st_ino
    return [r for r in tracer.records()
            if (r["event"], r["netns"], r["sport"]) == ("close", netns, port)]


def end_by_reset(tracer, client, server):
    """The other end resets: this one's end is seen, and its socket stays. Returns its port."""
    port = client.getsockname()[1]
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    (record,) = wait_for("its end", lambda: closes(tracer, port))
    equal((record["end"], record["partial"]), ("reset_in", False), "its end")
    return port


def counts_more(tracer, before, *names):
    """Wait until each of the counters is more than before."""
    wait_for(f"more of {names}",
             lambda: all(counters(tracer)[name] > before[name] for name in names))


def test_an_end_whose_begin_no_program_saw_is_partial():
    with connected() as (tracer, client, server, memory):
        before = counters(tracer)
        memory.forget()
        port = client.getsockname()[1]
        client.close()
        server.close()
        (record,) = wait_for("its end", lambda: closes(tracer, port))
        equal((record["end"], record["partial"], record["opened_ns"], record["owner"]),
              ("fin", True, 0, "close"), "end, partial, begin, owner")
        counts_more(tracer, before, "opened_partial")
        check(tracer.status()["identity"]["holds"], f"identity: {tracer.status()['identity']}")


def test_an_end_that_no_program_saw_is_found_when_the_socket_goes():
    with connected() as (tracer, client, server, memory):
        open_still = memory.read()
        port = end_by_reset(tracer, client, server)
        before = counters(tracer)
        memory.write(open_still)
        client.close()
        record = wait_for("the late end", lambda: closes(tracer, port)[1:])[0]
        equal((record["end"], record["partial"], record["pid"], record["cpu"] & EVENT_CPU_LATE),
              ("reset_in", False, os.getpid(), EVENT_CPU_LATE), "end, partial, pid, sequence")
        counts_more(tracer, before, "closed_late", "run_destroy", "closed")


def test_a_connection_of_which_no_program_saw_anything_is_found_when_the_socket_goes():
    with connected() as (tracer, client, server, memory):
        if memory.table:
            return "the table forgets a socket at its end: it can't tell"
        port = end_by_reset(tracer, client, server)
        before = counters(tracer)
        memory.forget()
        client.close()
        record = wait_for("the late end", lambda: closes(tracer, port)[1:])[0]
        equal((record["end"], record["partial"], record["cpu"] & EVENT_CPU_LATE),
              ("reset_in", True, EVENT_CPU_LATE), "end, partial, sequence")
        counts_more(tracer, before, "closed_late", "opened_partial", "closed")
    return None


def is_told(tracer, before):
    """An end that was not seen is counted, and a loss marker says so."""
    counts_more(tracer, before, "lost_unseen", "closed")
    wait_for("the marker", lambda: [m for m in tracer.markers()
                                    if (m["cause"], m["records"]) == ("unseen", "close")])
    # An end of others that is just being counted may make up for one that is missing, once.
    wait_for("what became of each end",
             lambda: all(every_end_is_counted(counters(tracer)) for _ in range(3)))


def every_end_is_counted(now):
    return now["closed"] == sum(now[f"{what}_close"] for what in ("submitted", "filtered", "lost")
                                ) + now["lost_unseen"]


def test_what_no_walk_meets_has_ended_unseen():
    with connected() as (tracer, client, server, memory):
        before = counters(tracer)
        memory.forget()
        check(tracer.unseen(before["lost_unseen"] + 1) > before["lost_unseen"], "it is not found")
        is_told(tracer, before)
        check(tracer.status()["identity"]["holds"], f"identity: {tracer.status()['identity']}")


def disconnect(client):
    """Have a socket whose connection has ended forget it, to connect again."""
    check(ctypes.CDLL(None).connect(client.fileno(), bytes(16), 16) == 0, "connect(AF_UNSPEC)")


def test_a_socket_that_begins_anew_after_an_end_that_no_program_saw():
    with connected() as (tracer, client, server, memory), \
            socket.create_server(("127.0.0.1", 0)) as another:
        open_still = memory.read()
        end_by_reset(tracer, client, server)
        before = counters(tracer)
        disconnect(client)
        memory.write(open_still)
        client.connect(another.getsockname())
        is_told(tracer, before)


def test_an_end_that_no_program_saw_is_found_by_the_walk():
    with connected("snapshot_interval: 200ms\n") as (tracer, client, server, memory):
        if not memory.table:
            return "what is remembered goes with its socket"
        open_still = memory.read()
        end_by_reset(tracer, client, server)
        before = counters(tracer)
        memory.write(open_still)
        is_told(tracer, before)
        wait_for("the walk", lambda: counters(tracer)["run_walk"] > before["run_walk"])
    return None


def test_the_walk_counts_what_it_visits():
    with connected("snapshot_interval: 200ms\n") as (tracer, _, _, _):
        before = counters(tracer)
        wait_for("four walks over both ends", lambda: counters(tracer)["run_walk"]
                 >= before["run_walk"] + 8)
        # What they have met is not taken for gone.
        check(tracer.status()["identity"]["live"] >= 2, f"{tracer.status()['identity']}")


# Of a loader that has walked, and looked through all files.
WALK_SAYS = ("walk_last_us", "walk_longest_us", "walk_busy_us", "walk_visits", "walk_slices",
             "slice_worst_us", "privileged_us")
CHECK_SAYS = ("check_last_us", "check_busy_us", "check_visits", "check_slice_worst_us")


def test_each_process_says_what_it_did():
    with connected("snapshot_interval: 200ms\n") as (tracer, _, _, _):
        by_files = attached(tracer.status(), "seed_sockets")

        def says(name, **least):
            said = tracer.process(name)["stats"]
            return said if said and all(said[n] >= count for n, count in least.items()) else None

        said = wait_for("walks", lambda: says("loader", walks=2, checks=2 if by_files else 0))
        for name in WALK_SAYS + (CHECK_SAYS if by_files else ()):
            check(said[name] > 0, f"{name}: {said}")
        check(said["walk_longest_us"] >= said["walk_last_us"], f"{said}")
        with subprocess.Popen([os.path.join(BIN, "conntrace"), "tail", "--socket", tracer.socket],
                              stdout=subprocess.DEVNULL) as tail:
            try:
                said = wait_for("a client", lambda: says("exporter", clients=1))
            finally:
                tail.kill()
        for name, least in (("records", 2), ("live", 2), ("walk_live", 2),
                            *((name, 1) for name in ("cgroups", "cgroup_scans") if cgroup_root())):
            check(said[name] >= least, f"{name}: {said}")
        wait_for("no client", lambda: says("exporter") and not says("exporter")["clients"])


def test_sockets_without_memory_for_what_is_to_be_remembered():
    """The kernel takes it from what a socket may use for options."""
    limit = "net.core.optmem_max"
    with network_namespace() as (prefix, netns), idle_ends(prefix, limit) as seeded:
        if not seeded:
            return "the kernel has one limit for all network namespaces"
        with Tracer() as tracer:
            status = tracer.status()
            if remembers_in_table(status):
                return "the table has memory of its own"
            if attached(status, "seed_sockets"):
                check(status["counters"]["storage_failed"] >= seeded, f"{status['counters']}")
            before = status["counters"]["storage_failed"]
            conngen(prefix, "run", "--connections", COUNT)
            records = tracer.closes(netns, 2 * COUNT)
            equal(len(records), 2 * COUNT, "close records")
            check(all(r["partial"] for r in records), "one that is not partial")
            status = tracer.drained()
            check(status["identity"]["holds"], f"identity: {status['identity']}")
            failed = status["counters"]["storage_failed"] - before
            check(failed >= 2 * COUNT, f"storage_failed {failed}")
            refused = sum(t["count"] for t in status["telemetry"] if t["what"] == "map_connections")
            check(refused >= failed, f"{refused} refusals")
    return None


@contextlib.contextmanager
def idle_ends(prefix, limit):
    """Connections in a namespace whose sockets have no memory for options; gives how many ends, 0 if
    the limit is not the namespace's own."""
    if subprocess.run([*prefix, "sysctl", "-qw", f"{limit}=0"], check=False).returncode:
        yield 0
        return
    with subprocess.Popen([*prefix, CONNGEN, "idle", "--connections", "5", "--port", "7200",
                           "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as idle:
        idle.stdout.readline()
        yield 10
        idle.communicate()


def test_metrics_are_what_status_says():
    filters = "filters:\n  - exclude: {cgroup: '/é\"x'}\n  - exclude: {port: 22}\n"
    with network_namespace() as (prefix, netns), \
            Tracer(more=filters + "snapshot_interval: 1h\n", source=True) as tracer:
        tracer.put("10.yaml", "records: {open: true}\n")
        wait_for("the file", lambda: tracer.status()["config"]["version"] == 2)
        conngen(prefix, "run", "--connections", COUNT)
        tracer.closes(netns, 2 * COUNT)
        check_as_status(tracer, os.uname().release)
        samples = parse(tracer.cli("metrics").stdout)
        check(samples[("conntrace_records_delivered_total", (("event", "close"),))] >= 2 * COUNT
              and samples[("conntrace_account_holds", ())] == 1, f"ends and account: {samples}")
        tracer.put("10.yaml", "records: {open: maybe}\n")
        wait_for("an error", lambda: tracer.status()["source"]["error"])
        check_as_status(tracer, os.uname().release)
        samples = parse(tracer.cli("metrics").stdout)
        equal(samples[("conntrace_config_verdict", (("verdict", "refused"),))], 1, "refused")


def write_metrics(tracer, *words, code=0):
    """By somebody whose files nobody else may read. Returns what it said of an error."""
    done = subprocess.run([os.path.join(BIN, "conntrace"), "metrics", "--socket", tracer.socket,
                           *words], capture_output=True, text=True, umask=0o077)
    equal((done.returncode, done.stdout), (code, ""), f"{words}: code and output: {done.stderr}")
    return done.stderr


def test_metrics_are_put_into_a_file_whole_or_not_at_all():
    with Tracer() as tracer:
        path = os.path.join(tracer.out, "conntrace.prom")
        with open(path, "w", encoding="ascii") as f:
            f.write("old")
        write_metrics(tracer, "--output", path)
        equal(stat.S_IMODE(os.stat(path).st_mode), 0o644, "mode")
        with open(path, encoding="ascii") as f:
            written = f.read()
        equal(parse(written)[("conntrace_tracing", ())], 1, "tracing")
        equal([n for n in os.listdir(tracer.out) if "prom" in n], ["conntrace.prom"], "files")
        equal(write_metrics(tracer, "--json", code=2), "conntrace: --json is not for the command "
              "metrics: see conntrace --help\n", "--json")
        check("No such file" in write_metrics(tracer, "--output", "/nowhere/x.prom", code=1),
              "it says why")
        check("Is a directory" in write_metrics(tracer, "--output", tracer.out + "/", code=1),
              "it says that this is no name")
        before = os.stat(path)
        with contextlib.ExitStack() as held:
            directory = os.open(tracer.out, os.O_RDONLY | os.O_DIRECTORY)
            held.callback(os.close, directory)
            fcntl.flock(directory, fcntl.LOCK_EX)
            check("another one is writing" in write_metrics(tracer, "--output", path, code=1),
                  "it says that there are two")
        tracer.stop()
        write_metrics(tracer, "--output", path, code=3)
        equal(os.stat(path), before, "the file, when no conntraced answers")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
