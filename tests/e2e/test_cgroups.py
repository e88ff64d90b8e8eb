# SPDX-License-Identifier: Apache-2.0
"""Which cgroup a connection belonged to: also of one that was gone before its record was written."""

import json
import os
import signal
import subprocess
import time

from cgroups import CAN_NOT, NAME, ROOT, cgroup, within
from harness import (Tracer, check, equal, load, main, network_namespace, proc_status,
                     wait_for)

ID = "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961"
POD = "2c48913c-b29f-11e7-9350-020968147796"
FIELDS = ("cgroup", "unit", "container", "runtime", "pod")


def connect_in(path, prefix):
    """A connection attempt of a process in a cgroup that is gone right after. Gives its id."""
    with cgroup(path) as directory:
        number = os.stat(directory).st_ino
        subprocess.run(within(directory, [*prefix, "curl", "-s", "http://127.0.0.1:9/"]),
                       check=False)
    return number


def of_cgroup(records, number):
    return [r for r in records if r["cgroup_id"] == number]


def test_a_cgroup_that_is_gone_before_its_record():
    if CAN_NOT:
        return CAN_NOT
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        for turn in range(max(load(10), 3)):
            path = f"/{NAME}.slice/turn{turn}.service"
            number = connect_in(path, prefix)
            check(not os.path.exists(ROOT + path), f"{path} is still there")
            (record,) = wait_for("the record", lambda: of_cgroup(tracer.closes(netns), number))
            equal([record[f] for f in FIELDS], [path, f"turn{turn}.service", None, None, None],
                  "what its cgroup says")
        exporter = tracer.process("exporter")
        equal(exporter["stats"]["cgroup_scans"], 1, "listings of the whole tree")
        equal(exporter["stats"]["cgroups_unknown"], 0, "unknown cgroups")
        # While nobody looks.
        os.kill(exporter["pid"], signal.SIGSTOP)
        number = connect_in(f"/{NAME}.slice/unseen.service", prefix)
        os.kill(exporter["pid"], signal.SIGCONT)
        (record,) = wait_for("the record", lambda: of_cgroup(tracer.closes(netns), number))
        equal(record["cgroup"], None, "path of a cgroup that nobody saw")
        wait_for("it is counted", lambda: tracer.process("exporter")["stats"]["cgroups_unknown"] == 1)


def test_the_names_of_containers():
    if CAN_NOT:
        return CAN_NOT
    slashed = POD.replace("-", "_")
    forms = {
        f"/{NAME}.slice/docker-{ID}.scope": (f"docker-{ID}.scope", ID, "docker", None),
        f"/{NAME}/docker/{ID}": (None, ID, "docker", None),
        f"/{NAME}.slice/{NAME}-pod{slashed}.slice/cri-containerd-{ID}.scope":
            (f"cri-containerd-{ID}.scope", ID, "containerd", POD),
        f"/{NAME}.slice/libpod-conmon-{ID}.scope":
            (f"libpod-conmon-{ID}.scope", None, None, None),
        f"/{NAME}/a b\\x2d\x1b[31m": (None, None, None, None),
    }
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        for path, want in forms.items():
            number = connect_in(path, prefix)
            (record,) = wait_for("the record", lambda: of_cgroup(tracer.closes(netns), number))
            equal(tuple(record[f] for f in FIELDS), (path, *want), "what its cgroup says")


def test_the_root_and_what_was_there_before():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.service"
    with network_namespace() as (prefix, netns), cgroup(path) as directory, Tracer() as tracer:
        mine = os.path.join(ROOT, open("/proc/self/cgroup", encoding="utf-8").read().split(
            "0::", 1)[1].split("\n")[0].strip("/"))
        subprocess.run([*prefix, "curl", "-s", "http://127.0.0.1:9/"], check=False)
        subprocess.run(within(directory, [*prefix, "curl", "-s", "http://127.0.0.1:9/"]),
                       check=False)
        wait_for("both records", lambda: len(tracer.closes(netns)) == 2)
        got = {r["cgroup_id"]: r["cgroup"] for r in tracer.closes(netns)}
        equal(got, {os.stat(mine).st_ino: mine[len(ROOT):].rstrip("/") or "/",
                    os.stat(directory).st_ino: path}, "cgroups by their numbers")


def test_list_and_tail_know_the_cgroup():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.service"
    with network_namespace() as (prefix, netns), cgroup(path) as directory, Tracer() as tracer:
        server = subprocess.Popen(within(directory, [*prefix, "iperf3", "-s", "-1"]),
                                  stdout=subprocess.DEVNULL)
        try:
            wait_for("iperf3 listens", lambda: "5201" in subprocess.run(
                [*prefix, "ss", "-ltn"], capture_output=True, text=True, check=True).stdout)
            client = subprocess.Popen(within(directory, [*prefix, "iperf3", "-c", "127.0.0.1",
                                                         "-t", "20"]), stdout=subprocess.DEVNULL)
            live = wait_for("live connections", lambda: [
                r for r in map(json.loads, tracer.cli("list", "--json").stdout.splitlines())
                if r["netns"] == netns])
            equal({r["cgroup"] for r in live}, {path}, "cgroups in the list")
            equal({r["unit"] for r in live}, {f"{NAME}.service"}, "units in the list")
        finally:
            for process in (client, server):
                process.kill()
                process.wait()


def test_a_new_exporter_knows_the_tree():
    if CAN_NOT:
        return CAN_NOT
    path = f"/{NAME}.service"
    with network_namespace() as (prefix, netns), cgroup(path) as directory, Tracer() as tracer:
        pid = tracer.process("exporter")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for("a new exporter", lambda: tracer.running("exporter", other_than=pid))
        subprocess.run(within(directory, [*prefix, "curl", "-s", "http://127.0.0.1:9/"]),
                       check=False)
        (record,) = wait_for("the record", lambda: tracer.closes(netns))
        equal(record["cgroup"], path, "cgroup")


def test_the_exporter_has_the_tree_and_nothing_else():
    if CAN_NOT:
        return CAN_NOT
    with Tracer() as tracer:
        pid = tracer.process("exporter")["pid"]
        status = proc_status(pid)
        for field, want in (("CapPrm", 0), ("CapEff", 0), ("CapInh", 0), ("CapAmb", 0)):
            equal(int(status[field], 16), want, field)
        check("0" not in status["Uid"].split(), f"uid {status['Uid']}")
        equal((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"),
              "filter of system calls, no new privileges")
        fds = {os.readlink(f"/proc/{pid}/fd/{fd}"): fd for fd in os.listdir(f"/proc/{pid}/fd")}
        with open(f"/proc/{pid}/fdinfo/{fds[ROOT]}", encoding="utf-8") as info:
            flags = int(dict(line.split(":\t") for line in info if line.startswith("flags"))
                        ["flags"], 8)
        check(flags & os.O_PATH, f"the fd of {ROOT} is open for more than its path: {flags:o}")
        check("anon_inode:inotify" in fds, f"no watch: {sorted(fds)}")


def test_a_flood_of_cgroups_is_bounded():
    if CAN_NOT:
        return CAN_NOT
    with network_namespace() as (prefix, netns), Tracer(more="memory_budget: 1MiB\n") as tracer:
        connect_in(f"/{NAME}.service", prefix)
        exporter = tracer.process("exporter")["pid"]
        began, until, made = cpu_seconds(exporter), time.monotonic() + 3, 0
        directory = os.path.join(ROOT, NAME)
        while time.monotonic() < until:
            os.mkdir(directory)
            os.rmdir(directory)
            made += 1
        spent = cpu_seconds(exporter) - began
        number = connect_in(f"/{NAME}.after.service", prefix)
        wait_for("a record after it", lambda: of_cgroup(tracer.closes(netns), number))
        status = tracer.status()
        check(status["identity"]["holds"], f"identity: {status['identity']}")
        equal(tracer.process("exporter")["pid"], exporter, "the exporter's pid")
        wait_for("those pushed out are counted",
                 lambda: tracer.process("exporter")["stats"]["cgroups_evicted"] > 0)
        print(f"# {made} cgroups made and removed in 3 s; the exporter took {spent:.2f} s")
        check(spent < 1.5, f"the exporter took {spent:.2f} s of processor time")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main([test_a_cgroup_that_is_gone_before_its_record,
          test_the_names_of_containers,
          test_the_root_and_what_was_there_before,
          test_list_and_tail_know_the_cgroup,
          test_a_new_exporter_knows_the_tree,
          test_the_exporter_has_the_tree_and_nothing_else,
          test_a_flood_of_cgroups_is_bounded],
         once=(test_the_names_of_containers,
               test_list_and_tail_know_the_cgroup,
               test_a_new_exporter_knows_the_tree,
               test_the_exporter_has_the_tree_and_nothing_else,
               test_a_flood_of_cgroups_is_bounded))
