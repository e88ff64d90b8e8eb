# SPDX-License-Identifier: Apache-2.0
"""A guest: boots a kernel in an emulated machine, gives it its disks, and tells what came of it.
Its processor is emulated too, so a guest runs wherever the tests do."""

import dataclasses
import json
import os
import re
import subprocess
import time

import image

# More than one, and the emulator now and then runs an instruction that another processor is just
# patching (static keys, trampolines): a guest that panics for no fault of its own.
CPUS = 1
MEMORY_MIB = 1024
GRACE_S = 10  # between SIGTERM and SIGKILL
CONSOLE_LINES = 30  # of its tail are shown


@dataclasses.dataclass
class Ended:
    """How a guest ended: what its tests reported, and what was wrong with itself, if anything."""
    events: list
    seconds: float
    wrong: str = ""
    console: list = dataclasses.field(default_factory=list)


def command(kernel, root, payload, lines, timeout_s, append, writable):
    arguments = (f"root={image.ROOT} ro init=/init console=ttyS0 quiet panic=-1 mitigations=off "
                 f"{kernel.processor.arguments}")
    # However this process ends, its guests do not go on.
    return ["setpriv", "--pdeathsig", "TERM",
            "timeout", "--foreground", f"--kill-after={GRACE_S}", str(timeout_s),
            *kernel.processor.emulator, "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-accel", "tcg,thread=multi", "-smp", str(CPUS),
            "-m", f"{MEMORY_MIB}M", "-kernel", kernel.vmlinuz, "-append", f"{arguments} {append}".strip(),
            "-device", "nvme,id=disks,serial=conntrace",
            "-drive", f"if=none,id=root,format=raw,readonly={'off' if writable else 'on'},file={root}",
            "-device", "nvme-ns,drive=root,nsid=1",
            "-drive", f"if=none,id=payload,format=raw,readonly=on,file={payload}",
            "-device", "nvme-ns,drive=payload,nsid=2",
            *(word for number, line in enumerate(lines)
              for word in kernel.processor.line(number, line))]


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="backslashreplace") as f:
        return f.read()


def events_of(text):
    """What the tests reported, a JSON object in each line; a line that was cut off is left out."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def what_is_wrong(status, guest_status, timeout_s):
    if status == 124:
        return f"not finished after {timeout_s} s"
    if guest_status is None:
        return f"no status from the guest (qemu: exit status {status})"
    if guest_status:
        return f"the guest's test runner: exit status {guest_status}"
    return ""


def boot(kernel, root, payload, directory, timeout_s, append="", writable=False):
    """Run a guest to its end; what it said stays in the directory. A root that is writable is
    changed; of the words of the kernel's command line that contradict each other the last counts."""
    console, report, status = (os.path.join(directory, name)
                               for name in ("console", "report", "status"))
    for line in (console, report, status):
        if os.path.exists(line):
            os.unlink(line)
    began = time.monotonic()
    done = subprocess.run(command(kernel, root, payload, (console, report, status), timeout_s,
                                  append, writable), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    said = re.search(r"^exit (\d+)\s*$", read(status), re.MULTILINE)
    wrong = what_is_wrong(done.returncode, int(said.group(1)) if said else None, timeout_s)
    tail = [*read(console).splitlines(), *done.stdout.splitlines()][-CONSOLE_LINES:]
    return Ended(events_of(read(report)), time.monotonic() - began, wrong, tail if wrong else [])
