# SPDX-License-Identifier: Apache-2.0
# timeout: 200
"""packaging/btf-archive: what the archive holds is what the kernel's BTF says, from every kind of
image; the loader finds it and can work with it; and whatever is wrong ends in one clear error and
leaves no file."""

import bz2
import contextlib
import gzip
import json
import lzma
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

from harness import BIN, OUT, ROOT, Tracer, Tree, check, equal, main, proc_status, wait_for

TOOL = os.path.join(ROOT, "packaging/btf-archive")
OBJECTS = os.path.join(OUT, "share")
RUNNING_BTF = "/sys/kernel/btf/vmlinux"
NAME = "debian-12-x86_64-6.1.0-9-test"
LITTLE = sys.byteorder == "little"
NATIVE = "<" if LITTLE else ">"


class Place:
    """Directories to work in, and what the tool is given."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="conntrace-btf-")
        self.out = os.path.join(self.dir, "out")
        self.scratch = os.path.join(self.dir, "tmp")
        self.bin = os.path.join(self.dir, "bin")
        os.chmod(self.dir, 0o755)
        os.mkdir(self.scratch)
        os.mkdir(self.bin)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def command(self, name, script):
        """A program that the tool finds before the real one."""
        os.chmod(self.write(f"bin/{name}", b"#!/bin/sh\n" + script.encode()), 0o755)

    def argv(self, *args, objects=OBJECTS):
        return [sys.executable, TOOL, "--objects", objects, "--output", self.out, *args]

    def environment(self, path):
        return {**os.environ, "TMPDIR": self.scratch, "PATH": path or
                os.pathsep.join([self.bin, os.environ["PATH"]])}

    def run(self, *args, objects=OBJECTS, wrap=(), path=None, **kwargs):
        return subprocess.run([*wrap, *self.argv(*args, objects=objects)], capture_output=True,
                              text=True, timeout=60, env=self.environment(path),
                              stdin=subprocess.DEVNULL, check=False, **kwargs)

    def made(self, *args, **kwargs):
        """What the tool said; it must succeed."""
        done = self.run(*args, **kwargs)
        equal((done.returncode, done.stderr), (0, ""), f"btf-archive {args}")
        return done.stdout

    def files(self):
        return sorted(os.listdir(self.out)) if os.path.isdir(self.out) else []

    def content(self, name):
        with open(os.path.join(self.out, name), "rb") as f:
            return f.read()

    def fails(self, code, said, *args, **kwargs):
        """One line that says so, and nothing left."""
        before = self.files()
        self.ended(code, said, self.run(*args, **kwargs))
        equal(self.files(), before, f"files after btf-archive {args}")

    def ended(self, code, said, done):
        check(said in done.stderr, f"not said: {said!r}; it said: {done.stderr}")
        equal((done.returncode, done.stdout), (code, ""), f"exit code and output of {said!r}")
        equal(len(done.stderr.splitlines()), 1, f"lines of {done.stderr!r}")
        equal(os.listdir(self.scratch), [], "temporary files left")


@contextlib.contextmanager
def place():
    it = Place()
    try:
        yield it
    finally:
        shutil.rmtree(it.dir)


def with_mount(arguments):
    """To run a command where this is mounted, for it alone."""
    return ["unshare", "-m", "sh", "-c", f'mount {arguments} && exec "$@"', "sh"]


def running_btf():
    with open(RUNNING_BTF, "rb") as f:
        return f.read()


def os_release():
    with open("/etc/os-release", encoding="utf-8") as f:
        return dict(line.strip().replace('"', "").split("=", 1) for line in f if "=" in line)


def running_name():
    system = os_release()
    return (f"{system['ID']}-{system.get('VERSION_ID', 'rolling')}-{os.uname().machine}-"
            f"{os.uname().release}.btf")


# --- images that are made here --------------------------------------------------------------------

def elf(btf, release="6.1.0-9-test", machine=62, kind=1, section=b".BTF"):
    """A 64-bit ELF file with one section of that kind and a kernel's banner."""
    names = b"\0" + section + b"\0.shstrtab\0"
    banner = f"Linux version {release} (somebody@somewhere) #1 SMP\n\0".encode()
    body = banner + btf + names
    table = 64 + len(body)
    header = struct.pack(NATIVE + "16sHHIQQQIHHHHHH", b"\x7fELF\2" + bytes([1 if LITTLE else 2, 1]),
                         2, machine, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    sections = ((0, 0, 0, 0), (1, kind, 64 + len(banner), len(btf)),
                (2 + len(section), 3, 64 + len(banner) + len(btf), len(names)))
    return header + body + b"".join(
        struct.pack(NATIVE + "IIQQQQIIQQ", name, kind, 0, 0, at, size, 0, 0, 1, 0)
        for name, kind, at, size in sections)


def boot_image(plain, packed, protocol=0x20f, release="6.1.0-9-test", appended=True):
    """As an x86 kernel's build makes it: two sectors of setup, some code, the payload."""
    payload = packed + (struct.pack("<I", len(plain)) if appended else b"")
    image = bytearray(3 * 512 + 100)
    image[0x1f1] = 2
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, protocol)
    struct.pack_into("<H", image, 0x20e, 0x300 - 0x200)
    image[0x300:0x300 + 64] = f"{release} (somebody@somewhere) #1 SMP".encode().ljust(64, b"\0")
    struct.pack_into("<II", image, 0x248, 100, len(payload))
    return bytes(image) + payload + b"behind the payload"


def by_command(*argv):
    def compress(plain):
        return subprocess.run(argv, input=plain, capture_output=True, check=True).stdout
    return compress


PYTHON_COMPRESSIONS = {
    "gzip": lambda plain: gzip.compress(plain, 1),
    "xz": lambda plain: lzma.compress(plain, check=lzma.CHECK_CRC32, preset=0),
    "lzma": lambda plain: lzma.compress(plain, format=lzma.FORMAT_ALONE, preset=0),
    "bzip2": bz2.compress,
}
COMMANDS = {"zstd": ("zstd", "-1", "-c"), "lz4": ("lz4", "-l", "-c"), "lzop": ("lzop", "-1", "-c")}


# --- what the kernel says and what the archive says -----------------------------------------------

def dump(path):
    """The types of a file of BTF by bpftool, which must find it valid."""
    done = subprocess.run(["bpftool", "-j", "btf", "dump", "file", path], capture_output=True,
                          text=True, check=False)
    equal(done.returncode, 0, f"bpftool btf dump file {path}: {done.stderr}")
    return json.loads(done.stdout)["types"]


def members(types, struct_name):
    """The members of a struct and their offsets in bits."""
    found = [t for t in types if t["kind"] == "STRUCT" and t["name"] == struct_name]
    equal(len(found), 1, f"structs called {struct_name}")
    return {m["name"]: m["bits_offset"] for m in found[0]["members"]}


def fields_in_kernel_h(struct_name):
    with open(os.path.join(ROOT, "bpf/kernel.h"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.DOTALL)
    body = re.search(rf"^struct {struct_name} {{\n(.*?)^}};", text, re.DOTALL | re.MULTILINE)
    return re.findall(r"(\w+)(?:\[\d+\])?;", body[1])


def test_the_running_kernel():
    with place() as p:
        said = p.made()
        equal(p.files(), [running_name()], "files")
        path = os.path.join(p.out, running_name())
        size, whole = os.path.getsize(path), len(running_btf())
        equal(said, f"{running_name()}: {whole} -> {size} bytes\n", "what it said")
        check(size * 20 < whole, f"{size} bytes are not much smaller than {whole}")
        check(len(dump(path)) > 10, "hardly a type in it")


def test_the_fields_of_the_sockets():
    with place() as p:
        p.made()
        least, whole = dump(os.path.join(p.out, running_name())), dump(RUNNING_BTF)
        for name in ("sock", "tcp_sock"):
            got, want = members(least, name), members(whole, name)
            read = [field for field in fields_in_kernel_h(name) if field in want]
            check(read, f"kernel.h names no field of {name} that this kernel has")
            equal({f: got.get(f) for f in read}, {f: want[f] for f in read}, f"offsets in {name}")


def test_the_loader_fits_an_object_to_it():
    with place() as p:
        p.made()
        tracer = Tracer()
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            f"btf: {os.path.join(p.out, running_name())}\n")
        with tracer:
            equal(tracer.status()["btf"], "named", "where the BTF comes from")


def outcome_without_kernel_btf(tree):
    """What conntraced says where BTF is hidden, and where its BTF came from if it traces then: for
    that the kernel must have kprobes."""
    tracer = Tracer(binaries=tree.bin, wrap=with_mount("-t tmpfs none /sys/kernel/btf"))
    try:
        tracer.start(wait=False)
        wait_for("traces or ends", lambda: tracer.proc.poll() is not None or tracer.tracing(), 20)
        source = tracer.status()["btf"] if tracer.proc.poll() is None else None
        return tracer.text(), source
    finally:
        tracer.kill()
        shutil.rmtree(tracer.dir)


def test_the_loader_finds_it_where_btf_is_hidden():
    missing = f"no {running_name()} in the archive"
    with Tree() as tree, place() as p:
        said, source = outcome_without_kernel_btf(tree)
        check(missing in said and not source, f"without an archive it said: {said}")
        p.out = os.path.join(os.path.dirname(tree.object), "btf")
        p.made()
        said, source = outcome_without_kernel_btf(tree)
        check(missing not in said, f"it said: {said}")
        check(source == "archive" or "kprobe: plan: not supported" in said, f"{source}: {said}")
        wait_for("children gone", lambda: not tree.processes())


def test_made_again_it_is_identical():
    with place() as p:
        p.made()
        first = p.content(running_name())
        p.made("auto=" + RUNNING_BTF)
        equal(p.content(running_name()), first, "bytes")
        equal(p.files(), [running_name()], "files")


def test_readable_for_the_loader_whatever_the_umask():
    with place() as p:
        p.made(umask=0o077)
        for path, mode in ((p.out, 0o755), (os.path.join(p.out, running_name()), 0o644)):
            equal(oct(os.stat(path).st_mode & 0o7777), oct(mode), f"mode of {path}")


def same_from(*images):
    """Each (kind, image) gives what the raw BTF gives, and the name from its own release."""
    with place() as p:
        p.made(f"{NAME}={RUNNING_BTF}")
        want = p.content(f"{NAME}.btf")
        system = p.write("os-release", b'NAME="Debian"\nVERSION_ID="12"\nID=debian\n')
        for kind, image in images:
            os.unlink(os.path.join(p.out, f"{NAME}.btf"))
            said = p.made("--os-release", system, "auto=" + p.write("image", image))
            equal(p.files(), [f"{NAME}.btf"], f"files of {kind}; it said {said}")
            equal(p.content(f"{NAME}.btf") == want, True, f"{kind}: the same bytes")


def test_an_elf_vmlinux():
    plain = elf(running_btf())
    same_from(("ELF", plain), ("ELF in gzip", gzip.compress(plain, 1)))


def test_a_boot_image():
    plain = elf(running_btf(), release="0.0.0-not-asked")
    same_from(*[(kind, boot_image(plain, compress(plain), appended=kind != "gzip"))
                for kind, compress in PYTHON_COMPRESSIONS.items()])


def by_a_command(name):
    if not shutil.which(name):
        return f"{name} is not installed"
    plain = elf(running_btf())
    same_from((name, boot_image(plain, by_command(*COMMANDS[name])(plain))))
    return None


def test_a_boot_image_by_zstd():
    return by_a_command("zstd")


def test_a_boot_image_by_lz4():
    return by_a_command("lz4")


def test_a_boot_image_by_lzop():
    return by_a_command("lzop")


def test_a_decompressor_that_is_missing():
    with place() as p:
        os.symlink(shutil.which("bpftool"), os.path.join(p.bin, "bpftool"))
        image = p.write("image", boot_image(b"", b"\x28\xb5\x2f\xfd" + bytes(64)))
        p.fails(69, "image: is compressed by zstd, which is not here: install zstd",
                f"{NAME}={image}", path=p.bin)


def test_the_system_in_the_name():
    with place() as p:
        for text, want in ((b"ID=debian\n", "debian-rolling"), (b"ID='a.b-c'\nVERSION_ID=''\n",
                           "a.b-c-rolling"), (b'VERSION_ID="9.4"\nID="rhel"\n', "rhel-9.4")):
            p.made("--os-release", p.write("os-release", text))
            name = f"{want}-{os.uname().machine}-{os.uname().release}.btf"
            check(name in p.files(), f"no {name} among {p.files()}")
        for text, code, said in ((b"NAME=x\n", 65, "has no ID: give the kernel its whole name"),
                                 (b"ID=a/b\n", 64, "'a/b-rolling-"), (b"ID=../a\n", 64, "no name"),
                                 (b"ID=\x1b[31m\n", 64, "'\\x1b[31m-rolling-")):
            p.fails(code, said, "--os-release", p.write("os-release", text))
        p.fails(66, "none: No such file or directory: name the os-release file", "--os-release",
                p.path("none"))


def test_names_that_can_not_be():
    with place() as p:
        for name in ("", "debian", "a-b-c", "debian-12-x86_64/6.1", "../a-12-x86_64-6.1",
                     ".a-12-x86_64-6.1", "-a-12-x86_64-6.1", "a-12-x86_64-6.1 0", "ä-12-x86_64-6.1",
                     "a-12-x86_64-6.1\n"):
            p.fails(64, "is no name for a kernel: auto, or ID-VERSION_ID-MACHINE-RELEASE",
                    "--", f"{name}={RUNNING_BTF}")
        p.fails(64, "leave .btf away", f"{NAME}.btf={RUNNING_BTF}")
        p.fails(64, "longer than 187 bytes", f"{NAME}{'x' * 160}={RUNNING_BTF}")
        for argument in (RUNNING_BTF, "auto", "auto="):
            p.fails(64, f"'{argument}' is not NAME=PATH: try --help", argument)
        p.fails(64, "unrecognized arguments: --no-such: try --help", "--no-such")


def test_a_kernel_that_is_not_the_one_named():
    btf = running_btf()
    with place() as p:
        plain = elf(btf, release="6.1.0-8-test")
        for image in (plain, boot_image(plain, gzip.compress(plain, 1), release="6.1.0-8-test",
                                        appended=False)):
            p.fails(65, f"is not the kernel that '{NAME}' says: that name would end in "
                    "-x86_64-6.1.0-8-test", f"{NAME}={p.write('image', image)}")
        p.fails(65, "that name would end in -aarch64-6.1.0-9-test",
                f"{NAME}={p.write('image', elf(btf, machine=183))}")
        p.fails(65, "does not say which kernel it is of, and is not the running kernel's: give it "
                "its whole name", f"auto={p.write('image', btf + bytes(1))}")


def test_two_kernels_of_one_name():
    with place() as p:
        done = p.run(f"auto={RUNNING_BTF}", f"auto={RUNNING_BTF}")
        equal((done.returncode, p.files()), (64, [running_name()]), "exit code, files")
        check("another kernel has the name" in done.stderr, f"it said: {done.stderr}")


def test_a_kernel_that_fails_does_not_hold_up_the_others():
    with place() as p:
        done = p.run(f"{NAME}={p.path('none')}", f"{NAME}=/etc/hostname", f"{NAME}={RUNNING_BTF}")
        equal((done.returncode, p.files()), (66, [f"{NAME}.btf"]), "exit code, files")
        equal(len(done.stderr.splitlines()), 2, f"lines of {done.stderr!r}")


def test_what_holds_no_btf_of_a_kernel():
    btf = running_btf()
    plain = elf(btf)
    packed = gzip.compress(plain, 1)
    neither = "is neither BTF, an ELF vmlinux nor an x86 boot image: take"
    cut = "is truncated: copy it again"
    none = "has no .BTF section: it was built without CONFIG_DEBUG_INFO_BTF"
    program = struct.pack(NATIVE + "HBBIIIII", 0xeb9f, 1, 0, 24, 0, 0, 0, 5) + b"\0int\0"
    wrong = {
        "an empty file": (b"", neither),
        "text": (b"a line of text\n" * 100, neither),
        "text in gzip": (gzip.compress(b"text"), neither),
        "BTF cut in its header": (btf[:20], cut),
        "BTF cut in its types": (btf[:len(btf) // 4], cut),
        "BTF without its last byte": (btf[:-1], cut),
        "BTF of the other byte order": (btf[1::-1] + btf[2:], "is BTF of the other byte order"),
        "BTF of version 2": (btf[:2] + b"\2" + btf[3:], "is BTF of version 2: only 1 is known"),
        "BTF of a program": (program, "is not the BTF of a kernel but of a module or a program"),
        "an ELF cut off": (plain[:len(plain) // 2], cut),
        "an ELF cut in its header": (plain[:50], cut),
        "an ELF whose BTF goes on behind it": (
            plain[:-96] + struct.pack(NATIVE + "Q", len(plain)) + plain[-88:], cut),
        "an ELF without BTF": (elf(b"", section=b".data"), none),
        "an ELF whose BTF is elsewhere": (elf(btf, kind=8), none),
        "an ELF without a section": (plain[:0x3c] + bytes(4), none),
        "an ELF of 32 bits": (b"\x7fELF\1" + plain[5:], "is not a 64-bit kernel"),
        "a boot image cut off": (boot_image(plain, packed)[:-1000], "is truncated: it has "),
        "a boot image cut in its header": (boot_image(plain, packed)[:0x240], neither),
        "a boot image of 2008": (boot_image(plain, packed, protocol=0x207),
                                 "its boot protocol, 2.07, does not tell where the kernel is"),
        "a boot image packed unknowably": (boot_image(plain, b"?" * 1000),
                                           "its kernel is compressed in an unknown way"),
        "a boot image packed by halves": (boot_image(plain, packed[:-1000]),
                                          "is truncated: its compressed data has no end"),
        "a boot image damaged": (boot_image(plain, packed[:1000] + b"\xff" * 1000 + packed[2000:]),
                                 "its compressed data is damaged"),
        "a boot image of another size": (boot_image(plain + b"x", lzma.compress(plain, preset=0)),
                                         "its kernel is damaged: it has not the size that"),
        "a boot image without BTF": (boot_image(b"", gzip.compress(elf(b"", section=b"x")),
                                                appended=False), none),
    }
    with place() as p:
        for kind, (content, said) in wrong.items():
            try:
                p.fails(65, f"image: {said}", f"{NAME}={p.write('image', content)}")
            except AssertionError as error:
                raise AssertionError(f"{kind}: {error}") from None
        with open(os.path.join(BIN, "conntrace"), "rb") as f:
            p.fails(65, none, f"{NAME}={p.write('image', f.read())}")


def test_what_can_not_be_read():
    with place() as p:
        os.mkfifo(p.path("fifo"))
        for path, said in ((p.path("none"), "No such file or directory"),
                           (p.dir, "is not a file: name a kernel image or BTF"),
                           (p.path("fifo"), "is not a file: name a kernel image or BTF")):
            p.fails(66, f"{path}: {said}", f"{NAME}={path}")
        p.fails(66, "has no BPF object (*.bpf.o): build them (make)", objects=p.dir)
        p.fails(66, f"{RUNNING_BTF}: No such file or directory: the running kernel shows no BTF: "
                "name its vmlinux", wrap=with_mount("-t tmpfs none /sys/kernel/btf"))


def test_a_directory_that_can_not_be_written():
    with place() as p:
        p.write("out", b"")
        p.fails(73, f"{running_name()}: can't be written: Not a directory: name a directory of")
        os.unlink(p.out)
        os.mkdir(p.out)
        p.fails(73, "can't be written: Read-only file system: name a directory of yours by "
                "--output", wrap=with_mount(f"-t tmpfs -o ro none {p.out}"))
        p.fails(73, "can't be written: No space left on device",
                wrap=with_mount(f"-t tmpfs -o nr_inodes=1 none {p.out}"))
        os.mkdir(os.path.join(p.out, running_name()))
        p.fails(73, "can't be written: Is a directory")
        shutil.rmtree(p.out)
        p.out = p.path("none/out")
        p.fails(73, "can't be written: No such file or directory")


def test_a_bpftool_that_fails():
    with place() as p:
        for script, said in (("echo first >&2; echo Error: last >&2; exit 255", "Error: last: "),
                             ("exit 3", "exit status 3: "), ("exit 0", "exit status 0: "),
                             ("printf 'Error: \\033[31m' >&2; exit 1", "Error: \\x1b[31m: "),
                             ("kill -SEGV $$", "exit status -11: ")):
            p.command("bpftool", script)
            p.fails(70, f"bpftool gen min_core_btf: {said}the BTF is damaged, or newer than this")


def test_interrupted_it_leaves_nothing():
    with place() as p:
        p.command("bpftool", f"touch {p.path('begun')}; exec sleep 60")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with subprocess.Popen(p.argv(), env=p.environment(None)) as process:
                wait_for("bpftool begun and waited for", lambda: os.path.exists(p.path("begun"))
                         and proc_status(process.pid)["State"].startswith("S"))
                process.send_signal(number)
                equal(process.wait(20), 128 + number, "exit code")
            os.unlink(p.path("begun"))
            equal((p.files(), os.listdir(p.scratch)), ([], []), "files left")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
