// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretAgentClient
import EgretLinux
import EgretTesting
import Foundation
import Testing

@testable import EgretAgent

/// A server at a socket of its own, with a service that answers as it is told.
func withServer(
    members: UInt32? = nil, limits: AgentConnection.Limits = AgentConnection.Limits(),
    _ body: (ScriptedService, String, AgentServer) async throws -> Void
) async throws {
    let folder = try TemporaryDirectory()
    let service = ScriptedService()
    let path = folder.path + "/run/agent.sock"
    let server = try await AgentServer.start(service, at: path, members: members, limits: limits)
    do {
        try await body(service, path, server)
    } catch {
        await server.stop(within: .seconds(1))
        throw error
    }
    await server.stop(within: .seconds(5))
    #expect(!File.exists(path))
    withExtendedLifetime(folder) {}
}

/// Does blocking work on a thread that may block.
func blocking<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
            continuation.resume(with: Swift.Result { try body() })
        }
    }
}

/// A connection that sends what bytes it likes.
struct RawConnection: Sendable {
    private let socket: Descriptor

    init(_ path: String) throws {
        socket = try UnixSocket.connect(to: path)
    }

    /// Sends bytes, one write for each part, with a pause before each further one.
    func send(_ parts: String...) throws {
        for (index, part) in parts.enumerated() {
            if index > 0 { Thread.sleep(forTimeInterval: 0.01) }
            try socket.write(part)
        }
    }

    /// What comes until the server ends the connection.
    func readToEnd() throws -> String {
        var bytes: [UInt8] = []
        while true {
            do {
                let more = try socket.read(upTo: 65_536)
                if more.isEmpty { break }
                bytes += more
            } catch {
                // The server has thrown away what it was still sent.
                guard error.errno.name == "ECONNRESET" else { throw error }
                break
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Sends bytes to a server and reads until it ends the connection.
func exchange(_ path: String, _ parts: String...) async throws -> String {
    try await blocking { [parts] in
        let connection = try RawConnection(path)
        for (index, part) in parts.enumerated() {
            if index > 0 { Thread.sleep(forTimeInterval: 0.01) }
            do {
                try connection.send(part)
            } catch let error as LinuxError {
                guard ["EPIPE", "ECONNRESET"].contains(error.errno.name) else { throw error }
                break
            }
        }
        return try connection.readToEnd()
    }
}

/// A request with a body, as text.
func request(_ method: String, _ target: String, _ body: String = "", headers: [String] = []) -> String {
    let lines = ["\(method) \(target) HTTP/1.1", "host: egret", "content-length: \(body.utf8.count)"] + headers
    return lines.map { $0 + "\r\n" }.joined() + "\r\n" + body
}

extension String {
    /// How often a text stands in this one.
    func count(of text: String) -> Int { components(separatedBy: text).count - 1 }
}
