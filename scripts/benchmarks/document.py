# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The document: facts of the machine, targets, and the parts."""

import os
import platform

from measure import run, table

HEAD = """<!-- Written by scripts/bench. Do not edit: run `make bench` again. -->

# Benchmarks

    sudo make bench

Every figure is a comparison within one part's run on one machine: candidates take turns in a new random order each round. A
ratio is the median over the rounds of a candidate's figure by the reference's of the same round; quartiles stand in
brackets. Absolute figures are the machine's: @FACTS@.

"""

REASONS = """
What misses come from:

- Start-up: a link that is made and removed by two commands of `ip`, and nothing else, takes most of both targets (third line of
  the next table).
- Established connections: the ratio is much the same for 10 entries, 100,000 entries and 1,000 rules. It is what each packet pays
  for passing a policy's chains, about half a microsecond, and does not go with the policy's size.
- The agent with one endpoint: 5 MiB of it are its own. The rest are pages of the program's file and of libraries, as many as the
  kernel maps around those that are used; it drops them at need.
- 10,000 policies and endpoints, each policy another: every one is a program of its own in the kernel, and the agent keeps each
  document with what was read of it. After a kill the documents are read, looked up and compiled, and what comes of each is
  compared with the digest that the former agent noted: nobody else has changed the ruleset since. What the kernel enforces
  holds meanwhile.
- The name on a connection: there are two connections, the endpoint's and the one that goes on, and the bytes pass through a
  process, by `splice`.
- `egret-cni`: to make and to remove a link alone takes more than the target with one container (third line of the next table). A
  third of the processor's time is the agent's, which has the endpoint's rules, sets, rates and names in the kernel before it
  answers; and with many containers both read all that the network's file has of them, and the plugin writes it anew.

"""


class Document:
    def document(self):
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
        memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
        release = ".".join(platform.release().split(".")[:2])
        nft = run("nft", "--version", capture_output=True, text=True).stdout.split()[1]
        facts = (f"{os.cpu_count()} cores of {cpu}, {memory // 1024 // 1024} GiB, Linux {release}, "
                 f"nftables {nft}; load average when the last part began {self.load_average:.1f}")
        return HEAD.replace("@FACTS@", facts) + self.verdicts() + "\n" + "\n".join(self.sections)

    def control(self, kind):
        """Masquerade alone against masquerade alone."""
        return self.path_facts[kind, "masquerade again"]

    def verdicts(self):
        startup, over, least = self.startup_facts
        rows = []

        def row(what, target, value, met, reason="", decided=True):
            verdict = "met" if met else "**missed**" + reason
            rows.append([what, target, value, verdict if decided else "**not shown**: the control is as far off"])

        row("start-up against the same set-up by commands", "≤ 0.33", f"{startup:.2f}", startup <= 1 / 3, ": see below")
        row("start-up over `unshare -n true`", "≤ 25 ms", f"{over:.0f} ms; at best {least:.0f} ms", over <= 25,
            ": see below")
        lanes = list(self.LANES)[2:]
        for kind, title, target in (("udp", "established, UDP round trip", 1.05), ("tcp", "established, TCP round trip", 1.05),
                                    ("connect", "new connection", 1.10)):
            worst = max(self.path_facts[kind, lane] for lane in lanes)
            row(f"{title}, worst policy", f"≤ {target:.2f}", f"{worst:.3f}; control {self.control(kind):.2f}", worst <= target,
                ": see below", decided=round(abs(self.control(kind) - 1), 2) < round(target - 1, 2))
        worst = min(self.path_facts["throughput", lane] for lane in lanes)
        row("TCP throughput, worst policy", "≥ 0.97", f"{worst:.3f}; control {self.control('throughput'):.2f}",
            worst >= 0.97, ": see below", decided=round(abs(self.control("throughput") - 1), 2) < 0.03)
        for entries in (100_000, 1_000_000):
            wall, memory = self.apply_facts[entries, "values"]
            row(f"apply {entries:,} blocks from values, time", "≤ 0.25 of `nft -f`", f"{wall:.2f}", wall <= 0.25,
                ": the time in the kernel is most of it, see below")
            row(f"apply {entries:,} blocks, memory", "≤ 0.10 of `nft -f`", f"{memory:.2f}", memory <= 0.10,
                ": with 1,000 blocks the process has most of that already")
        rate = self.evaluator_facts[10, 1_000]
        row("decisions of the evaluator, 10 rules of 1,000 blocks", "≥ 1,000,000 a second", f"{rate:,.0f}", rate >= 1e6)
        facts = self.policies_facts
        compiling = facts["resolve"] + facts["plan"]
        row(f"{facts['count']:,} policies for {facts['count']:,} endpoints looked up and compiled", "≤ 1 s",
            f"{compiling:.2f} s", compiling <= 1)
        row(f"a policy that {facts['count']:,} endpoints share changes", "≤ 100 ms", f"{facts['shared'] * 1e3:,.0f} ms",
            facts["shared"] <= 0.1)
        idle = self.agent_facts["idle"]
        row("the agent with one endpoint, memory", "≤ 40 MiB", f"{idle:.0f} MiB", idle <= 40, ": see below")
        count = max(self.AGENT_COUNTS)
        memory, again = self.agent_facts[count]
        row(f"the agent with {count:,} policies and endpoints, memory", "≤ 120 MiB", f"{memory:.0f} MiB", memory <= 120,
            ": see below")
        row("– killed and started again, until all is in force", "≤ 1 s", f"{again:.2f} s", again <= 1, ": see below")
        names = self.names_facts
        value = names["Egret"] / names["dnsmasq, `nftset`"]
        row("answers with their addresses in the kernel first, at most", "≥ 2 × dnsmasq's `nftset`", f"{value:.2f}", value >= 2,
            ": see below")
        theirs = names["dnsmasq, `nftset`, beside"]
        value = names["Egret, beside"] / max(theirs, 0.1)
        row("– beside 1,000 endpoints and 100,000 blocks", "≥ 30 ×", f"{value:.0f}" if theirs else "dnsmasq answers none",
            value >= 30)
        (direct, fast), (checked, passed) = (names["connection", lane] for lane in ("by address", "Egret"))
        row("the name on a connection, added to a request", "≤ 0.15 ms", f"{checked - direct:.2f} ms", checked - direct <= 0.15,
            ": see below")
        row("– throughput against the same by address", "≥ 0.9", f"{passed / fast:.2f}", passed / fast >= 0.9, ": see below")
        for step in ("ADD", "DEL"):
            worst = max(value for (what, _), value in self.containers_facts.items() if what == step)
            row(f"`egret-cni` {step} against Debian's plugins, worst of 1, 100 and 500", "≤ 0.10", f"{worst:.2f}",
                worst <= 0.1, ": see below")
        row("`egret doctor`, the slowest answer", "< 1 s", f"{self.doctor_facts:.2f} s", self.doctor_facts < 1)
        return "## Targets\n\n" + table(["what", "target", "measured", ""], rows) + REASONS
