// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An error in speaking to a container engine.
struct EngineError: Error, Hashable, CustomStringConvertible {
    var description: String
    /// HTTP's status, where there was one.
    var status: Int?

    init(_ description: String, status: Int? = nil) {
        self.description = description
        self.status = status
    }
}

/// The API of a container engine.
protocol ContainerEngine: Sendable {
    /// Asks for a document, which comes within a time.
    func get<Document: Decodable & Sendable>(_ target: String, within limit: Duration) async throws -> Document
    /// Has the engine do something. On return it has.
    func post(_ target: String) async throws
    /// Follows a stream of documents, one on each line, until the engine ends it.
    func follow(
        _ target: String, begin: @escaping @Sendable () async throws -> Void,
        take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws
}

extension ContainerEngine {
    /// Asks for a document.
    func get<Document: Decodable & Sendable>(_ target: String) async throws -> Document {
        try await get(target, within: EngineConnection.patience)
    }
}

/// The API of a container engine on its unix socket: one connection for each request.
struct EngineConnection: ContainerEngine {
    /// An answer of one document is at most so many bytes.
    static let answerLimit = 1 << 26
    /// A line of a stream is at most so many bytes: an event has all labels of its container.
    static let lineLimit = 1 << 26
    /// What an engine says of why it does not do something is read up to so many bytes.
    static let reasonLimit = 1 << 12
    /// An answer of one document comes within this time.
    static let patience = Duration.seconds(10)

    let socketPath: String
    let group: any EventLoopGroup

    /// Asks for a document.
    ///
    /// - Parameters:
    ///   - target: The path with its parameters.
    ///   - limit: How long the answer may take.
    /// - Returns: The document.
    /// - Throws: ``EngineError``, or an error of the connection's or of the document's.
    func get<Document: Decodable & Sendable>(_ target: String, within limit: Duration) async throws -> Document {
        try await within(limit, target) {
            let (status, body, isWhole) = try await answer(target, .GET, upTo: EngineConnection.answerLimit)
            guard isWhole else { throw EngineError("\(EngineConnection.path(of: target)): too long") }
            guard status == 200 else { throw EngineConnection.refusal(of: target, status, body) }
            return try JSONDecoder().decode(Document.self, from: Data(body))
        }
    }

    /// Has the engine do something. On return it has.
    ///
    /// - Parameter target: The path with its parameters.
    /// - Throws: ``EngineError``, or an error of the connection's.
    func post(_ target: String) async throws {
        try await within(EngineConnection.patience, target) {
            let (status, body, _) = try await answer(target, .POST, upTo: EngineConnection.reasonLimit)
            if (200..<300).contains(status) { return }
            throw EngineConnection.refusal(of: target, status, body)
        }
    }

    /// A target without its parameters, for messages.
    private static func path(of target: String) -> Substring { target.prefix { $0 != "?" } }

    /// What an answer says that is none of what was asked for.
    private static func refusal(of target: String, _ status: Int, _ body: [UInt8]) -> EngineError {
        let refusal = try? JSONDecoder().decode(EngineRefusal.self, from: Data(body.prefix(reasonLimit)))
        return EngineError(
            "\(path(of: target)) was answered \(status)" + (refusal.map { ": \($0.message)" } ?? ""),
            status: refusal?.isAbsence == true ? 404 : status)
    }

    /// What the engine answers: the status and the body, of which no more is read than the limit.
    private func answer(
        _ target: String, _ method: HTTPMethod, upTo limit: Int
    ) async throws -> (status: Int, body: [UInt8], isWhole: Bool) {
        try await exchange(target, method) { parts in
            var body: [UInt8] = []
            var status = 0
            for try await part in parts {
                switch part {
                case .head(let head): status = Int(head.status.code)
                case .body(let bytes):
                    let isWhole = bytes.readableBytes <= limit - body.count
                    body += bytes.readableBytesView.prefix(limit - body.count)
                    if !isWhole { return (status, body, false) }
                case .end: return (status, body, true)
                }
            }
            throw EngineError("\(EngineConnection.path(of: target)): the engine ended the connection")
        }
    }

    /// Follows a stream of documents, one on each line, until the engine ends it.
    ///
    /// - Parameters:
    ///   - target: The path with its parameters.
    ///   - begin: Called once, when the engine has begun: what happens from now on comes as a document. Some engines say
    ///     that they have only with the first document; they are believed to have after a second.
    ///   - take: Takes a line.
    /// - Throws: ``EngineError``, an error of the connection's, or what the two throw.
    func follow(
        _ target: String, begin: @escaping @Sendable () async throws -> Void,
        take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let beginning = Beginning(begin)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            defer { group.cancelAll() }
            group.addTask {
                try await read(target, beginning, take)
                return true
            }
            group.addTask {
                try await Task.sleep(for: .seconds(1))
                try await beginning.run()
                return false
            }
            for try await isOver in group where isOver { return }
        }
    }

    private func read(
        _ target: String, _ beginning: Beginning, _ take: @escaping @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        try await exchange(target) { parts in
            var line: [UInt8] = []
            for try await part in parts {
                switch part {
                case .head(let head):
                    guard head.status == .ok else {
                        throw EngineConnection.refusal(of: target, Int(head.status.code), [])
                    }
                    try await beginning.run()
                case .body(let bytes):
                    for byte in bytes.readableBytesView {
                        if byte != UInt8(ascii: "\n") {
                            line.append(byte)
                            guard line.count <= EngineConnection.lineLimit else {
                                throw EngineError("a line is too long")
                            }
                        } else if !line.isEmpty {
                            try await take(line)
                            line.removeAll(keepingCapacity: true)
                        }
                    }
                case .end: return
                }
            }
        }
    }

    private func within<Result: Sendable>(
        _ limit: Duration, _ target: String, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            guard let first = try await group.next(), let result = first else {
                throw EngineError(
                    "\(EngineConnection.path(of: target)): no answer within \(limit.components.seconds) s")
            }
            return result
        }
    }

    private func exchange<Result: Sendable>(
        _ target: String, _ method: HTTPMethod = .GET,
        _ body: @escaping @Sendable (NIOAsyncChannelInboundStream<HTTPClientResponsePart>) async throws -> Result
    ) async throws -> Result {
        let channel = try await ClientBootstrap(group: group).connect(unixDomainSocketPath: socketPath) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                    wrappingChannelSynchronously: channel)
            }
        }
        return try await channel.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: method, uri: target)
            head.headers.add(name: "host", value: "engine")
            if method == .POST { head.headers.add(name: "content-length", value: "0") }
            try await outbound.write(contentsOf: [.head(head), .end(nil)])
            return try await body(inbound)
        }
    }
}

/// Something that is done once, however many wait for it.
private actor Beginning {
    private let body: @Sendable () async throws -> Void
    private var task: Task<Void, any Error>?

    init(_ body: @escaping @Sendable () async throws -> Void) { self.body = body }

    func run() async throws {
        let current = task ?? Task { try await body() }
        task = current
        try await withTaskCancellationHandler {
            try await current.value
        } onCancel: {
            current.cancel()
        }
    }
}
