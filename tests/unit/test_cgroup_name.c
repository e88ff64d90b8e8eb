/* SPDX-License-Identifier: Apache-2.0 */
/* The forms are those that the runtimes' own sources and reports of their users show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "record/cgroup_name.h"

#define ID     "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961"
#define OTHER  "a55d9ac3b312d8a2627824b6d6dd8af66fbec439bf4e0ec22d6d9945ad337a38"
#define TASK   "34dc0b5e626f2c5c4c5170e34b10e765"
#define POD    "2c48913c-b29f-11e7-9350-020968147796"
#define POD_   "2c48913c_b29f_11e7_9350_020968147796"
#define STATIC "2732ca68f6358eba7703fb6f82a25c94"
#define USER   "/user.slice/user-1000.slice/user@1000.service"

struct row {
	const char *path, *unit, *container, *runtime, *pod;
};

static const char *text_of(const struct cgroup_name *name, struct cgroup_part part)
{
	static char text[2][CGROUP_PATH_MAX];
	static int turn;

	turn ^= 1;
	assert_true(part.at + part.len <= strlen(name->path));
	memcpy(text[turn], name->path + part.at, part.len);
	text[turn][part.len] = '\0';
	return part.len ? text[turn] : NULL;
}

static void expect(const char *path, const char *what, const char *got, const char *want)
{
	if ((got == NULL) != (want == NULL) || (want && strcmp(got, want) != 0))
		fail_msg("%s: %s %s, expected %s", path, what, got ? got : "none",
			 want ? want : "none");
}

static void expect_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct cgroup_name name;

		assert_int_equal(cgroup_name_parse(row->path, &name), 0);
		assert_string_equal(name.path, row->path);
		expect(row->path, "unit", text_of(&name, name.unit), row->unit);
		expect(row->path, "container", text_of(&name, name.container), row->container);
		expect(row->path, "runtime", cgroup_name_runtime(name.runtime), row->runtime);
		expect(row->path, "pod", name.pod[0] ? name.pod : NULL, row->pod);
	}
}

#define EXPECT(rows) expect_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_cgroup_name_units(void **state)
{
	static const struct row rows[] = {
		{"/", NULL, NULL, NULL, NULL},
		{"/init.scope", "init.scope", NULL, NULL, NULL},
		{"/system.slice", "system.slice", NULL, NULL, NULL},
		{"/system.slice/nginx.service", "nginx.service", NULL, NULL, NULL},
		{"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", NULL,
		 NULL, NULL},
		{"/system.slice/dev-hugepages.mount", "dev-hugepages.mount", NULL, NULL, NULL},
		{"/system.slice/dbus.socket", "dbus.socket", NULL, NULL, NULL},
		{"/system.slice/dev-disk-by\\x2duuid-1.swap", "dev-disk-by\\x2duuid-1.swap", NULL,
		 NULL, NULL},
		{"/system.slice/_cpu.service", "cpu.service", NULL, NULL, NULL},
		{"/system.slice/foo.service/.control", "foo.service", NULL, NULL, NULL},
		{"/system.slice/systemd-udevd.service/udev", "systemd-udevd.service", NULL, NULL,
		 NULL},
		{"/user.slice/user-1000.slice/session-3.scope", "session-3.scope", NULL, NULL,
		 NULL},
		{USER "/init.scope", "init.scope", NULL, NULL, NULL},
		{USER "/app.slice", "user@1000.service", NULL, NULL, NULL},
		{USER "/app.slice/app-gnome\\x2dterminal-77.scope",
		 "app-gnome\\x2dterminal-77.scope", NULL, NULL, NULL},
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
		 "machine-qemu\\x2d1\\x2dvm.scope", NULL, NULL, NULL},
		{"/machine.slice/systemd-nspawn@debian.service/payload/system.slice/ssh.service",
		 "ssh.service", NULL, NULL, NULL},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_containers(void **state)
{
	static const struct row rows[] = {
		{"/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID, "docker", NULL},
		{"/docker/" ID, NULL, ID, "docker", NULL},
		{"/docker/" ID "/init", NULL, ID, "docker", NULL},
		{USER "/user.slice/docker-" ID ".scope", "docker-" ID ".scope", ID, "docker", NULL},
		{"/actions_job/" ID, NULL, ID, NULL, NULL},
		{"/system.slice/nerdctl-" ID ".scope", "nerdctl-" ID ".scope", ID, "containerd",
		 NULL},
		{"/default/" ID, NULL, ID, NULL, NULL},
		{"/machine.slice/libpod-" ID ".scope/container", "libpod-" ID ".scope", ID,
		 "podman", NULL},
		{"/machine.slice/machine-libpod_pod_" OTHER ".slice/libpod-" ID ".scope",
		 "libpod-" ID ".scope", ID, "podman", NULL},
		{USER "/user.slice/libpod-" ID ".scope", "libpod-" ID ".scope", ID, "podman", NULL},
		{"/libpod_parent/libpod-" ID, NULL, ID, "podman", NULL},
		{"/libpod_parent/" OTHER "/libpod-" ID, NULL, ID, "podman", NULL},
		{"/libpod_parent/" OTHER, NULL, NULL, NULL, NULL},
		{"/system.slice/web.service/libpod-payload-" ID, "web.service", ID, "podman", NULL},
		{"/system.slice/web.service/runtime", "web.service", NULL, NULL, NULL},
		{"/machine.slice/libpod-conmon-" ID ".scope", "libpod-conmon-" ID ".scope", NULL,
		 NULL, NULL},
		{"/lxc.payload.web/system.slice/nginx.service", "nginx.service", "web", "lxc",
		 NULL},
		{"/lxc.payload.web", NULL, "web", "lxc", NULL},
		{"/lxc.monitor.web", NULL, NULL, NULL, NULL},
		{"/lxc/101/ns/init.scope", "init.scope", "101", "lxc", NULL},
		{"/lxc.monitor/101", NULL, NULL, NULL, NULL},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_pods(void **state)
{
	static const struct row rows[] = {
		{"/kubepods.slice", "kubepods.slice", NULL, NULL, NULL},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_
		 ".slice/cri-containerd-" ID ".scope",
		 "cri-containerd-" ID ".scope", ID, "containerd", POD},
		{"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-" ID ".scope/container",
		 "crio-" ID ".scope", ID, "cri-o", POD},
		{"/kubepods.slice/kubepods-pod" POD_ ".slice/crio-conmon-" ID ".scope",
		 "crio-conmon-" ID ".scope", NULL, NULL, POD},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD
		 ".slice/docker-" ID ".scope",
		 "docker-" ID ".scope", ID, "docker", POD},
		{"/kubepods.slice/kubepods-pod" POD_ ".slice/" ID, "kubepods-pod" POD_ ".slice", ID,
		 NULL, POD},
		{"/kubepods.slice/kubepods-pod" STATIC ".slice", "kubepods-pod" STATIC ".slice",
		 NULL, NULL, STATIC},
		{"/kubepods/burstable/pod" POD "/" ID, NULL, ID, NULL, POD},
		{"/kubepods/pod" STATIC "/" ID, NULL, ID, NULL, STATIC},
		{"/kubepods/besteffort/pod" POD "/crio-" ID, NULL, ID, "cri-o", POD},
		{"/kubepods/besteffort/pod" POD, NULL, NULL, NULL, POD},
		{"/system.slice/containerd.service/kubepods-pod" POD_ ".slice:cri-containerd:" ID,
		 "containerd.service", ID, "containerd", POD},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_
		 ".slice/cri-containerd-" ID ".scope",
		 "cri-containerd-" ID ".scope", ID, "containerd", POD},
		{"/my-pod.slice/my-pod-kubepods-pod" POD_ ".slice",
		 "my-pod-kubepods-pod" POD_ ".slice", NULL, NULL, POD},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_tasks_of_ecs(void **state)
{
	static const struct row rows[] = {
		{"/ecs/" TASK "/" ID, NULL, ID, NULL, NULL},
		{"/ecs/cluster/" TASK "/" ID, NULL, ID, NULL, NULL},
		{"/ecs/55091c13-b8cf-4801-b527-f4601742204d/" TASK "-1234567890", NULL,
		 TASK "-1234567890", NULL, NULL},
		{"/ecs/" TASK "-1234567890", NULL, TASK "-1234567890", NULL, NULL},
		{"/ecstasks.slice/ecstasks-" TASK ".slice/docker-" ID ".scope",
		 "docker-" ID ".scope", ID, "docker", NULL},
		{"/ecs/" TASK "-", NULL, NULL, NULL, NULL},
		{"/ecs/" TASK "-12a", NULL, NULL, NULL, NULL},
		{"/other/" TASK "-1234567890", NULL, NULL, NULL, NULL},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_the_innermost_counts(void **state)
{
	static const struct row rows[] = {
		{"/docker/" OTHER "/docker/" ID, NULL, ID, "docker", NULL},
		{"/system.slice/docker-" OTHER ".scope/kubelet.slice/kubelet-kubepods.slice/"
		 "kubelet-kubepods-pod" POD_ ".slice/cri-containerd-" ID ".scope",
		 "cri-containerd-" ID ".scope", ID, "containerd", POD},
		{"/docker/" OTHER "/kubepods/besteffort/pod" POD "/" ID, NULL, ID, NULL, POD},
		{"/kubepods/pod" POD "/" OTHER "/docker/" ID, NULL, ID, "docker", POD},
		{"/system.slice/docker-" ID ".scope/system.slice/sshd.service", "sshd.service", ID,
		 "docker", NULL},
		{"/lxc.payload.c1/system.slice/docker-" ID ".scope", "docker-" ID ".scope", ID,
		 "docker", NULL},
		{USER "/app.slice/x.service/a.slice", "x.service", NULL, NULL, NULL},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_what_only_looks_like_one(void **state)
{
	static const struct row rows[] = {
		{"/docker/" ID "0", NULL, NULL, NULL, NULL},
		{"/docker-0" ID ".scope", "docker-0" ID ".scope", NULL, NULL, NULL},
		{"/docker/9BCA8D63D5FA610783847915BCFF0ECAC1273E5B4BED3F6FA1B07350E0135961", NULL,
		 NULL, NULL, NULL},
		{"/docker/9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e013596g", NULL,
		 NULL, NULL, NULL},
		{"/docker/9bca8d63d5fa", NULL, NULL, NULL, NULL},
		{"/evil-" ID ".scope", "evil-" ID ".scope", NULL, NULL, NULL},
		{"/:" ID, NULL, NULL, NULL, NULL},
		{"/::" ID, NULL, NULL, NULL, NULL},
		{"/a:evil:" ID, NULL, NULL, NULL, NULL},
		{"/docker:" ID, NULL, NULL, NULL, NULL},
		{"/.service", NULL, NULL, NULL, NULL},
		{"/.slice", NULL, NULL, NULL, NULL},
		{"/_.service", NULL, NULL, NULL, NULL},
		{"/@a.service", NULL, NULL, NULL, NULL},
		{"/a b.service", NULL, NULL, NULL, NULL},
		{"/a\n\x1b[31m.service", NULL, NULL, NULL, NULL},
		{"/\xff\xfe.service", NULL, NULL, NULL, NULL},
		{"/a\".service", NULL, NULL, NULL, NULL},
		{"/lxc.payload.", NULL, NULL, NULL, NULL},
		{"/lxc.payload.a\nb", NULL, NULL, NULL, NULL},
		{"/podx", NULL, NULL, NULL, NULL},
		{"/pod2c48913c+b29f-11e7-9350-020968147796", NULL, NULL, NULL, NULL},
		{"/pod2c48913c-b29f-11e7-9350-02096814779", NULL, NULL, NULL, NULL},
		{"/pod2c48913c-b29f-11e7-9350-0209681477966", NULL, NULL, NULL, NULL},
		{"/x-pod" POD, NULL, NULL, NULL, NULL},
		{"//", NULL, NULL, NULL, NULL},
		{"/a//b.service/", "b.service", NULL, NULL, NULL},
		{"/..", NULL, NULL, NULL, NULL},
	};

	(void)state;
	EXPECT(rows);
}

static void test_cgroup_name_the_length_is_bounded(void **state)
{
	char path[CGROUP_PATH_MAX + 1];
	struct cgroup_name name;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[CGROUP_PATH_MAX] = '\0';
	assert_int_equal(cgroup_name_parse(path, &name), -ENAMETOOLONG);
	memcpy(path + 256, "/b.service", 11);
	assert_int_equal(cgroup_name_parse(path, &name), 0);
	assert_string_equal(text_of(&name, name.unit), "b.service");
	/* No unit has so long a name. */
	memcpy(path + 256, ".service", 9);
	assert_int_equal(cgroup_name_parse(path, &name), 0);
	assert_null(text_of(&name, name.unit));
	assert_int_equal(cgroup_name_parse("", &name), -EINVAL);
	assert_int_equal(cgroup_name_parse("a.service", &name), -EINVAL);
}

static void test_cgroup_name_words_of_runtimes(void **state)
{
	(void)state;
	assert_null(cgroup_name_runtime(RUNTIME_UNKNOWN));
	assert_null(cgroup_name_runtime(RUNTIME_COUNT));
	for (uint32_t i = RUNTIME_UNKNOWN + 1; i < RUNTIME_COUNT; i++)
		assert_non_null(cgroup_name_runtime(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_name_units),
		cmocka_unit_test(test_cgroup_name_containers),
		cmocka_unit_test(test_cgroup_name_pods),
		cmocka_unit_test(test_cgroup_name_tasks_of_ecs),
		cmocka_unit_test(test_cgroup_name_the_innermost_counts),
		cmocka_unit_test(test_cgroup_name_what_only_looks_like_one),
		cmocka_unit_test(test_cgroup_name_the_length_is_bounded),
		cmocka_unit_test(test_cgroup_name_words_of_runtimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
