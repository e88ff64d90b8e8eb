/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the records go: a file, a pipe or a terminal. Lines are gathered in one batch and written
 * together; a batch is kept until it is written or given up, so that the caller can leave its
 * records in the ring for so long.
 */
#ifndef EXPORTER_SINK_H
#define EXPORTER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "common/config.h"

#define SINK_BATCH_BYTES   65536u
#define SINK_BATCH_RECORDS 512u

/* Room that sink_room() gives at least. */
#define SINK_LINE_MAX 5568u

/* What a line is: an enum event_type, SINK_MARKER + an enum loss_kind, 0 for a header. */
#define SINK_MARKER (EVENT_WALK + 1u)
#define SINK_TYPES  (SINK_MARKER + LEDGER_LOSSES)

/* Where a line ends in the batch, its newline included. */
struct sink_mark {
	uint32_t end;
	uint32_t type;
};

struct sink {
	int fd;
	bool waits; /* a blocking pipe, socket or terminal: written in small pieces when it has room
		     */
	bool torn;  /* the last byte written was not the end of a line */
	char name[CONFIG_PATH_MAX];
	uint32_t len;
	uint32_t written;
	uint32_t mark_count;
	struct sink_mark marks[SINK_BATCH_RECORDS];
	char batch[SINK_BATCH_BYTES];
};

/* What became of a batch: lines by type. */
struct sink_tally {
	uint64_t delivered[SINK_TYPES];
	uint64_t dropped[SINK_TYPES];
	uint64_t bytes;
};

/*
 * Append to the file that path names, in the directory dir_fd; it is made, mode 0640, if it isn't
 * there. The directory stays the caller's. Returns 0 or a negative errno (-ELOOP: a symbolic link,
 * -EINVAL: not a file, pipe or device, -ENXIO: a named pipe without a reader).
 */
int sink_open_directory(struct sink *sink, int dir_fd, const char *path);

/* Write to an open file, which the sink closes. Returns 0 or a negative errno. */
int sink_open_file(struct sink *sink, int fd, const char *name);

void sink_close(struct sink *sink);

/* Where the next line may be put, at least SINK_LINE_MAX bytes; NULL if the batch is full. */
char *sink_room(struct sink *sink, size_t *cap);

/* A line of len bytes was put there, of this type. */
void sink_put(struct sink *sink, size_t len, uint32_t type);

/*
 * Write what is left of the batch, waiting at most wait_ms for room. Returns 0 when all is written,
 * -EAGAIN when the reader is slow, another negative errno; *progress tells if any byte was written.
 */
int sink_write(struct sink *sink, int wait_ms, bool *progress);

/* End the batch: tell what was written and give up the rest. */
void sink_settle(struct sink *sink, struct sink_tally *tally);

#endif
