/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace doctor: what this machine offers, gathered (doctor_host.c, doctor_files.c, and the
 * loader's own code for all that the loader looks at); what follows from it (doctor_judge.c, pure);
 * and its two ways onto paper.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/installation.h"
#include "loader/btf.h"
#include "loader/features.h"
#include "loader/instance.h"
#include "loader/plan.h"

#define DOCTOR_TEXT_MAX     1024u
#define DOCTOR_NAME_MAX     48u
#define DOCTOR_FILES_MAX    12u
#define DOCTOR_FINDINGS_MAX 24u

/* The exit codes. */
enum doctor_verdict {
	DOCTOR_WELL,
	DOCTOR_DEGRADED,
	DOCTOR_CANNOT, /* run */
};

/* Something to be said. */
struct doctor_finding {
	enum doctor_verdict weight; /* the verdict is no better; DOCTOR_WELL: only to be known */
	char what[DOCTOR_TEXT_MAX];
	char remedy[2 * DOCTOR_TEXT_MAX]; /* "" = none */
};

struct doctor_findings {
	struct doctor_finding list[DOCTOR_FINDINGS_MAX];
	uint32_t count;
};

struct doctor_kernel {
	char release[65], machine[65];
	bool has_cap_bpf;            /* it knows that capability, as Linux does from 5.8 on */
	bool initial_user_namespace; /* we are in it */
	bool conntrack;              /* it tracks connections, in our network namespace */
	int landlock_abi;            /* 0 = none; or a negative errno */
	int seccomp;                 /* 0 = filters can be had, or a negative errno */
};

/* This process, as far as a conntraced that is started where it was would be the same. */
struct doctor_self {
	bool root;
	bool tried;             /* the trials among the features were made: it has what they need */
	bool init_no_new_privs; /* process 1, hence everything here, may gain no privilege */
	uint64_t bounding;
	uint64_t memlock_bytes; /* RLIMIT_MEMLOCK; UINT64_MAX = no limit */
};

/* Whom conntraced becomes when root starts it. */
struct doctor_user {
	bool known; /* there is such a user */
	uid_t uid;
	gid_t gid;
	char name[DOCTOR_NAME_MAX], group[DOCTOR_NAME_MAX];
};

struct doctor_btf {
	int err; /* of btf_find() */
	enum btf_source source;
	char file[BTF_FILE_MAX];
	char what[DOCTOR_TEXT_MAX]; /* the reason and the remedy, if err */
};

struct doctor_memory {
	uint64_t total_bytes, available_bytes; /* 0 = not known */
	uint64_t budget_bytes;
	struct config sizes; /* what follows from the budget */
};

enum doctor_file_kind {
	DOCTOR_PROGRAMS, /* directory */
	DOCTOR_OBJECTS,  /* directory */
	DOCTOR_SUPERVISOR,
	DOCTOR_LOADER,
	DOCTOR_CHILD,
	DOCTOR_OBJECT,
};

struct doctor_file {
	enum doctor_file_kind kind;
	enum config_tracer tracer; /* whose object it is */
	char path[PATH_MAX];

	/* Found. The rest is 0 if err is not. */
	int err; /* positive, of looking at it */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	char owner[DOCTOR_NAME_MAX], group[DOCTOR_NAME_MAX];
	bool nosuid, noexec;             /* the file system is mounted so */
	bool mine;                       /* this process may execute or enter it */
	uint64_t permitted, inheritable; /* its capabilities */
	bool effective;                  /* those are raised at once */
	int object_err;                  /* of object_open() */
	char object_why[DOCTOR_TEXT_MAX];

	/* Judged. Nothing in what: all well. */
	struct doctor_finding finding;
};

/* One tracer on this machine. */
struct doctor_tracer {
	uint32_t order; /* 1 = tried first; 0 = not tried */
	enum plan_result result;
	struct plan plan;
	enum plan_result by_name; /* if the configuration asked for it, whatever the instance */
	struct plan named;
};

struct doctor {
	/* Asked for. */
	enum config_tracer wanted;
	enum config_instance configured;
	bool nat;

	/* Found. */
	struct doctor_kernel kernel;
	struct doctor_self self;
	struct doctor_user user;
	struct doctor_memory memory;
	struct doctor_btf btf;
	struct features features;
	struct instance instance;
	struct doctor_file files[DOCTOR_FILES_MAX];
	uint32_t file_count;

	/* Judged. */
	struct doctor_tracer tracers[TRACER_COUNT]; /* but for TRACER_AUTO */
	enum config_tracer chosen;                  /* TRACER_AUTO = none can run */
	struct doctor_findings problems;            /* the heaviest first */
	struct doctor_findings losses; /* what the chosen tracer does not tell, and why */
	bool assumed;                  /* not everything could be tried or looked at */
	enum doctor_verdict verdict;
	char conclusion[DOCTOR_TEXT_MAX]; /* "would run: tracepoint" */
};

/* Look. The struct is large: static. They can't fail: what can't be had is left at 0. */
void doctor_look_at_host(struct doctor *doctor);
void doctor_look_at_files(struct doctor *doctor, const struct installation *installation);

/* The name, or the number of one that has none. */
void doctor_name_user(uid_t uid, char name[DOCTOR_NAME_MAX]);
void doctor_name_group(gid_t gid, char name[DOCTOR_NAME_MAX]);

/* Everything under "Judged" from everything else. Pure. */
void doctor_judge(struct doctor *doctor);

/* doctor_judge()'s part for the files, which needs to know the chosen tracer. Pure. */
void doctor_judge_files(struct doctor *doctor);

/* Add to the list; what finds no room is left out. */
void doctor_find(struct doctor_findings *findings, enum doctor_verdict weight, const char *remedy,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* "ok", "degraded", "cannot_run" */
const char *doctor_verdict_name(enum doctor_verdict verdict);

/* "ok", "degraded", "not_supported", "hook_missing" */
const char *doctor_plan_result(enum plan_result result);

/* Why, without a word that the result has said already. */
const char *doctor_plan_why(const char *why);

/* Print to standard output. Return 0, or a negative errno if it can't be written. */
int doctor_text_print(const struct doctor *doctor);
int doctor_json_print(const struct doctor *doctor);

#endif
