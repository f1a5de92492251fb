# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Processes, figures and tables: what every part of the measurements needs."""

import os
import random
import statistics
import subprocess
import sys
import time

PREFIX = "egret-bench-"
SERVER = PREFIX + "server"
HOST = PREFIX + "host"
# Seconds given to one nft command that changes one element.
PATIENCE = 20


def run(*command, **options):
    options.setdefault("check", True)
    try:
        return subprocess.run([str(word) for word in command], **options)
    except subprocess.CalledProcessError as error:
        if error.stdout or error.stderr:
            say(f"{command[0]} … said: {error.stdout or ''} {error.stderr or ''}")
        raise


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *[str(word) for word in command]]


def timed(command, **options):
    """Wall seconds and peak resident memory (KiB) of one process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return seconds, usage.ru_maxrss, usage.ru_stime


def quartiles(values):
    values = sorted(values)
    if len(values) < 4:
        return values[0], values[-1]
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def ratio(figures, references):
    ratios = [figure / reference for figure, reference in zip(figures, references)]
    low, high = quartiles(ratios)
    return statistics.median(ratios), f"{statistics.median(ratios):.2f} ({low:.2f}–{high:.2f})"


def rounds(count, candidates):
    """Calls every candidate once a round, in a new order each; its figures by name."""
    figures = {name: [] for name in candidates}
    for _ in range(count):
        for name in random.sample(list(candidates), len(candidates)):
            figures[name].append(candidates[name]())
    return figures


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)
