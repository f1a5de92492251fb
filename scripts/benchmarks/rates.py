# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Rates: how exact, and how long a ping waits beside a transfer."""

import json
import os
import re
import statistics
import subprocess
import time

from agent import AgentHost
from measure import PREFIX, inside, rounds, run, say, table

RATES_TEXT = """## Rates

One TCP connection at full speed for three seconds after its first, from a client that may send no faster than the rate, and
a ping beside it every 20 ms. The error is that of the data received against what the rate carries (1,448 of a
full frame's 1,514 bytes). The processors' time is all that the machine has spent meanwhile, the transfer itself among it, for each
Gbit that was received. Compared with Debian's CNI plugin `bandwidth` as Kubernetes calls it (a token bucket on an `ifb`
with a burst of 2 GiB) and with `htb` on an `ifb` as `tc` sets it up without further options.

`egret run --rate RATE -- iperf3 -c …`

"""

SETUP_TEXT = """
How long it takes until one more endpoint's rate is limited in both directions beside so many whose is, and how long for
each if all get theirs at once: `egret limit`, and `egret apply` of one policy for all, with an agent; the plugin `bandwidth` and
`ip` and `tc` commands called for one after the other. The median of five, in milliseconds.

"""

RATES = {"10 Mbit/s": 10**7, "100 Mbit/s": 10**8, "1 Gbit/s": 10**9, "5 Gbit/s": 5 * 10**9, "10 Gbit/s": 10**10}
ADDRESS = "10.91.0.1"


class Rates:
    def rates(self):
        say("rates")
        host, server = f"{PREFIX}rh", f"{PREFIX}rs"
        self.add_namespace(host)
        self.add_namespace(server)
        self.connect(host, "up0", "10.91.0.2/24", server, "up0", f"{ADDRESS}/24")
        run(*inside(host, "sysctl", "-qw", "net.ipv4.ip_forward=1"))
        rule = "table ip nat { chain p { type nat hook postrouting priority srcnat; oifname up0 masquerade; }; }"
        run(*inside(host, "nft", rule))
        self.background(inside(server, "iperf3", "-s", "-B", ADDRESS))
        time.sleep(0.5)
        self.rate_host, self.rate_lanes = host, 0
        rows = []
        for title, bits in RATES.items():
            candidates = {
                "`egret run --rate`": self.egret_lane(bits),
                "CNI `bandwidth`": self.cni_lane(bits),
                "`tc htb`, defaults": self.htb_lane(bits),
            }
            for name, results in rounds(2, candidates).items():
                error = statistics.median(result[0] for result in results) / (bits * 1448 / 1514) - 1
                pings = sorted(ping for result in results for ping in result[1])
                rows.append([
                    title, name, f"{error * 100:+.1f} %", f"{statistics.median(pings):.1f}",
                    f"{pings[len(pings) * 95 // 100]:.1f}", f"{pings[len(pings) * 99 // 100]:.1f}",
                    round(statistics.median(r[2] for r in results)),
                    f"{statistics.median(r[3] for r in results):.2f}" if bits >= 10**8 else "–",
                ])
        head = ["rate", "", "error", "ping p50, ms", "p95, ms", "p99, ms", "retransmits in 4 s", "processor s per Gbit"]
        text = RATES_TEXT + table(head, rows)
        head = ["endpoints", "`egret limit`, one more", "`egret apply`, each of all", "CNI `bandwidth`, one more", "`tc htb`, one more"]
        self.sections.append(text + SETUP_TEXT + table(head, self.setups()))

    WORK = (f"iperf3 -J -c {ADDRESS} -t 3 -O 1 >{{file}} & sleep 1; "
            f"ping -n -i 0.02 -c 120 {ADDRESS} | grep -o 'time=[0-9.]*'; wait")

    def rated(self, command):
        path = self.directory / "iperf3.json"
        work = self.WORK.format(file=path)
        before = busy_seconds()
        output = run(*command, "sh", "-c", work, capture_output=True, text=True).stdout
        spent = busy_seconds() - before
        result = json.loads(path.read_text())["end"]
        time.sleep(0.3)
        # With the second that is left out.
        spent /= result["sum_received"]["bits_per_second"] * 4 / 1e9
        return (result["sum_received"]["bits_per_second"], [float(x) for x in re.findall(r"time=([0-9.]+)", output)],
                result["sum_sent"]["retransmits"], spent)

    def egret_lane(self, bits):
        command = inside(self.rate_host, self.egret, "run", "--report", "none", "--user", "0", "--allow", ADDRESS,
                         "--rate", f"egress={bits}bit", "--")
        return lambda: self.rated(command)

    def lane(self):
        """A client behind the host; its name, and the name of the host's end."""
        self.rate_lanes += 1
        number = self.rate_lanes
        client = f"{PREFIX}r{number}"
        self.add_namespace(client)
        self.connect(self.rate_host, f"end{number}", f"10.92.{number}.1/24", client, "eth0", f"10.92.{number}.2/24")
        run("ip", "-n", client, "route", "add", "default", "via", f"10.92.{number}.1")
        return client, f"end{number}"

    def cni_lane(self, bits):
        client, end = self.lane()
        self.add_bandwidth(self.rate_host, end, client, "eth0", {"egressRate": bits, "egressBurst": 2**31 - 1})
        return lambda: self.rated(inside(client))

    def add_bandwidth(self, host, end, client, name, limits):
        """What Kubernetes asks of the plugin."""
        configuration = {
            "cniVersion": "0.4.0", "name": "bench", "type": "bandwidth", **limits,
            "prevResult": {"cniVersion": "0.4.0", "interfaces": [
                {"name": end}, {"name": name, "sandbox": f"/run/netns/{client}"}]},
        }
        environment = dict(os.environ, CNI_COMMAND="ADD", CNI_CONTAINERID=client + name,
                           CNI_NETNS=f"/run/netns/{client}", CNI_IFNAME=name, CNI_PATH="/usr/lib/cni")
        subprocess.run([*inside(host, "/usr/lib/cni/bandwidth")], check=True, text=True, env=environment,
                       input=json.dumps(configuration), stdout=subprocess.DEVNULL)

    def htb_lane(self, bits):
        client, end = self.lane()
        self.add_htb(self.rate_host, end, end.replace("end", "ifb"), bits)
        return lambda: self.rated(inside(client))

    def add_htb(self, host, end, queue, bits):
        """What a client sends, by hand."""
        def tc(*words):
            run("tc", "-n", host, *words)
        run("ip", "-n", host, "link", "add", queue, "type", "ifb")
        run("ip", "-n", host, "link", "set", queue, "up")
        tc("qdisc", "add", "dev", end, "ingress")
        tc("filter", "add", "dev", end, "parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0", "0", "action",
           "mirred", "egress", "redirect", "dev", queue)
        self.add_classes(host, queue, bits)

    def add_classes(self, host, link, bits):
        run("tc", "-n", host, "qdisc", "add", "dev", link, "root", "handle", "1:", "htb", "default", "1")
        run("tc", "-n", host, "class", "add", "dev", link, "parent", "1:", "classid", "1:1", "htb", "rate", f"{bits}bit")

    # How long it takes

    SETUP_COUNTS = (1, 100, 1_000)
    # So many more are timed.
    SETUP_TRIES = 5

    def setups(self):
        say("rates: set-up")
        bandwidth = {"egressRate": 10**7, "egressBurst": 2**31 - 1, "ingressRate": 10**7, "ingressBurst": 2**31 - 1}
        cni = self.commanded("c", lambda host, client, n: self.add_bandwidth(
            host, f"end{n}", client, f"eth{n}", bandwidth))

        def by_hand(host, _, n):
            self.add_htb(host, f"end{n}", f"ifb{n}", 10**7)
            self.add_classes(host, f"end{n}", 10**7)
        htb = self.commanded("h", by_hand)
        rows = []
        for count in self.SETUP_COUNTS:
            one, each = self.limited(count)
            rows.append([f"{count:,}"] + [f"{seconds * 1e3:.2f}" for seconds in (one, each, cni[count], htb[count])])
        return rows

    def commanded(self, letter, limit):
        """Seconds for one more of links that commands limit one after the other, by how many there are."""
        host, client = f"{PREFIX}rs{letter}", f"{PREFIX}rc{letter}"
        self.add_namespace(host)
        self.add_namespace(client)
        last = max(self.SETUP_COUNTS) + self.SETUP_TRIES
        links = "".join(f"link add end{n} type veth peer name eth{n} netns {client}\nlink set end{n} up\n"
                        for n in range(last))
        run("ip", "-n", host, "-batch", "-", input=links, text=True)
        spent = []
        for number in range(last):
            begin = time.perf_counter()
            limit(host, client, number)
            spent.append(time.perf_counter() - begin)
        return {count: statistics.median(spent[count:count + self.SETUP_TRIES]) for count in self.SETUP_COUNTS}

    def limited(self, count):
        """Seconds for one more, and for each of all at once, through the agent."""
        host = AgentHost(self, f"rates{count}", count + self.SETUP_TRIES)
        policy = self.directory / "rate.yaml"
        names = ", ".join(f"a-{n}" for n in range(count))
        policy.write_text(
            "apiVersion: egret.dev/v1\nkind: EgressPolicy\nmetadata: { name: rate }\nspec:\n"
            f"  selects: {{ matchExpressions: [{{ key: app, operator: In, values: [{names}] }}] }}\n"
            "  default: allow\n  limits: [{ rate: 10Mbit }]\n")
        try:
            host.start()
            all_at_once = host.apply(policy)[0]
            spent = []
            for number in range(count, count + self.SETUP_TRIES):
                begin = time.perf_counter()
                run(self.egret, "limit", f"bench/w-{number}", "--rate", "10Mbit", "--socket", host.socket,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                spent.append(time.perf_counter() - begin)
            return statistics.median(spent), all_at_once / count
        finally:
            host.close()


def busy_seconds():
    """What all processors have worked so far."""
    with open("/proc/stat", encoding="ascii") as file:
        times = [int(word) for word in file.readline().split()[1:]]
    # Without idle and iowait, and without guests, who are counted twice.
    return (sum(times[:8]) - times[3] - times[4]) / os.sysconf("SC_CLK_TCK")
