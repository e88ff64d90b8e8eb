# SPDX-License-Identifier: Apache-2.0
"""conntrace metrics, read strictly, and compared with conntrace status --json field by field."""

import datetime
import json
import re
import time
from decimal import Decimal

from harness import check, equal, wait_until

SAMPLE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>.+)\})? (?P<value>-?\d+(?:\.\d+)?)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\\\|\\"|\\n)*)"(?:,(?!$)|$)')
EVENTS = ("open", "update", "close")
TRUSTS = ("none", "accepted", "malformed", "untrusted", "rollback", "expired", "too_large",
          "incomplete", "invalid", "clock", "failed")
# (cause, event) of loss markers: the counter and what of it has been told.
LOSSES = {("ring_full", "open"): ("lost_open", "told_lost_open"),
          ("ring_full", "update"): ("lost_update", "told_lost_update"),
          ("ring_full", "close"): ("lost_close", "told_lost_close"),
          ("ring_half_full", "update"): ("deferred_update", "told_deferred"),
          ("unseen", "close"): ("lost_unseen", "told_unseen"),
          ("malformed", "unknown"): ("dropped_malformed", "told_malformed"),
          ("sink", "open"): ("dropped_sink_open", "told_sink_open"),
          ("sink", "update"): ("dropped_sink_update", "told_sink_update"),
          ("sink", "close"): ("dropped_sink_close", "told_sink_close")}
PLAIN = {  # numbers of counters and ledger
    "established_total": "established", "closed_total": "closed", "unaccounted_total": "unaccounted",
    "closed_late_total": "closed_late", "sockets_remembered_total": "remembered",
    "sockets_destroyed_total": "destroyed",
    "storage_failed_total": "storage_failed", "connects_missed_total": "missed_connect",
    "datagrams_lost_total": "lost_flow_full", "output_bytes_total": "delivered_bytes",
    "output_errors_total": "sink_errors", "listed_full_total": "table_full",
    "client_records_dropped_total": "clients_dropped",
    "walk_ends_submitted_total": "submitted_walk", "walk_ends_handled_total": "handled_walk"}
STATS = {  # numbers that a process reports: which, its name, how many of it make one of the unit
    "program_runs_missed_total": ("loader", "program_missed", 1),
    "loader_privileged_seconds": ("loader", "privileged_us", 1000000),
    "walks_total": ("loader", "walks", 1), "walks_failed_total": ("loader", "walks_failed", 1),
    "walk_duration_seconds": ("loader", "walk_last_us", 1000000),
    "walk_longest_seconds": ("loader", "walk_longest_us", 1000000),
    "walk_cpu_seconds": ("loader", "walk_busy_us", 1000000),
    "walk_visits": ("loader", "walk_visits", 1), "walk_slices": ("loader", "walk_slices", 1),
    "walk_slice_longest_cpu_seconds": ("loader", "slice_worst_us", 1000000),
    "checks_total": ("loader", "checks", 1),
    "check_duration_seconds": ("loader", "check_last_us", 1000000),
    "check_cpu_seconds": ("loader", "check_busy_us", 1000000),
    "check_visits": ("loader", "check_visits", 1),
    "check_slice_longest_cpu_seconds": ("loader", "check_slice_worst_us", 1000000),
    "records_read_total": ("exporter", "records", 1), "listed": ("exporter", "live", 1),
    "walk_live": ("exporter", "walk_live", 1), "ring_used_bytes": ("exporter", "ring_used", 1),
    "clients": ("exporter", "clients", 1), "cgroups": ("exporter", "cgroups", 1),
    "cgroups_evicted_total": ("exporter", "cgroups_evicted", 1),
    "cgroups_unknown_total": ("exporter", "cgroups_unknown", 1),
    "cgroup_scans_total": ("exporter", "cgroup_scans", 1),
    "source_polls_total": ("poller", "polls", 1),
    "source_changes_total": ("poller", "candidates", 1),
    "source_poll_errors_total": ("poller", "errors", 1),
    "source_poll_errors_in_row": ("poller", "errors_in_row", 1),
    "source_reports_total": ("poller", "reports_sent", 1),
    "source_reports_failed_total": ("poller", "reports_failed", 1)}
NAT = {"nat_connections": "nat_connections",
       **{f"{name}_total": name for name in ("nat_events", "nat_skipped", "nat_overruns",
                                             "nat_evicted", "nat_dumped", "nat_dumps_cut")}}


def unescape(value):
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)


def labels_of(text):
    """(name, value) of each; fails unless all of the text is labels."""
    found, at = [], 0
    while at < len(text):
        label = LABEL.match(text, at)
        check(label, f"labels: {text!r} from {at}")
        found.append((label[1], unescape(label[2])))
        at = label.end()
    return tuple(found)


def parse(text):
    """{(name, labels): value}; fails on whatever the text format, or its readers, don't want: HELP,
    TYPE, then the samples of each metric, no name and no sample twice, no time."""
    check(text.endswith("\n"), "no newline at the end")
    samples, types, helped, current = {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            check(current not in helped and line.split(" ", 3)[3], f"HELP: {line}")
            helped.add(current)
        elif line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            check(name == current and name not in types and kind in ("counter", "gauge"), line)
            check(name.endswith("_total") == (kind == "counter"), line)
            types[name] = kind
        else:
            sample = SAMPLE.fullmatch(line)
            check(sample and sample["name"] == current and current in types, f"sample: {line!r}")
            key = (current, labels_of(sample["labels"] or ""))
            check(key not in samples, f"twice: {line}")
            samples[key] = Decimal(sample["value"])
    equal(set(types), {name for name, _ in samples}, "metrics with a sample")
    return samples


def shown(text):
    """As status shows text of others to people."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7f and byte != 0x5c else f"\\x{byte:02x}"
                   for byte in text.encode())


def expected_of_account(status):
    counters, ledger, identity = status["counters"], status["ledger"], status["identity"]
    numbers = counters | ledger
    want = {(name, ()): numbers[number] for name, number in PLAIN.items()}
    want.update({("opened_total", (("cause", cause),)): counters[f"opened_{cause}"]
                 for cause in ("connect", "accept", "seeded", "partial", "flow")})
    want.update({("program_runs_total", (("program", name[4:]),)): number
                 for name, number in counters.items() if name.startswith("run_")})
    want.update({(f"records_{what}_total", (("event", event),)): numbers[f"{prefix}_{event}"]
                 for event in EVENTS
                 for what, prefix in (("submitted", "submitted"), ("delivered", "delivered"),
                                      ("filtered", "filtered"), ("sampled_out", "sampled"))})
    for (cause, event), names in LOSSES.items():
        labels = (("cause", cause), ("event", event))
        for metric, name in zip(("records_lost_total", "records_lost_told_total"), names):
            want[(metric, labels)] = numbers[name]
    want[("account_holds", ())] = identity["holds"]
    want[("live", ())] = identity["live"]
    want[("records_waiting", ())] = identity["waiting"]
    return want


def expected_of_processes(status):
    want, stats = {}, {}
    for process in status["processes"]:
        name, labels = process["name"], (("process", process["name"]),)
        stats[name] = process["stats"]
        want[("process_restarts_total", labels)] = process["restarts"]
        want[("process_replaced_total", labels)] = process["replaced"]
        if process["state"] != "idle" and name != "verifier":
            want[("process_up", labels)] = process["state"] == "running"
        if process["pid"]:
            want[("process_uptime_seconds", labels)] = process["uptime_s"]
        if process["rss_kb"] is not None:
            want[("process_resident_memory_bytes", labels)] = process["rss_kb"] * 1024
    for metric, (name, number, per) in STATS.items():
        if number in stats.get(name, {}) and (name != "poller" or status["source"]):
            want[(metric, ())] = Decimal(stats[name][number]) / per
    if status["config"]["nat"]:
        want.update({(metric, ()): stats["exporter"][name] for metric, name in NAT.items()})
    return want


def expected_of_tracing(status):
    results = [step["result"] for step in status["ladder"]]
    want = {("tracing", ()): status["tracing"], ("degraded", ()): status["degraded"],
            ("uptime_seconds", ()): status["uptime_s"]}
    want.update({("start_steps", (("result", result),)): results.count(result)
                 for result in ("ok", "degraded", "skipped", "not_supported", "failed")})
    want.update({("program_attached", (("program", probe["name"]),)): probe["state"] == "attached"
                 for probe in status["probes"] if probe["state"] != "off"})
    want.update({("tracer_attempts_total", (("tracer", row["tracer"]), ("outcome", row["outcome"]))):
                 row["count"] for row in status["attempts"]})
    want.update({("kernel_refusals_total", (("what", row["what"]), ("errno", row["errno"]))):
                 row["count"] for row in status["telemetry"]})
    return want


def expected_of_config(status, verdict):
    config = status["config"]
    want = {("config_version", ()): config["version"],
            ("memory_budget_bytes", ()): config["memory_budget"],
            ("ring_size_bytes", ()): config["ring_bytes"]}
    want.update({("config_verdict", (("verdict", word),)): word == verdict
                 for word in ("applied", "on probation", "passed", "refused", "rolled back")})
    want.update({("table_entries_max", (("table", table),)): config[key] for table, key in
                 (("connections", "conn_max"), ("flows", "flow_max"), ("listed", "live_max"),
                  ("nat", "nat_max"))})
    rows = [(str(i), shown(row["filter"]), row) for i, row in enumerate(config["filters"], 1)]
    for number, text, row in rows + [("none", "none matched: recorded", config["no_filter"])]:
        labels = (("filter", number), ("text", text))
        if row["close"] is None:
            continue
        want.update({("filter_records_total", (*labels, ("event", event))): row[event]
                     for event in EVENTS})
        want[("filter_sampled_out_total", labels)] = row["sampled_out"]
    return want


def seconds(when):
    return datetime.datetime.strptime(when, "%Y-%m-%dT%H:%M:%SZ").replace(
        tzinfo=datetime.timezone.utc).timestamp()


def expected_of_source(source):
    if source is None:
        return {}
    want = {("source_info", (("kind", source["kind"]),)): 1,
            ("source_apply_state", ()): source["state"],
            ("source_error", ()): source["error"] != "",
            ("source_probation_left_seconds", ()): Decimal(source["probation_left_ms"]) / 1000,
            ("source_degraded", ()): source["degraded"],
            ("source_store_error", ()): source["store_error"] != ""}
    want.update({("source_poll", (("result", word),)): word == source["poll"]
                 for word in ("none", "ok", "failed", "stopped")})
    want.update({("source_trust", (("trust", word),)): word == source["trust"] for word in TRUSTS})
    for part in source["parts"]:
        labels = (("part", shown(part["name"])),)
        want[("source_part_apply_state", labels)] = part["state"]
        want[("source_part_error", labels)] = part["error"] != ""
    for role in source["roles"]:
        labels = (("role", role["role"]),)
        want[("source_role_version", labels)] = role["version"]
        if role["expires"]:
            want[("source_role_expiry_timestamp_seconds", labels)] = seconds(role["expires"])
    return want


def expected(status, verdict):
    """What the metrics of a status are, but for two that it does not say in the same words."""
    return {("conntrace_" + name, labels): number for (name, labels), number in
            {**expected_of_tracing(status), **expected_of_account(status),
             **expected_of_processes(status), **expected_of_config(status, verdict),
             **expected_of_source(status["source"])}.items()}


def check_info(samples, status, kernel):
    """Takes out the one with the name of the kernel."""
    (key,) = [key for key in samples if key[0] == "conntrace_info"]
    equal((dict(key[1]), samples.pop(key)),
          ({"version": status["version"], "kernel": kernel, "tracer": status["tracer"],
            "instance": status["instance"]["type"], "btf": status["btf"]}, 1), "info")


def check_next_poll(samples, status):
    """Takes out the one that is a time and in the status a wait."""
    due = samples.pop(("conntrace_source_next_poll_timestamp_seconds", ()), None)
    polls = status["source"] is not None and status["source"]["poll"] != "stopped"
    equal(due is not None, polls, "there is a next poll")
    check(not polls or abs(float(due) - time.time()) < 120, f"next poll at {due}")


def differences(tracer, kernel):
    """What metrics have that is neither what status says before nor after, nor in between: numbers
    move."""
    def asked():
        history = json.loads(tracer.cli("config history", "--json").stdout)
        verdict = history["history"][-1]["verdict"]
        status = tracer.status()
        return status, expected(status, verdict)

    _, before = asked()
    samples = parse(tracer.cli("metrics").stdout)
    status, after = asked()
    check_info(samples, status, kernel)
    check_next_poll(samples, status)
    wrong = [f"{key}: {samples[key]}, status says {before[key]}, then {after[key]}"
             for key in samples.keys() & before.keys() & after.keys()
             if not min(before[key], after[key]) <= samples[key] <= max(before[key], after[key])]
    return wrong + [f"{key}: only in one of both" for key in samples.keys() ^ after.keys()]


def check_as_status(tracer, kernel):
    """Each field of conntrace metrics is what conntrace status --json says."""
    wrong = []

    def same():
        wrong[:] = differences(tracer, kernel)
        return not wrong
    check(wait_until(same), "\n".join(wrong))
