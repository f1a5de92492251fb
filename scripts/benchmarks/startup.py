# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Start-up: a whole run against commands that do the same."""

import json
import statistics
import subprocess
import sys
import time

from measure import PREFIX, HOST, run, inside, quartiles, ratio, table, say

STARTUP_DRIVER = """
import json, random, subprocess, sys, time
candidates, count = json.loads(sys.argv[1]), int(sys.argv[2])
times = {name: [] for name in candidates}
for turn in range(count + 1):
    for name in random.sample(list(candidates), len(candidates)):
        start = time.perf_counter()
        subprocess.run(candidates[name], check=True, stderr=subprocess.DEVNULL)
        if turn: times[name].append(time.perf_counter() - start)
        # What the kernel still tidies up after one is not the next one's burden.
        time.sleep(0.1)
print(json.dumps(times))
"""

STARTUP_TEXT = """## Start-up

A whole run from nothing to nothing: namespaces, link, addresses, routes, neighbours, masquerade, policy, anti-spoofing,
`true`, the report, and everything removed again. The commands make and remove the same link, addresses and rules (taken
from a real run with `nft list ruleset`), but no process, mount or seccomp sandbox, no address planning and no record. In
all of them the link goes with its namespace, which the kernel takes apart after the command has ended.

`egret run --report none -- true`, `unshare -n true`, and so on, started from a process in the host's namespace.

"""


class Startup:
    def startup(self):
        say("start-up")
        self.add_namespace(HOST)
        self.add_namespace(PREFIX + "uplink")
        self.connect(HOST, "up0", "192.0.2.2/24", PREFIX + "uplink", "up0", "192.0.2.1/24")
        run("ip", "-n", HOST, "addr", "add", "2001:db8:7::2/64", "dev", "up0", "nodad")
        run("ip", "-n", HOST, "route", "add", "default", "via", "192.0.2.1")
        run("ip", "-n", HOST, "-6", "route", "add", "default", "via", "2001:db8:7::1")
        self.add_namespace(PREFIX + "ready")
        single, batched = self.equal_commands()
        # Everything is started from a shell that is in the host's namespace already.
        driver = self.directory / "startup.py"
        driver.write_text(STARTUP_DRIVER)
        candidates = {
            "unshare": ["unshare", "-n", "true"],
            "exec": ["ip", "netns", "exec", PREFIX + "ready", "true"],
            "none": [str(self.egret), "run", "--report", "none", "--", "true"],
            "text": [str(self.egret), "run", "--", "true"],
            "link": ["sh", str(self.directory / "link.sh")],
            "commands": ["sh", str(single)],
            "batched": ["sh", str(batched)],
        }
        (self.directory / "link.sh").write_text("ip link add b0 type veth peer name b1\nip link del b0\n")
        output = run(*inside(HOST, sys.executable, driver, json.dumps(candidates), 25), capture_output=True, text=True)
        times = json.loads(output.stdout)
        words = {
            "unshare": "`unshare -n true`",
            "exec": "`ip netns exec` into a prepared namespace",
            "link": "`ip link add` and `ip link del` of one veth pair, nothing else",
            "none": "**`egret run --report none -- true`**",
            "text": "**`egret run -- true`**, with its report",
            "batched": "the same set-up by three `ip -batch`, `nft -f` and `ip netns`",
            "commands": "the same set-up by `ip` and `nft`, a command each",
        }
        rows = []
        for name, title in words.items():
            low, high = quartiles(times[name])
            over = statistics.median([a - b for a, b in zip(times[name], times["unshare"])])
            rows.append([
                title, f"{statistics.median(times[name]) * 1e3:.1f} ({low * 1e3:.1f}–{high * 1e3:.1f})",
                f"{over * 1e3:+.1f}", ratio(times[name], times["commands"])[1],
            ])
        least = {name: min(values) for name, values in times.items()}
        least_over = (least["none"] - least["unshare"]) * 1e3
        self.startup_facts = (
            ratio(times["none"], times["commands"])[0],
            statistics.median([a - b for a, b in zip(times["none"], times["unshare"])]) * 1e3, least_over,
        )
        self.sections.append(STARTUP_TEXT + table(["what", "ms (quartiles)", "over `unshare`, ms", "ratio to commands"], rows)
                             + f"\nThe quickest of the 25 rounds: {least['none'] * 1e3:.1f} ms, {least_over:+.1f} ms over "
                             "the quickest `unshare`.\n")

    def equal_commands(self):
        """Scripts of ip and nft commands that make and remove what a run makes and removes, taken from a real run."""
        holder = subprocess.Popen(inside(HOST, self.egret, "run", "--report", "none", "--", "sleep", "2"))
        time.sleep(1)
        rules = run(*inside(HOST, "nft", "list", "ruleset"), capture_output=True, text=True).stdout
        links = json.loads(run("ip", "-n", HOST, "-j", "addr", capture_output=True, text=True).stdout)
        holder.wait()
        link = next(entry for entry in links if entry["ifname"].startswith("egret"))
        name = link["ifname"]
        hardware, far_hardware = link["address"], link["address"].replace("02:65:00", "02:65:01")
        (self.directory / "rules.nft").write_text(rules)
        four = next(a for a in link["addr_info"] if a["family"] == "inet")
        six = next((a for a in link["addr_info"] if a["family"] == "inet6"), None)
        far = four["local"].rsplit(".", 1)
        ends = [(four["local"] + "/31", f"{far[0]}.{int(far[1]) + 1}/31", [])]
        if six:
            ends.append((six["local"] + "/127", six["local"] + "1/127", ["nodad"]))
        child = PREFIX + "child"
        host, guest = [f"link set {name} addrgenmode none"], ["link set lo up", "link set eth0 addrgenmode none"]
        for own, other, flags in ends:
            host.append(" ".join(["addr add", own, "dev", name, *flags]))
            guest.append(" ".join(["addr add", other, "dev eth0", *flags]))
        host.append(f"link set {name} up")
        guest.append("link set eth0 up")
        for own, other, _ in ends:
            host.append(f"neigh add {other.split('/')[0]} lladdr {far_hardware} dev {name}")
            guest.append(f"neigh add {own.split('/')[0]} lladdr {hardware} dev eth0")
            guest.append(f"route add default via {own.split('/')[0]}")
        pair = f"link add {name} address {hardware} type veth peer name eth0 address {far_hardware} netns {child}"
        nft = f"nft -f {self.directory}/rules.nft"
        switches = "\n".join(
            f"echo 1 >/proc/sys/net/ipv4/conf/{link}/forwarding" for link in (name, "up0")
        )
        # The link goes with its namespace, as a run's does.
        ending = f"nft delete table inet egret\nnft delete table netdev egret\nip netns del {child}\n"
        single = self.directory / "single.sh"
        single.write_text("set -e\n" + "\n".join(
            [f"ip netns add {child}", f"ip {pair}", *[f"ip {line}" for line in host],
             *[f"ip -n {child} {line}" for line in guest], nft, switches, f"ip netns exec {child} true", ending]))
        (self.directory / "host.batch").write_text("\n".join([pair, *host]) + "\n")
        (self.directory / "guest.batch").write_text("\n".join(guest) + "\n")
        batched = self.directory / "batched.sh"
        batched.write_text("set -e\n" + "\n".join(
            [f"ip netns add {child}", f"ip -batch {self.directory}/host.batch",
             f"ip -n {child} -batch {self.directory}/guest.batch", nft, switches, f"ip netns exec {child} true",
             f"nft 'delete table inet egret; delete table netdev egret'",
             f"ip netns del {child}"]) + "\n")
        return single, batched
