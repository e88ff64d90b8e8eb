# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON against an independent implementation: the same bytes for the same values."""

import json
import os
import random
import subprocess

import harness
import tuf_world
from harness import OUT, check, equal

CASES = 3000
# Beyond U+FFFF an implementation that sorts by UTF-16 units sorts names otherwise; those are in
# texts only.
NAMES = [chr(c) for c in (*range(1, 0x80), 0xe9, 0x3b1, 0x2028, 0xfffd)]
TEXTS = [*NAMES, chr(0x10000), chr(0x1f600), '"', "\\", "\n", "-----BEGIN PUBLIC KEY-----\n"]
NUMBERS = [0, 1, -1, 10, 2 ** 31, 2 ** 53 - 1, -2 ** 53 + 1]


def text(rng, characters):
    return "".join(rng.choice(characters) for _ in range(rng.randrange(8)))


def value(rng, depth):
    kind = rng.randrange(8 if depth < 6 else 5)
    if kind == 0:
        return rng.choice([True, False, None])
    if kind == 1:
        return rng.choice(NUMBERS)
    if kind < 5:
        return text(rng, TEXTS)
    if kind < 6:
        return [value(rng, depth + 1) for _ in range(rng.randrange(5))]
    return {text(rng, NAMES): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def canonical(lines):
    """What conntrace makes of each line."""
    tool = os.path.join(OUT, "test", "canonical")
    check(os.access(tool, os.X_OK), f"{tool} is not built: make tests")
    done = subprocess.run([tool], input="".join(l + "\n" for l in lines), stdout=subprocess.PIPE,
                          text=True, check=True, timeout=60)
    return done.stdout.split("\n")[:-1]


def test_canonical_bytes_are_those_of_tufjs():
    rng = random.Random(1)
    lines = [json.dumps({"v": value(rng, 0)}, ensure_ascii=rng.random() < 0.5)
             for _ in range(CASES)]
    signer = tuf_world.NodeSigner()
    try:
        theirs = [signer.ask(op="canonical", text=line)["hex"] for line in lines]
    finally:
        signer.close()
    ours = canonical(lines)
    equal(len(ours), CASES, "answers")
    for line, our, their in zip(lines, ours, theirs):
        equal(our, their, f"canonical form of {line}")
    check(sum(len(set(line)) > 20 for line in lines) > CASES / 10, "too little was tried")


def test_names_are_sorted_by_code_point():
    line = '{"\\ud800\\udc00": 1, "\\uffff": 2}'
    equal(canonical([line])[0], '{"\uffff":2,"\U00010000":1}'.encode().hex(), line)


def test_what_has_no_canonical_form_is_refused():
    lines = ['{"a": 1.5}', '{"a": 1e3}', '{"a": 1, "a": 1}', '{"a": "\\ud800"}', "[1]", "1"]
    equal(canonical(lines), ["refused"] * len(lines), "answers")


if __name__ == "__main__":
    harness.main([test_canonical_bytes_are_those_of_tufjs, test_names_are_sorted_by_code_point,
                  test_what_has_no_canonical_form_is_refused])
