/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Of the exporter: an entry, its share of the chains, and of the name of a cgroup. Of a connection
 * in the storage of its socket: struct bpf_local_storage and struct bpf_local_storage_elem with
 * struct conn in it, of up to 192 bytes each, and what slab and memory cgroup need beside
 * them: 290 bytes in all on Linux 6.18; in a table it is less. Of a hash in the kernel: 48 bytes,
 * key and value, and up to two buckets of 16 bytes for each. tests/unit/test_budget.c and
 * tests/e2e/test_memory.py hold all but the storage to what is really taken.
 */
#define LIVE_ENTRY_BYTES 256u
#define CONN_ENTRY_BYTES 448u
#define FLOW_ENTRY_BYTES 400u
#define NAT_ENTRY_BYTES  136u

#define CONNECTIONS_PER_CGROUP 20u
#define CGROUPS_MAX            8192u

const char *const config_formats[FORMAT_COUNT + 1] = {
	[FORMAT_AUTO] = "auto",
	[FORMAT_JSON] = "json",
	[FORMAT_TABLE] = "table",
};

const char *const config_tracers[TRACER_COUNT + 1] = {
	[TRACER_AUTO] = "auto",
	[TRACER_FENTRY] = "fentry",
	[TRACER_KPROBE] = "kprobe",
	[TRACER_TRACEPOINT] = "tracepoint",
};

const char *const config_instances[INSTANCE_COUNT + 1] = {
	[INSTANCE_AUTO] = "auto",
	[INSTANCE_HOST] = "host",
	[INSTANCE_CONTAINER] = "container",
	[INSTANCE_KUBERNETES] = "kubernetes",
	[INSTANCE_ECS_EC2] = "ecs-ec2",
	[INSTANCE_ECS_FARGATE] = "ecs-fargate",
	[INSTANCE_EKS_FARGATE] = "eks-fargate",
};

void config_apply_budget(uint64_t budget_bytes, struct config *config)
{
	uint32_t ring = CONFIG_RING_BYTES_MIN;

	while (ring < CONFIG_RING_BYTES_MAX && (uint64_t)ring * 2 <= budget_bytes / 4)
		ring *= 2;
	config->memory_budget = (uint32_t)budget_bytes;
	config->ring_bytes = ring;
	config->conn_max = (uint32_t)(budget_bytes / 8 * 3 / CONN_ENTRY_BYTES);
	config->flow_max = (uint32_t)(budget_bytes / 8 / FLOW_ENTRY_BYTES);
	config->live_max = (uint32_t)(budget_bytes / 4 / LIVE_ENTRY_BYTES);
	config->nat_max = (uint32_t)(budget_bytes / 16 / NAT_ENTRY_BYTES);
	config->nat_buffer_bytes = (uint32_t)(budget_bytes / 16);
}

uint32_t config_listed_max(const struct config *config)
{
	return config->live_max - (config->nat ? config->live_max / 2 : 0);
}

uint32_t config_cgroups_max(const struct config *config)
{
	uint32_t max = config_listed_max(config) / CONNECTIONS_PER_CGROUP;

	return max < CGROUPS_MAX ? max : CGROUPS_MAX;
}

void config_prefix_mask(uint32_t bits, uint32_t mask[4])
{
	for (int i = 0; i < 4; i++) {
		uint32_t here = bits > 32 ? 32 : bits;

		mask[i] = here ? htonl(UINT32_MAX << (32 - here)) : 0;
		bits -= here;
	}
}

const char *config_cgroup_wrong(const char *path)
{
	size_t len;

	if (path[0] != '/')
		return "does not begin with '/'";
	for (path++; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		if (len == 0 || (len == 1 && path[0] == '.') ||
		    (len == 2 && path[0] == '.' && path[1] == '.') ||
		    (path[len] == '/' && !path[len + 1]))
			return "has an empty name in it, a '.' or a '..'";
	}
	return NULL;
}

static const char *filter_inconsistent(const struct filter *filter)
{
	static const uint8_t widest[] = {
		[FAMILY_IPV4] = 32, [FAMILY_IPV6] = 128, [FAMILY_IPV4 | FAMILY_IPV6] = 0};
	uint32_t mask[4];

	if (filter->families < FAMILY_IPV4 || filter->families > (FAMILY_IPV4 | FAMILY_IPV6))
		return "filter: address families are none that there are";
	if (filter->prefix_bits > widest[filter->families])
		return "filter: prefix is longer than the address";
	config_prefix_mask(filter->prefix_bits, mask);
	if (memcmp(mask, filter->mask, sizeof(mask)) != 0)
		return "filter: mask and prefix length differ";
	for (int i = 0; i < 4; i++)
		if (filter->addr[i] & ~mask[i])
			return "filter: address has bits beyond its prefix";
	if (filter->port_low > filter->port_high)
		return "filter: port range is upside down";
	if (filter->protocols < PROTOCOL_TCP || filter->protocols > (PROTOCOL_TCP | PROTOCOL_UDP))
		return "filter: protocols are none that there are";
	if (filter->sample && filter->action != FILTER_INCLUDE)
		return "filter: sample of what is excluded";
	return NULL;
}

static const char *cgroup_inconsistent(const struct config_filter *filter)
{
	if (filter->match.by_cgroup ? config_cgroup_wrong(filter->cgroup) != NULL
				    : filter->cgroup[0])
		return "filter: path of a cgroup that is none";
	return NULL;
}

static bool path_ok(const char *path, const char *other)
{
	return path[0] == '/' || strcmp(path, other) == 0;
}

const char *config_label_wrong(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	if (!name[0] || name[0] == '.' || name[strspn(name, letters)])
		return "is not letters, digits, - _ and ., the first no point";
	return strlen(name) < CONFIG_LABEL_MAX ? NULL : "is longer than 52 bytes";
}
_Static_assert(CONFIG_LABEL_MAX == 53, "config: numbers in texts");

/* Nothing that a program might read as something else, and no password. */
static const char *more_wrong(const char *url)
{
	return strpbrk(url, "?#@\\ \t\r\n") ? "has more than scheme, host, port and path" : NULL;
}

const char *config_url_wrong(const char *url)
{
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "file:///", 8) != 0)
		return "begins with neither https:// nor file:///";
	return url[8] ? more_wrong(url) : "names nothing";
}

/* Behind http://, up to the port: 127.0.0.0/8 in four numbers, [::1] or localhost. */
static bool is_loopback(const char *host, size_t len)
{
	char name[sizeof("127.255.255.255")];
	struct in_addr address;

	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return strcmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
	       (inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

/* "", ":PORT", and a slash at the end or not. */
static bool is_port(const char *text)
{
	unsigned long port = 1;
	char *end = (char *)(uintptr_t)text;

	if (text[0] == ':' && text[1] >= '1' && text[1] <= '9')
		port = strtoul(text + 1, &end, 10);
	return port <= UINT16_MAX && strcmp(end + (end[0] == '/'), "") == 0;
}

/* Of what is behind http://, host and brackets. */
static size_t host_len(const char *host)
{
	return host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
}

const char *config_rc_wrong(const char *url)
{
	const char *host = url + strlen("http://");
	size_t len;

	if (strncmp(url, "unix:///", 8) == 0)
		return url[8] ? NULL : "names nothing";
	if (strncmp(url, "http://", 7) != 0)
		return "begins with neither http:// nor unix:///";
	len = host_len(host);
	if (!is_loopback(host, len))
		return "is not on this host: 127.0.0.1, [::1] or localhost";
	return is_port(host + len) ? NULL : "has more than host and port, or no such port";
}

const char *config_report_wrong(const char *url)
{
	const char *host = url + strlen("http://");

	if (strncmp(url, "https://", 8) == 0)
		return url[8] ? more_wrong(url) : "names nothing";
	if (strncmp(url, "http://", 7) != 0)
		return "begins with neither https:// nor http://";
	if (!is_loopback(host, host_len(host)))
		return "is plain http:// and not on this host: https://";
	return more_wrong(url);
}

const char *config_signed_place(const struct config_source *source)
{
	return source->url[0] ? source->url : source->rc;
}

bool config_polls(const struct config *config)
{
	return config->source.dir[0] || config_signed_place(&config->source)[0];
}

static const char *source_inconsistent(const struct config_source *source)
{
	const bool is_signed = config_signed_place(source)[0] != '\0';

	if (!path_ok(source->dir, "") || !path_ok(source->root, "") || !path_ok(source->ca, ""))
		return "source: a path is not absolute";
	if (source->url[0] && config_url_wrong(source->url))
		return "source.url is none";
	if (source->rc[0] && config_rc_wrong(source->rc))
		return "source.rc is none";
	if ((source->dir[0] != 0) + (source->url[0] != 0) + (source->rc[0] != 0) > 1)
		return "source: more than one of dir, url and rc is set: configuration has one "
		       "source";
	if (is_signed && !source->root[0])
		return "source.url or source.rc is set, but not source.root: the root that is "
		       "trusted";
	if (source->report[0] && config_report_wrong(source->report))
		return "source.report is none";
	if (source->report[0] && !source->dir[0] && !is_signed)
		return "source.report is set, but none of dir, url and rc: there is nothing to "
		       "report";
	if (source->host[0] && config_label_wrong(source->host))
		return "source.host is no name";
	if (source->group_count > CONFIG_GROUPS_MAX)
		return "source: too many groups";
	for (uint32_t i = 0; i < source->group_count; i++)
		if (config_label_wrong(source->groups[i].name))
			return "source.groups: a name is none";
	return NULL;
}

const char *config_inconsistent(const struct config *config)
{
	const char *wrong = source_inconsistent(&config->source);

	if (config->ring_bytes & (config->ring_bytes - 1))
		return "ring size is not a power of two";
	if (!path_ok(config->btf_path, ""))
		return "BTF path is not absolute";
	if (!path_ok(config->output_path, "-"))
		return "output path is neither absolute nor '-'";
	if (config->filter_count > FILTERS_MAX)
		return "too many filters";
	for (uint32_t i = 0; i < config->filter_count && !wrong; i++) {
		wrong = filter_inconsistent(&config->filters[i].match);
		if (!wrong)
			wrong = cgroup_inconsistent(&config->filters[i]);
	}
	return wrong;
}

void config_filter_init(struct config_filter *filter)
{
	memset(filter, 0, sizeof(*filter));
	filter->match.families = FAMILY_IPV4 | FAMILY_IPV6;
	filter->match.protocols = PROTOCOL_TCP | PROTOCOL_UDP;
	filter->match.port_high = UINT16_MAX;
}

bool config_names_cgroups(const struct config *config)
{
	bool names = false;

	for (uint32_t i = 0; i < config->filter_count; i++)
		names |= config->filters[i].match.by_cgroup;
	return names;
}
