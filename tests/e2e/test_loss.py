# SPDX-License-Identifier: Apache-2.0
"""What is lost is told where it is missing: records and loss markers add up to what was made."""

import collections
import os
import re
import shutil
import signal
import subprocess
import threading
import time

from harness import (CONNGEN, OUT, Tracer, Tree, check, conngen, equal, load, main, network_namespace,
                     wait_for, wait_until)
from test_listener import Listener

FOREIGN_OBJECT = os.path.join(OUT, "test", "foreign", "tracer-tracepoint.bpf.o")
# Ours alone: what others on this machine lose is none of our account.
ADDRESS = "127.77.3.1"
# A ring of 256 KiB has room for 1424 records.
SMALL = f"""memory_budget: 1MiB
records: {{open: true}}
filters:
  - include: {{cidr: {ADDRESS}}}
  - exclude: all
"""
TOO_MANY = max(load(4000), 800)
MORE_THAN_ROOM = 600  # connections: four records each

# (cause, records) of a marker: the counter of the kernel, or of the ledger, and what is told of it.
KINDS = {
    ("ring_full", "open"): ("lost_open", "told_lost_open"),
    ("ring_full", "update"): ("lost_update", "told_lost_update"),
    ("ring_full", "close"): ("lost_close", "told_lost_close"),
    ("ring_half_full", "update"): ("deferred_update", "told_deferred"),
    ("unseen", "close"): ("lost_unseen", "told_unseen"),
    ("malformed", None): ("dropped_malformed", "told_malformed"),
    ("sink", "open"): ("dropped_sink_open", "told_sink_open"),
    ("sink", "update"): ("dropped_sink_update", "told_sink_update"),
    ("sink", "close"): ("dropped_sink_close", "told_sink_close"),
}


def configure(tracer, path, output_format="json", snapshot_interval="1h"):
    tracer.write_config(f"output: {{format: {output_format}, path: {path}}}\n"
                        f"snapshot_interval: {snapshot_interval}\n" + SMALL)


def traced(**options):
    tracer = Tracer()
    configure(tracer, tracer.records_path, **options)
    return tracer


def connect(prefix, count):
    """Returns how many ends of connections were made."""
    return 2 * conngen(prefix, "run", "--addr", ADDRESS, "--connections", count, "--threads", 2,
                       "--ports", 4)["completed"]


def hold(prefix, count):
    """So many connections, until their maker is told to end."""
    return subprocess.Popen([*prefix, CONNGEN, "idle", "--addr", ADDRESS, "--connections", str(count),
                             "--hold-until-stdin-eof"], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def exporter_of(tracer):
    return tracer.running("exporter")["pid"]


def connect_unread(tracer, prefix, count=TOO_MANY, then=signal.SIGCONT):
    """Connections while nobody reads the ring, for less time than the supervisor has patience."""
    pid = exporter_of(tracer)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    try:
        return connect(prefix, count)
    finally:
        print(f"# the exporter stood still for {time.monotonic() - began:.1f} s")
        os.kill(pid, then)


def counts(tracer):
    status = tracer.status()
    return {**status["counters"], **status["ledger"]}


def all_ended(tracer, ends):
    """Wait until the kernel has come to the end of them."""
    def left():
        now = counts(tracer)
        return ends - now["submitted_close"] - now["lost_close"]
    if not wait_until(lambda: left() == 0):
        unseen = tracer.unseen(left())
        check(0 <= left() <= unseen, f"{left()} of {ends} did not end, {unseen} unseen")


def told(tracer):
    """The counts, if the output has been told all that is lost."""
    now = counts(tracer)
    return now if all(now[note] == now[count] for count, note in KINDS.values()) else None


def all_told(tracer):
    """Wait until the output has all records and markers; returns the last counts."""
    tracer.drained()
    return wait_for("all that is lost told", lambda: told(tracer))


def missing(lines):
    """By (cause, records), as docs/record.md says: the largest total that a tracer told."""
    totals = {}
    for line in lines:
        if line["event"] == "loss":
            key = (line["total_since_ns"], line["cause"], line["records"])
            totals[key] = max(totals.get(key, 0), line["total"])
    summed = collections.Counter()
    for (_, cause, records), total in totals.items():
        summed[cause, records] += total
    return summed


def of_type(summed, event):
    return sum(count for (_, records), count in summed.items() if records == event)


def adds_up(lines, ends, what):
    """Records and markers are what conngen made: each end once, as open and as close."""
    lost = missing(lines)
    for event in ("open", "close"):
        once = {(r["cpu"], r["seq"], r["cookie"]) for r in lines if r["event"] == event}
        unseen = lost["unseen", event]  # anybody's: these pass no filter
        left = ends - len(once) - of_type(lost, event) + unseen
        check(0 <= left <= unseen, f"{what}: of {ends} {event} records are {len(once)} there, and "
                                   f"markers tell {dict(lost)}")
    print(f"# {what}: {ends} ends, missing {dict(lost)}")


def agrees(lines, now):
    """Markers say what the counters say, cause by cause, and each told its count just once."""
    lost = missing(lines)
    for kind, (count, told) in KINDS.items():
        equal(lost[kind], now[count], f"markers of {kind} and {count}")
        equal(now[told], now[count], told)


def told_once(lines):
    """No marker repeats what another one told, or leaves out what none did."""
    sums = collections.Counter()
    for line in lines:
        if line["event"] == "loss":
            sums[line["cause"], line["records"]] += line["count"]
            equal(line["total"], sums[line["cause"], line["records"]], f"total of {line}")
            check(line["count"] > 0 and line["since_ns"] < line["until_ns"], f"marker: {line}")


def holds(tracer):
    identity = tracer.drained()["identity"]
    check(identity["holds"], f"identity: {identity}")
    equal(identity["waiting"], 0, "waiting")


def test_no_loss_no_marker():
    with network_namespace() as (prefix, _), traced() as tracer:
        ends = connect(prefix, 100)
        all_ended(tracer, ends)
        tracer.drained()
        tracer.stop()
        adds_up(tracer.lines(), ends, "no loss")
        equal([m for m in tracer.markers() if m["cause"] != "unseen"], [], "markers")


def test_a_full_ring_is_told_by_count_cause_and_time():
    with network_namespace() as (prefix, _), traced() as tracer:
        pid = exporter_of(tracer)
        began_ns = time.time_ns()
        ends = connect_unread(tracer, prefix)
        ended_ns = time.time_ns()
        all_ended(tracer, ends)
        now = all_told(tracer)
        adds_up(tracer.lines(), ends, "ring full")
        agrees(tracer.lines(), now)
        told_once(tracer.lines())
        holds(tracer)
        check(now["lost_close"] > ends // 4, f"lost_close {now['lost_close']} of {ends}")
        refused = sum(row["count"] for row in tracer.status()["telemetry"]
                      if row["what"] == "map_ring")
        equal(refused, now["lost_open"] + now["lost_close"], "what the ring refused")
        equal(exporter_of(tracer), pid, "the exporter: it was not to be replaced")
        first = [m for m in tracer.markers() if m["records"] == "close"][0]
        equal((first["cause"], first["count"]), ("ring_full", first["total"]), "first marker")
        check(began_ns - 500_000_000 < first["since_ns"] < ended_ns, f"since: {first}, {began_ns}")
        check(began_ns < first["until_ns"] < ended_ns + 500_000_000, f"until: {first}, {ended_ns}")
        check(first["total_since_ns"] <= first["since_ns"], f"total since: {first}")
        # The sums are complete at the end, however soon it comes after a marker.
        ends += connect_unread(tracer, prefix)
        all_ended(tracer, ends)
        tracer.stop()
        adds_up(tracer.lines(), ends, "ring full again, stopped")
        told_once(tracer.lines())


def test_records_of_another_version_are_refused_counted_and_told():
    """Of the records' layout: an object that is not of this exporter."""
    with Tree() as tree, network_namespace() as (prefix, _):
        shutil.copy(FOREIGN_OBJECT, tree.object)
        tracer = Tracer(binaries=tree.bin)
        configure(tracer, tracer.records_path)
        with tracer:
            ends = connect(prefix, 50)
            all_ended(tracer, ends)
            now = all_told(tracer)
            equal(tracer.records(), [], "records")
            check(now["dropped_malformed"] >= 2 * ends, f"{now['dropped_malformed']} refused")
            agrees(tracer.lines(), now)
            told_once(tracer.lines())
            holds(tracer)
            check("not of one version? install both from one package" in tracer.text(),
                  tracer.text())


def test_updates_that_a_walk_leaves_out_are_told():
    with network_namespace() as (prefix, _), traced(snapshot_interval="200ms") as tracer:
        pid = exporter_of(tracer)
        os.kill(pid, signal.SIGSTOP)
        ends = 200 + connect(prefix, TOO_MANY)
        # Their updates are due, and nobody reads: a walk waits in vain. It ends all the same.
        idle = hold(prefix, 100)
        try:
            wait_for("updates left out", lambda: counts(tracer)["deferred_update"] >= 200, 3)
            os.kill(pid, signal.SIGCONT)
            # Left out is not forgotten.
            wait_for("their updates", lambda: sum(
                r["event"] == "update" and r["bytes_sent"] == 0 for r in tracer.records()) >= 200)
        finally:
            os.kill(pid, signal.SIGCONT)
            idle.communicate()
        all_ended(tracer, ends)
        now = all_told(tracer)
        adds_up(tracer.lines(), ends, "walk")
        agrees(tracer.lines(), now)
        told_once(tracer.lines())
        equal(now["lost_update"], 0, "updates that met a full ring")
        check(missing(tracer.lines())["ring_half_full", "update"] >= 200, "no marker of updates")


def test_the_last_drops_of_a_listener_are_told_if_the_ring_is_full():
    with network_namespace() as (prefix, _), traced() as tracer, \
            Listener(prefix, ADDRESS, 1, 8) as listener:
        wait_for("drops", lambda: listener.facts()[2] > 0)
        pid = exporter_of(tracer)
        os.kill(pid, signal.SIGSTOP)
        try:
            connect(prefix, MORE_THAN_ROOM)
            listener.close()
            wait_for("its record lost", lambda: counts(tracer)["lost_update"] > 0)
        finally:
            os.kill(pid, signal.SIGCONT)
        now = all_told(tracer)
        equal(now["lost_update"], 1, "no other update was made: lost_update")
        agrees(tracer.lines(), now)


def test_loss_that_goes_on_is_told_once_a_second():
    with network_namespace() as (prefix, _), traced() as tracer:
        began = time.monotonic()
        ends = 0
        while time.monotonic() - began < 5:
            ends += connect_unread(tracer, prefix, 1500)
        all_ended(tracer, ends)
        took = time.monotonic() - began
        now = all_told(tracer)
        adds_up(tracer.lines(), ends, "going on")
        agrees(tracer.lines(), now)
        told_once(tracer.lines())
        for kind, markers in collections.Counter(
                (m["cause"], m["records"]) for m in tracer.markers()).items():
            check(markers <= took + 2, f"{markers} markers of {kind} in {took:.1f} s")


def test_kill_9_of_the_exporter_neither_repeats_nor_forgets_a_loss():
    with network_namespace() as (prefix, _), traced() as tracer:
        # Told, then the exporter dies; lost while it is dead; dead once more, with nothing to tell.
        ends = connect_unread(tracer, prefix)
        all_told(tracer)
        for then in (signal.SIGKILL, signal.SIGCONT, signal.SIGKILL):
            pid = exporter_of(tracer)
            ends += connect_unread(tracer, prefix, then=then)
            wait_for("the exporter", lambda: tracer.running("exporter", other_than=0
                                                            if then == signal.SIGCONT else pid))
        all_ended(tracer, ends)
        all_told(tracer)
        pid = exporter_of(tracer)
        os.kill(pid, signal.SIGKILL)
        wait_for("the exporter back", lambda: tracer.running("exporter", other_than=pid))
        now = all_told(tracer)
        adds_up(tracer.lines(), ends, "killed")
        agrees(tracer.lines(), now)
        told_once(tracer.lines())
        holds(tracer)


def test_kill_9_in_the_midst_of_a_loss_still_adds_up():
    with network_namespace() as (prefix, _), traced() as tracer:
        ends = []
        traffic = threading.Thread(target=lambda: ends.append(connect(prefix, 5 * TOO_MANY)))
        traffic.start()
        kills = 0
        while traffic.is_alive() and kills < 8:
            pid = exporter_of(tracer)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.3)
            os.kill(pid, signal.SIGCONT)
            # At different moments of its work: it reads, writes and tells for a few milliseconds.
            time.sleep(0.002 * kills)
            os.kill(pid, signal.SIGKILL)
            wait_for("the exporter back", lambda: tracer.running("exporter", other_than=pid))
            kills += 1
        traffic.join()
        all_ended(tracer, ends[0])
        now = all_told(tracer)
        adds_up(tracer.lines(), ends[0], f"killed {kills} times")
        agrees(tracer.lines(), now)
        check(now["lost_close"] > 0, "nothing was lost")


class Pipe:
    """A named pipe as output, that nobody reads until start() is called; what is read goes into a
    file."""

    def __init__(self, tracer, **options):
        self.path = os.path.join(tracer.out, "pipe")
        os.mkfifo(self.path)
        shutil.chown(self.path, "nobody", "nogroup")
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        configure(tracer, self.path, **options)
        self.file = open(tracer.records_path, "wb", buffering=0)
        self.thread = threading.Thread(target=self.read)
        self.ended = False

    def start(self):
        self.thread.start()

    def read(self):
        while not self.ended:
            try:
                self.file.write(os.read(self.fd, 1 << 20))
            except BlockingIOError:
                time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        if self.thread.is_alive():
            self.thread.join()
        self.file.close()
        os.close(self.fd)


class Disk:
    """A small file system for the output, with room for a few records until free() is called."""

    def __init__(self, tracer):
        self.path = os.path.join(tracer.out, "disk")
        self.filler = os.path.join(self.path, "filler")
        os.mkdir(self.path)
        tracer.records_path = os.path.join(self.path, "records.jsonl")
        configure(tracer, tracer.records_path)

    def free(self):
        os.unlink(self.filler)

    def __enter__(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "tmpfs", self.path],
                       check=True)
        with open(self.filler, "wb") as file:
            file.write(bytes((2 << 20) - (16 << 10)))
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)


def tells_the_sink(tracer, prefix, ends, beside=frozenset()):
    """Records and markers add up once the output takes something again. beside: other causes that
    there may be."""
    all_told(tracer)
    ends += connect(prefix, 10)
    all_ended(tracer, ends)
    now = all_told(tracer)
    wait_for("all lines", lambda: len(tracer.records()) == now["delivered_open"] +
             now["delivered_close"] + now["delivered_update"])
    adds_up(tracer.lines(), ends, "sink")
    agrees(tracer.lines(), now)
    told_once(tracer.lines())
    holds(tracer)
    equal({m["cause"] for m in tracer.markers()} - beside, {"sink"}, "causes")
    # Behind what the output took before, before what came then.
    order = [line["event"] for line in tracer.lines()]
    check(0 < order.index("loss") <= len(order) - 40, f"order: {order}")


def test_a_pipe_that_nobody_reads_is_told_when_it_is_read():
    tracer = Tracer()
    with network_namespace() as (prefix, _), Pipe(tracer, snapshot_interval="200ms") as pipe, \
            tracer:
        ends = connect(prefix, 300) + 2 * 50
        idle = hold(prefix, 50)
        try:
            wait_for("it says what waits in the ring",
                     lambda: tracer.process("exporter")["stats"]["ring_used"] > 0)
            wait_for("records of each kind dropped", lambda: all(
                counts(tracer)[f"dropped_sink_{kind}"] > 0 for kind in ("open", "update", "close")),
                     20)
        finally:
            idle.communicate()
        pipe.start()
        # The walk has waited for the ring, too.
        tells_the_sink(tracer, prefix, ends, beside={"ring_half_full"})


def test_a_full_disk_is_told_when_it_has_room():
    tracer = Tracer()
    with network_namespace() as (prefix, _), Disk(tracer) as disk, tracer:
        ends = connect(prefix, 100)
        wait_for("records dropped", lambda: counts(tracer)["dropped_sink_close"] > 0, 20)
        # From here on what comes is dropped at once, and so is the marker of it, time and again.
        ends += connect(prefix, 100)
        all_ended(tracer, ends)
        tracer.drained()
        time.sleep(1.5)
        equal(counts(tracer)["told_sink_close"], 0, "told while nothing was taken")
        disk.free()
        tells_the_sink(tracer, prefix, ends)


def test_a_table_tells_it_too():
    with network_namespace() as (prefix, _), traced(output_format="table") as tracer:
        ends = connect_unread(tracer, prefix)
        all_ended(tracer, ends)
        tracer.stop()
        with open(tracer.records_path, encoding="utf-8") as file:
            text = file.read()
        closes = len(re.findall(r"^\S+ close ", text, re.MULTILINE))
        told = re.findall(r"^\S+ loss +close records missing: (\d+) \(ring full, within \S+\)$",
                          text, re.MULTILINE)
        check(told, "no marker")
        equal(closes + sum(map(int, told)), ends, "close records and those that markers tell")


if __name__ == "__main__":
    main([test_no_loss_no_marker,
          test_a_full_ring_is_told_by_count_cause_and_time,
          test_records_of_another_version_are_refused_counted_and_told,
          test_updates_that_a_walk_leaves_out_are_told,
          test_the_last_drops_of_a_listener_are_told_if_the_ring_is_full,
          test_loss_that_goes_on_is_told_once_a_second,
          test_kill_9_of_the_exporter_neither_repeats_nor_forgets_a_loss,
          test_kill_9_in_the_midst_of_a_loss_still_adds_up,
          test_a_pipe_that_nobody_reads_is_told_when_it_is_read,
          test_a_full_disk_is_told_when_it_has_room,
          test_a_table_tells_it_too],
         # What the exporter does with what the kernel side counted.
         once=(test_loss_that_goes_on_is_told_once_a_second,
               test_kill_9_of_the_exporter_neither_repeats_nor_forgets_a_loss,
               test_kill_9_in_the_midst_of_a_loss_still_adds_up,
               test_a_pipe_that_nobody_reads_is_told_when_it_is_read,
               test_a_full_disk_is_told_when_it_has_room,
               test_a_table_tells_it_too))
