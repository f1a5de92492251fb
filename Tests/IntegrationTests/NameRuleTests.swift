// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// Names beside rules about addresses, and what rules say about names besides which they are.
@Suite("rules about names in a run", .serialized, .requiresRoot)
struct NameRuleTests {
    @Test("an address that a rule refuses is not reached by an allowed name: no packet goes there")
    func refusedAddress() throws {
        try withNames("nraddr") { internet in
            let output = try internet.named(
                ["--allow", "files.example.test", "--deny", "203.0.113.11"],
                """
                dig +short +time=2 +tries=1 files.example.test
                curl -s -m 5 http://files.example.test; [ $? -ne 0 ] && echo no
                """)
            #expect(output.standardOutput == "203.0.113.11\nno\n", "\(output.standardError)")
            let report = try NameReportJSON(output)
            #expect(report.names.refusedConnections.map(\.reason) == ["refused by address"] && report.reached.isEmpty)
            #expect(internet.log(of: .web2) == "")
        }
    }

    @Test("what a rule lets out by address passes whatever name is said, also where a name leads to the address")
    func allowedAddress() throws {
        try withNames("nrallow") { internet in
            let output = try internet.named(
                ["--allow", "203.0.113.10:443", "--allow", "www.example.test"],
                """
                c() { curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' "$@"; }
                c https://203.0.113.10; c https://www.example.test
                c --connect-to other.example.test:443:www.example.test:443 https://other.example.test
                c -H 'Host: other.example.test' http://www.example.test
                """)
            #expect(output.standardOutput == "200\n200\n200\n403\n", "\(output.standardError)")
        }
    }

    private static func policy(_ rule: String) -> String {
        """
        apiVersion: egret.dev/v1
        kind: EgressPolicy
        metadata: { name: p }
        spec:
          egress:
          - action: allow
            to: [{ domains: [www.example.test] }]
        \(rule.split(separator: "\n").map { "    \($0)" }.joined(separator: "\n"))
        """
    }

    @Test("protocols without a name pass by their address where the rule says so, at once, and others do not")
    func pinned() throws {
        try withNames("nrpin") { internet in
            func run(_ rule: String, _ script: String) throws -> ProgramOutput {
                try internet.egret(
                    ["--dns", TestInternet.resolver, "--report", "json", "-f", "-"], ["bash", "-c", script],
                    standardInput: NameRuleTests.policy(rule))
            }
            // The server speaks first on port 9001.
            let talk = """
                timeout 2 bash -c 'exec 3<>/dev/tcp/203.0.113.10/9001; head -n 1 <&3' 2>/dev/null; echo before
                getent ahostsv4 www.example.test >/dev/null
                timeout 2 bash -c 'exec 3<>/dev/tcp/203.0.113.10/9001; head -n 1 <&3' 2>/dev/null; echo after
                """
            var output = try run("applications: [ssh]\nports: [9001]", talk)
            #expect(output.standardOutput == "before\ntick 1\nafter\n", "\(output.standardError)")
            let pinned = try NameReportJSON(output)
            #expect(pinned.reached.map(\.name) == ["www.example.test"] && pinned.reached[0].service == "9001/tcp")
            output = try run("ports: [9001]", talk)
            #expect(output.standardOutput == "before\nafter\n", "\(output.standardError)")
            output = try run(
                "whenUnverified: pin\nports: [7]",
                """
                getent ahostsv4 www.example.test >/dev/null
                exec 3<>/dev/tcp/203.0.113.10/7; echo hello >&3; head -n 1 <&3
                """)
            #expect(output.standardOutput == "hello\n", "\(output.standardError)")
            #expect(try NameReportJSON(output).names.unverifiedConnections == 1)
        }
    }

    @Test("QUIC passes by the name in its first packets where a rule has it read, and else is refused at once")
    func readQUIC() throws {
        let hello = QUICInitial.hello("www.example.test")
        let client = QUICInitial()
        let two = try [
            client.packet(1, QUICInitial.crypto(hello[30...], at: 30), paddedTo: 1_200),
            client.packet(0, QUICInitial.crypto(hello[..<30], at: 0), paddedTo: 1_200),
        ]
        let asked: [(label: String, family: Int, datagrams: [[UInt8]])] = [
            ("allowed", 4, [try client.datagram(saying: "www.example.test")]),
            ("allowed6", 6, [try client.datagram(saying: "www.example.test")]),
            ("version2", 4, [try QUICInitial(isVersion2: true).datagram(saying: "www.example.test")]),
            ("split", 4, two),
            ("other", 4, [try client.datagram(saying: "other.example.test")]),
            ("nameless", 4, [try client.datagram(saying: nil)]),
            ("foreign", 6, [Array("no QUIC".utf8)]),
        ]
        let lines = asked.map { ask in
            "ask('\(ask.label)', \(ask.family), "
                + "[\(ask.datagrams.map { "'\(Data($0).base64EncodedString())'" }.joined(separator: ", "))])"
        }
        try withNames("nrquic") { internet in
            let output = try internet.egret(
                ["--dns", TestInternet.resolver, "--report", "json", "-f", "-"],
                [
                    "/usr/bin/python3", "-c",
                    """
                    import base64, socket, time
                    def ask(label, family, texts):
                        kind = socket.AF_INET6 if family == 6 else socket.AF_INET
                        datagrams = [base64.b64decode(text) for text in texts]
                        address = socket.getaddrinfo("www.example.test", 9999, kind, socket.SOCK_DGRAM)[0][4]
                        s = socket.socket(kind, socket.SOCK_DGRAM); s.settimeout(0.5); s.connect(address)
                        begun = time.monotonic()
                        # As QUIC does: what is not answered is sent again.
                        for attempt in range(5):
                            try:
                                for datagram in datagrams: s.send(datagram)
                                print(label, "answered", s.recv(65536) in datagrams, attempt > 0)
                                return
                            except TimeoutError: continue
                            except OSError:
                                print(label, "refused", time.monotonic() - begun < 0.4)
                                return
                        print(label, "silence")
                    \(lines.joined(separator: "\n"))
                    """,
                ],
                standardInput: NameRuleTests.policy("quic: check\nports: [9999/tcp]") + """

                      budgets: [{ name: flows, amount: 50 connections, ports: [9999/udp] }]
                      limits: [{ name: few, newConnections: 1000/s }]
                    """)
            #expect(
                output.standardOutput == """
                    allowed answered True True
                    allowed6 answered True True
                    version2 answered True True
                    split answered True True
                    other refused True
                    nameless refused True
                    foreign refused True

                    """, "\(output.standardError)")
            let report = try NameReportJSON(output)
            let refused = report.names.refusedConnections
            #expect(refused.allSatisfy { $0.port == 9999 } && refused.compactMap(\.name) == ["other.example.test"])
            #expect(refused.count == 3 && refused.allSatisfy { $0.transport == "udp" })
            // What has passed is a flow like others: by its rule, with what it has moved.
            let reached = report.reached.filter { $0.service == "9999/udp" }
            #expect(reached.map(\.connections).reduce(0, +) == 4)
            #expect(reached.allSatisfy { $0.name == "www.example.test" && $0.received.bytes > 1_200 }, "\(reached)")
            // What was read and not let through has not left, and what was has left once.
            #expect(report.budgets?.map(\.used) == [4])
            #expect(try internet.remains() == "")
        }
    }

    @Test("what is asked below an allowed wildcard is limited, and the report says so")
    func limits() throws {
        try withNames("nrlimit") { internet in
            let output = try internet.named(
                ["--allow", "*.bulk.example.test"],
                """
                exec /usr/bin/python3 - <<'PY'
                import socket, struct
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
                codes = []
                for i in range(1300):
                    name = b"".join(bytes([len(l)]) + l for l in (b"x%d" % i, b"bulk", b"example", b"test")) + b"\\0"
                    s.sendto(struct.pack("!HHHHHH", i, 0x100, 1, 0, 0, 0) + name + b"\\0\\1\\0\\1", ("198.51.100.20", 53))
                    codes.append(s.recv(2000)[3] & 15)
                print(1000 < codes.count(0) < 1200, codes.count(5) > 100, codes[0], codes[-1])
                PY
                """)
            #expect(output.standardOutput == "True True 0 5\n", "\(output.standardError)")
            #expect(output.standardError.contains("new names below a wildcard"))
            #expect(internet.resolverLog(of: .friend).count < 1_200)
        }
    }

    @Test("a run's limits of names are those that its user sets, and nothing beyond them reaches a server")
    func chosenLimits() throws {
        try withNames("nrchosen") { internet in
            let output = try internet.named(
                ["--allow", "*.bulk.example.test", "--dns-limit", "new-names=1/min", "--dns-limit", "labels=5"],
                """
                ask() { dig +noall +comments +tries=1 $1.bulk.example.test | grep -o 'status: [A-Z]*' | uniq; }
                ask a.b.c; for n in {1..6}; do ask n$n; done
                """)
            let codes = ["REFUSED", "NOERROR", "NOERROR", "NOERROR", "NOERROR", "REFUSED", "REFUSED"]
            #expect(
                output.standardOutput == codes.map { "status: \($0)\n" }.joined(), "\(output.standardError)")
            let reached = try NameReportJSON(output).names.limitsReached.map(\.text)
            #expect(Set(reached) == ["labels of a name", "new names below a wildcard"])
            #expect(internet.resolverLog(of: .friend).count == 4)
        }
    }

    @Test("a resolver on the host's loopback serves a run by name, which could not reach it itself")
    func loopbackResolver() throws {
        try withNames("nrloop") { internet in
            try internet.startResolver(in: .home, TestInternet.names)
            let output = try internet.egret(
                ["--dns", "127.0.0.1", "--report", "none", "--user", "65534", "--allow", "www.example.test"],
                [
                    "bash", "-c",
                    "grep ^nameserver /etc/resolv.conf; curl -s -m 5 -o /dev/null -w '%{http_code}\n' http://www.example.test",
                ])
            #expect(output.standardOutput == "nameserver 192.0.0.8\n200\n", "\(output.standardError)")
        }
    }

    @Test(
        "a run's names are asked over TLS of a server that is who it should be; without rules about names it is refused"
    )
    func encrypted() throws {
        try withNames("nrdot") { internet in
            let server = try EncryptedServer(in: internet)
            defer { server.end() }
            func run(_ name: String, _ flags: String...) throws -> ProgramOutput {
                try internet.egret(
                    ["--dns", "tls://198.51.100.20\(name)", "--dns-ca", server.authority, "--report", "text"] + flags,
                    [
                        "bash", "-c",
                        "dig +tries=1 www.example.test | grep -o 'status: [A-Z]*'; curl -sm 5 http://www.example.test",
                    ])
            }
            var output = try run("#dns.example.test", "--allow", "www.example.test")
            #expect(output.standardOutput.hasPrefix("status: NOERROR\nhello"), "\(output)")
            #expect(Set(internet.resolverLog(of: .friend).map { $0.prefix(3) }) == ["tcp"])
            let asked = internet.resolverLog(of: .friend).count
            for name in ["", "#other.example.test"] {
                output = try run(name, "--allow", "www.example.test")
                #expect(output.standardOutput == "status: SERVFAIL\n", "\(output)")
                #expect(output.standardError.contains("its certificate is not for this name or address"), "\(output)")
            }
            #expect(internet.resolverLog(of: .friend).count == asked)
            output = try run("#dns.example.test", "--allow", "198.51.100.20:53/udp")
            #expect(output.status == 125 && output.standardError.contains("rules about names"), "\(output)")
        }
    }

    @Test("who puts an address into the sets of names ends the run, and names and routes go together")
    func others() throws {
        try withNames("nrtamper") { internet in
            let output = try internet.script(
                """
                f=$(mktemp)
                egret run --report none --dns \(TestInternet.resolver) --allow www.example.test -- \
                    sh -c "getent hosts www.example.test; echo up >$f; exec sleep 30" >/dev/null 2>&1 &
                until [ -s $f ]; do sleep 0.02; done
                nft add element inet egret $(nft list sets inet | grep -o 'g[0-9]*-d0-ipv4' | head -n 1) '{ 198.51.100.66 }'
                wait $!; echo $?
                printf '%s\\n' 'apiVersion: egret.dev/v1' 'kind: EgressPolicy' 'metadata: { name: p }' 'spec:' \
                    '  egress: [{ action: allow, to: [{ domains: [a.example.test] }] }]' \
                    '  routes: [{ via: { interface: eth0 } }]' >$f
                egret run -f $f -- true 2>&1; echo $?; rm $f
                """)
            let lines = output.standardOutput.split(separator: "\n")
            #expect(lines.first == "125" && lines.last == "0", "\(output.standardOutput)\(output.standardError)")
            #expect(try internet.remains() == "")
        }
    }

    @Test("refused names are in the log file as they happen")
    func logFile() throws {
        try withNames("nrlog") { internet in
            let output = try internet.script(
                """
                f=$(mktemp); chmod 666 $f
                egret run --report none --log-file $f --dns \(TestInternet.resolver) --allow www.example.test -- bash -c "
                    dig +time=2 +tries=1 evil.example.test >/dev/null
                    curl -s -m 5 -H 'Host: other.example.test' http://www.example.test >/dev/null; sleep 0.5; cat $f"
                rm $f
                """)
            let lines = output.standardOutput.split(separator: "\n")
            #expect(lines.count == 2, "\(output.standardOutput)\(output.standardError)")
            let question = "\"name\":\"evil.example.test\",\"reason\":\"name\",\"recordType\":\"A\""
            #expect(output.standardOutput.contains(question))
            #expect(output.standardOutput.contains("\"name\":\"other.example.test\""))
        }
    }
}
