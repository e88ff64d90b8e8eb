# SPDX-License-Identifier: Apache-2.0
"""Who runs with what, what happens when one dies, and what is left at the end.

CONNTRACE_CAPS_LEFT=cap_bpf tells that the kernel does not let the loader go on with nothing, as
Linux 5.10 does not; by default no process keeps a capability."""

import os
import re
import signal
import subprocess
import threading
import time

from harness import (BIN, CHILDREN, SLOWDOWN, Tracer, bpf_ids, bpf_links, check, conngen, equal,
                     load, main,
                     network_namespace, proc_limits, proc_status, wait_for)

CAP_SETS = ("CapPrm", "CapEff", "CapInh", "CapAmb")
LOADER_CAPS = (1 << 38) | (1 << 39)  # CAP_PERFMON, CAP_BPF
NAT_CAPS = 1 << 12  # CAP_NET_ADMIN, which its file may have besides
CAPS_LEFT = os.environ.get("CONNTRACE_CAPS_LEFT", "none")
MASKS = {"none": 0, "cap_bpf": 1 << 39}


KILLED = r"SIGKILL while running, after \d+\.\d s{}; \d+ ms of processor time, [1-9]\d* KiB of memory at most"
LAST_WORDS = {"loader": KILLED.format(", last step sandbox"), "exporter": KILLED.format(""),
              "poller": KILLED.format("")}


def kept(name, cap_set):
    """The capabilities that the process is to have in that set."""
    return MASKS[CAPS_LEFT] if name == "loader" and cap_set in ("CapPrm", "CapEff") else 0


def file_capabilities():
    return subprocess.run(["getcap", os.path.join(BIN, "conntrace-loader")], capture_output=True,
                          text=True, check=True).stdout


def row(name, pid, sandbox):
    """Of the table of what each process has, as the kernel shows it."""
    status = proc_status(pid)
    limits = proc_limits(pid)
    words = [name, status["Uid"].split()[0],
             *(f"{int(status[s], 16):x}" for s in (*CAP_SETS, "CapBnd")),
             status["NoNewPrivs"].strip(), status["Seccomp"].strip(),
             str(len(os.listdir(f"/proc/{pid}/fd"))), limits["Max open files"][1],
             limits["Max core file size"][1], sandbox if name == "loader" else "-"]
    return "# | " + " | ".join(words) + " |"


def test_nobody_is_root_and_nobody_has_a_capability_that_is_not_expected():
    bounding = LOADER_CAPS | (NAT_CAPS if "cap_net_admin" in file_capabilities() else 0)
    tracer = Tracer(source=True)
    tracer.prepare = lambda: os.setgroups([4, 27])  # groups that root may have
    with tracer:
        wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
        # One that starts has not closed itself in yet, as a verifier may do at any time.
        running = [p for p in tracer.status()["processes"] if p["state"] == "running"]
        check({"supervisor", *CHILDREN} <= {p["name"] for p in running}, f"running: {running}")
        for process in running:
            name, status = process["name"], proc_status(process["pid"])
            check("0" not in status["Uid"].split(), f"{name}: uid {status['Uid']}")
            check("0" not in status["Gid"].split(), f"{name}: gid {status['Gid']}")
            equal(status["Groups"].strip(), "", f"{name}: groups")
            for cap_set in CAP_SETS:
                equal(int(status[cap_set], 16), kept(name, cap_set), f"{name}: {cap_set}")
            equal(int(status["CapBnd"], 16) & ~bounding, 0, f"{name}: CapBnd")
            if name != "supervisor":
                equal(status["Seccomp"].strip(), "2", f"{name}: Seccomp")
                equal(status["NoNewPrivs"].strip(), "1", f"{name}: NoNewPrivs")
        for process in running:
            limits = proc_limits(process["pid"])
            equal(limits["Max core file size"], ("0", "0"), f"{process['name']}: core")
            if process["name"] != "supervisor":
                equal(limits["Max open files"], ("256", "256"), f"{process['name']}: fds")
        sandbox = next(s["detail"] for s in tracer.status()["ladder"] if s["step"] == "sandbox")
        print("# | process | uid | CapPrm | CapEff | CapInh | CapAmb | CapBnd | NoNewPrivs | Seccomp | fds "
              "| fds at most | core | sandbox |")
        print("\n".join(row(p["name"], p["pid"], sandbox) for p in running))


def test_the_loader_had_its_two_capabilities_and_says_what_is_left():
    got = file_capabilities()
    check("cap_perfmon,cap_bpf=p" in got, f"file capabilities: {got}")
    with Tracer() as tracer:
        steps = {s["step"]: s for s in tracer.status()["ladder"]}
        equal(steps["load"]["result"], "ok", "load, which needs CAP_BPF and CAP_PERFMON")
        equal(steps["drop"]["detail"], f"capabilities left: {CAPS_LEFT}", "drop")
        # From the first step's begin to the drop, and no longer if nothing is left.
        names = list(steps)
        climbed_us = sum(step["duration_us"] for step in steps.values()
                         if names.index(step["step"]) < names.index("drop"))
        first = privileged_us(tracer)
        check(first >= climbed_us, f"privileged for {first} us, {climbed_us} us of steps")
        time.sleep(1.5 * SLOWDOWN)
        equal(privileged_us(tracer) == first, CAPS_LEFT == "none", "no longer than until the drop")


def privileged_us(tracer):
    return wait_for("stats of the loader",
                    lambda: tracer.process("loader")["stats"])["privileged_us"]


def test_children_have_only_their_channel_and_what_they_were_given():
    allowed = ("/dev/null", "socket:", "anon_inode:", "/memfd:")
    with Tracer(source=True) as tracer:
        wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
        for name in CHILDREN:
            pid = tracer.process(name)["pid"]
            for fd in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
                check(int(fd) == 2 or target.startswith(allowed) or target.startswith(tracer.dir)
                      or target.endswith("/share")
                      or (name == "exporter" and target.startswith("/sys/fs/cgroup")),
                      f"{name}: fd {fd} is {target}")


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return dict(line.split(b"=", 1) for line in file.read().split(b"\0") if line)


def test_children_get_of_the_environment_only_what_the_loader_needs():
    token = "/v2/credentials/0123456789abcdef0123456789abcdef"
    os.environ.update(KUBERNETES_SERVICE_HOST="10.96.0.1", CONNTRACE_SECRET="1",
                      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=token)
    try:
        with Tracer(source=True) as tracer:
            wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
            got = {name: environment(tracer.process(name)["pid"]) for name in CHILDREN}
    finally:
        for name in ("KUBERNETES_SERVICE_HOST", "CONNTRACE_SECRET",
                     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
            del os.environ[name]
    for name in CHILDREN:
        got[name].pop(b"JOURNAL_STREAM", None)
    equal(got["exporter"], {}, "the exporter's environment")
    equal(got["poller"], {}, "the poller's environment")
    check(b"CONNTRACE_SECRET" not in got["loader"], got["loader"])
    equal(got["loader"][b"KUBERNETES_SERVICE_HOST"], b"10.96.0.1", "a variable of the instance")
    equal(got["loader"][b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"], token[:31].encode(),
          "an address of credentials, cut")


def kill_under_traffic(name):
    """kill -9 a child three times while conngen runs; every record must be there in the end."""
    with network_namespace() as (prefix, netns), Tracer(source=True) as tracer:
        wait_for("all run", lambda: all(tracer.running(c) for c in CHILDREN))
        report = {}
        traffic = threading.Thread(target=lambda: report.update(conngen(
            prefix, "run", "--connections", load(6000), "--rate", load(1500), "--ports", 4)))
        traffic.start()
        for n in range(1, 4):
            pid = tracer.process(name)["pid"]
            time.sleep(0.3)
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            process = wait_for(f"{name} back", lambda: tracer.running(name, other_than=pid), 5)
            took = time.monotonic() - killed
            check(took < 1.0 * SLOWDOWN, f"{name}: restart {n} took {took:.2f} s")
            equal(process["restarts"], n, "restarts in the status")
            check("signal 9" in process["last"], f"last: {process['last']}")
            words = process["last_words"]
            check(re.fullmatch(LAST_WORDS[name], words), f"last words: {words}")
            check(words in tracer.text(), "the log has them, too")
        traffic.join()
        count = 2 * report["completed"]
        once = tracer.every_close(netns, count)
        sent = sum(r["bytes_sent"] for r in once)
        if len(once) == count:
            equal(sent, report["client_bytes_sent"] + report["server_bytes_sent"], "bytes")
        status = tracer.status()
        identity = status["identity"]
        check(identity["holds"] and identity["dropped"] == status["counters"]["lost_unseen"],
              f"identity: {identity}")
        print(f"# {name}: {len(tracer.closes(netns)) - len(once)} records delivered twice")


def test_kill_9_of_the_loader_loses_no_record():
    kill_under_traffic("loader")


def test_kill_9_of_the_exporter_loses_no_record():
    kill_under_traffic("exporter")


def test_kill_9_of_the_poller_loses_no_record():
    kill_under_traffic("poller")


def test_a_child_that_is_silent_is_killed_and_restarted():
    with Tracer() as tracer:
        pid = tracer.process("loader")["pid"]
        os.kill(pid, signal.SIGSTOP)
        process = wait_for("a new loader", lambda: tracer.running("loader", other_than=pid), 12)
        check("silent for too long" in process["last"], f"last: {process['last']}")


def test_nothing_is_left_after_a_stop():
    for sig in (signal.SIGTERM, signal.SIGINT):
        tracer = Tracer()
        with tracer:
            pids = [p["pid"] for p in tracer.status()["processes"] if p["pid"]]
            mine = bpf_ids(tracer.proc.pid, "link")
            check(mine, "no link while tracing")
            tracer.proc.send_signal(sig)
            equal(tracer.proc.wait(10 * SLOWDOWN), 0, "exit code")
            check(not os.path.exists(tracer.socket), "the control socket is still there")
            left = [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
            equal(left, [], "processes left")
        wait_for("links gone", lambda: not bpf_links() & mine)


def test_kill_9_of_the_supervisor_leaves_nothing():
    with Tracer() as tracer:
        pids = [p["pid"] for p in tracer.status()["processes"] if p["pid"]]
        mine = bpf_ids(tracer.proc.pid, "link")
        tracer.kill()
        wait_for("children gone", lambda: not [p for p in pids if os.path.exists(f"/proc/{p}")])
        wait_for("links gone", lambda: not bpf_links() & mine)


if __name__ == "__main__":
    main([test_nobody_is_root_and_nobody_has_a_capability_that_is_not_expected,
          test_the_loader_had_its_two_capabilities_and_says_what_is_left,
          test_children_have_only_their_channel_and_what_they_were_given,
          test_children_get_of_the_environment_only_what_the_loader_needs,
          test_kill_9_of_the_loader_loses_no_record,
          test_kill_9_of_the_exporter_loses_no_record,
          test_kill_9_of_the_poller_loses_no_record,
          test_a_child_that_is_silent_is_killed_and_restarted,
          test_nothing_is_left_after_a_stop,
          test_kill_9_of_the_supervisor_leaves_nothing],
         # What is left to a process is the kernel's doing, not the tracer's.
         once=(test_nobody_is_root_and_nobody_has_a_capability_that_is_not_expected,
               test_the_loader_had_its_two_capabilities_and_says_what_is_left,
               test_children_have_only_their_channel_and_what_they_were_given,
               test_children_get_of_the_environment_only_what_the_loader_needs,
               test_kill_9_of_the_poller_loses_no_record,
               test_a_child_that_is_silent_is_killed_and_restarted))
