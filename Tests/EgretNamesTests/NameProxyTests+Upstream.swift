// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretLinux
import EgretNames
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

/// Servers that the client names itself, because the policy opens them all.
extension NameProxyTests {
    /// An endpoint that may ask every server elsewhere for what no rule is about.
    private func openBench() throws -> NameBench {
        let bench = try NameBench([.allow(0, "www.example.test")])
        bench.proxy.registry.set(
            NameEndpoint(id: 1, addresses: NameBench.clientAddresses, rules: [], isOpen: { _, _ in true }),
            now: BootClock.milliseconds)
        return bench
    }

    /// How many sockets this process's network namespace has towards port 53, over UDP.
    private func openPorts() throws -> Int {
        let tables = try ["udp", "udp6"].map { try runProgram(["cat", "/proc/self/net/\($0)"]).standardOutput }
        return tables.joined().split(separator: "\n").count { line in
            let fields = line.split(separator: " ")
            return fields.count > 2 && fields[2].hasSuffix(":0035")
        }
    }

    @Test("sockets to servers are bounded, however many servers are asked, and go when nobody needs them")
    func upstreamPorts() throws {
        let bench = try openBench()
        // A server at every address of a block.
        let server = try bench.file(
            "echo.py",
            """
            import socket, struct
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            # IPV6_FREEBIND: the block is routed here, and no address of it is an interface's.
            s.setsockopt(socket.IPPROTO_IPV6, 78, 1)
            s.bind(("::", 53)); print("ready", flush=True)
            while True:
                q, control, _, peer = s.recvmsg(4096, 256)
                own = [(l, t, d[:16] + bytes(4)) for l, t, d in control]
                s.sendmsg([q[:2] + b"\\x81\\x80" + q[4:]], own, 0, peer)
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let program = try bench.file(
            "servers.py",
            """
            import socket, struct, time
            u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.settimeout(3)
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\3org\\0\\0\\1\\0\\1"
            answers = 0
            for i in range(1, 1201):
                u.sendto(q, ("2001:db8:51::%x" % i, 53))
                try: answers += u.recv(512)[3] & 15 == 0
                except OSError: pass
            print(answers)
            """)
        #expect(try bench.onClient(["python3", program], timeout: .seconds(120)).standardOutput == "1200\n")
        let open = try openPorts()
        #expect((1...512).contains(open), "\(open)")
        for _ in 0..<150 where try openPorts() > 0 { _ = try runProgram(["sleep", "0.1"]) }
        #expect(try openPorts() == 0)
    }

    @Test("an answer that was judged by rules which have changed since opens nothing, and is not given")
    func outdatedAnswer() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        let registry = bench.proxy.registry
        let question = try registry.changing {
            let question = try RunningProgram([
                "ip", "netns", "exec", NameBench.client, "dig", "@" + NameBench.knot, "+tries=1", "+time=20",
                "www.example.test",
            ])
            // Judged, and about to be committed.
            for _ in 0..<2_000 where registry.held(by: 1).names == 0 { _ = try runProgram(["sleep", "0.005"]) }
            #expect(registry.held(by: 1).names == 1)
            // The rule of this number is about another name now.
            registry.set(
                NameEndpoint(
                    id: 1, addresses: NameBench.clientAddresses, rules: [try .allow(0, "alias.example.test")],
                    trustedServers: Swift.Set([NameBench.knot].compactMap { IPAddress($0) })),
                now: BootClock.milliseconds)
            return question
        }
        #expect(question.wait().standardOutput.contains("status: SERVFAIL"))
        #expect(try !bench.elements(0, .ipv4).contains("expires"))
        let commits = bench.events.commits.withLock { $0 }
        #expect(commits.isEmpty)
        #expect(!bench.events.contains { if case .commitFailed = $0 { true } else { false } })
        #expect(try bench.dig(NameBench.knot, "www.example.test").contains("status: REFUSED"))
        #expect(try bench.short(NameBench.knot, "alias.example.test").contains("203.0.113.10"))
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.10"))
    }

    @Test("a server at an address of this host is not one of those that are open")
    func ownServer() throws {
        let bench = try openBench()
        try bench.startKnot()
        for transport in ["+notcp", "+tcp"] {
            #expect(try bench.dig(NameBench.knot, transport, "www.example.test").contains("status: NOERROR"))
            #expect(try bench.dig("203.0.113.1", transport, "www.example.test").contains("status: REFUSED"))
        }
    }

    @Test("an address of this host is not connected to, whatever name it has")
    func ownAddress() throws {
        let bench = try NameBench([.allow(0, "own.example.test")])
        try bench.startKnot()
        try bench.startChecks()
        let server = try RunningProgram([
            "python3", "-u", "-m", "http.server", "--bind", "203.0.113.1", "--directory", bench.path, "80",
        ])
        defer {
            server.send(signal: 9)
            _ = server.wait()
        }
        for _ in 0..<200 where !server.outputSoFar.contains("Serving") { _ = try runProgram(["sleep", "0.05"]) }
        #expect(try runProgram(["curl", "-s", "http://203.0.113.1/"]).succeeded)
        #expect(try bench.curl("http://own.example.test/").contains("curl: ("))
        #expect(bench.connectionEvents.contains { if case .denied = $0 { true } else { false } })
    }

    @Test("a refused client that goes on sending holds up nobody")
    func refusedFlood() throws {
        let bench = try NameBench([.allow(0, "www.site.example.test")])
        try bench.startSites()
        try bench.startChecks()
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let program = try bench.file(
            "refused.py",
            """
            import socket, threading, time
            def connect():
                c = socket.create_connection(("\(NameBench.site)", 80), 10)
                return c
            isOver = False
            def refused():
                block = b"x" * (1 << 20)
                while not isOver:
                    try:
                        c = connect()
                        c.sendall(b"GET / HTTP/1.1\\r\\nHost: evil.example.test\\r\\n\\r\\n")
                        while not isOver: c.sendall(block)
                    except OSError: pass
            for _ in range(2): threading.Thread(target=refused).start()
            time.sleep(0.3)
            worst = 0
            for i in range(20):
                t = time.time(); c = connect()
                c.sendall(b"GET / HTTP/1.1\\r\\nHost: www.site.example.test\\r\\n\\r\\n")
                assert b"200" in c.recv(100)
                worst = max(worst, time.time() - t)
            isOver = True
            print("%.2f" % worst)
            """)
        let output = try bench.onClient(["python3", program], timeout: .seconds(60))
        let worst = try #require(Double(output.standardOutput.split(separator: "\n").first ?? ""), "\(output)")
        #expect(worst < 0.8, "\(worst)")
    }
}
