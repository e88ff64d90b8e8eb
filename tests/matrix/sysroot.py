#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian 12 for arm64 as a tree of unpacked packages: the libraries to build with, and what runs in a
guest. Made once and kept in CONNTRACE_CACHE; nothing is installed on this host, nothing of it is run.
As a program: prints where it is, for make's SYSROOT."""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys

import kernels
import processors

RELEASE = "bookworm"
BOOTSTRAP = os.path.join(os.path.dirname(__file__), "../../bootstrap")
# What the tests need; what building needs is in bootstrap's table.
PACKAGES = ("bpftool", "busybox-static", "conntrack", "curl", "iperf3", "iproute2", "kmod", "libcap2-bin",
            "libcmocka-dev", "nftables", "nginx-light", "openssl", "procps", "python3", "tcpdump", "util-linux")


def packages():
    """All that is wanted, without what that depends on."""
    with open(BOOTSTRAP, encoding="utf-8") as f:
        libraries = re.findall(r"^\tbuild\|file:[^|]*\|([^|]+)\|", f.read(), re.MULTILINE)
    return sorted({*libraries, *PACKAGES})


def unpack(archives, tree):
    for name in ("bin", "lib", "sbin"):
        os.makedirs(os.path.join(tree, "usr", name))
        os.symlink(f"usr/{name}", os.path.join(tree, name))
    for file in sorted(glob.glob(os.path.join(archives, "*.deb"))):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", file], stdout=subprocess.PIPE) as deb:
            done = subprocess.run(["tar", "--extract", "--keep-directory-symlink", "--directory", tree],
                                  stdin=deb.stdout, check=False)
        if deb.returncode or done.returncode:
            raise kernels.Unavailable(f"{file} can't be unpacked")


def make(release, wanted, tree):
    scratch = f"{tree}.new"
    archives = os.path.join(release.directory, "archives")
    shutil.rmtree(scratch, ignore_errors=True)
    release.update()
    release.apt("apt-get", "install", "--yes", "--no-install-recommends", "--download-only", *wanted)
    unpack(archives, scratch)
    for file in glob.glob(os.path.join(archives, "*.deb")):
        os.unlink(file)
    os.rename(scratch, tree)


def find(cache, processor=processors.AARCH64):
    """The tree, from the cache: one for each list of packages. The cache is locked."""
    wanted = packages()
    kind = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:8]
    start = os.path.join(cache, f"sysroot-{RELEASE}-{processor.debian}-")
    if not os.path.isdir(start + kind):
        for older in glob.glob(f"{start}*"):
            shutil.rmtree(older)
        make(kernels.Release(RELEASE, cache, processor), wanted, start + kind)
    return start + kind


def main():
    cache = kernels.cache_directory()
    try:
        reason = kernels.why_none(processors.AARCH64)
        if reason:
            raise kernels.Unavailable(reason)
        with kernels.locked(cache):
            print(find(cache))
    except kernels.Unavailable as error:
        sys.exit(f"sysroot: {error}")


if __name__ == "__main__":
    main()
