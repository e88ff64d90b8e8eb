/* SPDX-License-Identifier: Apache-2.0 */
#include "record/table.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "record/names.h"

#define END_WIDTH   21 /* an IPv4 address and a port */
#define CELL_MAX    TABLE_CELL_MAX
#define DASH        "-"
#define LINE_FORMAT "%-8s %-6.6s %-16s %21s %2s %-21s %6s %6s %6s %6s %s\n"

int table_header(char *out)
{
	return snprintf(out, TABLE_LINE_MAX, LINE_FORMAT, "TIME", "EVENT", "PROCESS(PID)", "LOCAL",
			"", "REMOTE", "TIME", "SENT", "RECVD", "RTT", "STATE");
}

void table_bytes(uint64_t bytes, char *out)
{
	static const char units[] = " KMGTPE";
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 999.5 && unit + 2 < sizeof(units)) {
		value /= 1000;
		unit++;
	}
	if (unit == 0)
		snprintf(out, 16, "%u", (unsigned int)bytes);
	else
		snprintf(out, 16, "%.*f%c", value < 9.95 ? 1 : 0, value, units[unit]);
}

void table_duration(uint64_t duration_ns, char *out)
{
	uint64_t us = duration_ns / 1000;
	uint64_t s = us / 1000000;
	unsigned int days = (unsigned int)(s / 86400 > 99999 ? 99999 : s / 86400);

	if (us < 1000)
		snprintf(out, 16, "%uus", (unsigned int)us);
	else if (us < 10000)
		snprintf(out, 16, "%u.%ums", (unsigned int)us / 1000, (unsigned int)us / 100 % 10);
	else if (us < 1000000)
		snprintf(out, 16, "%ums", (unsigned int)us / 1000);
	else if (s < 60)
		snprintf(out, 16, "%u.%us", (unsigned int)s, (unsigned int)(us / 100000 % 10));
	else if (s < 3600)
		snprintf(out, 16, "%um%02us", (unsigned int)s / 60, (unsigned int)s % 60);
	else if (s < 86400)
		snprintf(out, 16, "%uh%02um", (unsigned int)s / 3600, (unsigned int)s / 60 % 60);
	else if (days < 100)
		snprintf(out, 16, "%ud%02uh", days, (unsigned int)(s / 3600 % 24));
	else
		snprintf(out, 16, "%ud", days);
}

void table_time(uint64_t ns, int64_t offset_ns, char *out)
{
	time_t seconds = (time_t)((ns + (uint64_t)offset_ns) / 1000000000u);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || strftime(out, CELL_MAX, "%H:%M:%S", &tm) == 0)
		snprintf(out, CELL_MAX, DASH);
}

static void put_process(const struct event *event, char *out)
{
	char comm[EVENT_COMM_LEN + 1] = {0}, pid[16];
	int room;

	if (event->owner == OWNER_UNKNOWN) {
		snprintf(out, CELL_MAX, DASH);
		return;
	}
	memcpy(comm, event->comm, EVENT_COMM_LEN);
	for (char *c = comm; *c; c++)
		if (*c < 0x20 || *c >= 0x7f)
			*c = '?';
	room = 16 - snprintf(pid, sizeof(pid), "(%u)", event->pid);
	snprintf(out, CELL_MAX, "%.*s%s", room, comm, pid);
}

/* The port is what must be seen: a long address loses its middle. */
static void put_end(uint32_t family, const uint8_t *address, uint32_t port, char *out)
{
	char text[NAMES_TEXT_MAX], tail[16];
	size_t room, len;

	names_address(family, address, text);
	snprintf(tail, sizeof(tail), family == 6 ? "]:%u" : ":%u", port);
	len = strlen(text);
	room = END_WIDTH - strlen(tail) - (family == 6 ? 1 : 0);
	if (len > room) {
		size_t back = (room - 2) / 2;
		size_t front = room - 2 - back;

		snprintf(out, CELL_MAX, "[%.*s..%s%s", (int)front, text, text + len - back, tail);
	} else {
		snprintf(out, CELL_MAX, "%s%s%s", family == 6 ? "[" : "", text, tail);
	}
}

static void put_duration(const struct event *event, char *out)
{
	uint64_t end = event->closed_ns ? event->closed_ns : event->recorded_ns;

	if (event->opened_ns && end >= event->opened_ns)
		table_duration(end - event->opened_ns, out);
	else
		snprintf(out, CELL_MAX, DASH);
}

static void put_state(const struct event *event, char *out)
{
	const char *state = names_state(event->state);

	if (event->type == EVENT_LISTENER)
		snprintf(out, CELL_MAX, "%llu drops", (unsigned long long)event->drops);
	else if (event->protocol == IPPROTO_UDP)
		snprintf(out, CELL_MAX, "udp%s", event->flags & EVENT_F_ASSURED ? " assured" : "");
	else if (event->error)
		names_error(event->error, out);
	else
		snprintf(out, CELL_MAX, "%s", state ? state : DASH);
}

/* What may wait for accept, and does: it has no peer. */
static int listener_line(const struct event *event, const char *time, const char *process,
			 const char *local, char *out)
{
	char queue[CELL_MAX], state[CELL_MAX];

	snprintf(queue, sizeof(queue), "%u of %u wait", event->queue, event->queue_max);
	queue[END_WIDTH] = '\0';
	put_state(event, state);
	state[TABLE_WIDTH - 108] = '\0';
	return snprintf(out, TABLE_LINE_MAX, LINE_FORMAT, time, names_event(event->type), process,
			local, "", queue, DASH, DASH, DASH, DASH, state);
}

static const char *arrow(uint32_t direction)
{
	if (direction == DIRECTION_OUTGOING)
		return "->";
	return direction == DIRECTION_INCOMING ? "<-" : "--";
}

int table_event(const struct event *event, int64_t offset_ns, char *out)
{
	char time[CELL_MAX], process[CELL_MAX], local[CELL_MAX], remote[CELL_MAX];
	char duration[CELL_MAX], sent[16], received[16], rtt[16], state[CELL_MAX];
	const char *name = names_event(event->type);

	table_time(event->recorded_ns, offset_ns, time);
	put_process(event, process);
	put_end(event->family, event->saddr, event->sport, local);
	if (event->type == EVENT_LISTENER)
		return listener_line(event, time, process, local, out);
	put_end(event->family, event->daddr, event->dport, remote);
	put_duration(event, duration);
	table_bytes(event->bytes_sent, sent);
	table_bytes(event->bytes_received, received);
	table_duration((uint64_t)event->srtt_us * 1000, rtt);
	put_state(event, state);
	state[TABLE_WIDTH - 108] = '\0';
	return snprintf(out, TABLE_LINE_MAX, LINE_FORMAT, time, name ? name : DASH, process, local,
			arrow(event->direction), remote, duration, sent, received,
			event->srtt_us ? rtt : DASH, state);
}
