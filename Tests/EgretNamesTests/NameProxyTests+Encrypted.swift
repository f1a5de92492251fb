// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNames
import EgretTesting
import Synchronization
import Testing

/// Servers that are asked over TLS.
extension NameProxyTests {
    private func bench(
        _ server: String, trusting authority: String, also others: String...
    ) throws -> NameBench {
        let servers = try ([server] + others).map { try #require(NameServer($0)) }
        return try NameBench(
            [.allow(0, "www.example.test", "*.wild.example.test", "api.example.test", "many.example.test")],
            servers: servers, trusted: [], trust: try ServerTrust(authorities: authority),
            pauseAfterSilence: .seconds(1))
    }

    /// What the client is told of a name: the code, and what the proxy says of the server.
    private func refusal(_ bench: NameBench) throws -> String? {
        let output = try bench.dig(NameBench.knot, "www.example.test")
        guard output.contains("status: SERVFAIL") else { return nil }
        return bench.events.all.withLock { events in
            events.compactMap { if case .serverFailed(_, _, let reason) = $0 { reason } else { nil } }.last
        }
    }

    @Test(
        "names resolve over TLS from a server that is who it should be, many over one connection, and nothing goes otherwise",
        arguments: ["#dns.example.test", ""])
    func encrypted(name: String) throws {
        let certificates = try NameBench.Certificates()
        let bench = try bench("tls://203.0.113.54\(name)", trusting: certificates.authority)
        try bench.startKnot()
        try bench.startEncryptedUnbound(certificates)
        // Whatever server the client asks, and over whatever.
        #expect(try bench.short(NameBench.knot, "www.example.test") == ["203.0.113.10", "203.0.113.11"])
        #expect(try bench.short("198.51.100.9", "+tcp", "www.example.test", "AAAA") == ["2001:db8:113::10"])
        #expect(try bench.short(NameBench.unbound, "api.example.test").contains("203.0.113.12"))
        #expect(try bench.dig(NameBench.knot, "evil.example.test").contains("status: REFUSED"))
        // Longer than a datagram may be.
        #expect(try bench.short(NameBench.knot, "many.example.test").count == 60)
        #expect(try bench.askAll((0..<300).map { "n\($0).wild.example.test" }) == ["0": 300])
        #expect(try bench.elements(0, .ipv4).contains("203.0.113.12"))
        let connections = try bench.runInNamespace(
            NameBench.servers, ["ss", "-Htn", "state", "established", "sport", "=", ":853"])
        #expect(connections.split(separator: "\n").count == 1, "\(connections)")
    }

    @Test(
        "a server that is not who it should be is asked nothing, nor anybody else instead, and the client hears that it failed"
    )
    func imposters() throws {
        let certificates = try NameBench.Certificates()
        for (server, authority, certificate, expected) in [
            ("tls://203.0.113.54#other.example.test", certificates.authority, "dns", "not for this name"),
            ("tls://203.0.113.54#dns.example.test", certificates.stranger, "dns", "not to be trusted"),
            ("tls://203.0.113.54#dns.example.test", certificates.authority, "old", "not to be trusted"),
            ("tls://203.0.113.54", certificates.authority, "stranger", "not to be trusted"),
            ("tls://203.0.113.53", certificates.authority, "dns", "cannot be reached"),
        ] {
            let bench = try bench(server, trusting: authority)
            // It would answer on port 53.
            try bench.startKnot()
            try bench.startEncryptedUnbound(certificates, certificate)
            #expect(
                try refusal(bench)?.contains(expected) == true,
                "\(server) \(certificate): \(bench.events.all.withLock(\.self))")
            #expect(try !bench.elements(0, .ipv4).contains("expires"))
        }
    }

    @Test("a server whose address has another certificate is not asked by address alone")
    func otherAddress() throws {
        let certificates = try NameBench.Certificates()
        let bench = try bench("tls://203.0.113.55", trusting: certificates.authority)
        try bench.startServer(
            [
                "socat", "-d", "-d",
                "OPENSSL-LISTEN:853,bind=203.0.113.55,reuseaddr,fork,verify=0,cert=\(certificates.file("dns.pem")),"
                    + "key=\(certificates.file("dns.key"))", "TCP:203.0.113.53:53",
            ], ready: "listening")
        #expect(try refusal(bench)?.contains("not for this name or address") == true)
    }

    @Test("a server that ends each connection after an answer is asked over the next one")
    func reconnecting() throws {
        let certificates = try NameBench.Certificates()
        let bench = try bench("tls://203.0.113.54#dns.example.test", trusting: certificates.authority)
        try bench.startEncryptedLiar(certificates, "once")
        for number in 0..<5 {
            #expect(try bench.short(NameBench.knot, "n\(number).wild.example.test") == ["203.0.113.10"])
        }
        #expect(bench.serverOutput.split(separator: "\n").count { $0 == "connected" } >= 5)
        // What a question's length tells is little: dig speaks EDNS.
        let lengths = bench.serverOutput.split(separator: "\n").filter { $0.hasPrefix("asked") }
        #expect(Set(lengths) == ["asked 128"], "\(lengths)")
    }

    @Test(
        "a server that is silent, or gone, holds up nobody who is asked of another, and is asked again when it is back")
    func silentEncrypted() throws {
        let certificates = try NameBench.Certificates()
        let bench = try bench(
            "tls://203.0.113.54#dns.example.test", trusting: certificates.authority, also: "tcp://203.0.113.53")
        // Neither of them, so that both are asked in their order.
        let elsewhere = "198.51.100.9"
        try bench.startKnot()
        try bench.startEncryptedLiar(certificates, "silent")
        #expect(try bench.askAll((0..<40).map { "n\($0).wild.example.test" }, at: elsewhere) == ["0": 40])
        #expect(bench.serverOutput.contains("asked"))
        bench.stopLastServer()
        #expect(try bench.short(elsewhere, "n99.wild.example.test") == ["203.0.113.12"])
        try bench.startEncryptedLiar(certificates, "")
        // For a while the other one is asked first.
        for number in 100..<200 where !bench.serverOutput.contains("asked") {
            #expect(try bench.dig(elsewhere, "n\(number).wild.example.test").contains("status: NOERROR"))
            _ = try runProgram(["sleep", "0.1"])
        }
        #expect(bench.serverOutput.contains("asked"))
    }
}
