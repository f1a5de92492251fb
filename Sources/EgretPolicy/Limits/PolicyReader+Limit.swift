// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let limitSchema = DocumentFields.Schema(
        name: "a limit",
        fields: [
            "name", "to", "ports", "applications", "rate", "burst", "guarantee", "ceiling", "weight", "priority",
            "connections", "newConnections", "packets", "dscp", "direction", "per", "when",
        ],
        foreign: [
            "bandwidth": "write rate", "limit": "write rate", "speed": "write rate", "bps": "write rate",
            "ceil": "did you mean \"ceiling\"?",
            "pps": "write packets", "packetRate": "write packets", "connectionRate": "write newConnections",
            "mark": "write dscp", "egress": "write direction: egress", "ingress": "write direction: ingress",
            "schedule": "write when", "time": "write when",
        ]
    )

    /// What others might call a scope.
    private static let scopeWords = ["source": "destination", "address": "destination", "peer": "destination"]

    private static let effects = ["rate", "guarantee", "ceiling", "connections", "newConnections", "packets", "dscp"]

    /// Reads the entries of `limits`.
    mutating func readLimits(_ node: DocumentNode) -> [TrafficLimit] {
        guard
            let items = items(
                node, "limits", emptyMessage: "limits is empty, and an empty list limits nothing",
                emptySuggestion: "remove it, or write an entry: { rate: 20Mbit }")
        else { return [] }
        return items.compactMap { readLimit($0) }
    }

    private mutating func readLimit(_ node: DocumentNode) -> TrafficLimit? {
        guard let fields = fields(node, PolicyReader.limitSchema) else { return nil }
        var limit = TrafficLimit(location: node.location)
        limit.name = fields["name"].flatMap { string($0, "name", expected: "a name") }
        limit.direction = fields["direction"].flatMap { word($0, "direction", as: TrafficDirection.self) }
        limit.scope =
            fields["per"].flatMap { word($0, "per", as: TrafficLimit.Scope.self, others: PolicyReader.scopeWords) }
            ?? .endpoint
        let peers = fields["to"].map { readLimitPeers($0) } ?? Peers()
        (limit.destinations, limit.domains) = (peers.destinations, peers.domains)
        limit.services = readPortsAndApplications(fields, of: "a limit")
        limit.rate = readMost(fields)
        limit.burst = fields["burst"].flatMap { readBurst($0) }
        limit.guarantee = fields["guarantee"].flatMap { readRate($0) }
        limit.weight = fields["weight"].flatMap { readNumber($0, "weight", 1...1_000) }.map { UInt16($0) }
        limit.priority = fields["priority"].flatMap { readNumber($0, "priority", 0...7) }.map { UInt8($0) }
        limit.connections = fields["connections"].flatMap { readNumber($0, "connections", 1...1_000_000) }
        limit.newConnections = fields["newConnections"].flatMap { readEvents($0, "newConnections") }
        limit.packets = fields["packets"].flatMap { readEvents($0, "packets") }
        limit.dscp = fields["dscp"].flatMap { readMark($0) }
        if let when = fields["when"] {
            guard let schedule = readSchedule(when, of: "limit") else { return nil }
            limit.schedule = schedule
        }
        guard PolicyReader.effects.contains(where: fields.has) else {
            error(
                DiagnosticCode.missingField, at: fields.node.location, "the limit limits nothing",
                "write for example rate: 20Mbit, connections: 200 or newConnections: 20/s")
            return nil
        }
        return isConsistent(limit, fields) ? limit : nil
    }

    /// Reads the most that a limit lets past, for which it has two words: `ceiling` is the one that goes with `guarantee`.
    private mutating func readMost(_ fields: DocumentFields) -> BitRate? {
        if fields.has("rate"), fields.has("ceiling") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "ceiling"),
                "the limit has both a rate, at \(fields.location(of: "rate")), and a ceiling, which mean the same",
                "write one of them: the most that may pass")
        }
        return (fields["rate"] ?? fields["ceiling"]).flatMap { readRate($0) }
    }

    /// What of a limit cannot be held to for each destination by itself.
    private static func unfitForDestinations(_ has: (String) -> Bool)
        -> (field: String, message: String, suggestion: String)?
    {
        if let field = ["rate", "guarantee", "ceiling", "weight", "priority"].first(where: has) {
            return (
                field, "\(field) cannot be for each destination: there is no queue for every far address",
                "write connections, newConnections or packets, or leave per out"
            )
        }
        guard has("dscp") else { return nil }
        return (
            "dscp", "dscp marks every packet, and counts none for each destination",
            "write it in a limit of its own, without per"
        )
    }

    /// Whether the fields of a limit go together.
    private mutating func isConsistent(_ limit: TrafficLimit, _ fields: DocumentFields) -> Bool {
        if fields.has("burst"), !fields.has("rate"), !fields.has("ceiling") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "burst"), "burst without a rate",
                "write the rate that it belongs to, or remove it")
            return false
        }
        if let guarantee = limit.guarantee, let rate = limit.rate, rate < guarantee {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "guarantee"),
                "the guarantee \(guarantee) is more than the \(fields.has("rate") ? "rate" : "ceiling") \(rate), "
                    + "which the traffic never passes",
                "write a guarantee of at most \(rate)")
            return false
        }
        if limit.scope == .destination, let problem = PolicyReader.unfitForDestinations(fields.has) {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: problem.field), problem.message,
                problem.suggestion)
            return false
        }
        for field in ["guarantee", "weight", "priority"] where fields.has(field) {
            if limit.isForEverything || limit.scope != .endpoint {
                error(
                    DiagnosticCode.contradiction, at: fields.location(of: field),
                    "\(field) is about the shares of one endpoint's traffic",
                    "write to or ports, which say what has the share, and leave per out")
                return false
            }
            if limit.rate == nil && limit.guarantee == nil {
                error(
                    DiagnosticCode.contradiction, at: fields.location(of: field), "\(field) without a rate",
                    "write rate or guarantee beside it")
                return false
            }
        }
        return true
    }

    private mutating func readLimitPeers(_ node: DocumentNode) -> Peers {
        let peers = readPeers(node)
        if !peers.workloads.isEmpty {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "a limit for workloads is not supported yet",
                "write cidr, group or domains")
        }
        if peers.destinations.contains(.builtIn(.host)) {
            error(
                DiagnosticCode.notSupportedYet, at: node.location, "a limit for the host itself is not supported yet",
                "write the addresses of the host that are meant")
        }
        return peers
    }

    mutating func readRate(_ node: DocumentNode) -> BitRate? {
        do throws(SyntaxProblem) {
            return try RateSyntax.rate(node.text)
        } catch {
            result.diagnostics.append(error.diagnostic(at: node.location))
            return nil
        }
    }

    private mutating func readEvents(_ node: DocumentNode, _ field: String) -> EventRate? {
        if let rate = EventRate(node.text) { return rate }
        error(
            DiagnosticCode.amount, at: node.location, "\(quoted(node.text)) is not how often \(field) may happen",
            "write a number and the time that it is for, for example 20/s, 600/min or 1000/h")
        return nil
    }

    private mutating func readNumber(_ node: DocumentNode, _ field: String, _ range: ClosedRange<UInt32>) -> UInt32? {
        if case .integer(let number) = node.content, let value = UInt32(exactly: number), range.contains(value) {
            return value
        }
        error(
            DiagnosticCode.outOfRange, at: node.location,
            "\(field) is a whole number from \(range.lowerBound) to \(range.upperBound), and here is \(node.found)",
            "write such a number, without quotes")
        return nil
    }

    private mutating func readMark(_ node: DocumentNode) -> TrafficClassMark? {
        if let mark = TrafficClassMark(node.text) { return mark }
        error(
            DiagnosticCode.unknownValue, at: node.location, "\(quoted(node.text)) is no DSCP",
            "write a name (ef, af11 to af43, cs0 to cs7, le, va) or a number from 0 to 63")
        return nil
    }

    private mutating func readBurst(_ node: DocumentNode) -> ByteCount? {
        guard let count = ByteCount(node.text), count.bytes <= UInt64(UInt32.max) else {
            error(
                DiagnosticCode.amount, at: node.location, "\(quoted(node.text)) is no amount of bytes up to 4 GiB",
                "write a number and a unit, for example 64KiB or 1MB")
            return nil
        }
        return count
    }
}

/// The grammar of rates, for documents and flags.
enum RateSyntax {
    /// Reads a rate.
    static func rate(_ text: String) throws(SyntaxProblem) -> BitRate {
        let example = "write a number and a unit of bits, for example 10Mbit or 1.5Gbit"
        guard let rate = BitRate(text) else {
            if let bytes = ByteCount(text.withoutSecond), let bits = BitRate.limits.clampedBits(bytes.bytes) {
                throw SyntaxProblem(
                    DiagnosticCode.amount, "\(quoted(text)) is an amount of bytes, and a rate is in bits",
                    suggestion: "write \(bits) for as many bytes in a second")
            }
            let meant = likely(text).map { "did you mean \($0)?" }
            throw SyntaxProblem(DiagnosticCode.amount, "\(quoted(text)) is no rate", suggestion: meant ?? example)
        }
        guard BitRate.limits.contains(rate) else {
            throw SyntaxProblem(
                DiagnosticCode.amount,
                "the rate \(rate) is not between \(BitRate.limits.lowerBound) and \(BitRate.limits.upperBound)",
                suggestion: example)
        }
        return rate
    }

    /// What is meant by `10Mbps`, `10Mbit/s`, `10 Mb` or `10M`; `nil` for a number alone, and whatever else.
    private static func likely(_ text: String) -> BitRate? {
        let number = text.prefix { ("0"..."9").contains($0) || $0 == "." }
        let unit = text.withoutSecond.dropFirst(number.count).filter { $0 != " " }
        let size = ["bits", "bit", "b"].first { unit.hasSuffix($0) }.map { unit.dropLast($0.count) } ?? unit[...]
        let rate = BitRate("\(number)\(size.lowercased())bit")
        return size.isEmpty ? nil : rate.flatMap { BitRate.limits.contains($0) ? $0 : nil }
    }
}

extension String {
    /// Without `/s` or `ps` at its end, which a rate goes without.
    fileprivate var withoutSecond: String {
        ["/s", "ps"].first { hasSuffix($0) }.map { String(dropLast($0.count)) } ?? self
    }
}

extension ClosedRange<BitRate> {
    /// The rate that is so many bytes in a second; `nil` if it is outside.
    fileprivate func clampedBits(_ bytes: UInt64) -> BitRate? {
        let (bits, overflows) = bytes.multipliedReportingOverflow(by: 8)
        let rate = BitRate(bitsPerSecond: bits)
        return overflows || !contains(rate) ? nil : rate
    }
}
