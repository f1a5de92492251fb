// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretTesting
import Testing

@testable import EgretAgent

@Suite("The agent on the network", .serialized)
struct RemoteTests {
    private func client(
        _ port: Int, trusting authority: Authority, _ files: (certificate: String, key: String)
    ) -> AgentClient {
        var address = AgentAddress()
        address.remote = AgentAddress.Remote(
            host: "127.0.0.1", port: port, authorities: authority.certificate, certificate: files.certificate,
            key: files.key)
        return AgentClient(address)
    }

    @Test("serves clients with certificates of its authority, and no others")
    func certificates() async throws {
        let (authority, stranger) = (try Authority("one"), try Authority("two"))
        let server = try authority.issue("server")
        let service = ScriptedService()
        let listener = try await RemoteListener.start(
            service, at: "127.0.0.1", port: 0,
            .init(certificate: server.certificate, key: server.key, clientAuthorities: authority.certificate))
        let good = client(listener.port, trusting: authority, try authority.issue("operator"))
        let status = try await blocking { try good.status() }
        #expect(status == ScriptedService.status)
        let report = try await blocking { try good.apply(ApplyRequest(message: "far")) }
        #expect(report.revision == 7)
        let author = try #require(service.calls.last?.author)
        #expect(author.hasPrefix("certificate ") && author.hasSuffix(", 127.0.0.1"), "\(author)")

        let count = service.calls.count
        let others = [
            client(listener.port, trusting: authority, try stranger.issue("operator")),
            client(listener.port, trusting: authority, try authority.issue("old", isExpired: true)),
            client(listener.port, trusting: stranger, try authority.issue("other")),
        ]
        for other in others {
            await #expect(throws: AgentClientError.self) { try await blocking { try other.status() } }
        }
        let place = "127.0.0.1:\(listener.port)"
        for arguments in [
            ["curl", "-sS", "-m", "5", "--cacert", authority.certificate, "https://\(place)/v1/status"],
            ["curl", "-sS", "-m", "5", "http://\(place)/v1/status"],
        ] {
            let output = try await blocking { try runProgram(arguments) }
            #expect(output.status != 0, "\(output.standardOutput)")
            #expect(output.standardOutput == "")
        }
        #expect(service.calls.count == count)
        await listener.stop()
    }

    @Test("does not begin without the authority of its clients")
    func incomplete() async throws {
        let authority = try Authority("one")
        let server = try authority.issue("server")
        await #expect(throws: (any Error).self) {
            try await RemoteListener.start(
                ScriptedService(), at: "127.0.0.1", port: 0,
                .init(certificate: server.certificate, key: server.key, clientAuthorities: "/nowhere.pem"))
        }
    }

    @Test("figures for monitoring have a port of their own, where there is nothing else")
    func metrics() async throws {
        let listener = try await RemoteListener.startMetrics(ScriptedService(), at: "127.0.0.1", port: 0)
        let base = "http://127.0.0.1:\(listener.port)"
        let figures = try await blocking { try runProgram(["curl", "-sSf", "-m", "5", "\(base)/metrics"]) }
        #expect(figures.standardOutput == "egret_revision 7\n")
        let other = try await blocking { try runProgram(["curl", "-sS", "-m", "5", "\(base)/v1/status"]) }
        #expect(other.standardOutput.contains("nothing here but /metrics"))
        await listener.stop()
    }

    @Test(
        "places are addresses with ports",
        arguments: [
            ("127.0.0.1:9464", "127.0.0.1:9464"), ("[::1]:9464", "[::1]:9464"), ("::1:9464", "-"), ("localhost:1", "-"),
            ("127.0.0.1", "-"), ("127.0.0.1:65536", "-"), ("[127.0.0.1]:1", "-"), (":1", "-"),
        ])
    func places(_ text: String, _ expected: String) {
        #expect(HostAndPort(text)?.description ?? "-" == expected)
    }
}
