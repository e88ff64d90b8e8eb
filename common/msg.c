/* SPDX-License-Identifier: Apache-2.0 */
#include "common/msg.h"

#include <errno.h>

#include "common/msgfmt.h"

#define WIDTH(s, member)   ((uint32_t)sizeof(((struct s *)0)->member))
#define ELEMENT(s, member) ((uint32_t)sizeof(((struct s *)0)->member[0]))
#define LENGTH(s, member)  (WIDTH(s, member) / ELEMENT(s, member))
#define AT(s, member)      ((uint32_t)offsetof(struct s, member))

#define UINT(s, m, lo, hi) \
	{ \
		.kind = MSGFMT_UINT, .offset = AT(s, m), .width = WIDTH(s, m), .min = (lo), \
		.max = (hi) \
	}
#define FLAG(s, m)  UINT(s, m, 0, 1)
#define ANY32(s, m) UINT(s, m, 0, UINT32_MAX)
#define ANY64(s, m) UINT(s, m, 0, UINT64_MAX)
#define STRING(s, m) \
	{ \
		.kind = MSGFMT_STRING, .offset = AT(s, m), .max = WIDTH(s, m) \
	}
#define BYTES(s, m, count) \
	{ \
		.kind = MSGFMT_BYTES, .offset = AT(s, m), .max = WIDTH(s, m), \
		.count_offset = AT(s, count) \
	}
#define STRUCT(s, m, format) \
	{ \
		.kind = MSGFMT_STRUCT, .offset = AT(s, m), .of = (format) \
	}
#define LIST(s, m, count, format) \
	{ \
		.kind = MSGFMT_LIST, .offset = AT(s, m), .width = ELEMENT(s, m), \
		.max = LENGTH(s, m), .count_offset = AT(s, count), .of = (format) \
	}
#define NUMBERS(s, m) \
	{ \
		.kind = MSGFMT_ARRAY, .offset = AT(s, m), .width = ELEMENT(s, m), \
		.max = LENGTH(s, m) \
	}

#define FORMAT(name, s) \
	static const struct msgfmt name = { \
		.fields = name##_fields, \
		.field_count = sizeof(name##_fields) / sizeof(name##_fields[0]), \
		.size = sizeof(struct s), \
	}

static const struct msgfmt_field filter_fields[] = {
	UINT(config_filter, match.action, FILTER_EXCLUDE, FILTER_INCLUDE),
	UINT(config_filter, match.families, FAMILY_IPV4, FAMILY_IPV4 | FAMILY_IPV6),
	UINT(config_filter, match.prefix_bits, 0, 128),
	UINT(config_filter, match.port_low, 0, UINT16_MAX),
	UINT(config_filter, match.port_high, 0, UINT16_MAX),
	NUMBERS(config_filter, match.addr),
	NUMBERS(config_filter, match.mask),
	UINT(config_filter, match.protocols, PROTOCOL_TCP, PROTOCOL_TCP | PROTOCOL_UDP),
	FLAG(config_filter, match.by_cgroup),
	UINT(config_filter, match.sample, 0, SAMPLE_MAX),
	STRING(config_filter, cgroup),
};
FORMAT(filter, config_filter);

static const struct msgfmt_field group_fields[] = {STRING(config_group, name)};
FORMAT(group, config_group);

static const struct msgfmt_field config_source_fields[] = {
	UINT(config_source, interval_ms, CONFIG_POLL_MS_MIN, CONFIG_POLL_MS_MAX),
	STRING(config_source, dir),
	STRING(config_source, url),
	STRING(config_source, rc),
	STRING(config_source, root),
	STRING(config_source, ca),
	STRING(config_source, report),
	STRING(config_source, host),
	LIST(config_source, groups, group_count, &group),
};
FORMAT(config_source, config_source);

static const struct msgfmt_field config_body_fields[] = {
	UINT(config, tracer, 0, TRACER_COUNT - 1),
	UINT(config, instance, 0, INSTANCE_COUNT - 1),
	UINT(config, families, 1, FAMILY_IPV4 | FAMILY_IPV6),
	FLAG(config, record_open),
	UINT(config, snapshot_interval_ms, CONFIG_SNAPSHOT_MS_MIN, CONFIG_SNAPSHOT_MS_MAX),
	UINT(config, memory_budget, CONFIG_BUDGET_MIN, CONFIG_BUDGET_MAX),
	UINT(config, ring_bytes, CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX),
	UINT(config, live_max, CONFIG_LIVE_MAX_MIN, CONFIG_LIVE_MAX_MAX),
	UINT(config, conn_max, CONFIG_CONN_MAX_MIN, CONFIG_CONN_MAX_MAX),
	UINT(config, flow_max, CONFIG_FLOW_MAX_MIN, CONFIG_FLOW_MAX_MAX),
	FLAG(config, nat),
	UINT(config, nat_max, CONFIG_NAT_MAX_MIN, CONFIG_NAT_MAX_MAX),
	UINT(config, nat_buffer_bytes, CONFIG_NAT_BUFFER_MIN, CONFIG_NAT_BUFFER_MAX),
	UINT(config, output_format, 0, FORMAT_COUNT - 1),
	UINT(config, probation_ms, CONFIG_PROBATION_MS_MIN, CONFIG_PROBATION_MS_MAX),
	STRING(config, btf_path),
	STRING(config, output_path),
	STRUCT(config, source, &config_source),
	LIST(config, filters, filter_count, &filter),
};
FORMAT(config_body, config);

static const struct msgfmt_field text_name_fields[] = {STRING(text_name, name)};
FORMAT(text_name, text_name);

static const struct msgfmt_field origins_fields[] = {
	LIST(config_origins, texts, text_count, &text_name),
	LIST(config_origins, keys, key_count, NULL),
	LIST(config_origins, filters, filter_count, NULL),
};
FORMAT(origins, config_origins);

static const struct msgfmt_field fd_fields[] = {
	UINT(msg_fd, kind, 1, FD_KIND_COUNT - 1),
	STRING(msg_fd, name),
};
FORMAT(fd, msg_fd);

static const struct msgfmt_field manifest_fields[] = {
	ANY64(msg_manifest, identity),
	ANY32(msg_manifest, generation),
	LIST(msg_manifest, fds, fd_count, &fd),
};
FORMAT(manifest, msg_manifest);

static const struct msgfmt_field part_fields[] = {
	STRING(msg_part, name),
	ANY32(msg_part, len_bytes),
};
FORMAT(part, msg_part);

static const struct msgfmt_field error_fields[] = {
	STRING(msg_error, file),
	ANY32(msg_error, line),
	STRING(msg_error, reason),
};
FORMAT(error, msg_error);

static const struct msgfmt_field hello_fields[] = {
	UINT(msg_hello, role, 0, ROLE_COUNT - 1),
	UINT(msg_hello, pid, 1, INT32_MAX),
	UINT(msg_hello, version, PROTO_VERSION, PROTO_VERSION),
};
FORMAT(hello, msg_hello);

static const struct msgfmt_field config_fields[] = {
	ANY32(msg_config, version),
	STRUCT(msg_config, config, &config_body),
};
FORMAT(config, msg_config);

static const struct msgfmt_field start_fields[] = {STRUCT(msg_start, manifest, &manifest)};
FORMAT(start, msg_start);

static const struct msgfmt_field loaded_fields[] = {
	FLAG(msg_loaded, adopted),
	FLAG(msg_loaded, ring_kept),
	STRUCT(msg_loaded, manifest, &manifest),
};
FORMAT(loaded, msg_loaded);

static const struct msgfmt_field step_fields[] = {
	STRING(msg_step, tracer),
	STRING(msg_step, name),
	UINT(msg_step, result, 0, STEP_RESULT_COUNT - 1),
	ANY64(msg_step, duration_us),
	STRING(msg_step, detail),
};
FORMAT(step, msg_step);

static const struct msgfmt_field outcome_fields[] = {
	UINT(msg_outcome, tracer, 0, TRACER_COUNT - 1),
	UINT(msg_outcome, outcome, 0, OUTCOME_COUNT - 1),
};
FORMAT(outcome, msg_outcome);

static const struct msgfmt_field probe_fields[] = {
	STRING(msg_probe, program),
	STRING(msg_probe, hook),
	STRING(msg_probe, how),
	FLAG(msg_probe, required),
	UINT(msg_probe, state, 0, PROBE_STATE_COUNT - 1),
	ANY32(msg_probe, err),
	ANY32(msg_probe, verified_insns),
	ANY64(msg_probe, missed),
	STRING(msg_probe, note),
};
FORMAT(probe, msg_probe);

static const struct msgfmt_field tracer_fields[] = {
	STRING(msg_tracer, tracer),
	UINT(msg_tracer, instance, INSTANCE_AUTO + 1, INSTANCE_COUNT - 1),
	STRING(msg_tracer, evidence),
	FLAG(msg_tracer, tenants_only),
	STRING(msg_tracer, btf),
	LIST(msg_tracer, probes, probe_count, &probe),
};
FORMAT(tracer, msg_tracer);

static const struct msgfmt_field nat_fields[] = {UINT(msg_nat, netns, 0, UINT32_MAX)};
FORMAT(nat, msg_nat);

static const struct msgfmt_field ready_fields[] = {UINT(msg_ready, reserved, 0, 0)};
FORMAT(ready, msg_ready);

static const struct msgfmt_field health_fields[] = {ANY64(msg_health, count)};
FORMAT(health, msg_health);

static const struct msgfmt_field stats_fields[] = {LIST(msg_stats, values, count, NULL)};
FORMAT(stats, msg_stats);

static const struct msgfmt_field walk_fields[] = {ANY64(msg_walk, id)};
FORMAT(walk, msg_walk);

static const struct msgfmt_field candidate_fields[] = {
	UINT(msg_candidate, kind, 0, CANDIDATE_KIND_COUNT - 1),
	LIST(msg_candidate, parts, part_count, &part),
};
FORMAT(candidate, msg_candidate);

static const struct msgfmt_field check_fields[] = {
	STRUCT(msg_check, local, &part),
	UINT(msg_check, kind, 0, CANDIDATE_KIND_COUNT - 1),
	ANY64(msg_check, now_s),
	STRING(msg_check, host),
	LIST(msg_check, parts, part_count, &part),
};
FORMAT(check, msg_check);

static const struct msgfmt_field signature_fields[] = {
	UINT(msg_signed, trust, 0, TRUST_COUNT - 1),
	STRING(msg_signed, why),
	NUMBERS(msg_signed, versions),
	NUMBERS(msg_signed, expires_s),
	STRING(msg_signed, floor),
};
FORMAT(signature, msg_signed);

static const struct msgfmt_field checked_fields[] = {
	FLAG(msg_checked, valid),
	STRUCT(msg_checked, config, &config_body),
	LIST(msg_checked, errors, error_count, &error),
	STRUCT(msg_checked, origins, &origins),
	STRUCT(msg_checked, signature, &signature),
};
FORMAT(checked, msg_checked);

static const struct msgfmt_field file_fields[] = {
	STRING(msg_file, name),
	UINT(msg_file, why, 1, FILE_LATEST | FILE_NEW | FILE_IN_FORCE),
	ANY32(msg_file, offset),
	ANY32(msg_file, len_bytes),
};
FORMAT(file, msg_file);

static const struct msgfmt_field keep_fields[] = {LIST(msg_keep, files, file_count, &file)};
FORMAT(keep, msg_keep);

static const struct msgfmt_field polled_fields[] = {
	UINT(msg_polled, result, 0, POLL_RESULT_COUNT - 1),
	STRING(msg_polled, why),
	STRING(msg_polled, report_error),
};
FORMAT(polled, msg_polled);

static const struct msgfmt_field verdict_fields[] = {
	FLAG(msg_verdict, applied),  FLAG(msg_verdict, again),
	ANY32(msg_verdict, version), UINT(msg_verdict, state, 0, APPLY_STATE_COUNT - 1),
	STRING(msg_verdict, reason),
};
FORMAT(verdict, msg_verdict);

static const struct msgfmt_field client_fields[] = {
	UINT(msg_client, ask, ASK_LIST, ASK_TAIL),
	ANY64(msg_client, walk_id),
};
FORMAT(client, msg_client);

static const struct msgfmt_field fail_fields[] = {
	FLAG(msg_fail, permanent),
	UINT(msg_fail, exit_code, 1, 125),
	STRING(msg_fail, reason),
};
FORMAT(fail, msg_fail);

static const struct msgfmt_field bye_fields[] = {UINT(msg_bye, reserved, 0, 0)};
FORMAT(bye, msg_bye);

static const struct msgfmt_field ask_fields[] = {
	UINT(msg_ask, version, PROTO_VERSION, PROTO_VERSION),
	UINT(msg_ask, ask, 1, ASK_COUNT - 1),
};
FORMAT(ask, msg_ask);

static const struct msgfmt_field process_fields[] = {
	UINT(msg_process, role, 0, ROLE_COUNT - 1),
	ANY32(msg_process, pid),
	ANY32(msg_process, state),
	ANY32(msg_process, restarts),
	ANY32(msg_process, replaced),
	ANY64(msg_process, started_ns),
	STRING(msg_process, last),
	STRING(msg_process, words),
	STRUCT(msg_process, stats, &stats),
};
FORMAT(process, msg_process);

static const struct msgfmt_field summary_fields[] = {
	FLAG(msg_summary, tracing),
	FLAG(msg_summary, degraded),
	ANY64(msg_summary, started_ns),
	ANY32(msg_summary, config_version),
	UINT(msg_summary, config_verdict, 0, VERDICT_COUNT - 1),
	STRING(msg_summary, config_reason),
	STRUCT(msg_summary, config, &config_body),
	NUMBERS(msg_summary, counters),
	NUMBERS(msg_summary, ledger),
	FLAG(msg_summary, hits_known),
	NUMBERS(msg_summary, hits),
	NUMBERS(msg_summary, cgroups),
};
FORMAT(summary, msg_summary);

static const struct msgfmt_field outcome_count_fields[] = {
	UINT(msg_outcome_count, tracer, 0, TRACER_COUNT - 1),
	UINT(msg_outcome_count, outcome, 0, OUTCOME_COUNT - 1),
	ANY64(msg_outcome_count, count),
};
FORMAT(outcome_count, msg_outcome_count);

static const struct msgfmt_field refusal_fields[] = {
	UINT(msg_refusal, row, 0, TELEMETRY_ROWS - 1),
	UINT(msg_refusal, err, 0, TELEMETRY_ERRNOS - 1),
	ANY64(msg_refusal, count),
};
FORMAT(refusal, msg_refusal);

static const struct msgfmt_field trouble_fields[] = {
	LIST(msg_trouble, outcomes, outcome_count, &outcome_count),
	LIST(msg_trouble, refusals, refusal_count, &refusal),
};
FORMAT(trouble, msg_trouble);

static const struct msgfmt_field records_fields[] = {BYTES(msg_records, data, len_bytes)};
FORMAT(records, msg_records);

static const struct msgfmt_field done_fields[] = {
	FLAG(msg_done, ok),
	STRING(msg_done, reason),
};
FORMAT(done, msg_done);

static const struct msgfmt_field custody_fields[] = {
	UINT(msg_custody, ring_bytes, CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX),
	STRUCT(msg_custody, manifest, &manifest),
};
FORMAT(custody, msg_custody);

static const struct msgfmt_field taken_fields[] = {UINT(msg_taken, reserved, 0, 0)};
FORMAT(taken, msg_taken);

static const struct msgfmt_field part_state_fields[] = {
	STRING(msg_part_state, name),
	UINT(msg_part_state, state, 0, APPLY_STATE_COUNT - 1),
	STRING(msg_part_state, error),
};
FORMAT(part_state, msg_part_state);

static const struct msgfmt_field source_fields[] = {
	UINT(msg_source, kind, 0, SOURCE_KIND_COUNT - 1),
	STRING(msg_source, place),
	STRUCT(msg_source, polled, &polled),
	UINT(msg_source, state, 0, APPLY_STATE_COUNT - 1),
	ANY32(msg_source, probation_left_ms),
	STRING(msg_source, error),
	ANY64(msg_source, now_s),
	STRUCT(msg_source, in_force, &signature),
	STRUCT(msg_source, last, &signature),
	FLAG(msg_source, degraded),
	STRING(msg_source, store),
	LIST(msg_source, parts, part_count, &part_state),
};
FORMAT(source, msg_source);

static const struct msgfmt_field history_entry_fields[] = {
	ANY64(msg_history_entry, at_ns),
	ANY32(msg_history_entry, times),
	UINT(msg_history_entry, verdict, 0, VERDICT_COUNT - 1),
	FLAG(msg_history_entry, by_source),
	ANY32(msg_history_entry, version),
	STRING(msg_history_entry, reason),
};
FORMAT(history_entry, msg_history_entry);

static const struct msgfmt_field history_fields[] = {
	LIST(msg_history, entries, entry_count, &history_entry),
};
FORMAT(history, msg_history);

static const struct msgfmt_field in_force_fields[] = {
	ANY32(msg_in_force, version),
	STRUCT(msg_in_force, config, &config_body),
	STRUCT(msg_in_force, origins, &origins),
};
FORMAT(in_force, msg_in_force);

static const struct msgfmt *const formats[MSG_TYPE_COUNT] = {
#define X(upper, lower, from, to, phases, fds_min, fds_max, frame_max, meaning) \
	[MSG_##upper] = &lower,
	PROTO_MESSAGES(X)
#undef X
};

int msg_pack(enum msg_type type, const void *msg, uint8_t *buf, size_t cap)
{
	const struct proto_row *row = proto_row(type);

	if (!row)
		return -EINVAL;
	return msgfmt_pack(type, formats[type], msg, buf,
			   cap < row->frame_max ? cap : row->frame_max);
}

int msg_peek_type(const uint8_t *frame, size_t len, uint64_t *type)
{
	/* Our frames are arrays of at most 15 values (0x9X), and types small numbers (fixint). */
	if (len < 2 || (frame[0] & 0xf0) != 0x90 || frame[1] > 0x7f)
		return -EPROTO;
	*type = frame[1];
	return 0;
}
_Static_assert(MSG_TYPE_COUNT <= 0x80, "msg_peek_type: type is a fixint");

int msg_unpack(enum msg_type type, const uint8_t *frame, size_t len, union msg *msg)
{
	const struct proto_row *row = proto_row(type);

	if (!row || len > row->frame_max)
		return -EPROTO;
	return msgfmt_unpack(type, formats[type], frame, len, msg);
}
