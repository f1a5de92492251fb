// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

@Suite("The agent's client and its server")
struct AgentClientTests {
    @Test("every call reaches the service with what was given, and its answer comes back whole")
    func calls() async throws {
        try await withServer { service, path, _ in
            let change = ApplyRequest(
                files: [SourceFile(name: "web.yaml", text: "kind: \"ö\"\n")], prune: true, directories: ["/etc"],
                delete: ["EgressPolicy/old"], confirmWithin: 60, message: "why")
            try await blocking { () throws in
                let client = AgentClient(AgentAddress(chosen: path))
                #expect(try client.plan(change) == ScriptedService.plan)
                #expect(try client.apply(change) == ScriptedService.report)
                #expect(try client.confirm() == ScriptedService.revisions[0])
                #expect(try client.rollback() == ChangeReport(revision: 8))
                #expect(try client.rollback(to: 3) == ChangeReport(revision: 8))
                #expect(try client.history() == ScriptedService.revisions)
                #expect(try client.difference(from: 6, to: 7) == ScriptedService.difference)
                #expect(try client.documents() == ScriptedService.documents)
                #expect(try client.documents(of: 6) == ScriptedService.documents)
                #expect(try client.policies() == ScriptedService.policies)
                #expect(try client.endpoints() == ScriptedService.endpoints)
                #expect(try client.status() == ScriptedService.status)
                #expect(try client.synchronize() == ScriptedService.status)
                let request = AttachRequest(namespace: "/run/netns/a", group: "g", name: "n", labels: [:])
                #expect(try client.attach(request) == [])
                #expect(try client.detach(group: "g", name: "n") == ScriptedService.status)
                #expect(try client.metrics() == "egret_revision 7\n")
            }
            #expect(
                service.calls.map(\.name) == [
                    "plan", "apply", "confirm", "rollback", "rollback", "history", "difference", "documents",
                    "documents",
                    "policies", "endpoints", "status", "synchronize", "attach g/n", "detach g/n", "metrics",
                ])
            #expect(service.calls[0].request == change)
            #expect(service.calls[1].request == change)
            #expect(service.calls[3].numbers == [nil])
            #expect(service.calls[4].numbers == [3])
            #expect(service.calls[6].numbers == [6, 7])
            #expect(service.calls[7].numbers == [nil])
            #expect(service.calls[8].numbers == [6])
        }
    }

    @Test(
        "a name arrives as it was given, whatever it has that means something in a request's first line",
        arguments: [
            "default/web", "web", "", "a b", "a&name=b", "a=b", "a#b?c", "a%2Fb", "a+b", "ö",
            "a HTTP/1.1\r\nx: y\r\n\r\n", "2026-03-01T00:00:00+01:00",
        ])
    func names(_ name: String) async throws {
        let target = "/v1/endpoints?name=\(QueryValue.encoded(name))"
        #expect(target.utf8.allSatisfy { (0x21...0x7e).contains($0) })
        #expect(try AgentRoute.read("GET", target) == .endpoints(named: name))
        let flows = "/v1/flows?endpoint=\(QueryValue.encoded(name))&verdict=denied"
        var query = FlowQuery(endpoint: name)
        query.deniedOnly = true
        #expect(try AgentRoute.read("GET", flows) == .flows(query))
        try await withServer { service, path, _ in
            let found = try await blocking { try AgentClient(AgentAddress(chosen: path)).endpoints(named: name) }
            #expect(found == ScriptedService.endpoints.filter { $0.name == name })
            #expect(service.calls.map(\.name) == ["endpoints"])
        }
    }

    @Test("escapes of other clients are read, in small digits as well")
    func escapes() throws {
        #expect(try AgentRoute.read("GET", "/v1/endpoints?name=docker%2fweb%2Dx") == .endpoints(named: "docker/web-x"))
        #expect(QueryValue.decoded("%c3%B6") == "ö")
        for wrong in ["%", "%2", "%g0", "%0g", "%%41", "%c3"] { #expect(QueryValue.decoded(wrong) == nil) }
    }

    @Test("the author of a change is the process that asks, as the kernel knows it")
    func author() async throws {
        try await withServer { service, path, _ in
            _ = try await blocking { try AgentClient(AgentAddress(chosen: path)).apply(ApplyRequest()) }
            let process = CurrentProcess.identifier
            let name = try File.readText("/proc/\(process)/comm").split(separator: "\n")[0]
            #expect(service.calls.first?.author == "uid \(CurrentProcess.effectiveUser), pid \(process) (\(name))")
        }
    }

    @Test(
        "a refusal of the service comes back with its advice and diagnostics",
        arguments: [
            "invalid", "conflict", "notFound", "forbidden", "tooLarge", "failed",
        ])
    func refusal(_ code: String) async throws {
        let refusal = APIError(code, "it will not do", advice: "do it otherwise", diagnostics: ["web.yaml:1: wrong"])
        try await withServer { service, path, _ in
            service.refuse(with: refusal)
            await #expect(throws: refusal) {
                try await blocking { try AgentClient(AgentAddress(chosen: path)).confirm() }
            }
        }
    }

    @Test("an error of the machine's is a failure in its own words")
    func failure() async throws {
        try await withServer { service, path, _ in
            service.refuse(with: LinuxError(.busy, operation: "write", object: "the store"))
            await #expect(throws: APIError("failed", "cannot write the store: EBUSY (Device or resource busy)")) {
                try await blocking { try AgentClient(AgentAddress(chosen: path)).status() }
            }
        }
    }

    @Test("without an agent the client says how to start it")
    func absent() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/agent.sock"
        func complaint() throws -> AgentClientError {
            try #require(throws: AgentClientError.self) { try AgentClient(AgentAddress(chosen: path)).status() }
        }
        let missing = try complaint()
        #expect(missing.message == "the agent does not run: nobody listens at \(path)")
        #expect(missing.advice == "start it with: sudo egret agent, or: sudo systemctl start egret-agent")
        // What a killed agent leaves.
        _ = try UnixSocket.bind(path)
        #expect(try complaint() == missing)
    }

    @Test("a change of many megabytes arrives whole")
    func large() async throws {
        try await withServer { service, path, _ in
            let text = String(repeating: "# a line of a large file\n", count: 1_000_000)
            let change = ApplyRequest(files: [SourceFile(name: "large.yaml", text: text)])
            let report = try await blocking { try AgentClient(AgentAddress(chosen: path)).apply(change) }
            #expect(report == ScriptedService.report)
            #expect(service.calls.first?.request == change)
        }
    }

    @Test("an answer that does not come in time is an error of the client's")
    func late() async throws {
        try await withServer { service, path, _ in
            service.take(.milliseconds(1500))
            let late = try await blocking {
                var client = AgentClient(AgentAddress(chosen: path))
                client.timeout = .seconds(1)
                return try #require(throws: AgentClientError.self) { try client.status() }
            }
            #expect(late.message == "the agent has not answered within 1 s")
        }
    }

    @Test("nor is a change waited for that nobody reads, or a connection that nobody takes")
    func stuck() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/agent.sock"
        // It listens, and never accepts: what is connected waits in the kernel.
        let stranger = try RunningProgram([
            "/usr/bin/python3", "-c",
            "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(5)",
            path,
        ])
        let late = try await blocking {
            while !File.exists(path) { Thread.sleep(forTimeInterval: 0.01) }
            Thread.sleep(forTimeInterval: 0.05)
            var client = AgentClient(AgentAddress(chosen: path))
            client.changeTimeout = .seconds(1)
            let text = String(repeating: "# more than a socket holds\n", count: 100_000)
            let change = ApplyRequest(files: [SourceFile(name: "large.yaml", text: text)])
            return try #require(throws: AgentClientError.self) { try client.apply(change) }
        }
        #expect(late.message == "the agent has not answered within 1 s")
        #expect(stranger.wait().succeeded)
    }

    @Test(
        "a program that is no agent is told from one",
        arguments: [
            ("HTTP/1.1 200 OK\r\n\r\nhello", "the agent's answer to GET /v1/status cannot be read"),
            ("not HTTP at all\r\n\r\n", "what the agent answers is not HTTP/1.1"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
                "the agent's answer to GET /v1/status cannot be read"
            ),
            ("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", "answered GET /v1/status with the status 302"),
            ("", "the agent has ended the connection without an answer"),
        ])
    func strangers(_ answer: String, _ complaint: String) async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/agent.sock"
        let stranger = try RunningProgram([
            "/usr/bin/python3", "-c",
            """
            import socket, sys
            server = socket.socket(socket.AF_UNIX)
            server.bind(sys.argv[1])
            server.listen()
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(sys.argv[2].encode())
            """, path, answer,
        ])
        let found = try await blocking {
            while !File.exists(path) { Thread.sleep(forTimeInterval: 0.01) }
            Thread.sleep(forTimeInterval: 0.05)
            return try #require(throws: AgentClientError.self) { try AgentClient(AgentAddress(chosen: path)).status() }
        }
        #expect(found.message.contains(complaint), "\(found.message)")
        #expect(stranger.wait().succeeded)
    }
}
