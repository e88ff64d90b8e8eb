# SPDX-License-Identifier: Apache-2.0
"""The folder of metadata when the disk is full or the process is killed, after each system call
that touches it: every file is whole, old or new, and the next run goes on."""

import json
import os
import re
import shutil
import subprocess

import harness
import tuf_world
from harness import BIN, check, equal
from tuf_world import World

CALLS = ("openat", "unlinkat", "write", "fsync", "close", "renameat")
ENDS = ("error=ENOSPC", "error=EIO", "signal=KILL")
TIMES_MAX = 200


def trace(w, *options):
    """A refresh under strace, which sees the calls on the folder and its files. Gives the exit
    status and what strace wrote."""
    log = os.path.join(w.dir, "strace")
    names = [name for role in tuf_world.TOP for name in (f"{role}.json", f".{role}.json.tmp")]
    paths = [word for name in ("", *names) for word in ("-P", os.path.join(w.metadata, name))]
    done = subprocess.run(
        ["strace", "-f", "-o", log, *paths, *options, os.path.join(BIN, "conntrace-tuf"),
         "--metadata-dir", w.metadata, "--metadata-url", f"file://{w.dir}/copy/metadata", "refresh"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=tuf_world.ENVIRONMENT, timeout=60, check=False)
    with open(log, encoding="utf-8", errors="replace") as file:
        return done, file.read()


def inject(w, call, how, when):
    """A refresh in which the when-th such call fails. Returns whether there was one."""
    done, text = trace(w, "-e", f"trace={call}", "-e", f"inject={call}:{how}:when={when}")
    check(done.returncode in (0, 1, -9, 137), f"{call} {how} {when}: exit {done.returncode}")
    return "(INJECTED)" in text or "killed by SIGKILL" in text


def check_files(w, old, new, what):
    for role in tuf_world.TOP:
        check(w.stored(role) in (old[role], new[role]), f"{what}: {role} is neither old nor new")
    for name in os.listdir(w.metadata):
        check(name.removesuffix(".json") in tuf_world.TOP or name.endswith(".tmp"),
              f"{what}: left {name}")


def state(w):
    return {role: w.stored(role) for role in tuf_world.TOP}


def restore(w, files):
    shutil.rmtree(w.metadata)
    os.mkdir(w.metadata)
    for role, data in files.items():
        w.store(role, data)


def copy_repository(w):
    for path, data in w.repo.files.items():
        place = os.path.join(w.dir, "copy", path.lstrip("/"))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(data)


def refresh(w):
    w.client("--metadata-url", f"file://{w.dir}/copy/metadata", "refresh")


def try_all(call, how):
    signer = tuf_world.RepoSigner()
    try:
        with World(signer) as w:
            copy_repository(w)
            refresh(w)
            old = state(w)
            w.repo.rotate("root")
            w.repo.bump("targets")
            copy_repository(w)
            refresh(w)
            new = state(w)
            equal(json.loads(new["root"])["signed"]["version"], 2, "root")
            times = 0
            while times < TIMES_MAX:
                restore(w, old)
                if not inject(w, call, how, times + 1):
                    break
                times += 1
                check_files(w, old, new, f"{call} {how} {times}")
                refresh(w)
                equal(state(w), new, f"after the run that follows {call} {how} {times}")
                equal(sorted(os.listdir(w.metadata)), sorted(f"{r}.json" for r in tuf_world.TOP),
                      "files")
            check(0 < times < TIMES_MAX, f"{call} was made to fail {times} times")
    finally:
        signer.close()


def test_each_file_is_on_disk_before_it_is_named():
    signer = tuf_world.RepoSigner()
    try:
        with World(signer) as w:
            copy_repository(w)
            done, text = trace(w, "-y", "-e", "trace=write,fsync,renameat")
            equal(done.returncode, 0, "exit status")
            calls = re.findall(r"^\d+ +(write|fsync|renameat)\(\d+<[^>]*?(\.json\.tmp)?>", text,
                               re.MULTILINE)
            calls = [call + " file" * bool(temporary) for call, temporary in calls]
            each = ["write file", "fsync file", "renameat", "fsync"]
            equal(calls, each * 3, "calls for timestamp, snapshot, targets")
    finally:
        signer.close()


def tests():
    yield test_each_file_is_on_disk_before_it_is_named
    for call in CALLS:
        for how in ENDS:
            def test(call=call, how=how):
                try_all(call, how)
            test.__name__ = f"{call} with {how}"
            yield test


if __name__ == "__main__":
    harness.main(list(tests()))
