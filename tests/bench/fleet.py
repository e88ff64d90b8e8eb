#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a fleet asks of the server that has its signed configuration.

bytes: conntraced polls a repository that conntrace-repo made and nginx serves over TLS; requests are
counted by nginx's log, bytes in both directions by a relay before it, with TLS and headers, without
those of TCP and IP.
hosts: 100,000 hosts that poll by the poller's own schedule, in simulated time.

Exit codes: 0 done, 1 something failed, 2 wrong usage."""

import argparse
import functools
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
from harness import OUT, Tracer, wait_for

DAY = 86400
INTERVAL = 60  # seconds, of a real host
POLL = 4        # seconds, here
HOSTS = 100000
GROUPS = 50  # group/*.yaml beside base.yaml
TEXT = "filters:\n" + "".join(f"  - exclude: {{cidr: 10.{n}.0.0/16, port: 443}}\n" for n in range(7))

NGINX = """daemon off; pid {dir}/pid; error_log {dir}/error.log; worker_processes 1; user root;
events {{}}
http {{
    access_log {dir}/access.log; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
    fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
    server {{
        listen 127.0.0.1:{port} ssl; root {dir}/repo;
        ssl_certificate {dir}/crt; ssl_certificate_key {dir}/key;
    }}
    server {{
        listen 127.0.0.1:{reports_port} ssl; access_log {dir}/reports.log;
        ssl_certificate {dir}/crt; ssl_certificate_key {dir}/key;
        location / {{ return 204; }}
    }}
}}
"""


class BenchError(Exception):
    """It can't be measured; the text says why."""


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def table(head, rows):
    rows = [[str(cell) for cell in row] for row in rows]
    print(f"| {' | '.join(head)} |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


# --- bytes --------------------------------------------------------------------------------------

class Relay:
    """Passes connections on to a port and counts what goes each way."""

    def __init__(self, port):
        self.target, self.up, self.down = port, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.pump, args=(client,), daemon=True).start()

    def pump(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, \
                selectors.DefaultSelector() as selector:
            for source, sink in ((client, server), (server, client)):
                selector.register(source, selectors.EVENT_READ, sink)
            while selector.get_map():
                for key, _ in selector.select():
                    data = key.fileobj.recv(65536)
                    if key.fileobj is client:
                        self.up += len(data)
                    else:
                        self.down += len(data)
                    if data:
                        key.data.sendall(data)
                    else:
                        selector.unregister(key.fileobj)
                        key.data.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


class Site:
    """A repository, nginx that serves it over TLS, and a host that polls it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="conntrace-fleet-")
        os.chmod(self.dir, 0o755)
        self.text = os.path.join(self.dir, "text.yaml")
        with open(self.text, "w", encoding="ascii") as file:
            file.write(TEXT)
        self.repo("init")
        for path in ("base.yaml", *(f"group/g{n}.yaml" for n in range(GROUPS))):
            self.repo("add", path, self.text)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
            "-out", f"{self.dir}/crt", "-keyout", f"{self.dir}/key")
        self.port, reports_port = free_port(), free_port()
        with open(f"{self.dir}/nginx.conf", "w", encoding="ascii") as file:
            file.write(NGINX.format(dir=self.dir, port=self.port,
                                    reports_port=reports_port))
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        if not nginx:
            raise BenchError("nginx is not installed: ./bootstrap deps check")
        self.nginx = subprocess.Popen([nginx, "-c", f"{self.dir}/nginx.conf", "-p", self.dir],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait()
        self.relay, self.reports = Relay(self.port), Relay(reports_port)

    def wait(self):
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise BenchError("nginx does not start")

    def repo(self, command, *arguments):
        run(f"{OUT}/bin/conntrace-repo", command, f"{self.dir}/repo", *arguments)

    def change(self):
        with open(self.text, "a", encoding="ascii") as file:
            file.write("# changed\n")
        self.repo("add", "base.yaml", self.text)

    def host(self, reports=False):
        report = f"report: 'https://127.0.0.1:{self.reports.port}/', " if reports else ""
        return Tracer(more=f"source: {{url: 'https://127.0.0.1:{self.relay.port}', {report}"
                           f"root: {self.dir}/repo/metadata/1.root.json, ca: {self.dir}/crt, "
                           f"groups: [g7], interval: {POLL}s}}\n")

    def requests(self):
        """How many nginx has logged since the last time. It logs each when it is done."""
        path = f"{self.dir}/access.log"
        with open(path, encoding="ascii") as file:
            count = len(file.readlines())
        os.truncate(path, 0)
        return count

    def poll(self, tracer, *changes):
        """Requests, bytes up and bytes down of the poll behind these changes."""
        def polls():
            return tracer.process("poller")["stats"].get("polls", 0)

        def await_poll():
            before = polls()
            wait_for("a poll", lambda: polls() > before, 3 * POLL)
            time.sleep(0.3)  # until both ends have closed

        if changes:
            await_poll()
            self.requests()
            self.relay.up = self.relay.down = 0
        for change in changes:
            change()
        await_poll()
        return self.requests(), self.relay.up, self.relay.down

    def close(self):
        self.relay.close()
        self.reports.close()
        self.nginx.terminate()
        self.nginx.wait(10)
        shutil.rmtree(self.dir)


def measure_polls(site):
    """[what, (requests, up, down)] of each kind of poll."""
    with site.host() as tracer:
        wait_for("the first poll", lambda: tracer.status()["source"]["trust"] == "accepted")
        time.sleep(0.3)
        yield "first", (site.requests(), site.relay.up, site.relay.down)
        yield "nothing changed", site.poll(tracer, lambda: None)
        yield "one file changed", site.poll(tracer, site.change)
        rotate = functools.partial(site.repo, "rotate-root")
        yield "keys of root replaced", site.poll(tracer, rotate)
        yield "keys of targets replaced", site.poll(tracer, functools.partial(rotate, "--role",
                                                                              "targets"))
        yield "ten roots later", site.poll(tracer, *[rotate] * 10)


def measure_reports(site):
    """Bytes up and down of one report."""
    with site.host(reports=True) as tracer:
        wait_for("a report", lambda: tracer.status()["source"]["reports_sent"], 4 * POLL)
        time.sleep(0.3)
        with open(f"{site.dir}/reports.log", encoding="ascii") as file:
            count = len(file.readlines())
        return site.reports.up // count, site.reports.down // count


def show_reports(up, down):
    """Once an hour, and with each change: on probation, in force."""
    rows = []
    for changes in (0, 10):
        count = 24 + 2 * changes
        rows.append((f"{changes} changes", count, count * up, count * down,
                     f"{HOSTS * count / 1e6:.1f} million", round(HOSTS * count / DAY),
                     f"{HOSTS * count * (up + down) / 1e9:.1f}"))
    print(f"a report: {up} bytes sent, {down} received\n")
    table(("reports of a day", "of one host", "bytes sent", "bytes received", f"of {HOSTS:,}",
           "a second", "GB"), rows)


def show_bytes():
    site = Site()
    try:
        polls = list(measure_polls(site))
        report = measure_reports(site)
    finally:
        site.close()
    table(("a poll", "requests", "bytes sent", "bytes received"),
          [(what, *counted) for what, counted in polls])
    kinds = dict(polls)
    quiet, changed = kinds["nothing changed"], kinds["one file changed"]
    count = DAY // INTERVAL
    days = {n: [(count - n) * q + n * c for q, c in zip(quiet, changed)] for n in (0, 10)}
    table(("a day of one host", "requests", "bytes sent", "bytes received"),
          [(f"{n} changes", *day) for n, day in days.items()])
    requests, up, down = days[0]
    table((f"{HOSTS:,} hosts, nothing changed", "per second", "per day"),
          [("requests", round(HOSTS * requests / DAY), f"{HOSTS * requests / 1e6:.0f} million"),
           *((f"bytes {way}", f"{HOSTS * size / DAY / 1e6:.1f} MB", f"{HOSTS * size / 1e9:.0f} GB")
             for way, size in (("sent", up), ("received", down)))])
    table((f"{HOSTS:,} hosts, in a minute more than else", "requests", "MB received"),
          [(what, f"{HOSTS * (counted[0] - quiet[0]):,}",
            round(HOSTS * (counted[2] - quiet[2]) / 1e6))
           for what, counted in polls if what not in ("first", "nothing changed")])
    show_reports(*report)


# --- hosts --------------------------------------------------------------------------------------

class Run:
    """One simulation: what fleet printed, by second."""

    def __init__(self, **how):
        self.hosts = how.setdefault("hosts", HOSTS)
        self.mark = how.get("mark", 0)
        argv = [word for name, value in how.items() for word in (f"--{name}", str(value))]
        lines = run(f"{OUT}/bench/fleet", *argv).splitlines()
        self.seconds = [tuple(map(int, line.split("\t"))) for line in lines]

    def polls(self, begin, end):
        return [polls for second, polls, _, _ in self.seconds if begin <= second < end]

    def peak(self, begin=0, end=1 << 32):
        return max(self.polls(begin, end))

    def mean(self, begin, end):
        return round(sum(self.polls(begin, end)) / (end - begin))

    def reached(self, share):
        """Seconds from the mark until that share of the hosts had a success, the whole second in
        which it happened included."""
        total = 0
        for second, _, _, learned in self.seconds:
            total += learned
            if total >= share * self.hosts:
                return second + 1 - self.mark
        return "-"


def show_hosts(seed):
    outage = 1200  # by then the polls are spread
    hour = 3600

    def after(length, **how):
        return Run(seed=seed, spread=60, seconds=outage + length + 3 * hour, outage=outage,
                   restored=outage + length, mark=outage + length, **how)

    steady = Run(seed=seed, spread=60, seconds=hour)
    print(f"steady: {steady.mean(1200, hour)} polls per second, at most {steady.peak(1200, hour)}\n")
    starts = (("all in one second, all are answered", {}),
              ("within a minute", {"spread": 60}),
              ("all in one second, 5,000 per second are answered", {"capacity": 5000}),
              ("all in one second, 2,000 per second are answered", {"capacity": 2000}),
              ("all in one second, none is answered for 10 minutes",
               {"outage": 0, "restored": 600}))
    rows = []
    for what, how in starts:
        one = Run(seed=seed, seconds=hour, **how)
        rows.append((what, one.peak(0, 1), one.peak(1, 600), one.peak(600, hour),
                     one.reached(0.5), one.reached(1)))
    table(("start", "first second", "most in a second until 10 min", "then", "half answered, s",
           "all, s"), rows)
    rows = []
    for what, length in (("1 minute", 60), ("10 minutes", 600), ("1 hour", hour),
                         ("6 hours", 6 * hour)):
        one = after(length)
        end = outage + length
        rows.append((what, one.mean(end - 60, end), one.peak(end), one.reached(0.5),
                     one.reached(0.95), one.reached(1)))
    table(("outage of", "polls per second at its end", "most in a second after", "half back, s",
           "95 %, s", "all, s"), rows)
    one = Run(seed=seed, spread=60, seconds=1800, mark=1200)
    table(("published when all is well", "most in a second", "half, s", "95 %, s", "all, s"),
          [("hosts that have it", one.peak(1200, 1300), one.reached(0.5), one.reached(0.95),
            one.reached(1))])


def show_report_hosts(seed):
    hour, change = 3600, 7200

    def reports(**how):
        return Run(seed=seed, reports=1, spread=60, **how)

    started = Run(seed=seed, reports=1, seconds=hour)
    steady = reports(seconds=6 * hour)
    changed = reports(seconds=change + hour, change=change, probation=INTERVAL, mark=change)
    table((f"reports of {HOSTS:,} hosts", "most in a second", "within 5 minutes"),
          [("all start in one second", started.peak(), sum(started.polls(0, 300))),
           ("nothing is new", steady.peak(2 * hour), round(steady.mean(2 * hour, 6 * hour) * 300)),
           ("one file is published", changed.peak(change),
            sum(changed.polls(change, change + 300)))])
    rows = []
    for what, length in (("10 minutes", 600), ("1 hour", hour), ("6 hours", 6 * hour)):
        end = change + length
        one = reports(seconds=end + 3 * hour, change=change, probation=INTERVAL, outage=change,
                      restored=end, mark=end)
        rows.append((what, one.mean(end - 60, end), one.peak(end), one.reached(0.5), one.reached(1)))
    table(("published, and reports fail for", "tries per second at its end",
           "most in a second after", "half told, s", "all, s"), rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["bytes", "hosts", []], help="default: both")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default: 1)")
    arguments = parser.parse_args()
    if not arguments.what or "bytes" in arguments.what:
        show_bytes()
    if not arguments.what or "hosts" in arguments.what:
        show_hosts(arguments.seed)
        show_report_hosts(arguments.seed)


if __name__ == "__main__":
    try:
        main()
    except BenchError as error:
        sys.exit(f"fleet: {error}")
