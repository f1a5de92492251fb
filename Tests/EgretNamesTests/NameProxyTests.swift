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

/// The proxy between real clients and real servers, in the real kernel.
@Suite(.serialized, .requiresRoot)
struct NameProxyTests {
    @Test("an allowed name resolves over both families and both protocols, from the address that was asked")
    func resolves() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        for server in [NameBench.knot, NameBench.knot6] {
            for transport in ["+notcp", "+tcp"] {
                let output = try bench.dig(server, transport, "wWw.eXample.test", "A")
                #expect(output.contains("status: NOERROR") && output.contains("\(server)#53"), "\(output)")
                #expect(output.contains("wWw.eXample.test.\t2\tIN\tA\t203.0.113.11"), "\(output)")
                #expect(try bench.short(server, transport, "www.example.test", "AAAA") == ["2001:db8:113::10"])
            }
        }
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.11 timeout 1m30s"))
        #expect(try bench.elements(0, .ipv6).contains("2001:db8:113::10"))
    }

    @Test("a denied name is answered at once and never reaches a server")
    func denied() throws {
        let bench = try NameBench([.allow(0, "www.example.test", "*.sub.example.test")])
        try bench.startDnsmasq()
        for (arguments, code) in [
            (["www.example.test"], "NOERROR"), (["evil.example.test"], "REFUSED"), (["sub.example.test"], "REFUSED"),
            (["a.b.sub.example.test"], "NOERROR"), (["+tcp", "secret-data.example.test"], "REFUSED"),
            (["www.example.test", "TXT"], "REFUSED"), (["www.example.test", "ANY"], "REFUSED"),
            (["-c", "CH", "version.bind", "TXT"], "REFUSED"),
        ] {
            let output = try bench.onClient(["dig", "@" + NameBench.dnsmasq, "+tries=1", "+time=3"] + arguments)
            #expect(output.standardOutput.contains("status: \(code)"), "\(arguments) \(output.standardOutput)")
        }
        let asked = bench.serverOutput.lowercased()
        #expect(asked.contains("query[a] www.example.test"))
        #expect(asked.contains("query[a] a.b.sub.example.test"))
        for word in ["evil", "secret", "query[txt]", "query[any]", "version.bind", "query[a] sub."] {
            #expect(!asked.contains(word), "\(word)")
        }
        #expect(bench.events.contains { $0 == .denied(DNSName("evil.example.test") ?? .root, .a) })
    }

    @Test("denial can say that there is no such name")
    func nameError() throws {
        let bench = try NameBench([.allow(0, "www.example.test")], denial: .nameError)
        #expect(try bench.dig(NameBench.knot, "evil.test").contains("status: NXDOMAIN"))
    }

    @Test("a server that the endpoint may not ask is not asked")
    func untrusted() throws {
        let bench = try NameBench([.allow(0, "www.example.test")], trusted: [NameBench.knot])
        try bench.startDnsmasq()
        #expect(try bench.dig(NameBench.dnsmasq, "www.example.test").contains("status: REFUSED"))
        #expect(!bench.serverOutput.contains("query["))
        #expect(bench.events.contains { if case .serverDenied = $0 { true } else { false } })
    }

    @Test("a configured server is asked instead, and the answer comes from the address that was asked")
    func configured() throws {
        let knot = try #require(IPAddress(NameBench.knot))
        for transport in [NameServer.Transport.udp, .tcp] {
            let bench = try NameBench(
                [.allow(0, "www.example.test")], servers: [NameServer(knot, transport)], trusted: [])
            try bench.startKnot()
            let output = try bench.dig("198.51.100.1", "www.example.test")
            #expect(output.contains("203.0.113.10") && output.contains("198.51.100.1#53"), "\(output)")
        }
    }

    @Test("aliases between zones are followed inside a resolver's answer, and pinned to the name that was asked")
    func aliases() throws {
        let bench = try NameBench([.allow(0, "api.example.test")])
        try bench.startKnot()
        try bench.startUnbound()
        #expect(try bench.short(NameBench.unbound, "api.example.test").contains("203.0.113.12"))
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.12"))
        #expect(try bench.dig(NameBench.unbound, "lb7.cdn.test").contains("status: REFUSED"))
        let holds = bench.proxy.registry.holds(
            .v4(IPv4Address(203, 0, 113, 12)), by: try DomainName.parse("api.example.test"), rule: 0, endpoint: 1,
            now: BootClock.milliseconds)
        #expect(holds)
    }

    @Test("aliases in a circle are no answer")
    func circle() throws {
        let bench = try NameBench([.allow(0, "loop.example.test")])
        try bench.startKnot()
        #expect(try bench.dig(NameBench.knot, "loop.example.test").contains("status: SERVFAIL"))
    }

    @Test("private addresses of an allowed name never reach the client or the kernel")
    func rebinding() throws {
        let bench = try NameBench([.allow(0, "inside.example.test", "mixed.example.test")])
        try bench.startKnot()
        #expect(try bench.short(NameBench.knot, "inside.example.test").isEmpty)
        #expect(try bench.short(NameBench.knot, "mixed.example.test") == ["203.0.113.11"])
        #expect(try !bench.elements(0, .ipv4).contains("10.1.2.3"))
        #expect(bench.events.contains { if case .addressesRemoved = $0 { true } else { false } })
    }

    @Test("HTTPS records lose ech, and their hints open addresses")
    func https() throws {
        let bench = try NameBench([.allow(0, "svc.example.test")])
        try bench.startKnot()
        let output = try bench.onClient(["kdig", "@" + NameBench.knot, "+short", "svc.example.test", "HTTPS"])
        #expect(output.standardOutput.contains("ipv4hint=203.0.113.12"), "\(output)")
        #expect(!output.standardOutput.contains("ech"), "\(output)")
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.12"))
        #expect(try bench.elements(0, .ipv6).contains("2001:db8:113::10"))
    }

    @Test("an answer that does not fit is cut, and comes whole over TCP")
    func truncation() throws {
        var rule = try NameRule.allow(0, "many.example.test", "long.example.test")
        rule.furtherTypes = [.txt]
        let bench = try NameBench([rule])
        try bench.startKnot()
        #expect(try bench.dig(NameBench.knot, "+ignore", "+noedns", "many.example.test").contains("flags: qr tc"))
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.101") == false)
        #expect(try bench.short(NameBench.knot, "+noedns", "many.example.test").count == 60)
        #expect(try bench.dig(NameBench.knot, "+ignore", "+bufsize=4096", "many.example.test").contains("ANSWER: 60"))
        // More than fits any datagram that is asked for: dig asks again by itself.
        #expect(try bench.dig(NameBench.knot, "+bufsize=4096", "long.example.test", "TXT").contains("ANSWER: 9"))
        #expect(try bench.dig(NameBench.knot, "+ignore", "+bufsize=4096", "long.example.test", "TXT").contains("tc"))
    }

    @Test("signatures are asked for and passed on, and options are not")
    func signatures() throws {
        let bench = try NameBench([.allow(0, "lb7.cdn.test")])
        try bench.startKnot()
        let output = try bench.dig(NameBench.knot, "+dnssec", "+nsid", "+cookie", "lb7.cdn.test")
        #expect(output.contains("RRSIG\tA") && output.contains("flags: do"), "\(output)")
        #expect(try !bench.dig(NameBench.knot, "+nodnssec", "lb7.cdn.test").contains("RRSIG"))
    }

    @Test("answers of the wrong id, question or port are not taken, and a lying letter case is asked over TCP")
    func liar() throws {
        let bench = try NameBench([.allow(0, "*.example.test")])
        try bench.startLiar()
        for kind in ["id", "question", "port", "lower", "plain"] {
            #expect(try bench.short(NameBench.liar, "\(kind).example.test") == ["203.0.113.10"], "\(kind)")
        }
        #expect(try !bench.elements(0, .ipv4).contains("198.51.100.66"))
    }

    @Test("a server that loses a question is asked again, and one that never answers gives SERVFAIL")
    func lossy() throws {
        let bench = try NameBench([.allow(0, "*.example.test")])
        try bench.startLiar()
        #expect(try bench.short(NameBench.liar, "once.example.test") == ["203.0.113.10"])
        // The same datagram twice: not another attempt, which would have a number of its own.
        let sent = bench.serverOutput.split(separator: "\n").filter { $0.hasPrefix("id ") }
        #expect(sent.count == 2 && Swift.Set(sent).count == 1, "\(sent)")
        // It may be that no datagrams reach the server.
        #expect(try bench.short(NameBench.liar, "streams.example.test") == ["203.0.113.10"])
        #expect(bench.serverOutput.split(separator: "\n").count { $0 == "asked streams" } == 3)
        for kind in ["silent", "garbage"] {
            #expect(try bench.dig(NameBench.liar, "\(kind).example.test").contains("status: SERVFAIL"))
        }
        #expect(bench.events.contains { if case .timedOut = $0 { true } else { false } })
    }

    @Test("second answers of a slow server, to what was taken for lost, do not count as guesses")
    func slow() throws {
        let bench = try NameBench([.allow(0, "*.example.test")])
        try bench.startLiar()
        let program = try bench.file(
            "slow.py",
            """
            import socket, struct
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5)
            for i in range(480):
                label = b"n%d" % i
                name = b"\\4late" + bytes([len(label)]) + label + b"\\7example\\4test\\0"
                u.sendto(struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1", ("\(NameBench.liar)", 53))
            print(sum(u.recv(512)[3] & 15 == 0 for i in range(480)))
            """)
        #expect(try bench.onClient(["python3", program]).standardOutput == "480\n")
        #expect(bench.serverOutput.split(separator: "\n").count { $0 == "asked late" } == 960)
        _ = try runProgram(["sleep", "1"])
        #expect(!bench.events.contains { if case .badAnswer = $0 { true } else { false } })
    }

    @Test("a server where nobody listens gives SERVFAIL without a wait")
    func refusedByHost() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        let start = ContinuousClock.now
        #expect(try bench.dig(NameBench.knot, "www.example.test").contains("status: SERVFAIL"))
        #expect(ContinuousClock.now - start < .seconds(3))
    }

    @Test("no answer without the kernel's consent")
    func refusedCommit() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        bench.events.commitsFail.withLock { $0 = true }
        let output = try bench.dig(NameBench.knot, "www.example.test")
        #expect(output.contains("status: SERVFAIL") && !output.contains("203.0.113.10"))
        #expect(bench.events.contains { if case .commitFailed = $0 { true } else { false } })
        bench.events.commitsFail.withLock { $0 = false }
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
    }

    @Test("nothing is opened that those who count what goes to names do not know")
    func refusedPreparation() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        bench.events.preparationsFail.withLock { $0 = true }
        #expect(try bench.dig(NameBench.knot, "www.example.test").contains("status: SERVFAIL"))
        #expect(bench.events.contains { if case .commitFailed = $0 { true } else { false } })
        #expect(try !bench.elements(0, .ipv4).contains("203.0.113.10"))
        // Nor would a change of rules open it.
        #expect(bench.proxy.registry.holdings(of: 1, now: BootClock.milliseconds).isEmpty)
        bench.events.preparationsFail.withLock { $0 = false }
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.10"))
        #expect(!bench.proxy.registry.holdings(of: 1, now: BootClock.milliseconds).isEmpty)
    }

    @Test("an element is there before the answer: of 300 cold names, no first connection fails")
    func commitFirst() throws {
        let bench = try NameBench([.allow(0, "*.wild.example.test")])
        try bench.startKnot()
        try bench.startServer(
            ["socat", "-dd", "TCP-LISTEN:8080,bind=203.0.113.12,fork,reuseaddr,backlog=128", "SYSTEM:echo ok"],
            ready: "listening")
        let program = try bench.file(
            "cold.py",
            """
            import socket, struct, subprocess, sys
            failed = 0
            for i in range(300):
                # The element is taken away, as if no name had been asked yet.
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                s.settimeout(5)
                n = ("n%d" % i).encode()
                q = struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0)
                q += bytes([len(n)]) + n + b"\\4wild\\7example\\4test\\0\\0\\1\\0\\1"
                s.sendto(q, ("203.0.113.53", 53))
                a = s.recv(2048)
                address = socket.inet_ntoa(a[-4:])
                c = socket.socket()
                c.settimeout(0.9)
                try:
                    c.connect((address, 8080))
                except OSError as e:
                    failed += 1; print(i, c.getsockname()[1], e)
                c.close()
            print("failed", failed)
            """)
        #expect(try bench.onClient(["nc", "-w", "1", "-z", "203.0.113.12", "8080"]).status != 0)
        let output = try bench.onClient(["python3", program], timeout: .seconds(60))
        #expect(output.standardOutput == "failed 0\n", "\(output)")
    }

    @Test("what does not come by the redirect, or from nobody's address, is not answered")
    func direct() throws {
        let bench = try NameBench([.allow(0, "www.example.test")])
        try bench.startKnot()
        let port = "\(bench.proxy.port)"
        let direct = ["dig", "@192.0.2.1", "-p", port, "+tries=1", "+time=1", "www.example.test"]
        #expect(try bench.onClient(direct).standardOutput.contains("status:") == false)
        #expect(try bench.onClient(direct + ["+tcp"]).standardOutput.contains("status:") == false)
        bench.proxy.registry.remove(1)
        #expect(try bench.dig(NameBench.knot, "+time=1", "www.example.test").contains("status:") == false)
    }

    @Test("many questions on one connection are all answered, in whatever order")
    func pipelining() throws {
        let bench = try NameBench([.allow(0, "*.wild.example.test")])
        try bench.startKnot()
        let program = try bench.file(
            "pipeline.py",
            """
            import socket, struct
            c = socket.create_connection(("203.0.113.53", 53), 5)
            out = b""
            for i in range(200):
                n = ("p%d" % i).encode()
                q = struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0)
                q += bytes([len(n)]) + n + b"\\4wild\\7example\\4test\\0\\0\\1\\0\\1"
                out += struct.pack(">H", len(q)) + q
            for i in range(0, len(out), 777): c.sendall(out[i:i + 777])
            c.shutdown(socket.SHUT_WR)
            got, data = set(), b""
            while True:
                more = c.recv(65536)
                if not more: break
                data += more
            while data:
                n, = struct.unpack(">H", data[:2])
                got.add(struct.unpack(">H", data[2:4])[0])
                data = data[2 + n:]
            print(len(got))
            """)
        let output = try bench.onClient(["python3", program])
        #expect(output.standardOutput == "200\n", "\(output)")
    }
}
