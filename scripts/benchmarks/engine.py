# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Docker with and without Egret, and an agent whose endpoints come and go."""

import datetime
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from agent import AgentHost
from containers import POLICY
from measure import PREFIX, ratio, rounds, run, say, table

ENGINE_TEXT = """## Docker

`docker run --rm` of a container that ends at once, by Docker @VERSION@ alone, and by another of its kind beside
`egret agent --runtime docker --quarantine docker0` with one policy that selects every container. “In force” is from the start
of a container's first process, as Docker tells it, until the agent says that the kernel enforces its policies: below
zero, before it began.

`scripts/bench --only engine`.

"""

CHURN_TEXT = """## Endpoints that come and go

An agent with so many endpoints and one policy that selects all of them; every 100 ms one more namespace is connected and
attached, and the tenth-last is removed, for 20 s. The processor's time is that of the agent, of one core.

`scripts/bench --only engine`.

"""


class Engine:
    """A Docker of its own, in a namespace of its own."""

    def __init__(self, lab, name):
        self.name = PREFIX + name
        lab.add_namespace(self.name)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-docker-"))
        self.socket = self.directory / "docker.sock"
        (self.directory / "daemon.json").write_text("{}")
        (self.directory / "root").mkdir()
        self.agent = None
        options = ["--config-file", "daemon.json", "--data-root", "root", "--exec-root", "exec", "--pidfile", "pid", "-H",
                   "unix://" + str(self.socket)]
        options = [str(self.directory / word) if word in ("daemon.json", "root", "exec", "pid") else word for word in options]
        self.daemon = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", "unshare", "--mount", "--propagation", "private", "sh", "-c",
             'mount -t tmpfs tmpfs "$0"/root && exec dockerd "$@"', self.directory, *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode:
            if time.monotonic() > deadline or self.daemon.poll() is not None:
                raise RuntimeError("dockerd does not start")
            time.sleep(0.1)
        image = self.directory / "image" / "bin"
        image.mkdir(parents=True)
        shutil.copy("/bin/busybox", image)
        for name in ("true", "sleep"):
            (image / name).symlink_to("busybox")
        archive = subprocess.run(["tar", "-C", image.parent, "-c", "."], capture_output=True, check=True).stdout
        self.docker("import", "-", "box", input=archive)

    def docker(self, *words, check=True, **options):
        return subprocess.run(["docker", "-H", f"unix://{self.socket}", *words], check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, **options)

    def run_once(self):
        start = time.perf_counter()
        self.docker("run", "--rm", "--label", "app=bench", "box", "true")
        return time.perf_counter() - start

    def begin(self, program):
        """Starts an agent beside it."""
        self.api = self.directory / "agent.sock"
        self.agent = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", program, "agent", "--socket", self.api, "--state",
             self.directory / "state", "--runtime", f"docker={self.socket}", "--quarantine", "docker0"],
            stderr=subprocess.DEVNULL, env=dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "networks")))
        while subprocess.run([program, "get", "status", "--socket", self.api], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL).returncode:
            time.sleep(0.05)
        run(program, "apply", "--socket", self.api, "-f", "-", input=POLICY, text=True, stdout=subprocess.DEVNULL)

    def delay(self, number):
        """Seconds from a container's start until its policies are in force."""
        name = f"delay{number}"
        process = subprocess.Popen(["docker", "-H", f"unix://{self.socket}", "run", "-d", "--name", name, "--label",
                                    "app=bench", "box", "sleep", "60"], stdout=subprocess.DEVNULL)
        api, enforced = API(self.api), None
        while enforced is None:
            for endpoint in api.ask("GET", "/v1/endpoints"):
                if endpoint["name"] == "docker/" + name and endpoint["generations"]:
                    enforced = time.time()
            time.sleep(0.001)
        process.wait()
        text = self.docker("inspect", "-f", "{{.State.StartedAt}}", name).stdout.decode().strip()
        started = datetime.datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp()
        self.docker("rm", "-f", name)
        return enforced - started

    def close(self):
        for process in (self.agent, self.daemon):
            if process:
                process.terminate()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class API(http.client.HTTPConnection):
    """The agent's API at its socket."""

    def __init__(self, path):
        super().__init__("egret")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        answer = self.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)


class Engines:
    CHURN_COUNTS = tuple(int(n) for n in os.environ.get("EGRET_BENCH_CHURN", "1,1000").split(","))
    CHURN_SECONDS = 20

    def engines(self):
        say("docker")
        alone = beside = None
        try:
            alone, beside = Engine(self, "alone"), Engine(self, "beside")
            beside.begin(self.egret)
            figures = rounds(15, {"alone": alone.run_once, "beside": beside.run_once})
            delays = sorted(beside.delay(number) for number in range(15))
            version = alone.docker("version", "-f", "{{.Server.Version}}").stdout.decode().strip()
        finally:
            for engine in (alone, beside):
                if engine:
                    engine.close()
        rows = [["`docker run`", f"{statistics.median(figures['alone']) * 1e3:.0f} ms",
                 f"{statistics.median(figures['beside']) * 1e3:.0f} ms", ratio(figures["beside"], figures["alone"])[1]]]
        self.sections.append(
            ENGINE_TEXT.replace("@VERSION@", version) + table(["", "Docker alone", "with Egret", "ratio"], rows)
            + f"\nIn force {statistics.median(delays) * 1e3:.0f} ms after the start (median; from {delays[0] * 1e3:.0f} to "
            + f"{delays[-1] * 1e3:.0f} ms).\n")
        self.churn()

    def churn(self):
        say("endpoints that come and go")
        rows = []
        for count in self.CHURN_COUNTS:
            host = AgentHost(self, f"churn{count}", count)
            try:
                rows.append([f"{count:,}", *self.churned(host)])
            finally:
                host.close()
        head = ["endpoints", "came", "the agent's processor time", "of one core", "memory", "attached in"]
        self.sections.append(CHURN_TEXT + table(head, rows))

    def churned(self, host):
        policy = host.directory / "policy.yaml"
        policy.write_text(POLICY.replace("selects: { matchLabels: { app: bench } }", "selects: { namespaces: [bench, churn] }"))
        host.start()
        host.apply(policy)
        api, before, begin, times, number = API(host.socket), host.seconds(), time.perf_counter(), [], 0
        while time.perf_counter() - begin < self.CHURN_SECONDS:
            name = f"{host.name}-{number}"
            self.add_namespace(name)
            self.connect(host.name, f"cv{number}", f"10.128.{number}.1/24", name, "eth0", f"10.128.{number}.2/24")
            start = time.perf_counter()
            api.ask("POST", "/v1/attached", {
                "namespace": f"/run/netns/{name}", "group": "churn", "name": f"c{number}", "labels": {"app": "bench"}})
            times.append(time.perf_counter() - start)
            if number >= 10:
                old = f"{host.name}-{number - 10}"
                run("ip", "netns", "del", old)
                self.namespaces.remove(old)
            number += 1
            time.sleep(max(0, begin + number / 10 - time.perf_counter()))
        wall, after = time.perf_counter() - begin, host.seconds()
        own = sum(after) - sum(before)
        return [f"{number / wall:.1f} a second", f"{own:.2f} s", f"{own / wall:.0%}",
                f"{host.memory('VmRSS'):,.0f} MiB", f"{statistics.median(times) * 1e3:.0f} ms"]
