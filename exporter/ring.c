/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* include/uapi/linux/bpf.h: BPF_RINGBUF_BUSY_BIT, _DISCARD_BIT, _HDR_SZ */
#define BUSY_BIT    (UINT32_C(1) << 31)
#define DISCARD_BIT (UINT32_C(1) << 30)
#define HEADER_SIZE 8u

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool mappable(int fd, int prot, uint64_t offset)
{
	void *page = mmap(NULL, page_size(), prot, MAP_SHARED, fd, (off_t)offset);

	if (page == MAP_FAILED)
		return false;
	munmap(page, page_size());
	return true;
}

/*
 * A ring has its data twice behind the two pages of positions, nothing after that, and lets nobody
 * write to the producer's page. A smaller ring, a larger one or another map differs in one of
 * these.
 */
static bool is_ring_of(int fd, uint64_t size_bytes)
{
	uint64_t end = 2 * page_size() + 2 * size_bytes;

	return mappable(fd, PROT_READ, end - page_size()) && !mappable(fd, PROT_READ, end) &&
	       !mappable(fd, PROT_READ | PROT_WRITE, page_size());
}

int ring_open(struct ring *ring, int fd, uint64_t size_bytes)
{
	void *consumer, *producer;
	int err;

	if (size_bytes == 0 || size_bytes & (size_bytes - 1) || size_bytes % page_size())
		return -EINVAL;
	consumer = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	producer = is_ring_of(fd, size_bytes) ? mmap(NULL, page_size() + size_bytes, PROT_READ,
						     MAP_SHARED, fd, (off_t)page_size())
					      : MAP_FAILED;
	if (producer == MAP_FAILED) {
		err = errno == ENOMEM ? -ENOMEM : -EINVAL;
		munmap(consumer, page_size());
		return err;
	}
	ring_attach(ring, consumer, producer, (const uint8_t *)producer + page_size(), size_bytes);
	ring->consumer_map = consumer;
	ring->producer_map = producer;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (ring->producer_map)
		munmap(ring->producer_map, page_size() + ring->size_bytes);
	if (ring->consumer_map)
		munmap(ring->consumer_map, page_size());
	memset(ring, 0, sizeof(*ring));
}

void ring_attach(struct ring *ring, uint64_t *consumer, const uint64_t *producer,
		 const uint8_t *data, uint64_t size_bytes)
{
	memset(ring, 0, sizeof(*ring));
	ring->consumer = consumer;
	ring->producer = producer;
	ring->data = data;
	ring->size_bytes = size_bytes;
	ring->position = __atomic_load_n(consumer, __ATOMIC_RELAXED);
}

static const uint8_t *whole_record(struct ring *ring, uint64_t at, uint32_t len)
{
	uint64_t first = ring->size_bytes - at;

	if (len <= first)
		return ring->data + at;
	/* Cut at the scratch buffer: a record this long is none of ours, the decoder refuses it. */
	if (len > sizeof(ring->scratch))
		len = sizeof(ring->scratch);
	if (first > len)
		first = len;
	memcpy(ring->scratch, ring->data + at, first);
	memcpy(ring->scratch + first, ring->data, len - first);
	return ring->scratch;
}

int ring_next(struct ring *ring, struct ring_record *record)
{
	uint64_t end = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);

	if (end - ring->position > ring->size_bytes)
		return -EPROTO;
	while (ring->position != end) {
		uint64_t at = ring->position & (ring->size_bytes - 1);
		const uint32_t *header = (const void *)(ring->data + at);
		uint32_t bits = __atomic_load_n(header, __ATOMIC_ACQUIRE);
		uint32_t len = bits & ~(BUSY_BIT | DISCARD_BIT);
		uint64_t step = (HEADER_SIZE + (uint64_t)len + 7) & ~UINT64_C(7);

		if (bits & BUSY_BIT)
			return 0;
		if (step > end - ring->position)
			return -EPROTO;
		ring->position += step;
		if (bits & DISCARD_BIT)
			continue;
		at = (at + HEADER_SIZE) & (ring->size_bytes - 1);
		record->bytes = whole_record(ring, at, len);
		record->len_bytes = record->bytes == ring->scratch && len > RING_RECORD_MAX
					    ? RING_RECORD_MAX
					    : len;
		return 1;
	}
	return 0;
}

void ring_release(struct ring *ring)
{
	__atomic_store_n(ring->consumer, ring->position, __ATOMIC_RELEASE);
}

uint64_t ring_used(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) -
	       __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
}
