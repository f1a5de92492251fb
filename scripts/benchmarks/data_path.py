# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The data path: policies against masquerade alone."""

import json
import statistics
import time

from measure import PREFIX, SERVER, run, inside, ratio, rounds, table, say

PATH_TEXT = """## The data path

Client namespace, host namespace, server namespace; each column has its own client and host, all share the server. The
policy has one rule with so many blocks (the last column: so many rules, a block each), ports and protocols; the server's
address is in the last rule. “The same again” is a second pair of namespaces with masquerade alone: how far it is from
1.00 is the error of the method, called the control above: a line whose control is off by as much as the target allows
shows nothing, and where quartiles span the target, a median on the right side of it is weak. Client and server share a core, so that the whole path is on it, but for the last two
lines. Ratios of time: less is better; of throughput: more is better.

`egret-bench ask --kind udp|tcp|connect|flood`, `iperf3 -c`.

"""


class DataPath:
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
        # Ports of closed connections stay taken for a minute; when half are, the kernel looks long for each further one.
        kinds = {"udp": ("1", 250, 16), "tcp": ("1", 250, 16), "connect": ("1", 60, 16), "flood": ("0", 250, 10)}
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
