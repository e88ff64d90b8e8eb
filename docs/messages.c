/* SPDX-License-Identifier: Apache-2.0 */
/* Writes docs/messages.md, from the table the programs themselves use, to standard output. */
#include <stdint.h>
#include <stdio.h>

#include "common/proto.h"

static const char head[] =
	"# Messages\n"
	"\n"
	"Written by `make docs` from `common/proto.h`; `make lint` checks that it is up to date.\n"
	"What each message carries: `common/msg.h`. Protocol version %u.\n"
	"\n"
	"A frame is one msgpack array, the type's number first, sent over a `SOCK_SEQPACKET` unix\n"
	"socket; a socketpair for each child, the control socket for the command line. The "
	"largest\n"
	"frame is %u bytes, and a message carries at most %u fds; configuration text travels as a\n"
	"sealed memfd. The receiver checks, before it looks at the content: is the type known, "
	"may\n"
	"this sender send it, is it for this process, is it due in this phase, are there as many "
	"fds\n"
	"as there must be, is it small enough. What fails a check ends the channel.\n"
	"\n"
	"Phases of a child: *starting* until its HELLO, *ready* until its READY, *running* after "
	"it.\n"
	"A message to or from the command line has no phase.\n"
	"\n"
	"| no. | message | from | to | phase | fds | largest frame | meaning |\n"
	"|--:|---|---|---|---|--:|--:|---|\n";

/* The names of the numbers below count that are in a set, with commas. */
static void print_set(uint32_t set, uint32_t count, const char *(*name)(uint64_t number))
{
	const char *comma = "";

	for (uint32_t i = 0; i < count; i++) {
		if (!(set & 1u << i))
			continue;
		printf("%s%s", comma, name(i));
		comma = ", ";
	}
	printf(" | ");
}

static void print_phases(const struct proto_row *row)
{
	if ((row->from | row->to) & R_CLI)
		printf("- | ");
	else if (row->phases == P_ANY)
		printf("any | ");
	else
		print_set(row->phases, PHASE_COUNT, proto_phase_name);
}

static void print_row(uint64_t type, const struct proto_row *row)
{
	printf("| %u | %s | ", (unsigned int)type, row->name);
	print_set(row->from, ROLE_COUNT, proto_role_name);
	print_set(row->to, ROLE_COUNT, proto_role_name);
	print_phases(row);
	if (row->fds_min == row->fds_max)
		printf("%u", row->fds_min);
	else
		printf("%u-%u", row->fds_min, row->fds_max);
	printf(" | %u | %s |\n", row->frame_max, row->meaning);
}

int main(void)
{
	printf(head, PROTO_VERSION, PROTO_FRAME_MAX, PROTO_FDS_MAX);
	for (uint64_t type = MSG_NONE + 1; type < MSG_TYPE_COUNT; type++)
		print_row(type, proto_row(type));
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
