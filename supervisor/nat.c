/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/nat.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/children.h"

/* The least time between two loaders that are started because events were lost. */
#define RENEW_MS 30000u

void nat_init(struct nat *nat)
{
	*nat = (struct nat){.state = NAT_AWAITED, .fds = {-1, -1}};
}

void nat_release(struct nat *nat)
{
	for (size_t i = 0; i < NAT_FDS; i++) {
		if (nat->fds[i] >= 0)
			close(nat->fds[i]);
		nat->fds[i] = -1;
	}
}

static bool is_netfilter(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_NETLINK &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == NETLINK_NETFILTER;
}

static bool is_exporter_up(const struct supervisor *sup)
{
	const struct proc *exporter = &sup->procs[ROLE_EXPORTER];

	return exporter->phase == PHASE_RUNNING && exporter->life.state == LIFE_RUNNING;
}

/* The kernel keeps a dump going as long as anybody has its socket, so ours are closed. */
static void hand_on(struct supervisor *sup)
{
	const struct msg_nat msg = {.netns = sup->nat.netns};
	uint32_t count = sup->nat.state == NAT_HELD ? NAT_FDS : 0;

	(void)children_send(&sup->procs[ROLE_EXPORTER], MSG_NAT, &msg, sup->nat.fds, count);
	nat_release(&sup->nat);
	if (count)
		sup->nat.state = NAT_SPENT;
}

int nat_offer(struct supervisor *sup, const struct msg_nat *msg, struct dispatch_fds *fds)
{
	bool none = fds->count == 0 && msg->netns == 0;

	if (!none && (fds->count != NAT_FDS || msg->netns == 0 || !is_netfilter(fds->fds[0]) ||
		      !is_netfilter(fds->fds[1])))
		return -EPROTO;
	nat_release(&sup->nat);
	sup->nat.state = none ? NAT_NONE : NAT_HELD;
	sup->nat.netns = msg->netns;
	for (uint32_t i = 0; i < fds->count; i++)
		sup->nat.fds[i] = dispatch_take_fd(fds, i);
	if (is_exporter_up(sup))
		hand_on(sup);
	return 0;
}

static void renew(struct supervisor *sup)
{
	sup->nat.state = NAT_AWAITED;
	sup->nat.renewed_ms = loop_now_ms();
	/* One that is not up yet brings them anyway. */
	if (sup->procs[ROLE_LOADER].life.state == LIFE_RUNNING)
		children_event(&sup->procs[ROLE_LOADER], LIFE_REPLACE);
}

void nat_exporter_up(struct supervisor *sup)
{
	if (!sup->configure.current.config.nat)
		return;
	sup->nat.overruns = 0;
	if (sup->nat.state == NAT_SPENT)
		renew(sup);
	else if (sup->nat.state != NAT_AWAITED)
		hand_on(sup);
}

void nat_look_at(struct supervisor *sup, const struct msg_stats *stats)
{
	uint64_t overruns = stats->values[STAT_EXPORTER_nat_overruns];

	if (overruns == sup->nat.overruns || sup->nat.state != NAT_SPENT ||
	    loop_now_ms() - sup->nat.renewed_ms < RENEW_MS)
		return;
	log_warning("nat: the kernel could not tell of some translated connections (nat_overruns "
		    "in conntrace status): reading them anew; raise memory_budget if it happens "
		    "often");
	sup->nat.overruns = overruns;
	renew(sup);
}
