/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/settings.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define GRACE_NS 100000000

int settings_open(int map_fd, struct settings **settings)
{
	void *mapped =
		mmap(NULL, sizeof(**settings), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

	if (mapped == MAP_FAILED)
		return -errno;
	*settings = mapped;
	return 0;
}

void settings_apply(struct settings *settings, const struct config *config, uint32_t version)
{
	uint32_t next = !(settings->active & 1);
	struct settings_slot *slot = &settings->slots[next];

	memset(slot, 0, sizeof(*slot));
	slot->generation = version;
	slot->families = config->families;
	slot->record_open = config->record_open;
	slot->filter_count = config->filter_count;
	memcpy(slot->filters, config->filters, sizeof(slot->filters));
	__atomic_store_n(&settings->active, next, __ATOMIC_RELEASE);
}

void settings_set_walk(struct settings *settings, uint64_t walk_id, uint64_t waits_until_ns)
{
	__atomic_store_n(&settings->walk_id, walk_id, __ATOMIC_RELAXED);
	__atomic_store_n(&settings->walk_waits_until_ns, waits_until_ns, __ATOMIC_RELAXED);
}

void settings_set_attached(struct settings *settings, uint32_t connect_returns, bool udp)
{
	__atomic_store_n(&settings->seeds_flows, udp, __ATOMIC_RELAXED);
	__atomic_store_n(&settings->connect_returns, connect_returns, __ATOMIC_RELEASE);
}

void settings_set_seeded(struct settings *settings, bool seeded)
{
	__atomic_store_n(&settings->seeded, seeded, __ATOMIC_RELEASE);
}

void settings_set_layout(struct settings *settings)
{
	__atomic_store_n(&settings->layout, SETTINGS_LAYOUT, __ATOMIC_RELEASE);
}

void settings_put_in_charge(struct settings *settings, uint32_t generation)
{
	__atomic_store_n(&settings->generation, generation, __ATOMIC_RELEASE);
}

void settings_set_takeover(struct settings *settings, uint32_t generation)
{
	const struct timespec grace = {.tv_nsec = GRACE_NS};

	__atomic_store_n(&settings->takeover, generation, __ATOMIC_RELEASE);
	if (!generation)
		return;
	/* synchronize_rcu(), which programs run under; not to be had with nohz_full. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0)
		(void)nanosleep(&grace, NULL);
}
