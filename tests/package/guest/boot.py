# SPDX-License-Identifier: Apache-2.0
"""The second boot: conntraced is up without anybody's doing, confined; it survives what happens to
services; it is upgraded, removed and purged."""

import json
import os
import re
import shutil
import subprocess

from install import LISTING, listing
from tell import (CONNGEN, RECORDS, WORK, conngen, ends, equal, expect_ends, is_active, is_tracing,
                  processes, prop, records, report, run, show, status_of, wait_until)

LOADERS = "000000c000000000"  # cap_bpf, cap_perfmon
NONE = "0000000000000000"
CHILDREN = ("conntrace-exporter", "conntrace-loader")
EXPOSURE_MAX = 2.0


def up_at_boot(_job):
    wait_until(lambda: is_active() and is_tracing(), "conntraced traces")
    show("systemctl", "status", "--no-pager", "--full", "conntraced.service")
    show("conntrace", "status")
    conngen(7002, 20)
    expect_ends(7002, 20)


def privileges(_job):
    """As the kernel has them: no capability held, the loader's two within reach of its file alone,
    a seccomp filter on all, no_new_privs on all but the supervisor."""
    running = processes()
    equal(sorted(running), sorted(("conntraced", *CHILDREN)), "processes of the unit")
    uid = run("id", "-u", "conntrace").strip()
    for name, pid in running.items():
        has = status_of(pid)
        equal((has["CapPrm"], has["CapEff"], has["CapInh"], has["CapAmb"], has["CapBnd"],
               has["NoNewPrivs"], has["Seccomp"], set(has["Uid"].split())),
              (NONE, NONE, NONE, NONE, LOADERS, "0" if name == "conntraced" else "1", "2", {uid}),
              name)


def denied():
    return [line for line in run("journalctl", "-k", "-b", "-o", "cat").splitlines()
            if 'apparmor="DENIED"' in line and "conntrace" in line]


def confined(_job):
    for name, pid in processes().items():
        with open(f"/proc/{pid}/attr/current", encoding="ascii") as f:
            equal(f.read().strip("\0\n"), f"{name} (enforce)", "AppArmor's profile")
    equal(denied(), [], "what AppArmor refused")


def exposure(_job):
    said = show("systemd-analyze", "security", "--no-pager", "conntraced.service", status=None)
    score = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
    if score > EXPOSURE_MAX:
        raise AssertionError(f"systemd-analyze security: {score}, more than {EXPOSURE_MAX}")


def room(_job):
    """The most memory the unit has had is far from what it may have."""
    most = int(prop("MemoryMax"))
    with open("/sys/fs/cgroup/system.slice/conntraced.service/memory.peak", encoding="ascii") as f:
        peak = int(f.read())
    report("said", what="memory", text=f"peak {peak >> 20} MiB of {most >> 20} MiB, "
           f"tasks {prop('TasksCurrent')} of {prop('TasksMax')}\n")
    if peak * 2 > most:
        raise AssertionError(f"{peak >> 20} MiB at the most: more than half of {most >> 20} MiB")


def killed(_job):
    before = int(prop("MainPID"))
    run("systemctl", "kill", "--signal=KILL", "conntraced.service")
    wait_until(lambda: int(prop("MainPID")) not in (0, before) and is_active() and is_tracing(),
               "conntraced is back")
    conngen(7003, 20)
    expect_ends(7003, 20)


def watched(_job):
    """A supervisor that stands still is killed by the watchdog and started again."""
    before, restarts = int(prop("MainPID")), int(prop("NRestarts"))
    os.kill(before, 19)
    wait_until(lambda: int(prop("NRestarts")) > restarts and is_active() and is_tracing(),
               "the watchdog has it restarted")
    if int(prop("MainPID")) == before:
        raise AssertionError("it is the same process")


def rotated(_job):
    conngen(7004, 20)
    run("logrotate", "--force", "--state", "/dev/null", "/etc/logrotate.d/conntrace")
    equal(os.path.exists(f"{RECORDS}.1"), True, f"{RECORDS}.1 is there")
    wait_until(lambda: os.path.exists(RECORDS), "a new file")
    conngen(7004, 20, "--addr", "127.0.0.2")
    expect_ends(7004, 40)
    run("systemctl", "start", "conntrace-logrotate.service")


def reloaded(_job):
    """A wrong configuration changes nothing, and status says so."""
    path = "/etc/conntrace/conntrace.yaml"
    with open(path, encoding="utf-8") as f:
        good = f.read()
    with open(path, "a", encoding="utf-8") as f:
        f.write("nonsense: 1\n")
    run("systemctl", "reload", "conntraced.service")
    wait_until(lambda: "nonsense" in run("conntrace", "status"), "status tells of the error")
    with open(path, "w", encoding="utf-8") as f:
        f.write(good)
    run("systemctl", "reload", "conntraced.service")
    wait_until(lambda: "nonsense" not in run("conntrace", "status"), "and that it is gone")


SERVER = """
import functools, http.server, ssl, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1] + "/ca.crt", sys.argv[1] + "/ca.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
SOURCE = """\nsource:
  url: https://localhost:8443/
  root: /etc/conntrace/root.json
  ca: /etc/conntrace/ca.crt
"""
DROP_IN = "/etc/systemd/system/conntraced.service.d"
CONFIG = "/etc/conntrace/conntrace.yaml"


def interval_ms():
    return json.loads(run("conntrace", "status", "--json", status=None))["config"][
        "snapshot_interval_ms"]


def restart():
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "conntraced.service")
    wait_until(lambda: is_active() and is_tracing(), "conntraced traces")


def fetched(_job):
    """Signed configuration by a confined poller, with the drop-in; after a restart what was stored."""
    fleet = f"{WORK}/fleet"
    for name in ("ca.crt", "root.json"):
        shutil.copy(f"{fleet}/{name}", "/etc/conntrace")
    os.makedirs(DROP_IN)
    shutil.copy("/usr/share/doc/conntrace/examples/remote.conf", DROP_IN)
    shutil.copy(CONFIG, WORK)
    try:
        with open(CONFIG, "r+", encoding="utf-8") as f:
            text = f.read()
            f.seek(0)
            f.write(text.replace("\nsource:\n", SOURCE).replace("probation: 60s", "probation: 2s"))
            f.truncate()
        with subprocess.Popen(["python3", "-c", SERVER, fleet], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as server:
            try:
                restart()
                wait_until(lambda: interval_ms() == 7000, "what is signed is in force")
                wait_until(lambda: os.path.exists("/var/lib/conntrace/remote/active"), "it is kept")
            finally:
                server.kill()  # who waits for it would wait for ever
        equal(run("stat", "-c", "%U:%G %a", "/var/lib/conntrace/remote"), "conntrace:conntrace 700\n",
              "what is kept")
        restart()
        wait_until(lambda: interval_ms() == 7000, "what is stored is in force")
        equal(denied(), [], "what AppArmor refused")
    finally:
        shutil.copy(f"{WORK}/conntrace.yaml", CONFIG)
        shutil.rmtree(DROP_IN)
        for name in ("ca.crt", "root.json"):
            os.unlink(f"/etc/conntrace/{name}")
        restart()


def metered(_job):
    """The example's timer and service, with what they let themselves, write what node_exporter reads."""
    units = ("conntrace-metrics.service", "conntrace-metrics.timer")
    place = "/var/lib/prometheus"
    written = f"{place}/node-exporter/conntrace.prom"
    for unit in units:
        shutil.copy(f"/usr/share/doc/conntrace/examples/{unit}", "/etc/systemd/system")
    os.makedirs(os.path.dirname(written))
    try:
        run("systemctl", "daemon-reload")
        run("systemctl", "start", units[1])
        wait_until(lambda: os.path.exists(written), "the file is written")
        equal(run("stat", "-c", "%U:%G %a", written), "root:root 644\n", "the file")
        with open(written, encoding="ascii") as f:
            text = f.read()
        for name in ('conntrace_tracing 1', 'conntrace_account_holds 1',
                     'conntrace_process_resident_memory_bytes{process="exporter"} '):
            if f"\n{name}" not in text:
                raise AssertionError(f"no {name} in {text}")
    finally:
        run("systemctl", "stop", *reversed(units), status=None)
        show("journalctl", "-u", units[0], "-o", "cat")
        for unit in units:
            os.unlink(f"/etc/systemd/system/{unit}")
        shutil.rmtree(place)
        run("systemctl", "daemon-reload")


def upgraded(job):
    """Under load. What is recorded of the load is told; nothing of what came before is lost."""
    conngen(7005, 20)
    expect_ends(7005, 20)
    count = job["load"]
    with subprocess.Popen([CONNGEN, "run", "--port", "7006", "--connections", str(count), "--rate",
                           "20"], stdout=subprocess.PIPE, text=True) as load:
        show("apt-get", "-qq", "install", "-y", f"{WORK}/{job['upgrade']}")
        text, _ = load.communicate()
    equal(json.loads(text)["completed"], count, "connections of the load")
    wait_until(lambda: is_active() and is_tracing(), "conntraced is back")
    equal(run("conntrace", "--version"), f"conntrace {job['upgrade_version']}\n", "the version")
    conngen(7007, 20)
    expect_ends(7007, 20)
    wait_until(lambda: len(ends(7006)) == 2 * count, f"{2 * count} ends of the load recorded", 20)


def removed(_job):
    show("apt-get", "-qq", "remove", "-y", "conntrace")
    equal(run("pgrep", "-l", "conntrace", status=None), "", "processes left")
    programs = json.loads(run("bpftool", "--json", "prog", "show"))
    equal([p.get("name") for p in programs if p["type"] in ("tracing", "raw_tracepoint", "kprobe")],
          [], "programs left in the kernel")
    with open("/sys/kernel/security/apparmor/profiles", encoding="ascii") as f:
        equal([line for line in f if "conntrace" in line], [], "profiles left")
    equal(os.path.exists("/etc/conntrace/conntrace.yaml"), True, "the configuration is kept")
    if not records():
        raise AssertionError("the records are gone: they are for purge to remove")


def purged(_job):
    show("apt-get", "-qq", "purge", "-y", "conntrace")
    with open(LISTING, encoding="utf-8") as f:
        before = set(json.load(f))
    equal(sorted(set(listing()) - before), [], "files left")
    equal(run("getent", "passwd", "conntrace", status=None), "", "user left")
    equal(run("getent", "group", "conntrace", status=None), "", "group left")
    units = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "conntrace*")
    equal(units, "", "units left")


STEPS = [
    ("up at boot, and recording", up_at_boot),
    ("no process has a capability or could get one but by the loader's file", privileges),
    ("AppArmor's profiles are in force, and refuse nothing that is needed", confined),
    (f"systemd-analyze security: at most {EXPOSURE_MAX}", exposure),
    ("what it needs of memory is at most half of what it may have", room),
    ("systemctl kill -s KILL: back, and recording", killed),
    ("the watchdog restarts a supervisor that stands still", watched),
    ("logrotate: nothing is lost", rotated),
    ("a wrong configuration changes nothing", reloaded),
    ("signed configuration from a server, by a confined poller; kept over a restart", fetched),
    ("the example for node_exporter writes the metrics", metered),
    ("apt-get install of a later version, under load", upgraded),
    ("apt-get remove: nothing runs, nothing is attached; records and configuration stay", removed),
    ("apt-get purge: nothing is left", purged),
]
