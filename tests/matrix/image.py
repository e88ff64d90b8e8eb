# SPDX-License-Identifier: Apache-2.0
"""The root file system of the guests: this host's programs with their libraries, and its Python; or
what runs of a tree of packages for another processor. One image for all, which they share and can't
write; made without mounting anything."""

import os
import re
import shutil
import struct
import subprocess
import sys
import sysconfig

DISK_ID = 0x636f6e6e
ROOT = f"PARTUUID={DISK_ID:08x}-01"  # a name like nvme0n1 may be another disk's at the next boot

# What the tests run and busybox has not, or not so that they can use it.
PROGRAMS = ("bpftool", "conntrack", "curl", "getcap", "insmod", "ip", "iperf3", "nft", "nginx", "ps",
            "rmmod", "setcap", "ss", "tc", "tcpdump", "unshare")
APPLETS = ("cat", "chmod", "chown", "env", "grep", "id", "kill", "ln", "mkdir", "mount",
           "poweroff", "sed", "sh", "sleep", "stat", "stty", "sysctl", "tar", "umount")
MOUNT_POINTS = ("dev", "proc", "run", "sys", "tmp", "var")
FILES = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    # Debian calls the group of nobody nogroup, others nobody.
    "etc/group": "root:x:0:\nnogroup:x:65534:\nnobody:x:65534:\n",
    "etc/os-release": 'ID=guest\nVERSION_ID="1"\n',
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/hostname": "guest\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
# Parts of Python's library that are large and that no test uses.
NOT_OF_PYTHON = shutil.ignore_patterns("config-*", "dist-packages", "ensurepip", "idlelib",
                                       "lib2to3", "pydoc_data", "site-packages", "test", "tests",
                                       "tkinter", "_tkinter*", "turtledemo")
# Parts of a tree of packages that are to build with, or to read.
NOT_OF_SYSROOT = shutil.ignore_patterns("*.a", "doc", "gcc", "i18n", "include", "locale", "man", "perl*")
SECTOR = 512
FIRST_SECTOR = 2048  # of the partition
MIB = 1 << 20


class ImageError(Exception):
    """The image can't be made; says why."""


class Tree:
    """A directory that becomes the image. Paths in it are the host's."""

    def __init__(self, directory):
        self.directory = directory

    def merge_usr(self):
        """As this host has it."""
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                os.makedirs(self.place(f"/usr/{name}"))
                os.symlink(f"usr/{name}", self.place(f"/{name}"))

    def place(self, path):
        return self.directory + path

    def add(self, path):
        """A file; returns the path."""
        place = self.place(path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not os.path.exists(place):
            shutil.copy2(path, place)
        return path

    def add_python(self):
        """The interpreter that runs this; returns all of it that may need a library."""
        program = self.add(os.path.realpath(sys.executable))
        library = sysconfig.get_path("stdlib")
        shutil.copytree(library, self.place(library), ignore=NOT_OF_PYTHON)
        os.symlink(program, self.place("/usr/bin/python3"))
        extensions = os.path.join(library, "lib-dynload")
        return [program, *(os.path.join(extensions, name)
                           for name in os.listdir(self.place(extensions)))]

    def add_libraries(self, files):
        """What the dynamic linker loads with any of the files."""
        said = subprocess.run(["ldd", *files], stdout=subprocess.PIPE, text=True, check=True).stdout
        missing = re.search(r"^\s*(\S+) => not found", said, re.MULTILINE)
        if missing:
            raise ImageError(f"ldd: {missing.group(1)} not found")
        for path in set(re.findall(r"(?:=>|^)\s+(/\S+) \(0x", said, re.MULTILINE)):
            self.add(path)


def find_program(name):
    path = shutil.which(name)
    if not path:
        raise ImageError(f"{name} is not installed: ./bootstrap deps check")
    return path


def is_static(program):
    done = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    return "not a dynamic executable" in done.stdout or "statically linked" in done.stdout


def fill(tree, programs):
    busybox = find_program("busybox")
    shutil.copy2(busybox, tree.place("/bin/busybox"))
    linked = [tree.add(find_program(name)) for name in PROGRAMS]
    linked += [] if is_static(busybox) else [busybox]
    tree.add_libraries([*linked, *tree.add_python(), *programs])


def furnish(tree):
    """What a guest has whichever its programs are."""
    for name in APPLETS:
        if not os.path.lexists(tree.place(f"/bin/{name}")):
            os.symlink("busybox", tree.place(f"/bin/{name}"))
    for name in MOUNT_POINTS:
        os.makedirs(tree.place(f"/{name}"), exist_ok=True)
    for name, text in FILES.items():
        path = tree.place(f"/{name}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
    init = tree.place("/init")
    shutil.copy2(os.path.join(os.path.dirname(os.path.abspath(__file__)), "guest/init"), init)


def size_of(directory):
    """The bytes its files take, in whole blocks."""
    return sum(-(-os.lstat(os.path.join(path, name)).st_size // 4096) * 4096
               for path, names, files in os.walk(directory) for name in names + files)


def partition_table(sectors):
    """A master boot record with one partition."""
    entry = struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", FIRST_SECTOR,
                        sectors - FIRST_SECTOR)
    return struct.pack("<440xIH16s48xH", DISK_ID, 0, entry, 0xaa55)


def write(place, path, spare_mib=16):
    """Make an image of a directory."""
    mib = size_of(place) * 5 // 4 // MIB + spare_mib
    with open(path, "wb") as image:
        image.truncate(FIRST_SECTOR * SECTOR + mib * MIB)
        image.write(partition_table(FIRST_SECTOR + mib * MIB // SECTOR))
    done = subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b",
                           "4096", "-E", f"offset={FIRST_SECTOR * SECTOR},root_owner=0:0", "-d",
                           place, path, f"{mib}M"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ImageError(f"mke2fs: exit status {done.returncode}: {done.stdout.strip()}")


def build(directory, programs, sysroot=None):
    """Make the image in a directory, with the libraries that these programs need, too. sysroot: a
    tree that has all of them."""
    place, path = (os.path.join(directory, name) for name in ("tree", "root.img"))
    shutil.rmtree(place, ignore_errors=True)
    if sysroot:
        shutil.copytree(sysroot, place, symlinks=True, ignore=NOT_OF_SYSROOT)
    tree = Tree(place)
    if not sysroot:
        tree.merge_usr()
        fill(tree, programs)
    furnish(tree)
    write(place, path)
    shutil.rmtree(place)
    return path
