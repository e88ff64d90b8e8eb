# SPDX-License-Identifier: Apache-2.0
"""What counts: each statement that does, and the test that must fail without it. Of a statement: the
file, the function (or macro) it is in, its text, which is there once.

tests/lint sees to it that every statement is here that counts in the programs, in the ledger, and in what
the processes say of themselves."""

import dataclasses
import os

import calls

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass(frozen=True)
class Guest:
    """A test that is run in a guest, by the tracer by kprobes: what counts UDP, connects that fail at
    once and what is remembered in the table does so on kernels that most hosts do not have."""
    test: str


@dataclasses.dataclass(frozen=True)
class Statement:
    path: str
    function: str
    text: str
    test: str
    guest: bool = False
    only: str = ""  # of a macro's statement: for one type of record

    @property
    def name(self):
        return f"{self.path} {self.function}(): {self.text}{' of ' * bool(self.only)}{self.only}"

    @property
    def edits(self):
        with open(os.path.join(ROOT, self.path), encoding="utf-8") as f:
            return ((self.path, *calls.edit(f.read(), self.function, self.text, self.only)),)


def of(path, *rows):
    for function, text, test, *only in rows:
        yield Statement(path, function, text, getattr(test, "test", test), isinstance(test, Guest),
                        *only)


EVERY_RUN = "test_counters every_run"
PARTIAL = "test_counters whose_begin_no_program_saw"
ANEW = "test_counters begins_anew"
LATE = "test_counters an_end_that_no_program_saw_is_found_when"
NOT_MET = "test_counters no_walk_meets"
NO_MEMORY = "test_counters without_memory"
NO_ROOM = "test_tracers beyond_the_budget"
FULL_RING = "test_loss full_ring_is_told"
FULL_RING_LISTENER = "test_loss last_drops_of_a_listener"
LEFT_OUT = "test_loss updates_that_a_walk"
LEFT_OUT_LISTED = "test_walk leaves_out_stays"
FILTERS = "test_filters each_filter"
FILTERS_UPDATES = "test_filters updates_of_what"
SAMPLE = "test_filters a_sample"
LISTENER = "test_listener drops_of_each"
WALK = "test_walk an_update_only"
WALKS = "test_counters walk_counts"
SAYS = "test_counters says_what_it_did"
SOURCE = "test_configuration within_one_poll"
REPORTS = "test_remote who_is_told"
SOURCE_FAILS = "test_configuration others_may_write"

G_EVERY_RUN = Guest(EVERY_RUN)
G_FOUND = Guest("test_counters found_by_the_walk")
G_FULL_TABLE = Guest(NO_ROOM)
G_NO_ROUTE = Guest("test_failed_connects no_route")
G_FLOWS = Guest("test_udp unconnected_socket_over_ipv4")
G_LIVE = Guest("test_udp live_flow")
G_FULL = Guest("test_udp full_table")
G_IDLE = Guest("test_udp falls_idle")
G_SEED = Guest("test_seed_udp sockets_are_listed")
G_SEED_FULL = Guest("test_seed_udp more_sockets")

ACCOUNTING = [
    # --- the programs: what becomes of a record ---
    *of("bpf/conn.h",
        *(("COUNT_OUTCOME", f"COUNT(count, {outcome}_##type)", test, kind)
          for outcome, kind, test in (
              ("submitted", "open", FILTERS), ("submitted", "update", LISTENER),
              ("submitted", "close", PARTIAL), ("filtered", "open", FILTERS),
              ("filtered", "update", FILTERS_UPDATES), ("filtered", "close", FILTERS),
              ("sampled", "open", SAMPLE), ("sampled", "update", SAMPLE),
              ("sampled", "close", SAMPLE), ("lost", "open", FULL_RING),
              ("lost", "update", FULL_RING_LISTENER), ("lost", "close", FULL_RING))),
        ("event_reserve", "telemetry_note(TELEMETRY_map_ring, 0)", FULL_RING),
        ("current_is_tenant", "telemetry_note(TELEMETRY_helper_pidns, (int)err)",
         "test_tracers on_fargate")),
    *of("bpf/maps.h",
        ("telemetry_note", "(void)__sync_fetch_and_add(&telemetry_row->count[number], 1)",
         FULL_RING)),
    *of("bpf/filter.h",
        ("hit", "(void)__sync_fetch_and_add(&hits->of[active & 1][row][column & (HITS_COLUMNS - 1)], 1)",
         FILTERS),
        ("filters_go_through", "hit(here, active, row, subject->type)", FILTERS),
        ("filters_go_through", "hit(here, active, row, HITS_SAMPLED)", SAMPLE)),
    # --- TCP ---
    *of("bpf/hooks.h",
        ("change_report", "COUNT_OUTCOME(run->count, open, outcome)", FILTERS),
        ("change_report", "COUNT_OUTCOME(run->count, update, outcome)", FULL_RING_LISTENER),
        ("change_report", "COUNT_OUTCOME(run->count, close, outcome)", PARTIAL),
        ("on_state", "COUNT(count, run_set_state)", EVERY_RUN),
        ("on_listen", "COUNT(count, run_listen)", G_EVERY_RUN),
        ("on_accept", "COUNT(count, run_accept)", G_EVERY_RUN),
        ("on_child", "COUNT(count, run_child)", G_EVERY_RUN),
        ("on_destroy", "COUNT(count, destroyed)", EVERY_RUN),
        ("on_destroy", "COUNT(run.count, run_destroy)", LATE),
        ("on_destroy", "COUNT(run.count, closed_late)", LATE)),
    *of("bpf/lifecycle.h",
        ("conn_begin", "COUNT(count, closed)", ANEW),
        ("conn_begin", "COUNT(count, lost_unseen)", ANEW),
        ("conn_connect", "COUNT(count, opened_connect)", EVERY_RUN),
        ("conn_establish", "COUNT(count, opened_accept)", EVERY_RUN),
        ("conn_establish", "COUNT(count, established)", EVERY_RUN),
        ("conn_begin", "COUNT(count, storage_failed)", NO_MEMORY),
        ("conn_accepted", "COUNT(count, storage_failed)", NO_MEMORY),
        ("conn_accepted", "COUNT(count, remembered)", EVERY_RUN),
        ("conn_inherit", "COUNT(count, remembered)", G_EVERY_RUN),
        ("conn_count_end", "COUNT(count, opened_partial)", PARTIAL),
        ("conn_count_end", "COUNT(count, closed)", PARTIAL)),
    *of("bpf/store.h",
        ("table_create", "telemetry_note(TELEMETRY_map_conn_table, err)", G_FULL_TABLE),
        ("storage_create", "telemetry_note(TELEMETRY_map_connections, 0)", NO_MEMORY),
        ("storage_create", "COUNT(count, remembered)", EVERY_RUN),
        ("store_create", "COUNT(count, remembered)", G_EVERY_RUN),
        ("store_create_last", "all->unmarked++", NO_MEMORY)),
    *of("bpf/connect.h",
        ("attempt_make", "COUNT(count, opened_connect)", G_NO_ROUTE),
        ("connect_failed", "COUNT(run.count, run_connect)", G_NO_ROUTE),
        ("connect_failed", "COUNT(run.count, closed)", G_NO_ROUTE),
        ("connect_failed", "COUNT_OUTCOME(run.count, close, outcome)", G_NO_ROUTE)),
    *of("bpf/tracer-kprobe.bpf.c",
        ("on_connect", "COUNT(count, missed_connect)", G_NO_ROUTE),
        ("on_connected", "(void)__sync_fetch_and_add(&count->missed_connect, -1ull)", G_NO_ROUTE)),
    # --- reads that fail ---
    *(Statement(path, function, "telemetry_note(TELEMETRY_helper_read, failed)",
                f"test_unreadable {word}", True)
      for path, function, word in (
          ("bpf/conn.h", "current_read", "of_the_process"),
          ("bpf/conn.h", "conn_report_by", "attempt_and_a_flow"),
          ("bpf/connect.h", "attempt_report", "attempt_and_a_flow"),
          ("bpf/flow.h", "flow_init", "attempt_and_a_flow"),
          ("bpf/filter.h", "cgroup_filters_up", "of_the_cgroups_above"),
          ("bpf/udp.h", "on_udp_send", "of_what_is_sent"),
          ("bpf/udp.h", "on_udp_receive", "of_what_is_received"))),
    # --- UDP ---
    *of("bpf/flow.h",
        *(("flow_count", f"(void)__sync_fetch_and_add(&flow->{counter}, seen->{seen})", G_FLOWS)
          for counter, seen in (("bytes_sent", "bytes"), ("sent", "count"),
                                ("bytes_received", "bytes"), ("received", "count"))),
        ("flow_enter", "(void)__sync_fetch_and_add(&socket->flows, 1)", G_IDLE),
        ("flow_left", "(void)__sync_fetch_and_add(&socket->flows, -1ull)", G_IDLE),
        ("flow_socket_get", "telemetry_note(TELEMETRY_map_flow_sockets, err)", G_SEED_FULL),
        ("flow_open", "COUNT(count, opened_flow)", G_FLOWS),
        ("flow_open", "COUNT_OUTCOME(count, open, outcome)", G_LIVE),
        ("flow_open", "telemetry_note(TELEMETRY_map_flow_table, err)", G_FULL),
        ("on_datagrams", "(void)__sync_fetch_and_add(&count->lost_flow_full, seen->count)", G_FULL),
        ("flow_end", "COUNT(count, closed)", G_FLOWS),
        ("flow_end", "COUNT_OUTCOME(count, close, outcome)", G_FLOWS),
        ("flow_update", "COUNT_OUTCOME(count, update, outcome)", G_LIVE),
        ("flow_update", "tally_met(&walk_flow_tally, &flow->conn)", G_LIVE),
        ("flow_visit", "COUNT(count, run_walk)", G_LIVE)),
    *of("bpf/udp.h",
        ("on_udp_send", "COUNT(count, run_udp_send)", G_EVERY_RUN),
        ("on_udp_receive", "COUNT(count, run_udp_receive)", G_EVERY_RUN),
        ("on_udp_destroy", "COUNT(count, run_udp_end)", G_EVERY_RUN)),
    # --- the walks ---
    *of("bpf/seed.h",
        ("seed_flow", "COUNT(count, run_seed)", G_SEED),
        ("seed_flow", "COUNT(count, opened_seeded)", G_SEED),
        ("seed_socket", "COUNT(count, run_seed)", EVERY_RUN),
        ("seed_socket", "COUNT(count, opened_seeded)", EVERY_RUN),
        ("seed_socket", "COUNT(count, storage_failed)", NO_MEMORY),
        ("seed_socket", "COUNT(count, unaccounted)", "test_seed no_program_saw_begin")),
    *of("bpf/snapshot.h",
        ("snapshot_update", "COUNT_OUTCOME(count, update, outcome)", SAMPLE),
        ("snapshot_leaves_out", "COUNT(count, deferred_update)", LEFT_OUT),
        ("snapshot_leaves_out", "tally->left++", LEFT_OUT_LISTED),
        ("snapshot_end", "COUNT(count, submitted_walk)", SAMPLE),
        ("snapshot_end", "all->walk_met = walk_tally.older + walk_flow_tally.older", NOT_MET),
        ("snapshot_end", "all->walk_sockets = walk_tally.sockets", NO_ROOM),
        ("snapshot_end", "event->walk_live = walk_tally.live + walk_flow_tally.live", WALK),
        ("snapshot_end", "event->walk_left = walk_tally.left + walk_flow_tally.left", LEFT_OUT_LISTED),
        ("snapshot_visit", "COUNT(count, run_walk)", WALKS),
        ("snapshot_visit", "walk_tally.sockets++", NO_ROOM),
        ("snapshot_socket", "tally_met(&walk_tally, conn)", WALK),
        ("tally_met", "tally->live++", WALK),
        ("tally_met", "tally->older += conn->opened_ns < tally->begin_ns", WALKS),
        ("snapshot_unseen", "COUNT(count, closed)", G_FOUND),
        ("snapshot_unseen", "COUNT(count, lost_unseen)", G_FOUND)),
    *of("loader/walker.c",
        ("end_account", "__atomic_fetch_add(&slot->closed, gone, __ATOMIC_RELAXED)", NOT_MET),
        ("end_account", "__atomic_fetch_add(&slot->lost_unseen, gone, __ATOMIC_RELAXED)", NOT_MET)),
    *of("loader/unseen.c",
        *(("unseen_begin", text, "test_unseen") for text in (
            "unseen->live = counters_live(sum)", "unseen->closed = sum->closed",
            "unseen->destroyed = sum->destroyed")),
        ("unseen_end", "unseen->lacking[i] -= gone", "test_unseen")),
    *of("loader/room.c",
        ("room_walked", "room->walked = visits", "test_room"),
        ("room_walked", "room->then = by_counters(sum)", "test_room")),
    *of("loader/walk.c",
        *((function, text, "test_walk.c") for function, text in (
            ("visit", "walk->visits += (uint64_t)n"), ("end", "stats->failed++"),
            ("end", "stats->walks++"), ("end", "stats->last_us = (now_ns - walk->begin_ns) / 1000"),
            ("end", "stats->longest_us = stats->last_us"),
            ("end", "stats->busy_us = walk->busy_ns / 1000"), ("end", "stats->visits = walk->visits"),
            ("end", "stats->slices = walk->slices"), ("walk_step", "walk->busy_ns += slice_ns"),
            ("walk_step", "walk->slices++"),
            ("walk_step", "stats->slice_worst_us = slice_ns / 1000"),
            ("walk_step", "walk->waited_ns += WAIT_NS")))),
    # --- the ledger ---
    *of("exporter/ledger.h",
        ("ledger_add", "__atomic_fetch_add(count, n, __ATOMIC_RELAXED)", "test_pump")),
    *of("exporter/pump.c",
        *(("settle", f"ledger_add(&ledger->{counter}, {value})", "test_pump")
          for counter, value in (
              ("delivered_open", "tally.delivered[EVENT_OPEN]"),
              ("delivered_update", "tally.delivered[EVENT_UPDATE]"),
              ("delivered_close", "tally.delivered[EVENT_CLOSE]"),
              ("delivered_bytes", "tally.bytes"),
              ("dropped_sink_open", "tally.dropped[EVENT_OPEN]"),
              ("dropped_sink_update", "tally.dropped[EVENT_UPDATE]"),
              ("dropped_sink_close", "tally.dropped[EVENT_CLOSE]"),
              ("dropped_malformed", "pump->malformed"), ("handled_walk", "pump->walks"))),
        ("settle", "pump->failing_dropped += tally.dropped[EVENT_OPEN] + "
                   "tally.dropped[EVENT_UPDATE] + tally.dropped[EVENT_CLOSE]", "test_pump"),
        ("settle", "pump->malformed = 0", "test_pump"),
        ("settle", "pump->walks = 0", "test_pump"),
        ("note_failure", "ledger_add(&pump->ledger->sink_errors, 1)", "test_pump"),
        ("keep_live", "ledger_add(&pump->ledger->table_full, 1)", "test_pump"),
        ("end_whole_walk", "pump->walk_live = event->walk_live", "test_pump"),
        ("refuse", "pump->malformed++", "test_pump"),
        ("handle", "pump->malformed++", "test_pump"),
        ("handle", "pump->records++", "test_pump"),
        ("handle", "pump->walks++", "test_pump")),
    *of("exporter/sink.c",
        ("sink_settle", "tally->bytes = sink->written", "test_sink"),
        ("sink_settle", "tally->delivered[mark->type]++", "test_sink"),
        ("sink_settle", "tally->dropped[mark->type]++", "test_sink")),
    *of("exporter/loss.c",
        ("loss_end", "ledger_set(told_of(ledger, kind), marker->total)", "test_loss.c"),
        ("loss_end", "ledger_set(&ledger->told_until_ns[kind], marker->next_ns)", "test_loss.c"),
        ("loss_end", "loss->told_ns[kind] = marker->until_ns", "test_loss.c"),
        ("loss_end", "marker->count = 0", "test_loss.c"),
        ("loss_due", "ledger_set(&ledger->told_until_ns[kind], look->before_ns)", "test_loss.c")),
    *of("exporter/clients.c",
        ("clients_flush", "ledger_add(clients->dropped, passing->len_bytes / sizeof(struct event))",
         "test_clients"),
        ("clients_add", "clients->count++", "test_clients"),
        ("remove_client", "clients->count--", "test_clients")),
    # --- the exporter's tables ---
    *of("exporter/live.c",
        ("live_put", "live->count++", "test_table_live"),
        ("unlink_entry", "live->count--", "test_table_live")),
    *of("record/cgroup_cache.c",
        ("list_put", "list->count++", "test_cgroup_cache")),
    *of("record/cgroups.c",
        ("learn", "cgroups->evicted += victim != NULL", "test_cgroups.c"),
        ("scan", "cgroups->scans++", "test_cgroups.c"),
        ("cgroups_find", "cgroups->unknown++", "test_cgroups.c")),
    *of("exporter/nat.c",
        ("on_event", "nat->events++", "test_nat.c"),
        ("on_event", "nat->skipped++", "test_nat.c"),
        ("read_events", "nat->overruns++", "test_nat.c"),
        ("read_dump", "nat->dumped += message.kind == NAT_DUMPED", "test_nat.c"),
        ("on_dump", "nat->dumps_cut++", "test_nat.c")),
    *of("exporter/nat_cache.c",
        ("take_place", "cache->evicted += rank != NAT_OVER", "test_nat_cache")),
    # --- what each process says of itself ---
    *of("loader/main.c",
        ("on_stats", "stats->values[STAT_LOADER_walks_failed] = walks->failed",
         "test_walk a_walk_that_fails"),
        *(("on_stats", f"stats->values[STAT_LOADER_{name}] = {value}", SAYS) for name, value in (
            *((name, f"walks->{member}") for name, member in (
                ("walks", "walks"), ("walk_last_us", "last_us"), ("walk_longest_us", "longest_us"),
                ("walk_busy_us", "busy_us"), ("walk_visits", "visits"), ("walk_slices", "slices"),
                ("slice_worst_us", "slice_worst_us"))),
            *((name, f"checks->{member}") for name, member in (
                ("checks", "walks"), ("check_last_us", "last_us"), ("check_busy_us", "busy_us"),
                ("check_visits", "visits"), ("check_slice_worst_us", "slice_worst_us"))),
            ("privileged_us", "ladder_privileged_us(&loader->ladder)")))),
    *of("exporter/main.c",
        *(("on_stats", f"stats->values[STAT_EXPORTER_{name}] = {value}", test)
          for name, value, test in (
              ("records", "pump->records", SAYS), ("live", "pump->live.count", SAYS),
              ("walk_live", "pump->walk_live", SAYS),
              ("ring_used", "ring_used(&pump->ring)", "test_loss pipe_that_nobody_reads"),
              ("clients", "pump->clients.count", SAYS),
              ("cgroups", "pump->cgroups.cache.count", SAYS),
              ("cgroups_evicted", "pump->cgroups.evicted", "test_cgroups flood"),
              ("cgroups_unknown", "pump->cgroups.unknown", "test_cgroups gone_before"),
              ("cgroup_scans", "pump->cgroups.scans", SAYS),
              ("nat_connections", "pump->nat.cache.count", "test_nat_limits cache_is_bounded"),
              ("nat_events", "pump->nat.events", "test_nat_limits cache_is_bounded"),
              ("nat_skipped", "pump->nat.skipped", "test_nat_limits a_storm"),
              ("nat_overruns", "pump->nat.overruns", "test_nat_limits an_overrun"),
              ("nat_evicted", "pump->nat.cache.evicted", "test_nat_limits cache_is_bounded"),
              ("nat_dumped", "pump->nat.dumped", "test_nat_limits an_overrun")))),
    *of("poller/main.c",
        *(("on_stats", f"stats->values[STAT_POLLER_{name}] = {value}", test)
          for name, value, test in (
              ("polls", "poller->polls", SOURCE), ("candidates", "poller->candidates", SOURCE),
              ("errors", "poller->errors", SOURCE_FAILS),
              ("errors_in_row", "poller->errors_in_row", SOURCE_FAILS),
              ("next_poll_ms", "next_poll_ms(poller)", SOURCE_FAILS),
              ("reports_sent", "poller->report.sent", REPORTS),
              ("reports_failed", "poller->report.failed", REPORTS)))),
    *of("poller/report.c",
        ("note_failure", "report->failed++", REPORTS), ("note_end", "report->sent++", REPORTS)),
    # --- how the processes fare ---
    *of("supervisor/life.c",
        ("replace_now", "life->replaced++", "test_life"),
        ("again", "life->restarts++", "test_life"),
        ("exited", "life->crashes++", "test_life")),
    *of("supervisor/messages.c",
        ("on_outcome", "proc->sup->outcomes[msg->outcome.tracer][msg->outcome.outcome]++",
         "test_tracers the_ladder_says")),
    *of("supervisor/verdict.c", ("remember", "last->times++", "test_verdict")),
    *of("supervisor/probation.c", ("probation_crash", "probation->crashes++", "test_probation.c")),
    *of("supervisor/custody.c",
        ("sum_hits", "out[i] += __atomic_load_n(&values[i], __ATOMIC_RELAXED)", FILTERS)),
    *of("common/counters.c",
        ("counters_sum", "sums[i] += __atomic_load_n(&values[i], __ATOMIC_RELAXED)", PARTIAL)),
    *of("poller/main.c",
        ("note_failure", "poller->errors++", SOURCE_FAILS),
        ("send_if_changed", "poller->candidates++", SOURCE),
        ("poll_once", "poller->polls++", SOURCE),
        ("poll_once", "poller->errors_in_row = err ? poller->errors_in_row + 1 : 0", SOURCE_FAILS)),
    *of("poller/schedule.c", ("schedule_note", "schedule->errors++", "test_schedule")),
]

# What no test can have count, and why.
UNREACHED = (
    ("loader/main.c", "on_stats",
     "stats->values[STAT_LOADER_program_missed] += report.probes[i].missed",
     "the kernel skips programs when it likes"),
    ("exporter/main.c", "on_stats", "stats->values[STAT_EXPORTER_nat_dumps_cut] = pump->nat.dumps_cut",
     "the kernel's dumps neither fail nor take ten seconds; test_nat.c cuts some"),
    ("bpf/seed.h", "seed_flow", "telemetry_note(TELEMETRY_map_flow_table, err)",
     "a seeded socket has one flow, so the table of sockets, which is no larger, is full before"),
    ("bpf/tracer-kprobe.bpf.c", "on_connect", "telemetry_note(TELEMETRY_map_connects, err)",
     "an LRU map pushes an entry out instead of refusing one"),
    ("bpf/snapshot.h", "tally_told", "tally->left++",
     "a walk makes no record while the ring is half full, so other CPUs would have to fill the rest "
     "between two of its instructions"),
)
