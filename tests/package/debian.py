# SPDX-License-Identifier: Apache-2.0
"""The root file system of a guest that is a Debian 12 as somebody installs it, with its systemd and
AppArmor: bootstrapped once and kept in the cache, a fresh image of it for each run."""

import glob
import hashlib
import os
import shutil
import subprocess

import image
import kernels

RELEASE = "bookworm"
# What conntrace depends on, for there is no mirror in a guest, and what the test uses.
PACKAGES = ("apparmor", "bpftool", "dbus", "jq", "libcurl4", "libjansson4", "libmsgpackc2", "libnl-3-200", "libssl3",
            "libyaml-0-2", "logrotate", "procps", "python3", "systemd-sysv", "systemd", "libcap2-bin", "iproute2",
            "curl")
FILES = {
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest\n::1 localhost\n",
    "etc/apt/sources.list": "",
    "etc/fstab": "",
    # The test's own service, which ends the guest.
    "etc/systemd/system/package-test.service": """\
[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/usr/local/sbin/package-test
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS0
[Install]
WantedBy=graphical.target
""",
}
TARGET = "etc/systemd/system/default.target"
WANTS = "etc/systemd/system/graphical.target.wants/package-test.service"
# Nobody logs in; and nothing that takes time while the test runs.
MASKED = ("serial-getty@ttyS0.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "systemd-networkd-wait-online.service", "man-db.timer", "e2scrub_all.timer", "fstrim.timer")


def bootstrap(tree, said):
    scratch = f"{tree}.new"
    shutil.rmtree(scratch, ignore_errors=True)
    with open(said, "w", encoding="utf-8") as log:
        done = subprocess.run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
                               RELEASE, scratch, kernels.mirror()], stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log, check=False)
    if done.returncode:
        raise kernels.Unavailable(f"debootstrap: exit status {done.returncode}: see {said}")
    shutil.rmtree(os.path.join(scratch, "var/cache/apt/archives"))
    os.makedirs(os.path.join(scratch, "var/cache/apt/archives/partial"))
    os.rename(scratch, tree)


def link(tree, target, name):
    path = os.path.join(tree, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def furnish(tree, script):
    for name, text in FILES.items():
        with open(os.path.join(tree, name), "w", encoding="ascii") as f:
            f.write(text)
    shutil.copy(script, os.path.join(tree, "usr/local/sbin/package-test"))
    link(tree, "/lib/systemd/system/graphical.target", TARGET)
    link(tree, "/etc/systemd/system/package-test.service", WANTS)
    for unit in MASKED:
        link(tree, "/dev/null", f"etc/systemd/system/{unit}")


def tree(cache, directory):
    """The tree of it, from the cache: one for each list of packages."""
    kind = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    path = os.path.join(cache, f"debian-{RELEASE}-{kind}")
    if not os.path.isdir(path):
        for older in glob.glob(os.path.join(cache, f"debian-{RELEASE}-*")):
            shutil.rmtree(older)
        bootstrap(path, os.path.join(directory, "debootstrap.log"))
    return path


def build(place, directory, script):
    """An image of the tree for one run, in a directory; `script` is what the guest runs when it has
    booted."""
    path = os.path.join(directory, "root.img")
    furnish(place, script)
    image.write(place, path, spare_mib=512)
    return path
