/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment variables that tell what kind of instance this is: the supervisor hands the
 * loader these, and no other child any. What they mean is in loader/instance.c.
 */
#ifndef COMMON_INSTANCE_ENV_H
#define COMMON_INSTANCE_ENV_H

/* clang-format off */
#define INSTANCE_VARIABLES(X) \
	X(ECS_FARGATE) \
	X(EKS_FARGATE) \
	X(DD_EKS_FARGATE) \
	X(AWS_EXECUTION_ENV) \
	X(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI) \
	X(ECS_CONTAINER_METADATA_URI) \
	X(ECS_CONTAINER_METADATA_URI_V4) \
	X(KUBERNETES_SERVICE_HOST) \
	X(KUBERNETES_SERVICE_PORT) \
	X(KUBERNETES) \
	X(container)
/* clang-format on */

enum instance_variable {
#define X(name) INSTANCE_ENV_##name,
	INSTANCE_VARIABLES(X)
#undef X
		INSTANCE_ENV_COUNT,
};

#endif
