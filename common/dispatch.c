/* SPDX-License-Identifier: Apache-2.0 */
#include "common/dispatch.h"

#include <errno.h>
#include <unistd.h>

int dispatch_ignore(void *ctx, const union msg *msg, struct dispatch_fds *fds)
{
	(void)ctx;
	(void)msg;
	(void)fds;
	return 0;
}

int dispatch_take_fd(struct dispatch_fds *fds, uint32_t index)
{
	int fd;

	if (index >= fds->count)
		return -1;
	fd = fds->fds[index];
	fds->fds[index] = -1;
	return fd;
}

static void close_rest(struct dispatch_fds *fds)
{
	for (uint32_t i = 0; i < fds->count; i++)
		if (fds->fds[i] >= 0)
			close(fds->fds[i]);
	fds->count = 0;
}

static const char *refusal(const struct dispatch_table *table, const struct proto_row *row,
			   uint64_t type, enum role from, enum phase phase, size_t len,
			   uint32_t fd_count)
{
	if (!row)
		return "unknown message type";
	if (!(row->from & 1u << from))
		return "not for this sender to send";
	if (!(row->to & 1u << table->self) || !table->handlers[type])
		return "not for this process";
	if (!(row->phases & 1u << phase))
		return "out of phase";
	if (fd_count < row->fds_min)
		return "too few fds";
	if (fd_count > row->fds_max)
		return "unexpected fd";
	if (len > row->frame_max)
		return "too large for its type";
	return NULL;
}

static int unpack_and_handle(const struct dispatch_table *table, uint64_t type,
			     const uint8_t *frame, size_t len, struct dispatch_fds *fds,
			     union msg *room, void *ctx, struct dispatch_error *error)
{
	int err = msg_unpack((enum msg_type)type, frame, len, room);

	if (err) {
		error->reason = err == -ENOMEM ? "no memory" : "malformed";
		return err;
	}
	err = table->handlers[type](ctx, room, fds);
	if (err)
		error->reason = "refused by its handler";
	return err;
}

int dispatch_frame(const struct dispatch_table *table, enum role from, enum phase phase,
		   const uint8_t *frame, size_t len, struct dispatch_fds *fds, union msg *room,
		   void *ctx, struct dispatch_error *error)
{
	int err = -EPROTO;

	*error = (struct dispatch_error){.reason = "no message"};
	if (msg_peek_type(frame, len, &error->type) == 0) {
		error->reason = refusal(table, proto_row(error->type), error->type, from, phase,
					len, fds->count);
		if (!error->reason)
			err = unpack_and_handle(table, error->type, frame, len, fds, room, ctx,
						error);
	}
	close_rest(fds);
	return err;
}
