/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUNDS       200

/* --- random contents within the ranges that msg.h and config.h name --- */

static uint64_t seed = 1;

/* Instead: every number at its most, every text and list as long as it may be. */
static bool largest;

/* xorshift64*: the same contents in every run. */
static uint64_t any64(void)
{
	if (largest)
		return UINT64_MAX;
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	/* Small, medium and large numbers are packed differently. */
	return seed * UINT64_C(0x2545f4914f6cdd1d) >> (seed % 64);
}

static uint32_t any32(void)
{
	return (uint32_t)any64();
}

static uint32_t within(uint32_t least, uint32_t most)
{
	if (largest)
		return most;
	return least + (uint32_t)(any64() % ((uint64_t)most - least + 1));
}

/* Any bytes but NUL, of any length that fits. */
static void text(char *to, uint32_t size)
{
	uint32_t len = within(0, size - 1);

	for (uint32_t i = 0; i < len; i++)
		to[i] = (char)within(1, 255);
}
#define TEXT(m) text(m, sizeof(m))

static void filter(struct config_filter *filter)
{
	struct filter *f = &filter->match;

	f->action = (uint8_t)within(FILTER_EXCLUDE, FILTER_INCLUDE);
	f->families = (uint8_t)within(FAMILY_IPV4, FAMILY_IPV4 | FAMILY_IPV6);
	f->prefix_bits = (uint8_t)within(0, 128);
	f->port_low = (uint16_t)any32();
	f->port_high = (uint16_t)any32();
	for (int i = 0; i < 4; i++) {
		f->addr[i] = any32();
		f->mask[i] = any32();
	}
	f->protocols = (uint8_t)within(PROTOCOL_TCP, PROTOCOL_TCP | PROTOCOL_UDP);
	f->by_cgroup = within(0, 1);
	f->sample = within(0, SAMPLE_MAX);
	TEXT(filter->cgroup);
}

static void source(struct config_source *s)
{
	s->interval_ms = within(CONFIG_POLL_MS_MIN, CONFIG_POLL_MS_MAX);
	TEXT(s->dir);
	TEXT(s->url);
	TEXT(s->root);
	TEXT(s->ca);
	TEXT(s->report);
	TEXT(s->host);
	s->group_count = within(0, CONFIG_GROUPS_MAX);
	for (uint32_t i = 0; i < s->group_count; i++)
		TEXT(s->groups[i].name);
}

static void config_body(struct config *c)
{
	c->tracer = within(0, TRACER_COUNT - 1);
	c->instance = within(0, INSTANCE_COUNT - 1);
	c->families = within(1, 3);
	c->record_open = within(0, 1);
	c->snapshot_interval_ms = within(CONFIG_SNAPSHOT_MS_MIN, CONFIG_SNAPSHOT_MS_MAX);
	c->memory_budget = within(CONFIG_BUDGET_MIN, CONFIG_BUDGET_MAX);
	c->ring_bytes = within(CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX);
	c->live_max = within(CONFIG_LIVE_MAX_MIN, CONFIG_LIVE_MAX_MAX);
	c->conn_max = within(CONFIG_CONN_MAX_MIN, CONFIG_CONN_MAX_MAX);
	c->flow_max = within(CONFIG_FLOW_MAX_MIN, CONFIG_FLOW_MAX_MAX);
	c->nat = within(0, 1);
	c->nat_max = within(CONFIG_NAT_MAX_MIN, CONFIG_NAT_MAX_MAX);
	c->nat_buffer_bytes = within(CONFIG_NAT_BUFFER_MIN, CONFIG_NAT_BUFFER_MAX);
	c->output_format = within(0, FORMAT_COUNT - 1);
	c->probation_ms = within(CONFIG_PROBATION_MS_MIN, CONFIG_PROBATION_MS_MAX);
	TEXT(c->btf_path);
	TEXT(c->output_path);
	source(&c->source);
	c->filter_count = within(0, FILTERS_MAX);
	for (uint32_t i = 0; i < c->filter_count; i++)
		filter(&c->filters[i]);
}

static void origins(struct config_origins *o)
{
	o->text_count = within(0, CONFIG_TEXTS_MOST);
	for (uint32_t i = 0; i < o->text_count; i++)
		TEXT(o->texts[i].name);
	o->key_count = within(0, CONFIG_KEYS_MAX);
	for (uint32_t i = 0; i < o->key_count; i++)
		o->keys[i] = any32();
	o->filter_count = within(0, FILTERS_MAX);
	for (uint32_t i = 0; i < o->filter_count; i++)
		o->filters[i] = any32();
}

static void manifest(struct msg_manifest *m)
{
	m->identity = any64();
	m->generation = any32();
	m->fd_count = within(0, PROTO_FDS_MAX);
	for (uint32_t i = 0; i < m->fd_count; i++) {
		m->fds[i].kind = within(1, FD_KIND_COUNT - 1);
		TEXT(m->fds[i].name);
	}
}

static void part(struct msg_part *p)
{
	TEXT(p->name);
	p->len_bytes = any32();
}

static void fill_hello(union msg *m)
{
	m->hello.role = within(0, ROLE_COUNT - 1);
	m->hello.pid = within(1, INT32_MAX);
	m->hello.version = PROTO_VERSION;
}

static void fill_config(union msg *m)
{
	m->config.version = any32();
	config_body(&m->config.config);
}

static void fill_start(union msg *m)
{
	manifest(&m->start.manifest);
}

static void fill_loaded(union msg *m)
{
	m->loaded.adopted = within(0, 1);
	m->loaded.ring_kept = within(0, 1);
	manifest(&m->loaded.manifest);
}

static void fill_step(union msg *m)
{
	TEXT(m->step.tracer);
	TEXT(m->step.name);
	m->step.result = within(0, STEP_RESULT_COUNT - 1);
	m->step.duration_us = any64();
	TEXT(m->step.detail);
}

static void fill_outcome(union msg *m)
{
	m->outcome.tracer = within(0, TRACER_COUNT - 1);
	m->outcome.outcome = within(0, OUTCOME_COUNT - 1);
}

static void probe(struct msg_probe *p)
{
	TEXT(p->program);
	TEXT(p->hook);
	TEXT(p->how);
	p->required = within(0, 1);
	p->state = within(0, PROBE_STATE_COUNT - 1);
	p->err = any32();
	p->verified_insns = any32();
	p->missed = any64();
	TEXT(p->note);
}

static void fill_tracer(union msg *m)
{
	TEXT(m->tracer.tracer);
	m->tracer.instance = within(INSTANCE_AUTO + 1, INSTANCE_COUNT - 1);
	TEXT(m->tracer.evidence);
	m->tracer.tenants_only = within(0, 1);
	TEXT(m->tracer.btf);
	m->tracer.probe_count = within(0, MSG_PROBES_MAX);
	for (uint32_t i = 0; i < m->tracer.probe_count; i++)
		probe(&m->tracer.probes[i]);
}

static void fill_nat(union msg *m)
{
	m->nat.netns = any32();
}

static void fill_ready(union msg *m)
{
	m->ready.reserved = 0;
}

static void fill_health(union msg *m)
{
	m->health.count = any64();
}

static void fill_stats(union msg *m)
{
	m->stats.count = within(0, STATS_MAX);
	for (uint32_t i = 0; i < m->stats.count; i++)
		m->stats.values[i] = any64();
}

static void fill_walk(union msg *m)
{
	m->walk.id = any64();
}

static void fill_candidate(union msg *m)
{
	m->candidate.kind = within(0, CANDIDATE_KIND_COUNT - 1);
	m->candidate.part_count = within(0, MSG_PARTS_MAX);
	for (uint32_t i = 0; i < m->candidate.part_count; i++)
		part(&m->candidate.parts[i]);
}

static void fill_check(union msg *m)
{
	part(&m->check.local);
	m->check.kind = within(0, CANDIDATE_KIND_COUNT - 1);
	m->check.now_s = any64();
	TEXT(m->check.host);
	m->check.part_count = within(0, MSG_PARTS_MAX);
	for (uint32_t i = 0; i < m->check.part_count; i++)
		part(&m->check.parts[i]);
}

static void signature(struct msg_signed *s)
{
	s->trust = within(0, TRUST_COUNT - 1);
	TEXT(s->why);
	for (uint32_t i = 0; i < MSG_ROLES; i++) {
		s->versions[i] = any64();
		s->expires_s[i] = any64();
	}
	TEXT(s->floor);
}

static void fill_checked(union msg *m)
{
	m->checked.valid = within(0, 1);
	config_body(&m->checked.config);
	m->checked.error_count = within(0, MSG_ERRORS_MAX);
	for (uint32_t i = 0; i < m->checked.error_count; i++) {
		TEXT(m->checked.errors[i].file);
		m->checked.errors[i].line = any32();
		TEXT(m->checked.errors[i].reason);
	}
	origins(&m->checked.origins);
	signature(&m->checked.signature);
	signature(&m->checked.signature);
}

static void fill_keep(union msg *m)
{
	m->keep.file_count = within(0, MSG_FILES_MAX);
	for (uint32_t i = 0; i < m->keep.file_count; i++) {
		TEXT(m->keep.files[i].name);
		m->keep.files[i].why = within(1, FILE_LATEST | FILE_NEW | FILE_IN_FORCE);
		m->keep.files[i].offset = any32();
		m->keep.files[i].len_bytes = any32();
	}
}

static void polled(struct msg_polled *p)
{
	p->result = within(0, POLL_RESULT_COUNT - 1);
	TEXT(p->why);
	TEXT(p->report_error);
}

static void fill_polled(union msg *m)
{
	polled(&m->polled);
}

static void fill_verdict(union msg *m)
{
	m->verdict.applied = within(0, 1);
	m->verdict.again = within(0, 1);
	m->verdict.version = any32();
	m->verdict.state = within(0, APPLY_STATE_COUNT - 1);
	TEXT(m->verdict.reason);
}

static void fill_client(union msg *m)
{
	m->client.ask = within(ASK_LIST, ASK_TAIL);
	m->client.walk_id = any64();
}

static void fill_fail(union msg *m)
{
	m->fail.permanent = within(0, 1);
	m->fail.exit_code = within(1, 125);
	TEXT(m->fail.reason);
}

static void fill_bye(union msg *m)
{
	m->bye.reserved = 0;
}

static void fill_ask(union msg *m)
{
	m->ask.version = PROTO_VERSION;
	m->ask.ask = within(1, ASK_COUNT - 1);
}

static void fill_process(union msg *m)
{
	m->process.role = within(0, ROLE_COUNT - 1);
	m->process.pid = any32();
	m->process.state = any32();
	m->process.restarts = any32();
	m->process.replaced = any32();
	m->process.started_ns = any64();
	TEXT(m->process.last);
	TEXT(m->process.words);
	m->process.stats.count = within(0, STATS_MAX);
	for (uint32_t i = 0; i < m->process.stats.count; i++)
		m->process.stats.values[i] = any64();
}

static void fill_summary(union msg *m)
{
	m->summary.tracing = within(0, 1);
	m->summary.degraded = within(0, 1);
	m->summary.started_ns = any64();
	m->summary.config_version = any32();
	m->summary.config_verdict = within(0, VERDICT_COUNT - 1);
	TEXT(m->summary.config_reason);
	config_body(&m->summary.config);
	for (size_t i = 0; i < COUNT(m->summary.counters); i++)
		m->summary.counters[i] = any64();
	for (size_t i = 0; i < COUNT(m->summary.ledger); i++)
		m->summary.ledger[i] = any64();
	m->summary.hits_known = within(0, 1);
	for (size_t i = 0; i < COUNT(m->summary.hits); i++)
		m->summary.hits[i] = any64();
	for (size_t i = 0; i < COUNT(m->summary.cgroups); i++)
		m->summary.cgroups[i] = any64();
}

static void fill_trouble(union msg *m)
{
	m->trouble.outcome_count = within(0, MSG_OUTCOMES_MAX);
	for (uint32_t i = 0; i < m->trouble.outcome_count; i++) {
		m->trouble.outcomes[i].tracer = within(0, TRACER_COUNT - 1);
		m->trouble.outcomes[i].outcome = within(0, OUTCOME_COUNT - 1);
		m->trouble.outcomes[i].count = any64();
	}
	m->trouble.refusal_count = within(0, MSG_REFUSALS_MAX);
	for (uint32_t i = 0; i < m->trouble.refusal_count; i++) {
		m->trouble.refusals[i].row = within(0, TELEMETRY_ROWS - 1);
		m->trouble.refusals[i].err = within(0, TELEMETRY_ERRNOS - 1);
		m->trouble.refusals[i].count = any64();
	}
}

static void fill_records(union msg *m)
{
	m->records.len_bytes = within(0, MSG_DATA_MAX);
	for (uint32_t i = 0; i < m->records.len_bytes; i++)
		m->records.data[i] = (uint8_t)i;
}

static void fill_done(union msg *m)
{
	m->done.ok = within(0, 1);
	TEXT(m->done.reason);
}

static void fill_custody(union msg *m)
{
	m->custody.ring_bytes = within(CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX);
	manifest(&m->custody.manifest);
}

static void fill_taken(union msg *m)
{
	m->taken.reserved = 0;
}

static void fill_source(union msg *m)
{
	struct msg_source *s = &m->source;

	s->kind = within(0, SOURCE_KIND_COUNT - 1);
	TEXT(s->place);
	polled(&s->polled);
	s->now_s = any64();
	signature(&s->in_force);
	signature(&s->last);
	s->degraded = within(0, 1);
	TEXT(s->store);
	s->state = within(0, APPLY_STATE_COUNT - 1);
	s->probation_left_ms = any32();
	TEXT(s->error);
	s->part_count = within(0, MSG_PARTS_MAX);
	for (uint32_t i = 0; i < s->part_count; i++) {
		TEXT(s->parts[i].name);
		s->parts[i].state = within(0, APPLY_STATE_COUNT - 1);
		TEXT(s->parts[i].error);
	}
}

static void fill_history(union msg *m)
{
	m->history.entry_count = within(0, MSG_HISTORY_MAX);
	for (uint32_t i = 0; i < m->history.entry_count; i++) {
		struct msg_history_entry *entry = &m->history.entries[i];

		entry->at_ns = any64();
		entry->times = any32();
		entry->verdict = within(0, VERDICT_COUNT - 1);
		entry->by_source = within(0, 1);
		entry->version = any32();
		TEXT(entry->reason);
	}
}

static void fill_in_force(union msg *m)
{
	m->in_force.version = any32();
	config_body(&m->in_force.config);
	origins(&m->in_force.origins);
}

/* Every message of the catalogue has one, or this doesn't compile. */
static void (*const fillers[MSG_TYPE_COUNT])(union msg *m) = {
#define X(upper, lower, from, to, phases, fds_min, fds_max, frame_max, meaning) \
	[MSG_##upper] = fill_##lower,
	PROTO_MESSAGES(X)
#undef X
};

static union msg sent, received;
static uint8_t frame[PROTO_FRAME_MAX + 1];

static int pack_random(enum msg_type type)
{
	int len;

	memset(&sent, 0, sizeof(sent));
	fillers[type](&sent);
	len = msg_pack(type, &sent, frame, PROTO_FRAME_MAX);
	if (len <= 0)
		fail_msg("%s: not packed: %d", proto_row(type)->name, len);
	return len;
}

static void refuse(enum msg_type type, const uint8_t *bytes, int len)
{
	if (msg_unpack(type, bytes, (size_t)len, &received) != -EPROTO)
		fail_msg("%s: %d bytes were taken", proto_row(type)->name, len);
}

/* --- what comes through --- */

static void test_msg_comes_through_unchanged(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		for (int round = 0; round < ROUNDS; round++) {
			int len = pack_random((enum msg_type)t);
			uint64_t peeked;

			memset(&received, 0, sizeof(received));
			assert_int_equal(msg_peek_type(frame, (size_t)len, &peeked), 0);
			assert_int_equal(peeked, t);
			assert_int_equal(
				msg_unpack((enum msg_type)t, frame, (size_t)len, &received), 0);
			assert_memory_equal(&sent, &received, sizeof(sent));
		}
	}
}

/* The largest contents fit the largest frame that the catalogue names. */
static void test_msg_fits_its_frame_at_its_largest(void **state)
{
	(void)state;
	largest = true;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++)
		(void)pack_random((enum msg_type)t);
	largest = false;
}

/* What the harness begins to vary must be messages, or it only ever meets the first check. */
static void test_msg_takes_the_samples_of_its_fuzz_harness(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		static uint8_t sample[PROTO_FRAME_MAX];
		char path[64] = "tests/fuzz/corpus/msg/";
		size_t at = strlen(path), len;
		FILE *file;

		for (const char *c = proto_row(t)->name; *c; c++)
			path[at++] = (char)tolower((unsigned char)*c);
		file = fopen(path, "rb");
		assert_non_null(file);
		len = fread(sample, 1, sizeof(sample), file);
		fclose(file);
		assert_in_range(len, 1, sizeof(sample) - 1);
		if (sample[0] != t ||
		    msg_unpack((enum msg_type)t, sample + 1, len - 1, &received) != 0)
			fail_msg("%s: no message of type %u", path, t);
	}
}

/* --- what doesn't --- */

static void test_msg_refuses_every_truncation_and_any_tail(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		int len = pack_random((enum msg_type)t);
		int step = len > 4096 ? len / 512 : 1;

		for (int cut = 0; cut < len; cut += step) {
			/* Of exactly its size, so that one byte too far is seen. */
			uint8_t *exact = malloc((size_t)cut + 1);

			assert_non_null(exact);
			memcpy(exact, frame, (size_t)cut);
			refuse((enum msg_type)t, exact, cut);
			free(exact);
		}
		frame[len] = 0;
		refuse((enum msg_type)t, frame, len + 1);
		frame[len] = 0xc1;
		refuse((enum msg_type)t, frame, len + 1);
	}
}

static void test_msg_refuses_another_type(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		int len = pack_random((enum msg_type)t);

		for (uint32_t other = 0; other < 0x80; other++) {
			if (other == t)
				continue;
			frame[1] = (uint8_t)other;
			refuse((enum msg_type)t, frame, len);
		}
	}
	assert_int_equal(msg_unpack(MSG_NONE, frame, 2, &received), -EPROTO);
	assert_int_equal(msg_unpack(MSG_TYPE_COUNT, frame, 2, &received), -EPROTO);
	assert_int_equal(msg_pack(MSG_NONE, &sent, frame, sizeof(frame)), -EINVAL);
	assert_int_equal(msg_pack(MSG_TYPE_COUNT, &sent, frame, sizeof(frame)), -EINVAL);
}

static void test_msg_peeks_only_at_what_may_be_a_frame(void **state)
{
	static const struct {
		uint8_t bytes[3];
		size_t len;
	} rows[] = {{{0}, 0},
		    {{0x92}, 1},
		    {{0x82, 1, 1}, 3},
		    {{0xa1, 1, 1}, 3},
		    {{0x92, 0x80, 1}, 3},
		    {{0x92, 0xcc, 1}, 3},
		    {{0x92, 0xff, 1}, 3},
		    {{0xdc, 0, 2}, 3}};
	uint64_t type;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(msg_peek_type(rows[i].bytes, rows[i].len, &type), -EPROTO);
}

/* A frame with another value at one place. */
static int changed(int len, const uint8_t *path, msgpack_object value, uint8_t *out)
{
	msgpack_unpacked unpacked;
	msgpack_sbuffer buffer;
	msgpack_packer pk;
	msgpack_object *at;
	size_t size;

	msgpack_unpacked_init(&unpacked);
	assert_int_equal(msgpack_unpack_next(&unpacked, (const char *)frame, (size_t)len, NULL),
			 MSGPACK_UNPACK_SUCCESS);
	at = &unpacked.data;
	for (; *path; path++) {
		assert_int_equal(at->type, MSGPACK_OBJECT_ARRAY);
		assert_in_range(*path, 1, at->via.array.size);
		at = &at->via.array.ptr[*path - 1];
	}
	*at = value;
	msgpack_sbuffer_init(&buffer);
	msgpack_packer_init(&pk, &buffer, msgpack_sbuffer_write);
	assert_int_equal(msgpack_pack_object(&pk, unpacked.data), 0);
	size = buffer.size;
	assert_in_range(size, 1, PROTO_FRAME_MAX);
	memcpy(out, buffer.data, size);
	msgpack_sbuffer_destroy(&buffer);
	msgpack_unpacked_destroy(&unpacked);
	return (int)size;
}

static const msgpack_object nil = {.type = MSGPACK_OBJECT_NIL};
static const msgpack_object minus_one = {.type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = -1};
static const msgpack_object truth = {.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = true};
static const msgpack_object half = {.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = 0.5};
static const msgpack_object empty_map = {.type = MSGPACK_OBJECT_MAP};

static uint8_t other[PROTO_FRAME_MAX];

/* No field of ours is any of these. Goes into every array of the frame. */
static void refuse_kinds(enum msg_type type, int len, uint8_t *path, size_t depth,
			 const msgpack_object *at)
{
	const msgpack_object kinds[] = {nil, minus_one, truth, half, empty_map};

	for (size_t i = 0; i < COUNT(kinds); i++)
		refuse(type, other, changed(len, path, kinds[i], other));
	if (at->type != MSGPACK_OBJECT_ARRAY)
		return;
	for (uint32_t i = 0; i < at->via.array.size; i++) {
		path[depth] = (uint8_t)(i + 1);
		path[depth + 1] = 0;
		refuse_kinds(type, len, path, depth + 1, &at->via.array.ptr[i]);
	}
	path[depth] = 0;
}

static void test_msg_refuses_wrong_kinds_everywhere(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		int len = pack_random((enum msg_type)t);
		uint8_t path[8] = {0};
		msgpack_unpacked unpacked;

		msgpack_unpacked_init(&unpacked);
		assert_int_equal(
			msgpack_unpack_next(&unpacked, (const char *)frame, (size_t)len, NULL),
			MSGPACK_UNPACK_SUCCESS);
		refuse_kinds((enum msg_type)t, len, path, 0, &unpacked.data);
		msgpack_unpacked_destroy(&unpacked);
	}
}

static void test_msg_refuses_wrong_arity(void **state)
{
	(void)state;
	for (uint32_t t = MSG_NONE + 1; t < MSG_TYPE_COUNT; t++) {
		int len = pack_random((enum msg_type)t);
		uint8_t arity = frame[0] & 0x0f;

		frame[0] = (uint8_t)(0x90 | (arity + 1));
		frame[len] = 0;
		refuse((enum msg_type)t, frame, len + 1);
		frame[0] = 0x91;
		refuse((enum msg_type)t, frame, 2);
	}
}

/* Places and their ranges; paths count from 1, the type itself is 1. */
static const struct range {
	enum msg_type type;
	uint8_t path[6];
	uint64_t least, most;
} ranges[] = {
	{MSG_HELLO, {2}, 0, ROLE_COUNT - 1},
	{MSG_HELLO, {3}, 1, INT32_MAX},
	{MSG_HELLO, {4}, PROTO_VERSION, PROTO_VERSION},
	{MSG_CONFIG, {2}, 0, UINT32_MAX},
	{MSG_CONFIG, {3, 1}, 0, TRACER_COUNT - 1},
	{MSG_CONFIG, {3, 2}, 0, INSTANCE_COUNT - 1},
	{MSG_CONFIG, {3, 3}, 1, 3},
	{MSG_CONFIG, {3, 4}, 0, 1},
	{MSG_CONFIG, {3, 5}, CONFIG_SNAPSHOT_MS_MIN, CONFIG_SNAPSHOT_MS_MAX},
	{MSG_CONFIG, {3, 6}, CONFIG_BUDGET_MIN, CONFIG_BUDGET_MAX},
	{MSG_CONFIG, {3, 7}, CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX},
	{MSG_CONFIG, {3, 8}, CONFIG_LIVE_MAX_MIN, CONFIG_LIVE_MAX_MAX},
	{MSG_CONFIG, {3, 9}, CONFIG_CONN_MAX_MIN, CONFIG_CONN_MAX_MAX},
	{MSG_CONFIG, {3, 10}, CONFIG_FLOW_MAX_MIN, CONFIG_FLOW_MAX_MAX},
	{MSG_CONFIG, {3, 11}, 0, 1},
	{MSG_CONFIG, {3, 12}, CONFIG_NAT_MAX_MIN, CONFIG_NAT_MAX_MAX},
	{MSG_CONFIG, {3, 13}, CONFIG_NAT_BUFFER_MIN, CONFIG_NAT_BUFFER_MAX},
	{MSG_CONFIG, {3, 14}, 0, FORMAT_COUNT - 1},
	{MSG_CONFIG, {3, 18, 1}, CONFIG_POLL_MS_MIN, CONFIG_POLL_MS_MAX},
	{MSG_CONFIG, {3, 15}, CONFIG_PROBATION_MS_MIN, CONFIG_PROBATION_MS_MAX},
	{MSG_CONFIG, {3, 19, 1, 1}, 0, 1},
	{MSG_CONFIG, {3, 19, 1, 2}, 1, 3},
	{MSG_CONFIG, {3, 19, 1, 3}, 0, 128},
	{MSG_CONFIG, {3, 19, 1, 4}, 0, UINT16_MAX},
	{MSG_CONFIG, {3, 19, 1, 5}, 0, UINT16_MAX},
	{MSG_CONFIG, {3, 19, 1, 6, 4}, 0, UINT32_MAX},
	{MSG_CONFIG, {3, 19, 1, 7, 1}, 0, UINT32_MAX},
	{MSG_CONFIG, {3, 19, 1, 8}, 1, 3},
	{MSG_CONFIG, {3, 19, 1, 9}, 0, 1},
	{MSG_CONFIG, {3, 19, 1, 10}, 0, SAMPLE_MAX},
	{MSG_START, {2, 3, 1, 1}, 1, FD_KIND_COUNT - 1},
	{MSG_STEP, {4}, 0, STEP_RESULT_COUNT - 1},
	{MSG_OUTCOME, {2}, 0, TRACER_COUNT - 1},
	{MSG_OUTCOME, {3}, 0, OUTCOME_COUNT - 1},
	{MSG_TRACER, {3}, INSTANCE_AUTO + 1, INSTANCE_COUNT - 1},
	{MSG_TRACER, {5}, 0, 1},
	{MSG_TRACER, {7, 1, 4}, 0, 1},
	{MSG_TRACER, {7, 1, 5}, 0, PROBE_STATE_COUNT - 1},
	{MSG_TRACER, {7, 1, 6}, 0, UINT32_MAX},
	{MSG_TRACER, {7, 1, 7}, 0, UINT32_MAX},
	{MSG_LOADED, {2}, 0, 1},
	{MSG_NAT, {2}, 0, UINT32_MAX},
	{MSG_LOADED, {3}, 0, 1},
	{MSG_READY, {2}, 0, 0},
	{MSG_CANDIDATE, {2}, 0, CANDIDATE_KIND_COUNT - 1},
	{MSG_CANDIDATE, {3, 1, 2}, 0, UINT32_MAX},
	{MSG_CHECK, {2, 2}, 0, UINT32_MAX},
	{MSG_CHECK, {3}, 0, CANDIDATE_KIND_COUNT - 1},
	{MSG_CHECKED, {6, 1}, 0, TRUST_COUNT - 1},
	{MSG_KEEP, {2, 1, 2}, 1, FILE_LATEST | FILE_NEW | FILE_IN_FORCE},
	{MSG_KEEP, {2, 1, 3}, 0, UINT32_MAX},
	{MSG_POLLED, {2}, 0, POLL_RESULT_COUNT - 1},
	{MSG_SOURCE, {2}, 0, SOURCE_KIND_COUNT - 1},
	{MSG_SOURCE, {11}, 0, 1},
	{MSG_SOURCE, {13, 1, 2}, 0, APPLY_STATE_COUNT - 1},
	{MSG_VERDICT, {3}, 0, 1},
	{MSG_CHECKED, {2}, 0, 1},
	{MSG_CHECKED, {4, 1, 2}, 0, UINT32_MAX},
	{MSG_VERDICT, {2}, 0, 1},
	{MSG_VERDICT, {5}, 0, APPLY_STATE_COUNT - 1},
	{MSG_CLIENT, {2}, ASK_LIST, ASK_TAIL},
	{MSG_FAIL, {2}, 0, 1},
	{MSG_FAIL, {3}, 1, 125},
	{MSG_BYE, {2}, 0, 0},
	{MSG_ASK, {2}, PROTO_VERSION, PROTO_VERSION},
	{MSG_ASK, {3}, 1, ASK_COUNT - 1},
	{MSG_PROCESS, {2}, 0, ROLE_COUNT - 1},
	{MSG_TROUBLE, {2, 1, 1}, 0, TRACER_COUNT - 1},
	{MSG_TROUBLE, {2, 1, 2}, 0, OUTCOME_COUNT - 1},
	{MSG_TROUBLE, {3, 1, 1}, 0, TELEMETRY_ROWS - 1},
	{MSG_TROUBLE, {3, 1, 2}, 0, TELEMETRY_ERRNOS - 1},
	{MSG_SUMMARY, {2}, 0, 1},
	{MSG_SUMMARY, {6}, 0, VERDICT_COUNT - 1},
	{MSG_SUMMARY, {11}, 0, 1},
	{MSG_DONE, {2}, 0, 1},
	{MSG_TAKEN, {2}, 0, 0},
	{MSG_CUSTODY, {2}, CONFIG_RING_BYTES_MIN, CONFIG_RING_BYTES_MAX},
	{MSG_CUSTODY, {3, 2}, 0, UINT32_MAX},
	{MSG_SOURCE, {5}, 0, APPLY_STATE_COUNT - 1},
	{MSG_HISTORY, {2, 1, 3}, 0, VERDICT_COUNT - 1},
	{MSG_HISTORY, {2, 1, 4}, 0, 1},
};

/* Random contents in which every list has an element. */
static int pack_with_elements(enum msg_type type)
{
	int len;

	do {
		len = pack_random(type);
	} while ((type == MSG_CONFIG && !sent.config.config.filter_count) ||
		 (type == MSG_START && !sent.start.manifest.fd_count) ||
		 (type == MSG_TRACER && !sent.tracer.probe_count) ||
		 (type == MSG_TROUBLE &&
		  !(sent.trouble.outcome_count && sent.trouble.refusal_count)) ||
		 (type == MSG_KEEP && !sent.keep.file_count) ||
		 (type == MSG_SOURCE && !sent.source.part_count) ||
		 (type == MSG_CANDIDATE && !sent.candidate.part_count) ||
		 (type == MSG_CHECKED && !sent.checked.error_count) ||
		 (type == MSG_HISTORY && !sent.history.entry_count));
	return len;
}

static void take_number(const struct range *range, uint64_t number, int want)
{
	const msgpack_object value = {.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = number};
	int len = changed(pack_with_elements(range->type), range->path, value, other);

	if (msg_unpack(range->type, other, (size_t)len, &received) != want)
		fail_msg("%s: field %u: %llu", proto_row(range->type)->name, range->path[0],
			 (unsigned long long)number);
}

static void test_msg_holds_numbers_to_their_ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ranges); i++) {
		take_number(&ranges[i], ranges[i].least, 0);
		take_number(&ranges[i], ranges[i].most, 0);
		take_number(&ranges[i], ranges[i].most + 1, -EPROTO);
		take_number(&ranges[i], UINT64_MAX, -EPROTO);
		if (ranges[i].least)
			take_number(&ranges[i], ranges[i].least - 1, -EPROTO);
	}
}

static void take_text(const char *bytes, uint32_t len, int want)
{
	static const uint8_t reason[] = {3, 0};
	const msgpack_object value = {.type = MSGPACK_OBJECT_STR, .via.str = {len, bytes}};
	int size = changed(pack_random(MSG_DONE), reason, value, other);

	assert_int_equal(msg_unpack(MSG_DONE, other, (size_t)size, &received), want);
}

static void test_msg_refuses_texts_too_long_or_with_a_nul(void **state)
{
	char bytes[MSG_TEXT_MAX];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	take_text(bytes, 0, 0);
	take_text(bytes, MSG_TEXT_MAX - 1, 0);
	assert_int_equal(strlen(received.done.reason), MSG_TEXT_MAX - 1);
	take_text(bytes, MSG_TEXT_MAX, -EPROTO);
	bytes[3] = '\0';
	take_text(bytes, 8, -EPROTO);
	take_text(bytes, 4, -EPROTO);
	take_text(bytes, 3, 0);
}

static void test_msg_pack_refuses_what_unpack_would(void **state)
{
	(void)state;
	memset(&sent, 0, sizeof(sent));
	assert_int_equal(msg_pack(MSG_HELLO, &sent, frame, sizeof(frame)), -EINVAL);
	fill_done(&sent);
	memset(sent.done.reason, 'x', sizeof(sent.done.reason));
	assert_int_equal(msg_pack(MSG_DONE, &sent, frame, sizeof(frame)), -EINVAL);
	memset(&sent, 0, sizeof(sent));
	sent.stats.count = STATS_MAX + 1;
	assert_int_equal(msg_pack(MSG_STATS, &sent, frame, sizeof(frame)), -EINVAL);
	memset(&sent, 0, sizeof(sent));
	sent.records.len_bytes = MSG_DATA_MAX + 1;
	assert_int_equal(msg_pack(MSG_RECORDS, &sent, frame, sizeof(frame)), -EINVAL);
	memset(&sent, 0, sizeof(sent));
	fill_step(&sent);
	assert_int_equal(msg_pack(MSG_STEP, &sent, frame, 1), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msg_comes_through_unchanged),
		cmocka_unit_test(test_msg_fits_its_frame_at_its_largest),
		cmocka_unit_test(test_msg_takes_the_samples_of_its_fuzz_harness),
		cmocka_unit_test(test_msg_refuses_every_truncation_and_any_tail),
		cmocka_unit_test(test_msg_refuses_another_type),
		cmocka_unit_test(test_msg_peeks_only_at_what_may_be_a_frame),
		cmocka_unit_test(test_msg_refuses_wrong_kinds_everywhere),
		cmocka_unit_test(test_msg_refuses_wrong_arity),
		cmocka_unit_test(test_msg_holds_numbers_to_their_ranges),
		cmocka_unit_test(test_msg_refuses_texts_too_long_or_with_a_nul),
		cmocka_unit_test(test_msg_pack_refuses_what_unpack_would),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
