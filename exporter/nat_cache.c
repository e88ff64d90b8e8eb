/* SPDX-License-Identifier: Apache-2.0 */
#include "exporter/nat_cache.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include "common/pages.h"

/* A tuple of one family and protocol. */
struct key {
	const struct nat_tuple *tuple;
	uint8_t family;
	uint8_t protocol;
};

int nat_cache_open(struct nat_cache *cache, uint32_t max)
{
	if (max < 4 || max > 1u << 28)
		return -EINVAL;
	memset(cache, 0, sizeof(*cache));
	cache->max = max;
	if (getrandom(&cache->seed, sizeof(cache->seed), GRND_NONBLOCK) < 0)
		return -errno;
	cache->entries = pages_take_table(max, sizeof(cache->entries[0]), &cache->chains,
					  &cache->chain_mask);
	return cache->entries ? 0 : -ENOMEM;
}

void nat_cache_close(struct nat_cache *cache)
{
	pages_give_table(cache->entries, cache->max, sizeof(cache->entries[0]), cache->chains);
	memset(cache, 0, sizeof(*cache));
}

/* --- the lists --- */

static uint32_t number_of(const struct nat_cache *cache, const struct nat_entry *entry)
{
	return (uint32_t)(entry - cache->entries) + 1;
}

static struct nat_entry *entry_at(const struct nat_cache *cache, uint32_t number)
{
	return number ? &cache->entries[number - 1] : NULL;
}

static void list_remove(struct nat_cache *cache, const struct nat_entry *entry)
{
	struct nat_list *list = &cache->lists[entry->rank];
	struct nat_entry *newer = entry_at(cache, entry->newer);
	struct nat_entry *older = entry_at(cache, entry->older);

	*(newer ? &newer->older : &list->newest) = entry->older;
	*(older ? &older->newer : &list->oldest) = entry->newer;
}

static void list_put(struct nat_cache *cache, struct nat_entry *entry)
{
	struct nat_list *list;
	struct nat_entry *second;

	if (entry->open[NAT_SENDS] || entry->open[NAT_RECEIVES])
		entry->rank = NAT_USED;
	/* A socket that uses its addresses again makes a connection anew, but for UDP. */
	else if (entry->until_ns != UINT64_MAX ||
		 (entry->closed && entry->conn.protocol == IPPROTO_TCP))
		entry->rank = NAT_OVER;
	else
		entry->rank = NAT_UNUSED;
	list = &cache->lists[entry->rank];
	second = entry_at(cache, list->newest);
	entry->newer = 0;
	entry->older = list->newest;
	list->newest = number_of(cache, entry);
	*(second ? &second->newer : &list->oldest) = list->newest;
}

/* Its rank may be another one now. */
static void renew(struct nat_cache *cache, struct nat_entry *entry)
{
	list_remove(cache, entry);
	list_put(cache, entry);
}

/* --- the chains --- */

static struct key key_of(const struct nat_conn *conn, uint32_t side)
{
	return (struct key){.tuple = side == NAT_SENDS ? &conn->original : &conn->reply,
			    .family = conn->family,
			    .protocol = conn->protocol};
}

static bool equals(const struct key *a, const struct key *b)
{
	return a->family == b->family && a->protocol == b->protocol &&
	       memcmp(a->tuple, b->tuple, sizeof(*a->tuple)) == 0;
}
_Static_assert(sizeof(struct nat_tuple) == 36, "nat_cache: compared with no padding");

static uint32_t *chain_of(const struct nat_cache *cache, const struct key *key)
{
	uint64_t hash = cache->seed ^ key->protocol;
	uint32_t words[sizeof(*key->tuple) / sizeof(uint32_t)];

	memcpy(words, key->tuple, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return &cache->chains[hash & cache->chain_mask];
}

static uint32_t side_of(uint32_t link)
{
	return (link - 1) % NAT_SIDES;
}

static struct nat_entry *entry_of(const struct nat_cache *cache, uint32_t link)
{
	return &cache->entries[(link - 1) / NAT_SIDES];
}

static void link_side(struct nat_cache *cache, struct nat_entry *entry, uint32_t side)
{
	struct key key = key_of(&entry->conn, side);
	uint32_t *chain = chain_of(cache, &key);

	entry->next[side] = *chain;
	*chain = (number_of(cache, entry) - 1) * NAT_SIDES + side + 1;
}

static void unlink_side(struct nat_cache *cache, const struct nat_entry *entry, uint32_t side)
{
	struct key key = key_of(&entry->conn, side);
	uint32_t *link = chain_of(cache, &key);
	uint32_t wanted = (number_of(cache, entry) - 1) * NAT_SIDES + side + 1;

	while (*link && *link != wanted)
		link = &entry_of(cache, *link)->next[side_of(*link)];
	*link = entry->next[side];
}

/* --- what is said of a connection --- */

/* The newest with the same original tuple; the kernel has one at a time that is live. */
static struct nat_entry *find_newest(const struct nat_cache *cache, const struct nat_conn *conn)
{
	const struct key wanted = key_of(conn, NAT_SENDS);
	uint32_t link = *chain_of(cache, &wanted);

	for (; link; link = entry_of(cache, link)->next[side_of(link)]) {
		struct nat_entry *entry = entry_of(cache, link);
		struct key key = key_of(&entry->conn, NAT_SENDS);

		if (side_of(link) == NAT_SENDS && equals(&key, &wanted))
			return entry;
	}
	return NULL;
}

static bool is_live(const struct nat_entry *entry)
{
	return entry->until_ns == UINT64_MAX;
}

/* The original tuples are equal. */
static bool is_same(const struct nat_conn *a, const struct nat_conn *b)
{
	return a->id == b->id && memcmp(&a->reply, &b->reply, sizeof(a->reply)) == 0;
}

/* A record of it may have begun up to the time that its begin was read at. */
static void end_entry(struct nat_cache *cache, struct nat_entry *entry, uint64_t since_ns,
		      uint64_t now_ns)
{
	entry->until_ns = since_ns > entry->read_ns ? since_ns : entry->read_ns;
	entry->read_ns = now_ns;
	renew(cache, entry);
}

static struct nat_entry *take_place(struct nat_cache *cache)
{
	struct nat_entry *entry;
	uint32_t rank = NAT_OVER;

	if (cache->count < cache->max)
		return &cache->entries[cache->count++];
	while (!cache->lists[rank].oldest)
		rank++;
	cache->evicted += rank != NAT_OVER;
	entry = entry_at(cache, cache->lists[rank].oldest);
	list_remove(cache, entry);
	for (uint32_t side = 0; side < NAT_SIDES; side++)
		unlink_side(cache, entry, side);
	return entry;
}

static void add(struct nat_cache *cache, const struct nat_conn *conn, uint64_t since_ns,
		uint64_t until_ns, uint64_t now_ns)
{
	struct nat_entry *entry = take_place(cache);

	*entry = (struct nat_entry){
		.conn = *conn, .since_ns = since_ns, .read_ns = now_ns, .until_ns = until_ns};
	for (uint32_t side = 0; side < NAT_SIDES; side++)
		link_side(cache, entry, side);
	list_put(cache, entry);
}

/* Returns whether it is there, and live. */
static bool confirm(struct nat_cache *cache, struct nat_entry *entry, const struct nat_conn *conn,
		    uint64_t since_ns, uint64_t now_ns)
{
	if (!entry || !is_live(entry))
		return false;
	if (is_same(&entry->conn, conn)) {
		entry->read_ns = now_ns;
		return true;
	}
	end_entry(cache, entry, since_ns, now_ns);
	return false;
}

void nat_cache_begin(struct nat_cache *cache, const struct nat_conn *conn, uint64_t since_ns,
		     uint64_t now_ns)
{
	if (!confirm(cache, find_newest(cache, conn), conn, since_ns, now_ns))
		add(cache, conn, since_ns, UINT64_MAX, now_ns);
}

void nat_cache_confirm(struct nat_cache *cache, const struct nat_conn *conn, uint64_t asked_ns,
		       uint64_t now_ns)
{
	struct nat_entry *entry = find_newest(cache, conn);
	bool over = entry && !is_live(entry) && is_same(&entry->conn, conn) &&
		    entry->read_ns >= asked_ns;

	if (!over && !confirm(cache, entry, conn, asked_ns, now_ns))
		add(cache, conn, 0, UINT64_MAX, now_ns);
}

void nat_cache_end(struct nat_cache *cache, const struct nat_conn *conn, uint64_t since_ns,
		   uint64_t now_ns, bool remember)
{
	struct nat_entry *entry = find_newest(cache, conn);

	if (entry && is_live(entry) && is_same(&entry->conn, conn))
		end_entry(cache, entry, since_ns, now_ns);
	else if (!entry && remember)
		add(cache, conn, 0, now_ns, now_ns);
}

void nat_cache_doubt(struct nat_cache *cache, uint64_t now_ns)
{
	cache->unsure_ns = now_ns;
}

void nat_cache_settle(struct nat_cache *cache, uint64_t doubt_ns, uint64_t now_ns)
{
	for (uint32_t i = 0; i < cache->count; i++) {
		struct nat_entry *entry = &cache->entries[i];

		if (is_live(entry) && entry->read_ns <= doubt_ns)
			end_entry(cache, entry, doubt_ns, now_ns);
	}
}

/* --- what a record is told --- */

static uint64_t until_of(const struct nat_cache *cache, const struct nat_entry *entry)
{
	return is_live(entry) && entry->read_ns <= cache->unsure_ns ? cache->unsure_ns
								    : entry->until_ns;
}

/* Whether the record's life and the connection's can have overlapped. */
static bool is_of(const struct nat_cache *cache, const struct nat_entry *entry,
		  const struct event *event)
{
	uint64_t end_ns = event->closed_ns ? event->closed_ns : event->recorded_ns;

	return end_ns >= entry->since_ns && event->opened_ns <= until_of(cache, entry);
}

static void turn_round(const struct nat_tuple *tuple, struct nat_tuple *out)
{
	memcpy(out->src, tuple->dst, sizeof(out->src));
	memcpy(out->dst, tuple->src, sizeof(out->dst));
	out->sport = tuple->dport;
	out->dport = tuple->sport;
}

static void note(struct nat_cache *cache, struct nat_entry *entry, uint32_t side,
		 const struct event *event)
{
	entry->open[side] = event->type != EVENT_CLOSE;
	entry->closed |= event->type == EVENT_CLOSE;
	renew(cache, entry);
}

bool nat_cache_find(struct nat_cache *cache, const struct event *event,
		    struct nat_tuple *translated)
{
	struct nat_tuple tuple = {.sport = event->sport, .dport = event->dport};
	const struct key wanted = {
		.tuple = &tuple, .family = event->family, .protocol = event->protocol};
	uint32_t link;

	memcpy(tuple.src, event->saddr, sizeof(tuple.src));
	memcpy(tuple.dst, event->daddr, sizeof(tuple.dst));
	/* The newest stands first. */
	for (link = *chain_of(cache, &wanted); link;
	     link = entry_of(cache, link)->next[side_of(link)]) {
		struct nat_entry *entry = entry_of(cache, link);
		uint32_t side = side_of(link);
		struct key key = key_of(&entry->conn, side);

		if (!equals(&key, &wanted) || !is_of(cache, entry, event))
			continue;
		turn_round(side == NAT_SENDS ? &entry->conn.reply : &entry->conn.original,
			   translated);
		note(cache, entry, side, event);
		return true;
	}
	return false;
}
