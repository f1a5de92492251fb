// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretNames
import EgretTesting
import Synchronization
import Testing

/// Questions over TCP, of clients that mean no good.
extension NameProxyTests {
    @Test("a thousand headers without a question, sent at once, are each answered, and the proxy goes on")
    func pipelinedHeaders() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        let program = try bench.file(
            "headers.py",
            """
            import socket, struct
            c = socket.create_connection(("\(NameBench.knot)", 53), 5); c.settimeout(20)
            c.sendall((b"\\0\\x0c" + struct.pack(">HHHHHH", 7, 0x100, 0, 0, 0, 0)) * 1100)
            c.shutdown(socket.SHUT_WR)
            got = b""
            while more := c.recv(65536): got += more
            codes = [got[i + 5] & 15 for i in range(0, len(got), 14)]
            print(len(got) / 14, set(codes))
            """)
        let output = try bench.onClient(["python3", program], timeout: .seconds(60))
        #expect(output.standardOutput == "1100.0 {1}\n", "\(output)")
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
    }

    @Test("names that no rule allows, asked for at once and then no more, are each answered before the end")
    func pipelinedDenials() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let program = try bench.file(
            "denials.py",
            """
            import socket, struct
            c = socket.create_connection(("\(NameBench.knot)", 53), 5); c.settimeout(20)
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\4evil\\4test\\0\\0\\1\\0\\1"
            c.sendall((struct.pack(">H", len(q)) + q) * 200)
            c.shutdown(socket.SHUT_WR)
            got = b""
            while more := c.recv(65536): got += more
            print(len(got) // (len(q) + 2))
            """)
        #expect(try bench.onClient(["python3", program]).standardOutput == "200\n")
    }

    @Test("a client that takes no answers is not read either")
    func unreadAnswers() throws {
        var limits = NameLimits()
        (limits.questionBurst, limits.questionsPerSecond) = (10_000_000, 1_000_000)
        let bench = try NameBench([.allow(0, "www.example.test")], limits: limits)
        let program = try bench.file(
            "unread.py",
            """
            import socket, struct
            c = socket.socket()
            for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF): c.setsockopt(socket.SOL_SOCKET, buffer, 4096)
            c.connect(("\(NameBench.knot)", 53)); c.settimeout(4)
            name = (b"\\x3d" + b"x" * 61) * 3 + b"\\x34" + b"y" * 52 + b"\\4test\\0"
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1"
            block = (struct.pack(">H", len(q)) + q) * 256
            sent = 0
            try:
                while sent < 16 << 20: sent += c.send(block[sent % len(block):])
            except TimeoutError: pass
            print(sent)
            """)
        let output = try bench.onClient(["python3", program], timeout: .seconds(120))
        let sent = try #require(Int(output.standardOutput.split(separator: "\n").first ?? ""), "\(output)")
        // What the kernel keeps of both ways, and what the proxy does: 128 KiB of answers and two messages.
        #expect(sent < 2 << 20, "\(sent)")
    }

    @Test("whoever floods over TCP does not slow another's datagrams")
    func streamFlood() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        bench.proxy.registry.set(
            NameEndpoint(id: 2, addresses: [.v4(IPv4Address(192, 0, 2, 11))], rules: []), now: BootClock.milliseconds)
        let flood = try bench.file(
            "flood.py",
            """
            import socket, struct, threading, time
            end = time.time() + 8
            block = (b"\\0\\x0c" + struct.pack(">HHHHHH", 7, 0x100, 0, 0, 0, 0)) * 1000
            def work():
                while time.time() < end:
                    try:
                        c = socket.create_connection(("\(NameBench.knot)", 53), 1, ("192.0.2.11", 0))
                        while time.time() < end: c.sendall(block)
                    except OSError: pass
            print("ready", flush=True)
            for i in range(40): threading.Thread(target=work).start()
            """)
        let running = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", flood])
        defer {
            running.send(signal: 9)
            _ = running.wait()
        }
        _ = try runProgram(["sleep", "1"])
        let output = try bench.timeQuestions()
        #expect(output.first == "200", "\(output)")
        let median = try #require(output.count == 4 ? Double(output[2]) : nil)
        #expect(median < 100, "\(output)")
        #expect(bench.events.contains { $0 == .limited(.root, .questions) })
    }

    @Test("a connection ends with its next question when the endpoint's number is another's by now")
    func numberPassedOn() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        let (flag, registry) = ("\(bench.path)/passed-on", bench.proxy.registry)
        let program = try bench.file(
            "passed.py",
            """
            import os, socket, struct, sys, time
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
            c = socket.create_connection(("\(NameBench.knot)", 53), 5, ("192.0.2.10", 0)); c.settimeout(10)
            def ask():
                try:
                    c.sendall(struct.pack(">H", len(q)) + q)
                    answer = c.recv(2048)
                except ConnectionResetError: answer = b""
                print(answer[5] & 15 if len(answer) > 5 else "ended", flush=True)
            ask()
            while not os.path.exists("\(flag)"): time.sleep(0.005)
            ask()
            """)
        let running = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", program])
        for _ in 0..<2_000 {
            if running.outputSoFar.contains("\n") { break }
            _ = try runProgram(["sleep", "0.005"])
        }
        func endpoint(_ id: Int, _ address: IPv4Address) throws -> NameEndpoint {
            NameEndpoint(
                id: id, addresses: [.v4(address)], rules: [try .allow(0, "www.example.test")],
                trustedServers: Swift.Set([IPAddress(NameBench.knot)].compactMap(\.self)))
        }
        registry.remove(1)
        registry.set(try endpoint(1, IPv4Address(192, 0, 2, 11)), now: BootClock.milliseconds)
        registry.set(try endpoint(2, IPv4Address(192, 0, 2, 10)), now: BootClock.milliseconds)
        let commits = bench.events.commits.withLock { $0.count }
        try File.write(flag, [])
        let output = running.wait()
        #expect(output.standardOutput == "0\nended\n", "\(output)")
        // Nothing was opened to the number's new endpoint.
        #expect(bench.events.commits.withLock { $0.count } == commits)
    }

    @Test("an unknown version of EDNS is answered with the one that is known")
    func edns() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let output = try bench.dig(NameBench.knot, "+edns=1", "+noednsnegotiation", "www.example.test")
        #expect(output.contains("status: BADVERS") && output.contains("version: 0"), "\(output)")
    }
}
