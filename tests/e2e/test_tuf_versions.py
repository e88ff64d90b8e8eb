# SPDX-License-Identifier: Apache-2.0
# timeout: 600
"""conntrace-tuf: the chain of roots, time, and versions that go back."""

import json
import os

import tuf_world
from harness import equal
from tuf_world import ALL_ONE, FUTURE, PAST, World, once


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


if __name__ == "__main__":
    tuf_world.main(globals())
