# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""A published port: Egret's against Docker's own."""

import json
import os
import pathlib
import statistics
import subprocess
import time

from measure import PREFIX, inside, ratio, rounds, run, say, table

CLIENT = PREFIX + "fc"
FORWARDING_TEXT = """### Published ports

The same servers, outside of any container, behind a port that Docker @VERSION@ has published (`docker run -p`:
a rule of iptables, and for the host's own 127.0.0.1 its program docker-proxy, as by default; the container is there for
its namespace) and behind one of `egret publish`, each with a host of its own. Once from a client beyond the host, once
from the host itself by 127.0.0.1. “The same again” is the same port of Docker's a second time in each round: how far it
is from 1.00 is the error of the method. Client and server share a core but for the throughput. Ratios of time: less is
better; of throughput: more is better. The load average at the end was @LOAD@: other work weighs most on the throughput,
which wants both cores.

`scripts/bench --only networks`; `egret-bench ask --kind tcp|connect`, `iperf3 -c`.

"""


class DockerHost:
    """A dockerd in a namespace, and one container with the servers."""

    def __init__(self, host, directory):
        self.host, self.directory = host, directory
        for name in ("root", "exec"):
            (directory / name).mkdir(parents=True)
        (directory / "daemon.json").write_text("{}")
        self.environment = dict(os.environ, DOCKER_HOST=f"unix://{directory}/docker.sock")
        self.log = open(directory / "log", "w")
        self.daemon = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{host}", "dockerd", "--config-file", directory / "daemon.json", "--data-root",
             directory / "root", "--exec-root", directory / "exec", "--pidfile", directory / "pid", "-H",
             self.environment["DOCKER_HOST"]], stdout=self.log, stderr=self.log)
        for _ in range(200):
            if subprocess.run(["/usr/bin/docker", "version"], env=self.environment, capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        self.version = self.docker("version", "-f", "{{.Server.Version}}")
        self.start()

    def docker(self, *arguments, **options):
        return run("/usr/bin/docker", *arguments, env=self.environment, stdout=subprocess.PIPE, text=True,
                   **options).stdout.strip()

    def start(self):
        """The container only holds its namespace. The servers are the same processes on both sides, outside: a container
        has a share of the processor and a seccomp filter of its own, which are not what is measured."""
        image = self.directory / "image"
        (image / "bin").mkdir(parents=True)
        run("cp", "/bin/busybox", image / "bin" / "sleep")
        archive = run("tar", "-C", image, "-c", ".", stdout=subprocess.PIPE).stdout
        run("/usr/bin/docker", "import", "-", "egret-bench", env=self.environment, input=archive,
            stdout=subprocess.DEVNULL)
        self.docker("run", "-d", "--name", "servers", "-p", "7001:7001", "-p", "5201:5201", "egret-bench", "/bin/sleep",
                    "3600")
        process = self.docker("inspect", "-f", "{{.State.Pid}}", "servers")
        self.enter = ["nsenter", f"--net=/proc/{process}/ns/net"]

    def close(self):
        subprocess.run(["/usr/bin/docker", "rm", "-f", "servers"], env=self.environment, capture_output=True)
        self.daemon.terminate()
        self.daemon.wait()
        self.log.close()
        run("umount", self.directory / "root", check=False, stderr=subprocess.DEVNULL)


class Forwarding:
    def forwarding(self):
        say("published ports")
        docker, egret, server = (PREFIX + name for name in ("fd", "fe", "fs"))
        for name in (CLIENT, docker, egret, server):
            self.add_namespace(name)
            # Connections that were closed a minute ago still have their ports: there must be enough of them.
            run(*inside(name, "sysctl", "-qw", "net.ipv4.ip_local_port_range=10000 65535"))
        for number, host in enumerate((docker, egret)):
            self.connect(host, "up0", f"10.91.{number}.1/24", CLIENT, f"to{number}", f"10.91.{number}.2/24")
        state = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "forwarding"))
        call = ["nsenter", f"--net=/run/netns/{egret}", self.egret]
        run(*call, "network", "create", "br0", "--subnet", "10.92.0.0/24", env=state)
        run(*call, "network", "connect", "br0", server, env=state, stdout=subprocess.DEVNULL)
        for port in (7001, 5201):
            run(*call, "publish", f"{port}:{port}", server, env=state)
        dockerd = DockerHost(docker, pathlib.Path(self.directory) / "docker")
        for enter in (dockerd.enter, ["nsenter", f"--net=/run/netns/{server}"]):
            self.background([*enter, "taskset", "-c", "1", self.tool, "serve"])
            self.background([*enter, "taskset", "-c", "1", "iperf3", "-s"])
        try:
            time.sleep(1)
            rows = self.ports("from outside", {"docker": (CLIENT, "10.91.0.1"), "again": (CLIENT, "10.91.0.1"),
                                               "egret": (CLIENT, "10.91.1.1")})
            rows += self.ports("from the host, 127.0.0.1", {"docker": (docker, "127.0.0.1"),
                                                            "again": (docker, "127.0.0.1"),
                                                            "egret": (egret, "127.0.0.1")})
        finally:
            dockerd.close()
            run(*call, "network", "rm", "br0", "--force", env=state)
        text = FORWARDING_TEXT.replace("@VERSION@", dockerd.version).replace("@LOAD@", f"{os.getloadavg()[0]:.1f}")
        self.sections.append(text + table(
            ["", "", "Docker", "the same again", "Egret"], rows))

    def ports(self, place, lanes):
        results = {kind: rounds(10, {lane: self.port_asker(*target, kind) for lane, target in lanes.items()})
                   for kind in ("tcp", "connect")}
        results["throughput"] = rounds(12, {lane: self.port_throughput(*target) for lane, target in lanes.items()})
        titles = {"tcp": ("TCP round trip", "µs", 1e-3), "connect": ("TCP connect, request, close", "µs", 1e-3),
                  "throughput": ("TCP throughput (iperf3)", "Gbit/s", 1)}
        rows = []
        for kind, (title, unit, scale) in titles.items():
            figures = results[kind]
            rows.append([place, title, f"{statistics.median(figures['docker']) * scale:.1f} {unit}",
                         ratio(figures["again"], figures["docker"])[1], ratio(figures["egret"], figures["docker"])[1]])
        return rows

    def port_asker(self, namespace, target, kind):
        milliseconds = 60 if kind == "connect" else 250

        def ask():
            output = run(*inside(namespace, "taskset", "-c", "1", self.tool, "ask", "--address", target, "--kind", kind,
                                 "--milliseconds", milliseconds), capture_output=True, text=True).stdout
            return json.loads(output)["nanoseconds"]
        return ask

    def port_throughput(self, namespace, target):
        def ask():
            for _ in range(10):
                output = run(*inside(namespace, "taskset", "-c", "0", "iperf3", "-J", "-c", target, "-t", "1.5"),
                             check=False, capture_output=True, text=True).stdout
                result = json.loads(output)
                if "sum_received" in result["end"]:
                    return result["end"]["sum_received"]["bits_per_second"] / 1e9
                # The server takes one client at a time, and may not have done with the last one.
                time.sleep(0.2)
            raise RuntimeError(result.get("error", "iperf3 gives no figure"))
        return ask
