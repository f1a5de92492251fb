// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Servers of Debian's packages, and one of ours.
extension NameBench {
    /// Starts Knot as the authority of two zones.
    func startKnot() throws {
        _ = try file(
            "example.test.zone",
            """
            $ORIGIN example.test.
            $TTL 300
            @ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
            @ NS ns.example.test.
            ns A 203.0.113.53
            www 2 A 203.0.113.10
            www 2 A 203.0.113.11
            www AAAA 2001:db8:113::10
            alias CNAME www
            api CNAME edge.cdn.test.
            svc HTTPS 1 . alpn=h2 ipv4hint=203.0.113.12 ipv6hint=2001:db8:113::10 ech=AEX+DQBBpQAgACB/RU4hAQ==
            inside A 10.1.2.3
            own A 203.0.113.1
            mixed A 10.1.2.3
            mixed A 203.0.113.11
            txt TXT "hello"
            loop CNAME loop2
            loop2 CNAME loop
            \((1...60).map { "many A 203.0.113.\($0 + 100)" }.joined(separator: "\n"))
            \((1...9).map { "long TXT \"\(String(repeating: "\($0)", count: 200))\"" }.joined(separator: "\n"))
            *.wild A 203.0.113.12
            \((0..<1_000).map { "n\($0).cold 1 AAAA 2001:db8:51::\(String($0 + 1, radix: 16))" }.joined(separator: "\n"))
            \((1...250).map { "n\($0).cold4 1 A 198.51.100.\($0)" }.joined(separator: "\n"))
            *.site 2 A 203.0.113.12
            *.site 2 AAAA 2001:db8:113::10
            evil A 203.0.113.12
            evil AAAA 2001:db8:113::10
            closed A 203.0.113.11
            """)
        _ = try file(
            "cdn.test.zone",
            """
            $ORIGIN cdn.test.
            $TTL 60
            @ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60
            @ NS ns.example.test.
            edge CNAME lb7
            lb7 A 203.0.113.12
            """)
        let configuration = try file(
            "knot.conf",
            """
            server:
                rundir: "\(path)"
                listen: [203.0.113.53@53, 2001:db8:113::53@53]
                user: root:root
            database:
                storage: "\(path)"
            log:
              - target: stdout
                any: info
            template:
              - id: default
                storage: "\(path)"
                semantic-checks: off
                journal-content: none
                zonefile-sync: -1
            zone:
              - domain: example.test
                file: "\(path)/example.test.zone"
              - domain: cdn.test
                file: "\(path)/cdn.test.zone"
                dnssec-signing: on
            """)
        try startServer(["knotd", "-c", configuration], ready: "server started in the foreground")
        for zone in ["example.test", "cdn.test"] {
            for _ in 0..<400 {
                let answer = try onServers(["kdig", "@203.0.113.53", zone, "SOA", "+short"])
                if answer.contains("hostmaster") { break }
            }
        }
    }

    /// Runs a program among the servers and returns what it printed.
    func onServers(_ arguments: [String]) throws -> String {
        try runInNamespace(NameBench.servers, arguments)
    }

    /// Starts unbound, which asks Knot, with a configuration of this name and these lines about where and how it listens.
    func startUnbound(
        configuration name: String = "unbound.conf", listening lines: [String] = ["interface: 203.0.113.54"]
    ) throws {
        let zones = ["example.test", "cdn.test"].map { "stub-zone:\n    name: \($0)\n    stub-addr: 203.0.113.53" }
        let configuration = try file(
            name,
            """
            server:
            \(lines.map { "    \($0)" }.joined(separator: "\n"))
                access-control: 0.0.0.0/0 allow
                module-config: "iterator"
                local-zone: "test." nodefault
                username: ""
                chroot: ""
                directory: "\(path)"
                pidfile: ""
                use-syslog: no
                do-daemonize: no
                private-address: 0.0.0.0/32
            remote-control:
                control-enable: no
            \(zones.joined(separator: "\n"))
            """)
        try startServer(["unbound", "-d", "-c", configuration], ready: "start of service")
    }

    /// Starts dnsmasq, which knows every name below example.test, and writes down what it is asked.
    func startDnsmasq() throws {
        try startServer(
            [
                "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces", "--user=root",
                "--listen-address=203.0.113.55", "--address=/example.test/203.0.113.10", "--local-ttl=60",
                "--log-queries", "--log-facility=-", "--pid-file=",
            ], ready: "started")
    }

    /// Starts a server that does wrong what a name's first label says.
    func startLiar() throws {
        let program = try file(
            "liar.py",
            """
            import socket, struct, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("203.0.113.66", 53))
            t = socket.socket()
            t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            t.bind(("203.0.113.66", 53))
            t.listen(16)
            print("ready", flush=True)
            import threading
            def answer(q, address=b"\\xcb\\x00\\x71\\x0a", lower=False):
                end = 12
                while q[end]: end += 1 + q[end]
                question = q[12:end + 5]
                if lower: question = question.lower()
                return (q[:2] + b"\\x81\\x80\\0\\x01\\0\\x01\\0\\0\\0\\0" + question
                        + b"\\xc0\\x0c\\0\\x01\\0\\x01\\0\\0\\0\\x3c\\0\\x04" + address)
            failures = {b"servfail": (2, b""), b"refused": (5, b""), b"notimp": (4, b""),
                # An extended error: DNSSEC Bogus, and Network Error.
                b"bogus": (2, b"\\0\\6"), b"network": (2, b"\\0\\x17")}
            # Servers that do not know EDNS: FORMERR and the header alone, or NOTIMP.
            unknowing = {b"formerr": 1, b"notedns": 4}
            def misses(q, kind): return kind in unknowing and q[11] > 0
            def miss(q, kind):
                code = unknowing[kind]
                end = 12
                while q[end]: end += 1 + q[end]
                return (q[:2] + bytes([0x81, 0x80 | code, 0, 0 if code == 1 else 1]) + bytes(6)
                        + (b"" if code == 1 else q[12:end + 5]))
            def failure(q, kind):
                code, error = failures[kind]
                end = 12
                while q[end]: end += 1 + q[end]
                more = b"\\0\\0\\x29\\x04\\xd0\\0\\0\\0\\0\\0\\6\\0\\x0f\\0\\2" + error if error else b""
                return (q[:2] + bytes([0x81, 0x80 | code]) + b"\\0\\1\\0\\0\\0\\0" + bytes([0, 1 if more else 0])
                        + q[12:end + 5] + more)
            def streams():
                while True:
                    c, _ = t.accept()
                    q = c.recv(2048)[2:]
                    kind = q[13:13 + q[12]].lower()
                    if kind in (b"silent", b"garbage"):
                        c.close()
                        continue
                    a = (miss(q, kind) if misses(q, kind)
                        else failure(q, kind) if kind in failures else answer(q, lower=True))
                    c.sendall(struct.pack(">H", len(a)) + a)
                    c.close()
            threading.Thread(target=streams, daemon=True).start()
            import queue, time
            late = queue.Queue()
            def later():
                while True:
                    at, a, peer = late.get()
                    time.sleep(max(0, at - time.monotonic()))
                    s.sendto(a, peer)
            threading.Thread(target=later, daemon=True).start()
            seen = set()
            while True:
                q, peer = s.recvfrom(4096)
                kind = q[13:13 + q[12]].lower()
                print("asked", kind.decode(), flush=True)
                evil = b"\\xc6\\x33\\x64\\x42"
                if kind == b"id":
                    s.sendto(bytes([q[0] ^ 1]) + answer(q, evil)[1:], peer)
                    s.sendto(answer(q), peer)
                elif kind == b"question":
                    a = bytearray(answer(q, evil))
                    a[14] ^= 3
                    s.sendto(bytes(a), peer)
                    s.sendto(answer(q), peer)
                elif kind == b"port":
                    o = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    o.sendto(answer(q, evil), peer)
                    o.close()
                    s.sendto(answer(q), peer)
                elif kind == b"flood":
                    for i in range(300): s.sendto(struct.pack(">H", i * 211 & 65535) + answer(q, evil)[2:], peer)
                elif misses(q, kind): s.sendto(miss(q, kind), peer)
                elif kind in failures: s.sendto(failure(q, kind), peer)
                elif kind == b"lower": s.sendto(answer(q, evil, lower=True), peer)
                elif kind in (b"silent", b"streams"): pass
                elif kind == b"late": late.put((time.monotonic() + 0.6, answer(q), peer))
                elif kind == b"once":
                    print("id", q[:2].hex(), flush=True)
                    if kind in seen: s.sendto(answer(q), peer)
                    seen.add(kind)
                elif kind == b"garbage": s.sendto(b"\\0" * 40, peer); s.sendto(answer(q)[:-2], peer)
                else: s.sendto(answer(q), peer)
            """)
        try startServer(["python3", program], ready: "ready")
    }
}
