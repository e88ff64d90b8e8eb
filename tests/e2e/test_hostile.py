# SPDX-License-Identifier: Apache-2.0
# timeout: 400
"""A child that breaks the rules of its channel is ended and replaced; nobody else takes harm.

hostile_child.c stands where a child stood and plays an attack at its first starts, then becomes
the real child."""

import atexit
import functools
import os
import re
import shutil
import subprocess
import tempfile

from harness import BIN, OUT, ROOT, Tracer, check, equal, main, proc_status, wait_for

STARTS = 3  # that are hostile
STEADY = 25  # looks, half a second's, that find the same
SOURCES = ("tests/e2e/hostile_child.c", "common/config.c", "common/msg.c", "common/msgfmt.c",
           "common/proto.c", "common/io.c", "common/memfd.c", "common/chan.c")

TRUNCATED = "message ?: truncated, or too many fds"
BY_THE_EXPORTER = {  # attack of hostile_child.c: what the supervisor says of it
    "unknown type": "message ?: unknown message type",
    "type zero": "message ?: unknown message type",
    "no message": "message ?: no message",
    "wrong arity": "message HEALTH: malformed",
    "wrong kind": "message HEALTH: malformed",
    "negative": "message HEALTH: malformed",
    "bytes left over": "message HEALTH: malformed",
    "truncated": "message HEALTH: malformed",
    "huge array": "message HEALTH: malformed",
    "huge array at work": "message STATS: malformed",
    "deep nesting": "message HEALTH: malformed",
    "wrong count": "message STATS: refused by its handler",
    "flood": "message ?: too many of them",
    "too large": "message READY: too large for its type",
    "unexpected fd": "message READY: unexpected fd",
    "one fd too many": TRUNCATED,
    "200 fds": TRUNCATED,
    "70000 bytes": TRUNCATED,
    "hello twice": "message HELLO: out of phase",
    "early health": "message HEALTH: out of phase",
    "early stats": "message STATS: out of phase",
    "wrong pid": "message HELLO: refused by its handler",
    "wrong role": "message HELLO: refused by its handler",
    "step": "message STEP: not for this sender to send",
    "loaded": "message LOADED: not for this sender to send",
    "supervisor's": "message WALK: not for this sender to send",
}
BY_THE_LOADER = {
    "ready too soon": "message READY: refused by its handler",
    "loaded": "message LOADED: refused by its handler",
}
BY_THE_POLLER = {
    "step": "message STEP: not for this sender to send",
    "too few fds": "message CANDIDATE: too few fds",
    "huge candidate": "message CANDIDATE: refused by its handler",
}


class Stage:
    """A copy of the programs with one child replaced."""
    built = {}

    def __init__(self, role):
        self.role = role
        self.dir = tempfile.mkdtemp(prefix="conntrace-hostile-")
        atexit.register(shutil.rmtree, self.dir, ignore_errors=True)
        os.chmod(self.dir, 0o755)
        self.bin = os.path.join(self.dir, "bin")
        shutil.copytree(BIN, self.bin)
        shutil.copytree(os.path.join(OUT, "share"), os.path.join(self.dir, "share"))
        subprocess.run([os.path.join(ROOT, "packaging/dev/arm"),
                        os.path.join(self.bin, "conntrace-loader")], check=True)
        program = os.path.join(self.bin, f"conntrace-{role}")
        os.rename(program, program + ".real")
        subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", f'-DHOSTILE_DIR="{self.dir}"',
                        "-Wall", "-Wextra", "-Werror", "-I.", "-o", program, *SOURCES,
                        "-lmsgpackc"], cwd=ROOT, check=True)
        os.chmod(program, 0o755)
        self.write("count", "0")
        shutil.chown(os.path.join(self.dir, "count"), "nobody", "nogroup")

    @classmethod
    def of(cls, role):
        if role not in cls.built:
            cls.built[role] = cls(role)
        return cls.built[role]

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text + "\n")

    def starts(self):
        with open(os.path.join(self.dir, "count"), encoding="utf-8") as f:
            return int(f.read())

    def set(self, attack, times):
        self.write("attack", attack)
        self.write("times", str(times))
        self.write("count", "0")
        return Tracer(binaries=self.bin, source=self.role == "poller")


def fd_count(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def answers(tracer):
    """The status while the supervisor runs and has processes to show, whatever their state."""
    check(tracer.proc.poll() is None, f"conntraced exited {tracer.proc.returncode}")
    done = tracer.cli("status", "--json", check_code=False)
    return done.stdout.startswith("{") and tracer.status()["processes"]


def recovered(tracer, role, restarts):
    process = tracer.running(role) if answers(tracer) else None
    return process if process and process["restarts"] == restarts else None


@functools.cache
def fds_without_attack(role):
    """What the supervisor has open when nothing happened, and nothing is under way."""
    with Stage.of(role).set("none", 0) as tracer:
        wait_for(f"{role} runs", lambda: tracer.running(role))
        counts = [fd_count(tracer.proc.pid)]

        def steady():
            counts.append(fd_count(tracer.proc.pid))
            return len(counts) > STEADY and len(set(counts[-STEADY:])) == 1
        wait_for("nothing under way", steady)
        return counts[-1]


class Attacked:
    """A conntraced one of whose children is hostile at its first starts, until it has recovered."""

    def __init__(self, role, attack, times=STARTS, seconds=15):
        self.role, self.times, self.seconds = role, times, seconds
        self.tracer = Stage.of(role).set(attack, times)

    def __enter__(self):
        tracer = self.tracer
        tracer.start(wait=False)
        try:
            wait_for("a status", lambda: os.path.exists(tracer.socket) and answers(tracer), 5)
            self.process = wait_for(f"the real {self.role} at work", lambda: recovered(
                tracer, self.role, self.times), self.seconds)
            equal(Stage.of(self.role).starts(), self.times, "hostile starts")
            wait_for("tracing", tracer.tracing)
        except BaseException as e:
            tracer.__exit__(type(e), e, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.tracer.__exit__(kind, value, trace)


def the_others_are_unharmed(tracer, role):
    processes = {p["name"]: p for p in tracer.status()["processes"]}
    equal(processes["supervisor"]["pid"], tracer.proc.pid, "the supervisor's pid")
    for name in {"loader", "exporter"} - {role}:
        equal(processes[name]["state"], "running", name)
        equal((processes[name]["restarts"], processes[name]["last"]), (0, ""), name)
    check(tracer.status()["identity"]["holds"], "the identity of the records does not hold")


def attack_test(role, attack, reason):
    """A test: play the attack, look at what is said and at what is left."""
    def test():
        before = fds_without_attack(role)
        with Attacked(role, attack) as attacked:
            tracer = attacked.tracer
            said = re.findall(rf"{role} \(pid \d+\): channel closed: ([^\n]*)", tracer.text())
            equal(said, [reason] * STARTS, "log")
            equal(attacked.process["last"],
                  f"killed by signal 9: channel closed: {reason}", "last")
            the_others_are_unharmed(tracer, role)
            wait_for(f"{before} fds of the supervisor again",
                     lambda: fd_count(tracer.proc.pid) == before)
    test.__name__ = f"test_the_{role}_plays: {attack}"
    return test


def test_an_empty_frame_is_a_hangup():
    with Attacked("exporter", "hang up") as attacked:
        equal(attacked.process["last"], "killed by signal 9: closed its channel", "last")
        the_others_are_unharmed(attacked.tracer, "exporter")


def test_one_that_says_nothing_is_killed():
    with Attacked("exporter", "say nothing", times=1) as attacked:
        equal(attacked.process["last"],
              "killed by signal 9: killed: silent for too long in state starting", "last")
        the_others_are_unharmed(attacked.tracer, "exporter")


def rss_kb(pid):
    return int(proc_status(pid)["VmRSS"].split()[0])


def test_fds_and_memory_do_not_grow_over_seven_restarts():
    with Stage.of("exporter").set("none", 0) as tracer:
        fds, kb = fd_count(tracer.proc.pid), rss_kb(tracer.proc.pid)
    for attack in ("200 fds", "unexpected fd", "70000 bytes"):
        with Attacked("exporter", attack, times=7, seconds=20) as attacked:
            pid = attacked.tracer.proc.pid
            wait_for(f"{attack}: {fds} fds again", lambda p=pid: fd_count(p) == fds)
            check(rss_kb(pid) - kb < 512, f"{attack}: {rss_kb(pid)} kB resident, before {kb}")


def test_a_candidate_that_is_no_memfd_is_refused_before_it_costs_a_check():
    stage = Stage.of("poller")
    with stage.set("no memfd", 1) as tracer:
        wait_for("the attack", lambda: stage.starts() == 1)
        process = wait_for("a new poller", lambda: tracer.process("poller")["restarts"] == 1 and
                           tracer.running("poller"))
        check("message CANDIDATE: refused by its handler" in process["last"], process["last"])
        config = tracer.status()["config"]
        equal((config["version"], config["applied"]), (1, True), "the configuration in force")
        equal(tracer.process("verifier")["restarts"], 0, "crashes of the verifier")
        the_others_are_unharmed(tracer, "poller")


if __name__ == "__main__":
    main([*(attack_test("exporter", *pair) for pair in BY_THE_EXPORTER.items()),
          *(attack_test("loader", *pair) for pair in BY_THE_LOADER.items()),
          *(attack_test("poller", *pair) for pair in BY_THE_POLLER.items()),
          test_an_empty_frame_is_a_hangup,
          test_one_that_says_nothing_is_killed,
          test_fds_and_memory_do_not_grow_over_seven_restarts,
          test_a_candidate_that_is_no_memfd_is_refused_before_it_costs_a_check])
