# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The evaluator and the compiler."""

import statistics

from measure import table, say

EVALUATOR_TEXT = """## Deciding and compiling

The pure evaluator, one core, flows of which half match; and the compiler, from policy to nftables values. The evaluator
walks the rules in order, so its speed goes with their number; the kernel's does not.

`egret-bench evaluator --rules R --entries N`.

"""


class Evaluator:
    def evaluator(self):
        self.evaluator_facts = {}
        say("evaluator")
        rows = []
        for rules, entries, decisions in ((1, 10, 2_000_000), (10, 1_000, 2_000_000), (10, 100_000, 1_000_000),
                                          (1_000, 10_000, 50_000), (10_000, 10_000, 5_000)):
            samples = [self.tool_json("evaluator", "--rules", rules, "--entries", entries, "--decisions", decisions)
                       for _ in range(3)]
            rate = statistics.median([sample["perSecond"] for sample in samples])
            self.evaluator_facts[rules, entries] = rate
            compiling = statistics.median([sample["compile"] for sample in samples])
            rows.append([f"{rules:,}", f"{entries:,}", f"{rate:,.0f}", f"{compiling * 1e3:,.1f} ms"])
        self.sections.append(EVALUATOR_TEXT + table(["rules", "blocks", "decisions a second", "compiling"], rows))
