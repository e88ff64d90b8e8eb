/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "cli/doctor.h"
#include "common/msg.h"
#include "common/put.h"

#define JSON_MAX 262144u

static void open_under(struct jsonbuf *json, const char *key, char bracket)
{
	jsonbuf_key(json, key);
	jsonbuf_open(json, bracket);
}

static void put_kernel(struct jsonbuf *json, const struct doctor *doctor)
{
	const struct doctor_kernel *kernel = &doctor->kernel;

	open_under(json, "kernel", '{');
	put_text(json, "release", kernel->release);
	put_text(json, "machine", kernel->machine);
	put_flag(json, "cap_bpf", kernel->has_cap_bpf);
	put_flag(json, "initial_user_namespace", kernel->initial_user_namespace);
	put_signed(json, "landlock_abi", kernel->landlock_abi < 0 ? 0 : kernel->landlock_abi);
	put_flag(json, "seccomp", kernel->seccomp == 0);
	put_flag(json, "conntrack", kernel->conntrack);
	jsonbuf_close(json, '}');
	open_under(json, "features", '{');
	for (int i = 0; i < FEATURE_COUNT; i++)
		put_signed(json, feature_name((enum feature)i), doctor->features.of[i]);
	jsonbuf_close(json, '}');
}

static void put_self(struct jsonbuf *json, const struct doctor *doctor)
{
	const struct doctor_self *self = &doctor->self;

	open_under(json, "self", '{');
	put_flag(json, "root", self->root);
	put_flag(json, "tried", self->tried);
	put_caps(json, "cap_bounding", self->bounding);
	put_flag(json, "init_no_new_privs", self->init_no_new_privs);
	jsonbuf_key(json, "memlock_bytes");
	if (self->memlock_bytes == UINT64_MAX)
		jsonbuf_null(json);
	else
		jsonbuf_u64(json, self->memlock_bytes);
	put_text(json, "user", doctor->user.name);
	put_text(json, "group", doctor->user.group);
	jsonbuf_close(json, '}');
}

static void put_grounds(struct jsonbuf *json, const struct doctor *doctor)
{
	open_under(json, "instance", '{');
	put_text(json, "type", instance_name(doctor->instance.type));
	put_text(json, "evidence", doctor->instance.evidence);
	put_flag(json, "tenants_only", plan_is_fargate(doctor->instance.type));
	jsonbuf_close(json, '}');
	open_under(json, "btf", '{');
	put_text(json, "source", doctor->btf.err ? "none" : btf_source_name(doctor->btf.source));
	put_text(json, "file", doctor->btf.err ? "" : doctor->btf.file);
	put_text(json, "problem", doctor->btf.err ? doctor->btf.what : "");
	jsonbuf_close(json, '}');
}

static void put_probe(struct jsonbuf *json, const struct probe *probe, const struct plan *plan,
		      uint32_t i)
{
	static const char *const states[PROBE_STATE_COUNT] = {
		[PROBE_OFF] = "off", [PROBE_MISSING] = "missing", [PROBE_PLANNED] = "planned"};
	const char *why = plan->off_why[i] ? plan->off_why[i] : "";
	char note[DOCTOR_TEXT_MAX];

	snprintf(note, sizeof(note), "%s%s%s", why, why[0] && probe->without ? ": " : "",
		 why[0] && probe->without ? probe->without : "");
	jsonbuf_open(json, '{');
	put_text(json, "program", probe->program);
	put_text(json, "hook", probe->hook);
	put_flag(json, "required", probe->required);
	put_text(json, "state", states[plan->probes[i]]);
	put_text(json, "note", plan->probes[i] == PROBE_OFF ? why : note);
	jsonbuf_close(json, '}');
}

static void put_tracer(struct jsonbuf *json, enum config_tracer which,
		       const struct doctor_tracer *tracer)
{
	const struct tracer_type *type = tracer_type(which);
	bool planned = tracer->result != PLAN_NOT_SUPPORTED;

	jsonbuf_open(json, '{');
	put_text(json, "name", type->name);
	put_signed(json, "order", tracer->order);
	put_text(json, "result", doctor_plan_result(tracer->result));
	put_text(json, "why", doctor_plan_why(tracer->plan.why));
	put_text(json, "by_name", doctor_plan_result(tracer->by_name));
	put_text(json, "by_name_why", doctor_plan_why(tracer->named.why));
	put_text(json, "store", tracer->plan.store == STORE_TABLE ? "table" : "socket");
	open_under(json, "probes", '[');
	for (uint32_t i = 0; planned && i < type->probe_count; i++)
		put_probe(json, &type->probes[i], &tracer->plan, i);
	jsonbuf_close(json, ']');
	jsonbuf_close(json, '}');
}

static void put_file(struct jsonbuf *json, const struct doctor_file *file)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", (unsigned int)file->mode & 07777);
	jsonbuf_open(json, '{');
	put_text(json, "path", file->path);
	put_flag(json, "ok", !file->finding.what[0]);
	put_text(json, "problem", file->finding.what);
	put_text(json, "remedy", file->finding.remedy);
	put_text(json, "owner", file->owner);
	put_text(json, "group", file->group);
	put_text(json, "mode", file->err ? "" : mode);
	put_caps(json, "cap_permitted", file->permitted);
	jsonbuf_close(json, '}');
}

static void put_memory(struct jsonbuf *json, const struct doctor_memory *memory)
{
	open_under(json, "memory", '{');
	put_signed(json, "total_bytes", (int64_t)memory->total_bytes);
	put_signed(json, "available_bytes", (int64_t)memory->available_bytes);
	put_signed(json, "budget_bytes", (int64_t)memory->budget_bytes);
	put_signed(json, "ring_bytes", memory->sizes.ring_bytes);
	put_signed(json, "conn_max", memory->sizes.conn_max);
	put_signed(json, "live_max", memory->sizes.live_max);
	jsonbuf_close(json, '}');
}

static void put_findings(struct jsonbuf *json, const char *key,
			 const struct doctor_findings *findings)
{
	open_under(json, key, '[');
	for (uint32_t i = 0; i < findings->count; i++) {
		const struct doctor_finding *finding = &findings->list[i];

		jsonbuf_open(json, '{');
		put_text(json, "weight", doctor_verdict_name(finding->weight));
		put_text(json, "what", finding->what);
		put_text(json, "remedy", finding->remedy);
		jsonbuf_close(json, '}');
	}
	jsonbuf_close(json, ']');
}

int doctor_json_print(const struct doctor *doctor)
{
	static char text[JSON_MAX];
	bool none = doctor->chosen == TRACER_AUTO;
	struct jsonbuf json;

	jsonbuf_init(&json, text, sizeof(text));
	jsonbuf_open(&json, '{');
	put_text(&json, "verdict", doctor_verdict_name(doctor->verdict));
	put_signed(&json, "exit", doctor->verdict);
	put_text(&json, "conclusion", doctor->conclusion);
	put_text(&json, "tracer", none ? "" : config_tracers[doctor->chosen]);
	put_flag(&json, "assumed", doctor->assumed);
	put_text(&json, "version", VERSION);
	put_kernel(&json, doctor);
	put_self(&json, doctor);
	put_grounds(&json, doctor);
	open_under(&json, "tracers", '[');
	for (int i = TRACER_AUTO + 1; i < TRACER_COUNT; i++)
		put_tracer(&json, (enum config_tracer)i, &doctor->tracers[i]);
	jsonbuf_close(&json, ']');
	open_under(&json, "files", '[');
	for (uint32_t i = 0; i < doctor->file_count; i++)
		put_file(&json, &doctor->files[i]);
	jsonbuf_close(&json, ']');
	put_memory(&json, &doctor->memory);
	put_findings(&json, "problems", &doctor->problems);
	put_findings(&json, "losses", &doctor->losses);
	jsonbuf_close(&json, '}');
	jsonbuf_newline(&json);
	if (json.full)
		return -EMSGSIZE;
	return fwrite(text, 1, json.len, stdout) == json.len && fflush(stdout) == 0 ? 0 : -EIO;
}
