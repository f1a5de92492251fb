// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    /// The group of every workload.
    static let clusterGroup = "cluster"

    private static let entrySchema = DocumentFields.Schema(
        name: "an entry of to", fields: ["cidr", "except", "group", "endpoints", "domains"],
        foreign: [
            "ipBlock": "write cidr and except directly in the entry", "cidrs": "write one entry with cidr for each",
            "domain": "write domains: and a list", "host": "write domains: and a list, or group: host",
            "fqdn": "write domains: and a list", "domainNames": "write domains",
            "groups": "write one entry with group for each", "ports": "write ports beside to, not in it",
            "address": "write cidr", "ip": "write cidr",
            "selector": "write endpoints", "podSelector": "write endpoints", "endpoint": "write endpoints",
            "matchLabels": "write endpoints: { matchLabels: ... }", "names": "write endpoints: { names: ... }",
        ]
    )

    /// What `to` names.
    struct Peers {
        var destinations: [Destination] = []
        var workloads: [WorkloadSelector] = []
        var domains: [DomainPattern] = []
        /// Whether every entry could be read.
        var isWellFormed = true

        /// Whether a group of documents is among them, which may have names.
        var hasGroup: Bool {
            destinations.contains { if case .group = $0 { true } else { false } }
        }
    }

    /// Reads the entries of `to`.
    mutating func readPeers(_ node: DocumentNode) -> Peers {
        var peers = Peers()
        let mistakes = result.diagnostics.count { $0.severity == .error }
        readPeers(node, into: &peers)
        peers.isWellFormed = result.diagnostics.count { $0.severity == .error } == mistakes
        return peers
    }

    private mutating func readPeers(_ node: DocumentNode, into peers: inout Peers) {
        if case .string(let text) = node.content {
            error(
                DiagnosticCode.wrongType, at: node.location, "to is a list, and here is \(node.found)",
                "write to: [{ \(PolicyReader.entryText(for: text)) }]"
            )
            return
        }
        guard
            let items = items(
                node, "to", emptyMessage: "to is empty, and an empty list would match nothing",
                emptySuggestion: "leave to out for every destination, or remove the rule"
            )
        else { return }
        for item in items { readPeer(item, into: &peers) }
    }

    /// The entry that a text alone was meant to be.
    private static func entryText(for text: String) -> String {
        if AddressSyntax.looksLikeDomain(Substring(text)) {
            return "domains: [\(text.hasPrefix("*") ? "\"\(text)\"" : text)]"
        }
        let isGroup = !AddressSyntax.looksNumeric(Substring(text))
        return "\(isGroup ? "group" : "cidr"): \(text)"
    }

    private mutating func readPeer(_ node: DocumentNode, into peers: inout Peers) {
        if case .string(let text) = node.content {
            error(
                DiagnosticCode.wrongType, at: node.location, "an entry of to is a mapping, and here is \(node.found)",
                "write \(PolicyReader.entryText(for: text))"
            )
            return
        }
        if case .mapping(let entries) = node.content, entries.isEmpty {
            error(
                DiagnosticCode.empty, at: node.location, "the entry is empty",
                "write cidr, group, domains or endpoints; leave to out for every destination"
            )
            return
        }
        guard let fields = fields(node, PolicyReader.entrySchema) else { return }
        let kinds = ["cidr", "group", "domains", "endpoints"].filter { fields.has($0) }
        if kinds.count > 1, let second = kinds.last {
            let number = ["two", "three", "four"][min(kinds.count, 4) - 2]
            error(
                DiagnosticCode.contradiction, at: fields.location(of: second),
                "the entry has \(kinds.count == 2 ? "both " : "")\(Spelling.list(kinds, conjunction: "and"))",
                "write \(number) entries: the rule matches \(kinds.count == 2 ? "either" : "any")"
            )
            return
        }
        switch kinds.first {
        case "group": readGroupReference(fields, into: &peers)
        case "endpoints": readEndpoints(fields, into: &peers)
        case "domains":
            refuseExcept(in: fields, beside: "domains")
            if let node = fields["domains"] { peers.domains += readDomains(node) }
        case "cidr":
            if let block = readBlock(fields) { peers.destinations.append(.block(block)) }
        default:
            guard fields.has("except") else { return }
            error(
                DiagnosticCode.missingField, at: fields.location(of: "except"), "except has no cidr to be taken from",
                "write cidr beside it"
            )
        }
    }

    private mutating func readEndpoints(_ fields: DocumentFields, into peers: inout Peers) {
        refuseExcept(in: fields, beside: "endpoints")
        guard
            let node = required(
                "endpoints", in: fields, of: "the entry", suggestion: "write endpoints: { matchLabels: { app: db } }"),
            let selector = readWorkloadSelector(
                node, "endpoints", everything: "write group: cluster for every workload")
        else { return }
        peers.workloads.append(selector)
    }

    private mutating func refuseExcept(in fields: DocumentFields, beside field: String) {
        guard fields.has("except") else { return }
        error(
            DiagnosticCode.contradiction, at: fields.location(of: "except"),
            "except goes with cidr, not with \(field)",
            "put a rule with another action for those \(field == "domains" ? "names" : "addresses") before this one"
        )
    }

    private mutating func readGroupReference(_ fields: DocumentFields, into peers: inout Peers) {
        refuseExcept(in: fields, beside: "group")
        guard let node = required("group", in: fields, of: "the entry", suggestion: "write the name of a group"),
            let name = string(node, "group", expected: "the name of one group")
        else { return }
        if let builtIn = BuiltInGroup(rawValue: name) {
            peers.destinations.append(.builtIn(builtIn))
        } else if name == PolicyReader.clusterGroup {
            peers.workloads.append(.everything)
        } else {
            groupReferences.append((name, node.location))
            peers.destinations.append(.group(name))
        }
    }

    /// Reads `cidr` and `except` of an entry.
    mutating func readBlock(_ fields: DocumentFields) -> AddressBlock? {
        guard
            let node = required(
                "cidr", in: fields, of: "the entry", suggestion: "write for example cidr: 203.0.113.0/24")
        else { return nil }
        let prefix = readPrefix(node, "cidr")
        let except = fields["except"].map { readExceptions($0, of: prefix) } ?? []
        return prefix.map { AddressBlock($0, except: except) }
    }

    /// Reads one CIDR or address.
    mutating func readPrefix(_ node: DocumentNode, _ field: String) -> IPPrefix? {
        if case .mapping(let entries) = node.content, let entry = entries.first, entry.key.hasSuffix(":"),
            entry.value.content == .null
        {
            error(
                DiagnosticCode.wrongType, at: node.location,
                "\(quoted(entry.key)) ends in a colon, so it reads as a mapping",
                "put the address in quotes: \"\(entry.key):\""
            )
            return nil
        }
        guard let text = addressText(node, field) else { return nil }
        do {
            let prefix = try AddressSyntax.parse(Substring(text))
            if AddressSyntax.looksLikeBlockWithoutLength(Substring(text), prefix) {
                warning(
                    DiagnosticCode.missingLength, at: node.location,
                    "\(text) has no prefix length, so it is the one address",
                    "write \(prefix.address)/\(prefix.length) if you mean it, or the block's length"
                )
            }
            return prefix
        } catch {
            var problem = error
            if BuiltInGroup(rawValue: text) != nil { problem.suggestion = "write group: \(text)" }
            result.diagnostics.append(problem.diagnostic(at: node.location))
            return nil
        }
    }

    /// The text of an address; a number, which some programs take for one, is left to the grammar to refuse.
    private mutating func addressText(_ node: DocumentNode, _ field: String) -> String? {
        if case .integer = node.content { return node.text }
        guard case .sequence = node.content else {
            return string(node, field, expected: "one CIDR, for example 203.0.113.0/24")
        }
        error(
            DiagnosticCode.wrongType, at: node.location, "\(field) is one CIDR, and here is a list: brackets make one",
            "write one entry for each CIDR, without brackets"
        )
        return nil
    }

    private mutating func readExceptions(_ node: DocumentNode, of prefix: IPPrefix?) -> [IPPrefix] {
        guard case .sequence(let items) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "except is a list, and here is \(node.found)",
                node.text.isEmpty ? "write except: [203.0.113.64/26]" : "write except: [\(node.text)]"
            )
            return []
        }
        return items.compactMap { item in
            guard let exception = readPrefix(item, "an entry of except") else { return nil }
            guard let prefix else { return exception }
            checkException(exception, of: prefix, at: item.location)
            return exception
        }
    }

    mutating func checkException(_ exception: IPPrefix, of prefix: IPPrefix, at location: SourceLocation) {
        if exception == prefix {
            error(
                DiagnosticCode.exception, at: location,
                "the exception \(exception) is the whole of its cidr, and leaves nothing",
                "remove the entry, or write the part to leave out"
            )
        } else if exception.family != prefix.family {
            error(
                DiagnosticCode.exception, at: location,
                "the exception \(exception) is \(familyName(exception)) and its cidr is \(familyName(prefix))",
                "move it to an entry whose cidr is \(familyName(exception))"
            )
        } else if exception.contains(prefix) {
            error(
                DiagnosticCode.exception, at: location,
                "the exception \(exception) is larger than its cidr \(prefix), and leaves nothing",
                "remove the entry, or write the part to leave out"
            )
        } else if !prefix.contains(exception) {
            error(
                DiagnosticCode.exception, at: location, "the exception \(exception) is outside its cidr \(prefix)",
                "write a block inside \(prefix), or move it to the entry that holds it"
            )
        }
    }

    private func familyName(_ prefix: IPPrefix) -> String {
        prefix.family == .ipv4 ? "IPv4" : "IPv6"
    }
}

extension AddressSyntax {
    /// Whether a bare address ends in zeros as a block's first address does.
    static func looksLikeBlockWithoutLength(_ text: Substring, _ prefix: IPPrefix) -> Bool {
        guard prefix.isSingleAddress, !text.utf8.contains(UInt8(ascii: "/")) else { return false }
        switch prefix.address {
        case .v4(let address): return address.rawValue & 0xff == 0
        case .v6(let address): return UInt64(truncatingIfNeeded: address.rawValue) == 0
        }
    }
}
