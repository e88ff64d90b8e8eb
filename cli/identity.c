/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/identity.h"

#include <string.h>

void identity_of(const struct msg_summary *summary, struct identity *identity)
{
	struct counters c = {0};
	struct ledger l = {0};
	uint64_t given_up;

	_Static_assert(sizeof(summary->counters) <= sizeof(c), "identity: counters");
	_Static_assert(sizeof(summary->ledger) <= sizeof(l), "identity: ledger");
	memcpy(&c, summary->counters, sizeof(summary->counters));
	memcpy(&l, summary->ledger, sizeof(summary->ledger));
	given_up = l.dropped_malformed + l.dropped_sink_open + l.dropped_sink_update +
		   l.dropped_sink_close;
	*identity = (struct identity){
		.opened = c.opened_connect + c.opened_accept + c.opened_seeded + c.opened_partial +
			  c.opened_flow,
		.closed = c.closed,
		.submitted = c.submitted_open + c.submitted_update + c.submitted_close,
		.delivered = l.delivered_open + l.delivered_update + l.delivered_close,
		.dropped = c.lost_open + c.lost_update + c.lost_close + c.lost_unseen + given_up,
		.filtered = c.filtered_open + c.filtered_update + c.filtered_close,
		.sampled = c.sampled_open + c.sampled_update + c.sampled_close,
	};
	identity->live = (int64_t)(identity->opened - identity->closed);
	identity->waiting = (int64_t)(identity->submitted + c.submitted_walk - identity->delivered -
				      l.handled_walk - given_up);
	identity->holds = identity->live >= 0 && identity->waiting >= 0 &&
			  identity->closed == c.filtered_close + c.sampled_close + c.lost_close +
						      c.lost_unseen + c.submitted_close;
}
