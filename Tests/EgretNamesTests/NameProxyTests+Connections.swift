// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNames
import EgretPolicy
import EgretTesting
import Testing

extension String {
    /// How often a text is in this one.
    fileprivate func components(of text: String) -> Int {
        var (count, rest) = (0, self[...])
        while let found = rest.firstRange(of: text) {
            count += 1
            rest = rest[found.upperBound...]
        }
        return count
    }
}

/// The proxy that reads names, between real clients and real servers, in the real kernel.
extension NameProxyTests {
    private func bench(_ patterns: String...) throws -> NameBench {
        let rule = NameRule(number: 0, patterns: try patterns.map { try .parse($0) })
        let bench = try NameBench([rule])
        try bench.startSites()
        return bench
    }

    @Test("an allowed name passes, over TLS and HTTP and both families, and the server sees the client's address")
    func allowed() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        for family in ["-4", "-6"] {
            for scheme in ["http", "https"] {
                #expect(try bench.curl(family, "\(scheme)://www.site.example.test/") == "hello\n")
            }
        }
        let asked = bench.serverOutput
        for address in ["192.0.2.10", "2001:db8:c::10"] {
            #expect(asked.contains("asked www.site.example.test tls www.site.example.test by \(address)"), "\(asked)")
            #expect(asked.contains("asked www.site.example.test tls None by \(address)"), "\(asked)")
        }
    }

    @Test("by destination NAT the same passes, from this host's address")
    func redirected() throws {
        let bench = try bench("www.site.example.test")
        var settings = ConnectionProxy.Settings()
        settings.isTransparent = false
        try bench.startChecks(settings)
        for family in ["-4", "-6"] {
            #expect(try bench.curl(family, "https://www.site.example.test/") == "hello\n")
        }
        #expect(bench.serverOutput.contains("by 203.0.113.1") && bench.serverOutput.contains("by 2001:db8:113::1"))
        #expect(
            try bench.curl("--connect-to", "evil.example.test::www.site.example.test:", "https://evil.example.test/")
                .contains("unrecognized name"))
    }

    @Test("another name of the same address is refused with a word, and never reaches the server")
    func shared() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        #expect(try bench.curl("https://www.site.example.test/") == "hello\n")
        for family in ["-4", "-6"] {
            let there = ["--connect-to", "evil.example.test::www.site.example.test:"]
            let https = try bench.curl(family, there[0], there[1], "https://evil.example.test/")
            #expect(https.contains("unrecognized name"), "\(https)")
            let http = try bench.curl(family, there[0], there[1], "http://evil.example.test/")
            #expect(http == "egret: no rule allows evil.example.test at this address\n")
            // No name at all, and an address.
            #expect(
                try bench.curl(family, there[0], there[1], "-H", "Host:", "http://evil.example.test/").contains(
                    "curl: "))
        }
        #expect(!bench.serverOutput.contains("evil"))
        #expect(bench.connectionEvents.refused.contains("evil.example.test"))
        #expect(bench.connectionEvents.refused.contains("no name"))
    }

    @Test("an allowed name at an address that it does not have is refused")
    func wrongAddress() throws {
        let bench = try bench("www.site.example.test", "www.example.test")
        try bench.startChecks()
        // Resolved to other addresses.
        #expect(try bench.short(NameBench.knot, "www.example.test").count == 2)
        let never = try bench.curl("--resolve", "www.example.test:443:\(NameBench.site)", "https://www.example.test/")
        #expect(never.contains("curl: ("), "\(never)")
        #expect(bench.connectionEvents.contains { if case .notHeld = $0 { true } else { false } })
        // The address is another allowed name's.
        #expect(try bench.curl("https://www.site.example.test/") == "hello\n")
        let other = try bench.curl("--resolve", "www.example.test:443:\(NameBench.site)", "https://www.example.test/")
        #expect(other.contains("unrecognized name"), "\(other)")
    }

    @Test("a later request on the connection is held to the same: another name ends it")
    func laterRequests() throws {
        let bench = try bench("*.site.example.test")
        try bench.startChecks()
        let program = try bench.file(
            "pipeline.py",
            """
            import socket, sys
            c = socket.create_connection(("\(NameBench.site)", 80), 5)
            data = b""
            try:
                for name in sys.argv[1:]: c.sendall(b"GET / HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n" % name.encode())
                c.shutdown(socket.SHUT_WR)
                while True:
                    more = c.recv(4096)
                    if not more: break
                    data += more
            except OSError as e: print(e)
            print(data.count(b"hello"))
            """)
        for name in ["a", "b"] { _ = try bench.short(NameBench.knot, "\(name).site.example.test") }
        let names = ["a.site.example.test", "b.site.example.test", "a.site.example.test"]
        #expect(try bench.onClient(["python3", program] + names).standardOutput == "3\n")
        let output = try bench.onClient(["python3", program] + names + ["evil.example.test", "a.site.example.test"])
        #expect(output.standardOutput.contains("reset"), "\(output)")
        #expect(!bench.serverOutput.contains("evil"))
        // A name that no answer has given this address.
        #expect(try bench.onClient(["python3", program, "c.site.example.test"]).standardOutput.contains("0"))
        #expect(bench.connectionEvents.refused == ["evil.example.test", "c.site.example.test"])
    }

    @Test("large transfers pass unharmed in both directions")
    func transfers() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        let size = 60_000_000
        let down = try bench.curl(
            "https://www.site.example.test/big/\(size)", "-o", "/dev/null", "-w", "%{size_download}")
        #expect(down == "\(size)")
        let body = try bench.file("body", String(repeating: "0123456789", count: 2_000_000))
        #expect(try bench.curl("--data-binary", "@\(body)", "http://www.site.example.test/") == "20000000\n")
        #expect(try bench.curl("--data-binary", "@\(body)", "https://www.site.example.test/") == "20000000\n")
        #expect(
            try bench.curl("-T", body, "-X", "POST", "--limit-rate", "20M", "http://www.site.example.test/")
                == "20000000\n")
    }

    @Test("a half-closed connection carries the rest of the answer, byte by byte the same")
    func halfClose() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks(allows: { _, _ in true })
        #expect(try bench.short(NameBench.knot, "www.site.example.test").count == 1)
        let server = try bench.file(
            "digest.py",
            """
            import hashlib, socket
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("\(NameBench.site)", 2525)); s.listen(8); print("ready", flush=True)
            while True:
                c, _ = s.accept()
                c.sendall(b"220 hello\\r\\n")
                h = hashlib.sha256()
                while True:
                    d = c.recv(65536)
                    if not d: break
                    h.update(d)
                c.sendall(h.hexdigest().encode()); c.close()
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let client = try bench.file(
            "digest_client.py",
            """
            import hashlib, os, socket
            c = socket.create_connection(("\(NameBench.site)", 2525), 20)
            h = hashlib.sha256()
            for i in range(300):
                d = os.urandom(1 + i * 997 % 150000)
                if i == 0: d = b"\\x00" + d
                h.update(d); c.sendall(d)
            c.shutdown(socket.SHUT_WR)
            r = b""
            while True:
                d = c.recv(65536)
                if not d: break
                r += d
            print(r[:11] == b"220 hello\\r\\n", r[11:].decode() == h.hexdigest())
            """)
        #expect(try bench.onClient(["python3", client]).standardOutput == "True True\n")
    }

    @Test("a client that says nothing, half a name or another protocol is refused")
    func silent() throws {
        let bench = try bench("www.site.example.test")
        var settings = ConnectionProxy.Settings()
        settings.patience = .milliseconds(600)
        try bench.startChecks(settings)
        #expect(try bench.short(NameBench.knot, "www.site.example.test").count == 1)
        let program = try bench.file(
            "say.py",
            """
            import socket, sys
            c = socket.create_connection(("\(NameBench.site)", 443), 5)
            c.sendall(bytes.fromhex(sys.argv[1]))
            if len(sys.argv) > 2: c.shutdown(socket.SHUT_WR)
            try: print(c.recv(100))
            except ConnectionResetError: print("reset")
            """)
        for bytes in ["", "1603", "16030100ff010000", "5353482d322e300d0a", "47455420"] {
            #expect(try bench.onClient(["python3", program, bytes]).standardOutput == "reset\n", "\(bytes)")
        }
        for bytes in ["", "16030100ff0100"] {
            #expect(try bench.onClient(["python3", program, bytes, "end"]).standardOutput == "reset\n", "\(bytes)")
        }
        #expect(bench.connectionEvents.refused.count == 7)
        #expect(!bench.serverOutput.contains("hello for"))
    }

    @Test("a hello in single bytes passes")
    func singleBytes() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        let program = try bench.file(
            "drip.py",
            """
            import socket, ssl, time
            socket.getaddrinfo
            c = socket.create_connection(("\(NameBench.site)", 443), 10)
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
            read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
            t = context.wrap_bio(read, write, server_hostname="www.site.example.test")
            done = False
            while not done:
                try: t.do_handshake(); done = True
                except ssl.SSLWantReadError: pass
                for b in write.read(): c.send(bytes([b])); time.sleep(0.0002)
                if not done: read.write(c.recv(65536))
            print(t.version())
            """)
        #expect(try bench.short(NameBench.knot, "www.site.example.test").count == 1)
        #expect(try bench.onClient(["python3", program]).standardOutput == "TLSv1.3\n")
    }

    @Test("a server that wants a second hello gets it")
    func helloRetry() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        try bench.startServer(
            [
                "openssl", "s_server", "-accept", "\(NameBench.site):2525", "-cert", "\(bench.path)/cert.pem", "-key",
                "\(bench.path)/key.pem", "-groups", "P-384:P-256", "-www",
            ], ready: "ACCEPT")
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let request = "(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1)"
        let script = request + " | openssl s_client -connect \(NameBench.site):2525 "
        for options in ["-groups X25519:P-384 -msg", "-groups P-384", "-tls1_2 -groups P-256"] {
            let output = try bench.onClient(["sh", "-c", script + "-servername www.site.example.test \(options) 2>&1"])
            #expect(output.standardOutput.contains("HTTP/1.0 200 ok"), "\(options) \(output.standardOutput)")
            // Two hellos: it was asked for a second one.
            let hellos = output.standardOutput.components(of: ", ClientHello")
            #expect(hellos == (options.contains("-msg") ? 2 : 0))
        }
    }

    @Test("on a connection of HTTP/2 every stream is held to its name")
    func http2() throws {
        let bench = try bench("*.site.example.test")
        try bench.startChecks()
        let server = try bench.file(
            "h2.js",
            """
            const s = require("http2").createServer();
            s.on("stream", (stream, h) => {
                console.log("asked", h[":authority"]);
                stream.respond({":status": 200}); stream.end("hello " + h[":authority"]);
            });
            s.listen(2525, "\(NameBench.site)", () => console.log("ready"));
            """)
        try bench.startServer(["node", server], ready: "ready")
        for name in ["a", "b"] { _ = try bench.short(NameBench.knot, "\(name).site.example.test") }
        let url = "http://a.site.example.test:2525/"
        #expect(try bench.curl("-4", "--http2-prior-knowledge", url) == "hello a.site.example.test:2525")
        let client = try bench.file(
            "h2client.js",
            """
            const c = require("http2").connect("http://\(NameBench.site):2525");
            c.on("error", e => { console.log(e.code); process.exit(); });
            c.on("close", () => process.exit());
            const names = process.argv.slice(2);
            const next = () => {
                const name = names.shift();
                if (!name) { console.log("done"); return c.close(); }
                const r = c.request({":authority": name, ":path": "/", ":method": "GET", "x-long": name.repeat(50)});
                r.on("data", d => console.log(String(d)));
                r.on("end", next); r.on("error", () => {}); r.end();
            };
            next();
            """)
        let names = ["a.site.example.test", "b.site.example.test", "a.site.example.test"]
        let good = try bench.onClient(["node", client] + names).standardOutput
        #expect(good == names.map { "hello \($0)\n" }.joined() + "done\n")
        let bad = try bench.onClient(["node", client] + names + ["evil.example.test", "b.site.example.test"])
        #expect(bad.standardOutput.contains("ECONNRESET") && !bad.standardOutput.contains("done"), "\(bad)")
        #expect(!bench.serverOutput.contains("evil"))
        #expect(bench.connectionEvents.refused == ["evil.example.test"])
    }

    @Test("where nobody listens the client is reset at once")
    func unreachable() throws {
        let bench = try bench("closed.example.test")
        try bench.startChecks()
        let start = ContinuousClock.now
        let output = try bench.curl("https://closed.example.test/")
        #expect(output.contains("curl: ("), "\(output)")
        #expect(ContinuousClock.now - start < .seconds(3))
        #expect(
            bench.connectionEvents.contains { if case .unreachable(_, .connectionRefused) = $0 { true } else { false } }
        )
    }

    @Test("a name that expires does not cut a connection, and rules that end do")
    func expiry() throws {
        var limits = NameLimits()
        (limits.shortestLifetime, limits.grace) = (1, 0)
        let bench = try NameBench([.allow(0, "www.site.example.test")], limits: limits)
        try bench.startSites()
        try bench.startChecks()
        let program = try bench.file(
            "slow.py",
            """
            import socket, time
            c = socket.create_connection(("\(NameBench.site)", 80), 5)
            for i in range(40):
                d = b""
                try:
                    # Another spelling is the same name.
                    host = (b"www.site.example.test", b"WWW.Site.example.test.")[i % 2]
                    c.sendall(b"GET / HTTP/1.1\\r\\nHost: " + host + b"\\r\\n\\r\\n")
                    while not d.endswith(b"hello\\n"):
                        more = c.recv(4096)
                        if not more: raise OSError
                        d += more
                except OSError: print("cut after", i >= 20); break
                print("ok", flush=True); time.sleep(0.2)
            """)
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let client = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", program])
        while client.outputSoFar.split(separator: "\n").count < 22 { _ = try runProgram(["sleep", "0.05"]) }
        #expect(!client.outputSoFar.contains("cut"))
        bench.checks?.reset { endpoint, attempt in endpoint == 1 && attempt.rules == [0] }
        for _ in 0..<100 where !client.outputSoFar.contains("cut") { _ = try runProgram(["sleep", "0.05"]) }
        #expect(client.outputSoFar.contains("cut after True"))
        _ = client.wait()
        // Closed now: the name must be asked again first.
        let late = try bench.curl(
            "--resolve", "www.site.example.test:80:\(NameBench.site)", "http://www.site.example.test/")
        #expect(late.contains("curl: "), "\(late)")
    }

    @Test("a port that the client uses again at once is no obstacle, whoever has closed first")
    func samePort() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks()
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let program = try bench.file(
            "again.py",
            """
            import socket, struct
            good = 0
            for i in range(6):
                c = socket.socket(); c.settimeout(3)
                c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                c.bind(("192.0.2.10", 41000))
                c.connect(("\(NameBench.site)", 80))
                # HTTP/1.0: the server closes first.
                c.sendall(b"GET / HTTP/1.0\\r\\nHost: www.site.example.test\\r\\n\\r\\n")
                data = b""
                while more := c.recv(4096): data += more
                good += data.endswith(b"hello\\n")
                c.close()
            print(good)
            """)
        #expect(try bench.onClient(["python3", program]).standardOutput == "6\n")
    }

    @Test("connections that stand still, half closed or not, cost nothing")
    func idle() throws {
        let bench = try bench("www.site.example.test")
        try bench.startChecks(allows: { _, _ in true })
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let server = try bench.file(
            "still.py",
            """
            import socket, time
            s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("\(NameBench.site)", 2525)); s.listen(8); print("ready", flush=True)
            kept = []
            while True:
                c, _ = s.accept()
                kind = c.recv(1)
                # Ends at once, ends one way, or never.
                if kind == b"c": c.close()
                elif kind == b"h": c.shutdown(socket.SHUT_WR); kept.append(c)
                else: kept.append(c)
            """)
        try bench.startServer(["python3", server], ready: "ready")
        let program = try bench.file(
            "still_client.py",
            """
            import socket, time
            kept = []
            for kind in (b"c", b"h", b"n"):
                for half in (False, True):
                    c = socket.create_connection(("\(NameBench.site)", 2525), 5)
                    c.sendall(kind)
                    time.sleep(0.05)
                    if half: c.shutdown(socket.SHUT_WR)
                    kept.append(c)
            # More than the server takes, and gone.
            c = socket.create_connection(("\(NameBench.site)", 2525), 5)
            c.sendall(b"h")
            time.sleep(0.05)
            c.settimeout(0.5)
            try:
                while True: c.sendall(b"x" * 65536)
            except TimeoutError: pass
            c.shutdown(socket.SHUT_WR)
            kept.append(c)
            print("ready", flush=True)
            time.sleep(30)
            """)
        let client = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", program])
        while !client.outputSoFar.contains("ready") { _ = try runProgram(["sleep", "0.05"]) }
        let used = """
            for t in /proc/\(CurrentProcess.identifier)/task/*; do
                grep -q egret-checks $t/comm && cut -d' ' -f14,15 $t/stat
            done
            """
        let before = try runProgram(["sh", "-c", used]).standardOutput
        _ = try runProgram(["sleep", "2"])
        let after = try runProgram(["sh", "-c", used]).standardOutput
        client.send(signal: 9)
        _ = client.wait()
        // In hundredths of a second, user and system.
        let ticks = [before, after].map { $0.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }.reduce(0, +) }
        #expect(!before.isEmpty && ticks[1] - ticks[0] < 10, "\(before) \(after)")
    }

    @Test("who gets an endpoint's number and address does not inherit how many connections the former one has")
    func passedOnCount() throws {
        let bench = try bench("www.site.example.test")
        var settings = ConnectionProxy.Settings()
        settings.connectionsPerEndpoint = 1
        try bench.startChecks(settings)
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        let program = try bench.file(
            "one.py",
            """
            import socket, time
            c = socket.create_connection(("\(NameBench.site)", 80), 5)
            c.sendall(b"GET / HTTP/1.1\\r\\nHost: www.site.example.test\\r\\n\\r\\n")
            print(c.recv(15), flush=True)
            time.sleep(60)
            """)
        let client = try RunningProgram(["ip", "netns", "exec", NameBench.client, "python3", program])
        defer {
            client.send(signal: 9)
            _ = client.wait()
        }
        for _ in 0..<1_000 where !client.outputSoFar.contains("200") { _ = try runProgram(["sleep", "0.01"]) }
        func isServed() throws -> Bool { try bench.curl("-4", "http://www.site.example.test/") == "hello\n" }
        #expect(try !isServed())
        let registry = bench.proxy.registry
        let now = BootClock.milliseconds
        let holdings = registry.holdings(of: 1, now: now)
        registry.remove(1)
        _ = registry.set(
            NameEndpoint(
                id: 1, addresses: NameBench.clientAddresses, rules: [try .allow(0, "www.site.example.test")],
                trustedServers: Swift.Set([NameBench.knot].compactMap { IPAddress($0) })),
            holding: holdings, now: now)
        #expect(try isServed())
    }

    @Test("many connections at once are all served, and too many are reset")
    func many() throws {
        let bench = try bench("www.site.example.test")
        var settings = ConnectionProxy.Settings()
        settings.connectionsPerEndpoint = 100
        try bench.startChecks(settings)
        let program = try bench.file(
            "many.py",
            """
            import select, socket, sys
            n = int(sys.argv[1])
            connections = []
            for i in range(n):
                c = socket.socket(); c.settimeout(5)
                connections.append(c)
                try: c.connect(("\(NameBench.site)", 80))
                except OSError: pass
            good = 0
            for c in connections:
                try: c.sendall(b"GET / HTTP/1.1\\r\\nHost: www.site.example.test\\r\\n\\r\\n")
                except OSError: pass
            for c in connections:
                try: good += b"200 OK" in c.recv(4096)
                except OSError: pass
            print(good, n - good)
            """)
        _ = try bench.short(NameBench.knot, "www.site.example.test")
        for _ in 0..<3 { #expect(try bench.onClient(["python3", program, "100"]).standardOutput == "100 0\n") }
        let tooMany = try bench.onClient(["python3", program, "130"])
        #expect(tooMany.standardOutput == "100 30\n", "\(tooMany)")
        #expect(bench.connectionEvents.contains { if case .limited = $0 { true } else { false } })
    }
}
