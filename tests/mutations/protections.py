# SPDX-License-Identifier: Apache-2.0
"""The protections: what takes each away, and the test that must fail then. Of an edit: the file, the
text in it (there once), what it becomes. Of a test: tests/unit/X.c or tests/e2e/X.py, and which of the
latter's tests, by words of their names."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Protection:
    name: str
    test: str
    edits: tuple


def without(name, test, *edit):
    """One edit, or several."""
    return Protection(name, test, edit if isinstance(edit[0], tuple) else (edit,))


NNP = "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0"
NO_NNP = "prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0"
APPLY = "return seccomp_apply("
NO_APPLY = "return sizeof(int) ? 0 : seccomp_apply("
MMAP = "SECCOMP_ALLOW_IF(mmap, 2, PROT_EXEC, 0)"
TABLE_OF_PROCESSES = "test_processes nobody_is_root"
TAKEN_OVER = "test_takeover a_child_taken_over"
VERIFIER_TAKEN_OVER = "test_takeover a_verifier_taken_over"
REACHES = "test_takeover same_user_reaches"

PROTECTIONS = [
    # --- what a child does first ---
    without("a child clears its environment", "test_child", "common/child.c", "\tclearenv();\n", ""),
    without("a child closes the fds it was started with", "test_child", "common/child.c",
            "\tif (close_range(PROTO_CHILD_FD + 1, ~0u, 0) < 0)\n\t\treturn -errno;\n", ""),
    without("a child is not dumpable", "test_child", "common/child.c",
            "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ", ""),
    without("a child is not dumpable, seen from outside", REACHES, "common/child.c",
            "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ", ""),
    without("a child dies with its parent", "test_child", "common/child.c",
            " || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0", ""),
    without("a child leaves no core", "test_child", "common/child.c",
            "err = limit(RLIMIT_CORE, 0);", "err = 0;"),
    without("a child has few fds", TABLE_OF_PROCESSES, "common/child.c",
            "limit(RLIMIT_NOFILE, FDS_MAX)", "limit(RLIMIT_NOFILE, ~0u)"),
    without("a child has its own umask", "test_child", "common/child.c", "\tumask(077);\n", ""),
    without("a child resets signals", "test_child", "common/child.c",
            "\t\t(void)signal(sig, SIG_DFL);", "\t\t(void)sig;"),
    without("a child refuses to be root", "test_child", "common/privs.c",
            "if (any_zero(now.uid) || any_zero(now.gid))",
            "if (any_zero(now.uid) && any_zero(now.gid) && allowed == 1)"),
    *(without(f"the {name} refuses a capability", "test_bad_input a_child_with", f"{name}/main.c",
              f"&table, &{name}, 0)", f"&table, &{name}, ~UINT64_C(0))")
      for name in ("exporter", "poller", "verifier")),
    # --- no_new_privs, seccomp ---
    without("no_new_privs by seccomp", "test_seccomp", "common/seccomp.c", NNP, NO_NNP),
    without("no_new_privs by Landlock", TABLE_OF_PROCESSES, "common/landlock.c", NNP, NO_NNP),
    without("no_new_privs by the loader's drop", TABLE_OF_PROCESSES, "loader/sandbox.c", NNP, NO_NNP),
    without("what is not in the list kills", TAKEN_OVER, "common/seccomp.c",
            "static const uint32_t otherwise = SECCOMP_RET_KILL_PROCESS;",
            "static const uint32_t otherwise = SECCOMP_RET_ALLOW;"),
    without("calls of another architecture kill", "test_seccomp", "common/seccomp.c",
            "put(&p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);",
            "put(&p, BPF_JMP | BPF_JA | BPF_K, ARCH ? 1 : 1, 0, 0);"),
    without("only a debug build logs", "test_seccomp", "common/seccomp.c", "\treturn -EPERM;\n",
            "\treturn 0;\n"),
    without("only a debug build logs: a child asks", "test_child", "common/seccomp.c",
            "\treturn -EPERM;\n", "\treturn 0;\n"),
    without("only a debug build logs: conntraced", "test_bad_input release_build",
            "supervisor/options.c", "\t      stderr);\n\treturn -1;", "\t      stderr);\n\treturn 0;"),
    *(without(f"the {name}'s seccomp list", TABLE_OF_PROCESSES, f"{name}/sandbox.c", APPLY, NO_APPLY)
      for name in ("loader", "exporter")),
    without("the poller's seccomp list", TABLE_OF_PROCESSES, "poller/sandbox.c", APPLY, NO_APPLY),
    without("the verifier's seccomp list", VERIFIER_TAKEN_OVER, "verifier/sandbox.c", APPLY, NO_APPLY),
    *(without(f"the {name} makes no code of memory (mmap)", TAKEN_OVER, f"{name}/sandbox.c", MMAP,
              "SECCOMP_ALLOW(mmap)") for name in ("loader", "exporter", "poller")),
    without("the loader makes no code of memory (mprotect)", TAKEN_OVER, "loader/sandbox.c",
            "SECCOMP_ALLOW_IF(mprotect, 2, PROT_EXEC, 0)", "SECCOMP_ALLOW(mprotect)"),
    without("the verifier makes no code of memory", VERIFIER_TAKEN_OVER, "verifier/sandbox.c", MMAP,
            "SECCOMP_ALLOW(mmap)"),
    without("the loader makes no BPF map", TAKEN_OVER, "loader/sandbox.c",
            "SECCOMP_ALLOW_IF(bpf, 0, ~0u, BPF_ITER_CREATE)", "SECCOMP_ALLOW(bpf)"),
    without("the exporter opens directories alone", "test_exporter_sandbox", "exporter/sandbox.c",
            "SECCOMP_ALLOW_IF(openat, 2, ~0u, CGROUPS_OPEN_FLAGS)", "SECCOMP_ALLOW(openat)"),
    without("the poller opens files for reading alone", TAKEN_OVER, "poller/sandbox.c",
            "SECCOMP_ALLOW_IF(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)",
            "SECCOMP_ALLOW(openat)"),
    # --- Landlock ---
    without("Landlock", "test_takeover no_child_reads", "common/landlock.c",
            "if (!err && syscall(SYS_landlock_restrict_self, fd, 0) < 0)", "if (!err && fd < 0)"),
    without("Landlock lets the exporter see names alone", "test_exporter_sandbox",
            "common/landlock.c", "\t\treturn LANDLOCK_ACCESS_FS_READ_DIR;", "\t\treturn FS_READ;"),
    without("Landlock of the poller", "test_takeover no_child_reads", "poller/sandbox.c",
            "int err = landlock_apply(", "int err = !needs ? 0 : landlock_abi() ? 0 : landlock_apply("),
    without("Landlock of the exporter", "test_exporter_sandbox", "exporter/sandbox.c",
            "int err = landlock_apply(", "int err = landlock_abi() ? 0 : landlock_apply("),
    without("Landlock of the loader", "test_loader_sandbox", "loader/sandbox.c",
            "*landlock_abi = landlock_apply(NULL, 0, NULL, 0);", "*landlock_abi = 7;"),
    without("Landlock of the verifier", "test_verifier_sandbox", "verifier/sandbox.c",
            "err = landlock_apply(NULL, 0, NULL, 0);", "err = 0;"),
    without("the verifier has little time", "test_takeover little_time", "verifier/sandbox.c",
            "setrlimit(RLIMIT_CPU, &cpu) < 0", "cpu.rlim_max == 0"),
    # --- the supervisor ---
    without("conntraced gives root up", TABLE_OF_PROCESSES, "supervisor/main.c",
            "\t\terr = privs_drop_user(uid, gid);\n", "\t\terr = 0;\n"),
    without("no saved uid is left", TABLE_OF_PROCESSES, "common/privs.c", "setresuid(uid, uid, uid)",
            "setresuid(uid, uid, (uid_t)-1)"),
    without("no supplementary group is left", TABLE_OF_PROCESSES, "common/privs.c",
            "setgroups(0, NULL) < 0 || ", ""),
    without("the bounding set", TABLE_OF_PROCESSES, "supervisor/main.c", "privs_bound(PRIVS_LOADER | ",
            "privs_bound(~UINT64_C(0) | "),
    without("conntraced gives up capabilities that it was started with", "test_takeover never_root",
            "supervisor/main.c", "int err = privs_set_caps(0, 0);", "int err = 0;"),
    without("conntraced is not dumpable", "test_takeover never_root", "supervisor/main.c",
            "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || ", ""),
    without("conntraced leaves no core", TABLE_OF_PROCESSES, "supervisor/main.c",
            "setrlimit(RLIMIT_CORE, &no_core) < 0", "no_core.rlim_max"),
    without("the environment stops at conntraced", "test_processes environment",
            "supervisor/spawn.c", "name, argv, env, 0);", "name, argv, env ? environ : env, 0);"),
    without("what is passed of it is cut", "test_spawn", "supervisor/spawn.c",
            'VARIABLE_BYTES, "%s=%.*s", name, SPAWN_VALUE_MAX, value)',
            'VARIABLE_BYTES, "%s=%s", name, value)'),
    without("conntraced's fds are not for its children", "test_spawn", "supervisor/spawn.c",
            "return close_range(keep + 1, ~0u, 0);", "return 0;"),
    without("only some may ask", "test_takeover gets_no_answer", "supervisor/control.c",
            "return cred.uid == 0 || ", "return cred.uid != 1 || "),
    # --- channels ---
    without("no more messages than one can handle", "test_hostile flood", "supervisor/children.c",
            "if (!rate_take(&proc->rate, loop_now_ms())) {",
            "if (!rate_take(&proc->rate, loop_now_ms()) && !proc->sup) {"),
    without("the rate is a rate", "test_rate", "supervisor/rate.c", "\tif (rate->fill < UNIT)\n",
            "\tif (!rate->filled_ms)\n"),
    without("a message has its senders", "test_dispatch", "common/dispatch.c",
            "if (!(row->from & 1u << from))", "if (!(row->from & 1u << from) && (int)from < 0)"),
    without("a message has its receivers", "test_dispatch", "common/dispatch.c",
            "if (!(row->to & 1u << table->self) || ", "if ("),
    without("a message has its time", "test_dispatch", "common/dispatch.c",
            "if (!(row->phases & 1u << phase))", "if (!(row->phases & 1u << phase) && (int)phase < 0)"),
    without("a message has its fds: not too few", "test_dispatch", "common/dispatch.c",
            "if (fd_count < row->fds_min)", "if (fd_count > 1000 + row->fds_min)"),
    without("a message has its fds: not too many", "test_dispatch", "common/dispatch.c",
            "if (fd_count > row->fds_max)", "if (fd_count > 1000 + row->fds_max)"),
    without("a message has its size", "test_dispatch", "common/dispatch.c",
            "if (len > row->frame_max)", "if (len > 1000000 + row->frame_max)"),
    without("fds that nobody takes are closed", "test_dispatch", "common/dispatch.c",
            "\tclose_rest(fds);\n\treturn err;", "\tif (!fds)\n\t\tclose_rest(fds);\n\treturn err;"),
    without("text comes sealed", "test_memfd", "common/memfd.c", "(seals & SEALS) != SEALS",
            "seals == 0x10000"),
    without("text has the length that was said", "test_memfd", "common/memfd.c",
            "(size_t)st.st_size != len", "(size_t)st.st_size < len"),
    # --- what is trusted of files ---
    without("an object belongs to root", "test_object", "loader/object.c",
            "if (st->st_uid != 0 || st->st_gid != 0)", "if (st->st_uid != 0 && !st->st_mode)"),
    without("an object is root's alone to write", "test_object", "loader/object.c",
            "if (st->st_mode & (S_IWGRP | S_IWOTH))", "if (!st->st_mode)"),
    without("an object is a file", "test_object", "loader/object.c", "if (!S_ISREG(st->st_mode))",
            "if (!st->st_mode)"),
    without("an object is no link", "test_bad_input symbolic_link", "loader/object.c",
            "O_RDONLY | O_NOFOLLOW | O_CLOEXEC", "O_RDONLY | O_CLOEXEC"),
    without("a source belongs to root or us", "test_source_dir", "poller/source_dir.c",
            "if (st->st_uid != 0 && st->st_uid != geteuid())", "if (st->st_uid == (uid_t)-1)"),
    without("a source is its owner's alone to write", "test_source_dir", "poller/source_dir.c",
            "if (st->st_mode & (S_IWGRP | S_IWOTH))", "if (!st->st_mode)"),
    without("the output is no link", "test_bad_input symbolic_link", "exporter/sink.c",
            "O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK",
            "O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK"),
    # --- custody ---
    without("adopted is what comes from the same object", "test_succession another_object_takes_over",
            "loader/ladder.c", "ladder->adopted = ladder->old.identity == ladder->object.identity &&",
            "ladder->adopted = ladder->old.identity != 1 &&"),
    without("adopted maps have their type", "test_handover", "loader/handover.c",
            "info.type == row->type && name_is(info.name, row->name)", "name_is(info.name, row->name)"),
    without("adopted maps have their name", "test_handover", "loader/handover.c",
            "info.type == row->type && name_is(info.name, row->name)", "info.type == row->type"),
    without("adopted maps have their values' size", "test_handover", "loader/handover.c",
            "info.value_size == row->value_size", "info.value_size >= row->value_size"),
    without("adopted maps have their size", "test_handover", "loader/handover.c",
            "info.max_entries == entries", "info.max_entries >= entries"),
    without("adopted programs have their type and name", "test_handover", "loader/handover.c",
            "if (info->type != types[probe->kind].program || !name_is(info->name, probe->program))",
            "if (!types[probe->kind].program && !name_is(info->name, probe->program))"),
    without("adopted programs are of one load", "test_handover", "loader/handover.c",
            "if (maps[m] == shared_map)", "if (maps[m] == shared_map || m == 0)"),
    without("adopted links have their program", "test_handover", "loader/handover.c",
            "info.prog_id == prog_id &&", "prog_id &&"),
    without("adopted links have their type", "test_handover", "loader/handover.c",
            "info.type == link_type(options, probe)", "(info.type || link_type(options, probe))"),
    without("maps are used on only if they mean the same", "test_succession another_version_made",
            "loader/reuse.c", "settings->layout == SETTINGS_LAYOUT", "settings->layout != 0"),
    without("kept is what is of BPF", "test_keep", "supervisor/custody.c",
            "if (!is_bpf(fds->fds[i], manifest->fds[i].kind))",
            "if (!is_bpf(fds->fds[i], manifest->fds[i].kind) && !fds->count)"),
    without("kept is what is whole", "test_keep", "supervisor/custody.c",
            "if (find(manifest, needed[i]) < 0)", "if (find(manifest, needed[i]) < -1)"),
    without("a manifest is that of its name", "test_keep", "supervisor/keep.c",
            "room.custody.manifest.generation != generation", "!generation"),
    without("what is in the store and foreign is cleared away", "test_custody not_a_tracer",
            "supervisor/keep.c", "\tclear_store(sup, inherited);\n",
            "\tif (!sup)\n\t\tclear_store(sup, inherited);\n"),
    # --- the loader's capabilities ---
    without("the loader drops its capabilities", TABLE_OF_PROCESSES, "loader/sandbox.c",
            "err = privs_set_caps(keep, keep);",
            "err = privs_set_caps(sandbox_caps_needed | keep, keep);"),
    without("the loader drops CAP_NET_ADMIN after its step", "test_nat nobody_keeps_it",
            "loader/sandbox.c", "\treturn privs_set_caps(sandbox_caps_needed, sandbox_caps_needed);",
            "\treturn 0;"),
    without("the loader drops CAP_NET_ADMIN at once without nat", "test_nat is_given_up",
            "loader/sandbox.c", "(now.permitted & keep)", "(now.permitted & (keep | PRIVS_NAT))"),
]
