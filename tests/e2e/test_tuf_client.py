# SPDX-License-Identifier: Apache-2.0
# timeout: 600
"""conntrace-tuf: the plain way, and files that are not what they should be: not metadata, not signed,
not by those who count."""

import json
import os

import tuf_world
from harness import check, equal
from tuf_world import ALL_ONE, FUTURE, World, once, sha256, sha512


# --- the plain way ------------------------------------------------------------------------------

def test_refresh_asks_for_what_is_needed(signer):
    with World(signer, hashes=True) as w:
        equal(w.asked(), [], "requests of init")
        w.refresh()
        equal(w.asked(), ["/metadata/2.root.json", "/metadata/timestamp.json",
                          "/metadata/1.snapshot.json", "/metadata/1.targets.json"], "requests")
        equal(w.versions(), ALL_ONE, "versions kept")
        for role in tuf_world.TOP:
            equal(w.stored(role), w.repo.files[w.repo.name(role)], f"bytes of {role}")
        w.refresh()
        equal(w.asked(), ["/metadata/2.root.json", "/metadata/timestamp.json"],
              "requests when nothing is new")
        w.repo.bump("targets")
        w.refresh()
        equal(w.versions(), {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2}, "versions")


def test_without_consistent_snapshots(signer):
    with World(signer, consistent=False) as w:
        w.repo.add("a/b.yaml", b"text")
        w.repo.bump("targets")
        w.download("a/b.yaml")
        equal(w.asked(), ["/metadata/2.root.json", "/metadata/timestamp.json",
                          "/metadata/snapshot.json", "/metadata/targets.json",
                          "/targets/a/b.yaml"], "requests")
        equal(w.target("a/b.yaml"), b"text", "target")


def test_download(signer):
    with World(signer) as w:
        w.repo.add("base.yaml", b"one")
        w.repo.add("group/web.yaml", b"")
        w.repo.bump("targets")
        w.download("base.yaml", "group/web.yaml")
        equal(w.target("base.yaml"), b"one", "base.yaml")
        equal(w.target("group/web.yaml"), b"", "an empty target")
        check(f"/targets/group/{sha256(b'')}.web.yaml" in w.asked(), "hash before the last part")
        w.download("base.yaml")
        check(not [r for r in w.asked() if r.startswith("/targets")], "fetched though it is there")
        w.repo.add("base.yaml", b"two")
        w.repo.bump("targets")
        w.download("base.yaml")
        equal(w.target("base.yaml"), b"two", "base.yaml after a change")


def test_download_ends_with_the_first_failure(signer):
    with World(signer) as w:
        for name in ("a", "b"):
            w.repo.add(name, name.encode())
        w.repo.bump("targets")
        done = w.download("a", "missing", "b", code=1)
        check("missing: no role lists this target" in done.stderr, done.stderr)
        equal((w.target("a"), w.target("b")), (b"a", None), "targets")
        w.refused("../a: not a target's name", w.download("../a", code=None))


def test_target_that_is_not_what_is_listed(signer):
    with World(signer) as w:
        for name, data in (("short", b"tex"), ("long", b"text more"), ("other", b"TEXT")):
            w.repo.add(name, b"text")
            w.repo.files[f"/targets/{sha256(b'text')}.{name}"] = data
        w.repo.bump("targets")
        w.refused_download("short", f"untrusted: {sha256(b'text')}.short: other length or hash")
        w.refused_download("long", f"too large: {sha256(b'text')}.long: larger than 4 bytes")
        w.refused_download("other", f"untrusted: {sha256(b'text')}.other: other length or hash")
        equal(os.listdir(w.targets), [], "targets kept")


def test_each_type_of_key(signer):
    for kind in ("ecdsa",) if signer.name == "conntrace-repo" else ("ecdsa", "rsa"):
        with World(signer) as w:
            w.repo.rotate("root", "timestamp", "snapshot", "targets", keys=[signer.key(kind)])
            w.repo.publish("targets")
            w.repo.release()
            w.refresh()
            equal(w.versions()["root"], 2, f"root by {kind}")


@once
def test_key_types_that_never_count(signer):
    for kind, more in (("p384", {}), ("rsa", {"bits": 1024})):
        with World(signer) as w:
            w.repo.rotate("timestamp", keys=[signer.key(kind, **more)])
            w.repo.release()
            w.refused("untrusted: timestamp.json: signed by 0 keys that count")


# --- files that are not metadata ----------------------------------------------------------------

def malformed_texts(good):
    """Texts that must not be taken for metadata, by what is wrong with them."""
    text = good.decode()

    def with_member(value):
        return text.replace('"version": 1', f'"a": {value}, "version": 1', 1).encode()

    return {
        "empty": b"",
        "not JSON": b"<html>",
        "cut": good[:-1],
        "more behind it": good + b"{}",
        "a list": b"[]",
        "no members": b"{}",
        "signed is a text": b'{"signed": "x", "signatures": []}',
        "no signatures": b'{"signed": ' + json.dumps(json.loads(text)["signed"]).encode() + b"}",
        "signatures are none": text.replace('"keyid"', '"id"').encode(),
        "a name twice": text.replace('"version": 1', '"version": 1, "version": 1', 1).encode(),
        "a real number": with_member("1.0"),
        "a large number": with_member("18446744073709551617"),
        "version 0": text.replace('"version": 1', '"version": 0', 1).encode(),
        "version 2^53": text.replace('"version": 1', '"version": 9007199254740992', 1).encode(),
        "version as text": text.replace('"version": 1', '"version": "1"', 1).encode(),
        "too deep": with_member("[" * 15 + "]" * 15),
        "NUL": with_member('"\\u0000"'),
        "half a pair": with_member('"\\ud800"'),
        "not UTF-8": with_member('"@"').replace(b"@", b"\xff", 1),
        "other expiry": text.replace(FUTURE, "2099-01-01T00:00:00.000Z").encode(),
        "no such day": text.replace(FUTURE, "2099-02-30T00:00:00Z").encode(),
        "spec 2.0": text.replace("1.0.31", "2.0.0").encode(),
        "too many signatures": b'{"signed": {}, "signatures": [' + b"0," * 7000 + b"0]}",
    }


def test_malformed_files_are_refused(signer):
    with World(signer) as w:
        timestamp = w.repo.files["/metadata/timestamp.json"]
        for what, data in malformed_texts(timestamp).items():
            w.repo.put("timestamp", data)
            try:
                w.refused("malformed: timestamp.json: ")
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from error
            equal(w.versions(), {"root": 1}, f"kept after {what}")
        w.repo.put("timestamp", timestamp)
        w.refresh()
        w.repo.bump("targets")
        w.repo.put("targets", b"[]")
        w.refused("malformed: 2.targets.json: not an object")
        w.repo.put("snapshot", b"{}")
        w.store("snapshot", b"")
        w.refused("malformed: 2.snapshot.json: signed: not an object")
        w.repo.files["/metadata/2.root.json"] = b"{"
        w.refused("malformed: 2.root.json: ")
        equal(w.stored("root"), w.repo.files["/metadata/1.root.json"], "root kept")


def test_members_that_are_missing_or_wrong(signer):
    def without(member):
        return lambda body: body.pop(member)

    def with_value(member, value):
        return lambda body: body.__setitem__(member, value)

    def in_role(member, value):
        return lambda body: body["roles"]["timestamp"].__setitem__(member, value)

    wrong = {
        "root": [without("keys"), without("roles"), with_value("consistent_snapshot", 1),
                 with_value("keys", []), in_role("threshold", 0), in_role("threshold", "1"),
                 in_role("keyids", "x"), in_role("keyids", ["x", "x"]), in_role("keyids", [1]),
                 lambda body: body["roles"].pop("snapshot"),
                 lambda body: next(iter(body["keys"].values())).pop("scheme")],
        "timestamp": [without("meta"), with_value("meta", {}), with_value("meta", []),
                      with_value("meta", {"snapshot.json": {}}),
                      with_value("meta", {"snapshot.json": {"version": 1, "length": -1}}),
                      with_value("meta", {"snapshot.json": {"version": 1, "hashes": {
                          "sha256": "00"}}})],
        "snapshot": [without("meta"), with_value("meta", {"role.json": {"version": 1}})],
        "targets": [without("targets"), with_value("targets", []),
                    with_value("targets", {"a": {"length": 1}}),
                    with_value("targets", {"a": {"hashes": {"sha256": "00" * 32}}}),
                    with_value("targets", {"a": {"length": 1, "hashes": {"sha256": "x" * 64}}}),
                    with_value("targets", {"a": {"length": 1, "hashes": {"sha256": "00" * 32},
                                                 "custom": 1}}),
                    with_value("delegations", {}), with_value("delegations", {"roles": []}),
                    *[with_value("delegations", {"keys": {}, "roles": [
                        {"name": "a", "keyids": [], "threshold": 1, "terminating": False,
                         "paths": ["*"], **role}]})
                      for role in ({"name": ""}, {"name": "root"}, {"name": "targets"},
                                   {"name": "a" * 300}, {"name": 1}, {"terminating": 0},
                                   {"paths": "*"}, {"paths": [1]}, {"threshold": 0},
                                   {"paths": ["a" * 256]},
                                   {"path_hash_prefixes": ["0"]})],
                    *[with_value("delegations", {"keys": {}, "succinct_roles": {
                        "keyids": [], "threshold": 1, "bit_length": 8, "name_prefix": "b",
                        **bins}})
                      for bins in ({"bit_length": 0}, {"bit_length": 33}, {"name_prefix": ""},
                                   {"name_prefix": "b" * 215}, {"name_prefix": 1},
                                   {"threshold": 0})],
                    with_value("delegations", {"keys": {}, "roles": [], "succinct_roles": {
                        "keyids": [], "threshold": 1, "bit_length": 8, "name_prefix": "b"}})],
    }
    for role, changes in wrong.items():
        with World(signer) as w:
            if role == "root":
                w.repo.bodies["root"]["version"] = 2
            good = json.dumps(w.repo.bodies[role])
            for change in changes:
                change(w.repo.bodies[role])
                w.repo.put(role, w.repo.signed(role))
                w.refused(f"malformed: {w.repo.name(role).removeprefix('/metadata/')}: ")
                w.repo.bodies[role] = json.loads(good)


# --- trust --------------------------------------------------------------------------------------

def test_untrusted_signatures(signer):
    stranger = signer.key()
    for role in ("timestamp", "snapshot", "targets"):
        with World(signer) as w:
            name = w.repo.name(role).removeprefix("/metadata/")
            earlier = {"root", *tuf_world.TOP[1:tuf_world.TOP.index(role)]}
            for sign in ([], [stranger], w.repo.keys["root"]):
                w.repo.publish(role, sign)
                w.refused(f"untrusted: {name}: signed by 0 keys that count, 1 are needed")
                equal(set(w.versions()), earlier, f"kept before {role}")
            whole = w.repo.signed(role)
            whole["signatures"][0]["sig"] = whole["signatures"][0]["sig"][:-2] + "zz"
            w.repo.put(role, whole)
            w.refused(f"untrusted: {name}: ")
            whole = w.repo.signed(role)
            whole["signed"]["custom"] = "added after signing"
            w.repo.put(role, whole)
            w.refused(f"untrusted: {name}: ")
            w.repo.publish(role)
            w.refresh()


def test_threshold_counts_keys(signer):
    with World(signer) as w:
        two = [signer.key(), signer.key()]
        w.repo.rotate("timestamp", keys=two, timestamp=2)
        w.repo.bodies["timestamp"]["version"] = 2
        w.repo.publish("timestamp", two[:1])
        w.refused("untrusted: timestamp.json: signed by 1 keys that count, 2 are needed")
        whole = w.repo.signed("timestamp", two[:1])
        whole["signatures"] *= 2
        w.repo.put("timestamp", whole)
        w.refused(f"malformed: timestamp.json: {two[0].id}: twice in signatures")
        w.repo.publish("timestamp", two)
        w.refresh()


@once
def test_one_key_under_two_keyids_is_one(signer):
    with World(signer) as w:
        key = signer.key()
        public = {**key.public, "x-other": True}
        twin = tuf_world.Key(signer, key.handle, public, signer.key_id(public))
        w.repo.rotate("timestamp", keys=[key, twin], timestamp=2)
        w.repo.release()
        w.refused("untrusted: timestamp.json: signed by 1 keys that count, 2 are needed")


def test_keyid_must_be_that_of_its_key(signer):
    with World(signer) as w:
        body = w.repo.bodies["root"]
        body["version"] = 2
        keyid = w.repo.keys["timestamp"][0].id
        body["keys"]["00" * 32] = body["keys"][keyid]
        w.repo.publish("root")
        w.refused(f"untrusted: 2.root.json: key {'00' * 32}: its keyid should be {keyid}")
        w.extra = ["--any-keyid"]
        w.refresh()
        equal(w.versions()["root"], 2, "root")
        # One key is one, whatever it is called.
        body["version"] = 3
        body["roles"]["timestamp"] = {"keyids": ["00" * 32, keyid], "threshold": 2}
        w.repo.publish("root")
        whole = w.repo.signed("timestamp")
        whole["signatures"].append({**whole["signatures"][0], "keyid": "00" * 32})
        w.repo.put("timestamp", whole)
        w.refused("untrusted: timestamp.json: signed by 1 keys that count, 2 are needed")


def test_unknown_key_types_are_kept_and_never_count(signer):
    with World(signer) as w:
        public = {"keytype": "ml-dsa", "scheme": "ml-dsa-65", "keyval": {"public": "00"}}
        keyid = sha256(json.dumps(public, separators=(",", ":"), sort_keys=True).encode())
        body = w.repo.bodies["root"]
        body["version"] = 2
        body["keys"][keyid] = public
        body["roles"]["timestamp"]["keyids"].append(keyid)
        w.repo.publish("root")
        whole = w.repo.signed("timestamp")
        whole["signatures"].insert(0, {"keyid": keyid, "sig": "00"})
        w.repo.put("timestamp", whole)
        w.refresh()
        equal(w.versions()["root"], 2, "root")
        body["version"] = 3
        body["roles"]["timestamp"]["threshold"] = 2
        w.repo.publish("root")
        w.refused("untrusted: timestamp.json: signed by 1 keys that count, 2 are needed")


def test_other_type_than_expected(signer):
    for role, other in (("timestamp", "snapshot"), ("snapshot", "targets"),
                        ("targets", "snapshot")):
        with World(signer) as w:
            w.repo.keys[role] = w.repo.keys[other]
            w.repo.rotate()
            w.repo.publish(role)
            w.repo.put(role, w.repo.signed(other))
            w.refused(f"untrusted: {w.repo.name(role).removeprefix('/metadata/')}: "
                      f"_type: not \"{role}\"")


def test_version_hash_and_length_as_listed(signer):
    with World(signer, hashes=True) as w:
        for role in ("snapshot", "targets"):
            good = w.repo.files[w.repo.name(role)]
            name = w.repo.name(role).removeprefix("/metadata/")
            w.repo.put(role, good[:-1] + b" }")
            w.refused(f"too large: {name}: larger than {len(good)} bytes")
            w.repo.put(role, good.replace(b" ", b"\t", 1))
            w.refused(f"untrusted: {name}: other length or hash than listed")
            w.repo.put(role, good[:-2])
            w.refused(f"untrusted: {name}: other length or hash than listed")
            w.repo.put(role, good)
        w.refresh()
    for role in ("targets", "snapshot"):
        with World(signer) as w:
            name = w.repo.name(role)
            w.repo.bodies[role]["version"] = 7
            w.repo.files[name] = json.dumps(w.repo.signed(role)).encode()
            w.refused(f"untrusted: 1.{role}.json: version 7, but 1 is listed")


# --- what the specification leaves open ---------------------------------------------------------

def test_hashes(signer):
    with World(signer) as w:
        data = b"text"
        wrong = "00" * 64
        w.repo.add("long", data, hashes={"sha512": sha512(data)})
        w.repo.add("both", data, hashes={"sha512": sha512(data), "sha256": sha256(data)})
        w.repo.add("more", data, hashes={"blake2b": "00", "sha256": sha256(data)})
        w.repo.add("half", data, hashes={"sha256": sha256(data), "sha512": wrong})
        w.repo.add("none", data, hashes={"blake2b": "00"})
        w.repo.bump("targets")
        w.download("long", "both", "more")
        w.refused_download("half", f"untrusted: {sha256(data)}.half: other length or hash")
        w.refused_download("none", "untrusted: none: hashes: neither sha256 nor sha512")


def test_custom_members_are_legal_and_signed(signer):
    custom = {"x-a": [1, {"b": "text \"\\\n\u00e9"}], "": None, "A": True}
    with World(signer) as w:
        w.repo.delegate("web")
        w.repo.add("x", b"text", "web", custom=custom, more=1)
        for role in ("root", "targets", "web", "snapshot", "timestamp"):
            w.repo.bodies[role].update(custom)
        w.repo.bodies["root"]["roles"]["timestamp"]["x"] = 1
        w.repo.bodies["root"]["roles"]["mirrors"] = {"keyids": [], "threshold": 1}
        w.repo.bodies["targets"]["delegations"]["x"] = {}
        w.repo.bodies["targets"]["delegations"]["roles"][0]["x"] = {}
        w.repo.bodies["root"]["version"] = 2
        w.repo.publish("root")
        w.repo.publish_all()
        for role in ("timestamp", "snapshot", "targets", "web"):
            whole = w.repo.signed(role)
            whole["x-outside"] = True
            w.repo.put(role, whole)
        w.download("x")
        equal(w.target("x"), b"text", "target")


@once
def test_keys_with_custom_members(signer):
    with World(signer) as w:
        key = signer.key()
        public = {**key.public, "keyid_hash_algorithms": ["sha256"], "x": "\u00e9\n"}
        named = tuf_world.Key(signer, key.handle, public, signer.key_id(public))
        w.repo.rotate("timestamp", keys=[named])
        w.repo.release()
        w.refresh()
        legacy = signer.key("ecdsa")
        public = {**legacy.public, "keytype": "ecdsa-sha2-nistp256"}
        w.repo.rotate("timestamp", keys=[tuf_world.Key(signer, legacy.handle, public,
                                                       signer.key_id(public))])
        w.repo.release()
        w.refresh()
        equal(w.versions()["timestamp"], 3, "by a key with the older name of its type")


if __name__ == "__main__":
    tuf_world.main(globals())
