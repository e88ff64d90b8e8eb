/* SPDX-License-Identifier: Apache-2.0 */
#include "common/source_json.h"

#include "common/put.h"
#include "common/words.h"

static void put_roles(struct jsonbuf *json, const struct msg_source *source)
{
	char time[WORDS_TIME_MAX], warning[WORDS_WARNING_MAX];

	jsonbuf_key(json, "roles");
	jsonbuf_open(json, '[');
	for (uint32_t role = 0; role < MSG_ROLES; role++) {
		uint64_t expires_s = source->in_force.expires_s[role];

		if (!words_has_role(source, role))
			continue;
		jsonbuf_open(json, '{');
		put_text(json, "role", words_role(role));
		put_number(json, "version", source->in_force.versions[role]);
		put_text(json, "expires", expires_s ? words_time(expires_s, time) : "");
		put_text(json, "warning",
			 words_expiry_warning(source, role, warning) ? warning : "");
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

static void put_parts(struct jsonbuf *json, const struct msg_source *source)
{
	jsonbuf_key(json, "parts");
	jsonbuf_open(json, '[');
	for (uint32_t i = 0; i < source->part_count; i++) {
		const struct msg_part_state *part = &source->parts[i];

		jsonbuf_open(json, '{');
		put_text(json, "name", part->name);
		put_number(json, "state", part->state);
		put_text(json, "error", part->error);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

/* Of the configuration, the poll, what it fetched, or the store. */
static bool has_error(const struct msg_source *source)
{
	return source->error[0] || source->polled.why[0] || source->last.why[0] || source->store[0];
}

void source_json_put(struct jsonbuf *json, const char *host, const struct msg_source *source,
		     uint64_t errors_in_row, uint64_t next_poll_ms)
{
	put_text(json, "host", host);
	put_text(json, "kind", words_source_kind(source->kind));
	put_text(json, "place", source->place);
	put_text(json, "poll", words_poll_result(source->polled.result));
	put_text(json, "poll_error", source->polled.why);
	put_number(json, "errors_in_row", errors_in_row);
	put_number(json, "next_poll_ms", next_poll_ms);
	put_number(json, "state", source->state);
	put_flag(json, "has_error", has_error(source));
	put_text(json, "error", source->error);
	put_number(json, "probation_left_ms", source->probation_left_ms);
	put_flag(json, "degraded", source->degraded);
	put_text(json, "trust", words_trust(source->last.trust));
	put_text(json, "trust_error", source->last.why);
	put_roles(json, source);
	put_text(json, "store_error", source->store);
	put_parts(json, source);
}
