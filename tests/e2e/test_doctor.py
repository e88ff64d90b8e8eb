# SPDX-License-Identifier: Apache-2.0
# timeout: 120
"""conntrace doctor and conntraced come to the same end; what is wrong is named with its remedy.

Run with CONNTRACE_TRACER=NAME, as the kernel matrix does, they are about that one."""

import ctypes
import json
import os
import re
import subprocess

from harness import BIN, ROOT, SLOWDOWN, Tracer, Tree, check, equal, main

NAMED = os.environ.get("CONNTRACE_TRACER", "auto")
TRACER = NAMED if NAMED != "auto" else "tracepoint"
ASKED = ["--tracer", NAMED]
OBJECT = f"tracer-{TRACER}.bpf.o"
NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": []}
VERDICTS = ("ok", "degraded", "cannot_run")
PR_CAPBSET_DROP, CAP_PERFMON, CAP_BPF = 24, 38, 39


def run(tree, *args, wrap=(), **how):
    return subprocess.run([*wrap, os.path.join(tree.bin, "conntrace"), "doctor", *ASKED, *args],
                          capture_output=True, text=True, timeout=20 * SLOWDOWN, **how)


def ask(tree, *args, **how):
    """Its JSON, with what holds of every one."""
    done = run(tree, "--json", *args, **how)
    equal(done.stderr, "", "standard error")
    said = json.loads(done.stdout)
    equal(said["exit"], done.returncode, "exit code")
    equal(said["verdict"], VERDICTS[done.returncode], "verdict")
    return said


def tells(tree, code, problem, remedy, **how):
    """It ends with that code and says this, in the text line by line."""
    done = run(tree, **how)
    equal(done.returncode, code, f"exit code; it said: {done.stdout}{done.stderr}")
    lines = done.stdout.splitlines()
    at = [i for i, line in enumerate(lines) if problem in line and i + 1 < len(lines)]
    check(at, f"not said: {problem!r}; it said: {done.stdout}")
    check(remedy in lines[at[0] + 1], f"the line below is no {remedy!r}; it said: {done.stdout}")
    check(lines[-1].startswith(("degraded: ", "cannot run: ")[code - 1]), f"last: {lines[-1]}")
    problems = ask(tree, **how)["problems"]
    check(any(problem in p["what"] and remedy in p["remedy"] for p in problems), f"{problems}")


def test_root_is_told_all():
    with Tree() as tree:
        said = ask(tree)
        text = run(tree)
    check(said["exit"] in (0, 1), f"{said['conclusion']}: {said['problems']}")
    equal(said["tracer"], TRACER, "tracer")
    equal(said["assumed"], False, "assumed")
    equal(text.returncode, said["exit"], "exit code of the text")
    equal(text.stdout.splitlines()[-1], said["conclusion"], "the last line")
    check("not tried" not in text.stdout, text.stdout)
    equal(said["kernel"]["release"], os.uname().release, "release")
    equal(said["btf"]["source"], "kernel", "where the BTF comes from")
    check(all(f["ok"] for f in said["files"]), f"{said['files']}")
    loader = [f for f in said["files"] if f["path"] == tree.loader]
    equal([sorted(set(f["cap_permitted"]) - {"cap_net_admin"}) for f in loader],
          [["cap_bpf", "cap_perfmon"]], "loader's")


def test_every_feature_has_its_name_and_value():
    header = os.path.join(ROOT, "loader/features.h")
    if not os.path.exists(header):
        return "needs the sources"
    with open(header, encoding="utf-8") as f:
        names = re.findall(r"^\tX\((\w+),", f.read(), re.MULTILINE)
    with Tree() as tree:
        features = ask(tree)["features"]
    equal(list(features), names, "the features")
    check(len(names) > 20, f"{names}")
    check(all(isinstance(value, int) for value in features.values()), f"{features}")
    return None


def test_who_may_not_try_is_told_what_was_not_tried():
    with Tree() as tree:
        said = ask(tree, **NOBODY)
        text = run(tree, **NOBODY).stdout
    check(said["exit"] in (0, 1), f"{said['conclusion']}: {said['problems']}")
    equal(said["tracer"], TRACER, "tracer")
    equal(said["assumed"], True, "assumed")
    check("not tried: needs cap_bpf and cap_perfmon (run as root)" in text, text)
    check(TRACER in text.splitlines()[-1] and "as far as can be told" in text.splitlines()[-1], text)
    check(all(value == -1 for name, value in said["features"].items() if name.startswith("try_")),
          f"{said['features']}")


def test_conntraced_takes_the_tracer_that_doctor_names():
    with Tree() as tree:
        said = ask(tree)
        with Tracer(binaries=tree.bin) as tracer:
            status = tracer.status()
    equal(said["tracer"], status["tracer"], "tracer")
    equal(said["instance"], status["instance"], "instance")
    equal(said["btf"]["source"], status["btf"], "BTF")
    planned = {p["program"]: p["state"] for t in said["tracers"] if t["name"] == said["tracer"]
               for p in t["probes"]}
    came = {p["name"]: p["state"].replace("attached", "planned") for p in status["probes"]}
    equal(planned, came, "programs")
    orders = sorted((t["order"], t["name"]) for t in said["tracers"] if t["order"])
    plans = [s["tracer"] for s in status["ladder"] if s["step"] == "plan"]
    equal(plans, [name for _, name in orders][:len(plans)], "the order of the tracers")


def test_a_loader_without_its_capabilities():
    with Tree(armed=False) as tree:
        tells(tree, 2, f"{tree.loader} lacks cap_perfmon,cap_bpf",
              f"setcap cap_bpf,cap_perfmon+p {tree.loader}")
        tells(tree, 2, f"{tree.loader} lacks cap_perfmon,cap_bpf",
              f"setcap cap_bpf,cap_perfmon+p {tree.loader}", **NOBODY)


def test_the_remedies_for_a_loader_are_the_ones():
    with Tree(armed=False) as tree:
        os.chown(tree.loader, 1, 1)
        os.chmod(tree.loader, 0o777)
        said = [f for f in ask(tree)["files"] if f["path"] == tree.loader][0]
        subprocess.run(["sh", "-ec", said["remedy"]], check=True)
        said = [f for f in ask(tree)["files"] if f["path"] == tree.loader][0]
        equal((said["ok"], said["problem"], said["remedy"]), (True, "", ""), "after the remedies")
        with Tracer(binaries=tree.bin) as tracer:
            check(tracer.tracing(), "it does not trace after the remedies")


def test_a_loader_that_everyone_may_execute():
    with Tree() as tree:
        os.chmod(tree.loader, 0o755)
        tells(tree, 1, "can be executed by everyone", f"chmod 0750 {tree.loader}")


def test_a_loader_on_a_file_system_without_capabilities():
    nosuid = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$0" && '
              'mount -o remount,bind,nosuid "$0" && exec "$@"']
    with Tree() as tree:
        tells(tree, 2, "mounted nosuid", "without nosuid", wrap=[*nosuid, tree.dir])


def test_another_child_with_a_capability():
    with Tree() as tree:
        exporter = os.path.join(tree.bin, "conntrace-exporter")
        for caps, code in (("cap_net_raw", 1), ("cap_bpf", 2)):
            subprocess.run(["setcap", caps + "+p", exporter], check=True)
            tells(tree, code, f"has capabilities that it must not have: {caps}",
                  f"setcap -r {exporter}")


def test_a_program_that_is_missing():
    with Tree() as tree:
        exporter = os.path.join(tree.bin, "conntrace-exporter")
        os.unlink(exporter)
        tells(tree, 2, f"{exporter} is missing", "install conntrace")


def test_a_kernel_without_btf():
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    with Tree() as tree:
        tells(tree, 2, "no BTF: no /sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF=y", wrap=hide)
        equal(ask(tree, wrap=hide)["btf"]["source"], "none", "BTF")


def test_btf_that_is_none():
    hide = ["unshare", "-m", "sh", "-c",
            'mount --bind /etc/hostname /sys/kernel/btf/vmlinux && exec "$@"', "sh"]
    with Tree() as tree:
        tells(tree, 2, "/sys/kernel/btf/vmlinux: holds no BTF", "CONFIG_DEBUG_INFO_BTF=y",
              wrap=hide)


def test_an_object_that_others_may_write():
    with Tree() as tree:
        path = os.path.join(tree.dir, "share", OBJECT)
        os.chmod(path, 0o646)
        tells(tree, 2, f"{path} is writable by others than root", f"chmod go-w {path}")


def test_an_object_that_is_not_needed():
    other = "kprobe" if TRACER != "kprobe" else "fentry"
    with Tree() as tree:
        path = os.path.join(tree.dir, "share", f"tracer-{other}.bpf.o")
        os.unlink(path)
        tells(tree, 1, f"{path} is missing", "install conntrace")


def test_a_bounding_set_without_the_two():
    libc = ctypes.CDLL(None)

    def drop():
        for cap in (CAP_BPF, CAP_PERFMON):
            libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)

    with Tree() as tree:
        tells(tree, 2, "cap_perfmon,cap_bpf: not in the bounding set", "BPF and PERFMON",
              preexec_fn=drop)
        check("which root does not have here" in run(tree, preexec_fn=drop).stdout, "not tried")


def test_a_user_namespace():
    with Tree() as tree:
        tells(tree, 2, "in a user namespace of its own", "initial user namespace",
              wrap=["unshare", "-U", "-r"])


def test_what_if():
    if NAMED != "auto":
        return "is about auto"
    with Tree() as tree:
        fargate = ask(tree, "--instance", "ecs-fargate")
        named = {t: ask(tree, "--tracer", t) for t in ("fentry", "kprobe", "tracepoint")}
    equal(fargate["instance"], {"type": "ecs-fargate", "evidence": "configuration",
                                "tenants_only": True}, "instance")
    equal({t["name"]: t["order"] for t in fargate["tracers"]},
          {"fentry": 1, "tracepoint": 2, "kprobe": 0}, "order on Fargate")
    for name, said in named.items():
        row = [t for t in said["tracers"] if t["name"] == name][0]
        equal([t["name"] for t in said["tracers"] if t["order"]], [name], "those tried")
        equal(said["tracer"], name if row["result"] in ("ok", "degraded") else "", "tracer")
        equal(said["verdict"] == "cannot_run", not said["tracer"], "cannot run")
    return None


def test_options_for_other_commands():
    for args, said in ((["doctor", "--socket", "s"], "--socket is not for the command doctor"),
                       (["status", "--tracer", "kprobe"], "not for the command status"),
                       (["list", "--instance", "host"], "not for the command list"),
                       (["doctor", "--tracer", "ebpf"], "unknown tracer: ebpf"),
                       (["doctor", "--instance", "moon"], "unknown instance: moon"),
                       (["doctor", "now"], "unexpected argument: now")):
        done = subprocess.run([os.path.join(BIN, "conntrace"), *args], capture_output=True,
                              text=True, timeout=10 * SLOWDOWN)
        equal((done.returncode, done.stdout), (2, ""), f"conntrace {args}")
        check(said in done.stderr, f"conntrace {args}: {done.stderr}")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
