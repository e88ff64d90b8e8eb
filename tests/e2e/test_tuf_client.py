# SPDX-License-Identifier: Apache-2.0
# timeout: 600
"""conntrace-tuf against repositories that are right and wrong in every way we know of. Each
scenario runs twice, with metadata signed by conntrace-repo and by an independent signer, unless it
is about servers, or about keys that conntrace-repo doesn't make."""

import functools
import json
import os

import harness
import tuf_world
from harness import check, equal
from tuf_world import FUTURE, PAST, World, answer, dropped, endless, sha256, sha512, silent, trickle

ALL_ONE = {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}


def once(scenario):
    """With the independent signer only."""
    scenario.once = True
    return scenario


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


# --- roots --------------------------------------------------------------------------------------

def test_root_rotation_needs_old_and_new_keys(signer):
    with World(signer) as w:
        old = w.repo.keys["root"]
        w.repo.rotate("root", sign=old)
        w.refused("untrusted: 2.root.json: signed by 0 keys that count, 1 are needed")
        w.repo.publish("root", w.repo.keys["root"])
        w.refused("untrusted: 2.root.json: signed by 0 keys that count, 1 are needed")
        equal(w.versions(), {"root": 1}, "kept")
        w.repo.publish("root", [*old, *w.repo.keys["root"]])
        w.refresh()
        equal(w.versions()["root"], 2, "root")


def test_root_rotation_with_thresholds(signer):
    with World(signer) as w:
        three = [signer.key() for _ in range(3)]
        first = w.repo.keys["root"]
        w.repo.rotate("root", keys=three, root=2, sign=[*first, three[0]])
        w.refused("untrusted: 2.root.json: signed by 1 keys that count, 2 are needed")
        w.repo.publish("root", [*first, three[0], three[2]])
        w.refresh()
        w.repo.rotate("root", sign=[three[0], *w.repo.keys["root"]])
        w.repo.publish("root", [three[0], *w.repo.keys["root"]])
        w.refused("untrusted: 3.root.json: signed by 1 keys that count, 2 are needed")
        w.repo.publish("root", [*three[1:], *w.repo.keys["root"]])
        w.refresh()
        equal(w.versions()["root"], 3, "root")


def test_root_version_is_the_next(signer):
    for version in (1, 3):
        with World(signer) as w:
            w.repo.bodies["root"]["version"] = version
            w.repo.files["/metadata/2.root.json"] = json.dumps(w.repo.signed("root")).encode()
            word = "rollback" if version == 1 else "untrusted"
            w.refused(f"{word}: 2.root.json: version {version} where 2 must be")
            equal(w.versions(), {"root": 1}, "kept")
    with World(signer) as w:
        w.repo.rotate("root")
        del w.repo.files["/metadata/2.root.json"]
        w.repo.rotate("root")
        w.refresh()
        equal(w.versions()["root"], 1, "a root behind a gap is not seen")


def test_root_expiry_counts_at_the_end_only(signer):
    with World(signer) as w:
        w.repo.bodies["root"]["expires"] = PAST
        w.repo.rotate("root")
        w.refused("expired: root.json: expired on 2020-01-01T00:00:00Z")
        equal(w.versions(), {"root": 2}, "an expired root is kept, nothing else fetched")
        w.repo.bodies["root"]["expires"] = FUTURE
        w.repo.rotate("root")
        w.refresh()
        equal(w.versions()["root"], 3, "root")


def test_root_two_hundred_rotations(signer):
    with World(signer) as w:
        keys = [signer.key() for _ in range(8)]
        for at in range(200):
            w.repo.rotate("root", keys=[keys[at % 8]])
        w.refresh()
        equal(w.versions(), {**ALL_ONE, "root": 201}, "versions")
        equal(w.asked()[:200], [f"/metadata/{n}.root.json" for n in range(2, 202)], "requests")


@once
def test_root_at_most_256_in_a_run(signer):
    with World(signer) as w:
        for _ in range(260):
            w.repo.rotate()
        w.refused("too large: ")
        equal(w.versions(), {"root": 257}, "kept")
        w.refresh()
        equal(w.versions()["root"], 261, "the next run goes on")


def test_trusted_root(signer):
    with World(signer) as w:
        w.asked()
        os.unlink(os.path.join(w.metadata, "root.json"))
        w.refused("untrusted: root.json: no trusted root here")
        good = w.repo.files["/metadata/1.root.json"]
        for bad in (b"{}", good.replace(FUTURE.encode(), b"2098-01-01T00:00:00Z")):
            w.write_root(bad, code=1)
            equal(w.stored("root"), None, "kept by init")
            w.store("root", bad)
            w.refused("malformed: root.json" if bad == b"{}" else "untrusted: root.json")
            os.unlink(os.path.join(w.metadata, "root.json"))
        equal(w.asked(), [], "requests without a root")
        w.write_root(good)
        w.refresh()


# --- time and rollback --------------------------------------------------------------------------

def test_expired_at_each_role(signer):
    for role in ("timestamp", "snapshot", "targets"):
        with World(signer) as w:
            w.refresh()
            w.repo.bodies[role]["expires"] = PAST
            w.repo.bump("targets")
            name = w.repo.name(role).removeprefix("/metadata/")
            w.refused(f"expired: {name}: expired on 2020-01-01T00:00:00Z")
            equal(w.versions()[role], 1, f"{role} kept")


def test_freeze_is_seen_by_expiry(signer):
    """A server that goes on with what it had: no error until it expires, then one."""
    with World(signer) as w:
        w.refresh()
        w.refresh()
        w.repo.bodies["timestamp"]["expires"] = PAST
        w.repo.publish("timestamp")
        w.store("timestamp", w.repo.files["/metadata/timestamp.json"])
        w.refused("expired: timestamp.json: ")
        equal(w.versions(), ALL_ONE, "kept")


def test_equal_timestamp_is_not_taken(signer):
    with World(signer) as w:
        w.refresh()
        kept = w.stored("timestamp")
        w.asked()
        w.repo.bodies["timestamp"]["x-other"] = True
        w.repo.bodies["timestamp"]["meta"]["snapshot.json"]["version"] = 9
        w.repo.put("timestamp", w.repo.signed("timestamp"))
        w.refresh()
        equal(w.stored("timestamp"), kept, "timestamp kept")
        equal(w.asked(), ["/metadata/2.root.json", "/metadata/timestamp.json"], "requests")


def test_rollback_per_role(signer):
    with World(signer) as w:
        w.repo.bump("targets")
        w.repo.bump("targets")
        w.refresh()
        kept = w.versions()
        w.repo.bodies["timestamp"]["version"] = 2
        w.repo.publish("timestamp")
        w.refused("rollback: timestamp.json: version 2, but 3 was seen before")
        w.repo.bodies["timestamp"]["version"] = 4
        w.repo.bodies["snapshot"]["version"] = 2
        w.repo.publish("timestamp")
        w.refused("rollback: timestamp.json: lists snapshot version 2, but 3 was seen before")
        equal(w.versions(), kept, "kept")
        w.repo.bodies["snapshot"]["version"] = 4
        w.repo.bodies["targets"]["version"] = 2
        w.repo.list("targets")
        w.repo.publish("snapshot")
        w.repo.publish("timestamp")
        w.refused("rollback: 4.snapshot.json: lists targets.json version 2, but 3 was seen before")
        equal(w.versions(), {**kept, "timestamp": 4}, "kept but the timestamp")


def test_rollback_of_a_snapshot_without_its_timestamp(signer):
    with World(signer) as w:
        w.repo.bump("targets")
        w.refresh()
        os.unlink(os.path.join(w.metadata, "timestamp.json"))
        w.repo.bodies["snapshot"]["version"] = 1
        w.repo.publish("timestamp")
        w.refused("rollback: timestamp.json: lists snapshot version 1, but 2 was seen before")


def test_expired_snapshot_still_counts_for_rollback(signer):
    with World(signer) as w:
        w.repo.bump("targets")
        w.refresh()
        w.repo.bodies["snapshot"]["expires"] = PAST
        w.repo.publish("snapshot")
        w.store("snapshot", w.repo.files["/metadata/2.snapshot.json"])
        w.repo.bodies["snapshot"].update(expires=FUTURE, version=3)
        w.repo.bodies["timestamp"]["version"] = 3
        w.repo.bodies["targets"]["version"] = 1
        w.repo.list("targets")
        w.repo.publish("snapshot")
        w.repo.publish("timestamp")
        w.refused("rollback: 3.snapshot.json: lists targets.json version 1, but 2 was seen")


def test_file_gone_from_the_snapshot(signer):
    with World(signer) as w:
        w.repo.delegate("web")
        w.repo.publish_all()
        w.refresh()
        del w.repo.bodies["snapshot"]["meta"]["web.json"]
        w.repo.release()
        w.refused("rollback: 3.snapshot.json: web.json is gone from it")
        equal(w.versions()["snapshot"], 2, "kept")


def test_rollback_of_a_delegated_role(signer):
    with World(signer) as w:
        w.repo.delegate("web")
        w.repo.add("a", b"one", "web")
        w.repo.publish_all()
        old = w.repo.files["/metadata/1.web.json"]
        w.repo.add("a", b"two", "web")
        w.repo.bump("web")
        w.download("a")
        w.repo.bodies["web"]["version"] = 1
        w.repo.list("web")
        w.repo.release()
        w.refused("rollback: 4.snapshot.json: lists web.json version 1, but 2 was seen before")
        equal(w.versions()["web"], 2, "kept")
        w.repo.bodies["web"]["version"] = 3
        w.repo.list("web")
        w.repo.release()
        w.repo.files["/metadata/3.web.json"] = old
        w.refused_download("a", "untrusted: 3.web.json: version 1, but 3 is listed")


def test_fast_forward_recovery(signer):
    for role in ("timestamp", "snapshot"):
        with World(signer) as w:
            w.repo.bodies[role]["version"] = 99999
            w.repo.publish(role)
            w.repo.bodies["timestamp"]["version"] += 1
            w.repo.publish("timestamp")
            w.refresh()
            equal(w.versions()[role], w.repo.bodies[role]["version"], f"{role} far ahead")
            w.repo.bodies[role]["version"] = 1
            w.repo.publish(role)
            w.repo.bodies["timestamp"]["version"] += role == "snapshot"
            w.repo.publish("timestamp")
            w.refused("rollback: timestamp.json: ")
            w.repo.rotate(role)
            w.repo.publish("snapshot")
            w.repo.publish("timestamp")
            w.refresh()
            equal(w.versions()[role], 1, f"{role} after its keys were replaced")


def test_fast_forward_recovery_of_targets(signer):
    with World(signer) as w:
        w.repo.bodies["targets"]["version"] = 99999
        w.repo.publish("targets")
        w.repo.list("targets")
        w.repo.release()
        w.refresh()
        w.repo.bodies["targets"]["version"] = 1
        w.repo.list("targets")
        w.repo.release()
        w.refused("rollback: 3.snapshot.json: lists targets.json version 1, but 99999")
        w.repo.rotate("snapshot")
        w.repo.release()
        w.refresh()
        equal(w.versions()["targets"], 1, "targets")


def test_mix_and_match(signer):
    with World(signer) as w:
        w.repo.bump("targets")
        w.repo.files["/metadata/2.targets.json"] = w.repo.files["/metadata/1.targets.json"]
        w.refused("untrusted: 2.targets.json: version 1, but 2 is listed")
        w.repo.files["/metadata/2.snapshot.json"] = w.repo.files["/metadata/1.snapshot.json"]
        os.unlink(os.path.join(w.metadata, "snapshot.json"))
        w.refused("untrusted: 2.snapshot.json: version 1, but 2 is listed")
        equal(w.versions(), {"root": 1, "timestamp": 2}, "kept")


def test_damaged_store_is_fetched_again(signer):
    with World(signer) as w:
        w.refresh()
        for role in ("timestamp", "snapshot", "targets"):
            good = w.stored(role)
            for bad in (b"", b"{}", good[:-20], good.replace(b"2099", b"2098", 1)):
                w.store(role, bad)
                w.refresh()
                equal(w.stored(role), good, f"{role} after damage")


# --- delegations --------------------------------------------------------------------------------

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


# --- servers ------------------------------------------------------------------------------------

def test_limits_of_size(signer):
    limits = {"root": 64 << 10, "timestamp": 16 << 10, "snapshot": 256 << 10, "targets": 1 << 20}
    for role, limit in limits.items():
        with World(signer) as w:
            if role == "root":
                w.repo.bodies["root"]["version"] = 2
            whole = w.repo.signed(role)
            data = json.dumps(whole).encode()
            w.repo.put(role, data + b" " * (limit - len(data)))
            w.refresh()
        with World(signer) as w:
            if role == "root":
                w.repo.bodies["root"]["version"] = 2
            w.repo.put(role, data + b" " * (limit - len(data) + 1))
            w.refused(f"too large: {w.repo.name(role).removeprefix('/metadata/')}: larger than "
                      f"{limit} bytes")
            check(role not in w.versions() or role == "root" and w.versions()["root"] == 1, "kept")


def test_limits_of_number(signer):
    with World(signer) as w:
        whole = w.repo.signed("timestamp")
        for at in range(64):
            whole["signatures"].append({"keyid": f"{at:02x}" * 32, "sig": "00"})
        w.repo.put("timestamp", whole)
        w.refused("malformed: timestamp.json: signatures: more than 64")
        del whole["signatures"][64:]
        w.repo.put("timestamp", whole)
        for at in range(1000):
            w.repo.add(f"t{at}", b"x")
        w.repo.publish("targets")
        w.refresh()
        w.repo.add("one-more", b"x")
        w.repo.bump("targets")
        w.refused("malformed: 2.targets.json: targets: more than 1000")
        body = w.repo.bodies["root"]
        body["version"] = 2
        for at in range(61):
            public = {"keytype": "x", "keyval": {}, "scheme": str(at)}
            body["keys"][sha256(json.dumps(public, separators=(",", ":")).encode())] = public
        w.repo.publish("root")
        w.refused("malformed: 2.root.json: keys: more than 64")


def test_limit_of_a_target_and_of_a_run(signer):
    with World(signer) as w:
        w.repo.add("large", b"x" * ((1 << 20) + 1))
        for at in range(9):
            w.repo.add(f"t{at}", f"{at}".encode() * (1 << 20))
        w.repo.bump("targets")
        w.refused_download("large", "too large: large: listed with more than 1048576 bytes")
        done = w.download(*[f"t{at}" for at in range(9)], code=1)
        check("more than 8388608 bytes in this run" in done.stderr, done.stderr)
        equal((w.target("t6") is None, w.target("t8")), (False, None), "targets up to the limit")
        w.download("t8")


@once
def test_endless_and_slow_answers(signer):
    with World(signer) as w:
        w.extra = ["--timeout", "1"]
        for name in ("2.root.json", "timestamp.json"):
            w.repo.files[f"/metadata/{name}"], good = endless, w.repo.files.get(
                f"/metadata/{name}")
            w.refused(f"too large: {name}: larger than")
            for value in (trickle, silent):
                w.repo.files[f"/metadata/{name}"] = value
                w.refused(f"unreachable: {name}: can't be fetched")
            equal(w.versions(), {"root": 1}, "kept")
            w.repo.files[f"/metadata/{name}"] = good or 404
        w.refresh()


@once
def test_broken_answers_are_no_answers(signer):
    good = json.dumps({})
    broken = {
        "dropped": dropped,
        "cut": answer(200, [("Content-Length", "1000")], b"{}"),
        "500": answer(500, [("Content-Length", "0")]),
        "301": answer(301, [("Location", "/metadata/1.root.json"), ("Content-Length", "0")]),
        "206": answer(206, [("Content-Length", "2")], good.encode()),
        "401": answer(401, [("Content-Length", "0")]),
    }
    for what, value in broken.items():
        with World(signer) as w:
            w.repo.files["/metadata/2.root.json"] = value
            try:
                w.refused("unreachable: 2.root.json: can't be fetched")
                equal(w.versions(), {"root": 1}, "kept")
                w.repo.files["/metadata/2.root.json"] = 403
                w.repo.files["/metadata/timestamp.json"] = value
                w.refused("unreachable: timestamp.json: can't be fetched")
                w.repo.files["/metadata/timestamp.json"] = 404
                w.asked()
                w.refused("unreachable: timestamp.json: the server has no such file")
                equal(w.asked(), ["/metadata/2.root.json", "/metadata/timestamp.json"],
                      "a file that is not there is asked for once")
            except AssertionError as error:
                raise AssertionError(f"{what}: {error}") from error


@once
def test_plain_http_is_refused(signer):
    with World(signer) as w:
        for url in ("http://192.0.2.1/metadata", "http://127.0.0.1.example.org/", "ftp://x/",
                    "http://user@127.0.0.1/", "file://host/x", "/metadata", ""):
            done = w.client("--metadata-url", url, "refresh", code=1)
            check("base URL" in done.stderr, f"{url}: {done.stderr}")
        del tuf_world.ENVIRONMENT["CONNTRACE_TUF_LOOPBACK_HTTP"]
        try:
            check("plain http:// is not safe" in w.refresh(code=1).stderr, "taken without switch")
        finally:
            tuf_world.ENVIRONMENT["CONNTRACE_TUF_LOOPBACK_HTTP"] = "1"
        equal(w.asked(), [], "requests")


@once
def test_https(signer):
    with World(signer) as w:
        certificates = {name: w.certificate(name) for name in ("127.0.0.1", "192.0.2.1")}
        for name, (certificate, key) in certificates.items():
            server = tuf_world.Server(w.repo.files, (certificate, key))
            try:
                base = ("--metadata-url", f"{server.url}/metadata", "refresh")
                w.refused("unreachable: 2.root.json: ", w.client(*base, code=None))
                mine = w.client("--ca-file", certificate, *base, code=None)
                if name == "127.0.0.1":
                    equal(mine.returncode, 0, mine.stderr)
                else:
                    w.refused("unreachable: 2.root.json: ", mine)
                    other = w.client("--ca-file", certificates["127.0.0.1"][0], *base, code=None)
                    w.refused("unreachable: 2.root.json: ", other)
                    equal(server.requests, [], "requests without trust")
            finally:
                server.close()
        equal(w.versions(), ALL_ONE, "kept")


@once
def test_folder_as_a_repository(signer):
    with World(signer) as w:
        w.repo.add("group/a b.yaml", b"text")
        w.repo.bump("targets")
        for path, data in w.repo.files.items():
            place = os.path.join(w.dir, "copy of", path.lstrip("/"))
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.write(data)
        base = f"file://{w.dir}/copy%20of"
        w.client("--metadata-url", f"{base}/metadata", "--target-base-url", f"{base}/targets",
                 "--target-dir", w.targets, "--target-name", "group/a b.yaml", "download")
        with open(os.path.join(w.targets, "group%2Fa%20b.yaml"), "rb") as file:
            equal(file.read(), b"text", "target")
        done = w.client("--metadata-url", f"file://{w.dir}/gone", "refresh", code=1)
        check("unreachable: 2.root.json" in done.stderr, f"a folder that is gone: {done.stderr}")


@once
def test_wrong_usage(signer):
    with World(signer) as w:
        for arguments in ((), ("--unknown",), ("nonsense",), ("refresh",), ("init",),
                          ("--metadata-url", "https://x", "refresh", "more"),
                          ("--timeout", "0", "init", "x"), ("--timeout", "1x", "init", "x"),
                          ("--metadata-url", "https://x", "download"), ("--target-name",),
                          ("init", "/nonexistent")):
            done = w.client(*arguments, code=1)
            check(done.stderr.startswith("conntrace-tuf: "), f"{arguments}: {done.stderr}")
        done = tuf_world.run(["conntrace-tuf", "--help"])
        check("exit: 0 done; 1 failed" in done.stdout, done.stdout)


def main():
    signers = [tuf_world.NodeSigner(), tuf_world.RepoSigner()]
    tests = []
    for name, scenario in list(globals().items()):
        if name.startswith("test_"):
            for signer in signers[:1] if hasattr(scenario, "once") else signers:
                test = functools.partial(scenario, signer)
                test.__name__ = f"{name}, signed by {signer.name}"
                tests.append(test)
    try:
        harness.main(tests)
    finally:
        for signer in signers:
            signer.close()


if __name__ == "__main__":
    main()
