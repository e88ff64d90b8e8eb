/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conntrace doctor: would conntraced trace this machine, how, and what stands in the way. It looks
 * with the loader's own code and as the loader would, so that both come to the same end.
 */
#include "cli/doctor.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/privs.h"

static void look_at_instance(struct doctor *doctor)
{
	static struct instance_env env;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	instance_capture(&env);
	instance_detect(&env, root, doctor->configured, &doctor->instance);
	if (root >= 0)
		close(root);
}

/*
 * Trials with the loader's two capabilities and no other: what CAP_SYS_ADMIN may do says nothing
 * about the loader.
 */
static void try_features(struct doctor *doctor, const struct btf *kernel)
{
	struct privs before = {.permitted = 0};

	if (doctor->self.tried)
		doctor->self.tried = privs_read(&before) == 0 &&
				     privs_set_caps(before.permitted, PRIVS_LOADER) == 0;
	features_probe(&doctor->features, kernel, doctor->self.tried);
	if (doctor->self.tried)
		(void)privs_set_caps(before.permitted, before.effective);
}

static void look_at_kernel_types(struct doctor *doctor, const char *objects)
{
	int dir = open(objects, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct btf_choice choice;

	doctor->btf.err = btf_find(&choice, "", dir, doctor->btf.what, sizeof(doctor->btf.what));
	doctor->btf.source = choice.source;
	memcpy(doctor->btf.file, choice.file, sizeof(choice.file));
	try_features(doctor, choice.kernel);
	btf_drop(&choice);
	if (dir >= 0)
		close(dir);
}

int cli_doctor(const struct cli_options *options)
{
	static struct installation installation;
	static struct doctor doctor;
	int err = installation_find(&installation);

	if (err) {
		fprintf(stderr, "conntrace: doctor: own path: %s\n", strerror(-err));
		return DOCTOR_CANNOT;
	}
	doctor.wanted = options->tracer;
	doctor.configured = options->instance;
	doctor.nat = options->nat;
	doctor_look_at_host(&doctor);
	doctor_look_at_files(&doctor, &installation);
	look_at_instance(&doctor);
	look_at_kernel_types(&doctor, installation.objects);
	doctor_judge(&doctor);
	err = options->json ? doctor_json_print(&doctor) : doctor_text_print(&doctor);
	if (err)
		fprintf(stderr, "conntrace: doctor: standard output: %s\n", strerror(-err));
	return err ? DOCTOR_CANNOT : (int)doctor.verdict;
}
