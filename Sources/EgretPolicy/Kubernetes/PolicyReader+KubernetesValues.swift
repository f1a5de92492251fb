// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// The protocols with ports that Kubernetes' kinds know, as they spell them.
enum TransportProtocol: String, CaseIterable {
    case tcp = "TCP"
    case udp = "UDP"
    case sctp = "SCTP"

    var number: IPProtocol {
        switch self {
        case .tcp: .tcp
        case .udp: .udp
        case .sctp: .sctp
        }
    }
}

extension PolicyReader {
    /// Whether an error was reported after the first `mark` diagnostics.
    func hasErrors(since mark: Int) -> Bool {
        result.diagnostics[mark...].contains { $0.severity == .error }
    }

    /// The value of a field of a Kubernetes kind; `nil` if it is missing or, with a warning, has no value.
    mutating func present(_ key: String, in fields: DocumentFields) -> DocumentNode? {
        guard let node = fields[key] else { return nil }
        guard node.content == .null else { return node }
        warnAboutNull(key, at: fields.location(of: key))
        return nil
    }

    /// Says of a field without a value what Kubernetes makes of it.
    mutating func warnAboutNull(_ key: String, at location: SourceLocation) {
        warning(
            DiagnosticCode.nullField, at: location,
            "\(key) has no value, which Kubernetes reads as if it were not there",
            "write its value, or remove it"
        )
    }

    /// A label selector in a Kubernetes kind; `nil` if it is not there.
    mutating func selector(_ key: String, in fields: DocumentFields) -> LabelSelector? {
        present(key, in: fields).flatMap { readLabelSelector($0, key, readsNull: true) }
    }

    /// The entries of a list that may be empty or missing.
    mutating func list(_ key: String, in fields: DocumentFields, limit: Int? = nil) -> [DocumentNode] {
        guard let node = present(key, in: fields) else { return [] }
        guard case .sequence(let items) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "\(key) is a list, and here is \(node.found)",
                node.text.isEmpty ? "begin each entry with a hyphen and a space" : "write \(key): [\(node.text)]"
            )
            return []
        }
        if let limit { checkCount(items, key, limit: limit) }
        return items
    }

    /// Reports a list that is longer than the API allows.
    mutating func checkCount(_ items: [DocumentNode], _ field: String, limit: Int) {
        guard items.count > limit else { return }
        error(
            DiagnosticCode.tooManyEntries, at: items[limit].location,
            "\(field) has \(items.count) entries, and Kubernetes takes at most \(limit)",
            "split the policy"
        )
    }

    /// A port by number, 1 to 65535.
    mutating func readPortNumber(_ node: DocumentNode, _ field: String) -> UInt16? {
        guard case .integer(let number) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "\(field) is a whole number, and here is \(node.found)",
                UInt16(node.text) == nil ? "write a number from 1 to 65535" : "remove the quotes: \(node.text)"
            )
            return nil
        }
        guard let port = UInt16(exactly: number), port > 0 else {
            error(
                DiagnosticCode.outOfRange, at: node.location, "the port \(number) is out of range",
                "write a number from 1 to 65535"
            )
            return nil
        }
        return port
    }

    /// Reports what cannot be the name of a port (RFC 6335 section 5.1).
    mutating func checkPortName(_ name: String, _ node: DocumentNode) {
        let location = node.location
        let isRight =
            (1...15).contains(name.utf8.count) && name.utf8.contains { (0x61...0x7a).contains($0) }
            && name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
            && name.first != "-" && name.last != "-" && !name.contains("--")
        if isRight, node.isPlain, let number = PolicyReader.number(likeName: name) {
            error(
                DiagnosticCode.wrongType, at: location,
                "\(quoted(name)) without quotes is the number \(number) to Kubernetes, and not a name",
                "write \(number), or put it in quotes if you mean the name")
            return
        }
        if isRight { return }
        error(
            DiagnosticCode.invalidName, at: location, "\(quoted(name)) cannot be the name of a port",
            UInt16(name) == nil
                ? "a name has 1 to 15 lower-case letters, digits and single hyphens, and at least one letter"
                : "remove the quotes if you mean the number: \(name)"
        )
    }

    /// The number that YAML 1.1 and JSON read where it is written as a name could be: `0x50`, `8e1`.
    private static func number(likeName name: String) -> Int? {
        guard let first = name.utf8.first, (0x30...0x39).contains(first) else { return nil }
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where name.hasPrefix(prefix) {
            return Int(name.dropFirst(2), radix: radix)
        }
        return Double(name).flatMap { Int(exactly: $0) }
    }

    /// A protocol, which is TCP where nothing is written.
    mutating func readProtocol(in fields: DocumentFields) -> IPProtocol? {
        guard let node = present("protocol", in: fields) else { return .tcp }
        return word(node, "protocol", as: TransportProtocol.self)?.number
    }

    /// A CIDR of a Kubernetes kind: with a length, and with whatever host bits, which are masked.
    mutating func readCIDR(_ node: DocumentNode, _ field: String) -> IPPrefix? {
        guard let text = string(node, field, expected: "one CIDR, for example 203.0.113.0/24") else { return nil }
        let problem: SyntaxProblem
        do throws(SyntaxProblem) {
            let prefix = try AddressSyntax.parse(Substring(text))
            if text.contains("/") { return prefix }
            problem = SyntaxProblem(
                DiagnosticCode.address, "\(quoted(text)) has no prefix length",
                suggestion: "write \(prefix.address)/\(prefix.length) for the one address"
            )
        } catch {
            if error.code == DiagnosticCode.hostBits, let masked = IPPrefix(text) { return masked }
            problem =
                error.code == DiagnosticCode.domainName
                ? SyntaxProblem(
                    DiagnosticCode.address, "\(quoted(text)) is a name, and this is a place for addresses",
                    suggestion: "write for example 203.0.113.0/24 or 2001:db8::/32") : error
        }
        result.diagnostics.append(problem.diagnostic(at: node.location))
        return nil
    }
}
