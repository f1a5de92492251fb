// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretTesting
import Foundation
import NIOCore
import Testing

@testable import EgretAgent

@Suite("The agent's server, byte by byte")
struct AgentServerTests {
    private static let change = #"{"files":[{"name":"a.yaml","text":"x"}]}"#

    @Test("a request is understood wherever it is cut in two", arguments: Array(stride(from: 1, to: 100, by: 9)))
    func split(_ place: Int) async throws {
        try await withServer { service, path, _ in
            let text = request("POST", "/v1/apply", Self.change, headers: ["connection: close"])
            let cut = text.index(text.startIndex, offsetBy: min(place, text.count - 1))
            let answer = try await exchange(path, String(text[..<cut]), String(text[cut...]))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(service.calls.map(\.request?.files.first?.name) == ["a.yaml"])
        }
    }

    @Test("a body in chunks is put together")
    func chunks() async throws {
        try await withServer { service, path, _ in
            let head =
                "POST /v1/plan HTTP/1.1\r\nhost: egret\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
            let answer = try await exchange(
                path, head, "a\r\n{\"files\":[\r\n", "2\r\n]}\r\n0\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(service.calls.first?.request == ApplyRequest())
        }
    }

    @Test("requests that are sent without waiting are answered in their order, on the same connection")
    func pipelined() async throws {
        try await withServer { service, path, _ in
            service.take(.milliseconds(20))
            let answer = try await exchange(
                path,
                request("GET", "/v1/status") + request("POST", "/v1/plan", Self.change)
                    + request("GET", "/metrics", headers: ["connection: close"]))
            #expect(answer.count(of: "HTTP/1.1 200 OK\r\n") == 3)
            #expect(service.calls.map(\.name) == ["status", "plan", "metrics"])
            #expect(service.mostRunning == 1)
            #expect(answer.hasSuffix("\r\n\r\negret_revision 7\n"))
            #expect(answer.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"))
        }
    }

    @Test("requests of several connections are worked on at the same time")
    func concurrent() async throws {
        try await withServer { service, path, _ in
            service.take(.milliseconds(500))
            try await withThrowingTaskGroup(of: AgentStatus.self) { group in
                for _ in 0..<8 {
                    group.addTask { try await blocking { try AgentClient(AgentAddress(chosen: path)).status() } }
                }
                for try await status in group { #expect(status == ScriptedService.status) }
            }
            #expect(service.mostRunning >= 4)
        }
    }

    @Test(
        "what is no HTTP gets the status 400, and ends the connection",
        arguments: [
            "\u{0}\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "GET / SPDY/9\r\n\r\n", "{\"files\":[]}\r\n\r\n",
            "GET / HTTP/1.1\r\nhost egret\r\n\r\n", "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
            "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        ])
    func garbage(_ bytes: String) async throws {
        try await withServer { service, path, server in
            let answer = try await exchange(path, bytes)
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
            #expect(answer.contains(#""code":"invalid""#))
            #expect(service.calls.isEmpty)
        }
    }

    @Test("random bytes bring nothing down")
    func noise() async throws {
        try await withServer { _, path, _ in
            var generator = SeededGenerator(seed: 4)
            for _ in 0..<100 {
                let start = ["", "POST /v1/plan HTTP/1.1\r\n", "GET /v1/status HTTP/1.1\r\n\r\n"]
                let noise = (0..<Int.random(in: 1..<400, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                let text = start[Int.random(in: 0..<3, using: &generator)] + String(decoding: noise, as: UTF8.self)
                try await blocking {
                    let connection = try RawConnection(path)
                    try? connection.send(text)
                }
            }
            let status = try await blocking { try AgentClient(AgentAddress(chosen: path)).status() }
            #expect(status == ScriptedService.status)
        }
    }

    @Test(
        "a path that is not there, another method, and numbers that are none are refused",
        arguments: [
            ("GET", "/", 404, "there is nothing at /"),
            ("GET", "/v1", 404, "there is nothing at /v1"),
            ("GET", "/v1/status/", 404, "there is nothing at /v1/status/"),
            ("GET", "/v2/status", 404, "there is nothing at /v2/status"),
            ("GET", "/v1/apply", 405, "/v1/apply takes POST, not GET"),
            ("DELETE", "/v1/status", 405, "/v1/status takes GET, not DELETE"),
            ("HEAD", "/metrics", 405, "content-length: "),
            ("GET", "/v1/revisions/x/documents", 400, "x is no revision"),
            ("GET", "/v1/revisions/-1/documents", 400, "-1 is no revision"),
            ("GET", "/v1/revisions/1/difference/99999999999999999999", 400, "is no revision"),
            ("POST", "/v1/rollback?to=", 400, " is no revision"),
            ("POST", "/v1/rollback?two=1", 400, "/v1/rollback has no parameter two"),
            ("POST", "/v1/rollback?to=1&to=2", 400, "the parameter to stands twice"),
            ("GET", "/v1/status?verbose", 400, "/v1/status has no parameter verbose"),
            ("GET", "/v1/usage?prices=yes", 400, "prices is true or false, not yes"),
            ("GET", "/v1/endpoints?name=a%2", 400, "a%2 is no value: a percent sign is written %25"),
            ("GET", "/v1/endpoints?name=%ff", 400, "%ff is no value"),
            ("GET", "/v1/endpoints?name=a&name=b", 400, "the parameter name stands twice"),
        ])
    func routes(_ method: String, _ target: String, _ status: Int, _ message: String) async throws {
        try await withServer { service, path, _ in
            let answer = try await exchange(path, request(method, target, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(answer)")
            #expect(answer.contains(message))
            #expect(answer.contains("allow: ") == (status == 405))
            #expect(answer.hasSuffix("\r\n\r\n") == (method == "HEAD"))
            #expect(service.calls.isEmpty)
        }
    }

    @Test(
        "a body that is no change is refused in words",
        arguments: [
            ("", "the body is no change"),
            ("{", "the body is no change"),
            ("[]", "the body is no change"),
            ("{}", "there is no files"),
            (#"{"files":[{"name":"a"}]}"#, "there is no text at files[0]"),
            (#"{"files":[],"confirmWithin":"60s"}"#, "at confirmWithin"),
            (#"{"files":[],"confirmwithin":60}"#, "the change has no field confirmwithin"),
            (
                #"{"file":[]}"#,
                #""advice":"did you mean files?","code":"invalid","message":"the change has no field file""#
            ),
            (
                #"{"files":[{"name":"a","text":""},{"name":"a","txt":""}]}"#,
                #""advice":"did you mean text?","code":"invalid","message":"the change has no field files[1].txt""#
            ),
            (#"{"files":["a"]}"#, "at files[0]"),
            (#"{"files":[],"confirmWithin":0}"#, "confirmWithin is 0, and is at least 1 second"),
            (String(repeating: "[", count: 100_000), "the body is no change"),
            ("{\"files\":[{\"name\":\"a\",\"text\":\"\u{fffe}\\ud800\"}]}", "the body is no change"),
        ])
    func bodies(_ body: String, _ message: String) async throws {
        try await withServer { service, path, _ in
            let answer = try await exchange(path, request("POST", "/v1/apply", body, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
            #expect(answer.contains(message), "\(answer)")
            #expect(service.calls.isEmpty)
        }
    }

    @Test(
        "what attaches, or changes a budget, has no fields that nobody knows",
        arguments: [
            (
                "/v1/attached", #"{"namespace":"/n","group":"g","name":"n","labels":{"a":"b"},"selectdBy":"a"}"#,
                #""advice":"did you mean selectedBy?","code":"invalid","message":"the attachment has no field selectdBy""#
            ),
            ("/v1/attached", #"{"namespace":"/n","group":"g","name":"n"}"#, "no attachment: there is no labels"),
            ("/v1/attached", #"{"namespace":"/n","group":"g","name":"n","labels":{"a":1}}"#, "at labels.a"),
            (
                "/v1/budgets/change", #"{"policy":"p","budget":"b","acount":"a"}"#,
                #""advice":"did you mean account?","code":"invalid","message":"the change of a budget has no field acount""#
            ),
            ("/v1/budgets/change", #"{"policy":"p","budget":"b","grant":-1}"#, "the body is no change of a budget"),
        ])
    func otherBodies(_ target: String, _ body: String, _ message: String) async throws {
        try await withServer { service, path, _ in
            let answer = try await exchange(path, request("POST", target, body, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
            #expect(answer.contains(message), "\(answer)")
            #expect(service.calls.isEmpty)
        }
    }

    @Test(
        "what says all in its path takes no body",
        arguments: [
            ("POST", "/v1/rollback", #"{"to":3}"#, #""advice":"what it takes is part of the path: ?to=","#),
            ("POST", "/v1/confirm", "x", #""message":"/v1/confirm takes no body""#),
            ("GET", "/v1/flows?after=7", "[]", "part of the path: ?endpoint=, ?verdict=, ?after="),
            ("DELETE", "/v1/attached/netns/a", #"{"force":true}"#, "/v1/attached/netns/a takes no body"),
        ])
    func noBodies(_ method: String, _ target: String, _ body: String, _ message: String) async throws {
        try await withServer { service, path, _ in
            let answer = try await exchange(path, request(method, target, body, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(answer)")
            #expect(answer.contains(message), "\(answer)")
            #expect(service.calls.isEmpty)
        }
    }

    @Test("a body that says nothing is none", arguments: ["", " \r\n", "{}", "{ }\n"])
    func emptyBodies(_ body: String) async throws {
        try await withServer { service, path, _ in
            let answer = try await exchange(
                path, request("POST", "/v1/rollback?to=3", body, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(answer)")
            #expect(service.calls.map(\.numbers) == [[3]])
        }
    }

    @Test("a body over the limit is refused, whether it says its length or not, and the refusal can be read")
    func tooLarge() async throws {
        var limits = AgentConnection.Limits()
        limits.body = 100_000
        try await withServer(limits: limits) { service, path, _ in
            let body = String(repeating: "x", count: 1_000_000)
            let declared = try await exchange(path, request("POST", "/v1/apply", body))
            #expect(declared.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"), "\(declared)")
            #expect(declared.contains(#""code":"tooLarge""#))
            let head = "POST /v1/apply HTTP/1.1\r\nhost: egret\r\ntransfer-encoding: chunked\r\n\r\n"
            let chunked = try await exchange(path, head + "f4240\r\n" + body + "\r\n0\r\n\r\n")
            #expect(chunked.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"), "\(chunked)")
            let promised = try await exchange(
                path, "POST /v1/apply HTTP/1.1\r\nhost: e\r\nexpect: 100-continue\r\ncontent-length: 900000\r\n\r\n", ""
            )
            #expect(promised.hasPrefix("HTTP/1.1 413 Payload Too Large\r\n"), "\(promised)")
            #expect(service.calls.isEmpty)
            let just = #"{"files":[{"name":"a","text":""# + String(repeating: "y", count: 99_000) + #""}]}"#
            let fits = try await exchange(path, request("POST", "/v1/apply", just, headers: ["connection: close"]))
            #expect(fits.hasPrefix("HTTP/1.1 200 OK\r\n"))
        }
    }

    @Test("a large body, which comes in many pieces, comes whole")
    func large() async throws {
        try await withServer { service, path, _ in
            let text = String(repeating: "0123456789abcde ", count: 3 << 20)
            let body = "{\"files\":[{\"name\":\"a.yaml\",\"text\":\"\(text)\"}]}"
            let answer = try await exchange(path, request("POST", "/v1/plan", body, headers: ["connection: close"]))
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(answer.prefix(1_000))")
            let isWhole = service.calls.first?.request?.files.first?.text == text
            #expect(isWhole)
        }
    }

    @Test("who waits to be told to go on is told to")
    func expectation() async throws {
        try await withServer { service, path, _ in
            let output = try await blocking {
                try runProgram(
                    [
                        "curl", "-sS", "--unix-socket", path, "-H", "Expect: 100-continue", "--expect100-timeout", "60",
                        "-v", "--data-binary", Self.change, "http://egret/v1/plan",
                    ], timeout: .seconds(120))
            }
            #expect(output.succeeded, "\(output.standardError)")
            #expect(output.standardError.contains("< HTTP/1.1 100 Continue"), "\(output.standardError)")
            #expect(service.calls.map(\.name) == ["plan"])
        }
    }

    @Test("silent and slow clients are given up, and keep nobody else waiting")
    func slow() async throws {
        var limits = AgentConnection.Limits()
        limits.idle = .milliseconds(200)
        limits.receiving = .milliseconds(200)
        try await withServer(limits: limits) { service, path, _ in
            async let silent = exchange(path, "")
            async let half = exchange(path, "GET /v1/sta")
            async let unfinished = exchange(
                path, "POST /v1/apply HTTP/1.1\r\nhost: e\r\ncontent-length: 9\r\n\r\n", "{}")
            let status = try await blocking { try AgentClient(AgentAddress(chosen: path)).status() }
            #expect(status == ScriptedService.status)
            #expect(try await silent == "")
            #expect(try await half == "")
            let answer = try await unfinished
            #expect(answer.hasPrefix("HTTP/1.1 408 Request Timeout\r\n"), "\(answer)")
            #expect(service.calls.map(\.name) == ["status"])
        }
    }

    @Test("a client that goes before its answer comes changes nothing for others")
    func impatient() async throws {
        try await withServer { service, path, server in
            service.take(.milliseconds(100))
            try await blocking { try RawConnection(path).send(request("POST", "/v1/apply", Self.change)) }
            let status = try await blocking { try AgentClient(AgentAddress(chosen: path)).status() }
            #expect(status == ScriptedService.status)
            for _ in 0..<100 where server.connectionCount > 0 { try await Task.sleep(for: .milliseconds(20)) }
            #expect(server.connectionCount == 0)
            #expect(service.calls.map(\.name).sorted() == ["apply", "status"])
        }
    }

    @Test("connections beyond the limit are turned away with the status 503")
    func crowd() async throws {
        var limits = AgentConnection.Limits()
        limits.connections = 2
        try await withServer(limits: limits) { _, path, server in
            let held = try [RawConnection(path), RawConnection(path)]
            while server.connectionCount < 2 { try await Task.sleep(for: .milliseconds(5)) }
            let answer = try await exchange(path, request("GET", "/v1/status"))
            #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"), "\(answer)")
            withExtendedLifetime(held) {}
        }
    }

    @Test("a stop lets requests under way come to their end, and ends idle connections")
    func stop() async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path + "/agent.sock"
        let service = ScriptedService()
        let server = try await AgentServer.start(service, at: path)
        let idle = try RawConnection(path)
        service.take(.milliseconds(400))
        async let status = blocking { try AgentClient(AgentAddress(chosen: path)).status() }
        while service.calls.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        await server.stop()
        #expect(try await status == ScriptedService.status)
        #expect(try await blocking { try idle.readToEnd() } == "")
        #expect(try Directory.names(in: folder.path) == [])
    }

    @Test("a stop waits for a change whose author has gone")
    func abandoned() async throws {
        let folder = try TemporaryDirectory()
        let service = ScriptedService()
        let server = try await AgentServer.start(service, at: folder.path + "/agent.sock")
        service.take(.milliseconds(300))
        try await blocking { [path = folder.path] in
            try RawConnection(path + "/agent.sock").send(request("POST", "/v1/apply", Self.change))
            while service.calls.isEmpty { Thread.sleep(forTimeInterval: 0.005) }
        }
        await server.stop()
        #expect(service.running == 0)
    }

    @Test("nonsense after a request does not cost that request its answer, nor nonsense within one the complaint")
    func trailing() async throws {
        try await withServer { service, path, _ in
            service.take(.milliseconds(100))
            let after = try await exchange(path, request("POST", "/v1/apply", Self.change) + "\u{0}nonsense\r\n\r\n")
            #expect(after.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(after)")
            #expect(service.calls.map(\.name) == ["apply"])
            let head = "POST /v1/apply HTTP/1.1\r\nhost: egret\r\ntransfer-encoding: chunked\r\n\r\n"
            let within = try await exchange(path, head, "zz\r\n")
            #expect(within.hasPrefix("HTTP/1.1 400 Bad Request\r\n"), "\(within)")
            #expect(service.calls.count == 1)
        }
    }

    @Test("a stop does not wait longer than it is told to")
    func cut() async throws {
        let folder = try TemporaryDirectory()
        let service = ScriptedService()
        let server = try await AgentServer.start(service, at: folder.path + "/agent.sock")
        service.take(.seconds(20))
        try await blocking { [path = folder.path] in
            let connection = try RawConnection(path + "/agent.sock")
            try connection.send(request("GET", "/v1/status"))
            while service.calls.isEmpty { Thread.sleep(forTimeInterval: 0.005) }
        }
        let start = ContinuousClock.now
        await server.stop(within: .milliseconds(200))
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
