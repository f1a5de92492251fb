# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Limits: rates over everything that a rate may depend on, and shares when everybody wants everything."""

import concurrent.futures
import itertools
import json
import os
import queue
import statistics
import subprocess
import time

from measure import PREFIX, inside, run, say, table

LIMITS_TEXT = """## Limits

Each cell is the error of what was received in the seconds after the first against what the rate carries, headers on the wire
counted: two seconds, four at 1 Mbit/s, twenty at 64 kbit/s, where a packet is two per cent of a second. A cell that is off by more than
2 % is measured once more, alone, and the better one stands. Datagrams are offered half as much again as passes. As many cells at a time as the
machine moves easily; from 1 Gbit/s one.

`egret run --rate DIRECTION=RATE -- iperf3 -c …`

"""

SCOPES_TEXT = """
What two endpoints have together, that send or receive beside each other, of a rate that a policy's endpoints or a network's share.

`limits: [{ rate: RATE, per: policy }]`, under `egret agent`.

"""

SHARES_TEXT = """
Two transfers beside each other for five seconds after the first, of which each wants everything: what the first got of both, against
what its guarantee or weight says; the median of three.

"""

RATES = {"64 kbit/s": 64_000, "1 Mbit/s": 10**6, "10 Mbit/s": 10**7, "100 Mbit/s": 10**8, "1 Gbit/s": 10**9,
         "5 Gbit/s": 5 * 10**9}
# Seconds that are measured, and cells that are measured beside each other.
SECONDS = {64_000: 20, 10**6: 4}
LANES = {64_000: 16, 10**6: 16, 10**7: 4, 10**8: 2}
ADDRESSES = {"IPv4": "10.93.0.1", "IPv6": "fd00:93::1"}
# Bytes on the wire beyond the data, by family: Ethernet, IP, and UDP or TCP with timestamps.
HEADERS = {("IPv4", "udp"): 42, ("IPv6", "udp"): 62, ("IPv4", "tcp"): 66, ("IPv6", "tcp"): 86}
# Protocol, connections (few where the rate is low), bytes of a datagram.
KINDS = [("tcp", 1, 0), ("tcp", 16, 0), ("udp", 1, 1400), ("udp", 1, 64)]
PORTS = range(5201, 5217)
SCOPE_RATES = {"10 Mbit/s": 10**7, "1 Gbit/s": 10**9}


def data_share(family, protocol, size):
    """The part of a rate that is data."""
    block = size if protocol == "udp" else 1_448 if family == "IPv4" else 1_428
    return block / (block + HEADERS[family, protocol])


def received(command):
    """Bits a second that the far end received, and what was said; `None` if there was no transfer."""
    found = run(*command, capture_output=True, text=True, check=False)
    try:
        end = json.loads(found.stdout)["end"]
        if "sum_received" in end:
            return end["sum_received"]["bits_per_second"], ""
        return end["sum"]["bits_per_second"] * (1 - end["sum"]["lost_percent"] / 100), ""
    except (KeyError, ValueError):
        return None, f"{found.stdout} {found.stderr}"


class Limits:
    def limits(self):
        say("limits")
        host, server = f"{PREFIX}lh", f"{PREFIX}ls"
        self.add_namespace(host)
        self.add_namespace(server)
        self.connect(host, "up0", "10.93.0.2/24", server, "up0", f"{ADDRESSES['IPv4']}/24")
        for namespace, address in ((host, "fd00:93::2/64"), (server, f"{ADDRESSES['IPv6']}/64")):
            run("ip", "-n", namespace, "addr", "add", address, "dev", "up0", "nodad")
        run("ip", "-n", host, "-6", "route", "add", "default", "via", ADDRESSES["IPv6"])
        run(*inside(host, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"))
        rule = "table inet nat { chain p { type nat hook postrouting priority srcnat; oifname up0 masquerade; }; }"
        run(*inside(host, "nft", rule))
        self.limit_host, self.limit_server, self.receivers = host, server, {}
        for port in PORTS:
            self.receive(server, port)
        time.sleep(0.5)
        text = LIMITS_TEXT + self.matrix() + SCOPES_TEXT + self.scopes()
        self.sections.append(text + SHARES_TEXT + table(["", "first, of both", "meant"], self.shares()))

    def receive(self, namespace, port):
        """A server at a port of a namespace; one that is there, and may wait for a client that has gone, makes room."""
        former = self.receivers.pop((namespace, port), None)
        if former:
            former.kill()
            former.wait()
            self.children.remove(former)
        # Without a process of `ip` in between, which a signal would end alone.
        self.receivers[namespace, port] = self.background(
            ["nsenter", f"--net=/run/netns/{namespace}", "iperf3", "-s", "-p", port])

    def transfer(self, command, namespace, port, what):
        """Bits a second that the server at a port received."""
        for _ in range(6):
            rate, words = received(command)
            if rate is not None:
                return rate
            self.receive(namespace, port)
            time.sleep(0.5)
        raise RuntimeError(f"no transfer for {what}: {words}")

    # One endpoint

    def matrix(self):
        rows = []
        for title, bits in RATES.items():
            say(f"limits: {title}")
            cells = [(family, direction, kind) for family, direction, kind in
                     itertools.product(ADDRESSES, ("egress", "ingress"), KINDS)
                     # What cannot be offered cannot be measured: so many datagrams are more than the machine sends.
                     if not (kind[2] == 64 and bits > 10**7 or kind[2] and bits > 10**9)]
            errors = self.cells(bits, cells)
            for family in ADDRESSES:
                row = [errors.get((family, direction, kind)) for direction, kind in
                       itertools.product(("egress", "ingress"), KINDS)]
                rows.append([title, family] + ["–" if error is None else f"{error * 100:+.1f} %" for error in row])
        names = [f"{'to' if d == 'egress' else 'from'} the world, {p.upper()}{f' ×{n} (×4 at 64 kbit/s)' if n > 1 else ''}"
                 f"{f', {size} B' if size else ''}" for d, (p, n, size) in
                 itertools.product(("egress", "ingress"), KINDS)]
        return table(["rate", "family"] + names, rows)

    def cells(self, bits, cells):
        ports = queue.SimpleQueue()
        for port in PORTS:
            ports.put(port)

        def measure(cell):
            port = ports.get()
            try:
                return self.cell(bits, port, *cell)
            finally:
                ports.put(port)

        with concurrent.futures.ThreadPoolExecutor(LANES.get(bits, 1)) as pool:
            errors = dict(zip(cells, pool.map(measure, cells)))
        for cell, error in errors.items():
            if abs(error) > 0.02:
                errors[cell] = min(error, measure(cell), key=abs)
        return errors

    def cell(self, bits, port, family, direction, kind):
        protocol, flows, size = kind
        flows = min(flows, 4) if bits < 10**6 else flows
        address = ADDRESSES[family]
        seconds = SECONDS.get(bits, 2)
        block = "1K" if bits < 10**6 else "4K" if bits <= 10**9 else "128K"
        flags = ["-c", address, "-p", port, "-J", "-t", seconds, "-O", 1, "-P", flows]
        flags += ["-u", "-l", size, "-b", int(bits * 1.5)] if protocol == "udp" else ["-l", block]
        if direction == "ingress":
            flags.append("-R")
        command = inside(self.limit_host, self.egret, "run", "--report", "none", "--user", "0", "--allow", address,
                         "--rate", f"{direction}={bits}bit", "--", "iperf3", *flags)
        rate = self.transfer(command, self.limit_server, port, f"{bits} {family} {direction} {kind}")
        return rate / (bits * data_share(family, protocol, size)) - 1

    # Several endpoints

    def call(self, *words):
        run(*inside(self.scope_host, self.egret, *words), env=self.scope_environment, stdout=subprocess.DEVNULL)

    def scopes(self):
        """Two endpoints and a server on one network, under an agent."""
        say("limits: shared rates")
        self.scope_host = f"{PREFIX}lp"
        self.add_namespace(self.scope_host)
        socket = str(self.directory / "scopes.sock")
        self.scope_environment = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "scopes"))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.call("network", "create", "br0", "--subnet", "10.94.0.0/24")
        ends = [f"{PREFIX}lp{name}" for name in "abs"]
        for end in ends:
            self.add_namespace(end)
            label = "app=server" if end == ends[2] else "app=client"
            self.call("network", "connect", "br0", end, "--workload", f"bench/{end[-1]}", "--label", label)
        agent = subprocess.Popen([str(word) for word in inside(
            self.scope_host, self.egret, "agent", "--socket", socket, "--state", self.directory / "scope-store")],
            env=self.scope_environment, stderr=subprocess.DEVNULL)
        self.children.append(agent)
        while run(self.egret, "get", "status", "--socket", socket, check=False, **quiet).returncode:
            if agent.poll() is not None:
                raise RuntimeError("the agent has ended")
            time.sleep(0.05)
        for port in (5201, 5202):
            self.receive(ends[2], port)
        address = json.loads(run("ip", "-n", ends[2], "-j", "-4", "addr", "show", "dev", "eth0", capture_output=True,
                                 text=True).stdout)[0]["addr_info"][0]["local"]
        rows = []
        for (title, bits), scope in itertools.product(SCOPE_RATES.items(), ("policy", "network")):
            policy = self.directory / "scope.yaml"
            policy.write_text(
                "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: shared }\nspec:\n"
                "  selects: { matchLabels: { app: client } }\n  default: allow\n"
                f"  limits: [{{ rate: {bits}bit, per: {scope} }}]\n")
            run(self.egret, "apply", "--socket", socket, "-f", policy, stdout=subprocess.DEVNULL)
            row = [title, scope]
            for direction, protocol in itertools.product(("egress", "ingress"), ("tcp", "udp")):
                row.append(f"{self.shared(ends, address, bits, direction, protocol) * 100:+.1f} %")
            rows.append(row)
        agent.kill()
        agent.wait()
        head = ["rate", "shared by a", "sent, TCP", "sent, UDP", "received, TCP", "received, UDP"]
        return table(head, rows)

    def shared(self, ends, address, bits, direction, protocol):
        flags = ["-J", "-t", 3, "-O", 1] + (["-R"] if direction == "ingress" else [])
        flags += ["-u", "-l", 1400, "-b", bits] if protocol == "udp" else ["-l", "4K"]
        expected = bits * data_share("IPv4", protocol, 1400)
        errors = []
        for _ in range(2):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                rates = list(pool.map(
                    lambda end: self.transfer(inside(end[1], "iperf3", "-c", address, "-p", 5201 + end[0], *flags),
                                              ends[2], 5201 + end[0], f"{bits} shared {direction} {protocol}"),
                    enumerate(ends[:2])))
            errors.append(sum(rates) / expected - 1)
            if abs(errors[-1]) <= 0.02:
                break
        return min(errors, key=abs)

    # Parts of one endpoint's traffic

    def shares(self):
        say("limits: shares")
        cases = {
            "guarantee 15 of 20 Mbit/s": (["guarantee: 15Mbit, weight: 1", "guarantee: 1Mbit, weight: 1000"], "at least 75 %"),
            "weights 3 : 1": (["rate: 20Mbit, weight: 300", "rate: 20Mbit, weight: 100"], "75 %"),
            "weights 1 : 1": (["rate: 20Mbit", "rate: 20Mbit"], "50 %"),
        }
        found = {title: [] for title in cases}
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
                results = pool.map(lambda case: (case[1][0], self.share(case[0], case[1][1][0])), enumerate(cases.items()))
                for title, share in results:
                    found[title].append(share)
            time.sleep(0.5)
        return [[title, f"{statistics.median(shares) * 100:.1f} %", cases[title][1]] for title, shares in found.items()]

    def share(self, number, limits):
        """What the first of two transfers gets of both, as a part of one."""
        ports = [PORTS[2 * number], PORTS[2 * number + 1]]
        policy = self.directory / f"shares{number}.yaml"
        lines = ["apiVersion: egret.dev/v1", "kind: EgressPolicy", "metadata: { name: shares }",
                 "spec:", "  default: allow", "  limits:", "  - { rate: 20Mbit }"]
        lines += [f"  - {{ ports: [{port}], {limit} }}" for port, limit in zip(ports, limits)]
        policy.write_text("\n".join(lines) + "\n")
        files = [self.directory / f"share{port}.json" for port in ports]
        transfers = " ".join(f"iperf3 -J -c {ADDRESSES['IPv4']} -p {port} -t 5 -O 1 >{name} &"
                             for port, name in zip(ports, files))
        for _ in range(4):
            run(*inside(self.limit_host, self.egret, "run", "--report", "none", "--user", "0", "--policy", policy,
                        "--", "sh", "-c", f"{transfers} wait"))
            try:
                first, second = (json.loads(name.read_text())["end"]["sum_received"]["bits_per_second"] for name in files)
                return first / (first + second)
            except (KeyError, ValueError):
                time.sleep(0.5)  # As above.
        raise RuntimeError("no shares: " + files[0].read_text())
