# SPDX-License-Identifier: Apache-2.0
"""What of the packages can be tested without booting: two builds give the same bytes, lintian and
rpmlint are content, the RPMs install into a root of their own as they say and leave it again."""

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOADER = "/usr/libexec/conntrace/conntrace-loader"


def said(*argv, cwd=ROOT, status=0):
    """What a command printed; it must end with this exit status."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False, cwd=cwd)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(argv)}: exit status {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def digests(directory):
    found = {}
    for path in sorted(glob.glob(f"{directory}/*.deb") + glob.glob(f"{directory}/*.rpm")):
        with open(path, "rb") as f:
            found[os.path.basename(path)] = hashlib.sha256(f.read()).hexdigest()
    return found


class Host:
    """The packages of a tarball, built twice."""

    def __init__(self, tarball, directory):
        self.tarball = tarball
        self.directory = directory
        self.built, self.again = (os.path.join(directory, name) for name in ("built", "built-again"))

    def build(self):
        for place, output in (("a", self.built), ("somewhere/else", self.again)):
            shutil.rmtree(output, ignore_errors=True)
            os.makedirs(output)
            for kind in ("deb", "rpm"):
                said(os.path.join(ROOT, f"packaging/build-{kind}"), self.tarball,
                     os.path.join(self.directory, place, kind), output)

    def same_bytes(self):
        first = digests(self.built)
        equal(sorted({os.path.splitext(name)[1] for name in first}), [".deb", ".rpm"], "what was built")
        equal(digests(self.again), first, "SHA-256 of the packages of a second build elsewhere")
        return "\n".join(f"{digest}  {name}" for name, digest in first.items())

    def packages(self, ending):
        return [p for p in sorted(glob.glob(f"{self.built}/*{ending}")) if "dbgsym" not in p]

    def lintian(self):
        equal(said("lintian", "--allow-root", "--pedantic", "--fail-on=info,warning,error,pedantic",
                   *glob.glob(f"{self.built}/*.changes")), "", "lintian")

    def rpmlint(self):
        text = said("rpmlint", "-c", "packaging/rpm/rpmlint.toml", *self.packages(".rpm"),
                    "packaging/rpm/conntrace.spec")
        if "0 errors, 0 warnings" not in text:
            raise AssertionError(text)
        return text.strip().splitlines()[-1]

    def sbom(self):
        """It names every file of the package, and says of the package what sha256sum says."""
        linked = {}
        for package in self.packages(".deb"):
            linked[os.path.basename(package).split("_")[0]] = self.sbom_of(package)
        if linked["conntrace"].get("libbpf", "NOASSERTION") == "NOASSERTION":
            raise AssertionError(f"no version of libbpf: {linked}")
        if "libbpf" in linked["conntrace-tools"] or "libcurl.so.4" not in linked["conntrace-tools"]:
            raise AssertionError(f"not what the tools link: {linked}")

    def sbom_of(self, package):
        """{library: version} of what is linked."""
        said("packaging/sbom", package)
        with open(f"{package}.spdx.json", encoding="utf-8") as f:
            document = json.load(f)
        listed = said("dpkg-deb", "--contents", package).splitlines()
        files = sorted(line.split()[5] for line in listed if line.startswith("-"))
        equal(sorted(f["fileName"] for f in document["files"]), files, "files of the SBOM")
        # What SPDX 2.3 asks of a package whose files are listed.
        sums = sorted(c["checksumValue"] for f in document["files"] for c in f["checksums"]
                      if c["algorithm"] == "SHA1")
        whole = document["packages"][0]
        equal(whole["packageVerificationCode"]["packageVerificationCodeValue"],
              hashlib.sha1("".join(sums).encode()).hexdigest(), "verification code")
        equal((whole["filesAnalyzed"], whole["name"]), (True, os.path.basename(package).split("_")[0]),
              "the package that it is of")
        ids = [e["SPDXID"] for e in (*document["packages"], *document["files"])]
        equal(len(set(ids)), len(ids), "different identifiers")
        for link in document["relationships"]:
            for end in ("spdxElementId", "relatedSpdxElement"):
                if link[end] not in {"SPDXRef-DOCUMENT", *ids}:
                    raise AssertionError(f"{link} is of nothing")
        said("sha256sum", "--check", f"{package}.sha256", cwd=self.built)
        return {p["name"]: p["versionInfo"] for p in document["packages"]}

    def rpm_in_a_root(self, tree):
        """A root that has a user database and a shell: a copy of the guest's."""
        root = os.path.join(self.directory, "rpm-root")
        shutil.rmtree(root, ignore_errors=True)
        said("cp", "--archive", "--reflink=auto", tree, root)
        rpm = ("rpm", "--root", root)
        said(*rpm, "--install", "--nodeps", *self.packages(".rpm"))
        # Sizes, digests, modes, owners, capabilities of every file, as the package has them.
        names = said(*rpm, "--query", "--all", "--queryformat", r"%{NAME}\n").split()
        equal(sorted(names), ["conntrace", "conntrace-selinux", "conntrace-tools"], "what is installed")
        equal(said(*rpm, "--verify", "--nodeps", *names), "", "rpm --verify")
        equal(said("getcap", "-r", f"{root}/usr"), f"{root}{LOADER} cap_perfmon,cap_bpf=p\n",
              "capabilities")
        uid = re.search(r"^conntrace:x:(\d+):(\d+):", said("cat", f"{root}/etc/passwd"), re.MULTILINE)
        for path, wanted in ((LOADER, f"0:{uid.group(2)} 750"),
                             ("/var/log/conntrace", f"{uid.group(1)}:{uid.group(2)} 750"),
                             ("/etc/conntrace/conntrace.yaml", "0:0 644")):
            equal(said("stat", "-c", "%u:%g %a", root + path).strip(), wanted, path)
        listing = said(*rpm, "--query", "--queryformat",
                       r"[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES} "
                       r"%{FILECAPS}\n]", "conntrace")
        said(*rpm, "--erase", "--nodeps", *names)
        left = said("find", root, "-xdev", "-name", "*conntrace*", "-not", "-path", "*/var/lib/rpm/*")
        equal(left, "", "files left")
        shutil.rmtree(root)
        return listing
