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

/// What somebody tries who wants out, or wants others not to get out.
extension NameProxyTests {
    private func evil(_ event: NameEvent) -> Bool { if case .badAnswer = event { true } else { false } }

    @Test("1,000 cold names with an address each, asked and connected to at once: no first connection fails")
    func coldNames() throws {
        var limits = NameLimits()
        limits.newNameBurst = 2_000
        let bench = try NameBench([.allow(0, "*.cold.example.test", "*.cold4.example.test")], limits: limits)
        try bench.startKnot()
        let server = try bench.file(
            "accept.py",
            """
            import socket, threading
            def serve(s):
                while True: s.accept()[0].close()
            def listener(family, address):
                s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((address, 80)); s.listen(1024)
                return s
            listeners = [listener(socket.AF_INET6, "::"), listener(socket.AF_INET, "0.0.0.0")]
            for s in listeners: threading.Thread(target=serve, args=(s,)).start()
            print("ready", flush=True)
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let program = try bench.file(
            "cold.py",
            """
            import socket, struct, threading
            jobs = [("n%d" % i, b"cold", 28) for i in range(1000)] + [("n%d" % i, b"cold4", 1) for i in range(1, 251)]
            failed, unanswered, lock = [], [], threading.Lock()
            def work():
                while True:
                    with lock:
                        if not jobs: return
                        name, zone, kind = jobs.pop()
                    n = name.encode()
                    q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0)
                    q += bytes([len(n)]) + n + bytes([len(zone)]) + zone
                    q += b"\\7example\\4test\\0\\0" + bytes([kind]) + b"\\0\\1"
                    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(8)
                    u.sendto(q, ("\(NameBench.knot)", 53))
                    try: a = u.recv(2048)
                    except OSError: unanswered.append(name); continue
                    family = socket.AF_INET6 if kind == 28 else socket.AF_INET
                    address = socket.inet_ntop(family, a[-16:] if kind == 28 else a[-4:])
                    c = socket.socket(family); c.settimeout(4)
                    # The first packet must do: it is sent again only after a second.
                    try: c.connect((address, 80))
                    except OSError as e: failed.append((name, str(e)))
                    c.close()
            threads = [threading.Thread(target=work) for _ in range(50)]
            for t in threads: t.start()
            for t in threads: t.join()
            print("unanswered", len(unanswered), "failed", len(failed), failed[:3])
            """)
        #expect(try bench.onClient(["nc", "-w", "1", "-z", "198.51.100.1", "80"]).status != 0)
        let output = try bench.onClient(["python3", program], timeout: .seconds(120))
        #expect(output.standardOutput == "unanswered 0 failed 0 []\n", "\(output)")
        #expect(bench.proxy.registry.held(by: 1) == (1_250, 1_250))
    }

    @Test("questions to two servers from one port are answered by the one that was asked")
    func onePort() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        try bench.startDnsmasq()
        let program = try bench.file(
            "oneport.py",
            """
            import socket, struct
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5); u.bind(("192.0.2.10", 40000))
            q = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1"
            for server in ("\(NameBench.knot)", "\(NameBench.dnsmasq)"): u.sendto(q, (server, 53))
            print(sorted((p[0], p[1], b[7]) for b, p in (u.recvfrom(2048), u.recvfrom(2048))))
            """)
        // Knot has two addresses, dnsmasq one.
        let expected = "[('\(NameBench.knot)', 53, 2), ('\(NameBench.dnsmasq)', 53, 1)]\n"
        #expect(try bench.onClient(["python3", program]).standardOutput == expected)
    }

    @Test("a flood of guessed answers is not believed, and the question goes over TCP")
    func guesses() throws {
        let bench = try NameBench([.allow(0, "*.example.test")])
        try bench.startLiar()
        let start = ContinuousClock.now
        #expect(try bench.short(NameBench.liar, "flood.example.test") == ["203.0.113.10"])
        #expect(ContinuousClock.now - start < .seconds(2))
        #expect(bench.events.contains(evil))
        #expect(try !bench.elements(0, .ipv4).contains("198.51.100.66"))
    }

    @Test("iodine gets no tunnel through a denied name: no question leaves the host")
    func tunnelDenied() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startDnsmasq()
        let output = try bench.onClient(
            ["timeout", "12", "iodine", "-f", "-r", "-P", "x", NameBench.dnsmasq, "t.example.test"],
            timeout: .seconds(30))
        #expect(output.status != 0)
        #expect(!bench.serverOutput.contains("query["), "\(bench.serverOutput)")
        #expect(bench.events.contains { if case .denied = $0 { true } else { false } })
    }

    @Test("iodine below an allowed wildcard is stopped by the limits, with events")
    func tunnelAllowed() throws {
        var limits = NameLimits()
        (limits.newNameBurst, limits.newNamesPerMinute, limits.newNameByteBurst) = (60, 60, 4_096)
        let bench = try NameBench([.allow(0, "*.t.example.test")], limits: limits)
        try bench.startServer(
            ["iodined", "-f", "-c", "-P", "x", "-l", NameBench.dnsmasq, "10.99.0.1", "t.example.test"],
            ready: "Listening")
        // As somebody would who knows the limits: short names, a type that is allowed, and letters that are.
        let client = try RunningProgram([
            "ip", "netns", "exec", NameBench.client, "sh", "-c", "exec \"$@\" 2>&1", "sh", "iodine", "-f", "-r", "-T",
            "CNAME",
            "-M", "120", "-m", "100", "-P", "x", NameBench.dnsmasq, "t.example.test",
        ])
        for _ in 0..<400 where !client.outputSoFar.contains("transmitting") { _ = try runProgram(["sleep", "0.05"]) }
        let ping = try bench.onClient(
            ["ping", "-c", "100", "-i", "0.05", "-W", "1", "10.99.0.1"], timeout: .seconds(30))
        client.send(signal: 9)
        _ = client.wait()
        let reached = bench.events.all.withLock { events in
            Set(events.compactMap { if case .limited(_, let limit) = $0 { limit } else { nil } })
        }
        #expect(!reached.isDisjoint(with: [.newNames, .newNameBytes]), "\(reached) \(ping)")
        #expect(!ping.standardOutput.contains(" 0% packet loss"), "\(ping)")
    }

    @Test("iodine below an allowed wildcard carries no more than the limits say, with the limits that are the default")
    func tunnelMeasured() throws {
        let bench = try NameBench([.allow(0, "*.t.example.test")])
        try bench.startServer(
            ["iodined", "-f", "-c", "-P", "x", "-l", NameBench.dnsmasq, "10.99.0.1", "t.example.test"],
            ready: "Listening")
        let client = try RunningProgram([
            "ip", "netns", "exec", NameBench.client, "sh", "-c", "exec \"$@\" 2>&1", "sh", "iodine", "-f", "-r", "-T",
            "CNAME", "-M", "190", "-m", "100", "-P", "x", NameBench.dnsmasq, "t.example.test",
        ])
        defer {
            client.send(signal: 9)
            _ = client.wait()
        }
        for _ in 0..<400 where !client.outputSoFar.contains("transmitting") { _ = try runProgram(["sleep", "0.05"]) }
        #expect(client.outputSoFar.contains("transmitting"), "\(client.outputSoFar)")
        let start = ContinuousClock.now
        // As fast as it goes: what iodine cannot pack any smaller.
        let sender = try bench.file(
            "send.py",
            """
            import os, socket, time
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end = time.time() + 25
            while time.time() < end: u.sendto(os.urandom(900), ("10.99.0.1", 9)); time.sleep(0.01)
            """)
        _ = try bench.onClient(["python3", sender], timeout: .seconds(60))
        let received = try bench.onServers(["sh", "-c", "cat /sys/class/net/dns*/statistics/rx_bytes"])
        let bytes = try #require(Int(received.split(separator: "\n").first ?? ""), "\(received)")
        let minutes = Double((ContinuousClock.now - start).components.seconds + 10) / 60
        let limits = NameLimits()
        let most = Double(limits.newNameByteBurst) + minutes * Double(limits.newNameBytesPerMinute)
        #expect(bytes > 1_000 && Double(bytes) < most, "\(bytes) of \(most)")
        let reached = bench.events.all.withLock { events in
            Set(events.compactMap { if case .limited(_, let limit) = $0 { limit } else { nil } })
        }
        #expect(!reached.isDisjoint(with: [.newNames, .newNameBytes]), "\(reached) \(bytes)")
    }

    @Test("an endpoint that floods does not slow another's questions")
    func flood() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        let flooder = IPAddress.v4(IPv4Address(192, 0, 2, 11))
        let servers = Set([IPAddress(NameBench.knot)].compactMap { $0 })
        bench.proxy.registry.set(
            NameEndpoint(id: 2, addresses: [flooder], rules: [], trustedServers: servers), now: BootClock.milliseconds)
        let questions = try bench.file("questions", "www.example.test A\nevil.test A\n")
        let running = try RunningProgram([
            "ip", "netns", "exec", NameBench.client, "dnsperf", "-s", NameBench.knot, "-a", "192.0.2.11", "-d",
            questions,
            "-l", "5", "-Q", "10000", "-q", "1000",
        ])
        _ = try runProgram(["sleep", "1"])
        let output = try bench.timeQuestions()
        _ = running.wait()
        // The flood was one.
        #expect(running.outputSoFar.contains("Queries sent:"), "\(running.outputSoFar)")
        #expect(output.first == "200", "\(output)")
        let median = try #require(output.count == 4 ? Double(output[2]) : nil)
        // A debug build on a busy machine is slow; a queue behind the flood would be a second long.
        #expect(median < 100, "\(output)")
    }

    @Test("an element goes when its time is over, and comes back with the next answer, also one from a cache")
    func expiryBothWays() throws {
        var limits = NameLimits()
        (limits.shortestLifetime, limits.grace) = (1, 1)
        let bench = try NameBench([.allow(0, "www.example.test")], limits: limits)
        try bench.startKnot()
        try bench.startUnbound()
        for server in [NameBench.knot, NameBench.unbound] {
            for _ in 0..<2 {
                #expect(try bench.short(server, "www.example.test").count == 2)
                #expect(try bench.elements(0, .ipv4).contains("203.0.113.11"))
                #expect(try bench.short(server, "www.example.test").count == 2)
                // Lifetime 2, grace 1.
                _ = try runProgram(["sleep", "3.3"])
                #expect(try !bench.elements(0, .ipv4).contains("203.0.113.11"))
            }
        }
        let holdings = bench.proxy.registry.holdings(of: 1, now: BootClock.milliseconds)
        #expect(holdings.isEmpty)
    }

    @Test("an answer with more addresses than there is room for is refused, and told with the server that was asked")
    func addressCap() throws {
        let limits = NameLimits.reading(["addresses-per-rule=2"]).limits
        let bench = try NameBench([.allow(0, "*.example.test")], limits: limits)
        try bench.startKnot()
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
        #expect(try bench.dig(NameBench.knot, "+tcp", "closed.example.test").contains("status: NOERROR"))
        #expect(try bench.dig(NameBench.knot, "+tcp", "evil.example.test").contains("status: REFUSED"))
        let refusals = bench.events.refusals.withLock { $0 }
        let name = try #require(DNSName("evil.example.test"))
        #expect(refusals.map { $0.why } == [.limited(name, .addresses)])
        #expect(refusals.first?.server == IPAddress(NameBench.knot) && refusals.first?.isStream == true)
        #expect(bench.events.contains { $0 == .limited(name, .addresses) })
    }

    @Test("answers that nobody has asked for count as questions, and get none")
    func uncalledAnswers() throws {
        let limits = NameLimits.reading(["questions=1/s", "questions-burst=5"]).limits
        let bench = try NameBench([.allow(0, "www.example.test")], limits: limits)
        let program = try bench.file(
            "answers.py",
            """
            import socket, struct
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(1)
            for i in range(20):
                u.sendto(struct.pack(">HHHHHH", i, 0x8180, 1, 0, 0, 0) + b"\\3www\\7example\\4test\\0\\0\\1\\0\\1",
                    ("\(NameBench.knot)", 53))
            try: print(len(u.recv(512)))
            except TimeoutError: print("nothing")
            """)
        #expect(try bench.onClient(["python3", program]).standardOutput == "nothing\n")
        #expect(bench.events.contains { $0 == .limited(.root, .questions) })
    }

    @Test("questions that wait and connections that ask are limited, each with its event")
    func crowds() throws {
        var limits = NameLimits()
        (limits.pendingQuestions, limits.connections) = (50, 10)
        let bench = try NameBench([.allow(0, "*.example.test")], limits: limits)
        try bench.startLiar()
        let program = try bench.file(
            "crowd.py",
            """
            import socket, struct, time
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(9)
            for i in range(80):
                u.sendto(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"\\6silent\\7example\\4test\\0\\0\\1\\0\\1",
                    ("\(NameBench.liar)", 53))
            answers = 0
            try:
                while True: answers += u.recv(512)[3] & 15 == 2
            except OSError: pass
            kept = []
            ended = 0
            for i in range(14):
                c = socket.create_connection(("\(NameBench.liar)", 53), 5); c.settimeout(0.3); kept.append(c)
                time.sleep(0.02)
            for c in kept:
                try: ended += c.recv(1) == b""
                except TimeoutError: pass
                except OSError: ended += 1
            print(answers, ended)
            """)
        #expect(try bench.onClient(["python3", program]).standardOutput == "50 4\n")
        for limit in [NameEvent.Limit.pending, .connections] {
            #expect(bench.events.contains { if case .limited(_, limit) = $0 { true } else { false } })
        }
        // And then there is room again.
        #expect(try bench.short(NameBench.liar, "plain.example.test") == ["203.0.113.10"])
    }

    @Test("a set that is full gives no answer, and an event")
    func fullSet() throws {
        let bench = try NameBench([.allow(0, "many.example.test", "www.example.test")], setSize: 8)
        try bench.startKnot()
        #expect(try bench.dig(NameBench.knot, "+tcp", "many.example.test").contains("status: SERVFAIL"))
        #expect(bench.events.contains { if case .commitFailed = $0 { true } else { false } })
        #expect(try !bench.elements(0, .ipv4).contains("203.0.113"))
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
    }

    @Test("without the proxy no name resolves and nothing opens")
    func stopped() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        bench.proxy.stop()
        #expect(try bench.dig(NameBench.knot, "+time=1", "www.example.test").contains("status:") == false)
        #expect(try !bench.elements(0, .ipv4).contains("203.0.113"))
    }
}
