#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What does tracing cost? Runs the same load without a tracer, under conntrace and under tcplife,
interleaved in one run, prints the figures side by side and checks conntrace's against the budget.

Exit codes: 0 within the budget, 1 not within it, 2 the benchmark could not be run."""

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source tree stays clean
from bench_tools import (STOP_SIGNALS, BenchError, Conntrace, NoTracer, Tcplife, refuse_if_running,
                         uninterrupted)

BPF_STATS = "/proc/sys/kernel/bpf_stats_enabled"
CPUACCT = "/sys/fs/cgroup/cpuacct/cpuacct.usage"
PORTS = range(20000, 32000)  # below the ephemeral ports: nobody else's connection has one of these
CONNECTIONS_PER_PORT = 10000
DISTURBED = 0.10  # of the CPU time; a quiet machine shows 0.02

VARIANTS = {"none": NoTracer, "conntrace": Conntrace, "tcplife": Tcplife}

# key, label, unit divisor, decimals; the ratio to "none" is shown where "none" has the figure
ROWS = [
    ("latency_p50_ns", "latency p50, us", 1e3, 1),
    ("latency_p99_ns", "latency p99, us", 1e3, 1),
    ("connections_per_s", "connections per second", 1, 0),
    ("cpu_system_ns", "CPU per connection, whole system, us", 1e3, 1),
    ("cpu_conngen_ns", "CPU per connection, load generator, us", 1e3, 1),
    ("bpf_ns", "BPF time per connection, both ends, us", 1e3, 2),
    ("datagram_ns", "a UDP datagram sent and received, us", 1e3, 2),
    ("datagram_bpf_ns", "BPF time for it, us", 1e3, 2),
    ("iperf3_bits_per_s", "iperf3 throughput, Gbit/s", 1e9, 2),
    ("rss_bytes", "RSS of all its processes, MB", 1e6, 1),
    ("pss_bytes", "PSS of all its processes, MB", 1e6, 1),
    ("expected", "records expected", 1, 0),
    ("lost", "records lost", 1, 0),
    ("surplus", "records too many", 1, 0),
]

# of these every single one counts, in every round and pass
SUMMED = {"expected", "seen", "lost", "surplus", "counted_losses"}

# key, is it the ratio to "none", comparison, limit, unit divisor, label
BUDGET = [
    ("bpf_ns", False, "<=", 3000, 1e3, "BPF time per loopback connection, us"),
    ("latency_p50_ns", True, "<=", 1.10, 1, "latency p50, ratio"),
    ("iperf3_bits_per_s", True, ">=", 0.98, 1, "iperf3 throughput, ratio"),
    ("rss_bytes", False, "<=", 24e6, 1e6, "RSS of all processes, MB"),
    ("lost", False, "<=", 0, 1, "records lost"),
    ("surplus", False, "<=", 0, 1, "records too many"),
    ("counted_losses", False, "<=", 0, 1, "losses counted by conntrace status"),
]


def run(command, timeout):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except FileNotFoundError:
        raise BenchError(f"{command[0]}: not found: build or install it first") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"{command[0]}: no end within {timeout} s") from None
    if done.returncode:
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}: "
                         f"{(done.stderr or done.stdout).strip()[:500]}")
    return done.stdout


def run_json(command, timeout):
    out = run(command, timeout)
    try:
        return json.loads(out)
    except ValueError:
        raise BenchError(f"{command[0]}: not JSON: {out[:200]!r}") from None


def cpu_busy_ns():
    """CPU time used by all tasks of the system: exact with cgroup v1's cpuacct, else in ticks."""
    try:
        with open(CPUACCT) as f:
            return int(f.read())
    except FileNotFoundError:
        with open("/proc/stat") as f:
            user, nice, system, _idle, _iowait, irq, softirq = map(int, f.readline().split()[1:8])
        return (user + nice + system + irq + softirq) * 10**9 // os.sysconf("SC_CLK_TCK")


class Ports:
    """Each load gets ports of its own: no TIME_WAIT of the one before is in its way, and a record
    belongs to exactly one load."""

    def __init__(self):
        self.left = iter(PORTS)

    def take(self, count):
        found = []
        for port in self.left:
            with socket.socket() as s:
                with contextlib.suppress(OSError):
                    s.bind(("127.0.0.1", port))
                    found.append(port)
            if len(found) == count:
                return found
        raise BenchError("no free ports left between "
                         f"{PORTS.start} and {PORTS.stop}: fewer rounds, please")


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.ports = Ports()

    def load(self, tool, connections):
        """One load of short connections; returns conngen's report, with CPU and time added."""
        ports = self.ports.take(-(-connections // CONNECTIONS_PER_PORT))
        before = cpu_busy_ns()
        report = run_json([self.options.conngen, "run", "--connections", str(connections),
                           "--request", "64", "--response", "256",
                           "--port", ",".join(map(str, ports))], timeout=120)
        report["cpu_busy_ns"] = cpu_busy_ns() - before
        tool.expect(ports, 2 * connections)
        return report

    def datagrams(self):
        """Of one flow. Returns the time for one of them; what of it is BPF's takes a pass of its own."""
        count = self.options.datagrams
        report = run_json([self.options.dgramgen, "1", "1", str(count), "64"], timeout=120)
        return report["elapsed_ns"] / count

    def iperf3(self):
        port = self.ports.take(1)[0]
        seconds = self.options.iperf_seconds
        server = None
        try:
            with uninterrupted():
                server = subprocess.Popen(
                    ["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", str(port)],
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_listening(port)
            report = run_json(["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", str(seconds),
                               "-O", "1", "-J"], timeout=seconds + 30)
            server.wait(10)
        except subprocess.TimeoutExpired:
            raise BenchError("iperf3: the server does not end") from None
        except FileNotFoundError:
            raise BenchError("iperf3: not found: install it, or leave it out by --iperf-seconds 0"
                             ) from None
        finally:
            if server and server.poll() is None:
                server.kill()
                server.wait()
        return report["end"]["sum_received"]["bits_per_second"]

    def visit(self, name):
        """One variant's turn in a round. Returns its figures."""
        options = self.options
        with self.tool(name) as tool:
            self.load(tool, max(options.connections // 10, 1))  # caches, tables, first faults
            loads = [self.load(tool, options.connections) for _ in range(options.repeats)]
            figures = figures_of(loads)
            figures["datagram_ns"] = self.datagrams()
            figures.update(tool.memory())
            if options.iperf_seconds:
                figures["iperf3_bits_per_s"] = self.iperf3()
                for key, value in tool.memory().items():
                    figures[key] = max(value, figures[key])
        figures.update(tool.account())
        return figures

    def visit_bpf(self, name):
        """BPF run time of the programs the tool loaded. A pass of its own: measuring it costs."""
        with self.tool(name) as tool, bpf_stats():
            before = bpf_times()
            report = self.load(tool, self.options.connections)
            after = bpf_times()
            self.datagrams()
            last = bpf_times()
        used = bpf_used(tool, before, after)
        if not used:
            raise BenchError(f"{name}: no BPF program of it is loaded")
        figures = {"bpf_ns": sum(u["run_ns"] for u in used.values()) / report["completed"],
                   "datagram_bpf_ns": sum(u["run_ns"] for u in bpf_used(tool, after, last).values()
                                          ) / self.options.datagrams,
                   "bpf_programs": used}
        figures.update(tool.account())
        return figures

    @contextlib.contextmanager
    def tool(self, name):
        refuse_if_running()
        tool = VARIANTS[name](self.options, self.directory)
        tool.programs_before = set(bpf_times())
        try:
            tool.start()
            yield tool
            tool.settle()
        finally:
            tool.stop()


def figures_of(loads):
    """The median load, each figure for itself."""
    def median(value):
        return statistics.median(value(load) for load in loads)

    return {
        "latency_p50_ns": median(lambda r: r["latency_p50_ns"]),
        "latency_p99_ns": median(lambda r: r["latency_p99_ns"]),
        "connections_per_s": median(lambda r: r["completed"] / r["elapsed_ns"] * 1e9),
        "cpu_system_ns": median(lambda r: r["cpu_busy_ns"] / r["completed"]),
        "cpu_conngen_ns": median(
            lambda r: (r["cpu_user_ns"] + r["cpu_system_ns"]) / r["completed"]),
    }


def wait_listening(port):
    """Not by connecting: iperf3 -1 would take that for its one client."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with open("/proc/net/tcp") as f:
            if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for line in f.readlines()[1:]):
                return
        time.sleep(0.02)
    raise BenchError(f"iperf3: does not listen on port {port} within 5 s")


def bpf_times():
    """{program id: (name, run_time_ns, run_cnt)} of every loaded BPF program."""
    programs = run_json(["bpftool", "prog", "show", "-j"], timeout=30)
    return {p["id"]: (p.get("name", "?"), p.get("run_time_ns", 0), p.get("run_cnt", 0))
            for p in programs}


def bpf_used(tool, before, after):
    """What the programs of a tool used in between, {name: {run_ns, runs}}."""
    used = {}
    for key, (program, run_ns, runs) in after.items():
        _, ns0, runs0 = before.get(key, ("", 0, 0))
        if key not in tool.programs_before:
            used[f"{program}#{key}"] = {"run_ns": run_ns - ns0, "runs": runs - runs0}
    return used


@contextlib.contextmanager
def bpf_stats():
    with open(BPF_STATS) as f:
        before = f.read()
    try:
        with open(BPF_STATS, "w") as f:
            f.write("1")
        yield
    finally:
        with uninterrupted(), open(BPF_STATS, "w") as f:
            f.write(before)


def measure(bench, variants, rounds):
    """[{variant: figures}] per round, each round starting with another variant."""
    result = []
    for i in range(rounds):
        order = variants[i % len(variants):] + variants[:i % len(variants)]
        result.append({})
        for name in order:
            print(f"round {i + 1} of {rounds}: {name}", file=sys.stderr)
            result[-1][name] = bench.visit(name)
            if name != "none":
                extra = bench.visit_bpf(name)
                for key in SUMMED & extra.keys():
                    extra[key] += result[-1][name][key]
                result[-1][name].update(extra)
    return result


def summarise(rounds, variants):
    """Per variant: the median over the rounds of each figure and of its ratio to none in the same
    round; losses are summed up, not averaged away."""
    summary = {}
    for name in variants:
        keys = {key for r in rounds for key, v in r[name].items() if isinstance(v, (int, float))}
        figures, ratios = {}, {}
        for key in keys:
            values = [r[name][key] for r in rounds]
            figures[key] = sum(values) if key in SUMMED else statistics.median(values)
            if "none" in variants and all(r["none"].get(key) for r in rounds):
                ratios[key] = statistics.median(r[name][key] / r["none"][key] for r in rounds)
        summary[name] = {"figures": figures, "ratios": ratios}
    return summary


def print_table(summary):
    print(f"{'':40}" + "".join(f"{name:>18}" for name in summary))
    for key, label, divisor, decimals in ROWS:
        cells = ""
        for name, of in summary.items():
            value, ratio = of["figures"].get(key), of["ratios"].get(key)
            text = "-" if value is None else f"{value / divisor:.{decimals}f}"
            ratio_text = f" ({ratio:.2f})" if ratio is not None and name != "none" else " " * 7
            cells += f"{text + ratio_text:>18}"
        print(f"{label:40}{cells}".rstrip())
    print("in brackets: ratio to none in the same round; medians over the rounds, losses summed up")


def disturbance(summary):
    """Share of the CPU time that was neither idle nor the load's own while nothing was traced."""
    figures = summary.get("none", {}).get("figures", {})
    if not figures.get("cpu_system_ns"):
        return None
    return max(0, 1 - figures["cpu_conngen_ns"] / figures["cpu_system_ns"])


def check_budget(conntrace):
    """[(label, value, comparison, limit, ok)]; a figure that is missing is not ok."""
    rows = []
    for key, as_ratio, comparison, limit, divisor, label in BUDGET:
        value = conntrace["ratios" if as_ratio else "figures"].get(key)
        ok = value is not None and (value <= limit if comparison == "<=" else value >= limit)
        rows.append({"what": label, "value": None if value is None else value / divisor,
                     "comparison": comparison, "limit": limit / divisor, "ok": ok})
    return rows


def print_budget(rows):
    print("\nbudget of conntrace")
    for row in rows:
        value = "missing" if row["value"] is None else f"{row['value']:.3f}"
        print(f"  {row['what']:40} {value:>10} {row['comparison']} {row['limit']:<8g} "
              f"{'ok' if row['ok'] else 'MISSED'}")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--bin", default="build/bin", help="directory of conntrace's programs")
    parser.add_argument("--conngen", help="the load generator (default BIN/../bench/conngen)")
    parser.add_argument("--dgramgen", help="and that of datagrams (default BIN/../bench/dgramgen)")
    parser.add_argument("--variants", default="none,conntrace,tcplife",
                        help="which, separated by commas (default %(default)s)")
    parser.add_argument("--rounds", default=5, **number, help="default %(default)s")
    parser.add_argument("--repeats", default=3, **number,
                        help="loads per variant and round (default %(default)s)")
    parser.add_argument("--connections", default=10000, **number,
                        help="per load (default %(default)s)")
    parser.add_argument("--datagrams", default=200000, **number,
                        help="per variant and round (default %(default)s)")
    parser.add_argument("--iperf-seconds", default=2, **number,
                        help="per variant and round, 0 = leave iperf3 out (default %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every figure of every round there")
    options = parser.parse_args()
    options.conngen = options.conngen or os.path.join(options.bin, "../bench/conngen")
    options.dgramgen = options.dgramgen or os.path.join(options.bin, "../bench/dgramgen")
    options.variants = options.variants.split(",")
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"--variants: {', '.join(sorted(unknown))}: not one of {', '.join(VARIANTS)}")
    if min(options.rounds, options.repeats, options.connections, options.datagrams) < 1 \
            or options.iperf_seconds < 0:
        parser.error("--rounds, --repeats, --connections and --datagrams must be at least 1")
    return options


def bench_main(options):
    if os.geteuid() != 0:
        raise BenchError("root is needed: tcplife and the BPF run times are only for root")
    for path in (options.conngen, options.dgramgen, *(p for name in options.variants
                                    for p in VARIANTS[name].programs(options))):
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path}: not there: run make first, install libbpf-tools, or say "
                             "where it is by --bin and --conngen")
    if options.json:
        with open(options.json, "w"):
            pass  # to fail now and not after the work
    with tempfile.TemporaryDirectory(prefix="conntrace-bench-") as directory:
        bench = Bench(options, directory)
        rounds = measure(bench, options.variants, options.rounds)
    summary = summarise(rounds, options.variants)
    print_table(summary)
    foreign = disturbance(summary)
    if foreign is not None and foreign > DISTURBED:
        print(f"DISTURBED: other programs took {foreign:.0%} of the CPU time used without a "
              "tracer; repeat this on a quiet machine")
    budget = check_budget(summary["conntrace"]) if "conntrace" in summary else []
    if budget:
        print_budget(budget)
    else:
        print("\nbudget not checked: conntrace was not among the variants")
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"kernel": os.uname().release, "cpus": os.cpu_count(),
                       "connections": options.connections, "repeats": options.repeats,
                       "disturbance": foreign, "rounds": rounds, "summary": summary,
                       "budget": budget}, f, indent=1)
            f.write("\n")
    return 0 if all(row["ok"] for row in budget) else 1


def on_signal(number, _frame):
    # only once: the second must not interrupt the cleaning up
    for s in STOP_SIGNALS:
        signal.signal(s, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    options = parse_arguments()
    for s in STOP_SIGNALS:
        signal.signal(s, on_signal)
    try:
        return bench_main(options)
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
    except OSError as e:
        print(f"bench: {e.filename}: {e.strerror}", file=sys.stderr)
    except KeyboardInterrupt as e:
        print(f"bench: stopped by {e}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
