#!/usr/bin/env python3
# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs the measurements of scripts/bench and writes them as Markdown.

Everything is compared with something else in the same run: the candidates take turns, in a new order every round,
and a ratio is the median over the rounds of one candidate's figure by the other's in the same round. In brackets
stand the quartiles.
"""

import argparse
import contextlib
import os
import pathlib

from applying import Applying
from data_path import DataPath
from document import Document
from elements import Elements
from evaluator import Evaluator
from lab import Lab
from measure import say
from networks import Networks
from startup import Startup


class Bench(Lab, Startup, DataPath, Applying, Elements, Evaluator, Networks, Document):
    """All parts, on one lab."""


def main():
    parser = argparse.ArgumentParser(description="Run from scripts/bench.")
    parser.add_argument("--bin", required=True, help="where egret and egret-bench are")
    parser.add_argument("--output", required=True, help="the Markdown file to write")
    parser.add_argument("--only", action="append", help="measure one part and print it: startup, path, apply, …")
    options = parser.parse_args()
    bench = Bench(options)
    bench.load_average = os.getloadavg()[0]
    parts = {"startup": bench.startup, "path": bench.data_path, "apply": bench.apply, "elements": bench.elements,
             "evaluator": bench.evaluator, "networks": bench.networks}
    bench.remove_leftovers()
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        for name, part in parts.items():
            if options.only is None or name in options.only:
                part()
    if options.only:
        print("\n".join(bench.sections))
    else:
        pathlib.Path(options.output).write_text(bench.document())
        say(f"wrote {options.output}")


if __name__ == "__main__":
    main()
