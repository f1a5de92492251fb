// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDocuments
import EgretPolicy
import EgretTesting
import Foundation
import NIOCore
import Testing

@testable import EgretAgent

/// `docs/openapi.yaml` against the server's routes and the documents' fields.
@Suite("The description of the API")
struct OpenAPITests {
    private let root: DocumentNode

    init() throws {
        let package = String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex)) + "/../.."
        let read = DocumentReader.read(text: try contents(of: package + "/docs/openapi.yaml"), file: "openapi.yaml")
        #expect(read.diagnostics == [])
        root = try #require(read.documents.first)
    }

    /// The values that documents are made of.
    static let examples: [(name: String, value: any Encodable & Sendable)] = [
        ("SourceFile", SourceFile(name: "a", text: "b")),
        (
            "ApplyRequest",
            ApplyRequest(files: [], prune: true, directories: [], delete: [], confirmWithin: 1, message: "m")
        ),
        (
            "AttachRequest",
            AttachRequest(namespace: "/n", group: "g", name: "n", labels: [:], container: "c", selectedBy: "k")
        ),
        ("ChangeReport", ChangeReport(revision: 1, confirmBy: 1)),
        ("ObjectChange", ChangeReport.ObjectChange(object: "a", change: "added")),
        (
            "EndpointChange",
            ChangeReport.EndpointChange(
                endpoint: "a/b", egress: true, ingress: true, routes: true, limits: true, budgets: true,
                generations: [1])
        ),
        (
            "RevisionInfo",
            RevisionInfo(
                number: 1, time: 1, author: "a", message: "m", state: "current", reason: "r", objects: 1, confirmBy: 1)
        ),
        ("RevisionDifference", RevisionDifference(objects: [], text: "")),
        ("Condition", Condition(.enforced, false, reason: "r")),
        (
            "PolicyInfo",
            PolicyInfo(
                object: "a", tier: "admin", mode: "audit", source: "f:1", endpoints: 1, traffic: [], conditions: [])
        ),
        (
            "EndpointInfo",
            EndpointInfo(
                name: "a/b", network: "n", namespace: "ns", addresses: [], subnets: [], leads: [], labels: [:],
                ports: [], egress: [], networkDefault: "deny", ingress: [], routes: [], limits: [], rates: [],
                names: HeldNames(names: 1, addresses: 1), generations: [], refused: 1, conditions: [])
        ),
        ("RateInfo", RateInfo(direction: "egress", packets: 1, bytes: 1, dropped: 1, waiting: 1)),
        ("HeldNames", HeldNames(names: 1, addresses: 1)),
        (
            "BudgetInfo",
            BudgetInfo(
                policy: "p", budget: "b", account: "a", endpoints: 1, unit: "packets", used: 1, amount: 1, granted: 1,
                period: "month", when: "mon (UTC)", isOpen: true, ends: 1, forecast: 1, cost: 1, costForecast: 1,
                currency: "USD", onExhausted: "deny", isExhausted: true, refused: 1)
        ),
        ("BudgetChange", BudgetChange(policy: "p", budget: "b", account: "a", grant: 1, unit: "packets")),
        (
            "UsageRow",
            UsageRow(
                endpoint: "e", policy: "p", priceList: "l", destination: "d", day: "2026-11-21", packets: 1, bytes: 1,
                cost: [:])
        ),
        (
            "CostInfo",
            CostInfo(
                priceList: "l", destination: "d", used: 1, free: 1, cost: 1, currency: "USD", ends: 1, forecast: 1,
                costForecast: 1)
        ),
        ("ClauseTraffic", ClauseTraffic(direction: "egress", rule: "r", verdict: "deny", packets: 1, bytes: 1)),
        ("FlowList", FlowList(cursor: 1, flows: [], lost: 1, forgotten: 1)),
        (
            "FlowInfo",
            FlowInfo(
                endpoint: "a/b", direction: "egress", verdict: "deny", policy: "p", rule: "r", peer: "p",
                peerEndpoint: "a/c", protocol: "tcp", port: 1, icmpType: 1, name: "n", packets: 1, bytes: 1, first: 1,
                last: 1)
        ),
        (
            "AgentStatus",
            AgentStatus(
                process: 1, networkNamespace: 1, revision: 1, policies: 1, endpoints: 1, repairs: 1, problem: "p",
                networkDefault: "deny", heldConnections: 1, rulesetChanges: 1)
        ),
        ("APIError", APIError("invalid", "m", advice: "a", diagnostics: [])),
    ]

    @Test("describes every route of the server, with its parameters, and no other")
    func routes() throws {
        let paths = try #require(root["paths"]).entries
        let described = paths.flatMap { path in path.value.entries.map { "\($0.key.uppercased()) \(path.key)" } }
        #expect(described.sorted() == AgentRoute.table.map { "\($0.method) \($0.path)" }.sorted())
        for path in paths {
            for operation in path.value.entries {
                let names = operation.value["parameters"]?.items.map { ($0["in"]?.text ?? "", $0["name"]?.text ?? "") }
                let inPath = (names ?? []).filter { $0.0 == "path" }.map { "{\($0.1)}" }
                #expect(inPath == path.key.split(separator: "/").map(String.init).filter { $0.hasPrefix("{") })
                let inQuery = (names ?? []).filter { $0.0 == "query" }.map(\.1)
                #expect(inQuery == (AgentRoute.parameters[path.key] ?? []))
                #expect(
                    (operation.value["requestBody"] != nil)
                        == ["/v1/plan", "/v1/apply", "/v1/attached", "/v1/budgets/change"].contains(path.key))
                #expect(operation.value["responses"]?["200"] != nil)
            }
        }
    }

    @Test("describes every kind of condition, and no other")
    func conditions() throws {
        let schema = try #require(root["components"]?["schemas"]?["Condition"])
        let kinds = schema["properties"]?["type"]?["enum"]?.items.map(\.text)
        #expect(kinds == Condition.Kind.allCases.map(\.rawValue))
    }

    @Test("every route that is described leads somewhere")
    func reachable() throws {
        for (method, path) in AgentRoute.table {
            let parts = path.split(separator: "/").map { $0.hasPrefix("{") ? "1" : String($0) }
            #expect(throws: Never.self) { try AgentRoute.read(method, "/" + parts.joined(separator: "/")) }
        }
        let routes = try AgentRoute.table.map { method, path in
            try AgentRoute.read(method, path.replacing(#/\{\w+\}/#, with: "1"))
        }
        #expect(Set(routes).count == AgentRoute.table.count)
    }

    @Test("describes every field of every document, and no other", arguments: OpenAPITests.examples.map(\.name))
    func fields(_ name: String) throws {
        let example = try #require(OpenAPITests.examples.first { $0.name == name })
        let schema = try #require(root["components"]?["schemas"]?[name])
        let data = try JSONEncoder().encode(example.value)
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let properties = try #require(schema["properties"]).entries
        #expect(properties.map(\.key).sorted() == object.keys.sorted())
        // A field that may be missing is an Optional.
        let optional = Mirror(reflecting: example.value).children.filter {
            Mirror(reflecting: $0.value).displayStyle == .optional
        }
        let required = Set(object.keys).subtracting(optional.compactMap(\.label))
        #expect(schema["required"]?.items.map(\.text).sorted() == required.sorted())
        for property in properties {
            let value = object[property.key]
            let type = property.value["type"]
            let types = type.map { $0.items.isEmpty ? [$0.text] : $0.items.map(\.text) } ?? ["string"]
            #expect(types.contains(Self.type(of: value)), "\(name).\(property.key)")
            #expect(property.value["description"] != nil)
        }
    }

    @Test("describes every document of the API")
    func documents() throws {
        let described = try #require(root["components"]?["schemas"]).entries.map(\.key)
        #expect(described.sorted() == OpenAPITests.examples.map(\.name).sorted())
    }

    @Test("the fields of bodies are those that are taken, and others are told to be refused")
    func bodies() throws {
        func check(_ name: String, _ fields: [String]) throws {
            let schema = try #require(root["components"]?["schemas"]?[name])
            #expect(schema["properties"]?.entries.map(\.key).sorted() == fields.sorted(), "\(name)")
            #expect(schema["additionalProperties"]?.text == "false", "\(name)")
        }
        try check("ApplyRequest", Array(ApplyRequest.fields.keys))
        try check("SourceFile", try #require(ApplyRequest.fields["files"]))
        try check("AttachRequest", Array(AttachRequest.fields.keys))
        try check("BudgetChange", Array(BudgetChange.fields.keys))
    }

    @Test("every reference leads to something")
    func references() throws {
        func check(_ node: DocumentNode) {
            for entry in node.entries {
                if entry.key == "$ref" {
                    let parts = entry.value.text.split(separator: "/").dropFirst().map(String.init)
                    let target = parts.reduce(Optional(root)) { $0?[$1] }
                    #expect(target != nil, "\(entry.value.text)")
                }
                check(entry.value)
            }
            for item in node.items { check(item) }
        }
        check(root)
    }

    @Test("the example of a change can be read, and holds a policy")
    func example() throws {
        let media = root["components"]?["requestBodies"]?["Change"]?["content"]?["application/json"]
        let file = try #require(media?["example"]?["files"]?.items.first)
        let text = try #require(file["text"]?.text)
        let read = PolicyFiles.read([(name: "example", bytes: Array(text.utf8))])
        #expect(read.diagnostics == [])
        #expect(read.policies.map(\.name) == ["web"])
    }

    @Test("the limits that are described are the server's")
    func limits() throws {
        let text = try #require(root["info"]?["description"]?.text)
        let limits = AgentConnection.Limits()
        #expect(text.contains("at most \(AgentAPI.bodyLimit) bytes"))
        #expect(text.contains("\(limits.connections) connections"))
        #expect(text.contains("after 60 s"))
        #expect([limits.idle, limits.receiving, limits.writing].allSatisfy { $0 == .seconds(60) })
        #expect(text.contains(AgentAPI.socketPath))
    }

    private static func type(of value: Any?) -> String {
        switch value {
        case let number as NSNumber where isBoolean(number): "boolean"
        case is NSNumber: "integer"
        case is String: "string"
        case is [Any]: "array"
        default: "object"
        }
    }

    private static func isBoolean(_ number: NSNumber) -> Bool {
        unsafe String(cString: number.objCType) == "c"
    }
}

extension DocumentNode {
    fileprivate var entries: [Entry] {
        guard case .mapping(let entries) = content else { return [] }
        return entries
    }

    fileprivate var items: [DocumentNode] {
        guard case .sequence(let items) = content else { return [] }
        return items
    }

    fileprivate subscript(key: String) -> DocumentNode? {
        entries.first { $0.key == key }?.value
    }
}
