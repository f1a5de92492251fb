# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Containers: one more by a chain of CNI plugins, with Egret's and with Debian's."""

import concurrent.futures
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import tempfile
import time

from measure import PREFIX, ratio, rounds, run, say, table, timed
from networks import PLUGINS, Chain

CONTAINERS_TEXT = """## Containers

One more endpoint by CNI plugins beside so many that are there, `ADD` and then `DEL`, each with a port of the host and a rate:

- Debian's: bridge with host-local, portmap, firewall (iptables) and bandwidth. They see to no policy and no anti-spoofing.
- chained: bridge with host-local and portmap, and behind them `egret-cni`, which sets no rate.
- main: `egret-cni` alone, with addresses, ports and rates of its own.

The latter two with `egret agent` and one policy that selects all of them. Plugins are called one after the other as a
container runtime does. The processor's time is that of the plugins and of what they start, and with `egret-cni` of the
agent too.

`scripts/bench --only containers`.

"""

POLICY = """apiVersion: egret.dev/v1
kind: EgressPolicy
metadata: { name: bench }
spec: { selects: { matchLabels: { app: bench } }, egress: [{ action: allow, to: [{ cidr: 203.0.113.0/24 }] }] }
"""

RATE = {"egressRate": 100_000_000, "egressBurst": 10_000_000}


class DebianChain(Chain):
    """What Debian has: firewall and bandwidth."""

    def __init__(self, host):
        super().__init__(host)
        self.plugins.append({"type": "bandwidth", "capabilities": {"bandwidth": True}, **RATE})

    def agent_seconds(self):
        return 0


class AgentChain(Chain):
    """Plugins of which one asks an agent."""

    def __init__(self, host, program):
        super().__init__(host)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-agent-"))
        self.socket = self.directory / "agent.sock"
        self.environment = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "networks"))
        self.agent = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{host}", program, "agent", "--socket", str(self.socket), "--state",
             str(self.directory / "state")], stderr=subprocess.DEVNULL, env=self.environment)
        while not self.socket.exists():
            time.sleep(0.05)
        run(program, "apply", "--socket", self.socket, "-f", "-", input=POLICY, text=True, stdout=subprocess.DEVNULL)

    def agent_seconds(self):
        fields = pathlib.Path(f"/proc/{self.agent.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        """The agent's memory, in MiB."""
        for line in pathlib.Path(f"/proc/{self.agent.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0

    def close(self):
        super().close()
        self.agent.terminate()
        self.agent.wait()
        shutil.rmtree(self.directory)


class ChainedPlugin(AgentChain):
    """Behind bridge and portmap, egret-cni."""

    endpoints = PREFIX + "f"

    def __init__(self, host, program):
        super().__init__(host, program)
        self.plugins[2:] = [{"type": "egret-cni", "socket": str(self.socket), "labels": {"app": "bench"}}]


class MainPlugin(AgentChain):
    """egret-cni, and nothing else."""

    endpoints = PREFIX + "g"

    def __init__(self, host, program):
        super().__init__(host, program)
        self.configuration = {
            "cniVersion": "1.0.0", "name": "bench", "type": "egret-cni", "socket": str(self.socket), "network": "bench0",
            "subnets": ["10.79.0.0/20"], "labels": {"app": "bench"}}

    def call(self, command, number):
        config = dict(self.configuration, runtimeConfig={
            "portMappings": [{"hostPort": 10000 + number, "containerPort": 80, "protocol": "tcp"}], "bandwidth": RATE})
        environment = dict(self.environment, CNI_COMMAND=command, CNI_CONTAINERID=f"c{number}",
                           CNI_IFNAME=self.interface, CNI_NETNS=f"/run/netns/{self.endpoints}{number}", CNI_PATH=PLUGINS)
        run("nsenter", f"--net=/run/netns/{self.host}", f"{PLUGINS}/egret-cni", input=json.dumps(config), text=True,
            stdout=subprocess.DEVNULL, env=environment)


class Containers:
    CONTAINER_COUNTS = tuple(int(n) for n in os.environ.get("EGRET_BENCH_CONTAINERS", "1,100,500").split(","))

    def containers(self):
        say("containers")
        hosts = [PREFIX + name for name in ("debian", "chained", "main")]
        number = max(self.CONTAINER_COUNTS)
        for host in hosts:
            self.add_namespace(host)
        shutil.copy(self.bin / "egret-cni", PLUGINS + "/egret-cni")
        chained, main = ChainedPlugin(hosts[1], self.egret), MainPlugin(hosts[2], self.egret)
        candidates = {"debian": DebianChain(hosts[0]), "chained": chained, "main": main}
        # Each has namespaces of its own: a link to another host than the agent's would be a way out.
        for candidate in candidates.values():
            for name in [f"{candidate.endpoints}{count}" for count in range(number + 1)]:
                if name not in self.namespaces:
                    self.add_namespace(name)
        rows, present, self.containers_facts = [], 0, {}
        try:
            for count in self.CONTAINER_COUNTS:
                self.fill(candidates.values(), range(present, count - 1))
                present = max(present, count - 1)
                rows += self.turns(candidates, count, number)
            memory = main.resident()
            starts = rounds(15, {name: lambda name=name: self.start(name) for name in ("bridge", "egret-cni")})
        finally:
            for candidate in candidates.values():
                candidate.close()
            os.remove(PLUGINS + "/egret-cni")
        head = ["containers", "", "Debian's", "chained", "main", "chained : Debian's", "main : Debian's"]
        self.sections.append(
            CONTAINERS_TEXT + table(head, rows)
            + f"\nThe agent beside the main plugin holds {memory:.0f} MiB with {number} endpoints. To start and to answer `VERSION`"
            + " takes " + ", ".join(f"{statistics.median(times) * 1e3:.1f} ms for {name}" for name, times in starts.items())
            + ".\n")

    @staticmethod
    def start(plugin):
        seconds, _, _ = timed([f"{PLUGINS}/{plugin}"], env=dict(os.environ, CNI_COMMAND="VERSION"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return seconds

    @staticmethod
    def fill(candidates, numbers):
        """What is there before: each candidate adds by itself, all at once."""
        def add(candidate):
            for number in numbers:
                candidate.add(number)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(add, candidate) for candidate in candidates]:
                done.result()

    def turns(self, candidates, count, number):
        """ADD and DEL of each in turns: wall and processor, in milliseconds."""
        figures = {(name, step, what): [] for name in candidates for step in ("ADD", "DEL") for what in ("wall", "CPU")}

        def spent(candidate):
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime + candidate.agent_seconds()

        def turn(name, candidate):
            def both():
                for step, call in (("ADD", candidate.add), ("DEL", candidate.remove)):
                    before, start = spent(candidate), time.perf_counter()
                    call(number)
                    figures[name, step, "wall"].append(time.perf_counter() - start)
                    # What the agent does after the answer belongs to it.
                    time.sleep(0.05)
                    figures[name, step, "CPU"].append(spent(candidate) - before)
            return both

        rounds(7, {name: turn(name, candidate) for name, candidate in candidates.items()})
        rows = []
        for step in ("ADD", "DEL"):
            for what in ("wall", "CPU"):
                own = {name: figures[name, step, what] for name in candidates}
                if what == "wall":
                    self.containers_facts[step, count] = ratio(own["main"], own["debian"])[0]
                cells = [f"{statistics.median(times) * 1e3:.0f} ms" for times in own.values()]
                rows.append([count, f"{step}, {what}", *cells, *[
                    ratio(own[name], own["debian"])[1] for name in ("chained", "main")]])
        return rows
