# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The agent with many policies and many endpoints: time, processor time and memory of the process itself."""

import ctypes
import http.server
import os
import pathlib
import socket
import ssl
import statistics
import subprocess
import tempfile
import threading
import time

from crowd import crowd
from measure import PREFIX, run, say, table

AGENT_TEXT = """## Through the agent

So many policies of one document each, as many endpoints of a routed network, one policy for each endpoint: the agent with its
store, its API and the command. “In force” is the wall's time from the start of the command to its end, which comes when the
kernel enforces the change; the agent's processor time is from `/proc/PID/stat`, its memory from `/proc/PID/status`. “Started
again” is after `kill -9`, from the start of the process to its first answer, by which time everything is compared with the kernel
and in force; “started, empty kernel” is the same after its tables are gone, as after a restart of the machine.

`scripts/bench --only agent`; `egret apply -f DIR`, `egret apply -f one.yaml`, `egret agent`.

"""

FEED_TEXT = """## Feeds through the agent

A DestinationGroup with a list of so many addresses, from a file and from a server (HTTPS on the same machine), a policy that
allows it, one endpoint: from the start of `egret apply` until `nft list table` shows the list, which of a million takes long itself. Then the server sends something
else that is no list: the last good one stays.

`scripts/bench --only agent`.

"""

POLICY = """apiVersion: egret.dev/v1
kind: EgressPolicy
metadata: {{ name: p-{0} }}
spec: {{ selects: {{ matchLabels: {{ app: a-{0} }} }}, egress: [{{ action: allow, to: [{{ cidr: {1} }}], ports: [{2}/tcp] }}] }}
"""

GROUP = """apiVersion: egret.dev/v1
kind: DestinationGroup
metadata: {{ name: feed }}
spec: {{ feed: {{ {0} }} }}
---
apiVersion: egret.dev/v1
kind: EgressPolicy
metadata: {{ name: feed }}
spec: {{ selects: {{ matchLabels: {{ app: a-0 }} }}, egress: [{{ action: allow, to: [{{ group: feed }}] }}] }}
"""


class AgentHost:
    """A namespace with a routed network of so many endpoints, whose links lead nowhere, and an agent."""

    def __init__(self, lab, name, count):
        self.name, self.egret = PREFIX + name, lab.egret
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-agent-"))
        self.environment = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "state"))
        self.socket = self.directory / "agent.sock"
        self.process = None
        lab.add_namespace(self.name)
        lab.add_namespace(self.name + "-e")
        self.call("network", "create", "many", "--mode", "routed", "--subnet", "10.64.0.0/12")
        self.call("network", "connect", "many", self.name + "-e", "--label", "app=a-0", "--workload", "bench/w-0")
        self.multiply(count)

    def call(self, *arguments):
        run("nsenter", f"--net=/run/netns/{self.name}", self.egret, *arguments, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=self.environment)

    def multiply(self, count):
        """So many endpoints in all."""
        path = next((self.directory / "state").glob("networks-*/many.json"))
        crowd(self.name, path, range(1, count), lambda n, first: dict(
            namespace=f"bench-{n}", addresses=[f"10.{64 + (n + 2 >> 16)}.{n + 2 >> 8 & 255}.{n + 2 & 255}"],
            identity=dict(first["identity"], name=f"w-{n}", labels={"app": f"a-{n}"})))

    # The agent

    def start(self, *options):
        """Starts the agent; the seconds until it answers."""
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.name}", self.egret, "agent", "--socket", self.socket, "--state",
             self.directory / "store", *options], env=self.environment, stderr=subprocess.DEVNULL)
        # Commands that ask in vain would take the processors' time from it.
        while not self.listens() or subprocess.run(
                [self.egret, "get", "status", "--socket", self.socket], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL).returncode:
            if self.process.poll() is not None:
                raise RuntimeError("the agent has ended")
            time.sleep(0.005)
        return time.perf_counter() - begin

    def listens(self):
        with socket.socket(socket.AF_UNIX) as asking:
            return asking.connect_ex(str(self.socket)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def apply(self, path):
        """The wall's seconds, and the agent's own seconds and those in the kernel."""
        before, begin = self.seconds(), time.perf_counter()
        run(self.egret, "apply", "--socket", self.socket, "-f", path, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wall, after = time.perf_counter() - begin, self.seconds()
        return wall, after[0] - before[0], after[1] - before[1]

    def seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]]

    def memory(self, what):
        """MiB of `VmHWM`, at most so far, or `VmRSS`, now."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024

    def close(self):
        if self.process:
            self.kill()
        run("rm", "-rf", self.directory)


class Lists:
    """A server of one list, over TLS with a certificate of its own, in a namespace."""

    def __init__(self, directory, namespace):
        self.body = b""
        key, certificate = directory / "key.pem", directory / "ca.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lists", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate, stderr=subprocess.DEVNULL)
        lists = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(lists.body)))
                self.end_headers()
                self.wfile.write(lists.body)

        # A socket belongs to the namespace that it was made in; this thread alone visits it.
        def listen():
            with open(f"/run/netns/{namespace}", "rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000):
                    raise OSError(ctypes.get_errno(), "setns")
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 4430), Handler)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            ready.set()
            self.server.serve_forever()

        ready = threading.Event()
        threading.Thread(target=listen, daemon=True).start()
        ready.wait()


class Agent:
    AGENT_COUNTS = (1_000, 10_000)
    FEED_COUNTS = (100_000, 1_000_000)

    def agent(self):
        say("the agent")
        self.agent_facts = {}
        rows = [self.idle_row()]
        for count in self.AGENT_COUNTS:
            host = AgentHost(self, f"agent{count}", count)
            try:
                rows += self.agent_rows(host, count)
            finally:
                host.close()
        head = ["each", "what", "in force", "the agent's own", "in the kernel", "memory"]
        self.sections.append(AGENT_TEXT + table(head, rows))
        self.feeds()

    def idle_row(self):
        """An agent with one endpoint and no policy."""
        host = AgentHost(self, "agent1", 1)
        try:
            host.start()
            time.sleep(2)
            self.agent_facts["idle"] = memory = host.memory("VmRSS")
        finally:
            host.close()
        return ["1, no policy", "at rest", "", "", "", f"**{memory:,.0f} MiB**"]

    def agent_rows(self, host, count):
        folder = host.directory / "policies"
        folder.mkdir()
        for n in range(count):
            (folder / f"{n}.yaml").write_text(POLICY.format(n, f"203.{n >> 8 & 255}.{n & 255}.0/24", 443))
        host.start()
        rows = []

        def row(what, wall, own, kernel, memory=""):
            rows.append([f"{count:,}", what, f"{wall:,.2f} s", f"{own:,.2f} s", f"{kernel:,.2f} s", memory])

        row("all of it applied", *host.apply(folder), f"{host.memory('VmHWM'):,.0f} MiB at most")
        changes = []
        for n in range(5):
            one = host.directory / "one.yaml"
            one.write_text(POLICY.format(n, f"198.51.100.{n}/32", 8443))
            changes.append(host.apply(one))
        row("**one policy changes**", *[statistics.median(column) for column in zip(*changes)])
        (folder / "7.yaml").write_text(POLICY.format(7, "198.51.100.7/32", 8444))
        row("the whole directory again, one file changed", *host.apply(folder))
        before = host.seconds()
        time.sleep(10)
        after = host.seconds()
        resident = host.memory("VmRSS")
        row("10 s of idleness", 10, after[0] - before[0], after[1] - before[1], f"**{resident:,.0f} MiB**")
        host.kill()
        again = host.start()
        self.agent_facts[count] = (resident, again)
        row("**started again**", again, *host.seconds(), f"{host.memory('VmRSS'):,.0f} MiB")
        host.kill()
        run("ip", "netns", "exec", host.name, "nft", "flush", "ruleset")
        row("**started, empty kernel**", host.start(), *host.seconds(), f"{host.memory('VmRSS'):,.0f} MiB")
        return rows

    def feeds(self):
        rows = []
        for count in self.FEED_COUNTS:
            text = "".join(f"{20 + (2 * n >> 24)}.{2 * n >> 16 & 255}.{2 * n >> 8 & 255}.{2 * n & 255}\n" for n in range(count))
            for source in ("file", "url"):
                host = AgentHost(self, f"feed{count}{source}", 1)
                try:
                    rows.append([f"{count:,}", source] + self.feed(host, source, text.encode()))
                finally:
                    host.close()
        self.sections.append(FEED_TEXT + table(
            ["addresses", "from a", "in force after", "the agent's own", "in the kernel", "memory at most", "after a bad list"],
            rows))

    def feed(self, host, source, text):
        path = host.directory / "group.yaml"
        if source == "file":
            (host.directory / "list").write_bytes(text)
            path.write_text(GROUP.format(f"file: {host.directory}/list"))
            host.start()
        else:
            lists = Lists(host.directory, host.name)
            lists.body = text
            path.write_text(GROUP.format('url: "https://127.0.0.1:4430/list", refresh: 60s'))
            host.start("--feed-ca", host.directory / "ca.pem")
        before, begin = host.seconds(), time.perf_counter()
        host.apply(path)
        last = text.split()[-1].decode()
        while subprocess.run(["ip", "netns", "exec", host.name, "sh", "-c",
                              f"nft list table inet egret-policy | grep -q '{last}'"]).returncode:
            time.sleep(0.5)
        wall, after = time.perf_counter() - begin, host.seconds()
        if source == "file":
            (host.directory / "list").write_text("not a list\n")
            time.sleep(5)
        else:
            lists.body = b"<html>not a list</html>"
            time.sleep(65)
        kept = subprocess.run(["ip", "netns", "exec", host.name, "sh", "-c",
                               f"nft list table inet egret-policy | grep -q '{last}'"]).returncode == 0
        return [f"{wall:,.1f} s", f"{after[0] - before[0]:,.1f} s", f"{after[1] - before[1]:,.1f} s",
                f"{host.memory('VmHWM'):,.0f} MiB", "the last good one stays" if kept else "**gone**"]
