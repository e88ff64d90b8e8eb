# SPDX-License-Identifier: Apache-2.0
"""Cgroups of a test's own, and processes in them."""

import contextlib
import os
import shutil

from harness import cgroup_root, wait_for

NAME = f"conntrace-test-{os.getpid()}"
ROOT = cgroup_root()


def can_not():
    """Why these tests can't be made here, "" if they can."""
    if not ROOT:
        return "no cgroup2 tree is mounted"
    try:
        os.mkdir(os.path.join(ROOT, NAME))
        os.rmdir(os.path.join(ROOT, NAME))
    except OSError as error:
        return f"no cgroup can be made in {ROOT}: {error.strerror}"
    return ""


CAN_NOT = can_not()


def remove(directory):
    """A cgroup lasts until its last process is reaped."""
    def gone():
        try:
            os.rmdir(directory)
        except OSError:
            return not os.path.exists(directory)
        return True
    wait_for(f"{directory} removed", gone)


@contextlib.contextmanager
def cgroup(path):
    """A cgroup of that path and those around it; gives its directory."""
    made, directory = [], ROOT
    try:
        for name in path.strip("/").split("/"):
            directory = os.path.join(directory, name)
            if not os.path.exists(directory):
                os.mkdir(directory)
                made.append(directory)
        yield directory
    finally:
        for directory in reversed(made):
            remove(directory)


def within(directory, command):
    """The command, run in that cgroup. By its path: a shell can have another one of that name."""
    return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', directory,
            shutil.which(command[0]), *command[1:]]
