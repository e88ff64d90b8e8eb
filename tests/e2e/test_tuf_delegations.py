# SPDX-License-Identifier: Apache-2.0
"""conntrace-tuf: where a target is looked for, and by whose keys."""

import json
import os

import tuf_world
from harness import check, equal
from tuf_world import PAST, World, sha256


def roles_asked(w):
    """Delegated roles in the order in which they were fetched."""
    names = [r.removeprefix("/metadata/").split(".") for r in w.asked() if "/metadata/" in r]
    return [n[1] for n in names if len(n) == 3 and n[1] not in tuf_world.TOP]


def test_delegation_search_order(signer):
    with World(signer) as w:
        for parent, role in (("targets", "a"), ("targets", "d"), ("a", "b"), ("a", "c"),
                             ("d", "e")):
            w.repo.delegate(role, parent)
        w.repo.add("late", b"e", "e")
        w.repo.add("both", b"c", "c")
        w.repo.add("both", b"d", "d")
        w.repo.publish_all()
        w.download("late")
        equal(roles_asked(w), ["a", "b", "c", "d", "e"], "depth first, in the order of the list")
        w.download("both")
        equal(w.target("both"), b"c", "the first in that order wins")
        w.refused_download("none", "none: no role lists this target")


def test_delegation_by_path(signer):
    with World(signer) as w:
        w.repo.delegate("web", paths=["group/web*", "host/w?.yaml"])
        w.repo.delegate("all", paths=["*"])
        for path in ("group/web.yaml", "group/db.yaml", "host/w1.yaml", "group/web/x"):
            w.repo.add(path, path.encode(), "web")
        w.repo.publish_all()
        w.download("group/web.yaml", "host/w1.yaml")
        for path in ("group/db.yaml", "group/web/x"):
            w.refused_download(path, f"{path}: no role lists this target")
        equal(roles_asked(w), ["web"], "* never matches a slash")


def test_delegation_by_hash_of_path(signer):
    with World(signer) as w:
        digest = sha256(b"group/web.yaml")
        w.repo.delegate("no", path_hash_prefixes=[f"{int(digest[0], 16) ^ 1:x}"])
        w.repo.delegate("web", path_hash_prefixes=["ffff0000", digest[:4]])
        w.repo.add("group/web.yaml", b"text", "web")
        w.repo.publish_all()
        w.download("group/web.yaml")
        equal(roles_asked(w), ["web"], "roles fetched")


def test_delegation_to_hash_bins(signer):
    for bits, digits in ((1, 1), (2, 1), (4, 1), (5, 2), (32, 8)):
        with World(signer) as w:
            path = "group/web.yaml"
            name = f"bin-{int(sha256(path.encode())[:8], 16) >> (32 - bits):0{digits}x}"
            w.repo.delegate(name)
            key = w.repo.delegated_keys[name][0]
            w.repo.add(path, b"text", name)
            w.repo.bodies["targets"]["delegations"] = {
                "keys": {key.id: key.public},
                "succinct_roles": {**tuf_world.role_entry([key]), "bit_length": bits,
                                   "name_prefix": "bin"}}
            w.repo.publish_all()
            w.download(path)
            equal(roles_asked(w), [name], f"bins asked for, of {bits} bits")
            w.repo.publish(name, [])
            os.unlink(os.path.join(w.metadata, f"{name}.json"))
            w.refused_download(path, f"untrusted: 1.{name}.json: signed by 0 keys")


def test_terminating_delegation(signer):
    with World(signer) as w:
        w.repo.delegate("a", terminating=True, paths=["x", "y"])
        w.repo.delegate("b", "a")
        w.repo.delegate("z")
        w.repo.add("x", b"z", "z")
        w.repo.add("y", b"b", "b")
        w.repo.add("other", b"z", "z")
        w.repo.publish_all()
        w.refused_download("x", "x: no role lists this target")
        equal(roles_asked(w), ["a", "b"], "its own delegations, not its siblings")
        w.download("y", "other")
        equal(w.target("y"), b"b", "found below it")
    with World(signer) as w:
        w.repo.delegate("a")
        w.repo.delegate("b", "a", terminating=True)
        w.repo.delegate("z")
        w.repo.add("x", b"z", "z")
        w.repo.publish_all()
        w.refused_download("x", "x: no role lists this target")
        equal(roles_asked(w), ["a", "b"], "it ends the search of those above, too")


def test_diamond_is_verified_by_each_parent(signer):
    """Two roles delegate to the same one, with other keys: what one vouches for, the other need
    not."""
    with World(signer) as w:
        good, other = signer.key(), signer.key()
        w.repo.delegate("left", paths=["l"])
        w.repo.delegate("right", paths=["r"])
        w.repo.delegate("shared", "left", keys=[good])
        w.repo.delegate("shared", "right", keys=[other])
        w.repo.add("l", b"text", "shared")
        w.repo.add("r", b"text", "shared")
        w.repo.publish_all()
        done = w.download("l", "r", code=1)
        w.refused("untrusted: 1.shared.json: signed by 0 keys that count, 1 are needed", done)
        equal((w.target("l"), w.target("r")), (b"text", None), "targets")
        w.refused_download("r", "untrusted: 1.shared.json: ")
        w.repo.publish("shared", [good, other])
        w.download("l", "r")
        equal(w.target("r"), b"text", "signed for both")


def test_role_is_visited_once(signer):
    with World(signer) as w:
        w.repo.delegate("a")
        w.repo.delegate("b", "a")
        w.repo.delegate("a", "b")
        w.repo.delegate("b")
        w.repo.publish_all()
        w.refused_download("x", "x: no role lists this target")
        equal(roles_asked(w), ["a", "b"], "roles of a circle")


def test_delegation_at_most_32_roles(signer):
    with World(signer) as w:
        shared = [signer.key()]
        for n in range(33):
            w.repo.delegate(f"r{n}", keys=shared)
        w.repo.add("x", b"text", "r30")
        w.repo.add("y", b"text", "r31")
        w.repo.publish_all()
        w.download("x")
        w.refused_download("y", "too large: y: more than 32 roles to look through")


def test_role_that_is_not_in_the_snapshot(signer):
    with World(signer) as w:
        w.repo.delegate("ghost")
        w.repo.delegate("z")
        w.repo.add("x", b"text", "z")
        w.repo.publish_all()
        del w.repo.bodies["snapshot"]["meta"]["ghost.json"]
        w.repo.publish("snapshot")
        w.refused_download("x", "untrusted: ghost.json: delegated to, but not in the snapshot")
        equal(roles_asked(w), [], "not asked for, and the search ends")


def test_role_that_fails_ends_the_search(signer):
    with World(signer) as w:
        w.repo.delegate("a")
        w.repo.delegate("z")
        w.repo.add("x", b"text", "z")
        w.repo.publish_all()
        name = w.repo.name("a")
        good = w.repo.files[name]
        for value, what in ((404, "unreachable"), (b"{}", "malformed"),
                            (json.dumps(w.repo.signed("a", [])).encode(), "untrusted")):
            w.repo.files[name] = value
            w.refused_download("x", f"{what}: 1.a.json: ")
        w.repo.files[name] = good
        w.download("x")
        w.repo.bodies["a"]["expires"] = PAST
        w.repo.bump("a")
        w.refused_download("x", "expired: 2.a.json: ")
        equal(w.versions()["a"], 1, "kept")


def test_delegated_role_is_as_listed(signer):
    with World(signer, hashes=True) as w:
        w.repo.delegate("web")
        w.repo.add("x", b"text", "web")
        w.repo.publish_all()
        good = w.repo.files["/metadata/1.web.json"]
        w.repo.files["/metadata/1.web.json"] = good.replace(b" ", b"\n", 1)
        w.refused_download("x", "untrusted: 1.web.json: other length or hash than listed")
        w.repo.files["/metadata/1.web.json"] = good
        w.download("x")
        w.asked()
        w.download("x")
        equal(roles_asked(w), [], "a role that is kept is not fetched again")


def test_delegation_thresholds(signer):
    with World(signer) as w:
        two = [signer.key(), signer.key()]
        w.repo.delegate("web", keys=two, threshold=2)
        w.repo.add("x", b"text", "web")
        w.repo.publish_all()
        w.repo.publish("web", two[:1])
        w.refused_download("x", "untrusted: 1.web.json: signed by 1 keys that count, 2 are needed")
        w.repo.publish("web", two)
        w.download("x")


def test_odd_names_of_roles(signer):
    names = ["?", "#", "/x", "../x", "a b", "%2e%2e", "\u00e9", "..", "1.root", "x\ny", "ROOT"]
    with World(signer) as w:
        shared = [signer.key()]
        for at, name in enumerate(names):
            w.repo.delegate(name, keys=shared, paths=[str(at)])
            w.repo.add(str(at), name.encode(), name)
        w.repo.publish_all()
        w.download(*[str(at) for at in range(len(names))])
        for at, name in enumerate(names):
            equal(w.target(str(at)), name.encode(), f"target of role {name!r}")
        equal(sorted(os.listdir(w.dir)), ["metadata", "targets", "trusted.json"], "folders")
        kept = sorted(os.listdir(w.metadata))
        equal(len(kept), 4 + len(names), f"files kept: {kept}")
        check("..%2Fx.json" in kept and "%3F.json" in kept and "1.root.json" in kept, str(kept))


if __name__ == "__main__":
    tuf_world.main(globals())
