/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each message carries, and its way to bytes and back.
 *
 * A frame is one msgpack array: the type, then the fields in the order of the tables in msg.c. A
 * frame is accepted exactly or not at all: right arity, right types, every number in its range,
 * every string and list within its bound, no byte left over.
 *
 * All structs are plain memory: no pointers, nothing to free. Strings are NUL-terminated and may
 * hold any other byte: escape them before printing.
 */
#ifndef COMMON_MSG_H
#define COMMON_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/proto.h"
#include "common/stats.h"

#define MSG_TEXT_MAX   256u   /* reasons and details */
#define MSG_PARTS_MAX  32u    /* texts of one candidate */
#define MSG_ERRORS_MAX 16u    /* errors that one check reports */
#define MSG_DATA_MAX   61440u /* bytes of records in one RECORDS */

struct msg_hello {
	uint32_t role; /* enum role */
	uint32_t pid;
	uint32_t version; /* PROTO_VERSION */
};

struct msg_config {
	uint32_t version; /* counts up with each configuration applied, from 1 */
	struct config config;
};

/* What an fd is; the names of links and maps beside it are the kernel side's. */
enum fd_kind {
	FD_OBJECTS = 1, /* directory of BPF objects */
	FD_RING,
	FD_COUNTERS,
	FD_LEDGER,
	FD_SETTINGS,
	FD_TELEMETRY,
	FD_HITS,
	FD_MAP,     /* another map of the object */
	FD_LINK,    /* an attached program: a BPF link, or a perf event (Linux before 5.15) */
	FD_ITER,    /* a link of an iterator program */
	FD_PROGRAM, /* a loaded program, to ask the kernel how it fares */
	FD_OUTPUT,  /* an open file, or the directory that output_path is in */
	FD_SOURCE,  /* directory of configuration texts */
	FD_CGROUP,  /* root directory of the cgroup (v2) tree */
	FD_ROOT,    /* memfd: the trusted root of signed configuration */
	FD_STORE,   /* memfd: what is stored of signed configuration, common/bundle.h */
	FD_KIND_COUNT,
};

struct msg_fd {
	uint32_t kind; /* enum fd_kind */
	char name[32];
};

/*
 * The fds of a message in their order. identity tells one tracer object from another; 0 = none.
 * generation counts the tracers that were loaded one after the other, from 1; 0 = none.
 */
struct msg_manifest {
	uint64_t identity;
	uint32_t generation;
	uint32_t fd_count;
	struct msg_fd fds[PROTO_FDS_MAX];
};

struct msg_start {
	struct msg_manifest manifest;
};

struct msg_loaded {
	uint32_t adopted;   /* 1: all these are what came with START; 0: the programs are new */
	uint32_t ring_kept; /* 1: ring, counters and ledger are what came with START */
	struct msg_manifest manifest;
};

enum step_result {
	STEP_OK,
	STEP_DEGRADED, /* done, with something missing that detail names */
	STEP_SKIPPED,
	STEP_NOT_SUPPORTED, /* the next tracer may be tried */
	STEP_FAILED,
	STEP_RESULT_COUNT,
};

struct msg_step {
	char tracer[24];
	char name[24];
	uint32_t result; /* enum step_result */
	uint64_t duration_us;
	char detail[MSG_TEXT_MAX];
};

/* How an attempt to bring up a tracer ended: X(name, meaning). */
/* clang-format off */
#define OUTCOMES(X) \
	X(ok_named_btf, "loaded, fitted to the BTF of the file that was named") \
	X(ok_kernel_btf, "loaded, fitted to the running kernel's BTF") \
	X(ok_archive_btf, "loaded, fitted to BTF of the archive") \
	X(adopted, "an earlier loader's tracer, still attached") \
	X(no_btf, "no BTF of this kernel, or not what it should be") \
	X(object_unreadable, "the object, or the BTF file, can't be read") \
	X(object_not_trusted, "the object, or the BTF file, could have been written by others") \
	X(not_supported, "the kernel or the instance does not have what the tracer needs") \
	X(hook_missing, "the kernel lacks the function or tracepoint of a required program") \
	X(verifier_refused, "the kernel's verifier refused a program") \
	X(load_error, "the object could not be loaded for another reason") \
	X(attach_error, "a required program could not be attached")
/* clang-format on */

enum outcome {
#define X(name, meaning) OUTCOME_##name,
	OUTCOMES(X)
#undef X
		OUTCOME_COUNT,
};

struct msg_outcome {
	uint32_t tracer;  /* enum config_tracer; TRACER_AUTO: before one was chosen */
	uint32_t outcome; /* enum outcome */
};

enum probe_state {
	PROBE_OFF,     /* not needed here: note says why */
	PROBE_MISSING, /* optional, and the kernel lacks its hook: note says what is missing then */
	PROBE_PLANNED, /* to be loaded and attached */
	PROBE_ATTACHED,
	PROBE_FAILED, /* could not be attached: err; note says what is missing */
	PROBE_STATE_COUNT,
};

/* msg_probe.how of the program that walks over the live connections. */
#define PROBE_HOW_WALK "iterator"

struct msg_probe {
	char program[24];
	char hook[32];           /* function, tracepoint or iterator */
	char how[32];            /* "tp_btf", "fentry", "kprobe.multi" ... */
	uint32_t required;       /* 0 or 1 */
	uint32_t state;          /* enum probe_state */
	uint32_t err;            /* errno */
	uint32_t verified_insns; /* instructions the verifier went through; 0 = not known */
	uint64_t missed;         /* runs that the kernel skipped */
	char note[128];
};

#define MSG_PROBES_MAX 17u

struct msg_tracer {
	char tracer[16];
	uint32_t instance;     /* enum config_instance, not auto */
	char evidence[64];     /* for the instance */
	uint32_t tenants_only; /* 1: only processes of the loader's pid namespace */
	char btf[16];          /* where it comes from: named, kernel, archive */
	uint32_t probe_count;
	struct msg_probe probes[MSG_PROBES_MAX];
};

/* With two fds: conntrack events, joined; a dump, to be read. Without: they are not to be had. */
struct msg_nat {
	uint32_t netns; /* inode number of their network namespace; 0 = no fds */
};

struct msg_taken {
	uint32_t reserved; /* 0 */
};

struct msg_ready {
	uint32_t reserved; /* 0 */
};

struct msg_health {
	uint64_t count; /* how many before this one */
};

struct msg_stats {
	uint32_t count; /* stats_count() of the sender's role */
	uint64_t values[STATS_MAX];
};

struct msg_walk {
	uint64_t id; /* comes back in the EVENT_WALK record */
};

/* A text within a memfd: the texts lie one behind the other. */
struct msg_part {
	char name[CONFIG_NAME_MAX];
	uint32_t len_bytes;
};

/* What a candidate's bytes are. */
enum candidate_kind {
	CANDIDATE_TEXTS,  /* the parts, one behind the other */
	CANDIDATE_BUNDLE, /* one part: signed metadata and targets as they came, common/bundle.h */
	CANDIDATE_KIND_COUNT,
};

struct msg_candidate {
	uint32_t kind; /* enum candidate_kind */
	uint32_t part_count;
	struct msg_part parts[MSG_PARTS_MAX];
};

/* Bytes of a bundle, and of what is stored. */
#define MSG_BUNDLE_MAX (9u << 20)
#define MSG_STORE_MAX  (18u << 20)

/* The parts of a CHECK of signed configuration, each a memfd of its own. */
enum msg_check_part {
	CHECK_ROOT,   /* the trusted root, as it was installed */
	CHECK_STORE,  /* what is stored */
	CHECK_BUNDLE, /* what was fetched; without it, what is in force is checked again */
	CHECK_PARTS_MAX,
};

/*
 * First memfd: the local file, local.len_bytes. Then, of texts, one with all of them if there are
 * any; of signed configuration one for each of the parts.
 */
struct msg_check {
	struct msg_part local;
	uint32_t kind;               /* enum candidate_kind, of the parts */
	uint64_t now_s;              /* seconds since 1970, UTC */
	char host[CONFIG_LABEL_MAX]; /* what this host is called; "": no name that will do */
	uint32_t part_count;
	struct msg_part parts[MSG_PARTS_MAX];
};

_Static_assert(CONFIG_TEXTS_MOST == MSG_PARTS_MAX + 1, "msg: the local file and the parts");

struct msg_error {
	char file[CONFIG_NAME_MAX];
	uint32_t line; /* from 1; 0 = the whole file */
	char reason[MSG_TEXT_MAX];
};

/* Whether signed configuration is to be believed, X(name, meaning). */
/* clang-format off */
#define TRUSTS(X) \
	X(none, "nothing signed was checked") \
	X(accepted, "verified, and a valid configuration") \
	X(malformed, "not the JSON that it should be") \
	X(untrusted, "signature, threshold, type, version, length or hash is wrong") \
	X(rollback, "older than what was seen before") \
	X(expired, "no longer valid at this time") \
	X(too_large, "over a limit") \
	X(incomplete, "something that is listed did not come") \
	X(invalid, "signed as it should be, but no valid configuration") \
	X(clock, "this host's clock is behind what it has been") \
	X(failed, "could not be checked")
/* clang-format on */

enum trust {
#define X(name, meaning) TRUST_##name,
	TRUSTS(X)
#undef X
		TRUST_COUNT,
};

/* Rows of versions and expiries. */
enum msg_role {
	MSG_ROLE_ROOT,
	MSG_ROLE_TIMESTAMP,
	MSG_ROLE_SNAPSHOT,
	MSG_ROLE_TARGETS,
	MSG_ROLES,
};

#define MSG_FLOOR_MAX 256u

struct msg_signed {
	uint32_t trust; /* enum trust */
	char why[MSG_TEXT_MAX];
	uint64_t versions[MSG_ROLES];  /* of what was verified; 0: none */
	uint64_t expires_s[MSG_ROLES]; /* seconds since 1970, UTC; 0: none */
	char floor[MSG_FLOOR_MAX];     /* to be stored as the file "floor"; "": as it was */
};

struct msg_checked {
	uint32_t valid; /* 0 or 1; the configuration counts only if 1 */
	struct config config;
	uint32_t error_count;
	struct msg_error errors[MSG_ERRORS_MAX];
	struct config_origins origins; /* if not valid only its texts count */
	struct msg_signed signature;   /* of CANDIDATE_BUNDLE; else TRUST_none */
};

#define MSG_FILE_NAME_MAX 240u
#define MSG_FILES_MAX     32u

/* Why the store is to have a file: bits. */
enum msg_file_why {
	FILE_LATEST = 1 << 0,   /* a root, or the newest of a role that verified */
	FILE_NEW = 1 << 1,      /* of the set that was verified now */
	FILE_IN_FORCE = 1 << 2, /* of the set in force */
};

/* A file of the store: of these bytes of the bundle; with no length, as it is there, or empty. */
struct msg_file {
	char name[MSG_FILE_NAME_MAX];
	uint32_t why; /* enum msg_file_why, or-ed */
	uint32_t offset;
	uint32_t len_bytes;
};

/* Before CHECKED, any number of these. What none of them names is removed. */
struct msg_keep {
	uint32_t file_count;
	struct msg_file files[MSG_FILES_MAX];
};

enum poll_result {
	POLL_NONE,    /* there was no poll yet */
	POLL_OK,      /* the last one succeeded */
	POLL_FAILED,  /* it failed: why */
	POLL_STOPPED, /* the server has nothing of the kind: no more until reload */
	POLL_RESULT_COUNT,
};

struct msg_polled {
	uint32_t result; /* enum poll_result */
	char why[MSG_TEXT_MAX];
	char report_error[MSG_TEXT_MAX]; /* why the last report was not taken; "": it was */
};

/* What became of a configuration, X(name, words). From REFUSED on it is not in force. */
/* clang-format off */
#define VERDICTS(X) \
	X(APPLIED, "applied") \
	X(ON_PROBATION, "on probation") \
	X(PASSED, "passed") \
	X(REFUSED, "refused") \
	X(ROLLED_BACK, "rolled back")
/* clang-format on */

enum verdict {
#define X(name, words) VERDICT_##name,
	VERDICTS(X)
#undef X
		VERDICT_COUNT,
};

/* What became of what a source sent: the numbers are those of remote configuration protocols. */
enum apply_state {
	APPLY_UNKNOWN,        /* nothing came yet */
	APPLY_UNACKNOWLEDGED, /* on probation; or refused because of another part */
	APPLY_ACKNOWLEDGED,   /* in force */
	APPLY_ERROR,          /* refused, or rolled back */
	APPLY_STATE_COUNT,
};

/* Sent anew when a probation has ended. */
struct msg_verdict {
	uint32_t applied; /* 0 or 1 */
	uint32_t again;   /* 1: the same may be accepted at another time */
	uint32_t version; /* of the configuration in force */
	uint32_t state;   /* enum apply_state */
	char reason[MSG_TEXT_MAX];
};

struct msg_part_state {
	char name[CONFIG_NAME_MAX];
	uint32_t state; /* enum apply_state */
	char error[128];
};

enum source_kind {
	SOURCE_NONE,
	SOURCE_DIR,
	SOURCE_SIGNED,
	SOURCE_AGENT, /* signed, too */
	SOURCE_KIND_COUNT,
};

/* The source, and what it sent last. */
struct msg_source {
	uint32_t kind; /* enum source_kind */
	char place[CONFIG_PATH_MAX];
	struct msg_polled polled;
	uint32_t state;             /* enum apply_state, of all parts together */
	uint32_t probation_left_ms; /* 0 = there is none */
	char error[MSG_TEXT_MAX];
	uint64_t now_s;             /* by which expiries are to be judged */
	struct msg_signed in_force; /* versions and expiries of what is in force; no floor */
	struct msg_signed last;     /* whether what came last is believed; no floor */
	uint32_t degraded;          /* 1: of these something is wrong or has expired */
	char store[MSG_TEXT_MAX];   /* what is wrong with the store; "": nothing */
	uint32_t part_count;
	struct msg_part_state parts[MSG_PARTS_MAX];
};

/* The configuration in force. */
struct msg_in_force {
	uint32_t version;
	struct config config;
	struct config_origins origins;
};

#define MSG_HISTORY_MAX 16u

struct msg_history_entry {
	uint64_t at_ns;     /* CLOCK_REALTIME, the last time */
	uint32_t times;     /* one after the other */
	uint32_t verdict;   /* enum verdict */
	uint32_t by_source; /* 0: the local file was read; 1: a source sent something */
	uint32_t version;   /* in force afterwards; 0 = none */
	char reason[MSG_TEXT_MAX];
};

/* The last verdicts, the oldest first. */
struct msg_history {
	uint32_t entry_count;
	struct msg_history_entry entries[MSG_HISTORY_MAX];
};

enum ask {
	ASK_STATUS = 1,
	ASK_LIST,
	ASK_TAIL,
	ASK_HISTORY,
	ASK_CONFIG,
	ASK_COUNT,
};

/* The fd is the client's connection: the exporter answers there. */
struct msg_client {
	uint32_t ask;     /* ASK_LIST or ASK_TAIL */
	uint64_t walk_id; /* ASK_LIST: answer when this walk was seen (or after 4 s) */
};

struct msg_fail {
	uint32_t permanent; /* 1: trying again without a change cannot help */
	uint32_t exit_code; /* sysexits, for the supervisor to exit with at first start */
	char reason[2 * MSG_TEXT_MAX];
};

struct msg_bye {
	uint32_t reserved; /* 0 */
};

struct msg_ask {
	uint32_t version; /* PROTO_VERSION */
	uint32_t ask;     /* enum ask */
};

/* Where a process is in its life: supervisor/life.h says what leads from one to the next. */
enum life_state {
	LIFE_IDLE,     /* not wanted */
	LIFE_STARTING, /* executed, HELLO awaited */
	LIFE_READY,    /* greeted, READY awaited */
	LIFE_RUNNING,
	LIFE_STOPPING, /* told to end, or killed; its exit awaited */
	LIFE_BACKOFF,  /* crashed, starts again at the deadline */
	LIFE_FAILED,   /* crashed too often, or said that trying again can't help */
	LIFE_STATE_COUNT,
};

struct msg_process {
	uint32_t role;
	uint32_t pid;            /* 0 = not running */
	uint32_t state;          /* enum life_state */
	uint32_t restarts;       /* after a crash */
	uint32_t replaced;       /* for a new configuration */
	uint64_t started_ns;     /* CLOCK_MONOTONIC */
	char last[MSG_TEXT_MAX]; /* how the one before ended; "" = there was none */
	char words[192];         /* what is known of the last crash; "" = there was none */
	struct msg_stats stats;
};

#define X(name, meaning) +1
enum { MSG_COUNTERS = 0 COUNTERS(X), MSG_LEDGER = 0 LEDGER(X) };
#undef X

#define MSG_HITS ((FILTERS_MAX + 1) * HITS_COLUMNS)

struct msg_summary {
	uint32_t tracing;  /* 0 or 1 */
	uint32_t degraded; /* 0 or 1 */
	uint64_t started_ns;
	uint32_t config_version;
	uint32_t config_verdict; /* enum verdict: what the last candidate or reload got */
	char config_reason[MSG_TEXT_MAX];
	struct config config;
	uint64_t counters[MSG_COUNTERS]; /* in the order of COUNTERS */
	uint64_t ledger[MSG_LEDGER];     /* in the order of LEDGER */
	uint32_t hits_known;             /* 1: the rest is about the filters of config */
	uint64_t hits[MSG_HITS];         /* HITS_COLUMNS for each filter, and for none of them */
	uint64_t cgroups[FILTERS_MAX]; /* id of the cgroup that a filter names; 0 = there is none */
};

struct msg_outcome_count {
	uint32_t tracer;
	uint32_t outcome;
	uint64_t count;
};

/* A row of TELEMETRY, an errno (TELEMETRY_ERRNOS - 1: any other), and how often. */
struct msg_refusal {
	uint32_t row;
	uint32_t err;
	uint64_t count;
};

#define MSG_OUTCOMES_MAX 32u
#define MSG_REFUSALS_MAX 64u

struct msg_trouble {
	uint32_t outcome_count;
	struct msg_outcome_count outcomes[MSG_OUTCOMES_MAX];
	uint32_t refusal_count;
	struct msg_refusal refusals[MSG_REFUSALS_MAX];
};

struct msg_records {
	uint32_t len_bytes; /* a multiple of sizeof(struct event) */
	uint8_t data[MSG_DATA_MAX];
};

struct msg_done {
	uint32_t ok; /* 0 or 1 */
	char reason[MSG_TEXT_MAX];
};

/* The tracer that the fds are, and the size of its ring. */
struct msg_custody {
	uint32_t ring_bytes;
	struct msg_manifest manifest;
};

/* Room for any message, for a receiver that doesn't know yet which. */
union msg {
	struct msg_hello hello;
	struct msg_config config;
	struct msg_start start;
	struct msg_loaded loaded;
	struct msg_step step;
	struct msg_outcome outcome;
	struct msg_tracer tracer;
	struct msg_nat nat;
	struct msg_ready ready;
	struct msg_health health;
	struct msg_stats stats;
	struct msg_walk walk;
	struct msg_candidate candidate;
	struct msg_check check;
	struct msg_checked checked;
	struct msg_keep keep;
	struct msg_polled polled;
	struct msg_verdict verdict;
	struct msg_client client;
	struct msg_fail fail;
	struct msg_bye bye;
	struct msg_ask ask;
	struct msg_process process;
	struct msg_trouble trouble;
	struct msg_summary summary;
	struct msg_records records;
	struct msg_done done;
	struct msg_custody custody;
	struct msg_taken taken;
	struct msg_source source;
	struct msg_history history;
	struct msg_in_force in_force;
};

/*
 * Pack the message at msg (the struct of that type) into buf.
 * Returns the frame's length, -EINVAL if a value is out of its range, -EMSGSIZE if cap is too
 * small.
 */
int msg_pack(enum msg_type type, const void *msg, uint8_t *buf, size_t cap);

/* The type a frame claims, without looking at the rest; -EPROTO if there is none. */
int msg_peek_type(const uint8_t *frame, size_t len, uint64_t *type);

/*
 * Unpack a frame of the given type into *msg, which is zeroed first. Allocates no more than a fixed
 * multiple of len. Returns 0, -EPROTO if the frame isn't exactly a message of that type, -ENOMEM.
 */
int msg_unpack(enum msg_type type, const uint8_t *frame, size_t len, union msg *msg);

#endif
