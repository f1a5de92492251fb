// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import NIOHTTP1

/// What a request asks for.
enum AgentRoute: Hashable, Sendable {
    case plan
    case apply
    case confirm
    case rollback(to: Int?)
    case history
    case documents(revision: Int?)
    case difference(from: Int, to: Int)
    case policies
    case endpoints(named: String?)
    case list(group: String)
    case flows(FlowQuery)
    case budgets
    case changeBudget
    case usage(UsageQuery)
    case costs
    case status
    case synchronize
    case metrics
    case attach
    case detach(name: String)

    /// Every path with the method that it takes; `{…}` stands for a part that varies.
    static let table: [(method: String, path: String)] = [
        ("POST", "/v1/plan"), ("POST", "/v1/apply"), ("POST", "/v1/confirm"), ("POST", "/v1/rollback"),
        ("GET", "/v1/revisions"), ("GET", "/v1/revisions/{revision}/documents"),
        ("GET", "/v1/revisions/{from}/difference/{to}"), ("GET", "/v1/policies"), ("GET", "/v1/endpoints"),
        ("GET", "/v1/groups/{group}/list"), ("GET", "/v1/flows"), ("GET", "/v1/budgets"),
        ("POST", "/v1/budgets/change"), ("GET", "/v1/usage"), ("GET", "/v1/costs"), ("GET", "/v1/status"),
        ("POST", "/v1/synchronize"), ("GET", "/metrics"), ("POST", "/v1/attached"),
        ("DELETE", "/v1/attached/{group}/{name}"),
    ]

    /// The parameters that paths take after `?`.
    static let parameters: [String: [String]] = [
        "/v1/rollback": ["to"], "/v1/endpoints": ["name"], "/v1/flows": ["endpoint", "verdict", "after"],
        "/v1/usage": ["by", "since", "prices"],
    ]

    /// Whether the request's body says more.
    var takesBody: Bool {
        switch self {
        case .plan, .apply, .changeBudget, .attach: true
        default: false
        }
    }

    /// Reads the first line of a request.
    ///
    /// - Parameters:
    ///   - method: `GET`.
    ///   - target: The path, and what follows `?`.
    /// - Returns: What is asked for.
    /// - Throws: ``APIRefusal`` with the status 400, 404 or 405.
    static func read(_ method: String, _ target: String) throws(APIRefusal) -> AgentRoute {
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = halves.first ?? ""
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        guard let entry = table.first(where: { matches(parts, $0.path) }) else {
            throw APIRefusal(.notFound, "there is nothing at \(path)", advice: "docs/openapi.yaml lists what there is")
        }
        guard entry.method == method else {
            throw APIRefusal(.methodNotAllowed, "\(path) takes \(entry.method), not \(method)", allow: entry.method)
        }
        let parameters = try parameters(halves.count > 1 ? String(halves[1]) : "", of: entry.path)
        return try route(entry.path, parts, parameters)
    }

    private static func matches(_ parts: [String], _ template: String) -> Bool {
        let wanted = template.split(separator: "/")
        return wanted.count == parts.count && zip(wanted, parts).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
    }

    private static func route(
        _ template: String, _ parts: [String], _ parameters: [String: String]
    ) throws(APIRefusal) -> AgentRoute {
        switch template {
        case "/v1/plan": return .plan
        case "/v1/apply": return .apply
        case "/v1/confirm": return .confirm
        case "/v1/rollback":
            guard let number = parameters["to"] else { return .rollback(to: nil) }
            return .rollback(to: try revision(number))
        case "/v1/revisions": return .history
        case "/v1/revisions/{revision}/documents":
            return .documents(revision: parts[2] == "current" ? nil : try revision(parts[2]))
        case "/v1/revisions/{from}/difference/{to}":
            return .difference(from: try revision(parts[2]), to: try revision(parts[4]))
        case "/v1/policies": return .policies
        case "/v1/endpoints": return .endpoints(named: parameters["name"])
        case "/v1/groups/{group}/list": return .list(group: parts[2])
        case "/v1/flows": return .flows(try flowQuery(parameters))
        case "/v1/budgets": return .budgets
        case "/v1/budgets/change": return .changeBudget
        case "/v1/usage": return .usage(try usageQuery(parameters))
        case "/v1/costs": return .costs
        case "/v1/status": return .status
        case "/v1/synchronize": return .synchronize
        case "/v1/attached": return .attach
        case "/v1/attached/{group}/{name}":
            return .detach(name: parts[2...3].joined(separator: "/"))
        default: return .metrics
        }
    }

    private static func flowQuery(_ parameters: [String: String]) throws(APIRefusal) -> FlowQuery {
        var query = FlowQuery(endpoint: parameters["endpoint"])
        if let verdict = parameters["verdict"] {
            guard verdict == "denied" else {
                throw APIRefusal(.badRequest, "\(verdict) is no verdict", advice: "verdict=denied, or none for all")
            }
            query.deniedOnly = true
        }
        if let after = parameters["after"] {
            guard let number = UInt64(after) else {
                throw APIRefusal(.badRequest, "\(after) is no cursor", advice: "give the cursor of an earlier answer")
            }
            query.after = number
        }
        return query
    }

    private static func usageQuery(_ parameters: [String: String]) throws(APIRefusal) -> UsageQuery {
        var query = UsageQuery(since: parameters["since"])
        if let prices = parameters["prices"] {
            guard ["true", "false"].contains(prices) else {
                throw APIRefusal(.badRequest, "prices is true or false, not \(prices)")
            }
            query.hasPriceLists = prices == "true"
        }
        guard let by = parameters["by"] else { return query }
        query.keys = []
        for word in by.split(separator: ",", omittingEmptySubsequences: false) {
            guard let key = UsageQuery.Key(rawValue: String(word)) else {
                throw APIRefusal(
                    .badRequest, "usage cannot be summed by \(word)",
                    advice: "by takes endpoint, policy, destination and day, with commas between")
            }
            query.keys.append(key)
        }
        return query
    }

    private static func revision(_ text: String) throws(APIRefusal) -> Int {
        guard let number = Int(text), number >= 0 else {
            throw APIRefusal(.badRequest, "\(text) is no revision", advice: "a revision is a number, such as 7")
        }
        return number
    }

    /// The parameters after `?`. Those that mean nothing are refused: they might have been meant to protect something.
    private static func parameters(_ query: String, of template: String) throws(APIRefusal) -> [String: String] {
        var found: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard AgentRoute.parameters[template]?.contains(halves[0]) ?? false, halves.count == 2 else {
                throw APIRefusal(.badRequest, "\(template) has no parameter \(halves[0])")
            }
            guard let value = QueryValue.decoded(halves[1]) else {
                throw APIRefusal(.badRequest, "\(halves[1]) is no value: a percent sign is written %25")
            }
            guard found.updateValue(value, forKey: halves[0]) == nil else {
                throw APIRefusal(.badRequest, "the parameter \(halves[0]) stands twice")
            }
        }
        return found
    }
}
