#!/usr/bin/env python3
# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes zones.txt: TZif files, and what Python's zoneinfo says of them.

    zone NAME HEX                        the file
    at NAME TIME OFFSET                  seconds east of UTC at a Unix time
    open NAME DAYS HOURS FROM TO RANGES  a schedule's windows, found by asking for every minute

Run it in this directory to take them from this machine anew.
"""
import datetime
import random
import zoneinfo

ZONES = """UTC Europe/Zurich Europe/Dublin Asia/Kathmandu Australia/Lord_Howe America/New_York America/Nuuk
Africa/Casablanca Asia/Gaza Pacific/Apia America/Sao_Paulo America/Havana Africa/Monrovia Antarctica/Troll
Pacific/Chatham America/St_Johns Asia/Tehran""".split()
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
random.seed(4)


def offset(zone, time):
    return int(datetime.datetime.fromtimestamp(time, zone).utcoffset().total_seconds())


def changes(zone, first, last):
    """Every moment at which the offset changes, to the second."""
    found = []
    step = 6 * 3600
    time = first
    while time < last:
        if offset(zone, time) != offset(zone, time + step):
            low, high = time, time + step
            while high - low > 1:
                middle = (low + high) // 2
                if offset(zone, middle) == offset(zone, low):
                    low = middle
                else:
                    high = middle
            found.append(high)
        time += step
    return found


def is_open(zone, days, hours, time):
    """The definition, in other words: by what the wall clock shows."""
    wall = datetime.datetime.fromtimestamp(time, zone)
    minute = wall.hour * 60 + wall.minute
    today = DAYS[wall.weekday()]
    yesterday = DAYS[(wall.weekday() + 6) % 7]
    for start, end in hours or [(0, 1440)]:
        if start < end:
            if (not days or today in days) and start <= minute < end:
                return True
        elif (not days or today in days) and minute >= start or (not days or yesterday in days) and minute < end:
            return True
    return False


def windows(zone, days, hours, first, last):
    ranges = []
    start = None
    for time in range(first, last, 60):
        state = is_open(zone, days, hours, time)
        if state and start is None:
            start = time
        if not state and start is not None:
            ranges.append((start, time))
            start = None
    if start is not None:
        ranges.append((start, last))
    return ranges


def text_of(days, hours):
    return (",".join(days) or "-", ",".join(f"{start}-{end}" for start, end in hours) or "-")


SCHEDULES = [
    ([], [(540, 1020)]),
    (["sun"], [(120, 180)]),
    (["sat", "sun"], [(1320, 360)]),
    (["fri"], []),
    (["mon", "tue", "wed", "thu", "fri"], [(480, 720), (780, 1020)]),
    ([], [(150, 151), (1439, 1)]),
    (["sat"], [(1380, 1380 - 1)]),
]

with open("zones.txt", "w", encoding="ascii") as out:
    for name in ZONES:
        zone = zoneinfo.ZoneInfo(name)
        with open(f"/usr/share/zoneinfo/{name}", "rb") as file:
            print("zone", name, file.read().hex(), file=out)
        recent = changes(zone, 1_700_000_000, 1_860_000_000)
        times = {0, -1, -2_000_000_000, -1_500_000_000, 2_147_483_647, 2_147_483_648, 253_000_000_000}
        for moment in changes(zone, 0, 400_000_000) + recent + changes(zone, 4_000_000_000, 4_050_000_000):
            times |= {moment - 1, moment, moment + 1}
        times |= {random.randrange(-2_500_000_000, 20_000_000_000) for _ in range(60)}
        for time in sorted(times):
            print("at", name, time, offset(zone, time), file=out)
        # Around the changes, where things go wrong, a leap day and the end of a year.
        for center in recent[:2] + [1_709_208_000, 1_767_225_600, 13_600_000_000]:
            first = (center - 8 * 86_400) // 60 * 60
            last = first + 16 * 86_400
            for days, hours in SCHEDULES:
                ranges = ",".join(f"{a}-{b}" for a, b in windows(zone, days, hours, first, last)) or "-"
                print("open", name, *text_of(days, hours), first, last, ranges, file=out)
