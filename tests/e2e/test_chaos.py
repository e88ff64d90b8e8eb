# SPDX-License-Identifier: Apache-2.0
# timeout: 300
"""Two minutes of chaos.py, with and without filters. CONNTRACE_CHAOS_S=N: N seconds each instead of
60; `make chaos` runs it for longer, with a seed of your choice."""

import os
import socket
import time

import chaos
from harness import Tracer, check, main

SECONDS = int(os.environ.get("CONNTRACE_CHAOS_S", "60"))


def test_nothing_is_lost_uncounted_whatever_is_killed_stopped_filled_or_reloaded():
    chaos.run(SECONDS, 1, False)


def test_the_same_while_filters_change():
    chaos.run(SECONDS, 2, True)


def cpu_s(pid):
    """Seconds of processor time that it has had."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        words = stat.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_a_client_for_whom_there_is_no_fd_waits_without_a_busy_loop():
    with Tracer() as tracer, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        pid = tracer.proc.pid
        chaos.limit_fds(pid, chaos.FDS_FEW)
        client.connect(tracer.socket)
        before = cpu_s(pid)
        time.sleep(1)
        used = cpu_s(pid) - before
        check(used < 0.2, f"{used} s of processor time in one second of waiting")
        chaos.limit_fds(pid, chaos.FDS_MANY)
        check(tracer.tracing(), "it answers again")


if __name__ == "__main__":
    main([test_nothing_is_lost_uncounted_whatever_is_killed_stopped_filled_or_reloaded,
          test_the_same_while_filters_change,
          test_a_client_for_whom_there_is_no_fd_waits_without_a_busy_loop])
