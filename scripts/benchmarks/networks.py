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
again. In the first two lines there is nothing before: `egret network create` comes first, and `egret network rm --force`
takes all away; the plugins make their bridge by themselves and leave it, so that `ip link del` is added for them. The
namespaces are there before; each has a host of its own.

`scripts/bench --only networks`.

"""


class Chain:
    """The chain of CNI plugins."""

    interface = "eth0"
    # What the names of its endpoints' namespaces begin with.
    endpoints = PREFIX + "e"

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
        environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID=f"c{number}", CNI_IFNAME=self.interface,
                           CNI_NETNS=f"/run/netns/{self.endpoints}{number}", CNI_PATH=PLUGINS)
        result = self.previous.get(number)
        for plugin in self.plugins if command == "ADD" else reversed(self.plugins):
            config = dict(plugin, cniVersion="0.4.0", name="bench")
            # As a runtime does, only to those that say they can.
            if plugin.get("capabilities", {}).get("portMappings"):
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

    def make(self):
        """The plugins make the bridge with the first endpoint."""

    add_first = add

    def remove_first(self, number):
        self.call("DEL", number)
        run("ip", "-n", self.host, "link", "del", "cni0")

    def close(self):
        run("rm", "-rf", self.data)


class Egret:
    """The same by Egret."""

    def __init__(self, host, program):
        self.host = host
        self.program = program
        self.state = tempfile.mkdtemp(prefix="egret-bench-state-")

    def make(self):
        self.call("network", "create", "br0", "--subnet", "10.79.0.0/20")

    def call(self, *arguments):
        run("nsenter", f"--net=/run/netns/{self.host}", self.program, *arguments, stdout=subprocess.DEVNULL,
            env=dict(os.environ, EGRET_STATE_DIRECTORY=self.state))

    def add(self, number):
        self.call("network", "connect", "br0", f"{PREFIX}e{number}", "--interface", "eth1")
        self.call("publish", f"{10000 + number}:80/tcp", f"{PREFIX}e{number}")

    def remove(self, number):
        self.call("network", "disconnect", "br0", f"{PREFIX}e{number}")

    def add_first(self, number):
        self.make()
        self.add(number)

    def remove_first(self, _):
        self.call("network", "rm", "br0", "--force")

    def close(self):
        self.call("network", "rm", "br0", "--force")
        run("rm", "-rf", self.state)


class Networks:
    COUNTS = (1, 100, 500)

    def networks(self):
        say("networks")
        self.network_facts = {}
        hosts = [PREFIX + "cni", PREFIX + "net"]
        for host in hosts:
            self.add_namespace(host)
        for number in range(max(self.COUNTS) + 1):
            self.add_namespace(f"{PREFIX}e{number}")
        candidates = {"cni": Chain(hosts[0]), "egret": Egret(hosts[1], self.egret)}
        rows, present = [], 0
        try:
            steps = {name: (candidate.add_first, candidate.remove_first) for name, candidate in candidates.items()}
            rows += self.compared(steps, "none", 0, ("made, connected and published", "all taken away"))
            for candidate in candidates.values():
                candidate.make()
            for count in self.COUNTS:
                for candidate in candidates.values():
                    for number in range(present, count - 1):
                        candidate.add(number)
                present = max(present, count - 1)
                steps = {name: (candidate.add, candidate.remove) for name, candidate in candidates.items()}
                rows += self.compared(steps, count, present, ("connected and published", "taken away"))
        finally:
            for candidate in candidates.values():
                candidate.close()
        version = run("dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins", capture_output=True,
                      text=True).stdout
        self.sections.append(NETWORKS_TEXT.replace("@VERSION@", version) + table(
            ["endpoints", "", "plugins, ms", "Egret, ms", "ratio"], rows))
        self.forwarding()

    def compared(self, steps, count, number, titles):
        """Each candidate's two steps, in turns: two lines of the table."""
        figures = {name: ([], []) for name in steps}

        def turn(name):
            def both():
                for step, times in zip(steps[name], figures[name]):
                    start = time.perf_counter()
                    step(number)
                    times.append(time.perf_counter() - start)
            return both

        rounds(9, {name: turn(name) for name in steps})
        rows = []
        for place, title in enumerate(titles):
            reference, own = figures["cni"][place], figures["egret"][place]
            value, text = ratio(own, reference)
            self.network_facts[count, title] = value
            rows.append([count, title, f"{statistics.median(reference) * 1e3:.0f}",
                         f"{statistics.median(own) * 1e3:.0f}", text])
        return rows
