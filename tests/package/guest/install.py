# SPDX-License-Identifier: Apache-2.0
"""The first boot: the package is installed and traces at once."""

import json
import os

from tell import (PATIENCE_S, WORK, conngen, equal, expect_ends, is_active, is_tracing, prop, run,
                  show, wait_until)

LISTING = "/var/lib/package-test.json"  # of the file system before: for the boot that purges
# What changes on any host that runs.
VOLATILE = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/log/journal", "/var/tmp",
            "/var/cache/apt", "/var/cache/apparmor", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd",
            "/var/log/apt", "/root")


def listing():
    """Every path but the volatile ones."""
    found = []
    for path, names, files in os.walk("/"):
        names[:] = [n for n in names if os.path.join(path, n) not in VOLATILE]
        found += [os.path.join(path, name) for name in names + files]
    return sorted(found)


def note_what_is_there(_job):
    with open(LISTING, "w", encoding="utf-8") as f:
        json.dump([*listing(), LISTING], f)


def install(job):
    show("apt-get", "-qq", "install", "-y", f"{WORK}/{job['package']}")
    wait_until(is_active, "conntraced.service is active")
    wait_until(is_tracing, "conntraced traces", PATIENCE_S)
    equal(prop("ActiveState", "conntrace-logrotate.timer"), "active", "the timer of logrotate")


def owner_and_capabilities(_job):
    loader = "/usr/libexec/conntrace/conntrace-loader"
    equal(run("stat", "-c", "%U:%G %a", loader), "root:conntrace 750\n", "owner and mode of the loader")
    equal(run("getcap", "-r", "/usr/libexec/conntrace", "/usr/sbin/conntraced", "/usr/bin/conntrace"),
          f"{loader} cap_perfmon,cap_bpf=p\n", "capabilities")
    for directory, mode in (("/var/log/conntrace", "750"), ("/var/lib/conntrace", "750"),
                            ("/run/conntrace", "755")):
        equal(run("stat", "-c", "%U:%G %a", directory), f"conntrace:conntrace {mode}\n", directory)
    equal(run("stat", "-c", "%U:%G %a", "/etc/conntrace/conntrace.yaml"), "root:root 644\n",
          "the configuration")


def records_at_once(_job):
    conngen(7001, 20)
    expect_ends(7001, 20)
    show("sh", "-c", "tail -n 1 /var/log/conntrace/connections.jsonl")


def doctor_is_content(_job):
    """Whatever it finds missing in this guest, it is none of the package's files."""
    said = json.loads(run("conntrace", "doctor", "--json", status=None))
    equal([f for f in said["files"] if not f["ok"]], [], "files that doctor complains of")


STEPS = [
    ("what is there before", note_what_is_there),
    ("apt-get install: active, and tracing", install),
    ("owner, mode and capabilities of what was installed", owner_and_capabilities),
    ("connections are recorded", records_at_once),
    ("doctor finds nothing wrong with the files", doctor_is_content),
]
