# SPDX-License-Identifier: Apache-2.0
"""Single connections between processes of a test, and what becomes of them on Fargate."""

import subprocess
import sys

from harness import SLOWDOWN, Tracer, check, equal, network_namespace, steps_of, wait_for

CONNECT = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"hello")
s.shutdown(socket.SHUT_WR)
while s.recv(4096): pass
"""

# Listens, says where, lets a child accept and answer one connection.
SERVE = """
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
child = os.fork()
if child == 0:
    s, _ = listener.accept()
    while s.recv(4096): pass
    s.sendall(b"bye")
    s.close()
    os._exit(0)
print(child, flush=True)
os.waitpid(child, 0)
"""


def python(prefix, script, *args, **kwargs):
    return subprocess.Popen([*prefix, sys.executable, "-c", script, *args],
                            stdout=subprocess.PIPE, text=True, **kwargs)


def closes(tracer, netns):
    return [r for r in tracer.records() if r["event"] == "close" and r["netns"] == netns]


def wait_for_closes(tracer, netns, count):
    wait_for(f"{count} close records", lambda: len(closes(tracer, netns)) >= count, 20)
    return closes(tracer, netns)


def exchange(prefix, wrap_client=()):
    """One connection between a server's child and a client. Returns the child's pid."""
    server = python(prefix, SERVE)
    port, child = server.stdout.readline().strip(), server.stdout.readline().strip()
    client = python([*prefix, *wrap_client], CONNECT, port)
    equal(client.wait(30 * SLOWDOWN), 0, "the client's exit code")
    equal(server.wait(30 * SLOWDOWN), 0, "the server's exit code")
    return int(child)


# A child pid namespace: what another tenant of the machine has.
ANOTHER_TENANT = ["unshare", "--pid", "--fork", "--kill-child"]


def with_filtered(tracer, count):
    """The status once so many ends were filtered."""
    status = tracer.status()
    return status if status["counters"]["filtered_close"] >= count else None


def trace_on_fargate():
    """Of the connections of a tracer on Fargate those ends are recorded whose process is in its own
    pid namespace, and no others. Returns the status."""
    with network_namespace() as (prefix, netns), \
            Tracer(wrap=["env", "ECS_FARGATE=1"]) as tracer:
        exchange([*prefix, *ANOTHER_TENANT])
        exchange(prefix)
        exchange(prefix, wrap_client=ANOTHER_TENANT)
        wait_for_closes(tracer, netns, 3)
        status = wait_for("all ends accounted for", lambda: with_filtered(tracer, 3))
        records = closes(tracer, netns)
    equal(sorted(r["direction"] for r in records), ["incoming", "incoming", "outgoing"],
          "ends inside")
    equal(status["instance"],
          {"type": "ecs-fargate", "evidence": "ECS_FARGATE=1", "tenants_only": True}, "instance")
    equal(steps_of(status)["-", "instance"]["detail"],
          "ecs-fargate: ECS_FARGATE=1; tenant filter on", "the ladder")
    return status
