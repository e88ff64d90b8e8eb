# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""How a tracer comes up, on what grounds it was chosen, and what each can say of a connection.

Run with CONNTRACE_TRACER=NAME, as the kernel matrix does, they are about that one."""

import collections
import os
import shutil
import subprocess
import tempfile

from connections import (BITES_LATE, HOLD, exchange, python, trace_on_fargate,
                         wait_for_closes)
from harness import (SLOWDOWN, Tracer, Tree, check, ends, equal, main, missing_probes,
                     network_namespace, remembers_in_table, steps_of, wait_for)

TRACER = os.environ.get("CONNTRACE_TRACER", "auto")

# The first column is what each has to find; renamed, as if the kernel had it no more.
REQUIRED = {"tracepoint": "btf_trace_tcp_destroy_sock", "fentry": "inet_csk_destroy_sock",
            "kprobe": "inet_csk_destroy_sock"}
OPTIONAL = {"tracepoint": "bpf_iter_bpf_sk_storage_map", "fentry": "security_sock_graft",
            "kprobe": "security_sock_graft"}


def test_the_ladder_says_what_was_found_and_how_long_each_step_took():
    with Tracer() as tracer:
        status = tracer.status()
    steps, name = steps_of(status), status["tracer"]
    check(TRACER in ("auto", name), f"asked for {TRACER}, got {name}")
    for step in ("privileges", "instance", "btf", "features"):
        equal(steps["-", step]["result"], "ok", step)
    for step in ("plan", "object", "load", "settings", "attach", "hand over", "drop", "sandbox"):
        check(steps[name, step]["result"] in ("ok", "degraded"), f"{step}: {steps[name, step]}")
    check(steps[name, "load"]["duration_us"] > 0, "load took no time")
    equal(status["btf"], "kernel", "where the BTF comes from")
    probes = {p["name"]: p for p in status["probes"]}
    for probe in probes.values():
        check(probe["state"] == "attached" or not probe["required"], f"required: {probe}")
        if probe["state"] == "attached":
            check(probe["verified_insns"] > 0, f"not seen by the verifier: {probe}")
    attempts = {(a["tracer"], a["outcome"]): a["count"] for a in status["attempts"]}
    equal(attempts[name, "ok_kernel_btf"], 1, f"attempts: {attempts}")
    print("# start: " + ", ".join(f"{s['step']} {s['duration_us']} us" for s in status["ladder"]))


def test_only_not_supported_leads_on_to_the_next_tracer():
    with Tracer() as tracer:
        status = tracer.status()
    plans = [s for s in status["ladder"] if s["step"] == "plan"]
    check(all(p["result"] == "not_supported" and p["detail"] for p in plans[:-1]), f"{plans}")
    equal(plans[-1]["tracer"], status["tracer"], "the last one planned")


def test_an_accepted_connection_belongs_to_the_process_that_accepted_it():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        child = exchange(prefix)
        records = {r["direction"]: r for r in wait_for_closes(tracer, netns, 2)}
        accepts = any(p["name"] == "trace_accept" and p["state"] == "attached"
                      for p in tracer.status()["probes"])
    equal(records["incoming"]["pid"], child, "process of the accepted end")
    equal(records["incoming"]["owner"], "accept" if accepts else "close", "how it is known")
    equal(records["outgoing"]["owner"], "connect", "how the other end's is known")
    equal(records["outgoing"]["bytes_sent"], 5, "bytes sent")
    equal(records["outgoing"]["bytes_received"], 3, "bytes received")


def close_held(holder, tracer, netns, steps, done=0):
    """Not all at once: so small a budget has a ring for a part of their records only."""
    for step in steps:
        print(step, file=holder.stdin, flush=True)
        done += abs(step)
        wait_for_closes(tracer, netns, 2 * done)


def test_beyond_the_budget_connections_are_not_remembered_and_none_is_lost():
    held, step = 1500, 250  # ends: twice that
    with network_namespace() as (prefix, netns):
        tracer = Tracer()
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            "memory_budget: 1MiB\nsnapshot_interval: 500ms\n")
        with tracer:
            holder = python(prefix, HOLD, str(held), stdin=subprocess.PIPE)
            equal(holder.stdout.readline(), "held\n", "what the holder says")
            tracer.cli("list")
            table = remembers_in_table(tracer.status())
            most = tracer.process("loader")["stats"]["walk_visits"]
            # Those that are not remembered end while there is no room, and when there is some.
            close_held(holder, tracer, netns, (-step, -step, step))
            if not table:
                wait_for("room again", lambda: "room for new connections" in tracer.text())
                wait_for("some are found again",
                         lambda: tracer.status()["counters"]["opened_seeded"] > 0, 20)
            close_held(holder, tracer, netns, (step, step, step), 3 * step)
            holder.communicate(timeout=30 * SLOWDOWN)
            equal(holder.returncode, 0, "exit code of the holder")
            records = tracer.every_close(netns, 2 * held)
            exchange(prefix)
            later = wait_for_closes(tracer, netns, len(records) + 2)
            status, log = tracer.drained(), tracer.text()
    equal(len({(r["saddr"], r["sport"], r["dport"]) for r in records}), len(records), "connections")
    if not table:
        equal({r["pid"] for r in records}, {holder.pid}, "whose they were")
        (port, _), = collections.Counter(r["sport"] for r in records).most_common(1)
        equal({(r["sport"] == port, r["closer"]) for r in records},
              {(True, "remote"), (False, "local")}, "who closed first, as the listener's end and not")
    partial = sum(r["partial"] for r in records)
    room = status["config"]["conn_max"]
    print(f"# {2 * held} ends, room for {room}: {partial} partial, {most} remembered at most")
    check(2 * held - room - BITES_LATE <= partial < 2 * held, f"{partial} partial, room {room}")
    check(status["counters"]["storage_failed"] >= partial, f"counters: {status['counters']}")
    check(most <= room + BITES_LATE, f"{most} remembered, room for {room}")
    equal(sum(r["partial"] for r in later), partial, "partial records when there is room again")
    equal(status["counters"]["unaccounted"], 0, "unaccounted: what had no room is known")
    check(status["identity"]["holds"], f"identity: {status['identity']}")
    if table:
        refusals = {(t["what"], t["errno"]): t["count"] for t in status["telemetry"]}
        check(refusals.get(("map_conn_table", "E2BIG"), 0) > 0, f"telemetry: {refusals}")
    else:
        check(f"memory_budget has room for {room}" in log, f"log: {log}")


def test_on_fargate_only_processes_of_its_own_pid_namespace_are_recorded():
    trace_on_fargate()


def test_the_same_without_fargate_is_recorded():
    with network_namespace() as (prefix, netns), Tracer() as tracer:
        exchange([*prefix, "unshare", "--pid", "--fork", "--kill-child"])
        equal(len(wait_for_closes(tracer, netns, 2)), 2, "ends")
        equal(tracer.status()["instance"]["tenants_only"], False, "tenant filter")


def status_of_one():
    """Of a tracer as this kernel gets it."""
    with Tracer() as tracer:
        return tracer.status()


def test_a_required_function_that_is_gone_is_a_typed_failure():
    name = status_of_one()["tracer"]
    hook = REQUIRED[name]
    with Tree() as tree:
        tree.rename_hook(hook, hook[:-1] + "Z")
        ends(Tracer(config=f"tracer: {name}\n", binaries=tree.bin), 69,
             f"{name}: plan: required: {hook.removeprefix('btf_trace_')[:-1]}",
             "the kernel does not have it")


def test_an_optional_function_that_is_gone_degrades_and_is_named():
    before = status_of_one()
    name = before["tracer"]
    by_table = name == "tracepoint" and remembers_in_table(before)
    # More than one program needs the iterator over a map.
    hook = "udp_destroy_sock" if by_table else OPTIONAL[name]
    with Tree() as tree, network_namespace() as (prefix, netns):
        tree.rename_hook(hook, hook[:-1] + "Z")
        with Tracer(binaries=tree.bin) as tracer:
            exchange(prefix)
            records = {r["direction"]: r for r in wait_for_closes(tracer, netns, 2)}
            status = tracer.status()
            listed = tracer.cli("list", check_code=False)
    equal(listed.returncode, 1 if hook.startswith("bpf_iter_") else 0, "exit code of list")
    check(status["degraded"], "the status does not say degraded")
    (gone,) = set(missing_probes(status)) - set(missing_probes(before))
    missing = missing_probes(status)[gone]
    check(not missing["required"] and missing["note"], f"{missing}")
    plan = steps_of(status)[name, "plan"]
    equal(plan["result"], "degraded", "plan")
    check(missing["hook"] in plan["detail"], f"plan says: {plan['detail']}")
    equal(records["incoming"]["owner"], "close", "owner without accept")
    equal((records["outgoing"]["bytes_sent"], records["outgoing"]["bytes_received"]), (5, 3),
          "bytes of a connection all the same")
    check(not any(r["partial"] for r in records.values()), "partial")


def test_btf_of_a_file_that_is_named():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = os.path.join(directory, "kernel.btf")
        shutil.copyfile("/sys/kernel/btf/vmlinux", path)
        os.chmod(path, 0o644)
        tracer = Tracer()
        tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                            f"btf: {path}\n")
        with tracer:
            status = tracer.status()
        equal(status["btf"], "named", "where the BTF comes from")
        equal({a["outcome"] for a in status["attempts"] if a["tracer"] == status["tracer"]},
              {"ok_named_btf"}, "outcome")
        for spoil, words in ((lambda: os.chmod(path, 0o666), "is writable by others than root"),
                             (lambda: os.truncate(path, 4096), "holds no BTF of this byte order"),
                             (lambda: os.unlink(path), "is missing")):
            spoil()
            ends(Tracer(config=f"btf: {path}\n"), 69, words)
            if os.path.exists(path):
                os.chmod(path, 0o644)


def test_an_instance_that_the_configuration_names():
    tracer = Tracer()
    tracer.write_config(f"output: {{format: json, path: {tracer.records_path}}}\n"
                        "instance: eks-fargate\n")
    with tracer:
        equal(tracer.status()["instance"],
              {"type": "eks-fargate", "evidence": "configuration", "tenants_only": True},
              "instance")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")],
         once=(test_only_not_supported_leads_on_to_the_next_tracer,
               test_the_same_without_fargate_is_recorded,
               test_an_instance_that_the_configuration_names))
