/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/signed_rc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rc/rc.h"
#include "rc/shelf.h"
#include "verifier/outcome.h"

struct run {
	const struct signed_input *input;
	struct signed_result *result;
	struct stock store, bundle;
	struct shelf shelf;
	struct shelf_memory memory;
	struct rc *rc;
};

/* --- what the store is to have ------------------------------------------------------------------
 */

/* A file of the set that was verified: from what was fetched, or stored already. */
static void list_name(struct run *run, const char *name, uint32_t why)
{
	outcome_list_file(run->result, name, why, stock_find(&run->bundle, name));
}

static void list_metadata(struct run *run, const char *role, uint64_t version, uint32_t why)
{
	char name[SHELF_NAME_MAX];

	if (shelf_name_metadata(role, version, name) == 0)
		list_name(run, name, why);
}

static void list_roots(struct run *run, uint64_t newest)
{
	size_t count = 0;

	while (rc_root(run->rc, count).bytes)
		count++;
	for (size_t i = 1; i < count; i++)
		list_metadata(run, "root", newest - (count - 1 - i), FILE_LATEST);
}

static void list_accepted(struct run *run)
{
	const struct rc_file *file;
	struct rc_versions versions;
	char name[SHELF_NAME_MAX];

	rc_versions(run->rc, &versions);
	list_roots(run, versions.root);
	list_metadata(run, "targets", versions.targets, FILE_LATEST | FILE_NEW);
	for (size_t i = 0; (file = rc_file(run->rc, i)); i++) {
		if (shelf_name_file(file, name) == 0)
			list_name(run, name, FILE_NEW);
		else
			run->result->full = true;
	}
}

/* --- a run ---------------------------------------------------------------------------------------
 */

/* The path's end, which is what tells files apart. */
static void name_part(const struct rc_file *file, char name[CONFIG_NAME_MAX])
{
	size_t len = strlen(file->path), most = CONFIG_NAME_MAX - 1;

	snprintf(name, CONFIG_NAME_MAX, "%s", file->path + (len > most ? len - most : 0));
}

/* Texts of the input, which lives longer than the rc. */
static void take_parts(struct run *run)
{
	struct signed_result *result = run->result;
	const struct stock *from = run->input->offline ? &run->store : &run->bundle;
	const struct rc_file *file;
	char name[SHELF_NAME_MAX];

	for (size_t i = 0; (file = rc_file(run->rc, i)); i++) {
		const struct stock_file *found =
			shelf_name_file(file, name) == 0 ? stock_find(from, name) : NULL;
		struct schema_text *part = &result->parts[result->part_count];

		if (!found) {
			outcome_tell(result, TRUST_too_large, "a path is too long to be stored");
			result->part_count = 0;
			return;
		}
		name_part(file, result->names[result->part_count]);
		part->name = result->names[result->part_count++];
		part->text = found->bytes;
		part->len = found->len_bytes;
	}
}
_Static_assert(RC_FILES_MAX <= SIGNED_PARTS_MAX, "signed_rc: parts");

static void tell_versions(struct run *run)
{
	struct msg_signed *told = &run->result->told;
	struct rc_versions v;

	rc_versions(run->rc, &v);
	told->versions[MSG_ROLE_ROOT] = v.root;
	told->versions[MSG_ROLE_TARGETS] = v.targets;
	told->expires_s[MSG_ROLE_ROOT] = outcome_expiry(v.root_expires_s);
	told->expires_s[MSG_ROLE_TARGETS] = outcome_expiry(v.targets_expires_s);
}

/* One that begins at the root that was installed; NULL after telling why not. */
static struct rc *begin(struct run *run)
{
	struct rc_options options = {.products = {RC_PRODUCT}, .product_count = 1};
	struct tuf_why why;
	struct rc *rc;

	if (!run->input->offline)
		options.floor = run->memory.floor;
	rc = rc_new(&options, run->input->root.bytes, run->input->root.len_bytes, &why);
	if (!rc)
		outcome_refuse(run->result, &why);
	return rc;
}

/*
 * What is in force says how far the versions had come, even if the floor is lost. In an rc of its
 * own: its files must not stand in for what was fetched.
 */
static void remember_stored(struct run *run)
{
	struct rc *rc = begin(run);
	struct rc_versions versions;
	struct tuf_why why;

	if (!rc)
		return;
	rc_versions(rc, &versions);
	if (shelf_read_store(&run->shelf, &run->store, versions.root) == 0 &&
	    rc_apply(rc, &run->shelf.update, RC_NO_CLOCK, &why) == TUF_OK)
		rc_floor(rc, &run->memory.floor);
	rc_free(rc);
}

static bool open_rc(struct run *run)
{
	if (!run->input->offline)
		remember_stored(run);
	run->rc = begin(run);
	return run->rc != NULL;
}

static void apply(struct run *run)
{
	const struct signed_input *input = run->input;
	struct rc_versions versions;
	struct tuf_why why;
	int err;

	rc_versions(run->rc, &versions);
	err = input->offline
		      ? shelf_read_store(&run->shelf, &run->store, versions.root)
		      : shelf_read_bundle(&run->shelf, &run->store, &run->bundle, versions.root);
	if (err == -EBADMSG)
		outcome_tell(run->result, TRUST_untrusted, "a file is gone");
	else if (err)
		outcome_tell(run->result, TRUST_malformed,
			     "not what this protocol stores and sends");
	else if (rc_apply(run->rc, &run->shelf.update, input->offline ? RC_NO_CLOCK : input->now_s,
			  &why) != TUF_OK)
		outcome_refuse(run->result, &why);
	else
		outcome_tell(run->result, TRUST_accepted, "");
	tell_versions(run);
}

static void end_online(struct run *run)
{
	struct signed_result *result = run->result;
	struct shelf_memory memory = {.time_s = run->input->now_s};

	if (result->told.trust == TRUST_accepted) {
		take_parts(run);
		list_accepted(run);
	}
	outcome_list_stored(result, &run->store);
	if (!outcome_settle(result))
		return;
	rc_floor(run->rc, &memory.floor);
	shelf_write_memory(&memory, result->told.floor);
}
_Static_assert(SHELF_FLOOR_MAX == MSG_FLOOR_MAX && SHELF_NAME_MAX == MSG_FILE_NAME_MAX,
	       "signed_rc: sizes");

static void run_online(struct run *run)
{
	(void)stock_mark(&run->store);
	if (outcome_read_bundle(run->result, run->input, run->memory.time_s, &run->bundle) &&
	    open_rc(run))
		apply(run);
	end_online(run);
}

static void run_offline(struct run *run)
{
	if (!stock_mark(&run->store))
		outcome_tell(run->result, TRUST_none, "");
	else if (open_rc(run))
		apply(run);
	if (run->result->told.trust == TRUST_accepted)
		take_parts(run);
}

int signed_rc_verify(const struct signed_input *input, struct signed_result *result)
{
	static struct run run;
	int err;

	memset(&run, 0, sizeof(run));
	run.input = input;
	run.result = result;
	err = outcome_begin(result, input, &run.store);
	if (err)
		return err;
	shelf_read_memory(&run.store, &run.memory);
	if (input->offline)
		run_offline(&run);
	else
		run_online(&run);
	rc_free(run.rc);
	return 0;
}
