# SPDX-License-Identifier: Apache-2.0
"""conntrace-repo: what it publishes verifies by conntrace-tuf and by npm's @tufjs/models, whoever
has the keys."""

import json
import os
import shutil
import stat
import tempfile

import harness
import tuf_world
from harness import check, equal
from tuf_world import run


class Repository:
    """A repository in a folder, and a client of it."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix="conntrace-repo-", dir=tuf_world.SCRATCH)
        self.place = os.path.join(self.dir, "repo")
        self.file = os.path.join(self.dir, "file.yaml")
        self.kept = os.path.join(self.dir, "kept")
        self.targets = os.path.join(self.dir, "targets")
        if options is not None:
            self.do("init", *options)
            run(["conntrace-tuf", "--metadata-dir", self.kept, "init",
                 self.metadata("1.root.json")])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def do(self, command, *arguments, code=0):
        return run(["conntrace-repo", command, self.place, *arguments], code)

    def add(self, path, data, *options, code=0):
        with open(self.file, "wb") as file:
            file.write(data)
        return self.do("add", path, self.file, *options, code=code)

    def metadata(self, name):
        return os.path.join(self.place, "metadata", name)

    def newest(self, role):
        """The path of the highest version of a role."""
        found = [int(name.split(".")[0]) for name in os.listdir(self.metadata(""))
                 if name.split(".", 1)[1] == f"{role}.json" and name[0].isdigit()]
        return self.metadata(f"{max(found)}.{role}.json")

    def signed(self, role):
        with open(self.metadata("timestamp.json") if role == "timestamp" else self.newest(role),
                  encoding="utf-8") as file:
            return json.load(file)["signed"]

    def staged(self):
        return sorted(os.listdir(os.path.join(self.place, "staged")))

    def keys(self, role):
        folder = os.path.join(self.place, "keys")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder)
                      if name.startswith(f"{role}-"))

    def client(self, *arguments, code=0):
        base = f"file://{self.place}"
        return run(["conntrace-tuf", "--metadata-dir", self.kept, "--metadata-url",
                    f"{base}/metadata", *arguments], code)

    def download(self, name, code=0):
        """The bytes of a target as a client gets them."""
        done = self.client("--target-base-url", f"file://{self.place}/targets", "--target-dir",
                           self.targets, "--target-name", name, "download", code=code)
        if code:
            return done.stderr
        with open(os.path.join(self.targets, name.replace("/", "%2F")), "rb") as file:
            return file.read()

    def verify(self, *delegated):
        """By @tufjs/models; gives the root's version."""
        roots = len([n for n in os.listdir(self.metadata("")) if n.endswith(".root.json")])
        signer = tuf_world.NodeSigner()
        try:
            return signer.ask(
                op="verify", roots=[self.metadata(f"{n}.root.json") for n in range(1, roots + 1)],
                timestamp=self.metadata("timestamp.json"), snapshot=self.newest("snapshot"),
                targets=self.newest("targets"),
                delegated={role: self.newest(role) for role in delegated})["version"]
        finally:
            signer.close()


def test_init_add_remove():
    for kind in ("ed25519", "ecdsa"):
        with Repository("--key-type", kind) as repo:
            repo.add("base.yaml", b"one")
            equal(repo.download("base.yaml"), b"one", "target")
            equal(repo.verify(), 1, "by another implementation")
            repo.add("base.yaml", b"two")
            repo.add("group/web.yaml", b"web")
            equal(repo.download("base.yaml"), b"two", "changed target")
            equal(repo.download("group/web.yaml"), b"web", "second target")
            repo.do("remove", "base.yaml")
            check("no role lists this target" in repo.download("base.yaml", 1), "removed target")
            equal(repo.verify(), 1, "by another implementation")
            for name in os.listdir(os.path.join(repo.place, "keys")):
                mode = os.stat(os.path.join(repo.place, "keys", name)).st_mode
                equal(stat.S_IMODE(mode), 0o600, f"mode of {name}")
            equal(stat.S_IMODE(os.stat(os.path.join(repo.place, "keys")).st_mode), 0o700, "keys")


def test_without_versions_in_names():
    with Repository("--no-consistent") as repo:
        repo.add("base.yaml", b"one")
        equal(repo.download("base.yaml"), b"one", "target")
        equal(sorted(os.listdir(repo.metadata(""))),
              ["1.root.json", "snapshot.json", "targets.json", "timestamp.json"], "metadata")
        equal(os.listdir(os.path.join(repo.place, "targets")), ["base.yaml"], "targets")


def test_delegation():
    with Repository() as repo:
        repo.do("delegate", "web", "group/web*", "group/proxy.yaml")
        repo.add("group/web.yaml", b"text", "--role", "web")
        equal(repo.download("group/web.yaml"), b"text", "target of a delegated role")
        equal(repo.verify("web"), 1, "by another implementation")
        done = repo.add("base.yaml", b"text", "--role", "web", code=1)
        check("base.yaml: not delegated to web" in done.stderr, done.stderr)
        repo.add("base.yaml", b"text", "--role", "nobody", code=1)
        old = repo.keys("web")[0]
        repo.do("delegate", "web", "group/web*", "--terminating")
        equal(len(repo.signed("targets")["delegations"]["roles"]), 1, "delegations")
        equal(repo.download("group/web.yaml"), b"text", "target after other keys")
        os.unlink(old)
        repo.add("group/web.yaml", b"more", "--role", "web")
        equal(repo.verify("web"), 1, "by another implementation")
        for name in ("root", "Web", "../x", ""):
            repo.do("delegate", name, "*", code=1)


def test_delegation_to_keys_elsewhere():
    """The team's key never comes here: the delegation waits until the team has signed."""
    with Repository() as repo:
        team = os.path.join(repo.dir, "team.pem")
        run(["conntrace-repo", "key", team])
        repo.add("base.yaml", b"base")
        repo.do("delegate", "web", "group/*", "--public-key", f"{team}.pub", code=3)
        equal(repo.staged(), ["targets.json", "web.json"], "staged")
        equal(repo.download("base.yaml"), b"base", "what there was")
        repo.do("sign", "web", code=3)
        run(["conntrace-repo", "sign", "--file", os.path.join(repo.place, "staged", "web.json"),
             "--key", team])
        repo.do("sign", "web")
        equal(repo.staged(), [], "staged")
        repo.add("group/a.yaml", b"text", "--role", "web", "--key", team)
        equal(repo.download("group/a.yaml"), b"text", "target")
        equal(repo.verify("web"), 1, "by another implementation")


def test_offline_keys():
    with Repository() as repo:
        stick = os.path.join(repo.dir, "stick")
        os.mkdir(stick)
        for role in ("root", "targets"):
            for key in repo.keys(role):
                shutil.move(key, stick)
        repo.do("refresh")
        done = repo.add("base.yaml", b"text", code=3)
        check("staged/targets.json waits: signed by 0 keys" in done.stderr, done.stderr)
        check("no role lists this target" in repo.download("base.yaml", 1), "not published yet")
        repo.add("group/a.yaml", b"more", code=3)
        repo.do("sign", "targets", "--key-dir", stick)
        equal(repo.download("base.yaml"), b"text", "both changes that waited")
        equal(repo.download("group/a.yaml"), b"more", "both changes that waited")
        # The other way round: who has the offline keys has not the online ones.
        online = os.path.join(repo.dir, "online")
        shutil.move(os.path.join(repo.place, "keys"), online)
        done = repo.add("base.yaml", b"new", "--key-dir", stick, code=3)
        check("run conntrace-repo refresh where they are" in done.stderr, done.stderr)
        equal(repo.download("base.yaml"), b"text", "before refresh")
        repo.do("refresh", "--key-dir", online)
        equal(repo.download("base.yaml"), b"new", "after refresh")


def test_thresholds():
    with Repository("--keys", "root=3", "--threshold", "root=2", "--keys", "targets=2",
                    "--threshold", "targets=2") as repo:
        equal(repo.signed("root")["roles"]["root"]["threshold"], 2, "threshold")
        equal(len(repo.keys("root")), 3, "keys")
        third = os.path.join(repo.dir, "third.pem")
        shutil.move(repo.keys("targets")[0], third)
        done = repo.add("base.yaml", b"text", code=3)
        check("signed by 1 keys that count, 2 are needed" in done.stderr, done.stderr)
        repo.do("sign", "targets", "--key", third)
        equal(repo.download("base.yaml"), b"text", "target")
        run(["conntrace-repo", "--threshold", "root=2", "init", os.path.join(repo.dir, "r2")])
        run(["conntrace-repo", "--threshold", "root=2", "--keys", "root=1", "init",
             os.path.join(repo.dir, "r3")], 1)


def test_rotate_root():
    with Repository() as repo:
        repo.add("base.yaml", b"text")
        repo.do("rotate-root")
        repo.do("rotate-root", "--keep", "--days", "root=1000")
        for role in ("timestamp", "snapshot", "targets"):
            repo.do("rotate-root", "--role", role, "--key-type", "ecdsa")
            equal(repo.download("base.yaml"), b"text", f"after other keys of {role}")
        equal(repo.verify(), 6, "by another implementation")
        equal(len(repo.signed("root")["keys"]), 4, "keys that nobody uses are dropped")
        repo.do("rotate-root", "--role", "web", code=1)
        for _ in range(30):
            repo.do("rotate-root")
        repo.client("refresh")
        equal(repo.verify(), 36, "by another implementation")


def test_revoked_key_signs_nothing():
    with Repository() as repo:
        repo.add("base.yaml", b"text")
        stolen = repo.keys("targets")[0]
        repo.do("rotate-root", "--role", "targets")
        equal(repo.download("base.yaml"), b"text", "after")
        path = repo.newest("targets")
        with open(path, encoding="utf-8") as file:
            whole = json.load(file)
        whole["signed"]["version"] += 1
        whole["signatures"] = []
        forged = repo.metadata(f"{whole['signed']['version']}.targets.json")
        with open(forged, "w", encoding="utf-8") as file:
            json.dump(whole, file)
        run(["conntrace-repo", "sign", "--file", forged, "--key", stolen])
        repo.do("refresh")
        done = repo.client("refresh", code=1)
        check("untrusted: " in done.stderr and "signed by 0 keys" in done.stderr, done.stderr)


def test_root_that_waits_for_signatures():
    with Repository("--keys", "root=2", "--threshold", "root=2") as repo:
        away = os.path.join(repo.dir, "away.pem")
        shutil.move(repo.keys("root")[0], away)
        repo.do("rotate-root", "--role", "timestamp", code=3)
        equal(repo.staged(), ["root.json"], "staged")
        check("waits for signatures already" in repo.do("rotate-root", code=1).stderr, "twice")
        repo.do("refresh")
        repo.client("refresh")
        repo.do("sign", "root", "--key", away)
        repo.client("refresh")
        equal(repo.verify(), 2, "by another implementation")


def test_refresh():
    with Repository() as repo:
        before = repo.signed("timestamp"), repo.signed("snapshot")
        repo.do("refresh", "--days", "timestamp=3")
        after = repo.signed("timestamp"), repo.signed("snapshot")
        equal(after[0]["version"], before[0]["version"] + 1, "timestamp")
        check(after[0]["expires"] < before[0]["expires"], "its days")
        equal(after[1], before[1], "snapshot")
        repo.do("refresh", "--days", "snapshot=100")
        equal(repo.signed("snapshot")["version"], before[1]["version"] + 1,
              "a snapshot with less than half of its days left")
        repo.client("refresh")


def test_what_is_refused():
    with Repository() as repo:
        check("is a repository already" in repo.do("init", code=1).stderr, "init twice")
        for path in ("../x", "/x", "a//b", ""):
            check("not a target's name" in repo.add(path, b"", code=1).stderr, path)
        check("reads base.yaml, group/NAME.yaml and host/NAME.yaml only"
              in repo.add("other.yaml", b"").stderr, "a name that no host reads")
        check("larger than 1 MiB" in repo.add("base.yaml", b"x" * ((1 << 20) + 1), code=1).stderr,
              "a large file")
        repo.do("add", "base.yaml", "/nonexistent", code=1)
        repo.do("remove", "base.yaml", code=1)
        repo.do("sign", "targets", code=1)
        run(["conntrace-repo", "refresh", os.path.join(repo.dir, "nothing")], 1)
        run(["conntrace-repo", "key", repo.file], 1)
        for arguments in ((), ("nonsense",), ("add", repo.place), ("init",), ("--key-type", "rsa"),
                          ("--days", "root"), ("--days", "root=0"), ("--keys", "root=65"),
                          ("sign", "--file", "x"), ("--role", "../x", "refresh", repo.place)):
            run(["conntrace-repo", *arguments], 2)
        check("exit: 0 published" in run(["conntrace-repo", "--help"]).stdout, "help")


if __name__ == "__main__":
    harness.main([test_init_add_remove, test_without_versions_in_names, test_delegation,
                  test_delegation_to_keys_elsewhere, test_offline_keys, test_thresholds,
                  test_rotate_root, test_revoked_key_signs_nothing,
                  test_root_that_waits_for_signatures, test_refresh, test_what_is_refused])
