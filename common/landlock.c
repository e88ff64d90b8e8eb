/* SPDX-License-Identifier: Apache-2.0 */
#include "common/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights by the ABI that brought them; Debian 12's header ends at ABI 2. */
#define FS_ABI1  ((UINT64_C(1) << 13) - 1)
#define FS_REFER (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNC (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL (UINT64_C(1) << 15) /* ABI 5 */
#define NET_TCP  UINT64_C(3)         /* ABI 4: bind, connect */

#define FS_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

/* struct landlock_ruleset_attr as of ABI 4; older kernels take its first member alone. */
struct ruleset {
	uint64_t fs;
	uint64_t net;
};

/* struct landlock_net_port_attr, and its rule type. */
struct port_rule {
	uint64_t access;
	uint64_t port;
};
#define RULE_NET_PORT 2
#define TCP_CONNECT   UINT64_C(2)

static struct ruleset ruleset_for(int abi)
{
	struct ruleset set = {.fs = FS_ABI1};

	set.fs |= abi >= 2 ? FS_REFER : 0;
	set.fs |= abi >= 3 ? FS_TRUNC : 0;
	set.fs |= abi >= 5 ? FS_IOCTL : 0;
	set.net = abi >= 4 ? NET_TCP : 0;
	return set;
}

/* A file has no rights of directories. */
static uint64_t rights_in(const struct landlock_room *room)
{
	struct stat st;

	if (fstat(room->fd, &st) == 0 && !S_ISDIR(st.st_mode))
		return LANDLOCK_ACCESS_FS_READ_FILE;
	if (room->names)
		return LANDLOCK_ACCESS_FS_READ_DIR;
	return room->write ? FS_READ | FS_WRITE : FS_READ;
}

static int add_rooms(int ruleset_fd, const struct landlock_room *rooms, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct landlock_path_beneath_attr beneath = {
			.allowed_access = rights_in(&rooms[i]),
			.parent_fd = rooms[i].fd,
		};

		if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &beneath,
			    0) < 0)
			return -errno;
	}
	return 0;
}

static int add_ports(int ruleset_fd, const uint16_t *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct port_rule rule = {.access = TCP_CONNECT, .port = ports[i]};

		if (syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0) < 0)
			return -errno;
	}
	return 0;
}

int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	return (int)abi;
}

int landlock_apply(const struct landlock_room *rooms, size_t count, const uint16_t *ports,
		   size_t port_count)
{
	int abi = landlock_abi();
	struct ruleset set;
	int fd, err;

	if (abi <= 0)
		return abi;
	set = ruleset_for(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &set,
			  abi >= 4 ? sizeof(set) : sizeof(set.fs), 0);
	if (fd < 0)
		return -errno;
	err = add_rooms(fd, rooms, count);
	if (!err && abi >= 4)
		err = add_ports(fd, ports, port_count);
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	if (!err && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	close(fd);
	return err ? err : abi;
}
