# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""A name server with the habits, good and bad, that a client must live with.

    resolver.py LOG [NAME=ADDRESS,ADDRESS...]...   binds port 53, UDP and TCP, then goes into the background

A name's address list may begin with habits, each with a colon behind it:

    ttl5:      answers with a time to live of 5 seconds; 60 without it
    rotate:    gives one address at a time, the next with each question
    cut:       says over UDP that the answer is too long
    slow2:     answers after 2 seconds
    mute:      does not answer
    txt:       has a TXT record that repeats the name

NAME may be *.NAME, for everything below it; the longest that fits counts. LOG receives a line for each question.
"""

import ipaddress
import os
import socket
import struct
import sys
import threading
import time

A, CNAME, TXT, AAAA = 1, 5, 16, 28
NAMES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 65: "HTTPS"}


class Entry:
    def __init__(self, text):
        self.ttl, self.rotates, self.cuts, self.delay, self.mute, self.txt = 60, False, False, 0.0, False, False
        self.count = 0
        while True:
            habit, colon, rest = text.partition(":")
            if not colon or not habit.isalnum() or habit[0].isdigit():
                break
            if habit.startswith("ttl"):
                self.ttl = int(habit[3:])
            elif habit.startswith("slow"):
                self.delay = float(habit[4:])
            elif habit == "rotate":
                self.rotates = True
            elif habit == "cut":
                self.cuts = True
            elif habit == "mute":
                self.mute = True
            elif habit == "txt":
                self.txt = True
            else:
                break
            text = rest
        parts = [part for part in text.split(",") if part]
        self.alias = None
        if parts and parts[0].startswith(">"):
            self.alias = parts[0][1:]
            parts = []
        self.addresses = [ipaddress.ip_address(part) for part in parts]

    def chosen(self, version):
        fitting = [address for address in self.addresses if address.version == version]
        if self.rotates and fitting:
            self.count += 1
            return [fitting[self.count % len(fitting)]]
        return fitting


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class Resolver:
    def __init__(self, log, entries):
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self.entries = {}
        for text in entries:
            name, _, value = text.partition("=")
            self.entries[name] = Entry(value)

    def find(self, name):
        if name in self.entries:
            return self.entries[name]
        labels = name.split(".")
        for start in range(1, len(labels)):
            entry = self.entries.get("*." + ".".join(labels[start:]))
            if entry:
                return entry
        return None

    def answer(self, query, transport):
        labels, place = [], 12
        while query[place]:
            labels.append(query[place + 1:place + 1 + query[place]].decode("latin-1"))
            place += 1 + query[place]
        question = query[12:place + 5]
        kind = struct.unpack("!H", query[place + 1:place + 3])[0]
        name = ".".join(labels).lower()
        os.write(self.log, f"{transport} {NAMES.get(kind, kind)} {name}\n".encode())
        entry = self.find(name)
        if entry is None:
            return query[:2] + struct.pack("!HHHHH", 0x8583, 1, 0, 0, 0) + question
        if entry.mute:
            return None
        if entry.delay:
            time.sleep(entry.delay)
        if entry.cuts and transport == "udp":
            return query[:2] + struct.pack("!HHHHH", 0x8780, 1, 0, 0, 0) + question
        records = []
        owner = b"\xc0\x0c"
        if entry.alias:
            target = wire(entry.alias)
            records.append(owner + struct.pack("!HHIH", CNAME, 1, entry.ttl, len(target)) + target)
            owner = target
            entry = self.find(entry.alias) or entry
        if kind in (A, AAAA):
            for address in entry.chosen(4 if kind == A else 6):
                data = address.packed
                records.append(owner + struct.pack("!HHIH", kind, 1, entry.ttl, len(data)) + data)
        if kind == TXT and entry.txt:
            text = name.encode()[:255]
            data = bytes([len(text)]) + text
            records.append(owner + struct.pack("!HHIH", TXT, 1, entry.ttl, len(data)) + data)
        return query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0) + question + b"".join(records)

    def one(self, bound, query, peer):
        try:
            answer = self.answer(query, "udp")
            if answer:
                bound.sendto(answer, peer)
        except (OSError, IndexError, struct.error):
            pass

    def datagrams(self, bound):
        while True:
            try:
                query, peer = bound.recvfrom(4096)
            except OSError:
                continue
            threading.Thread(target=self.one, args=(bound, query, peer), daemon=True).start()

    def connection(self, stream):
        with stream:
            try:
                file = stream.makefile("rb")
                while len(head := file.read(2)) == 2:
                    query = file.read(struct.unpack("!H", head)[0])
                    answer = self.answer(query, "tcp")
                    if answer:
                        stream.sendall(struct.pack("!H", len(answer)) + answer)
            except (OSError, IndexError, struct.error):
                pass

    def streams(self, bound):
        while True:
            try:
                stream, _ = bound.accept()
            except OSError:
                continue
            threading.Thread(target=self.connection, args=(stream,), daemon=True).start()


def main():
    resolver = Resolver(sys.argv[1], sys.argv[2:])
    work = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            bound = socket.socket(family, kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind == socket.SOCK_DGRAM:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address, 53))
            if kind == socket.SOCK_STREAM:
                bound.listen(128)
            work.append((resolver.datagrams if kind == socket.SOCK_DGRAM else resolver.streams, bound))
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    threads = [threading.Thread(target=serve, args=(bound,), daemon=True) for serve, bound in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
