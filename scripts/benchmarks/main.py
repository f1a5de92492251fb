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
import pickle
import sys
import traceback

from agent import Agent
from applying import Applying
from containers import Containers
from data_path import DataPath
from doctor import Doctor
from document import Document
from elements import Elements
from engine import Engines
from evaluator import Evaluator
from forwarding import Forwarding
from lab import Lab
from limits import Limits
from measure import say
from names import Names
from networks import Networks
from policies import Policies
from rates import Rates
from startup import Startup


class Bench(Lab, Startup, DataPath, Applying, Elements, Evaluator, Policies, Agent, Networks, Doctor, Containers, Engines,
            Rates, Limits, Names, Forwarding, Document):
    """All parts, on one lab."""


PARTS = {"startup": Bench.startup, "path": Bench.data_path, "apply": Bench.apply, "elements": Bench.elements,
         "evaluator": Bench.evaluator, "policies": Bench.policies, "agent": Bench.agent, "networks": Bench.networks,
         "doctor": Bench.doctor, "containers": Bench.containers, "engine": Bench.engines, "rates": Bench.rates,
         "limits": Bench.limits, "names": Bench.names}
# What the table of targets is made of.
TARGETED = ("startup", "path", "apply", "evaluator", "policies", "agent", "doctor", "containers", "names")


def measure(bench, name, kept):
    """Measures one part and keeps what it found, so that others can be measured another time."""
    bench.sections = []
    known = dict(vars(bench))
    PARTS[name](bench)
    facts = {key: value for key, value in vars(bench).items() if key.endswith("_facts") and known.get(key) is not value}
    (kept / name).write_bytes(pickle.dumps((bench.sections, facts)))
    return bench.sections


def write(bench, kept, output):
    """Puts the document together from the parts, as they were last measured."""
    missing = [name for name in PARTS if not (kept / name).exists()]
    if any(name in missing for name in TARGETED):
        sys.exit(f"bench: not measured yet, so that nothing is written: {', '.join(missing)}")
    parts = [pickle.loads((kept / name).read_bytes()) for name in PARTS if name not in missing]
    bench.sections = [section for sections, _ in parts for section in sections]
    if missing:
        bench.sections.append(f"## Not measured yet\n\nThese parts of `make bench` have no figures here: {', '.join(missing)}.\n")
    for _, facts in parts:
        vars(bench).update(facts)
    output.write_text(bench.document())
    say(f"wrote {output}")


def main():
    parser = argparse.ArgumentParser(description="Run from scripts/bench.")
    parser.add_argument("--bin", required=True, help="where egret and egret-bench are")
    parser.add_argument("--output", required=True, help="the Markdown file to write")
    parser.add_argument("--kept", default=".build/benchmarks", help="where each part's figures are kept")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="measure this part, and print it as well")
    options = parser.parse_args()
    kept = pathlib.Path(options.kept)
    kept.mkdir(parents=True, exist_ok=True)
    bench = Bench(options)
    bench.load_average = os.getloadavg()[0]
    bench.remove_leftovers()
    failed = []
    with contextlib.ExitStack() as stack:
        stack.callback(bench.close)
        for name in options.only or PARTS:
            try:
                sections = measure(bench, name, kept)
                if options.only:
                    print("\n".join(sections))
            except Exception:
                traceback.print_exc()
                failed.append(name)
    write(bench, kept, pathlib.Path(options.output))
    if failed:
        sys.exit(f"bench: failed, so that earlier figures stand: {', '.join(failed)}")


if __name__ == "__main__":
    main()
