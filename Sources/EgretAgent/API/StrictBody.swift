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

/// What a request's body asks for.
protocol RequestBody: Decodable, Sendable {
    /// What it is, in messages.
    static var noun: String { get }
    /// Its fields; where one is a list of documents, with the fields of each.
    static var fields: [String: [String]] { get }
}

extension ApplyRequest: RequestBody {
    static let noun = "change"
    static let fields: [String: [String]] = [
        "files": ["name", "text"], "prune": [], "directories": [], "delete": [], "confirmWithin": [], "message": [],
    ]
}

extension AttachRequest: RequestBody {
    static let noun = "attachment"
    static let fields: [String: [String]] = [
        "namespace": [], "group": [], "name": [], "labels": [], "container": [], "selectedBy": [],
    ]
}

extension BudgetChange: RequestBody {
    static let noun = "change of a budget"
    static let fields: [String: [String]] = ["policy": [], "budget": [], "account": [], "grant": [], "unit": []]
}

/// The body of a request that says all in its path.
enum EmptyBody {
    /// Makes sure that a body says nothing: a rollback to `{"to": 3}` must not pass for one to the last revision.
    ///
    /// - Parameters:
    ///   - buffer: What was sent; nothing, white space and `{}` say nothing.
    ///   - target: The path with its parameters.
    /// - Throws: ``APIRefusal`` if it says something.
    static func check(_ buffer: ByteBuffer, of target: String) throws(APIRefusal) {
        let said = buffer.readableBytesView.filter { !" \t\r\n".utf8.contains($0) }
        guard !said.isEmpty, !said.elementsEqual("{}".utf8) else { return }
        let path = target.prefix { $0 != "?" }
        let parameters = (AgentRoute.parameters[String(path)] ?? []).map { "?\($0)=" }.joined(separator: ", ")
        throw APIRefusal(
            .badRequest, "\(path) takes no body",
            advice: parameters.isEmpty ? nil : "what it takes is part of the path: \(parameters)")
    }
}

/// A body as it is sent, without fields that nobody knows: `confirmwithin` must not pass for no time at all.
struct StrictBody<Body: RequestBody>: Decodable {
    private let body: Body

    private struct Field: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Field.self)
        try StrictBody.refuseUnknown(of: fields, among: Array(Body.fields.keys))
        for (list, known) in Body.fields where !known.isEmpty && fields.contains(Field(stringValue: list)) {
            var items = try fields.nestedUnkeyedContainer(forKey: Field(stringValue: list))
            while !items.isAtEnd {
                try StrictBody.refuseUnknown(of: items.nestedContainer(keyedBy: Field.self), among: known)
            }
        }
        body = try Body(from: decoder)
    }

    private static func refuseUnknown(of fields: KeyedDecodingContainer<Field>, among known: [String]) throws {
        let names = fields.allKeys.map(\.stringValue)
        guard let unknown = names.filter({ !known.contains($0) }).min() else { return }
        let meant = Spelling.nearest(to: unknown, among: known.sorted()).map { "did you mean \($0)?" }
        let place = path(fields.codingPath + [Field(stringValue: unknown)])
        throw APIRefusal(.badRequest, "the \(Body.noun) has no field \(place)", advice: meant)
    }

    /// Reads a body.
    ///
    /// - Parameter buffer: JSON.
    /// - Returns: What it asks for.
    /// - Throws: ``APIRefusal`` that says what is wrong, and where.
    static func read(_ buffer: ByteBuffer) throws(APIRefusal) -> Body {
        do {
            return try JSONDecoder().decode(StrictBody.self, from: Data(buffer.readableBytesView)).body
        } catch let refusal as APIRefusal {
            throw refusal
        } catch {
            throw APIRefusal(
                .badRequest, "the body is no \(Body.noun): \(text(of: error))",
                advice: "send JSON, as \(Body.self) in docs/openapi.yaml describes it")
        }
    }

    private static func text(of error: any Error) -> String {
        guard let error = error as? DecodingError else { return "\(error)" }
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty ? "" : " at \(path(context.codingPath))"
        }
        return switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            context.debugDescription + place(context)
        case .keyNotFound(let key, let context): "there is no \(key.stringValue)" + place(context)
        @unknown default: "it cannot be read"
        }
    }

    /// `files[0].name`.
    private static func path(_ keys: [any CodingKey]) -> String {
        let path = keys.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        return path.hasPrefix(".") ? String(path.dropFirst()) : path
    }
}
