# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Changing one element, against nft."""

import statistics
import subprocess
import time

from measure import PREFIX, PATIENCE, run, inside, table, say

ELEMENT_TEXT = """## Changing one element

What changes often (endpoints, addresses) is in hash sets, and changes by one small transaction on an open connection.
A policy that changes is compiled anew and swapped whole, in one transaction, with a new generation: the last but one
column is the transaction that brings the new one and removes the old one, compiling left out. The last column is `nft` adding a block to the map where it is. Figures of
`nft` include its start, which a program with an open connection does not pay; one that took more than 20 s was ended, so
that figure and what follows from it are lower bounds. One million: one round.

`egret-bench element --entries N`, `nft add element inet bench small { 10.0.0.1 }`.

"""


class Elements:
    def elements(self):
        say("changing one element")
        rows = []
        for entries, count, replacements in ((1_000, 9, 5), (100_000, 5, 3), (1_000_000, 1, 1)):
            name = PREFIX + "element"
            figures = self.tool_json("element", "--entries", entries, "--replacements", replacements)
            map_file = self.as_map(self.write(f"{entries}.nft", entries, "--nft"))
            self.add_namespace(name)
            run(*inside(name, "nft", "-f", map_file))
            adding = []
            for index in range(count):
                adding.append(self.add_element(name, "small", f"{{ 10.0.0.{index} }}"))
            into = self.add_element(name, "s", "{ 10.0.0.0/8 : goto c }")
            run("ip", "netns", "del", name)
            self.namespaces.remove(name)
            theirs = statistics.median(adding)
            least = "> " if theirs >= PATIENCE else ""
            rows.append([
                f"{entries:,}", f"{figures['add'] * 1e6:.0f} µs", f"{figures['delete'] * 1e6:.0f} µs",
                f"{least}{theirs * 1e3:,.0f} ms", f"{least}{theirs / figures['add']:,.0f}",
                f"{figures['replace'] * 1e3:,.0f} ms", f"{'> ' if into >= PATIENCE else ''}{into * 1e3:,.0f} ms",
            ])
        head = ["blocks present", "Egret: add an endpoint's element", "delete it", "`nft add element`, the same", "times slower",
                "Egret: policy with one block more, swapped", "`nft add element`, one block more"]
        self.sections.append(ELEMENT_TEXT + table(head, rows))

    def add_element(self, namespace, name, element):
        """Seconds that `nft add element` takes; the end of our patience if it takes longer."""
        start = time.perf_counter()
        try:
            run(*inside(namespace, "nft", "add", "element", "inet", "bench", name, element), timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return float(PATIENCE)
        return time.perf_counter() - start
