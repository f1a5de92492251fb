# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""The servers of one host of the test internet, in one process.

    servers.py serve HOST STATE ROLE:PORT...   binds everything, then goes into the background and returns 0
    servers.py probe SECONDS ADDRESS PORT...   returns 0 once each pair took a TCP connection, and port 7 echoed

STATE holds HOST.pem and HOST.key for https, and receives HOST.log: one line for each connection and datagram.
"""

import asyncio
import os
import socket
import ssl
import sys
import time


class Log:
    """Appends whole lines; a line is one write, so that readers never see half of one."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, protocol, port, peer, what):
        line = f"{time.time():.3f} {protocol} {port} from {peer[0]} {what}\n"
        os.write(self.fd, line.encode("utf-8", "backslashreplace"))


def shown(data):
    return f"{len(data)} bytes {data[:200]!r}"


class Servers:
    def __init__(self, host, state):
        self.host = host
        self.state = state
        self.log = Log(os.path.join(state, host + ".log"))
        self.bound = []

    def bind(self, role, port):
        kind = socket.SOCK_DGRAM if role.startswith("udp-") else socket.SOCK_STREAM
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            bound = socket.socket(family, kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address, port))
            if kind == socket.SOCK_STREAM:
                bound.listen(512)
            bound.setblocking(False)
            self.bound.append((role, port, bound))

    async def serve(self):
        loop = asyncio.get_running_loop()
        context = None
        if any(role == "https" for role, _, _ in self.bound):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.path("pem"), self.path("key"))
        for role, port, bound in self.bound:
            if role.startswith("udp-"):
                loop.add_reader(bound, self.datagrams, role, port, bound)
            else:
                secure = context if role == "https" else None
                await asyncio.start_server(self.connection(role, port), sock=bound, ssl=secure)
        await asyncio.Event().wait()

    def path(self, suffix):
        return os.path.join(self.state, f"{self.host}.{suffix}")

    def datagrams(self, role, port, bound):
        for _ in range(64):
            try:
                data, peer = bound.recvfrom(65535)
            except OSError:
                return
            answer = data
            if role == "udp-sink":
                answer = f"{self.host}: {len(data)} bytes\n".encode()
            self.log.write("udp", port, peer, shown(data))
            try:
                bound.sendto(answer, peer)
            except OSError:
                pass

    def connection(self, role, port):
        talk = {"http": self.http, "https": self.http, "echo": self.echo, "push": self.push, "sink": self.sink}[role]

        async def handle(reader, writer):
            peer = writer.get_extra_info("peername") or ("?",)
            self.log.write("tcp", port, peer, "connected")
            try:
                await talk(port, peer, reader, writer)
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                pass
            finally:
                writer.close()

        return handle

    async def echo(self, port, peer, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def sink(self, port, peer, reader, writer):
        while data := await reader.read(65536):
            self.log.write("tcp", port, peer, shown(data))
            writer.write(f"{self.host}: {len(data)} bytes\n".encode())
            await writer.drain()

    async def push(self, port, peer, reader, writer):
        count = 0
        while not reader.at_eof():
            count += 1
            writer.write(f"tick {count}\n".encode())
            await writer.drain()
            try:
                await asyncio.wait_for(reader.read(65536), 0.05)
            except asyncio.TimeoutError:
                pass

    async def http(self, port, peer, reader, writer):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *fields = head.decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ", 2)
            values = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
            left = int(values.get("content-length", "0"))
            received = left
            while left > 0:
                data = await reader.read(min(left, 65536))
                if not data:
                    return
                left -= len(data)
            self.log.write("http", port, peer, f"{method} {path} host={values.get('host', '')} {received} bytes")
            await self.answer(method, path, peer, received, writer)
            if values.get("connection", "").lower() == "close":
                return

    async def answer(self, method, path, peer, received, writer):
        zeros = 0
        body = f"hello from {self.host} to {peer[0]}\n".encode()
        if path.startswith("/bytes/"):
            zeros, body = int(path[len("/bytes/"):]), b""
        elif method in ("POST", "PUT"):
            body = f"{self.host} received {received} bytes\n".encode()
        length = zeros + len(body)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n".encode())
        if method == "HEAD":
            return
        writer.write(body)
        while zeros > 0:
            piece = min(zeros, 65536)
            writer.write(bytes(piece))
            zeros -= piece
            await writer.drain()
        await writer.drain()


def serve(host, state, services):
    servers = Servers(host, state)
    for service in services:
        role, port = service.rsplit(":", 1)
        servers.bind(role, int(port))
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    asyncio.run(servers.serve())


def answers(address, port):
    with socket.create_connection((address, port), timeout=0.5) as connection:
        if port == 7:
            connection.sendall(b"?")
            return connection.recv(1) == b"?"
        return True


def probe(seconds, pairs):
    deadline = time.monotonic() + seconds
    for address, port in pairs:
        while True:
            try:
                if answers(address, int(port)):
                    break
                raise OSError("wrong answer")
            except OSError as error:
                if time.monotonic() > deadline:
                    sys.exit(f"{address} port {port}: {error}")
                time.sleep(0.01)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        probe(float(sys.argv[2]), list(zip(sys.argv[3::2], sys.argv[4::2])))
