# SPDX-License-Identifier: Apache-2.0
# timeout: 200
"""What is wrong around conntraced ends in one clear error that names the remedy: no crash, the
right exit code, no process and no socket left."""

import os
import shutil
import signal
import subprocess
import tempfile

from harness import BIN, OBJECT, Tracer, Tree, check, ends, equal, main, wait_for


def configured(text, tree, **kwargs):
    tracer = Tracer(binaries=tree.bin, **kwargs)
    tracer.write_config(text.format(dir=tracer.dir, out=tracer.out))
    return tracer


def test_a_kernel_without_btf():
    hide = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    with Tree() as tree:
        ends(Tracer(binaries=tree.bin, wrap=hide), 69,
             "btf: no BTF: no /sys/kernel/btf/vmlinux and no ", " in the archive: run a kernel with "
             "CONFIG_DEBUG_INFO_BTF=y, with /sys mounted, or name a file by 'btf:'")


def test_btf_that_is_none():
    hide = ["unshare", "-m", "sh", "-c",
            'mount --bind /etc/hostname /sys/kernel/btf/vmlinux && exec "$@"', "sh"]
    with Tree() as tree:
        ends(Tracer(binaries=tree.bin, wrap=hide), 69,
             "/sys/kernel/btf/vmlinux: holds no BTF of this byte order")


def test_an_object_that_others_may_write():
    with Tree() as tree:
        os.chmod(tree.object, 0o646)
        ends(Tracer(binaries=tree.bin), 66, OBJECT + " is writable by others than root: chmod go-w")


def test_an_object_of_another_user():
    with Tree() as tree:
        shutil.chown(tree.object, "nobody")
        ends(Tracer(binaries=tree.bin), 66,
             OBJECT + " does not belong to root:root: chown root:root it")


def test_an_object_that_is_a_symbolic_link():
    with Tree() as tree:
        os.rename(tree.object, tree.object + ".real")
        os.symlink(tree.object + ".real", tree.object)
        ends(Tracer(binaries=tree.bin), 66,
             OBJECT + " is a symbolic link: put the file itself there")


def test_an_object_that_is_missing():
    with Tree() as tree:
        os.unlink(tree.object)
        ends(Tracer(binaries=tree.bin), 66, OBJECT + " is missing: install conntrace's BPF objects")


def test_an_object_that_is_a_named_pipe():
    with Tree() as tree:
        os.unlink(tree.object)
        os.mkfifo(tree.object)
        os.chmod(tree.object, 0o644)
        ends(Tracer(binaries=tree.bin), 66, OBJECT + " is not a regular file: install conntrace's")


def test_an_object_that_is_no_object():
    with Tree() as tree:
        with open(tree.object, "wb") as f:
            f.write(b"\x7fELF" + b"\xff" * 4096)
        ends(Tracer(binaries=tree.bin), 70, "tracepoint: load: ")


def test_an_object_that_is_cut_off():
    with Tree() as tree:
        os.truncate(tree.object, os.path.getsize(tree.object) // 2)
        ends(Tracer(binaries=tree.bin), 70, "tracepoint: load: ")


def test_a_loader_without_its_capabilities():
    with Tree(armed=False) as tree:
        ends(Tracer(binaries=tree.bin), 77, ": privileges: lacks cap_bpf and cap_perfmon", "setcap")


def test_a_loader_that_is_missing():
    with Tree() as tree:
        os.unlink(tree.loader)
        ends(Tracer(binaries=tree.bin), 69, "install")


def test_an_exporter_that_is_missing():
    with Tree() as tree:
        os.unlink(os.path.join(tree.bin, "conntrace-exporter"))
        ends(Tracer(binaries=tree.bin), 69, "execute conntrace-exporter: No such file",
             "given up: exit 127: conntrace-exporter can't be executed: install it")


def test_a_value_of_the_wrong_type():
    with Tree() as tree:
        ends(configured("output: {{format: json, path: {out}/r}}\nsnapshot_interval: soon\n", tree),
             78, "conntrace.yaml:2: snapshot_interval")


def test_an_unknown_key():
    with Tree() as tree:
        ends(configured("\noutput: {{format: json, path: {out}/r}}\noutptu: 1\n", tree),
             78, "conntrace.yaml:3: ")


def test_a_configuration_that_is_no_yaml():
    with Tree() as tree:
        ends(configured("output: [}}\n", tree), 78, "conntrace.yaml:1: ")


def test_a_configuration_with_control_characters():
    with Tree() as tree:
        tracer = configured('"\\e[31mred": 1\n', tree)
        text = []
        kept = tracer.text
        tracer.text = lambda: text.append(kept()) or text[-1]
        ends(tracer, 78, "conntrace.yaml:1: ")
        check(all("\x1b" not in t for t in text), "an escape sequence reached the log")


def test_no_configuration():
    with Tree() as tree:
        tracer = Tracer(binaries=tree.bin)
        os.unlink(tracer.config_path)
        ends(tracer, 66, "conntrace.yaml", "No such file or directory")


def test_a_configuration_in_a_directory_that_is_missing():
    with Tree() as tree:
        tracer = Tracer(binaries=tree.bin)
        tracer.config_path = os.path.join(tracer.dir, "none", "conntrace.yaml")
        ends(tracer, 66, "none/conntrace.yaml: No such file or directory")


def test_a_configuration_that_may_not_be_read():
    with Tree() as tree:
        tracer = Tracer(binaries=tree.bin)
        os.chmod(tracer.config_path, 0o600)
        ends(tracer, 66, "conntrace.yaml: can't be read: Permission denied")


def test_an_output_directory_that_is_missing():
    with Tree() as tree:
        ends(configured("output: {{format: json, path: {out}/none/r}}\n", tree), 73,
             "/none/r: No such file or directory: create its directory, or change output.path")


def test_an_output_that_may_not_be_written():
    with Tree() as tree:
        ends(configured("output: {{format: json, path: {dir}/r}}\n", tree), 73,
             "/r: Permission denied: let the user conntraced runs as write there")


def test_an_output_that_is_a_symbolic_link():
    with Tree() as tree:
        tracer = configured("output: {{format: json, path: {out}/link}}\n", tree)
        os.symlink("/dev/null", os.path.join(tracer.out, "link"))
        ends(tracer, 73, "a symbolic link is not followed: name the file itself")


def test_a_control_socket_in_use():
    with Tree() as tree, Tracer(binaries=tree.bin) as first:
        second = Tracer(binaries=tree.bin)
        own, second.socket = second.socket, first.socket
        second.start(wait=False)
        try:
            equal(second.proc.wait(10), 69, "exit code")
            check("another conntraced runs here: stop it, or name another path by --socket"
                  in second.text(), f"it said: {second.text()}")
            check(not os.path.exists(own), "a socket of the second")
            check(first.tracing(), "the first one no longer answers")
        finally:
            second.kill()
            second.log.close()
            shutil.rmtree(second.dir, ignore_errors=True)


def test_a_control_socket_left_by_one_that_was_killed():
    with Tree() as tree:
        with Tracer(binaries=tree.bin) as tracer:
            tracer.kill()
            check(os.path.exists(tracer.socket), "no stale socket to test with")
            wait_for("children gone", lambda: not tree.processes())
            tracer.start()
            check(tracer.tracing(), "no answer")
            tracer.stop()
            check(not os.path.exists(tracer.socket), "the control socket is still there")


def test_a_control_socket_where_none_can_be():
    with Tree() as tree:
        tracer = Tracer(binaries=tree.bin)
        tracer.socket = os.path.join(tracer.dir, "control.sock")
        ends(tracer, 69, "Permission denied: its directory must be writable, or name another path")


def daemon(tree, *args):
    return subprocess.run([os.path.join(tree.bin, "conntraced"), *args], capture_output=True,
                          text=True, timeout=20, stdin=subprocess.DEVNULL)


def test_check():
    with Tree() as tree, tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        path = os.path.join(directory, "c.yaml")
        for text, code, said in (("records: {open: true}\n", 0, "configuration is valid"),
                                 ("records: {open: maybe}\n", 78, "c.yaml:1: records.open"),
                                 ("a: 1\nb: 2\n", 78, "c.yaml:2: ")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, 0o644)
            done = daemon(tree, "--check", "--user", "nobody", "--config", path,
                          "--socket", os.path.join(directory, "s"))
            equal(done.returncode, code, f"exit code; it said: {done.stderr}")
            check(said in done.stderr, f"not said: {said!r}; it said: {done.stderr}")
            check(not os.path.exists(os.path.join(directory, "s")), "a control socket")


def test_a_child_with_a_capability():
    with Tree() as tree:
        for name, code in (("exporter", 77), ("verifier", 78)):
            program = os.path.join(tree.bin, f"conntrace-{name}")
            subprocess.run(["setcap", "cap_bpf+p", program], check=True)
            ends(Tracer(binaries=tree.bin), code, f"conntrace-{name}: has capabilities it must "
                 "not have: cap_bpf", f"{name}: given up")
            subprocess.run(["setcap", "-r", program], check=True)
        subprocess.run(["setcap", "cap_bpf+p", os.path.join(tree.bin, "conntrace-poller")], check=True)
        with Tracer(binaries=tree.bin, source=True) as tracer:
            wait_for("the poller given up", lambda: tracer.process("poller")["state"] == "failed")
            check("must not have: cap_bpf" in tracer.process("poller")["last"],
                  tracer.process("poller"))


def test_a_release_build_does_not_let_its_children_do_what_is_forbidden():
    with Tree() as tree:
        done = daemon(tree, "--log-forbidden")
        equal(done.returncode, 64, "exit code")
        check("this is a release build" in done.stderr, f"it said: {done.stderr}")


def test_wrong_usage():
    with Tree() as tree:
        for args in (["--no-such"], ["--config"], ["word"]):
            done = daemon(tree, *args)
            equal(done.returncode, 64, f"exit code of conntraced {args}")
            check("try 'conntraced --help'" in done.stderr, f"it said: {done.stderr}")
        for user in ("root", "0", "nobody:0", "no-such-user", "x" * 100):
            done = daemon(tree, "--user", user, "--config", "/dev/null")
            equal(done.returncode, 77, f"exit code of conntraced --user {user}")
            check("--user" in done.stderr, f"--user {user}: it said: {done.stderr}")


def test_status_without_a_daemon():
    with tempfile.TemporaryDirectory() as directory:
        for command in ("status", "list", "tail"):
            done = subprocess.run([os.path.join(BIN, "conntrace"), command, "--socket",
                                   os.path.join(directory, "none.sock")], capture_output=True,
                                  text=True, timeout=10)
            equal(done.returncode, 3, f"exit code of conntrace {command}")
            check("none.sock" in done.stderr and "start" in done.stderr, f"it said: {done.stderr}")


def test_children_started_by_hand():
    with Tree() as tree:
        for name in ("loader", "exporter", "poller", "verifier"):
            done = subprocess.run([os.path.join(tree.bin, f"conntrace-{name}")], timeout=10,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            equal(done.returncode, 64, f"exit code of conntrace-{name}")
            equal(done.stderr,
                  f"conntrace-{name}: not to be started by hand: conntraced starts it\n",
                  "what it said")


if __name__ == "__main__":
    main([test for name, test in list(globals().items()) if name.startswith("test_")])
