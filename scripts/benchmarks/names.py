# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Names: questions with the sets that they fill, and connections through the check, against what others do of it."""

import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from crowd import crowd
from measure import PREFIX, inside, run, say, table

NAMES_TEXT = """## Names

A host with {0} endpoints on a bridge, and an authority (Knot) of {1:,} names, each with an address of its own. Every endpoint
asks for every name once, {2:,} questions a second from each (`dnsperf`); the elements that the answers need go into the kernel
before they do, {3:,} in all for Egret, which keeps them apart by endpoint. “At most” is what is answered in a second where all
ask for as many other names as fast as answers come, 100 questions of each under way: the median of three times. A question
that is lost counts as five seconds, as `dnsperf` does not ask again: bursts overrun the authority's socket. unbound
forwards and nothing else; neither it nor dnsmasq caches. “Beside” is with 1,000 more endpoints in the agent and a set of 100,000 blocks in another table. Processor time is
the server's own and the kernel's on its account, by answer.

`scripts/bench --only names`.

"""

OPENING_TEXT = """
### From an answer to its connection

The time from an answer to the end of a TCP connection to its address, {0} new names one after the other, at a port where no name
is read. A first packet that is lost costs a second.

"""

CHECK_TEXT = """
### Connections

An HTTP request on a connection of its own, {0} one after the other, and a download of {1} MB: by address, through Egret, which
reads the name, and through HAProxy, which reads nothing and splices.

"""

UPSTREAM, HERE = "10.94.0.53", "10.94.0.1"
NETWORK = "10.95.0"
# dnsmasq asks for a set by name; each of its changes reads what the kernel has.
DNSMASQ_SET = "4#inet#others#found"


class NameHost:
    """A namespace with a bridge network of endpoints, a way to the authority, and an agent."""

    def __init__(self, lab, count):
        self.lab, self.host, self.servers = lab, PREFIX + "nh", PREFIX + "ns"
        self.egret, self.process = lab.egret, None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="egret-bench-names-"))
        self.environment = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "state"))
        self.endpoints = [f"{PREFIX}ne{n}" for n in range(count)]
        lab.add_namespace(self.host)
        lab.add_namespace(self.servers)
        lab.connect(self.host, "up0", f"{HERE}/24", self.servers, "up0", f"{UPSTREAM}/24")
        run("ip", "-n", self.servers, "route", "add", "default", "via", HERE)
        run("ip", "-n", self.host, "route", "add", "default", "via", UPSTREAM)
        run("ip", "-n", self.servers, "route", "add", "local", "45.0.0.0/16", "dev", "lo")
        self.call("network", "create", "names0", "--subnet", f"{NETWORK}.0/24")
        for name in self.endpoints:
            lab.add_namespace(name)
            self.call("network", "connect", "names0", name, "--label", "app=names", "--workload", f"bench/{name}")
        # One that no policy selects.
        self.free = f"{PREFIX}nf"
        lab.add_namespace(self.free)
        self.call("network", "connect", "names0", self.free, "--label", "app=free", "--workload", "bench/free")

    def call(self, *arguments):
        run("nsenter", f"--net=/run/netns/{self.host}", self.egret, *arguments, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=self.environment)

    def on_host(self, *command):
        return inside(self.host, *command)

    def serve(self, *command, namespace=None, ready=None):
        """Starts a server; it is given a moment, or until it answers questions at an address."""
        process = subprocess.Popen(inside(namespace or self.host, *command), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.lab.children.append(process)
        for _ in range(200):
            if ready is None or self.answers(*ready):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{command} does not answer")
        return process

    def answers(self, namespace, server):
        asked = run(*inside(namespace, "dig", f"@{server}", "+tries=1", "+time=1", "n0.bench.test"), check=False,
                    capture_output=True, text=True)
        return "NOERROR" in asked.stdout

    def start_agent(self, text):
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.host}", self.egret, "agent", "--socket", self.directory / "socket",
             "--state", self.directory / "store", "--dns", UPSTREAM], env=self.environment, stderr=subprocess.DEVNULL)
        while run(self.egret, "get", "status", "--socket", self.directory / "socket", check=False,
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            time.sleep(0.05)
        policy = self.directory / "policy.yaml"
        policy.write_text(text)
        run(self.egret, "apply", "--socket", self.directory / "socket", "-f", policy, stdout=subprocess.DEVNULL)

    def stop_agent(self, forgets):
        self.process.kill()
        self.process.wait()
        self.process = None
        if forgets:
            for path in pathlib.Path("/run/egret").glob("names-*.holdings"):
                path.unlink()

    def memory(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def close(self):
        if self.process:
            self.stop_agent(forgets=False)
        run("rm", "-rf", self.directory)


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def sum_of(pattern, texts):
    return sum(float(match) for text in texts for match in re.findall(pattern, text))


class Names:
    NAME_ENDPOINTS, NAME_COUNT, NAME_RATE = 8, 960, 900
    OPENINGS, REQUESTS, MEGABYTES = 200, 200, 500

    def names(self):
        say("names")
        missing = [tool for tool in ("knotd", "unbound", "dnsmasq", "dnsperf", "haproxy") if shutil.which(tool) is None]
        if missing:
            raise RuntimeError(f"scripts/install-dependencies installs what is missing: {', '.join(missing)}")
        host, self.names_facts = NameHost(self, self.NAME_ENDPOINTS), {}
        try:
            self.sections.append(
                NAMES_TEXT.format(self.NAME_ENDPOINTS, self.NAME_COUNT, self.NAME_RATE,
                                  self.NAME_ENDPOINTS * self.NAME_COUNT)
                + self.questions(host) + OPENING_TEXT.format(self.OPENINGS) + self.openings(host)
                + CHECK_TEXT.format(self.REQUESTS, self.MEGABYTES) + self.checks(host))
        finally:
            host.close()

    # Questions

    def questions(self, host):
        self.start_authority(host)
        rows = [self.question_row(host, "the authority itself", UPSTREAM, None)]
        unbound = self.start_unbound(host)
        rows.append(self.question_row(host, "unbound, forwarding", f"{NETWORK}.1", unbound))
        self.end(unbound)
        for title, beside in (("", False), (", beside", True)):
            if beside:
                self.crowd(host)
            run(*host.on_host("nft", "add table inet others; add set inet others found "
                              "{ type ipv4_addr; flags timeout; timeout 1h; }"))
            dnsmasq = self.start_dnsmasq(host)
            # One question reads all that there is: a few tell enough.
            count = 10 if beside else self.NAME_COUNT
            rows.append(self.question_row(host, f"dnsmasq, `nftset`{title}", f"{NETWORK}.1", dnsmasq, count))
            self.end(dnsmasq)
            run(*host.on_host("nft", "flush set inet others found"))
            host.start_agent(self.name_policy())
            before = host.memory()
            rows.append(self.question_row(host, f"Egret{title}", f"{NETWORK}.1", host.process))
            pinned = self.NAME_ENDPOINTS * self.NAME_COUNT * 4
            grown = (host.memory() - before) / pinned * 10_000 / 1_024
            rows.append(self.question_row(host, f"Egret{title}, again: nothing to commit", f"{NETWORK}.1", host.process))
            if not beside:
                host.stop_agent(forgets=True)
        return (table(["", "answered", "lost", "latency, ms", "processor time, µs", "at most, per second"], rows)
                + f"\nThe agent's memory grows by {grown:.1f} MiB for 10,000 pinned names.\n")

    def name_policy(self):
        names = [f"{series}{n}" for series in "nabc" for n in range(self.NAME_COUNT)] + [f"o{n}" for n in range(self.OPENINGS)]
        domains = ", ".join(f"{name}.bench.test" for name in names)
        return ("apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: names }\n"
                "spec:\n  selects: { matchLabels: { app: names } }\n  egress:\n"
                f"  - {{ action: allow, to: [{{ domains: [{domains}] }}], ports: [7/tcp], applications: [ssh] }}\n"
                "  - { action: allow, to: [{ domains: [www.bench.test] }], ports: [80/tcp] }\n")

    def start_authority(self, host):
        zone = ["$ORIGIN bench.test.", "$TTL 3600", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns",
                f"ns A {UPSTREAM}", "www A 45.0.255.1"]
        for place, series in enumerate("nabc"):
            zone += [f"{series}{n} A 45.0.{16 * place + (n >> 8)}.{n & 255}" for n in range(self.NAME_COUNT)]
        zone += [f"o{n} A 45.0.{128 + (n >> 8)}.{n & 255}" for n in range(self.OPENINGS)]
        (host.directory / "bench.test.zone").write_text("\n".join(zone) + "\n")
        configuration = host.directory / "knot.conf"
        configuration.write_text(
            f'server:\n    rundir: "{host.directory}"\n    listen: {UPSTREAM}@53\n    user: root:root\n    udp-workers: 1\n'
            f'database:\n    storage: "{host.directory}"\n'
            f'zone:\n  - domain: bench.test\n    file: "{host.directory}/bench.test.zone"\n')
        host.serve("knotd", "-c", configuration, namespace=host.servers, ready=(host.servers, UPSTREAM))

    def start_unbound(self, host):
        configuration = host.directory / "unbound.conf"
        configuration.write_text(
            f'server:\n    interface: {NETWORK}.1\n    access-control: 0.0.0.0/0 allow\n    module-config: "iterator"\n'
            '    local-zone: "test." nodefault\n    username: ""\n    chroot: ""\n    pidfile: ""\n    use-syslog: no\n'
            f'    directory: "{host.directory}"\n    do-daemonize: no\n    num-threads: 1\n    outgoing-range: 4096\n'
            'remote-control:\n    control-enable: no\n'
            f'forward-zone:\n    name: "."\n    forward-addr: {UPSTREAM}\n    forward-no-cache: yes\n')
        return host.serve("unbound", "-d", "-c", configuration, ready=(host.endpoints[0], f"{NETWORK}.1"))

    def start_dnsmasq(self, host):
        return host.serve(
            "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
            f"--listen-address={NETWORK}.1", f"--server={UPSTREAM}", "--cache-size=0", "--dns-forward-max=4096",
            "--pid-file=", f"--nftset=/bench.test/{DNSMASQ_SET}", ready=(host.servers, f"{NETWORK}.1"))

    def crowd(self, host):
        """1,000 endpoints whose links lead nowhere, and a long list in a table of its own."""
        blocks = ", ".join(f"100.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(0, 200_000, 2))
        text = ("table inet crowd {\n set blocks {\n type ipv4_addr; flags interval\n elements = { " + blocks
                + " }\n }\n}\n")
        run(*host.on_host("nft", "-f", "-"), input=text, text=True)
        path = next((host.directory / "state").glob("networks-*/names0.json"))
        crowd(host.host, path, range(1_000), lambda n, first: dict(
            namespace=f"crowd-{n}", addresses=[f"10.96.{n >> 8}.{n & 255}"],
            identity=dict(first["identity"], name=f"crowd-{n}", labels={"app": f"crowd-{n}"})))

    def end(self, process):
        process.kill()
        process.wait()

    def question_row(self, host, title, server, process, count=None):
        """Every endpoint asks for the names, all at the same time; and for others, as fast as there are answers."""
        say(f"names: {title}")
        count = count or self.NAME_COUNT
        namespaces = host.endpoints if count == self.NAME_COUNT else host.endpoints[:1]
        before = processor_seconds(process) if process else 0
        found = self.ask(host, server, namespaces, "n", count, "-Q", self.NAME_RATE)
        used = processor_seconds(process) - before if process else 0
        answered, lost = sum_of(r"Queries completed: +(\d+)", found), sum_of(r"Queries lost: +(\d+)", found)
        latency = statistics.mean(float(v) for text in found for v in re.findall(r"Average Latency \(s\): +([\d.]+)", text))
        most = []
        for series in "abc":
            # What an endpoint may ask at once has to be there again.
            time.sleep(1.5)
            found = self.ask(host, server, namespaces, series, count, "-q", 100)
            seconds = max(float(v) for text in found for v in re.findall(r"Run time \(s\): +([\d.]+)", text))
            most.append(sum_of(r"Queries completed: +(\d+)", found) / seconds)
        self.names_facts[title] = statistics.median(most)
        return [title, f"{answered:,.0f}", f"{lost:,.0f}", f"{latency * 1_000:.2f}",
                f"{used / max(answered, 1) * 1e6:.0f}" if process else "–", f"{statistics.median(most):,.0f}"]

    def ask(self, host, server, namespaces, series, count, *options):
        """What `dnsperf` says in each namespace."""
        wanted = host.directory / "wanted.txt"
        wanted.write_text("".join(f"{series}{n}.bench.test A\n" for n in range(count)))
        running = [subprocess.Popen(
            inside(name, "dnsperf", "-s", server, "-d", wanted, "-n", "1", *options, "-c", "1", "-T", "1", "-t", "5"),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for name in namespaces]
        found = [child.communicate()[0] for child in running]
        refused = sum_of(r"(?:SERVFAIL|REFUSED) (\d+)", found)
        if refused:
            raise RuntimeError(f"{server}: {refused:.0f} questions were refused")
        return found

    # Connections

    OPENING = """
import socket, struct, sys, time
server, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asking.settimeout(5); asking.connect((server, 53))
for n in range(count):
    name = b"".join(bytes([len(p)]) + p for p in f"{first}{n}.bench.test".encode().split(b".")) + b"\\0"
    asking.send(struct.pack(">HHHHHH", n, 0x100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1")
    answer = asking.recv(4096)
    begin = time.perf_counter()
    connection = socket.create_connection((socket.inet_ntoa(answer[-4:]), 7), 10)
    print((time.perf_counter() - begin) * 1000)
    connection.close()
"""

    SERVER = """
import os, socket, sys, threading
path, size = sys.argv[1], os.path.getsize(sys.argv[1])
def serve(c):
    with c, open(path, "rb") as file:
        head = c.recv(65536)
        count = size if b"GET /large" in head else 100
        c.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % count)
        sent = 0
        while sent < count:
            sent += os.sendfile(c.fileno(), file.fileno(), sent, count - sent)
def listen(port):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("", port)); s.listen(1024)
    while True:
        c, _ = s.accept()
        if port == 7: c.close()
        else: threading.Thread(target=serve, args=(c,), daemon=True).start()
threading.Thread(target=listen, args=(7,), daemon=True).start()
listen(80)
"""

    REQUESTING = """
import socket, sys, time
for n in range(int(sys.argv[2])):
    begin = time.perf_counter()
    c = socket.create_connection((sys.argv[1], 80), 10)
    c.sendall(b"GET / HTTP/1.1\\r\\nHost: www.bench.test\\r\\n\\r\\n")
    while c.recv(65536): pass
    print((time.perf_counter() - begin) * 1000)
    c.close()
"""

    def openings(self, host):
        large = host.directory / "large"
        with open(large, "wb") as file:
            file.truncate(self.MEGABYTES * 1_000_000)
        host.serve("python3", "-c", self.SERVER, large, namespace=host.servers)
        time.sleep(1)
        rows = []
        for title, namespace, server in (("without a policy", host.free, UPSTREAM), ("Egret", host.endpoints[0], f"{NETWORK}.1")):
            found = run(*inside(namespace, "python3", "-c", self.OPENING, server, "o", self.OPENINGS), capture_output=True,
                        text=True).stdout
            times = sorted(float(line) for line in found.split())
            rows.append([title, f"{statistics.median(times):.2f}", f"{times[int(len(times) * 0.99)]:.2f}",
                         f"{times[-1]:.2f}", sum(t > 900 for t in times)])
        return table(["", "median, ms", "99 %", "longest", "first packets lost"], rows)

    def checks(self, host):
        site = "45.0.255.1"
        configuration = host.directory / "haproxy.cfg"
        configuration.write_text(
            "defaults\n    mode tcp\n    option splice-auto\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n"
            f"listen names\n    bind {NETWORK}.1:8080\n    server site {site}:80\n")
        host.serve("haproxy", "-db", "-f", configuration)
        time.sleep(1)
        found = run("ip", "-n", host.free, "-j", "-4", "addr", "show", "scope", "global", capture_output=True, text=True)
        address = json.loads(found.stdout)[0]["addr_info"][0]["local"]
        redirection = (f"table ip spliced {{ chain p {{ type nat hook prerouting priority dstnat; "
                       f"ip saddr {address} tcp dport 80 dnat to {NETWORK}.1:8080; }}; }}")
        run(*inside(host.endpoints[0], "dig", f"@{NETWORK}.1", "www.bench.test"), stdout=subprocess.DEVNULL)
        lanes = {"by address": (host.free, False), "Egret": (host.endpoints[0], False), "HAProxy, `splice-auto`": (host.free, True)}
        rows = []
        for title, (namespace, is_redirected) in lanes.items():
            if is_redirected:
                run(*host.on_host("nft", redirection))
            found = run(*inside(namespace, "python3", "-c", self.REQUESTING, site, self.REQUESTS), capture_output=True,
                        text=True).stdout
            times = sorted(float(line) for line in found.split())
            speeds = []
            for _ in range(3):
                loaded = run(*inside(namespace, "curl", "-s", "-o", "/dev/null", "-w", "%{speed_download}", "--resolve",
                                     f"www.bench.test:80:{site}", "http://www.bench.test/large"), capture_output=True,
                             text=True).stdout
                speeds.append(float(loaded) * 8 / 1e9)
            self.names_facts["connection", title] = (statistics.median(times), statistics.median(speeds))
            rows.append([title, f"{statistics.median(times):.2f}", f"{times[int(len(times) * 0.99)]:.2f}",
                         f"{statistics.median(speeds):.1f}"])
        return table(["", "request, median ms", "99 %", "download, Gbit/s"], rows)
