# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks: connecting one more endpoint with a published port, against a chain of CNI plugins."""

import json
import os
import statistics
import subprocess
import tempfile
import time

from measure import PREFIX, ratio, rounds, run, say, table

PLUGINS = "/usr/lib/cni"

NETWORKS_TEXT = """## Networks

One more endpoint, and a port of the host forwarded to it, beside so many that are there: `egret network connect` and
`egret publish`, two processes; against the plugins bridge with host-local, portmap and firewall (iptables) of Debian's
containernetworking-plugins @VERSION@, called one after the other as a container runtime does. Then both taken away
again. The namespaces are there before; each has a host of its own.

"""


class Chain:
    """The chain of CNI plugins."""

    def __init__(self, host):
        self.host = host
        self.previous = {}
        self.data = tempfile.mkdtemp(prefix="egret-bench-ipam-")
        self.plugins = [
            {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
             "ipam": {"type": "host-local", "dataDir": self.data, "routes": [{"dst": "0.0.0.0/0"}],
                      "ranges": [[{"subnet": "10.78.0.0/20"}]]}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
            {"type": "firewall", "backend": "iptables"},
        ]

    def call(self, command, number):
        environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=f"c{number}", CNI_IFNAME="eth0",
                           CNI_NETNS=f"/run/netns/{PREFIX}e{number}", CNI_PATH=PLUGINS)
        result = self.previous.get(number)
        for plugin in self.plugins if command == "ADD" else reversed(self.plugins):
            config = dict(plugin, cniVersion="0.4.0", name="bench")
            config["runtimeConfig"] = {
                "portMappings": [{"hostPort": 10000 + number, "containerPort": 80, "protocol": "tcp"}]}
            if result:
                config["prevResult"] = result
            output = run("nsenter", f"--net=/run/netns/{self.host}", f"{PLUGINS}/{plugin['type']}",
                         input=json.dumps(config), text=True, stdout=subprocess.PIPE, env=environment).stdout
            if command == "ADD":
                result = json.loads(output)
        self.previous[number] = result

    def add(self, number):
        self.call("ADD", number)

    def remove(self, number):
        self.call("DEL", number)

    def close(self):
        run("rm", "-rf", self.data)


class Egret:
    """The same by Egret."""

    def __init__(self, host, program):
        self.host = host
        self.program = program
        self.state = tempfile.mkdtemp(prefix="egret-bench-state-")
        self.call("network", "create", "br0", "--subnet", "10.79.0.0/20")

    def call(self, *arguments):
        run("nsenter", f"--net=/run/netns/{self.host}", self.program, *arguments, stdout=subprocess.DEVNULL,
            env=dict(os.environ, EGRET_STATE_DIRECTORY=self.state))

    def add(self, number):
        self.call("network", "connect", "br0", f"{PREFIX}e{number}", "--interface", "eth1")
        self.call("publish", f"{10000 + number}:80/tcp", f"{PREFIX}e{number}")

    def remove(self, number):
        self.call("network", "disconnect", "br0", f"{PREFIX}e{number}")

    def close(self):
        self.call("network", "rm", "br0", "--force")
        run("rm", "-rf", self.state)


class Networks:
    COUNTS = (1, 100, 500)

    network_facts = {}

    def networks(self):
        say("networks")
        hosts = [PREFIX + "cni", PREFIX + "net"]
        for host in hosts:
            self.add_namespace(host)
        for number in range(max(self.COUNTS) + 1):
            self.add_namespace(f"{PREFIX}e{number}")
        candidates = {"cni": Chain(hosts[0]), "egret": Egret(hosts[1], self.egret)}
        rows, present = [], 0
        try:
            for count in self.COUNTS:
                for candidate in candidates.values():
                    for number in range(present, count - 1):
                        candidate.add(number)
                present = max(present, count - 1)
                rows += self.one_more(candidates, count, present)
        finally:
            for candidate in candidates.values():
                candidate.close()
        version = run("dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins", capture_output=True,
                      text=True).stdout
        self.sections.append(NETWORKS_TEXT.replace("@VERSION@", version) + table(
            ["endpoints", "", "plugins, ms", "Egret, ms", "ratio"], rows))

    def one_more(self, candidates, count, number):
        figures = {"connect": {}, "disconnect": {}}

        def measured(name, step):
            start = time.perf_counter()
            step(number)
            figures[name].setdefault(candidates_of[step], []).append(time.perf_counter() - start)

        candidates_of = {}
        for name, candidate in candidates.items():
            candidates_of[candidate.add] = name
            candidates_of[candidate.remove] = name

        def turn(candidate):
            def both():
                measured("connect", candidate.add)
                measured("disconnect", candidate.remove)
            return both

        rounds(9, {name: turn(candidate) for name, candidate in candidates.items()})
        rows = []
        for name, title in (("connect", "connected and published"), ("disconnect", "taken away")):
            reference, own = figures[name]["cni"], figures[name]["egret"]
            value, text = ratio(own, reference)
            self.network_facts[count, name] = value
            rows.append([count, title, f"{statistics.median(reference) * 1e3:.0f}",
                         f"{statistics.median(own) * 1e3:.0f}", text])
        return rows
