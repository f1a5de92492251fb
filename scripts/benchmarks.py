#!/usr/bin/env python3
# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs the measurements of scripts/bench and writes them as Markdown.

Everything is compared with something else in the same run: the candidates take turns, in a new order every round,
and a ratio is the median over the rounds of one candidate's figure by the other's in the same round. In brackets
stand the quartiles.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

PREFIX = "egret-bench-"
SERVER = PREFIX + "server"
HOST = PREFIX + "host"
# Seconds given to one nft command that changes one element.
PATIENCE = 20


def run(*command, **options):
    options.setdefault("check", True)
    return subprocess.run([str(word) for word in command], **options)


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *[str(word) for word in command]]


def timed(command, **options):
    """Wall seconds and peak resident memory (KiB) of one process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss, usage.ru_stime


def quartiles(values):
    values = sorted(values)
    if len(values) < 4:
        return values[0], values[-1]
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def ratio(figures, references):
    ratios = [figure / reference for figure, reference in zip(figures, references)]
    low, high = quartiles(ratios)
    return statistics.median(ratios), f"{statistics.median(ratios):.2f} ({low:.2f}–{high:.2f})"


def rounds(count, candidates):
    """Calls every candidate once a round, in a new order each; its figures by name."""
    figures = {name: [] for name in candidates}
    for _ in range(count):
        for name in random.sample(list(candidates), len(candidates)):
            figures[name].append(candidates[name]())
    return figures


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options):
        self.bin = pathlib.Path(options.bin).resolve()
        self.tool = self.bin / "egret-bench"
        self.egret = self.bin / "egret"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-"))
        self.namespaces = []
        self.children = []
        self.sections = []

    # Namespaces

    def add_namespace(self, name):
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")

    def connect(self, left, left_name, left_address, right, right_name, right_address):
        run("ip", "link", "add", left_name, "netns", left, "type", "veth", "peer", "name", right_name, "netns", right)
        for name, link, address in ((left, left_name, left_address), (right, right_name, right_address)):
            run("ip", "-n", name, "addr", "add", address, "dev", link)
            run("ip", "-n", name, "link", "set", link, "up")

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        for name in self.namespaces:
            run("ip", "netns", "del", name, check=False)
        run("rm", "-rf", self.directory)

    def background(self, command):
        self.children.append(subprocess.Popen([str(w) for w in command], stdout=subprocess.DEVNULL))

    def remove_leftovers(self):
        names = run("ip", "netns", "list", capture_output=True, text=True).stdout.split("\n")
        for name in names:
            if name.startswith(PREFIX):
                run("ip", "netns", "del", name.split()[0])

    def tool_json(self, *arguments, namespace=None):
        command = ["unshare", "-n"] if namespace is None else ["ip", "netns", "exec", namespace]
        output = run(*command, self.tool, *arguments, capture_output=True, text=True).stdout
        return json.loads(output)

    # Start-up

    def startup(self):
        say("start-up")
        self.add_namespace(HOST)
        self.add_namespace(PREFIX + "uplink")
        self.connect(HOST, "up0", "192.0.2.2/24", PREFIX + "uplink", "up0", "192.0.2.1/24")
        run("ip", "-n", HOST, "addr", "add", "2001:db8:7::2/64", "dev", "up0", "nodad")
        run("ip", "-n", HOST, "route", "add", "default", "via", "192.0.2.1")
        run("ip", "-n", HOST, "-6", "route", "add", "default", "via", "2001:db8:7::1")
        self.add_namespace(PREFIX + "ready")
        single, batched = self.equal_commands()
        # Everything is started from a shell that is in the host's namespace already.
        driver = self.directory / "startup.py"
        driver.write_text(STARTUP_DRIVER)
        candidates = {
            "unshare": ["unshare", "-n", "true"],
            "exec": ["ip", "netns", "exec", PREFIX + "ready", "true"],
            "none": [str(self.egret), "run", "--report", "none", "--", "true"],
            "text": [str(self.egret), "run", "--", "true"],
            "link": ["sh", str(self.directory / "link.sh")],
            "commands": ["sh", str(single)],
            "batched": ["sh", str(batched)],
        }
        (self.directory / "link.sh").write_text("ip link add b0 type veth peer name b1\nip link del b0\n")
        output = run(*inside(HOST, sys.executable, driver, json.dumps(candidates), 25), capture_output=True, text=True)
        times = json.loads(output.stdout)
        words = {
            "unshare": "`unshare -n true`",
            "exec": "`ip netns exec` into a prepared namespace",
            "link": "`ip link add` and `ip link del` of one veth pair, nothing else",
            "none": "**`egret run --report none -- true`**",
            "text": "**`egret run -- true`**, with its report",
            "batched": "the same set-up by three `ip -batch`, `nft -f` and `ip netns`",
            "commands": "the same set-up by `ip` and `nft`, a command each",
        }
        rows = []
        for name, title in words.items():
            low, high = quartiles(times[name])
            over = statistics.median([a - b for a, b in zip(times[name], times["unshare"])])
            rows.append([
                title, f"{statistics.median(times[name]) * 1e3:.1f} ({low * 1e3:.1f}–{high * 1e3:.1f})",
                f"{over * 1e3:+.1f}", ratio(times[name], times["commands"])[1],
            ])
        least = {name: min(values) for name, values in times.items()}
        least_over = (least["none"] - least["unshare"]) * 1e3
        self.startup_facts = (
            ratio(times["none"], times["commands"])[0],
            statistics.median([a - b for a, b in zip(times["none"], times["unshare"])]) * 1e3, least_over,
            statistics.median(times["link"]) * 1e3,
        )
        self.sections.append(STARTUP_TEXT + table(["what", "ms (quartiles)", "over `unshare`, ms", "ratio to commands"], rows)
                             + f"\nThe quickest of the 25 rounds: {least['none'] * 1e3:.1f} ms, {least_over:+.1f} ms over "
                             "the quickest `unshare`.\n")

    def equal_commands(self):
        """Scripts of ip and nft commands that make and remove what a run makes and removes, taken from a real run."""
        holder = subprocess.Popen(inside(HOST, self.egret, "run", "--report", "none", "--", "sleep", "2"))
        time.sleep(1)
        rules = run(*inside(HOST, "nft", "list", "ruleset"), capture_output=True, text=True).stdout
        links = json.loads(run("ip", "-n", HOST, "-j", "addr", capture_output=True, text=True).stdout)
        holder.wait()
        link = next(entry for entry in links if entry["ifname"].startswith("egret"))
        name = link["ifname"]
        hardware, far_hardware = link["address"], link["address"].replace("02:65:00", "02:65:01")
        (self.directory / "rules.nft").write_text(rules)
        four = next(a for a in link["addr_info"] if a["family"] == "inet")
        six = next((a for a in link["addr_info"] if a["family"] == "inet6"), None)
        far = four["local"].rsplit(".", 1)
        ends = [(four["local"] + "/31", f"{far[0]}.{int(far[1]) + 1}/31", [])]
        if six:
            ends.append((six["local"] + "/127", six["local"] + "1/127", ["nodad"]))
        child = PREFIX + "child"
        host, guest = [f"link set {name} addrgenmode none"], ["link set lo up", "link set eth0 addrgenmode none"]
        for own, other, flags in ends:
            host.append(" ".join(["addr add", own, "dev", name, *flags]))
            guest.append(" ".join(["addr add", other, "dev eth0", *flags]))
        host.append(f"link set {name} up")
        guest.append("link set eth0 up")
        for own, other, _ in ends:
            host.append(f"neigh add {other.split('/')[0]} lladdr {far_hardware} dev {name}")
            guest.append(f"neigh add {own.split('/')[0]} lladdr {hardware} dev eth0")
            guest.append(f"route add default via {own.split('/')[0]}")
        pair = f"link add {name} address {hardware} type veth peer name eth0 address {far_hardware} netns {child}"
        nft = f"nft -f {self.directory}/rules.nft"
        switches = "\n".join(
            f"echo 1 >/proc/sys/net/ipv4/conf/{link}/forwarding" for link in (name, "up0")
        )
        ending = f"ip link del {name}\nnft delete table inet egret\nnft delete table netdev egret\nip netns del {child}\n"
        single = self.directory / "single.sh"
        single.write_text("set -e\n" + "\n".join(
            [f"ip netns add {child}", f"ip {pair}", *[f"ip {line}" for line in host],
             *[f"ip -n {child} {line}" for line in guest], nft, switches, f"ip netns exec {child} true", ending]))
        (self.directory / "host.batch").write_text("\n".join([pair, *host]) + "\n")
        (self.directory / "guest.batch").write_text("\n".join(guest) + "\n")
        batched = self.directory / "batched.sh"
        batched.write_text("set -e\n" + "\n".join(
            [f"ip netns add {child}", f"ip -batch {self.directory}/host.batch",
             f"ip -n {child} -batch {self.directory}/guest.batch", nft, switches, f"ip netns exec {child} true",
             f"ip link del {name}", f"nft 'delete table inet egret; delete table netdev egret'",
             f"ip netns del {child}"]) + "\n")
        return single, batched

    # The data path

    LANES = {
        "masquerade": None, "masquerade again": None, "10": (10, 1), "1,000": (1_000, 1), "100,000": (100_000, 1),
        "1,000 rules": (1_000, 1_000),
    }

    def data_path(self):
        say("data path")
        self.add_namespace(SERVER)
        self.lane_addresses = {}
        for number, (lane, policy) in enumerate(self.LANES.items()):
            client, host = f"{PREFIX}c{number}", f"{PREFIX}h{number}"
            self.add_namespace(client)
            self.add_namespace(host)
            self.connect(host, "end0", f"10.77.{number}.1/24", client, "eth0", f"10.77.{number}.2/24")
            self.connect(host, "up0", f"10.88.{number}.2/24", SERVER, f"up{number}", f"10.88.{number}.1/24")
            run("ip", "-n", client, "route", "add", "default", "via", f"10.77.{number}.1")
            run(*inside(client, "sysctl", "-qw", "net.ipv4.ip_local_port_range=1024 65535"))
            run(*inside(host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_acct=1"))
            target = f"10.88.{number}.1"
            self.lane_addresses[lane] = (client, target)
            if policy is None:
                rule = "table ip nat { chain p { type nat hook postrouting priority srcnat; oifname up0 masquerade; }; }"
                run(*inside(host, "nft", rule))
            else:
                hardware = json.loads(run("ip", "-n", client, "-j", "link", "show", "eth0", capture_output=True,
                                          text=True).stdout)[0]["address"]
                run(*inside(host, self.tool, "police", "--interface", "end0", "--hardware", hardware, "--address",
                            f"10.77.{number}.2", "--target", target, "--entries", policy[0], "--rules", policy[1]))
        pinned = ["taskset", "-c", "1"]
        self.background(inside(SERVER, *pinned, self.tool, "serve"))
        self.background(inside(SERVER, *pinned, self.tool, "serve", "--datagrams"))
        self.background(inside(SERVER, "taskset", "-c", "1", "iperf3", "-s", "-p", "443"))
        time.sleep(0.5)
        kinds = {"udp": ("1", 250, 16), "tcp": ("1", 250, 16), "connect": ("1", 250, 16), "flood": ("0", 250, 10)}
        results = {}
        for kind, (cpu, milliseconds, count) in kinds.items():
            results[kind] = rounds(count, {lane: self.asker(lane, kind, cpu, milliseconds) for lane in self.LANES})
        results["throughput"] = rounds(6, {lane: self.throughput(lane) for lane in self.LANES})
        titles = {
            "udp": ("UDP round trip", "µs", 1e-3), "tcp": ("TCP round trip", "µs", 1e-3),
            "connect": ("TCP connect, request, close", "µs", 1e-3),
            "flood": ("one small datagram, one way", "µs", 1e-3), "throughput": ("TCP throughput (iperf3)", "Gbit/s", 1),
        }
        rows, self.path_facts = [], {}
        for kind, (title, unit, scale) in titles.items():
            reference = results[kind]["masquerade"]
            row = [title, f"{statistics.median(reference) * scale:.1f} {unit}"]
            for lane in list(self.LANES)[1:]:
                value, text = ratio(results[kind][lane], reference)
                self.path_facts[kind, lane] = value
                row.append(text)
            rows.append(row)
        head = ["", "masquerade alone", *[{"masquerade again": "the same again"}.get(lane, lane + " entries" * lane[-1].isdigit())
                                          for lane in list(self.LANES)[1:]]]
        self.sections.append(PATH_TEXT + table(head, rows))

    def asker(self, lane, kind, cpu, milliseconds):
        client, target = self.lane_addresses[lane]

        def ask():
            output = run(*inside(client, "taskset", "-c", cpu, self.tool, "ask", "--address", target, "--kind", kind,
                                 "--milliseconds", milliseconds), capture_output=True, text=True).stdout
            return json.loads(output)["nanoseconds"]
        return ask

    def throughput(self, lane):
        client, target = self.lane_addresses[lane]

        def ask():
            output = run(*inside(client, "taskset", "-c", "0", "iperf3", "-J", "-c", target, "-p", 443, "-t", "1.5"),
                         capture_output=True, text=True).stdout
            return json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e9
        return ask

    # Applying

    def write(self, name, entries, *flags):
        path = self.directory / name
        with path.open("w") as file:
            run(self.tool, "write", "--entries", entries, *flags, stdout=file)
        return path

    def as_map(self, path):
        """The set as what Egret's own table holds: a map from block to chain."""
        lines = path.read_text().split("\n")
        result = path.with_suffix(".map.nft")
        with result.open("w") as file:
            for line in lines:
                if line.endswith(",") and line[0].isdigit():
                    line = line[:-1] + " : goto c,"
                elif line.strip() == "set s {":
                    line = " chain c { }\n set small { type ipv4_addr; }\n map s {"
                elif line.strip() == "type ipv4_addr":
                    line = "  type ipv4_addr : verdict"
                file.write(line + "\n")
        return result

    def apply(self):
        say("applying large policies")
        rows, self.apply_facts = [], {}
        for entries, count in ((1_000, 9), (100_000, 5), (1_000_000, 1)):
            set_file = self.write(f"{entries}.nft", entries, "--nft")
            map_file = self.as_map(set_file)
            yaml = self.write(f"{entries}.yaml", entries)
            candidates = {
                "values": lambda: self.load("--entries", entries), "file": lambda: self.load("--file", yaml),
                "set": lambda: timed(["unshare", "-n", "nft", "-f", set_file]),
                "map": lambda: timed(["unshare", "-n", "nft", "-f", map_file]),
            }
            figures = rounds(count, candidates)
            titles = {
                "values": "**Egret, from values**", "file": "**Egret, from a policy file**",
                "map": "`nft -f`, the same map", "set": "`nft -f`, a plain set",
            }
            walls = {name: [figure[0] for figure in figures[name]] for name in figures}
            memory = {name: statistics.median([figure[1] for figure in figures[name]]) for name in figures}
            kernel = {name: statistics.median([figure[2] for figure in figures[name]]) for name in figures}
            for name, title in titles.items():
                value, text = ratio(walls[name], walls["map"])
                self.apply_facts[entries, name] = (value, memory[name] / memory["map"])
                rows.append([
                    f"{entries:,}", title, f"{statistics.median(walls[name]) * 1e3:,.0f}", f"{kernel[name] * 1e3:,.0f}",
                    text, f"{memory[name] / 1024:,.0f}", f"{memory[name] / memory['map']:.2f}",
                ])
        head = ["blocks", "", "ms", "of them in the kernel", "ratio of time", "peak MiB", "ratio of memory"]
        self.sections.append(APPLY_TEXT + table(head, rows))

    def load(self, *arguments):
        figures = self.tool_json("load", *arguments)
        seconds = figures["compile"] + figures["commit"] + (figures["read"] if arguments[0] == "--file" else 0)
        return seconds, figures["peakKiB"], figures["kernel"]

    # One element

    def elements(self):
        say("changing one element")
        rows = []
        for entries, count, replacements in ((1_000, 9, 5), (100_000, 5, 3), (1_000_000, 1, 1)):
            name = PREFIX + "element"
            figures = self.tool_json("element", "--entries", entries, "--replacements", replacements)
            map_file = self.as_map(self.write(f"{entries}.nft", entries, "--nft"))
            self.add_namespace(name)
            run(*inside(name, "nft", "-f", map_file))
            adding = []
            for index in range(count):
                adding.append(self.add_element(name, "small", f"{{ 10.0.0.{index} }}"))
            into = self.add_element(name, "s", "{ 10.0.0.0/8 : goto c }")
            run("ip", "netns", "del", name)
            self.namespaces.remove(name)
            theirs = statistics.median(adding)
            least = "> " if theirs >= PATIENCE else ""
            rows.append([
                f"{entries:,}", f"{figures['add'] * 1e6:.0f} µs", f"{figures['delete'] * 1e6:.0f} µs",
                f"{least}{theirs * 1e3:,.0f} ms", f"{least}{theirs / figures['add']:,.0f}",
                f"{figures['replace'] * 1e3:,.0f} ms", f"{'> ' if into >= PATIENCE else ''}{into * 1e3:,.0f} ms",
            ])
        head = ["blocks present", "Egret: add an endpoint's element", "delete it", "`nft add element`, the same", "times slower",
                "Egret: policy with one block more, swapped", "`nft add element`, one block more"]
        self.sections.append(ELEMENT_TEXT + table(head, rows))

    def add_element(self, namespace, name, element):
        """Seconds that `nft add element` takes; the end of our patience if it takes longer."""
        start = time.perf_counter()
        try:
            run(*inside(namespace, "nft", "add", "element", "inet", "bench", name, element), timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return float(PATIENCE)
        return time.perf_counter() - start

    # The evaluator and the compiler

    def evaluator(self):
        say("evaluator")
        rows = []
        for rules, entries, decisions in ((1, 10, 2_000_000), (10, 1_000, 2_000_000), (10, 100_000, 1_000_000),
                                          (1_000, 10_000, 50_000), (10_000, 10_000, 5_000)):
            samples = [self.tool_json("evaluator", "--rules", rules, "--entries", entries, "--decisions", decisions)
                       for _ in range(3)]
            rate = statistics.median([sample["perSecond"] for sample in samples])
            compiling = statistics.median([sample["compile"] for sample in samples])
            rows.append([f"{rules:,}", f"{entries:,}", f"{rate:,.0f}", f"{compiling * 1e3:,.1f} ms"])
        self.sections.append(EVALUATOR_TEXT + table(["rules", "blocks", "decisions a second", "compiling"], rows))

    # The document

    def document(self):
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
        release = ".".join(platform.release().split(".")[:2])
        nft = run("nft", "--version", capture_output=True, text=True).stdout.split()[1]
        facts = (f"{os.cpu_count()} cores of {cpu}, {memory // 1024 // 1024} GiB, Linux {release}, "
                 f"nftables {nft}; load average at the start {self.load_average:.1f}")
        return HEAD.replace("@FACTS@", facts) + self.verdicts() + "\n" + "\n".join(self.sections)

    def control(self, kind):
        """Masquerade alone against masquerade alone."""
        return self.path_facts[kind, "masquerade again"]

    def verdicts(self):
        startup, over, least, link = self.startup_facts
        rows = []

        def row(what, target, value, met, reason="", decided=True):
            verdict = "met" if met else "**missed**" + reason
            rows.append([what, target, value, verdict if decided else "**not shown**: the control is as far off"])

        row("start-up against the same set-up by commands", "≤ 0.33", f"{startup:.2f}", startup <= 1 / 3)
        row("start-up over `unshare -n true`", "≤ 25 ms", f"{over:.0f} ms; at best {least:.0f} ms", over <= 25,
            f": making and removing one veth pair by `ip`, and nothing else, takes {link:.0f} ms")
        lanes = list(self.LANES)[2:]
        for kind, title, target in (("udp", "established, UDP round trip", 1.05), ("tcp", "established, TCP round trip", 1.05),
                                    ("connect", "new connection", 1.10)):
            worst = max(self.path_facts[kind, lane] for lane in lanes)
            row(f"{title}, worst policy", f"≤ {target:.2f}", f"{worst:.3f}; control {self.control(kind):.2f}", worst <= target,
                ": see below", decided=abs(self.control(kind) - 1) <= target - 1)
        worst = min(self.path_facts["throughput", lane] for lane in lanes)
        row("TCP throughput, worst policy", "≥ 0.97", f"{worst:.3f}; control {self.control('throughput'):.2f}",
            worst >= 0.97, ": see below", decided=abs(self.control("throughput") - 1) <= 0.03)
        for entries in (100_000, 1_000_000):
            wall, memory = self.apply_facts[entries, "values"]
            row(f"apply {entries:,} blocks, time", "≤ 0.25 of `nft -f`", f"{wall:.2f}", wall <= 0.25,
                ": the time in the kernel is most of it, see below")
            row(f"apply {entries:,} blocks, memory", "≤ 0.10 of `nft -f`", f"{memory:.2f}", memory <= 0.10,
                ": the process has 10 MiB before it begins")
        return "## Targets\n\n" + table(["what", "target", "measured", ""], rows)


STARTUP_DRIVER = """
import json, random, subprocess, sys, time
candidates, count = json.loads(sys.argv[1]), int(sys.argv[2])
times = {name: [] for name in candidates}
for turn in range(count + 1):
    for name in random.sample(list(candidates), len(candidates)):
        start = time.perf_counter()
        subprocess.run(candidates[name], check=True, stderr=subprocess.DEVNULL)
        if turn: times[name].append(time.perf_counter() - start)
        # What the kernel still tidies up after one is not the next one's burden.
        time.sleep(0.1)
print(json.dumps(times))
"""

HEAD = """<!-- Written by scripts/bench. Do not edit: run `make bench` again. -->

# Benchmarks

    sudo make bench

Every figure is a comparison within one run on one machine: candidates take turns in a new random order each round. A
ratio is the median over the rounds of a candidate's figure by the reference's of the same round; quartiles stand in
brackets. Absolute figures are the machine's: @FACTS@.

"""

STARTUP_TEXT = """## Start-up

A whole run from nothing to nothing: namespaces, link, addresses, routes, neighbours, masquerade, policy, anti-spoofing,
`true`, the report, and everything removed again. The commands make and remove the same link, addresses and rules (taken
from a real run with `nft list ruleset`), but no process, mount or seccomp sandbox, no address planning and no record.

`egret run --report none -- true`, `unshare -n true`, and so on, started from a process in the host's namespace.

"""

PATH_TEXT = """## The data path

Client namespace, host namespace, server namespace; each column has its own client and host, all share the server. The
policy has one rule with so many blocks (the last column: so many rules, a block each), ports and protocols; the server's
address is in the last rule. “The same again” is a second pair of namespaces with masquerade alone: how far it is from
1.00 is the error of the method, called the control above: a line whose control is off by as much as the target allows
shows nothing, and where quartiles span the target, a median on the right side of it is weak. Client and server share a core, so that the whole path is on it, but for the last two
lines. Ratios of time: less is better; of throughput: more is better.

`egret-bench ask --kind udp|tcp|connect|flood`, `iperf3 -c`.

"""

APPLY_TEXT = """## Applying a policy

A policy of so many IPv4 blocks in one rule, into an empty namespace. “From values” begins with the policy as values in
memory; “from a file” reads YAML first. `nft -f` loads a map of the same blocks to a verdict, which is what Egret's table
holds, or a plain set, which is less. Ratios are to the map. Where the time in the
kernel alone is more than a quarter of `nft -f`, no saving outside the kernel reaches the target with this kind of set.
Memory is the peak of the whole process. 1,000 blocks: 9 rounds; 100,000: 5; 1,000,000: one, so without any spread. “From
values” is timed inside the process, from compiling to the commit; `nft -f` with its start, a few milliseconds.

`egret-bench load --entries N`, `egret-bench load --file policy.yaml`, `nft -f`.

"""

ELEMENT_TEXT = """## Changing one element

What changes often (endpoints, addresses) is in hash sets, and changes by one small transaction on an open connection.
A policy that changes is compiled anew and swapped whole, in one transaction, with a new generation: the last but one
column is the transaction that brings the new one and removes the old one, compiling left out. The last column is `nft` adding a block to the map where it is. Figures of
`nft` include its start, which a program with an open connection does not pay; one that took more than 20 s was ended, so
that figure and what follows from it are lower bounds. One million: one round.

`egret-bench element --entries N`, `nft add element inet bench small { 10.0.0.1 }`.

"""

EVALUATOR_TEXT = """## Deciding and compiling

The pure evaluator, one core, flows of which half match; and the compiler, from policy to nftables values. The evaluator
walks the rules in order, so its speed goes with their number; the kernel's does not.

`egret-bench evaluator --rules R --entries N`.

"""


def main():
    parser = argparse.ArgumentParser(description="Run from scripts/bench.")
    parser.add_argument("--bin", required=True, help="where egret and egret-bench are")
    parser.add_argument("--output", required=True, help="the Markdown file to write")
    parser.add_argument("--only", action="append", help="measure one part and print it: startup, path, apply, …")
    options = parser.parse_args()
    bench = Bench(options)
    bench.load_average = os.getloadavg()[0]
    parts = {"startup": bench.startup, "path": bench.data_path, "apply": bench.apply, "elements": bench.elements,
             "evaluator": bench.evaluator}
    bench.remove_leftovers()
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        for name, part in parts.items():
            if options.only is None or name in options.only:
                part()
    if options.only:
        print("\n".join(bench.sections))
    else:
        pathlib.Path(options.output).write_text(bench.document())
        say(f"wrote {options.output}")


if __name__ == "__main__":
    main()
