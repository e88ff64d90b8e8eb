# SPDX-License-Identifier: Apache-2.0
"""A configuration directory is applied while tracing goes on; a broken file changes nothing."""

import json
import os
import shutil
import signal
import subprocess
import time

from harness import (BIN, CHILDREN, Tracer, check, conngen, equal, main, network_namespace, wait_for,
                     wait_until)


def config(tracer):
    return tracer.status()["config"]


def all_run(tracer):
    return all(tracer.running(c) for c in CHILDREN)


def shows_origins(shown):
    keys = {key["key"]: key for key in shown["keys"]}
    equal(shown["version"], 2, "version")
    for key, value, origin, file in (
            ("snapshot_interval", "300ms", "source", "10-fast.yaml"),
            ("output.format", "json", "local", "conntrace.yaml"),
            ("source.probation", "1m", "default", ""), ("nat", "false", "default", "")):
        equal(keys[key], {"key": key, "value": value, "from": origin, "file": file}, key)
    equal(shown["filters"], [{"filter": "exclude 127.0.0.0/8 port 7001", "from": "source",
                              "file": "10-fast.yaml"}], "filters")


def test_a_dropped_file_is_applied_within_one_poll_and_a_broken_one_is_not():
    with network_namespace() as (prefix, netns), Tracer(source=True) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        supervisor = tracer.process("supervisor")["pid"]
        equal(config(tracer)["snapshot_interval_ms"], 10000, "default interval")

        tracer.put("10-fast.yaml", "snapshot_interval: 300ms\n"
            "filters:\n  - exclude: {cidr: 127.0.0.0/8, port: 7001}\n")
        # One poll (200 ms, after at most a second of a first success) and the check.
        wait_for("applied", lambda: config(tracer)["snapshot_interval_ms"] == 300, 2.0)
        equal(len(config(tracer)["filters"]), 1, "filters")
        shows_origins(tracer.config("show"))
        wait_for("all run", lambda: all_run(tracer))
        equal(tracer.process("supervisor")["pid"], supervisor, "the supervisor's pid")
        equal(tracer.process("loader")["replaced"], 1, "loader replaced")
        equal(tracer.process("loader")["restarts"], 0, "loader restarted")
        before = tracer.status()["counters"]["filtered_close"]
        conngen(prefix, "run", "--connections", 50, "--port", 7001)
        conngen(prefix, "run", "--connections", 30, "--port", 7100)
        tracer.every_close(netns, 60)
        equal(tracer.status()["counters"]["filtered_close"] - before, 100, "filtered")
        walks = tracer.process("loader")["stats"]["walks"]
        wait_for("walks at the new interval",
                 lambda: tracer.process("loader")["stats"]["walks"] >= walks + 4, 4)

        version = config(tracer)["version"]
        tracer.put("20-broken.yaml", "families: [ipv4]\nsnapshot_interval: fast\n")
        wait_for("refused", lambda: not config(tracer)["applied"], 3)
        verdict = config(tracer)["verdict"]
        check("20-broken.yaml:2:" in verdict and "snapshot_interval" in verdict, verdict)
        equal(config(tracer)["version"], version, "version")
        equal(config(tracer)["snapshot_interval_ms"], 300, "interval")
        equal(config(tracer)["families"], [4, 6], "families")
        time.sleep(0.5)
        equal(tracer.process("loader")["replaced"], 1, "loader replaced by a broken file")
        check("20-broken.yaml:2:" in tracer.text(), "the log names file and line")
        told = tracer.status()["source"]
        equal(told["state"], 3, "state of the source")
        equal([(p["name"], p["state"]) for p in told["parts"]],
              [("10-fast.yaml", 1), ("20-broken.yaml", 3)], "states of its files")
        check("snapshot_interval" in told["parts"][1]["error"], told["parts"])

        os.remove(os.path.join(tracer.source, "20-broken.yaml"))
        wait_for("accepted again", lambda: config(tracer)["applied"], 3)
        # Nothing, the one file, both, the one file again.
        said = wait_for("each change counted", lambda: counted_by_poller(tracer, "candidates", 4))
        equal((said["candidates"], said["errors"]), (4, 0), "changes, errors")
        check(said["polls"] >= 4, f"polls: {said}")


def counted_by_poller(tracer, name, least):
    """Its numbers, which it tells once a second, when this one is so much."""
    said = tracer.process("poller")["stats"]
    return said if said and said[name] >= least else None


def test_a_source_file_may_not_set_what_is_local():
    with Tracer(source=True) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        tracer.put("a.yaml", "output: {path: /tmp/elsewhere}\n")
        wait_for("refused", lambda: not config(tracer)["applied"], 3)
        check("only in the local configuration" in config(tracer)["verdict"],
              config(tracer)["verdict"])


def test_a_file_that_others_may_write_is_not_taken():
    with Tracer(source=True) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        tracer.put("a.yaml", "snapshot_interval: 400ms\n")
        wait_for("applied", lambda: config(tracer)["snapshot_interval_ms"] == 400, 3)
        tracer.put("b.yaml", "snapshot_interval: 500ms\n")
        os.chmod(os.path.join(tracer.source, "b.yaml"), 0o666)
        wait_for("refused", lambda: "b.yaml" in tracer.text() and "chmod go-w" in tracer.text(), 4)
        said = wait_for("each look counted that failed",
                        lambda: counted_by_poller(tracer, "errors_in_row", 2))
        check(said["errors"] >= 2 and said["next_poll_ms"] > 0, f"{said}")


def test_sighup_reads_the_local_file_and_reopens_the_output_without_a_loss():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        conngen(prefix, "run", "--connections", 200)
        tracer.closes(netns, 400)
        moved = tracer.records_path + ".1"
        os.rename(tracer.records_path, moved)
        exporter = tracer.process("exporter")["pid"]
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            "records: {open: true}\n")
        tracer.proc.send_signal(signal.SIGHUP)
        conngen(prefix, "run", "--connections", 200, "--rate", 400)
        wait_for("a new exporter", lambda: tracer.running("exporter", other_than=exporter))
        count = 400

        def opens_are_recorded():
            nonlocal count
            conngen(prefix, "run", "--connections", 10)
            count += 10
            return tracer.status()["counters"]["submitted_open"]
        wait_for("open records after the reload", opens_are_recorded)

        def ours(event):
            return {(r["cpu"], r["seq"]) for path in (moved, tracer.records_path)
                    for r in tracer.records(path) if r["netns"] == netns and r["event"] == event}

        wait_until(lambda: len(ours("close")) >= 2 * count)
        equal(len(ours("close")), 2 * count, "close records over both files")
        wait_for("they are delivered", lambda: ours("open"))


def test_what_is_no_longer_fetched_is_no_longer_in_force():
    with Tracer(source=True) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        tracer.put("a.yaml", "snapshot_interval: 400ms\n")
        wait_for("applied", lambda: config(tracer)["snapshot_interval_ms"] == 400, 3)
        # The file goes while no poller looks.
        pid = tracer.process("poller")["pid"]
        os.kill(pid, signal.SIGSTOP)
        os.remove(os.path.join(tracer.source, "a.yaml"))
        os.kill(pid, signal.SIGKILL)
        wait_for("the default again", lambda: config(tracer)["snapshot_interval_ms"] == 10000, 5)
        # The source itself goes.
        tracer.put("a.yaml", "snapshot_interval: 500ms\n")
        wait_for("applied", lambda: config(tracer)["snapshot_interval_ms"] == 500, 3)
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n")
        tracer.proc.send_signal(signal.SIGHUP)
        wait_for("the default again", lambda: config(tracer)["snapshot_interval_ms"] == 10000, 5)
        wait_for("no poller", lambda: tracer.process("poller")["state"] == "idle")


def test_a_ring_of_another_size_is_a_new_tracer_and_no_crash():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        conngen(prefix, "run", "--connections", 300)
        tracer.closes(netns, 600)
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            "memory_budget: 4MiB\n")
        exporter = tracer.process("exporter")["pid"]
        tracer.proc.send_signal(signal.SIGHUP)
        process = wait_for("a new exporter",
                           lambda: tracer.running("exporter", other_than=exporter))
        equal(process["restarts"], 0, "exporter restarts")
        equal(process["replaced"], 1, "exporter replaced")
        equal(config(tracer)["ring_bytes"], 1 << 20, "ring")
        conngen(prefix, "run", "--connections", 300)
        tracer.every_close(netns, 1200)


def test_a_local_file_that_became_wrong_changes_nothing():
    with Tracer() as tracer:
        tracer.write_config("snapshot_interval: [1]\n")
        tracer.proc.send_signal(signal.SIGHUP)
        wait_for("refused", lambda: not config(tracer)["applied"], 3)
        check("conntrace.yaml:1:" in config(tracer)["verdict"], config(tracer)["verdict"])
        equal(config(tracer)["version"], 1, "version")
        check(tracer.running("exporter"), "exporter")


def checked(path, *options):
    done = subprocess.run([os.path.join(BIN, "conntrace"), "config", "check", *options, path],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_config_check_finds_what_conntraced_finds():
    tracer = Tracer()
    try:
        path = tracer.config_path
        equal(checked(path), (0, [path + ": valid"], ""), "a valid file")
        code, lines, _ = checked(path, "--source")
        # A second line names the tracer, if the tests are run with one.
        equal((code, [line[:len(path) + 10] for line in lines if ":1:" in line]),
              (78, [path + ":1: output", path + ":1: output"]), "as one of a source")
        tracer.write_config("snapshot_interval: [1]\nfamilies: []\nfiltres: []\n")
        code, lines, _ = checked(path)
        equal(code, 78, "exit code")
        said = subprocess.run([os.path.join(BIN, "conntraced"), "--user", "nobody", "--socket",
                               tracer.socket, "--check", "--config", path],
                              capture_output=True, text=True, check=False)
        equal(said.returncode, 78, "exit code of conntraced --check")
        equal(len(lines), 3, f"errors in {lines}")
        for line in lines:
            check(line.removeprefix(tracer.dir + "/") in said.stderr, f"{line} not in {said.stderr}")
        told = json.loads(checked(path, "--json")[1][0])
        equal([f"{path}:{e['line']}: {e['reason']}" for e in told["errors"]], lines, "as JSON")
        equal(told["valid"], False, "valid")
        # More than a text may have, nothing there, a directory.
        with open(path, "w", encoding="utf-8") as f:
            f.write("#" * 65537)
        check(checked(path)[0] == 78 and "longer than 65536" in checked(path)[1][0], checked(path))
        for path, why in ((path + ".none", "No such file"), (tracer.dir, "Is a directory")):
            code, lines, error = checked(path)
            check(code == 66 and lines == [] and path in error and why in error, (code, error))
    finally:
        shutil.rmtree(tracer.dir)


if __name__ == "__main__":
    main([test_a_dropped_file_is_applied_within_one_poll_and_a_broken_one_is_not,
          test_a_source_file_may_not_set_what_is_local,
          test_a_file_that_others_may_write_is_not_taken,
          test_sighup_reads_the_local_file_and_reopens_the_output_without_a_loss,
          test_what_is_no_longer_fetched_is_no_longer_in_force,
          test_a_ring_of_another_size_is_a_new_tracer_and_no_crash,
          test_a_local_file_that_became_wrong_changes_nothing,
          test_config_check_finds_what_conntraced_finds])
