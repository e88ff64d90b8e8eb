/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/instance.h"
#include "tests/unit/tree.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const names[INSTANCE_ENV_COUNT] = {
#define X(name) [INSTANCE_ENV_##name] = #name,
	INSTANCE_VARIABLES(X)
#undef X
};

/* --- an environment and a root of our own --- */

static char root[64];
static int root_fd;
static struct instance_env env;

static int make_root(void **state)
{
	(void)state;
	memset(&env, 0, sizeof(env));
	snprintf(root, sizeof(root), "/tmp/conntrace-instance-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 ? -1 : 0;
}

static int remove_root(void **state)
{
	(void)state;
	close(root_fd);
	return tree_remove(root);
}

static void set_variable(const char *name, const char *value)
{
	for (int i = 0; i < INSTANCE_ENV_COUNT; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		snprintf(env.values[i], sizeof(env.values[i]), "%s", value);
		return;
	}
	fail_msg("no rule asks for %s", name);
}

/* Makes the directories above a path, and the path itself unless it ends with a slash. */
static void make_path(const char *path)
{
	char part[128];
	int fd;

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path - 1), path + 1);
		if (mkdirat(root_fd, part, 0755) < 0)
			assert_int_equal(errno, EEXIST);
	}
	if (path[strlen(path) - 1] == '/')
		return;
	fd = openat(root_fd, path + 1, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
}

static void expect(enum config_instance type, const char *evidence)
{
	struct instance found;

	memset(&found, 'x', sizeof(found));
	instance_detect(&env, root_fd, INSTANCE_AUTO, &found);
	if (found.type != type || strcmp(found.evidence, evidence) != 0)
		fail_msg("%s (%s), expected %s (%s)", instance_name(found.type), found.evidence,
			 instance_name(type), evidence);
}

/* --- each sign alone --- */

static const struct sign {
	enum config_instance type;
	const char *name,
		*value; /* a variable; or a path, of a directory if it ends with a slash */
	const char *evidence;
} signs[] = {
	{INSTANCE_ECS_FARGATE, "ECS_FARGATE", "true", "ECS_FARGATE=true"},
	{INSTANCE_ECS_FARGATE, "AWS_EXECUTION_ENV", "AWS_ECS_FARGATE",
	 "AWS_EXECUTION_ENV=AWS_ECS_FARGATE"},
	{INSTANCE_EKS_FARGATE, "EKS_FARGATE", "1", "EKS_FARGATE=1"},
	{INSTANCE_EKS_FARGATE, "DD_EKS_FARGATE", "true", "DD_EKS_FARGATE=true"},
	{INSTANCE_ECS_EC2, "AWS_EXECUTION_ENV", "AWS_ECS_EC2", "AWS_EXECUTION_ENV=AWS_ECS_EC2"},
	{INSTANCE_ECS_EC2, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/secret",
	 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
	{INSTANCE_ECS_EC2, "ECS_CONTAINER_METADATA_URI", "http://169.254.170.2/v3/x",
	 "ECS_CONTAINER_METADATA_URI"},
	{INSTANCE_ECS_EC2, "ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x",
	 "ECS_CONTAINER_METADATA_URI_V4"},
	{INSTANCE_ECS_EC2, "/etc/ecs/ecs.config", NULL, "/etc/ecs/ecs.config"},
	{INSTANCE_KUBERNETES, "KUBERNETES_SERVICE_HOST", "10.96.0.1", "KUBERNETES_SERVICE_HOST"},
	{INSTANCE_KUBERNETES, "KUBERNETES_SERVICE_PORT", "443", "KUBERNETES_SERVICE_PORT"},
	{INSTANCE_KUBERNETES, "KUBERNETES", "yes", "KUBERNETES=yes"},
	{INSTANCE_KUBERNETES, "/var/run/secrets/kubernetes.io/serviceaccount/", NULL,
	 "/var/run/secrets/kubernetes.io/serviceaccount"},
	{INSTANCE_CONTAINER, "container", "podman", "container"},
	{INSTANCE_CONTAINER, "/run/systemd/container", NULL, "/run/systemd/container"},
	{INSTANCE_CONTAINER, "/run/host/container-manager", NULL, "/run/host/container-manager"},
	{INSTANCE_CONTAINER, "/run/.containerenv", NULL, "/run/.containerenv"},
	{INSTANCE_CONTAINER, "/.dockerenv", NULL, "/.dockerenv"},
};

static void give(const struct sign *sign)
{
	if (sign->value)
		set_variable(sign->name, sign->value);
	else
		make_path(sign->name);
}

static void test_instance_is_told_by_each_sign(void **state)
{
	for (size_t i = 0; i < COUNT(signs); i++) {
		assert_int_equal(remove_root(state) | make_root(state), 0);
		give(&signs[i]);
		expect(signs[i].type, signs[i].evidence);
	}
}

static void test_instance_is_a_host_without_a_sign(void **state)
{
	(void)state;
	expect(INSTANCE_HOST, "no sign of anything else");
	make_path("/etc/ecs/");
	make_path("/run/systemd/");
	expect(INSTANCE_HOST, "no sign of anything else");
}

/* --- several, and none --- */

/* From the last to the first: each sign added wins over all before it. */
static void test_instance_is_the_most_special_of_all_signs(void **state)
{
	(void)state;
	for (size_t i = COUNT(signs); i-- > 0;) {
		give(&signs[i]);
		expect(signs[i].type, signs[i].evidence);
	}
}

static void test_instance_knows_a_real_environment(void **state)
{
	(void)state;
	/* A Fargate task has the addresses of ECS. */
	set_variable("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/x");
	set_variable("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE");
	expect(INSTANCE_ECS_FARGATE, "AWS_EXECUTION_ENV=AWS_ECS_FARGATE");
	set_variable("AWS_EXECUTION_ENV", "AWS_ECS_MANAGED_INSTANCES");
	expect(INSTANCE_ECS_EC2, "ECS_CONTAINER_METADATA_URI_V4");
	/* A pod of EKS, on Fargate if somebody says so. */
	memset(&env, 0, sizeof(env));
	set_variable("KUBERNETES_SERVICE_HOST", "10.96.0.1");
	set_variable("AWS_EXECUTION_ENV", "AWS_Lambda_python3.12");
	make_path("/.dockerenv");
	expect(INSTANCE_KUBERNETES, "KUBERNETES_SERVICE_HOST");
	set_variable("DD_EKS_FARGATE", "true");
	expect(INSTANCE_EKS_FARGATE, "DD_EKS_FARGATE=true");
}

static void test_instance_flags_are_true_or_no_sign(void **state)
{
	static const char *const yes[] = {"true", "True", "TRUE", "t",  "1",
					  "yes",  "YES",  "y",    "on", "On"};
	static const char *const no[] = {"",   "false",  "0",     "no",         "off",   "n",
					 "2",  "01",     "true ", " 1",         "truer", "yess",
					 "tr", "true\n", "-1",    "tru\x65\x01"};
	struct instance found;

	(void)state;
	for (size_t i = 0; i < COUNT(yes); i++) {
		set_variable("ECS_FARGATE", yes[i]);
		instance_detect(&env, root_fd, INSTANCE_AUTO, &found);
		assert_int_equal(found.type, INSTANCE_ECS_FARGATE);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		set_variable("ECS_FARGATE", no[i]);
		set_variable("DD_EKS_FARGATE", no[i]);
		set_variable("KUBERNETES", no[i]);
		expect(INSTANCE_HOST, "no sign of anything else");
	}
}

static void test_instance_is_what_the_configuration_says(void **state)
{
	struct instance found;

	(void)state;
	set_variable("ECS_FARGATE", "true");
	make_path("/.dockerenv");
	for (uint32_t type = INSTANCE_AUTO + 1; type < INSTANCE_COUNT; type++) {
		instance_detect(&env, root_fd, (enum config_instance)type, &found);
		assert_int_equal(found.type, type);
		assert_string_equal(found.evidence, "configuration");
	}
}

/* --- what others wrote --- */

static void assert_printable(const char *text)
{
	for (; *text; text++)
		assert_in_range(*text, 0x20, 0x7e);
}

/* Whatever is in a variable: it is no known value, and nothing of it is shown. */
static void test_instance_shows_no_byte_of_a_hostile_value(void **state)
{
	static const char *const values[] = {
		"\x1b[31mred",         "true\nloader: all is well", "%s%n%n%n",
		"AWS_ECS_FARGATE\x01", "\xff\xfe\xc3\x28",          "AWS_ECS_EC2 AWS_ECS_FARGATE",
		"../../../etc/passwd",
	};
	struct instance found;

	(void)state;
	for (size_t v = 0; v < COUNT(values); v++) {
		for (int i = 0; i < INSTANCE_ENV_COUNT; i++) {
			memset(&env, 0, sizeof(env));
			set_variable(names[i], values[v]);
			instance_detect(&env, root_fd, INSTANCE_AUTO, &found);
			assert_printable(found.evidence);
			assert_true(found.type == INSTANCE_HOST ||
				    strcmp(found.evidence, names[i]) == 0);
			assert_int_not_equal(found.type, INSTANCE_ECS_FARGATE);
			assert_int_not_equal(found.type, INSTANCE_EKS_FARGATE);
		}
	}
}

static void test_instance_captures_its_variables_and_cuts_long_values(void **state)
{
	char *longest = malloc(100001);

	(void)state;
	assert_non_null(longest);
	memset(longest, 'A', 100000);
	memcpy(longest, "AWS_ECS_FARGATE", 15);
	longest[100000] = '\0';
	for (int i = 0; i < INSTANCE_ENV_COUNT; i++)
		unsetenv(names[i]);
	memset(&env, 'x', sizeof(env));
	instance_capture(&env);
	expect(INSTANCE_HOST, "no sign of anything else");
	for (size_t i = 0; i < COUNT(signs); i++) {
		if (!signs[i].value)
			continue;
		setenv(signs[i].name, signs[i].value, 1);
		instance_capture(&env);
		expect(signs[i].type, signs[i].evidence);
		unsetenv(signs[i].name);
	}
	setenv("AWS_EXECUTION_ENV", longest, 1);
	setenv("KUBERNETES_SERVICE_HOST", longest, 1);
	setenv("container", "", 1);
	instance_capture(&env);
	expect(INSTANCE_KUBERNETES, "KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_HOST");
	instance_capture(&env);
	expect(INSTANCE_HOST, "no sign of anything else");
	unsetenv("AWS_EXECUTION_ENV");
	unsetenv("container");
	free(longest);
}

/* --- files that are not what they should be --- */

static void test_instance_wants_files_of_the_right_kind(void **state)
{
	(void)state;
	make_path("/etc/ecs/ecs.config/");
	make_path("/.dockerenv/");
	make_path("/run/.containerenv/");
	make_path("/run/systemd/container/");
	make_path("/run/host/container-manager/");
	make_path("/var/run/secrets/kubernetes.io/serviceaccount");
	expect(INSTANCE_HOST, "no sign of anything else");
	assert_int_equal(mkfifoat(root_fd, "fifo", 0644), 0);
	assert_int_equal(unlinkat(root_fd, ".dockerenv", AT_REMOVEDIR), 0);
	assert_int_equal(symlinkat("nowhere", root_fd, ".dockerenv"), 0);
	expect(INSTANCE_HOST, "no sign of anything else");
	assert_int_equal(symlinkat("fifo", root_fd, "nowhere"), 0);
	expect(INSTANCE_HOST, "no sign of anything else");
	make_path("/there");
	assert_int_equal(renameat(root_fd, "there", root_fd, "nowhere"), 0);
	expect(INSTANCE_CONTAINER, "/.dockerenv");
}

/* /var/run is a link to /run nearly everywhere; here it must not be an absolute one. */
static void test_instance_follows_a_linked_directory(void **state)
{
	(void)state;
	make_path("/run/secrets/kubernetes.io/serviceaccount/");
	make_path("/var/");
	expect(INSTANCE_HOST, "no sign of anything else");
	assert_int_equal(symlinkat("../run", root_fd, "var/run"), 0);
	expect(INSTANCE_KUBERNETES, "/var/run/secrets/kubernetes.io/serviceaccount");
}

static void test_instance_does_without_a_root_that_cannot_be_looked_into(void **state)
{
	const int kept = root_fd;
	const uid_t uid = geteuid();

	(void)state;
	make_path("/.dockerenv");
	make_path("/file");
	assert_int_equal(chmod(root, 0), 0);
	assert_int_equal(seteuid(uid ? uid : 65534), 0);
	expect(INSTANCE_HOST, "no sign of anything else");
	set_variable("container", "lxc");
	expect(INSTANCE_CONTAINER, "container");
	assert_int_equal(seteuid(uid), 0);
	assert_int_equal(chmod(root, 0700), 0);

	memset(&env, 0, sizeof(env));
	root_fd = -1;
	expect(INSTANCE_HOST, "no sign of anything else");
	root_fd = openat(kept, "file", O_RDONLY | O_CLOEXEC);
	assert_true(root_fd >= 0);
	expect(INSTANCE_HOST, "no sign of anything else");
	set_variable("KUBERNETES_SERVICE_PORT", "443");
	expect(INSTANCE_KUBERNETES, "KUBERNETES_SERVICE_PORT");
	close(root_fd);
	root_fd = kept;
}

/* --- names --- */

static void test_instance_has_the_names_of_the_configuration(void **state)
{
	(void)state;
	assert_string_equal(instance_name(INSTANCE_HOST), "host");
	assert_string_equal(instance_name(INSTANCE_EKS_FARGATE), "eks-fargate");
	assert_string_equal(instance_name(INSTANCE_COUNT), "unknown");
	assert_string_equal(instance_name(UINT32_MAX), "unknown");
}

static void test_instance_needs_every_variable_it_is_handed(void **state)
{
	(void)state;
	for (int i = 0; i < INSTANCE_ENV_COUNT; i++) {
		size_t at = 0;

		while (at < COUNT(signs) && strcmp(signs[at].name, names[i]) != 0)
			at++;
		if (at == COUNT(signs))
			fail_msg("%s is no sign of anything", names[i]);
	}
}

/* The tests run in the root of the source tree. */
static void test_instance_signs_are_in_the_documentation(void **state)
{
	FILE *file = fopen("docs/configuration.md", "rb");
	char *text = calloc(1, CONFIG_TEXT_MAX), quoted[64];

	(void)state;
	assert_non_null(file);
	assert_non_null(text);
	assert_in_range(fread(text, 1, CONFIG_TEXT_MAX - 1, file), 1, CONFIG_TEXT_MAX - 2);
	fclose(file);
	for (size_t i = 0; i < COUNT(signs); i++) {
		snprintf(quoted, sizeof(quoted), "`%s`", signs[i].name);
		if (!strstr(text, quoted))
			fail_msg("docs/configuration.md says nothing of %s", quoted);
	}
	free(text);
}

#define with_root(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_root(test_instance_is_told_by_each_sign),
		with_root(test_instance_is_a_host_without_a_sign),
		with_root(test_instance_is_the_most_special_of_all_signs),
		with_root(test_instance_knows_a_real_environment),
		with_root(test_instance_flags_are_true_or_no_sign),
		with_root(test_instance_is_what_the_configuration_says),
		with_root(test_instance_shows_no_byte_of_a_hostile_value),
		with_root(test_instance_captures_its_variables_and_cuts_long_values),
		with_root(test_instance_wants_files_of_the_right_kind),
		with_root(test_instance_follows_a_linked_directory),
		with_root(test_instance_does_without_a_root_that_cannot_be_looked_into),
		cmocka_unit_test(test_instance_has_the_names_of_the_configuration),
		cmocka_unit_test(test_instance_needs_every_variable_it_is_handed),
		cmocka_unit_test(test_instance_signs_are_in_the_documentation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
