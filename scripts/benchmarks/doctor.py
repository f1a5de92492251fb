# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The doctor: how long it takes to say where a packet is stuck."""

import os
import statistics
import subprocess
import time

from measure import PREFIX, ratio, rounds, run, say, table

DOCTOR_TEXT = """## The doctor

`egret doctor` of one endpoint beside so many others, on a host with a way out by a neighbour that answers; against one
`ping` from inside the same endpoint. “No answer” is an address whose packets the neighbour drops: both wait, ping for
as long as it was told (`-W 1`), the doctor for as long as it takes to say so. “Not translated” is a network without
masquerade, whose source the neighbour does not know; “the host” is `egret doctor` without an endpoint, beside `nft list
ruleset`. Milliseconds are medians; the slowest is the doctor's.

`scripts/bench --only doctor`.

"""


class Doctor:
    DOCTOR_COUNTS = (1, 100, 500)

    def doctor(self):
        say("the doctor")
        host, far = PREFIX + "dh", PREFIX + "df"
        for name in (host, far):
            self.add_namespace(name)
        self.connect(host, "up0", "198.51.100.1/24", far, "up0", "198.51.100.2/24")
        run("ip", "-n", host, "route", "add", "default", "via", "198.51.100.2")
        run("ip", "-n", far, "addr", "add", "203.0.113.10/32", "dev", "lo")
        run("ip", "-n", far, "route", "add", "blackhole", "203.0.113.99/32")
        enter = ["nsenter", f"--net=/run/netns/{host}"]
        state = dict(os.environ, EGRET_STATE_DIRECTORY=str(self.directory / "doctor"))

        def egret(*arguments, **options):
            return run(*enter, self.egret, *arguments, env=state, stdout=subprocess.DEVNULL, **options)

        egret("network", "create", "br0", "--subnet", "10.79.0.0/20")
        egret("network", "create", "br1", "--subnet", "10.80.0.0/24", "--no-masquerade")
        for name in ("d0", "plain"):
            self.add_namespace(PREFIX + name)
        egret("network", "connect", "br1", PREFIX + "plain")

        def ping(name, address):
            return lambda: run("ip", "netns", "exec", PREFIX + name, "ping", "-q", "-c1", "-W1", address, check=False,
                               stdout=subprocess.DEVNULL)

        def doctor(code, *arguments):
            def ask():
                found = egret("doctor", *arguments, check=False).returncode
                if found != code:
                    raise RuntimeError(f"egret doctor {' '.join(arguments)} ended with {found}, not {code}")
            return ask

        rows, present, slowest = [], 0, 0
        for count in self.DOCTOR_COUNTS:
            for number in range(present, count):
                if number:
                    self.add_namespace(f"{PREFIX}d{number}")
                egret("network", "connect", "br0", f"{PREFIX}d{number}")
            present = count
            cases = {
                "all is well": (ping("d0", "203.0.113.10"), doctor(0, PREFIX + "d0", "--to", "203.0.113.10")),
                "no answer": (ping("d0", "203.0.113.99"), doctor(1, PREFIX + "d0", "--to", "203.0.113.99")),
                "not translated": (ping("plain", "203.0.113.10"), doctor(1, PREFIX + "plain", "--to", "203.0.113.10")),
                "the host": (lambda: run(*enter, "nft", "list", "ruleset", stdout=subprocess.DEVNULL), doctor(0)),
            }
            for title, (reference, own) in cases.items():
                figures = rounds(7, {"reference": clocked(reference), "own": clocked(own)})
                slowest = max(slowest, *figures["own"])
                rows.append([count, title, f"{statistics.median(figures['reference']) * 1e3:.0f}",
                             f"{statistics.median(figures['own']) * 1e3:.0f}", f"{max(figures['own']) * 1e3:.0f}",
                             ratio(figures["own"], figures["reference"])[1]])
        for network in ("br0", "br1"):
            egret("network", "rm", network, "--force")
        self.doctor_facts = slowest
        self.sections.append(DOCTOR_TEXT + table(
            ["endpoints", "", "ping or nft, ms", "doctor, ms", "slowest, ms", "ratio"], rows))


def clocked(step):
    """The step, as something that gives the seconds it took."""
    def seconds():
        start = time.perf_counter()
        step()
        return time.perf_counter() - start
    return seconds
