/* SPDX-License-Identifier: Apache-2.0 */
/* What each step of the ladder does, in tables. */
#ifndef LOADER_STEPS_H
#define LOADER_STEPS_H

#include "loader/ladder.h"

/* What a step has to say about itself, beside how it ended. */
struct report {
	char detail[MSG_TEXT_MAX];
	enum outcome outcome; /* of the attempt, should this step end it */
};

typedef enum step_result (*step_run)(struct ladder *ladder, struct report *report);

/* A table of them ends with a NULL name. */
struct step {
	const char *name;
	step_run run;
	int exit_code;        /* when it fails */
	bool permanent;       /* trying again without a change cannot help */
	enum outcome outcome; /* when it fails, unless it says otherwise */
};

extern const struct step steps_first[];  /* what does not depend on the tracer */
extern const struct step steps_tracer[]; /* one tracer */
extern const struct step steps_last[];   /* once it is up */

/* Set the report's detail. */
void steps_say(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* On Fargate only processes of the own pid namespace are traced. */
bool steps_tenants_only(const struct ladder *ladder);

#endif
