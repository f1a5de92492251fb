// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNames
import EgretPolicy
import EgretTesting
import Testing

/// By which ways questions and connections go on from this host.
extension NameProxyTests {
    private static let mark: UInt32 = 0x4400

    /// Counts what leaves with the mark, by protocol and port, while the body runs.
    private func counting(
        _ body: (_ hasLeft: @escaping (_ transport: String, _ port: Int) throws -> Bool) throws -> Void
    ) throws {
        let counters = ["udp": [53], "tcp": [53, 80, 443]]
        let names = counters.flatMap { transport, ports in ports.map { (transport, $0) } }
        let text = """
            table inet seen {
                \(names.map { "counter \($0)\($1) { }" }.joined(separator: "\n    "))
                chain output {
                    type filter hook output priority 300;
                    \(names.map { "meta mark 0x4400 \($0) dport \($1) counter name \($0)\($1)" }.joined(separator: "\n        "))
                }
            }
            """
        let made = try runProgram(["nft", "-f", "-"], standardInput: text)
        #expect(made.succeeded, "\(made.standardError)")
        defer { _ = try? runProgram(["nft", "delete", "table", "inet", "seen"]) }
        try body { transport, port in
            let listed = try runProgram(["nft", "list", "counter", "inet", "seen", "\(transport)\(port)"])
            return listed.standardOutput.contains("packets") && !listed.standardOutput.contains("packets 0 ")
        }
    }

    @Test("a connection by a way bears the way's mark, and one that no way may take is reset at once")
    func connectionDepartures() throws {
        let bench = try NameBench([NameRule(number: 0, patterns: [try .parse("www.site.example.test")])])
        try bench.startSites()
        var settings = ConnectionProxy.Settings()
        settings.departure = { client, server in
            guard NameBench.clientAddresses.contains(client.address) else { return .main }
            return server.port == 80 ? .marked(NameProxyTests.mark) : .nowhere
        }
        try bench.startChecks(settings)
        try counting { hasLeft in
            for family in ["-4", "-6"] {
                #expect(try bench.curl(family, "http://www.site.example.test/") == "hello\n")
                let refused = try bench.curl(family, "https://www.site.example.test/")
                #expect(refused.contains("curl: ("), "\(refused)")
            }
            let isLed = try hasLeft("tcp", 80)
            #expect(isLed)
            let isLeaking = try hasLeft("tcp", 443)
            #expect(!isLeaking)
        }
        let isTold = bench.connectionEvents.contains { event in
            if case .unreachable(let server, .hostUnreachable) = event { server.port == 443 } else { false }
        }
        #expect(isTold)
    }

    @Test(
        "a question to the server that the client means goes by its way, over UDP and TCP; one to another goes as ever")
    func questionDepartures() throws {
        let knot = try #require(IPAddress(NameBench.knot))
        let bench = try NameBench(
            [.allow(0, "www.example.test")], servers: [NameServer(knot)], trusted: [NameBench.knot, NameBench.unbound],
            departure: { client, server, _ in
                guard NameBench.clientAddresses.contains(client) else { return .main }
                return server.address == knot ? .marked(NameProxyTests.mark) : .nowhere
            })
        try bench.startKnot()
        try counting { hasLeft in
            // Asked in the place of another server: the host's question.
            let replaced = try bench.dig("203.0.113.77", "www.example.test")
            #expect(replaced.contains("status: NOERROR"))
            let hostsOwn = try hasLeft("udp", 53)
            #expect(!hostsOwn)
            let meant = try bench.dig(NameBench.knot, "www.example.test")
            #expect(meant.contains("status: NOERROR"))
            let overUDP = try hasLeft("udp", 53)
            #expect(overUDP)
            let early = try hasLeft("tcp", 53)
            #expect(!early)
            let streamed = try bench.dig(NameBench.knot, "+tcp", "www.example.test")
            #expect(streamed.contains("status: NOERROR"))
            let overTCP = try hasLeft("tcp", 53)
            #expect(overTCP)
            // No way leads there.
            let unreachable = try bench.dig(NameBench.unbound, "www.example.test")
            #expect(unreachable.contains("status: SERVFAIL"))
        }
    }
}
