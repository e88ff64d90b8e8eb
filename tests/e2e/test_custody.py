# SPDX-License-Identifier: Apache-2.0
"""Whoever is killed or restarted under load, and reloads and upgrades: no record is missing, none
is there twice but by the same number. See blows.py for how to have more of it."""
# timeout: 600

import os
import shutil
import signal
import subprocess

from blows import KILLS_IN_A_ROW, adopted, reload, under_load
from harness import (BIN, SLOWDOWN, Tracer, Tree, bpf_ids, bpf_links, check, conngen, equal, main,
                     network_namespace, steps_of, wait_for)
from service_manager import Service

ROOMY = "memory_budget: 64MiB\n"


def kill(tracer, name, n):
    """A child that is killed again and again waits ever longer; a reload begins anew."""
    if n % KILLS_IN_A_ROW == KILLS_IN_A_ROW - 1:
        reload(tracer, ROOMY if name == "exporter" else "")
    pid = tracer.process(name)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_for(f"{name} back", lambda: tracer.running(name, other_than=pid))


def test_kill_9_of_the_loader_loses_nothing():
    under_load(Tracer(), lambda tracer, n: kill(tracer, "loader", n))


def test_kill_9_of_the_exporter_loses_nothing():
    # A ring for as long as nobody reads it.
    under_load(Tracer(more=ROOMY), lambda tracer, n: kill(tracer, "exporter", n))

def test_a_reload_with_another_filter_loses_nothing():
    def blow(tracer, n):
        reload(tracer, f"filters: [{{exclude: {{port: {1000 + n}}}}}]\n")
        adopted(tracer)
    under_load(Tracer(), blow)

def restart(tracer, how):
    tracer.stored()
    if how == signal.SIGKILL:
        tracer.kill()
    else:
        tracer.stop()
    tracer.start()
    adopted(tracer)


def test_a_supervisor_killed_and_started_again_with_its_fds_loses_nothing():
    under_load(Service(), lambda tracer, n: restart(tracer, signal.SIGKILL))


def test_a_service_stopped_and_started_again_with_its_fds_loses_nothing():
    under_load(Service(), lambda tracer, n: restart(tracer, signal.SIGTERM))


def starts(tracer):
    """How often a conntraced said that it traces."""
    return tracer.text().count("tracing, configuration")


def upgrade(tracer):
    """By the signal, and waiting for it."""
    before, pid = starts(tracer), tracer.proc.pid
    tracer.proc.send_signal(signal.SIGUSR2)
    wait_for("the new conntraced", lambda: starts(tracer) > before)
    equal(tracer.process("supervisor")["pid"], pid, "pid")
    adopted(tracer)


def ask_upgrade(tracer):
    return subprocess.run([os.path.join(BIN, "conntraced"), "--upgrade", "--socket", tracer.socket],
                          capture_output=True, text=True, timeout=60 * SLOWDOWN, check=False)


def test_an_upgrade_by_signal_loses_nothing_and_keeps_the_pid():
    under_load(Tracer(), lambda tracer, n: upgrade(tracer))


def test_an_upgrade_executes_what_is_installed_and_waits_for_it():
    with Tree() as tree, Service(binaries=tree.bin, source=True) as tracer:
        stored = tracer.stored()
        path = os.path.join(tree.bin, "conntraced")
        os.rename(path, path + ".old")
        shutil.copy(path + ".old", path)
        exe = f"/proc/{tracer.proc.pid}/exe"
        check(not os.path.samefile(exe, path), "runs what is not installed yet")
        done = ask_upgrade(tracer)
        equal(done.returncode, 0, f"exit code: {done.stderr}")
        equal(done.stdout, f"conntraced {tracer.proc.pid}: upgraded, tracing\n", "said")
        check(os.path.samefile(exe, path), f"runs {os.readlink(exe)}")
        adopted(tracer)
        equal(tracer.stored(), stored, "in the store")
        equal(tracer.manager.heard("READY=1"), 2, "READY=1")
        equal(tracer.manager.heard("STOPPING=1"), 0, "STOPPING=1")
        # And once more: what went over goes over again.
        equal(ask_upgrade(tracer).returncode, 0, "exit code")
        adopted(tracer)


def test_an_upgrade_that_would_fail_is_refused_and_changes_nothing():
    with Tree() as tree, Tracer(binaries=tree.bin) as tracer:
        path = os.path.join(tree.bin, "conntraced")
        pids = {p["name"]: p["pid"] for p in tracer.status()["processes"]}

        def refused(*said):
            done = ask_upgrade(tracer)
            equal(done.returncode, 70, f"exit code: {done.stdout}")
            for words in said:
                check(words in done.stderr, f"not said: {words!r}: {done.stderr}")
            check(said[-1] in tracer.process("supervisor")["last"], "the status")
            equal({p["name"]: p["pid"] for p in tracer.status()["processes"]}, pids, "processes")

        os.rename(path, path + ".good")
        for content in (b"no program", b""):
            with open(path, "wb") as f:
                f.write(content)
            os.chmod(path, 0o755)
            refused("upgrade", "can't be executed")
            os.unlink(path)
        refused("upgrade", "can't be executed")
        os.rename(path + ".good", path)
        tracer.write_config("snapshot_interval: fast\n")
        refused("upgrade", "--check of what is installed exited with 78")
        check("conntrace.yaml:1:" in tracer.text(), "the log says what is wrong")


def test_an_upgrade_that_fails_at_the_last_moment_goes_on_as_before():
    with network_namespace() as (prefix, netns), Tree() as tree, \
         Tracer(binaries=tree.bin) as tracer:
        # A program that is well when it is tried, and gone when it is executed.
        shell = os.path.join(tracer.out, "sh")
        shutil.copy("/bin/sh", shell)
        shutil.chown(shell, "nobody")
        path = os.path.join(tree.bin, "conntraced")
        os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"#!{shell}\nrm {shell}\n")
        os.chmod(path, 0o755)
        loader = tracer.process("loader")["pid"]
        conngen(prefix, "run", "--connections", 100)
        done = ask_upgrade(tracer)
        equal(done.returncode, 70, f"exit code: {done.stdout}")
        check("execute conntraced: No such file" in done.stderr, done.stderr)
        wait_for("the loader", lambda: tracer.running("loader", other_than=loader))
        wait_for("the exporter", lambda: tracer.running("exporter"))
        adopted(tracer)
        conngen(prefix, "run", "--connections", 100)
        tracer.every_close(netns, 400)


def test_what_is_in_the_store_and_is_not_a_tracer_is_refused_and_cleared_away():
    tracer = Service()
    foreign = [("tracer-7-00", "/dev/null"), ("tracer-7-manifest", "/etc/passwd"),
               ("tracer-9-manifest", "/dev/zero"), ("somebody", "/dev/null")]
    tracer.manager.store = [(name, os.open(path, os.O_RDONLY)) for name, path in foreign]
    os.environ["FDSTORE"] = "10"
    try:
        with tracer:
            text = tracer.text()
            for words in ("tracer 7, left to this process, is not taken",
                          "tracer 9, left to this process, is not taken",
                          "FileDescriptorStoreMax=98"):
                check(words in text, f"not said: {words}: {text}")
            tracer.stored()
            names = tracer.manager.names()
            equal([n for n in names if not n.startswith("tracer-1-")], [], "left in the store")
            equal(steps_of(tracer.status())[tracer.status()["tracer"], "load"]["result"], "ok",
                  "load")
            left = [os.readlink(f"/proc/{tracer.proc.pid}/fd/{fd}")
                    for fd in os.listdir(f"/proc/{tracer.proc.pid}/fd")]
            check("/etc/passwd" not in left and "/dev/zero" not in left, f"fds: {left}")
    finally:
        del os.environ["FDSTORE"]


def test_what_was_stored_detaches_with_the_unit():
    tracer = Service()
    with tracer:
        tracer.stored()
        mine = bpf_ids(tracer.proc.pid, "link")
        tracer.stop()
        equal(bpf_links() & mine, mine, "links while the service manager has them")
        tracer.manager.drop()
        wait_for("links gone", lambda: not bpf_links() & mine)

if __name__ == "__main__":
    main([test_kill_9_of_the_loader_loses_nothing,
          test_kill_9_of_the_exporter_loses_nothing,
          test_a_reload_with_another_filter_loses_nothing,
          test_a_supervisor_killed_and_started_again_with_its_fds_loses_nothing,
          test_a_service_stopped_and_started_again_with_its_fds_loses_nothing,
          test_an_upgrade_by_signal_loses_nothing_and_keeps_the_pid,
          test_an_upgrade_executes_what_is_installed_and_waits_for_it,
          test_an_upgrade_that_would_fail_is_refused_and_changes_nothing,
          test_an_upgrade_that_fails_at_the_last_moment_goes_on_as_before,
          test_what_is_in_the_store_and_is_not_a_tracer_is_refused_and_cleared_away,
          test_what_was_stored_detaches_with_the_unit])
