# SPDX-License-Identifier: Apache-2.0
"""What the steps of the test in a guest use: to say what is, to run commands, to wait."""

import glob
import json
import os
import subprocess
import time

RECORDS = "/var/log/conntrace/connections.jsonl"
WORK = "/run/package-test"
CONNGEN = f"{WORK}/build/bench/conngen"
PATIENCE_S = 120  # an emulated machine is slow


def report(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def point(name, passed, detail=""):
    report("point", name=name, passed=passed, detail=detail)


def run(*argv, status=0):
    """What a command said; its exit status must be this one, None for any."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8",
                               "SYSTEMD_PAGER": "cat"})
    if status is not None and done.returncode != status:
        raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def show(*argv, status=0):
    """The same, and tell it."""
    text = run(*argv, status=status)
    report("said", what=" ".join(argv), text=text)
    return text


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def wait_until(holds, what, patience_s=PATIENCE_S):
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"not within {patience_s} s: {what}")
        time.sleep(0.2)


def prop(name, unit="conntraced.service"):
    return run("systemctl", "show", "--property", name, "--value", unit).strip()


def is_active():
    return prop("ActiveState") == "active" and prop("SubState") == "running"


def is_tracing():
    return subprocess.run(["conntrace", "status"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def processes():
    """{name: pid} of what runs in the unit's cgroup."""
    found = {}
    for pid in run("sh", "-c", "cat /sys/fs/cgroup/system.slice/conntraced.service/cgroup.procs "
                   "2>/dev/null || :").split():
        try:
            name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        except FileNotFoundError:
            continue
        found[name] = int(pid)
    return found


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def records():
    """Every record of the rotated files and the one in use, in their order."""
    paths = sorted(glob.glob(f"{RECORDS}.*"), reverse=True) + glob.glob(RECORDS)
    lines = []
    for path in paths:
        text = run("zcat", "-f", path)
        lines += [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return lines


def conngen(port, count, *more):
    """Make connections to a port of their own; both ends of each must be recorded."""
    said = json.loads(run(CONNGEN, "run", "--port", str(port), "--connections", str(count), *more))
    equal((said["completed"], said["server_completed"]), (count, count), "conngen's connections")


def ends(port):
    """The ends of connections to that port that were recorded, each once: by socket, for ports are
    used again within a second on loopback."""
    return {(r["cookie"], r["sport"], r["dport"], r["closed_ns"]) for r in records()
            if r["event"] == "close" and port in (r["sport"], r["dport"])}


def expect_ends(port, count):
    wait_until(lambda: len(ends(port)) >= 2 * count, f"{2 * count} ends to port {port} recorded")
    equal(len(ends(port)), 2 * count, f"ends to port {port} recorded")
