# SPDX-License-Identifier: Apache-2.0
"""What came from a source and makes tracing fail is rolled back by itself, and nothing is lost.

balking_child.c stands where the loader stood: it passes on what loader and supervisor say to each
other, but has the loader fail at a configuration with a filter for certain ports."""

import os
import signal
import subprocess
import threading

from harness import (CHILDREN, ROOT, Tracer, Tree, check, conngen, equal, main, network_namespace,
                     wait_for)

SOURCES = ("tests/e2e/balking_child.c", "common/config.c", "common/msg.c", "common/msgfmt.c",
           "common/proto.c")
GIVES_UP = "filters: [{exclude: {port: 6601}}]\n"
CRASHES = "filters: [{exclude: {port: 6602}}]\n"
HARMLESS = "snapshot_interval: 400ms\n"
UNACKNOWLEDGED, ACKNOWLEDGED, ERROR = 1, 2, 3
PROBATION_MS = 1500
ADDRESS = "127.77.4.1"


class Balking(Tree):
    """A copy of the programs whose loader balks."""

    def __init__(self):
        super().__init__()
        os.rename(self.loader, self.loader + ".real")
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-I.",
                        "-o", self.loader, *SOURCES, "-lmsgpackc"], cwd=ROOT, check=True)
        os.chmod(self.loader, 0o755)


def traced(binaries=None, output="", probation=PROBATION_MS):
    tracer = Tracer(**({"binaries": binaries} if binaries else {}))
    tracer.write_config((output or f"output: {{format: json, path: {tracer.records_path}}}\n") +
                        f"source: {{dir: {tracer.source}, interval: 200ms, "
                        f"probation: {probation}ms}}\n")
    return tracer


def source(tracer):
    return tracer.status()["source"]


def config(tracer):
    return tracer.status()["config"]


def all_run(tracer):
    return all(tracer.running(c) for c in CHILDREN) and source(tracer)["state"]


def rolled_back(tracer, version):
    """The configuration in the status, if it is that version because the one before failed."""
    now = config(tracer)
    return now if now["version"] == version and not now["applied"] else None


class Traffic:
    """Connections all the while, at a rate; ends() waits until they are made and says how many
    ends of connections there were."""

    def __init__(self, prefix, count, rate):
        self.made = []
        self.thread = threading.Thread(target=lambda: self.made.append(
            conngen(prefix, "run", "--connections", count, "--rate", rate)))
        self.thread.start()

    def ends(self):
        self.thread.join()
        return 2 * self.made[0]["completed"]


def once(records):
    """Records are delivered at least once."""
    return {(r["cpu"], r["seq"]) for r in records}


def lost_none(tracer, netns, ends):
    equal(len(once(tracer.closes(netns, ends))), ends, "close records")
    identity = tracer.drained()["identity"]
    check(identity["holds"], f"identity: {identity}")


def test_a_loader_that_gives_up_gets_the_configuration_before_back():
    with network_namespace() as (prefix, netns), Balking() as tree, traced(tree.bin) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        equal(source(tracer)["state"], ACKNOWLEDGED, "state of an empty source")
        tracer.put("a.yaml", HARMLESS)
        wait_for("on probation", lambda: source(tracer)["state"] == UNACKNOWLEDGED, 3)
        check(0 < source(tracer)["probation_left_ms"] <= PROBATION_MS, source(tracer))
        wait_for("passed", lambda: source(tracer)["state"] == ACKNOWLEDGED, 5)
        equal(source(tracer)["probation_left_ms"], 0, "probation left")
        exporter = tracer.running("exporter")["pid"]

        traffic = Traffic(prefix, 1000, 500)
        tracer.put("b.yaml", GIVES_UP)
        now = wait_for("rolled back", lambda: rolled_back(tracer, 4))
        check("version 3 was rolled back: the loader was given up" in now["verdict"] and
              "balks at this filter" in now["verdict"], now["verdict"])
        equal((now["snapshot_interval_ms"], now["filters"]), (400, []), "in force")
        told = source(tracer)
        equal(told["state"], ERROR, "state")
        equal(told["error"], now["verdict"], "error")
        equal([(p["name"], p["state"]) for p in told["parts"]],
              [("a.yaml", ERROR), ("b.yaml", ERROR)], "parts")
        loader = wait_for("the loader", lambda: tracer.running("loader"))
        check(tracer.tracing(), "tracing")

        # Sent again, it is not tried again.
        poller = tracer.running("poller")["pid"]
        os.kill(poller, signal.SIGKILL)
        wait_for("another poller's candidate", lambda: (tracer.running("poller", other_than=poller)
                                                        or {"stats": {}})["stats"].get("candidates"))
        wait_for("its verdict", lambda: tracer.text().count("configuration refused") == 1, 3)
        equal(config(tracer)["version"], 4, "version")
        equal(tracer.running("loader")["pid"], loader["pid"], "the loader")
        equal(tracer.running("exporter")["pid"], exporter, "the exporter, all the while")
        lost_none(tracer, netns, traffic.ends())

        equal([(e["by"], e["verdict"], e["version"]) for e in tracer.config("history")["history"]],
              [("local", "applied", 1), ("source", "applied", 1), ("source", "on probation", 2),
               ("source", "passed", 2), ("source", "on probation", 3),
               ("source", "rolled back", 4), ("source", "refused", 4)], "history")

        # Told to reload, conntraced tries it again.
        tracer.proc.send_signal(signal.SIGHUP)
        wait_for("rolled back again", lambda: rolled_back(tracer, 7))
        # Something else is tried.
        tracer.put("b.yaml", "filters: [{exclude: {port: 6600}}]\n")
        wait_for("applied", lambda: source(tracer)["state"] == UNACKNOWLEDGED, 3)
        equal([f["filter"] for f in config(tracer)["filters"]], ["exclude port 6600"], "filters")


def test_a_loader_that_crashes_and_crashes_gets_the_configuration_before_back():
    with network_namespace() as (prefix, netns), Balking() as tree, traced(tree.bin) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        traffic = Traffic(prefix, 1000, 500)
        tracer.put("a.yaml", CRASHES)
        now = wait_for("rolled back", lambda: rolled_back(tracer, 3))
        check("3 crashes" in now["verdict"] and "loader: killed by signal 9" in now["verdict"],
              now["verdict"])
        equal(now["filters"], [], "in force")
        process = wait_for("the loader", lambda: tracer.running("loader"))
        equal(process["restarts"], 2, "restarts of the loader")
        lost_none(tracer, netns, traffic.ends())


def test_what_is_there_from_the_start_is_on_probation_too():
    with Balking() as tree:
        tracer = traced(tree.bin)
        tracer.put("a.yaml", GIVES_UP)
        with tracer:
            wait_for("rolled back", lambda: rolled_back(tracer, 3))
            wait_for("all run", lambda: all_run(tracer))
            equal(config(tracer)["filters"], [], "in force")
            check(tracer.tracing(), "tracing")


def test_a_reload_sets_aside_what_is_on_probation():
    with traced(probation=60000) as tracer:
        wait_for("all run", lambda: all_run(tracer))
        tracer.put("a.yaml", HARMLESS)
        wait_for("on probation", lambda: source(tracer)["state"] == UNACKNOWLEDGED, 3)
        # Two crashes it survives, and the reload: it is in force again, on probation anew.
        for _ in range(2):
            pid = tracer.running("exporter")["pid"]
            os.kill(pid, signal.SIGKILL)
            wait_for("the exporter", lambda: tracer.running("exporter", other_than=pid))
        tracer.proc.send_signal(signal.SIGHUP)
        wait_for("version 4", lambda: config(tracer)["version"] == 4)
        equal(config(tracer)["snapshot_interval_ms"], 400, "in force")
        equal(source(tracer)["state"], UNACKNOWLEDGED, "state")
        wait_for("all run", lambda: all_run(tracer))
        for left in range(2, -1, -1):
            equal(config(tracer)["snapshot_interval_ms"], 400, "in force")
            pid = tracer.running("exporter")["pid"]
            os.kill(pid, signal.SIGKILL)
            wait_for("the exporter", lambda: tracer.running("exporter", other_than=pid))
        now = wait_for("rolled back", lambda: rolled_back(tracer, 5))
        check("3 crashes" in now["verdict"] and "the exporter" in now["verdict"], now["verdict"])
        equal(now["snapshot_interval_ms"], 10000, "in force")


def test_losses_bring_the_configuration_before_back():
    tracer = Tracer()
    pipe = os.path.join(tracer.out, "pipe")
    os.mkfifo(pipe, 0o666)
    os.chmod(pipe, 0o666)
    fd = os.open(pipe, os.O_RDWR)  # nobody reads
    # What others on this machine do must neither be lost before nor not be lost then.
    tracer.write_config(f"output: {{format: json, path: {pipe}}}\nmemory_budget: 1MiB\n"
                        f"filters: [include: {{cidr: {ADDRESS}}}, exclude: all]\n"
                        f"source: {{dir: {tracer.source}, interval: 200ms}}\n")
    with network_namespace() as (prefix, _), tracer:
        wait_for("all run", lambda: all_run(tracer))
        tracer.put("a.yaml", HARMLESS)
        wait_for("on probation", lambda: source(tracer)["state"] == UNACKNOWLEDGED, 3)
        conngen(prefix, "run", "--addr", ADDRESS, "--connections", 2000, "--threads", 2, "--ports", 4)
        now = wait_for("rolled back", lambda: rolled_back(tracer, 3))
        check(" records lost, " in now["verdict"] and "before 0.00 %" in now["verdict"],
              now["verdict"])
        equal(now["snapshot_interval_ms"], 10000, "in force")
    os.close(fd)


if __name__ == "__main__":
    main([test_a_loader_that_gives_up_gets_the_configuration_before_back,
          test_a_loader_that_crashes_and_crashes_gets_the_configuration_before_back,
          test_what_is_there_from_the_start_is_on_probation_too,
          test_a_reload_sets_aside_what_is_on_probation,
          test_losses_bring_the_configuration_before_back])
