# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Applying a policy, against nft."""

import statistics

from measure import run, timed, ratio, rounds, table, say

APPLY_TEXT = """## Applying a policy

A policy of so many IPv4 blocks in one rule, into an empty namespace. “From values” begins with the policy as values in
memory; “from a file” reads YAML first. `nft -f` loads a map of the same blocks to a verdict, which is what Egret's table
holds, or a plain set, which is less. Ratios are to the map. Where the time in the
kernel alone is more than a quarter of `nft -f`, no saving outside the kernel reaches the target with this kind of set.
Memory is the peak of the whole process. 1,000 blocks: 9 rounds; 100,000: 5; 1,000,000: one, so without any spread. “From
values” is timed inside the process, from compiling to the commit; `nft -f` with its start, a few milliseconds. The time in the
kernel is the whole process's, its start included: of few blocks it may be more.

`egret-bench load --entries N`, `egret-bench load --file policy.yaml`, `nft -f`.

"""


class Applying:
    def write(self, name, entries, *flags):
        path = self.directory / name
        with path.open("w") as file:
            run(self.tool, "write", "--entries", entries, *flags, stdout=file)
        return path

    def as_map(self, path):
        """The set as what Egret's own table holds: a map from block to chain."""
        lines = path.read_text().split("\n")
        result = path.with_suffix(".map.nft")
        with result.open("w") as file:
            for line in lines:
                if line.endswith(",") and line[0].isdigit():
                    line = line[:-1] + " : goto c,"
                elif line.strip() == "set s {":
                    line = " chain c { }\n set small { type ipv4_addr; }\n map s {"
                elif line.strip() == "type ipv4_addr":
                    line = "  type ipv4_addr : verdict"
                file.write(line + "\n")
        return result

    def apply(self):
        say("applying large policies")
        rows, self.apply_facts = [], {}
        for entries, count in ((1_000, 9), (100_000, 5), (1_000_000, 1)):
            set_file = self.write(f"{entries}.nft", entries, "--nft")
            map_file = self.as_map(set_file)
            yaml = self.write(f"{entries}.yaml", entries)
            candidates = {
                "values": lambda: self.load("--entries", entries), "file": lambda: self.load("--file", yaml),
                "set": lambda: timed(["unshare", "-n", "nft", "-f", set_file]),
                "map": lambda: timed(["unshare", "-n", "nft", "-f", map_file]),
            }
            figures = rounds(count, candidates)
            titles = {
                "values": "**Egret, from values**", "file": "**Egret, from a policy file**",
                "map": "`nft -f`, the same map", "set": "`nft -f`, a plain set",
            }
            walls = {name: [figure[0] for figure in figures[name]] for name in figures}
            memory = {name: statistics.median([figure[1] for figure in figures[name]]) for name in figures}
            kernel = {name: statistics.median([figure[2] for figure in figures[name]]) for name in figures}
            for name, title in titles.items():
                value, text = ratio(walls[name], walls["map"])
                self.apply_facts[entries, name] = (value, memory[name] / memory["map"])
                rows.append([
                    f"{entries:,}", title, f"{statistics.median(walls[name]) * 1e3:,.0f}", f"{kernel[name] * 1e3:,.0f}",
                    text, f"{memory[name] / 1024:,.0f}", f"{memory[name] / memory['map']:.2f}",
                ])
        head = ["blocks", "", "ms", "of them in the kernel", "ratio of time", "peak MiB", "ratio of memory"]
        self.sections.append(APPLY_TEXT + table(head, rows))

    def load(self, *arguments):
        figures = self.tool_json("load", *arguments)
        seconds = figures["compile"] + figures["commit"] + (figures["read"] if arguments[0] == "--file" else 0)
        return seconds, figures["peakKiB"], figures["kernel"]
