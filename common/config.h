/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration as it travels in messages: typed, every value within its range. Text becomes
 * this struct in the verifier only (common/keys.c has the keys, defaults and who may set them).
 */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/event.h"

#define CONFIG_PATH_MAX 256u
#define CONFIG_NAME_MAX 64u

/* Of a group or host, NUL included: "group/NAME.yaml" fits a text's name. Groups of one host. */
#define CONFIG_LABEL_MAX  53u
#define CONFIG_GROUPS_MAX 16u

/* Bytes of one configuration text, and of all texts of one check together. */
#define CONFIG_TEXT_MAX  (64u << 10)
#define CONFIG_TEXTS_MAX (1u << 20)

/* Of memory_budget; common/keys.c has the same as text. */
#define CONFIG_BUDGET_DEFAULT (32u << 20)

/* Ranges, inclusive. */
#define CONFIG_BUDGET_MIN       (1u << 20)
#define CONFIG_BUDGET_MAX       (1u << 30)
#define CONFIG_SNAPSHOT_MS_MIN  100u
#define CONFIG_SNAPSHOT_MS_MAX  3600000u
#define CONFIG_POLL_MS_MIN      100u
#define CONFIG_POLL_MS_MAX      86400000u
#define CONFIG_PROBATION_MS_MIN 100u
#define CONFIG_PROBATION_MS_MAX 3600000u
#define CONFIG_RING_BYTES_MIN   65536u
#define CONFIG_RING_BYTES_MAX   (64u << 20)
#define CONFIG_LIVE_MAX_MIN     1024u
#define CONFIG_LIVE_MAX_MAX     4194304u
#define CONFIG_CONN_MAX_MIN     512u
#define CONFIG_CONN_MAX_MAX     4194304u
#define CONFIG_FLOW_MAX_MIN     256u
#define CONFIG_FLOW_MAX_MAX     4194304u
#define CONFIG_NAT_MAX_MIN      256u
#define CONFIG_NAT_MAX_MAX      4194304u
#define CONFIG_NAT_BUFFER_MIN   65536u
#define CONFIG_NAT_BUFFER_MAX   (64u << 20)

enum config_format {
	FORMAT_AUTO, /* a table if the output is a terminal, else JSON */
	FORMAT_JSON,
	FORMAT_TABLE,
	FORMAT_COUNT,
};

enum config_tracer {
	TRACER_AUTO, /* the first that the kernel supports */
	TRACER_FENTRY,
	TRACER_KPROBE,
	TRACER_TRACEPOINT,
	TRACER_COUNT,
};

enum config_instance {
	INSTANCE_AUTO, /* told from environment and files: loader/instance.h */
	INSTANCE_HOST,
	INSTANCE_CONTAINER,
	INSTANCE_KUBERNETES,
	INSTANCE_ECS_EC2,
	INSTANCE_ECS_FARGATE,
	INSTANCE_EKS_FARGATE,
	INSTANCE_COUNT,
};

/* The words for them in a configuration, by their numbers; NULL behind the last. */
extern const char *const config_formats[FORMAT_COUNT + 1];
extern const char *const config_tracers[TRACER_COUNT + 1];
extern const char *const config_instances[INSTANCE_COUNT + 1];

struct config_filter {
	struct filter match;
	char cgroup[CONFIG_PATH_MAX]; /* with match.by_cgroup, else "": from the root of the tree */
};

struct config_group {
	char name[CONFIG_LABEL_MAX];
};

/* Where configuration comes from besides the local file: at most one of dir, url and rc is set.
 */
struct config_source {
	uint32_t interval_ms;
	char dir[CONFIG_PATH_MAX];    /* absolute; "": none */
	char url[CONFIG_PATH_MAX];    /* https://... or file:///...; "": none */
	char rc[CONFIG_PATH_MAX];     /* http://LOOPBACK[:PORT] or unix:///...; "": none */
	char root[CONFIG_PATH_MAX];   /* absolute: the trusted root, set with url and rc */
	char ca[CONFIG_PATH_MAX];     /* absolute: certificates to trust; "": the system's */
	char report[CONFIG_PATH_MAX]; /* https://... or http://LOOPBACK...: who is told what became
					 of it; "": nobody */
	char host[CONFIG_LABEL_MAX];  /* whose part is host/NAME.yaml; "": none */
	uint32_t group_count;
	struct config_group groups[CONFIG_GROUPS_MAX];
};

struct config {
	uint32_t tracer;                   /* enum config_tracer */
	uint32_t instance;                 /* enum config_instance */
	uint32_t families;                 /* FAMILY_ bits, at least one */
	uint32_t record_open;              /* 0 or 1 */
	uint32_t snapshot_interval_ms;     /* walk over the live connections */
	uint32_t memory_budget;            /* bytes; what follows comes of it */
	uint32_t ring_bytes;               /* a power of two, multiple of the page size */
	uint32_t live_max;                 /* connections the exporter lists at most */
	uint32_t conn_max;                 /* those that the tracer remembers */
	uint32_t flow_max;                 /* UDP flows, and sockets that have some */
	uint32_t nat;                      /* 0 or 1 */
	uint32_t nat_max;                  /* translated connections that the exporter keeps */
	uint32_t nat_buffer_bytes;         /* of the kernel, for what it says of these */
	uint32_t output_format;            /* enum config_format */
	uint32_t probation_ms;             /* of what a source sent */
	char btf_path[CONFIG_PATH_MAX];    /* absolute; "": the kernel's own */
	char output_path[CONFIG_PATH_MAX]; /* absolute, or "-": standard output */
	struct config_source source;
	uint32_t filter_count;
	struct config_filter filters[FILTERS_MAX];
};

#define CONFIG_KEYS_MAX   32u
#define CONFIG_TEXTS_MOST 33u /* the local file and the parts of a source */

struct text_name {
	char name[CONFIG_NAME_MAX];
};

/*
 * Which text each value of a configuration comes from: the local file is the first of the texts,
 * the parts of a source follow in their order. Numbers count texts from 1; 0 = the default.
 */
struct config_origins {
	uint32_t text_count;
	struct text_name texts[CONFIG_TEXTS_MOST];
	uint32_t key_count;
	uint32_t keys[CONFIG_KEYS_MAX]; /* in the order of common/keys.c */
	uint32_t filter_count;
	uint32_t filters[FILTERS_MAX];
};

/*
 * What the ranges of single values can't say: ring size a power of two, paths absolute, each
 * filter consistent in itself. Returns NULL if all holds, else what doesn't (a constant).
 */
const char *config_inconsistent(const struct config *config);

/* What is wrong with the path of a cgroup, NULL if nothing is: absolute, its names plain. */
const char *config_cgroup_wrong(const char *path);

/*
 * What is wrong with the name of a group or host, NULL if nothing is: letters, digits, - _ and .,
 * the first no point, so that it is one part of a path.
 */
const char *config_label_wrong(const char *name);

/* What is wrong with the URL of a source, NULL if nothing is. */
const char *config_url_wrong(const char *url);

/* The same of source.rc: a local agent, since nothing protects what is said to another host. */
const char *config_rc_wrong(const char *url);

/* The same of source.report: as above, but for TLS it may be another host. */
const char *config_report_wrong(const char *url);

/* Where what is signed comes from: url or rc; "": nowhere. */
const char *config_signed_place(const struct config_source *source);

/* Whether there is something to poll. */
bool config_polls(const struct config *config);

/* A filter that excludes all: no condition is set. */
void config_filter_init(struct config_filter *filter);

/* Whether a filter names a cgroup. */
bool config_names_cgroups(const struct config *config);

/*
 * What a memory budget means: ring_bytes is the largest power of two not above a quarter of it (and
 * at most CONFIG_RING_BYTES_MAX), conn_max is three eighths in entries of 448 bytes, flow_max an
 * eighth in entries of 400 bytes, live_max a quarter in entries of 256 bytes, half of which nat
 * takes: nat_buffer_bytes is a sixteenth, nat_max another in entries of 136 bytes.
 */
void config_apply_budget(uint64_t budget_bytes, struct config *config);

/* Live connections that the exporter lists: live_max, but for the half of it that nat takes. */
uint32_t config_listed_max(const struct config *config);

/* How many cgroups the exporter knows at most: one for each 20 of these. */
uint32_t config_cgroups_max(const struct config *config);

/* The mask of the first bits of a 128-bit address, in network byte order. bits ≤ 128. */
void config_prefix_mask(uint32_t bits, uint32_t mask[4]);

#endif
