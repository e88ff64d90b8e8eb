# SPDX-License-Identifier: Apache-2.0
"""What each program is made of, held to a committed list: the supervisor can have no sandbox, so
every line in it counts, and each library belongs to the process that needs it alone. linked.tsv has
a line for each library of a program, and for each source of the supervisor."""

import csv
import os
import re
import subprocess

from harness import BIN, ROOT, equal, main

LIST = os.path.join(ROOT, "tests/e2e/linked.tsv")
OF_THE_COMPILER = {"crtstuff.c", "Scrt1.o", ""}


def committed(kind):
    """By program, the names of that kind."""
    found = {}
    with open(LIST, encoding="utf-8") as text:
        for row in csv.DictReader((l for l in text if not l.startswith("#")), delimiter="\t"):
            if row["kind"] == kind:
                found.setdefault(row["program"], set()).add(row["name"])
    return found


def readelf(option, program):
    return subprocess.run(["readelf", "--wide", option, os.path.join(BIN, program)],
                          capture_output=True, text=True, check=True).stdout


def libraries(program):
    return set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("--dynamic", program)))


def sources(program):
    """Files whose code is in it, by the symbols that name them."""
    return set(re.findall(r" FILE +LOCAL +DEFAULT +ABS ?(.*)$", readelf("--symbols", program),
                          re.MULTILINE)) - OF_THE_COMPILER


def test_each_program_has_the_libraries_of_the_list():
    equal({p: sorted(libraries(p)) for p in sorted(os.listdir(BIN))},
          {p: sorted(names) for p, names in sorted(committed("library").items())},
          "libraries, expected those of linked.tsv")


def test_the_supervisor_is_made_of_the_sources_of_the_list():
    for program, names in committed("source").items():
        equal(sorted(sources(program)), sorted(names), f"sources of {program}")


if __name__ == "__main__":
    main([test_each_program_has_the_libraries_of_the_list,
          test_the_supervisor_is_made_of_the_sources_of_the_list])
