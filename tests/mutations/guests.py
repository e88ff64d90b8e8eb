# SPDX-License-Identifier: Apache-2.0
"""Tests that are run in guests of tests/matrix, each with an object of its own: the programs by
kprobes, built of the source as it is and with something taken away from it."""

import concurrent.futures
import dataclasses
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), "matrix")]

# Found by the line above.
import image
import kernels
import machine
import payload

LINE = "6.12"
OBJECT = "share/tracer-kprobe.bpf.o"
OBJECTS = "objects"  # of all runs, under O
AT_A_TIME = 2
GUEST_TIMEOUT_S = 2400
SLOWDOWN = 4  # of an emulated machine; what is missing is waited for so much longer
# "$1": the object, "$2": seconds, then the test.
RUN = f"""cp "build/{OBJECTS}/$1" build/{OBJECT} && chmod 644 build/{OBJECT} && limit=$2 && shift 2 &&
exec timeout -k 5 "$limit" "$@" """


@dataclasses.dataclass(frozen=True)
class Run:
    """A test with an object, by its name in O/objects."""
    name: str
    test: str


@dataclasses.dataclass(frozen=True)
class Said:
    status: int
    output: str


def why_none():
    return kernels.why_none()


def command(run, timeout_s):
    program, *words = run.test.split()
    return ["sh", "-c", RUN, "sh", run.name, str(timeout_s), "python3", f"tests/e2e/{program}.py",
            *words]


def boot(number, runs, kernel, root, build, timeout_s):
    directory = os.path.join(build, "guests", str(number))
    os.makedirs(directory, exist_ok=True)
    job = {"environment": {"CONNTRACE_TRACER": "kprobe", "CONNTRACE_SLOWDOWN": str(SLOWDOWN)},
           "commands": {"arm": ["packaging/dev/arm", "build/bin/conntrace-loader"],
                        **{run.name: command(run, timeout_s) for run in runs}}}
    archive = os.path.join(directory, "payload.tar")
    payload.write(archive, build, kernel, job, (*payload.BUILT, OBJECTS))
    ended = machine.boot(kernel, root, archive, directory, GUEST_TIMEOUT_S)
    if ended.wrong:
        print("\n".join(f"# guest: {line}" for line in (ended.wrong, *ended.console)), flush=True)
    return {event["name"]: Said(event["status"], event["output"]) for event in ended.events}


def play(runs, build, timeout_s):
    """{name: what its test said} of those that came to their end."""
    os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"  # which a user's may lack
    cache = kernels.cache_directory()
    with kernels.locked(cache):
        (line,) = [line for line in kernels.LINES if line.name == LINE]
        kernel = kernels.find(line, cache)
    root = image.build(build, payload.programs(build))
    said = {}
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as pool:
        parts = [runs[i::AT_A_TIME] for i in range(AT_A_TIME)]
        for part in pool.map(lambda p: boot(parts.index(p), p, kernel, root, build, timeout_s),
                             [p for p in parts if p]):
            said.update(part)
    return said
