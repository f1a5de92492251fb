// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
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
            if !route.takesBody { try EmptyBody.check(body, of: target) }
            return try await answer(route, body, author)
        } catch {
            return APIResponse(APIRefusal(error))
        }
    }

    private static func change(_ body: ByteBuffer) throws(APIRefusal) -> ApplyRequest {
        let change = try StrictBody<ApplyRequest>.read(body)
        if let seconds = change.confirmWithin, seconds < 1 {
            throw APIRefusal(.badRequest, "confirmWithin is \(seconds), and is at least 1 second")
        }
        return change
    }

    private func answer(_ route: AgentRoute, _ body: ByteBuffer, _ author: String) async throws -> APIResponse {
        switch route {
        case .plan: try APIResponse(await service.plan(AgentResponder.change(body)))
        case .apply: try APIResponse(await service.apply(AgentResponder.change(body), author: author))
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
            try APIResponse(await service.change(StrictBody<BudgetChange>.read(body), author: author))
        case .usage(let query): try APIResponse(await service.usage(query))
        case .costs: try APIResponse(await service.costs())
        case .status: try APIResponse(await service.status())
        case .synchronize: try APIResponse(await service.synchronize())
        case .attach: try APIResponse(await service.attach(StrictBody<AttachRequest>.read(body)))
        case .detach(let name): try APIResponse(await service.detach(name))
        case .metrics: APIResponse(text: try await service.metrics(), contentType: AgentResponder.metricsType)
        }
    }
}
