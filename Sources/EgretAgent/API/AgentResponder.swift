// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy
import NIOCore
import NIOHTTP1

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// An answer of the API, whole.
struct APIResponse: Sendable {
    var status: HTTPResponseStatus
    var contentType = "application/json"
    var body: [UInt8]
    var allow: String?
    /// Whether the body goes with it, or only its length.
    private(set) var sendsBody = true

    /// The answer as the request's method wants it: `HEAD` has no body (RFC 9110 section 9.3.2).
    func answering(_ head: HTTPRequestHead) -> APIResponse {
        var response = self
        response.sendsBody = head.method != .HEAD
        return response
    }

    /// A document as JSON, keys sorted, with a line feed at its end.
    init(_ document: some Encodable, status: HTTPResponseStatus = .ok) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self.status = status
        body = Array(try encoder.encode(document)) + [UInt8(ascii: "\n")]
    }

    /// A text.
    init(text: String, contentType: String) {
        status = .ok
        self.contentType = contentType
        body = Array(text.utf8)
    }

    /// A refusal, as an `APIError`.
    init(_ refusal: APIRefusal) {
        do {
            try self.init(refusal.error, status: refusal.status)
        } catch {
            self.init(text: "\(refusal.error)\n", contentType: "text/plain; charset=utf-8")
            status = refusal.status
        }
        allow = refusal.allow
    }
}

/// Requests to answers, by the service. Knows nothing of sockets.
struct AgentResponder: Sendable {
    /// What the metrics are: the Prometheus text format.
    static let metricsType = "text/plain; version=0.0.4; charset=utf-8"

    let service: any AgentService
    /// Whether it gives figures, and nothing else.
    var offersMetricsOnly = false

    /// Answers a request; every error becomes an answer.
    ///
    /// - Parameters:
    ///   - method: `GET`.
    ///   - target: The path with its parameters.
    ///   - body: The document, if there is one.
    ///   - author: Who asks.
    /// - Returns: The answer.
    func respond(method: String, target: String, body: ByteBuffer, author: String) async -> APIResponse {
        do {
            let route = try AgentRoute.read(method, target)
            if offersMetricsOnly, route != .metrics {
                throw APIRefusal(.notFound, "there is nothing here but /metrics")
            }
            return try await answer(route, body, author)
        } catch {
            return APIResponse(APIRefusal(error))
        }
    }

    private static func attachment(_ body: ByteBuffer) throws(APIRefusal) -> AttachRequest {
        do {
            return try JSONDecoder().decode(AttachRequest.self, from: Data(body.readableBytesView))
        } catch {
            throw APIRefusal(
                .badRequest, "the body attaches nothing: it cannot be read",
                advice: "send JSON, as AttachRequest in docs/openapi.yaml describes it")
        }
    }

    private static func budgetChange(_ body: ByteBuffer) throws(APIRefusal) -> BudgetChange {
        do {
            return try JSONDecoder().decode(BudgetChange.self, from: Data(body.readableBytesView))
        } catch {
            throw APIRefusal(
                .badRequest, "the body changes no budget: it cannot be read",
                advice: "send JSON, as BudgetChange in docs/openapi.yaml describes it")
        }
    }

    private func answer(_ route: AgentRoute, _ body: ByteBuffer, _ author: String) async throws -> APIResponse {
        switch route {
        case .plan: try APIResponse(await service.plan(StrictRequest.read(body)))
        case .apply: try APIResponse(await service.apply(StrictRequest.read(body), author: author))
        case .confirm: try APIResponse(await service.confirm())
        case .rollback(let number): try APIResponse(await service.rollback(to: number, author: author))
        case .history: try APIResponse(await service.history())
        case .documents(let number): try APIResponse(await service.documents(of: number))
        case .difference(let old, let new): try APIResponse(await service.difference(from: old, to: new))
        case .policies: try APIResponse(await service.policies())
        case .endpoints(let name): try APIResponse(await service.endpoints(named: name))
        case .list(let group):
            APIResponse(text: try await service.list(ofGroup: group), contentType: "text/plain; charset=utf-8")
        case .flows(let query): try APIResponse(await service.flows(query))
        case .budgets: try APIResponse(await service.budgetStates())
        case .changeBudget:
            try APIResponse(await service.change(AgentResponder.budgetChange(body), author: author))
        case .usage(let query): try APIResponse(await service.usage(query))
        case .costs: try APIResponse(await service.costs())
        case .status: try APIResponse(await service.status())
        case .synchronize: try APIResponse(await service.synchronize())
        case .attach: try APIResponse(await service.attach(AgentResponder.attachment(body)))
        case .detach(let name): try APIResponse(await service.detach(name))
        case .metrics: APIResponse(text: try await service.metrics(), contentType: AgentResponder.metricsType)
        }
    }
}

/// A change as it is asked for, without fields that nobody knows: `confirmwithin` must not pass for no time at all.
struct StrictRequest: Decodable {
    /// The fields of a change.
    static let fields: Set<String> = ["files", "prune", "directories", "delete", "confirmWithin", "message"]

    private var change: ApplyRequest
    private var unknown: [String]

    private struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let names = try decoder.container(keyedBy: Key.self).allKeys.map(\.stringValue)
        unknown = names.filter { !StrictRequest.fields.contains($0) }.sorted()
        change = try ApplyRequest(from: decoder)
    }

    /// Reads the body of a request.
    static func read(_ body: ByteBuffer) throws(APIRefusal) -> ApplyRequest {
        let request: StrictRequest
        do {
            request = try JSONDecoder().decode(StrictRequest.self, from: Data(body.readableBytesView))
        } catch {
            throw APIRefusal(
                .badRequest, "the body is no change: \(text(of: error))",
                advice: "send JSON, as ApplyRequest in docs/openapi.yaml describes it")
        }
        if let field = request.unknown.first {
            let meant = Spelling.nearest(to: field, among: fields.sorted()).map { "did you mean \($0)?" }
            throw APIRefusal(.badRequest, "a change has no field \(field)", advice: meant)
        }
        if let seconds = request.change.confirmWithin, seconds < 1 {
            throw APIRefusal(.badRequest, "confirmWithin is \(seconds), and is at least 1 second")
        }
        return request.change
    }

    private static func text(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        func place(_ context: DecodingError.Context) -> String {
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            return path.isEmpty ? "" : " at \(path.hasPrefix(".") ? String(path.dropFirst()) : path)"
        }
        return switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.debugDescription + place(context)
        case .keyNotFound(let key, let context): "there is no \(key.stringValue)" + place(context)
        @unknown default: "it cannot be read"
        }
    }
}
