# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Many policies over many endpoints, and the map of many workloads."""

import json
import pathlib
import subprocess
import tempfile

from measure import table, say

POLICIES_TEXT = """## Many policies, many endpoints

Each endpoint is a link of the host with checks of its own and obeys one policy of its own, so that nothing is shared:
{count:,} policies, {count:,} endpoints; in the line about a shared policy all of them obey that one. `nft -f` and `iptables-restore` are given the same state, or what of it they can
say: for nft the kernel's own listing of it (less two rules a policy that this nft prints and does not read), for
iptables a chain with two rules for each endpoint. firewalld gets two rich rules for each of half as many endpoints. A change is what the agent does for it: everything is looked up again,
the plan is compared, and the kernel gets the difference; “in the kernel” is without the looking up.

`egret-bench plan --policies N --endpoints N`, `nft -f`, `iptables-restore`, in a network namespace with N links.

"""

MAP_TEXT = """## Maps

Workloads of applications in 20 namespaces, a NetworkPolicy for each application: 1,000 workloads of 100 applications, and 10,000
that have a policy of their own each, so that nothing is shared.

`egret-bench map`, `egret-bench map --workloads 10000 --replicas 1`.

"""


class Policies:
    policies_facts = {}

    def policies(self):
        say("policies")
        rows = []
        count = 10_000
        for number in (1_000, count):
            figures, others = self.policies_of(number)
            whole = figures["resolve"] + figures["plan"] + figures["commit"]
            rows += [
                [f"{number:,}", "**all of them, from values to the kernel**", f"{whole:,.2f} s",
                 f"{figures['peakKiB'] / 1024:,.0f} MiB", f"{whole / others['nft'][0]:.2f}"],
                [f"{number:,}", "– looking up, compiling and planning", f"{figures['resolve'] + figures['plan']:,.2f} s", "", ""],
                [f"{number:,}", "`nft -f` of the same state", f"{others['nft'][0]:,.2f} s", f"{others['nft'][1]:,.0f} MiB", "1.00"],
                [f"{number:,}", "`iptables-restore`", f"{others['iptables'][0]:,.2f} s", f"{others['iptables'][1]:,.0f} MiB", ""],
            ]
            if "firewalld" in others:
                rows.append([f"{number:,}", f"firewalld, {number:,} rich rules, `firewall-cmd --reload`",
                             f"{others['firewalld'][0]:,.2f} s", "", f"{others['firewalld'][0] / others['nft'][0]:.2f}"])
            rows += [
                [f"{number:,}", "**one policy changes**", f"{figures['onePolicy'] * 1e3:,.1f} ms", "", ""],
                [f"{number:,}", "**one endpoint changes**", f"{figures['oneEndpoint'] * 1e3:,.1f} ms", "", ""],
                [f"{number:,}", "– one policy, in the kernel", f"{figures['oneInKernel'] * 1e3:,.1f} ms", "", ""],
                [f"{number:,}", "**one policy changes that all endpoints share**", f"{figures['shared'] * 1e3:,.1f} ms", "", ""],
            ]
            self.policies_facts = dict(figures, count=number)
        self.sections.append(POLICIES_TEXT.format(count=count)
                             + table(["each", "what", "time", "peak memory", "ratio to nft"], rows))
        maps = [self.tool_json("map"), self.tool_json("map", "--workloads", "10000", "--replicas", "1")]

        def cells(text):
            return [text(figures) for figures in maps]

        self.sections.append(MAP_TEXT + table(
            ["what"] + cells(lambda figures: f"{int(figures['workloads']):,} workloads"),
            [["lists of policies that differ"] + cells(lambda figures: f"{int(figures['classes']):,}"),
             ["the map"] + cells(lambda figures: f"{figures['map']:,.2f} s"),
             ["all pairs from it"] + cells(lambda figures: f"{figures['pairs']:,.2f} s"),
             ["a claim about all of them proved"] + cells(lambda figures: f"{figures['prove']:,.2f} s"),
             ["the warnings"] + cells(lambda figures: f"{figures['lint']:,.2f} s"),
             ["peak memory"] + cells(lambda figures: f"{figures['peakKiB'] / 1024:,.0f} MiB")]))

    def policies_of(self, number):
        with tempfile.TemporaryDirectory() as directory:
            folder = pathlib.Path(directory)
            (folder / "links").write_text("".join(f"link add d{n} type ifb\n" for n in range(number)))
            restore = ["*filter"] + [f":e{n} - [0:0]" for n in range(number)]
            for n in range(number):
                source = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
                restore += [f"-A FORWARD -s {source} -j e{n}",
                            f"-A e{n} -d 203.{n >> 8 & 255}.{n & 255}.0/24 -p tcp --dport 443 -j ACCEPT",
                            f"-A e{n} -j DROP"]
            (folder / "restore").write_text("\n".join(restore + ["COMMIT", ""]))
            script = f"""
                set -e
                mount -t sysfs sysfs /sys; ip -batch {folder}/links
                {self.tool} plan --policies 1 --endpoints {number} >{folder}/shared; nft flush ruleset
                {self.tool} plan --policies {number} --endpoints {number} >{folder}/figures
                nft list ruleset | grep -v "ct reply proto-src" >{folder}/state; nft flush ruleset
                /usr/bin/env python3 {folder}/time {folder}/nft nft -f {folder}/state; nft flush ruleset
                /usr/bin/env python3 {folder}/time {folder}/iptables iptables-restore {folder}/restore
                """
            if number == self.RICH_RULES:
                script += self.firewalld(folder, number)
            (folder / "time").write_text(
                "import json, resource, subprocess, sys, time\nstart = time.monotonic()\n"
                "subprocess.run(sys.argv[2:], check=True)\n"
                "print(json.dumps([time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]),\n"
                "      file=open(sys.argv[1], 'w'))\n")
            subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], check=True)
            figures = json.loads((folder / "figures").read_text())
            figures["shared"] = json.loads((folder / "shared").read_text())["onePolicy"]
            return figures, {name: json.loads((folder / name).read_text()) for name in ("nft", "iptables", "firewalld")
                             if (folder / name).exists()}

    # firewalld takes minutes for more.
    RICH_RULES = 1_000

    @staticmethod
    def firewalld(folder, number):
        """Commands that have a firewalld of this namespace's own load so many rich rules, two for each endpoint."""
        rules = ""
        for n in range(number // 2):
            source = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
            rules += (f'<rule family="ipv4"><source address="{source}"/><destination address="203.{n >> 8}.{n & 255}.0/24"/>'
                      f'<port port="443" protocol="tcp"/><accept/></rule><rule family="ipv4"><source address="{source}"/>'
                      "<drop/></rule>\n")
        (folder / "policy.xml").write_text(
            '<?xml version="1.0" encoding="utf-8"?>\n<policy priority="-1" target="CONTINUE">\n<ingress-zone name="ANY"/>'
            f'<egress-zone name="ANY"/>\n{rules}</policy>\n')
        return f"""
                nft flush ruleset; mount -t tmpfs tmpfs /run; mkdir -p /run/dbus /run/firewalld /run/lock
                mount -t tmpfs tmpfs /etc/firewalld; mkdir -p /etc/firewalld/policies /etc/firewalld/zones
                printf 'FirewallBackend=nftables\nDefaultZone=public\n' >/etc/firewalld/firewalld.conf
                bus=$(dbus-daemon --system --fork --print-pid --nopidfile)
                firewalld --nofork --nopid >/dev/null 2>&1 & daemon=$!
                until firewall-cmd --state >/dev/null 2>&1; do sleep 0.1; done
                cp {folder}/policy.xml /etc/firewalld/policies/bench.xml
                /usr/bin/env python3 {folder}/time {folder}/firewalld firewall-cmd --reload
                kill $daemon; wait $daemon || true; kill $bus
                """
