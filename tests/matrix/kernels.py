# SPDX-License-Identifier: Apache-2.0
"""The kernels of the matrix: Debian's cloud kernels, each the newest of its line on the mirror that
this host's apt takes its packages from, kept in a cache from one run to the next.

apt is used with sources, lists and a cache of its own: the host's stay as they are."""

import contextlib
import dataclasses
import fcntl
import glob
import os
import re
import shutil
import subprocess
import time

import processors

LISTS_DAYS = 7  # for which a release's list of packages is good
META = "linux-image-cloud-{}"  # of a processor; depends on the newest kernel of its release
PARTS = ("image", "binary", "modules", "base")  # of a kernel: a package each, or all in "image"
KEYRINGS = "/usr/share/keyrings/debian-archive-keyring.[gp]*"


class Unavailable(Exception):
    """A kernel can't be had; says why."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of kernels and the releases of Debian that have it: the first that does is taken."""
    name: str
    releases: tuple
    processor: processors.Processor = processors.X86_64

    def has(self, kernel):
        return self.name == "newest" or kernel.startswith(self.name.rpartition("-")[2] + ".")


LINES = (Line("5.10", ("bullseye",)),
         Line("6.1", ("bookworm",)),
         Line("6.12", ("trixie", "bookworm-backports")),
         Line("newest", ("sid",)))
LINES_ARM64 = (Line("arm64-6.1", ("bookworm",), processors.AARCH64),
               Line("arm64-6.12", ("trixie", "bookworm-backports"), processors.AARCH64))


@dataclasses.dataclass(frozen=True)
class Kernel:
    line: str
    name: str  # as uname -r says it
    tree: str  # its packages, unpacked
    note: str = ""  # why it is one of an earlier run
    processor: processors.Processor = processors.X86_64

    @property
    def vmlinuz(self):
        places = (f"boot/vmlinuz-{self.name}", f"lib/modules/{self.name}/vmlinuz")
        paths = [os.path.join(self.tree, place) for place in places]
        return next(path for path in paths if os.path.exists(path))

    def modules(self, names):
        """The files of the modules and of those they depend on, in the order to load them."""
        files = []
        for name in names:
            said = run("modprobe", "--dirname", self.tree, "--set-version", self.name,
                       "--show-depends", name)
            files += re.findall(r"^insmod (\S+)", said, re.MULTILINE)
        return list(dict.fromkeys(files))


def run(*argv, cwd=None):
    """What a command printed; it must succeed."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, cwd=cwd,
                          env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
        raise Unavailable(f"{argv[0]}: exit status {done.returncode}: {last}")
    return done.stdout


# --- the mirror -----------------------------------------------------------------------------------

def cache_directory():
    if os.environ.get("CONNTRACE_CACHE"):
        return os.path.abspath(os.environ["CONNTRACE_CACHE"])
    return "/var/cache/conntrace" if os.geteuid() == 0 else os.path.expanduser("~/.cache/conntrace")


def why_none(processor=processors.X86_64):
    """Why Debian's kernels can't be had or run on this host at all, or None."""
    if processor is processors.X86_64 and os.uname().machine != processor.name:
        return f"the guests are x86-64 and run this host's programs, which are {os.uname().machine}"
    if not shutil.which("apt-get"):
        return "no apt-get here, to fetch Debian's kernels with"
    if not mirror():
        return "the apt sources of this host name no mirror of Debian"
    return None


def mirror():
    """Where this host gets Debian from, None if it doesn't."""
    with open("/etc/os-release", encoding="utf-8") as f:
        if not re.search(r'^ID="?debian"?$', f.read(), re.MULTILINE):
            return None
    sources = run("apt-get", "indextargets", "--format", "$(COMPONENT) $(RELEASE) $(REPO_URI)",
                  "Created-By: Packages")
    for component, release, uri in (line.split() for line in sources.splitlines()):
        if component == "main" and not release.endswith(("-security", "/updates")):
            return uri
    return None


class Release:
    """A release of Debian on the mirror."""

    def __init__(self, name, cache, processor=processors.X86_64):
        self.processor = processor
        other = "" if processor is processors.X86_64 else f"-{processor.debian}"
        self.directory = os.path.join(cache, "apt", name + other)
        self.stamp = os.path.join(self.directory, "updated")
        self.sources = os.path.join(self.directory, "sources.list")
        os.makedirs(os.path.join(self.directory, "lists/partial"), exist_ok=True)
        os.makedirs(os.path.join(self.directory, "archives/partial"), exist_ok=True)
        trust = "".join(f" signed-by={keyring}" for keyring in glob.glob(KEYRINGS)[:1])
        with open(self.sources, "w", encoding="utf-8") as f:
            f.write(f"deb [arch={processor.debian}{trust}] {mirror()} {name} main\n")

    def apt(self, program, *args, cwd=None):
        options = {"Dir::Etc::SourceList": self.sources, "Dir::Etc::SourceParts": "/dev/null",
                   "Dir::State::Lists": os.path.join(self.directory, "lists"),
                   "Dir::State::Status": "/dev/null", "Dir::Cache": self.directory,
                   "APT::Architecture": self.processor.debian,
                   "APT::Architectures": self.processor.debian, "APT::Sandbox::User": "root",
                   "Acquire::Languages": "none"}
        return run(program, "-q", *(f"-o{name}={value}" for name, value in options.items()), *args,
                   cwd=cwd)

    def has_fresh_lists(self):
        try:
            return time.time() - os.stat(self.stamp).st_mtime < LISTS_DAYS * 86400
        except FileNotFoundError:
            return False

    def update(self):
        self.apt("apt-get", "update", "--error-on=any")
        with open(self.stamp, "w", encoding="utf-8"):
            pass

    def newest_kernel(self):
        """As uname -r will say it."""
        meta = META.format(self.processor.debian)
        said = self.apt("apt-cache", "depends", meta)
        found = re.search(rf"Depends: linux-image-(\d\S*-cloud-{self.processor.debian})$", said,
                          re.MULTILINE)
        if not found:
            raise Unavailable(f"{meta} depends on no kernel")
        return found.group(1)

    def download(self, kernel, directory):
        known = self.apt("apt-cache", "pkgnames", "linux-").split()
        wanted = [f"linux-{part}-{kernel}" for part in PARTS]
        self.apt("apt-get", "download", *(name for name in wanted if name in known), cwd=directory)


# --- the cache ------------------------------------------------------------------------------------

class Shelf:
    """Where the cache keeps the kernel of a line, unpacked: one, but while it is replaced."""

    def __init__(self, line, cache):
        self.line = line
        self.directory = os.path.join(cache, "kernels", line.name)
        self.scratch = os.path.join(cache, "unpacking")
        os.makedirs(self.directory, exist_ok=True)

    def names(self):
        return os.listdir(self.directory)

    def kernel(self, name, note=""):
        return Kernel(self.line.name, name, os.path.join(self.directory, name), note,
                      self.line.processor)

    def fill(self, name, release):
        shutil.rmtree(self.scratch, ignore_errors=True)
        packages, tree = (os.path.join(self.scratch, part) for part in ("packages", "tree"))
        os.makedirs(packages)
        os.makedirs(tree)
        release.download(name, packages)
        for file in os.listdir(packages):
            run("dpkg-deb", "--extract", os.path.join(packages, file), tree)
        if not os.path.exists(os.path.join(tree, "lib")):  # where modprobe looks
            os.symlink("usr/lib", os.path.join(tree, "lib"))
        run("depmod", "--basedir", tree, name)
        before = self.names()
        os.rename(tree, os.path.join(self.directory, name))
        for older in before:
            shutil.rmtree(os.path.join(self.directory, older))
        shutil.rmtree(self.scratch)


def newest_of(line, release, shelf):
    name = release.newest_kernel()
    if not line.has(name):
        raise Unavailable(f"its newest kernel is {name}")
    if name not in shelf.names():
        shelf.fill(name, release)
    return shelf.kernel(name)


def find_in(release, line, shelf):
    """The newest kernel of a line in a release, from the cache if it is there."""
    if release.has_fresh_lists():
        with contextlib.suppress(Unavailable):  # if the mirror replaced it since: ask once more
            return newest_of(line, release, shelf)
    release.update()
    return newest_of(line, release, shelf)


def find(line, cache):
    """The newest kernel of a line; that of an earlier run if the mirror has none."""
    shelf = Shelf(line, cache)
    reasons = []
    for name in line.releases:
        try:
            return find_in(Release(name, cache, line.processor), line, shelf)
        except Unavailable as reason:
            reasons.append(f"{name}: {reason}")
    if shelf.names():
        return shelf.kernel(shelf.names()[0], "; ".join(reasons))
    raise Unavailable("; ".join(reasons))


@contextlib.contextmanager
def locked(cache):
    """One run at a time works in the cache."""
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
