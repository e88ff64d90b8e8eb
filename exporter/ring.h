/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's side of a BPF ring buffer, as kernel/bpf/ringbuf.c lays it out, by mmap alone: no
 * bpf(2), no capability. Page 0 holds the consumer's position, page 1 the producer's, the data
 * begins at page 2. The data is mapped once, not twice as libbpf does, so that the ring counts once
 * in our memory; a record that wraps is put together in a scratch buffer.
 */
#ifndef EXPORTER_RING_H
#define EXPORTER_RING_H

#include <stddef.h>
#include <stdint.h>

/* Longest record given whole when it wraps; ours are 176 bytes. */
#define RING_RECORD_MAX 512u

struct ring {
	uint64_t *consumer;
	const uint64_t *producer;
	const uint8_t *data;
	uint64_t size_bytes;
	uint64_t position; /* read up to here; what the producer may overwrite ends at *consumer */
	void *consumer_map;
	void *producer_map;
	_Alignas(8) uint8_t scratch[RING_RECORD_MAX];
};

/* Points into the ring or its scratch buffer: valid until ring_next() or ring_release(). */
struct ring_record {
	const uint8_t *bytes;
	uint32_t len_bytes;
};

/*
 * Map the ring behind fd, which must be a BPF ring buffer of exactly size_bytes. The fd stays the
 * caller's. Returns 0, -EINVAL if it isn't such a ring, another negative errno.
 */
int ring_open(struct ring *ring, int fd, uint64_t size_bytes);

/* Undo ring_open(). What was not released stays in the ring. */
void ring_close(struct ring *ring);

/* The same reader over memory of the caller's; size_bytes is a power of two. */
void ring_attach(struct ring *ring, uint64_t *consumer, const uint64_t *producer,
		 const uint8_t *data, uint64_t size_bytes);

/*
 * The next record that is complete; discarded ones are passed over.
 * Returns 1 with *record filled, 0 if there is none yet, -EPROTO if the ring is damaged.
 */
int ring_next(struct ring *ring, struct ring_record *record);

/* Give everything read so far back to the producer. Until then a new reader finds it again. */
void ring_release(struct ring *ring);

/* Bytes between the released position and the producer's. */
uint64_t ring_used(const struct ring *ring);

#endif
