/* SPDX-License-Identifier: Apache-2.0 */
#include "record/json.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/jsonbuf.h"
#include "record/ending.h"
#include "record/names.h"

struct field {
	const char *name;
	void (*put)(struct jsonbuf *json, const struct event *event, const struct field *field,
		    const struct json_context *context);
	size_t offset;
	const char *(*word)(uint32_t number);
};

#define PUT(kind) \
	static void put_##kind(struct jsonbuf *json, const struct event *event, \
			       const struct field *field, const struct json_context *context)

#define UNUSED ((void)field, (void)context)

#define PUT_NUMBER(type) \
	PUT(type) \
	{ \
		type value; \
\
		(void)context; \
		memcpy(&value, (const uint8_t *)event + field->offset, sizeof(value)); \
		jsonbuf_u64(json, value); \
	}

PUT_NUMBER(uint8_t)
PUT_NUMBER(uint16_t)
PUT_NUMBER(uint32_t)
PUT_NUMBER(uint64_t)

PUT(time)
{
	uint64_t value;

	memcpy(&value, (const uint8_t *)event + field->offset, sizeof(value));
	jsonbuf_u64(json, value ? value + (uint64_t)context->offset_ns : 0);
}

PUT(word)
{
	const char *word = field->word(*((const uint8_t *)event + field->offset));

	(void)context;
	if (word)
		jsonbuf_string(json, word, SIZE_MAX);
	else
		jsonbuf_null(json);
}

PUT(address)
{
	char text[NAMES_TEXT_MAX];

	(void)context;
	names_address(event->family, (const uint8_t *)event + field->offset, text);
	jsonbuf_string(json, text, sizeof(text));
}

/* A process number; without an owner there is none. */
PUT(owned)
{
	if (event->owner == OWNER_UNKNOWN)
		jsonbuf_null(json);
	else
		put_uint32_t(json, event, field, context);
}

PUT(comm)
{
	UNUSED;
	jsonbuf_string(json, event->comm, sizeof(event->comm));
}

PUT(partial)
{
	UNUSED;
	jsonbuf_bool(json, event->flags & EVENT_F_PARTIAL);
}

PUT(error)
{
	char text[NAMES_TEXT_MAX];

	UNUSED;
	if (!event->error) {
		jsonbuf_null(json);
		return;
	}
	names_error(event->error, text);
	jsonbuf_string(json, text, sizeof(text));
}

PUT(duration)
{
	uint64_t end = event->closed_ns ? event->closed_ns : event->recorded_ns;

	UNUSED;
	jsonbuf_u64(json, event->opened_ns && end > event->opened_ns ? end - event->opened_ns : 0);
}

/* Since boot, as the kernel counts it: no offset. */
PUT(pid_start)
{
	UNUSED;
	if (event->owner == OWNER_UNKNOWN || !event->process_ns)
		jsonbuf_null(json);
	else
		jsonbuf_u64(json, event->process_ns);
}

PUT(seeded)
{
	UNUSED;
	jsonbuf_bool(json, event->flags & EVENT_F_SEEDED);
}

PUT(assured)
{
	UNUSED;
	if (event->protocol == IPPROTO_UDP)
		jsonbuf_bool(json, event->flags & EVENT_F_ASSURED);
	else
		jsonbuf_null(json);
}

PUT(ecn)
{
	UNUSED;
	jsonbuf_bool(json, event->ecn);
}

PUT(end)
{
	const char *word = ending_word(event);

	UNUSED;
	if (word)
		jsonbuf_string(json, word, SIZE_MAX);
	else
		jsonbuf_null(json);
}

PUT(connect)
{
	bool known = event->direction == DIRECTION_OUTGOING && event->opened_ns &&
		     event->established_ns > event->opened_ns;

	UNUSED;
	if (known)
		jsonbuf_u64(json, event->established_ns - event->opened_ns);
	else
		jsonbuf_null(json);
}

PUT(pair)
{
	char text[17];

	UNUSED;
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)ending_pair(event));
	jsonbuf_string(json, text, sizeof(text));
}

/* --- of the cgroup: null where nothing is known, or where its path doesn't say --- */

static const struct cgroup_name *cgroup_of(const struct json_context *context)
{
	static const struct cgroup_name unknown;

	return context->cgroup ? context->cgroup : &unknown;
}

static void put_text(struct jsonbuf *json, const char *text, size_t max)
{
	if (text && max && text[0])
		jsonbuf_string(json, text, max);
	else
		jsonbuf_null(json);
}

PUT(cgroup)
{
	(void)event;
	(void)field;
	put_text(json, cgroup_of(context)->path, CGROUP_PATH_MAX);
}

PUT(cgroup_part)
{
	const struct cgroup_name *name = cgroup_of(context);
	struct cgroup_part part;

	(void)event;
	memcpy(&part, (const uint8_t *)name + field->offset, sizeof(part));
	put_text(json, name->path + part.at, part.len);
}

PUT(runtime)
{
	(void)event;
	(void)field;
	put_text(json, cgroup_name_runtime(cgroup_of(context)->runtime), SIZE_MAX);
}

PUT(pod)
{
	(void)event;
	(void)field;
	put_text(json, cgroup_of(context)->pod, CGROUP_POD_MAX);
}

static void put_translated(struct jsonbuf *json, const char *addr, const char *port, uint8_t family,
			   const uint8_t *bytes, uint16_t number)
{
	char text[NAMES_TEXT_MAX];

	names_address(family, bytes, text);
	jsonbuf_key(json, addr);
	jsonbuf_string(json, text, sizeof(text));
	jsonbuf_key(json, port);
	jsonbuf_u64(json, number);
}

PUT(nat)
{
	const struct nat_tuple *nat = context->nat;

	(void)field;
	if (!nat) {
		jsonbuf_null(json);
		return;
	}
	jsonbuf_open(json, '{');
	put_translated(json, "saddr", "sport", event->family, nat->src, nat->sport);
	put_translated(json, "daddr", "dport", event->family, nat->dst, nat->dport);
	jsonbuf_close(json, '}');
}

#define AT(member) offsetof(struct event, member)
#define NUMBER(type, member) \
	{ \
#member, put_##type, AT(member), NULL \
	}
#define WORD(name, member, w) \
	{ \
		name, put_word, AT(member), w \
	}

/* The order is part of the contract. */
static const struct field fields[] = {
	WORD("event", type, names_event),
	WORD("protocol", protocol, names_protocol),
	NUMBER(uint8_t, family),
	{"saddr", put_address, AT(saddr), NULL},
	NUMBER(uint16_t, sport),
	{"daddr", put_address, AT(daddr), NULL},
	NUMBER(uint16_t, dport),
	WORD("direction", direction, names_direction),
	NUMBER(uint32_t, netns),
	NUMBER(uint64_t, cookie),
	{"pid", put_owned, AT(pid), NULL},
	{"comm", put_comm, AT(comm), NULL},
	{"uid", put_owned, AT(uid), NULL},
	NUMBER(uint64_t, cgroup_id),
	{"opened_ns", put_time, AT(opened_ns), NULL},
	{"established_ns", put_time, AT(established_ns), NULL},
	{"closed_ns", put_time, AT(closed_ns), NULL},
	NUMBER(uint64_t, bytes_sent),
	NUMBER(uint64_t, bytes_received),
	NUMBER(uint32_t, segs_out),
	NUMBER(uint32_t, segs_in),
	NUMBER(uint32_t, retransmits),
	NUMBER(uint32_t, srtt_us),
	NUMBER(uint32_t, rttvar_us),
	NUMBER(uint32_t, min_rtt_us),
	WORD("state", state, names_state),
	NUMBER(uint64_t, seq),
	NUMBER(uint32_t, cpu),
	WORD("owner", owner, names_owner),
	{"partial", put_partial, 0, NULL},
	{"error", put_error, 0, NULL},
	{"duration_ns", put_duration, 0, NULL},
	{"recorded_ns", put_time, AT(recorded_ns), NULL},
	{"pid_start_ns", put_pid_start, 0, NULL},
	NUMBER(uint32_t, lost),
	NUMBER(uint32_t, reordered),
	{"ecn", put_ecn, 0, NULL},
	NUMBER(uint32_t, ecn_marked),
	{"end", put_end, 0, NULL},
	WORD("closer", closer, ending_closer),
	{"connect_ns", put_connect, 0, NULL},
	{"pair", put_pair, 0, NULL},
	{"seeded", put_seeded, 0, NULL},
	{"cgroup", put_cgroup, 0, NULL},
	{"unit", put_cgroup_part, offsetof(struct cgroup_name, unit), NULL},
	{"container", put_cgroup_part, offsetof(struct cgroup_name, container), NULL},
	{"runtime", put_runtime, 0, NULL},
	{"pod", put_pod, 0, NULL},
	{"assured", put_assured, 0, NULL},
	{"nat", put_nat, 0, NULL},
};

/* What a listener has of these, and has beside them. */
static const char *const shared[] = {
	"event",  "protocol", "family",    "saddr",        "sport",     "netns",
	"cookie", "pid",      "comm",      "uid",          "cgroup_id", "state",
	"seq",    "cpu",      "owner",     "recorded_ns",  "unit",      "cgroup",
	"pod",    "runtime",  "container", "pid_start_ns",
};

static const struct field of_listener[] = {
	NUMBER(uint64_t, drops),
	NUMBER(uint32_t, queue),
	NUMBER(uint32_t, queue_max),
};

static bool is_shared(const char *name)
{
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (strcmp(shared[i], name) == 0)
			return true;
	return false;
}

static void put_field(struct jsonbuf *json, const struct event *event, const struct field *field,
		      const struct json_context *context)
{
	jsonbuf_key(json, field->name);
	field->put(json, event, field, context);
}

int json_event(const struct event *event, const struct json_context *context, char *out, size_t cap)
{
	bool listener = event->type == EVENT_LISTENER;
	struct jsonbuf json;

	jsonbuf_init(&json, out, cap);
	jsonbuf_open(&json, '{');
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!listener || is_shared(fields[i].name))
			put_field(&json, event, &fields[i], context);
	for (size_t i = 0; listener && i < sizeof(of_listener) / sizeof(of_listener[0]); i++)
		put_field(&json, event, &of_listener[i], context);
	jsonbuf_close(&json, '}');
	jsonbuf_newline(&json);
	return json.full ? -EMSGSIZE : (int)json.len;
}
