# SPDX-License-Identifier: Apache-2.0
"""conntrace-tuf: servers that break off, stall, send too much; https, folders, the command line."""

import json
import os

import tuf_world
from harness import check, equal
from tuf_world import (ALL_ONE, World, answer, dropped, endless, many_headers, once, sha256, silent,
                       trickle)


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
        "too many headers": many_headers,
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


if __name__ == "__main__":
    tuf_world.main(globals())
