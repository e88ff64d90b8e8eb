# SPDX-License-Identifier: Apache-2.0
"""run.py JOB: in a guest, run each command of the job; for each of its tracers see whether this kernel
supports it, and if it does run the end-to-end tests with it; then play its scenarios. Says what
happened on standard output, a JSON object a line; OF is "tracer": T or "scenario": S:

    {"event": "command", "name": NAME, "status": N, "output": TEXT}
    {"event": "tracer", "tracer": T, "comes_up": TEXT, "status": N, "log": TEXT, "probes": [...]}
    {"event": "begin", OF, "program": P}
    {"event": "end", OF, "program": P, "status": N, "seconds": S, "output": TEXT}
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
GRACE_S = 10
E2E = os.path.join(ROOT, "tests/e2e")
MODULES = os.pathsep.join([E2E, os.path.join(ROOT, "tests/matrix/guest")])  # of the scenarios

sys.path.insert(0, E2E)
import harness  # found by the line above


def report(event, **what):
    print(json.dumps({"event": event, **what}), flush=True)


def run_command(name, argv):
    done = subprocess.run(argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    report("command", name=name, status=done.returncode,
           output=done.stdout.decode(errors="replace"))


def try_tracer(tracer):
    """Whether any comes up when this one is asked for. Reports which and, as the kernel's verifier
    has just seen them, its programs."""
    conntraced = harness.Tracer(more=f"tracer: {tracer}\n")

    def is_up():
        return conntraced.cli("status", check_code=False).returncode == 0

    try:
        conntraced.start(wait=False)
        harness.wait_until(lambda: conntraced.proc.poll() is not None or is_up(), 20)
        tracing = is_up()
        status = conntraced.status() if tracing else {"tracer": "", "probes": []}
        if tracing:
            conntraced.stop()
        report("tracer", tracer=tracer, comes_up=status["tracer"], status=conntraced.proc.poll(),
               log=conntraced.text(), probes=status["probes"])
        return tracing
    finally:
        conntraced.kill()
        shutil.rmtree(conntraced.dir)


def run_program(program, environment, timeout_s, **of):
    report("begin", **of, program=program)
    began = time.monotonic()
    with subprocess.Popen([sys.executable, os.path.join(ROOT, program)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True,
                          env={**os.environ, **environment}) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                output, _ = process.communicate(timeout=GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
    report("end", **of, program=program, status=process.returncode,
           seconds=round(time.monotonic() - began, 1), output=output.decode(errors="replace"))


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        job = json.load(f)
    os.environ.update(job.get("environment", {}))
    harness.SLOWDOWN = int(os.environ.get("CONNTRACE_SLOWDOWN", "1"))  # it is imported already
    for name, argv in job.get("commands", {}).items():
        run_command(name, argv)
    if "tracers" in job:
        subprocess.run([os.path.join(ROOT, "packaging/dev/arm"),
                        os.path.join(harness.BIN, "conntrace-loader")], check=True)
    for tracer, tests in job.get("tracers", {}).items():
        environment = {"CONNTRACE_TRACER": tracer, **tests["environment"]}
        if try_tracer(tracer):
            for program in tests["programs"]:
                run_program(program, environment, job["timeout_s"], tracer=tracer)
    for program in job.get("scenarios", []):
        run_program(program, {"PYTHONPATH": MODULES}, job["timeout_s"], scenario=program)


if __name__ == "__main__":
    main()
