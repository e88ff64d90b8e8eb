# SPDX-License-Identifier: Apache-2.0
"""What a guest is given beside its root file system: the build, the tests, modules of its kernel
and its job, as an archive that is a disk of the guest. All of it belongs to root there."""

import glob
import io
import json
import os
import shutil
import subprocess
import tarfile

import image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ("loader/features.h", "packaging/dev/arm", "tests/e2e", "tests/matrix/guest")
SOURCES_OF_UNIT_TESTS = ("docs/configuration.md", "docs/metrics.md", "packaging/etc",
                         "tests/fuzz/corpus/msg")
BUILT = ("bin", "share", "bench/conngen", "bench/dgramgen")  # under O; build/ in the guest
MODULES = ("veth", "tcp_diag", "udp_diag", "nf_conntrack", "nf_conntrack_netlink", "nf_tables",
           "nft_reject_ipv4", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "sch_netem")


def belongs_to_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return None if os.path.basename(entry.name) == "__pycache__" else entry


def add_text(archive, name, text):
    data = text.encode()
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o644, len(data)
    archive.addfile(entry, io.BytesIO(data))


def programs(build):
    """The built programs that run in a guest."""
    return sorted(glob.glob(os.path.join(build, "bin/*")) + glob.glob(os.path.join(build, "bench/*gen")))


def make_btf(directory, build, kernel):
    """An archive in that directory with BTF of the kernel, named as a loader in a guest looks for it."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    system = os.path.join(directory, "os-release")
    with open(system, "w", encoding="ascii") as f:
        f.write(image.FILES["etc/os-release"])
    subprocess.run([os.path.join(ROOT, "packaging/btf-archive"), "--objects",
                    os.path.join(build, "share"), "--output", directory, "--os-release", system,
                    f"auto={kernel.vmlinuz}"], stdout=subprocess.DEVNULL, check=True)


def write(path, build, kernel, job, built=BUILT, modules=MODULES, btf=None, unit_tests=()):
    """btf: a directory that becomes the archive of BTF; unit_tests: names of programs, to be run."""
    sources = SOURCES + (SOURCES_OF_UNIT_TESTS if unit_tests else ())
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in sources:
            archive.add(os.path.join(ROOT, name), name, filter=belongs_to_root)
        for name in (*built, *(f"test/{test}" for test in unit_tests)):
            archive.add(os.path.join(build, name), f"build/{name}", filter=belongs_to_root)
        if btf:
            archive.add(btf, "build/share/btf", filter=belongs_to_root)
        files = kernel.modules(modules)
        for module in files:
            archive.add(module, f"modules/{os.path.basename(module)}", filter=belongs_to_root)
        add_text(archive, "modules/order",
                 "".join(f"{os.path.basename(module)}\n" for module in files))
        add_text(archive, "job.json", json.dumps(job))
