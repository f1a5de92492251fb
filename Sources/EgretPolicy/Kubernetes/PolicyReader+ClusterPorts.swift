// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let protocolSchema = DocumentFields.Schema(
        name: "an entry of protocols", fields: ["tcp", "udp", "sctp", "destinationNamedPort"],
        foreign: [
            "portNumber": "write tcp: { destinationPort: { number: 443 } }",
            "portRange": "write tcp: { destinationPort: { range: { start: 8000, end: 9000 } } }",
            "namedPort": "write destinationNamedPort", "port": "write tcp: { destinationPort: { number: 443 } }",
            "protocol": "write tcp:, udp: or sctp:",
        ]
    )

    private static let portSchema = DocumentFields.Schema(
        name: "an entry of ports", fields: ["portNumber", "portRange", "namedPort"],
        foreign: [
            "port": "write portNumber: { protocol: TCP, port: 443 }",
            "protocol": "write portNumber: { protocol: TCP, port: 443 }",
            "destinationNamedPort": "write namedPort", "endPort": "write portRange: { start: 8000, end: 9000 }",
        ]
    )

    /// Reads the ports of a rule.
    mutating func readClusterPorts(
        _ fields: DocumentFields, _ dialect: ClusterPolicyDialect, into rule: inout ClusterPolicy.Rule
    ) {
        let key = dialect.portsField
        guard let node = present(key, in: fields) else { return }
        guard
            let items = items(
                node, key, emptyMessage: "\(key) is empty", emptySuggestion: "leave \(key) out for everything")
        else { return }
        checkCount(items, key, limit: dialect.limit)
        for item in items {
            let schema = dialect == .cluster ? PolicyReader.protocolSchema : PolicyReader.portSchema
            guard let entry = self.fields(item, schema), let field = onlyField(of: entry, schema) else { continue }
            if dialect == .cluster {
                readProtocolEntry(entry, field, into: &rule)
            } else {
                readPortEntry(entry, field, into: &rule)
            }
        }
        checkNamedPorts(fields, dialect, rule)
    }

    /// The one field of an entry that has exactly one.
    private mutating func onlyField(of entry: DocumentFields, _ schema: DocumentFields.Schema) -> String? {
        let written = schema.fields.filter { entry[$0].map { $0.content != .null } ?? false }
        if let field = written.first, written.count == 1 {
            for other in schema.fields where other != field { _ = present(other, in: entry) }
            return field
        }
        if written.isEmpty && entry.hasUnknown { return nil }
        if written.isEmpty {
            error(
                DiagnosticCode.empty, at: entry.node.location, "\(schema.name) says nothing",
                "write \(Spelling.list(schema.fields, conjunction: "or"))"
            )
        } else {
            error(
                DiagnosticCode.contradiction, at: entry.location(of: written[1]),
                "\(schema.name) has one field, and here are \(Spelling.list(written, conjunction: "and"))",
                "write one entry for each: the rule matches any"
            )
        }
        return nil
    }

    private mutating func readNamedPort(_ node: DocumentNode, _ field: String, into rule: inout ClusterPolicy.Rule) {
        guard let name = string(node, field, expected: "the name of a port") else { return }
        checkPortName(name, node)
        rule.portNames.append(PortName(name))
    }

    // MARK: - v1alpha2

    private mutating func readProtocolEntry(
        _ entry: DocumentFields, _ field: String, into rule: inout ClusterPolicy.Rule
    ) {
        guard let node = entry[field] else { return }
        guard let transport = TransportProtocol(rawValue: field.uppercased()) else {
            readNamedPort(node, field, into: &rule)
            return
        }
        let schema = DocumentFields.Schema(
            name: field, fields: ["destinationPort"],
            foreign: [
                "port": "write destinationPort: { number: 443 }", "number": "write destinationPort: { number: 443 }",
                "range": "write destinationPort: { range: { start: 8000, end: 9000 } }",
            ]
        )
        guard let fields = fields(node, schema),
            let port = required(
                "destinationPort", in: fields, of: field,
                suggestion: "write destinationPort: { range: { start: 1, end: 65535 } } for every port"),
            let range = readDestinationPort(port)
        else { return }
        rule.services.append(.ports(transport.number, range))
    }

    private mutating func readDestinationPort(_ node: DocumentNode) -> PortRange? {
        let schema = DocumentFields.Schema(name: "destinationPort", fields: ["number", "range"])
        if case .integer = node.content {
            error(
                DiagnosticCode.wrongType, at: node.location, "destinationPort is a mapping, and here is \(node.found)",
                "write destinationPort: { number: \(node.text) }"
            )
            return nil
        }
        guard let fields = fields(node, schema), let field = onlyField(of: fields, schema), let value = fields[field]
        else { return nil }
        if field == "number" { return readPortNumber(value, "number").map { PortRange($0) } }
        let rangeSchema = DocumentFields.Schema(name: "range", fields: ["start", "end"])
        return self.fields(value, rangeSchema).flatMap { readPortRange($0) }
    }

    /// `start` and `end`, of which the second must be more, or in v1alpha1 no less.
    private mutating func readPortRange(_ fields: DocumentFields, mayBeOne: Bool = false) -> PortRange? {
        let start = required("start", in: fields, of: "the range", suggestion: "write start: and the first port")
            .flatMap { readPortNumber($0, "start") }
        let end = required("end", in: fields, of: "the range", suggestion: "write end: and the last port")
            .flatMap { readPortNumber($0, "end") }
        guard let start, let end else { return nil }
        if start < end || mayBeOne && start == end { return PortRange(start, end) }
        error(
            DiagnosticCode.outOfRange, at: fields.location(of: "end"),
            "the range ends at \(end) and begins at \(start): its end must "
                + (mayBeOne ? "not be less than its start" : "be more than its start"),
            start == end ? "write the one port as a number" : "swap the two"
        )
        return nil
    }

    // MARK: - v1alpha1

    private mutating func readPortEntry(
        _ entry: DocumentFields, _ field: String, into rule: inout ClusterPolicy.Rule
    ) {
        guard let node = entry[field] else { return }
        if field == "namedPort" {
            readNamedPort(node, field, into: &rule)
            return
        }
        let isNumber = field == "portNumber"
        let schema = DocumentFields.Schema(
            name: field, fields: isNumber ? ["protocol", "port"] : ["protocol", "start", "end"])
        guard let fields = fields(node, schema) else { return }
        let transport = readProtocol(in: fields)
        let range =
            isNumber
            ? required("port", in: fields, of: field, suggestion: "write port: and its number")
                .flatMap { readPortNumber($0, "port") }.map { PortRange($0) }
            : readPortRange(fields, mayBeOne: true)
        if let transport, let range { rule.services.append(.ports(transport, range)) }
    }

    /// Names of ports are pods': a rule that names one has no other peers.
    private mutating func checkNamedPorts(
        _ fields: DocumentFields, _ dialect: ClusterPolicyDialect, _ rule: ClusterPolicy.Rule
    ) {
        if rule.portNames.isEmpty { return }
        for peer in rule.peers {
            let other: String
            switch peer {
            case .pods, .unknown: continue
            case .nodes: other = "nodes"
            case .networks: other = "networks"
            case .domainNames: other = "domainNames"
            }
            error(
                DiagnosticCode.contradiction, at: fields.location(of: dialect.portsField),
                "\(other) have no named ports, and the rule has both",
                "write the port's number, or remove \(dialect.namedPortField)"
            )
            return
        }
    }
}
