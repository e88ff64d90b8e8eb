/* SPDX-License-Identifier: Apache-2.0 */
#include "common/words.h"

#include <stdio.h>
#include <time.h>

#define HOUR 3600u
#define DAY  (24u * HOUR)

/* A role that expires sooner is warned of: what is signed by hand, long before. */
static const struct {
	const char *name;
	uint64_t soon_s;
} roles[MSG_ROLES] = {
	[MSG_ROLE_ROOT] = {"root", 30 * DAY},
	[MSG_ROLE_TIMESTAMP] = {"timestamp", 2 * DAY},
	[MSG_ROLE_SNAPSHOT] = {"snapshot", 7 * DAY},
	[MSG_ROLE_TARGETS] = {"targets", 30 * DAY},
};

static const char *word(const char *const *words, uint32_t count, uint32_t number)
{
	return number < count ? words[number] : "unknown";
}

const char *words_role(uint32_t role)
{
	return role < MSG_ROLES ? roles[role].name : "unknown";
}

bool words_has_role(const struct msg_source *source, uint32_t role)
{
	if (source->kind == SOURCE_AGENT)
		return role == MSG_ROLE_ROOT || role == MSG_ROLE_TARGETS;
	return source->kind == SOURCE_SIGNED;
}

const char *words_source_kind(uint32_t kind)
{
	static const char *const words[SOURCE_KIND_COUNT] = {[SOURCE_NONE] = "none",
							     [SOURCE_DIR] = "directory",
							     [SOURCE_SIGNED] = "signed",
							     [SOURCE_AGENT] = "agent"};

	return word(words, SOURCE_KIND_COUNT, kind);
}

const char *words_poll_result(uint32_t result)
{
	static const char *const words[POLL_RESULT_COUNT] = {[POLL_NONE] = "none",
							     [POLL_OK] = "ok",
							     [POLL_FAILED] = "failed",
							     [POLL_STOPPED] = "stopped"};

	return word(words, POLL_RESULT_COUNT, result);
}

const char *words_trust(uint32_t trust)
{
#define X(name, meaning) #name,
	static const char *const words[] = {TRUSTS(X)};
#undef X

	return word(words, TRUST_COUNT, trust);
}

const char *words_time(uint64_t time_s, char out[WORDS_TIME_MAX])
{
	time_t seconds = (time_t)time_s;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(out, WORDS_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = '\0';
	return out;
}

bool words_expiry_warning(const struct msg_source *source, uint32_t role,
			  char out[WORDS_WARNING_MAX])
{
	uint64_t expires_s = source->in_force.expires_s[role];
	uint64_t left_s = expires_s > source->now_s ? expires_s - source->now_s : 0;
	char time[WORDS_TIME_MAX];

	if (!expires_s || left_s > roles[role].soon_s)
		return false;
	if (!left_s)
		snprintf(out, WORDS_WARNING_MAX,
			 "%s expired on %s: what is in force stays, nothing new is accepted",
			 roles[role].name, words_time(expires_s, time));
	else if (left_s < 2 * DAY)
		snprintf(out, WORDS_WARNING_MAX, "%s expires in %llu hours", roles[role].name,
			 (unsigned long long)(left_s / HOUR));
	else
		snprintf(out, WORDS_WARNING_MAX, "%s expires in %llu days", roles[role].name,
			 (unsigned long long)(left_s / DAY));
	return true;
}
