/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/last_words.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define NS_PER_MS UINT64_C(1000000)

static unsigned long long milliseconds(const struct timeval *time)
{
	return (unsigned long long)time->tv_sec * 1000 + (unsigned long long)time->tv_usec / 1000;
}

static void how(const struct last_words *words, char *text, size_t cap)
{
	const char *name = words->code == CLD_EXITED ? NULL : sigabbrev_np(words->status);

	if (name)
		snprintf(text, cap, "SIG%s", name);
	else
		snprintf(text, cap, "%s %d", words->code == CLD_EXITED ? "exit" : "signal",
			 words->status);
}

void last_words_text(const struct last_words *words, char *text, size_t cap)
{
	unsigned long long ms = words->lasted_ns / NS_PER_MS;
	char end[32];

	how(words, end, sizeof(end));
	snprintf(text, cap,
		 "%s while %s, after %llu.%llu s%s%s; %llu ms of processor time, %ld KiB of memory "
		 "at most",
		 end, proto_phase_name(words->phase), ms / 1000, ms % 1000 / 100,
		 words->step ? ", last step " : "", words->step ? words->step : "",
		 milliseconds(&words->usage.ru_utime) + milliseconds(&words->usage.ru_stime),
		 words->usage.ru_maxrss);
}
