/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/instance.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct rule {
	enum config_instance type;
	/* NULL if it doesn't hold, else the value to show, one of our own words or "". */
	const char *(*holds)(const struct rule *rule, const struct instance_env *env, int root_fd);
	enum instance_variable variable;
	const char *name;  /* of the variable; or an absolute path */
	const char *value; /* of is_value */
};

static const char *is_value(const struct rule *rule, const struct instance_env *env, int root_fd)
{
	(void)root_fd;
	return strcmp(env->values[rule->variable], rule->value) == 0 ? rule->value : NULL;
}

static const char *is_true(const struct rule *rule, const struct instance_env *env, int root_fd)
{
	static const char *const words[] = {"true", "1", "yes", "t", "y", "on"};

	(void)root_fd;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(env->values[rule->variable], words[i]) == 0)
			return words[i];
	return NULL;
}

static const char *is_set(const struct rule *rule, const struct instance_env *env, int root_fd)
{
	(void)root_fd;
	return env->values[rule->variable][0] ? "" : NULL;
}

static bool is_there(const struct rule *rule, int root_fd, mode_t kind)
{
	struct stat st;

	return fstatat(root_fd, rule->name + 1, &st, AT_NO_AUTOMOUNT) == 0 &&
	       (st.st_mode & S_IFMT) == kind;
}

/* Not a directory: that is what Docker makes of a file to be mounted which the host has not. */
static const char *is_file(const struct rule *rule, const struct instance_env *env, int root_fd)
{
	(void)env;
	return is_there(rule, root_fd, S_IFREG) ? "" : NULL;
}

static const char *is_directory(const struct rule *rule, const struct instance_env *env,
				int root_fd)
{
	(void)env;
	return is_there(rule, root_fd, S_IFDIR) ? "" : NULL;
}

#define VARIABLE(name) INSTANCE_ENV_##name, #name
#define PATH(path)     INSTANCE_ENV_COUNT, path

/*
 * The first that holds decides. The most special come first: a Fargate task has the signs of ECS,
 * too, and a pod those of a container.
 *
 * ECS: Amazon ECS Developer Guide, "Amazon ECS environment variables". What isn't set by ECS itself
 * is what the Datadog agent goes by (pkg/config/env), so that its users need to set nothing anew:
 * ECS_FARGATE, DD_EKS_FARGATE (EKS gives a pod no sign of Fargate), ecs.config and KUBERNETES.
 * Kubernetes: "Accessing the Kubernetes API from a Pod". Container: systemd, "The Container
 * Interface", and the files that Podman and Docker leave.
 */
static const struct rule rules[] = {
	{INSTANCE_ECS_FARGATE, is_true, VARIABLE(ECS_FARGATE), NULL},
	{INSTANCE_ECS_FARGATE, is_value, VARIABLE(AWS_EXECUTION_ENV), "AWS_ECS_FARGATE"},

	{INSTANCE_EKS_FARGATE, is_true, VARIABLE(EKS_FARGATE), NULL},
	{INSTANCE_EKS_FARGATE, is_true, VARIABLE(DD_EKS_FARGATE), NULL},

	{INSTANCE_ECS_EC2, is_value, VARIABLE(AWS_EXECUTION_ENV), "AWS_ECS_EC2"},
	{INSTANCE_ECS_EC2, is_set, VARIABLE(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI), NULL},
	{INSTANCE_ECS_EC2, is_set, VARIABLE(ECS_CONTAINER_METADATA_URI), NULL},
	{INSTANCE_ECS_EC2, is_set, VARIABLE(ECS_CONTAINER_METADATA_URI_V4), NULL},
	{INSTANCE_ECS_EC2, is_file, PATH("/etc/ecs/ecs.config"), NULL},

	{INSTANCE_KUBERNETES, is_set, VARIABLE(KUBERNETES_SERVICE_HOST), NULL},
	{INSTANCE_KUBERNETES, is_set, VARIABLE(KUBERNETES_SERVICE_PORT), NULL},
	{INSTANCE_KUBERNETES, is_true, VARIABLE(KUBERNETES), NULL},
	{INSTANCE_KUBERNETES, is_directory, PATH("/var/run/secrets/kubernetes.io/serviceaccount"),
	 NULL},

	{INSTANCE_CONTAINER, is_set, VARIABLE(container), NULL},
	{INSTANCE_CONTAINER, is_file, PATH("/run/systemd/container"), NULL},
	{INSTANCE_CONTAINER, is_file, PATH("/run/host/container-manager"), NULL},
	{INSTANCE_CONTAINER, is_file, PATH("/run/.containerenv"), NULL},
	{INSTANCE_CONTAINER, is_file, PATH("/.dockerenv"), NULL},
};

void instance_capture(struct instance_env *env)
{
	static const char *const names[INSTANCE_ENV_COUNT] = {
#define X(name) [INSTANCE_ENV_##name] = #name,
		INSTANCE_VARIABLES(X)
#undef X
	};

	memset(env, 0, sizeof(*env));
	for (int i = 0; i < INSTANCE_ENV_COUNT; i++) {
		const char *value = getenv(names[i]);

		if (value)
			snprintf(env->values[i], INSTANCE_VALUE_MAX, "%s", value);
	}
}

static void set(struct instance *out, enum config_instance type, const char *name,
		const char *value)
{
	out->type = type;
	snprintf(out->evidence, sizeof(out->evidence), "%s%s%s", name, value[0] ? "=" : "", value);
}

void instance_detect(const struct instance_env *env, int root_fd, enum config_instance configured,
		     struct instance *out)
{
	const struct rule *end = rules + sizeof(rules) / sizeof(rules[0]);
	const char *value = NULL;

	if (configured != INSTANCE_AUTO) {
		set(out, configured, "configuration", "");
		return;
	}
	for (const struct rule *rule = rules; rule < end && !value; rule++) {
		value = rule->holds(rule, env, root_fd);
		if (value)
			set(out, rule->type, rule->name, value);
	}
	if (!value)
		set(out, INSTANCE_HOST, "no sign of anything else", "");
}

const char *instance_name(uint32_t type)
{
	return type < INSTANCE_COUNT ? config_instances[type] : "unknown";
}
