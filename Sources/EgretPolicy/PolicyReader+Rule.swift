// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    private static let ruleSchema = DocumentFields.Schema(
        name: "a rule", fields: ["name", "action", "to", "ports", "when"] + namingFields,
        foreign: [
            "port": "write ports: and a list", "verdict": "write action", "cidr": "write to: and a list of entries",
            "group": "write to: and a list of entries", "domains": "write to: [{ domains: [...] }]",
            "application": "write applications: and a list", "protocols": "write ports, or applications",
            "http3": "write quic: check, or quic: pin",
            "protocol": "write ports, for example [443/tcp, gre]",
            "from": "remove it: where traffic comes from is the workload that the policy is for",
            "schedule": "write when", "time": "write when", "until": "write when: { until: ... }",
        ]
    )

    private static let actionWords = [
        "drop": "deny", "block": "deny", "accept": "allow", "permit": "allow", "log": "audit", "next": "pass",
    ]

    /// Reads the list of rules.
    mutating func readRules(_ node: DocumentNode) -> [EgressRule] {
        if node.content == .null { return [] }
        guard case .sequence(let items) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "egress is a list of rules, and here is \(node.found)",
                "begin each rule with a hyphen: - action: allow"
            )
            return []
        }
        var names: [String: SourceLocation] = [:]
        return items.compactMap { readRule($0, names: &names) }
    }

    private mutating func readRule(_ node: DocumentNode, names: inout [String: SourceLocation]) -> EgressRule? {
        if case .mapping(let entries) = node.content, entries.isEmpty {
            error(
                DiagnosticCode.empty, at: node.location, "the rule is empty",
                "write at least its action: - action: allow")
            return nil
        }
        guard let fields = fields(node, PolicyReader.ruleSchema) else { return nil }
        let name = fields["name"].flatMap { readRuleName($0, names: &names) }
        let action = required(
            "action", in: fields, of: "the rule", suggestion: "write action: allow, deny, reject, audit or pass"
        ).flatMap { word($0, "action", as: RuleAction.self, others: PolicyReader.actionWords) }
        let peers = fields["to"].map { readPeers($0) } ?? Peers()
        let ports = fields["ports"].map { readPorts($0, peers) } ?? []
        let schedule = fields["when"].flatMap { readSchedule($0) }
        let naming = readNaming(fields, action, peers)
        let services = ports.compactMap { if case .service(let service) = $0 { service } else { nil } }
        checkApplications(naming.applications, services, fields, of: "a rule")
        guard let action else { return nil }
        return EgressRule(
            name: name, action: action, destinations: peers.destinations, workloads: peers.workloads,
            domains: peers.domains, naming: naming, services: services,
            portNames: ports.compactMap { if case .name(let name, _) = $0 { name } else { nil } },
            schedule: schedule, location: node.location
        )
    }

    private mutating func readRuleName(_ node: DocumentNode, names: inout [String: SourceLocation]) -> String? {
        guard let name = string(node, "name", expected: "a name for the rule") else { return nil }
        guard !name.isEmpty, name.unicodeScalars.count <= 128, !name.unicodeScalars.contains(where: { $0.value < 0x20 })
        else {
            error(
                DiagnosticCode.invalidName, at: node.location, "the name of a rule is one line of 1 to 128 characters",
                name.isEmpty ? "write a name, or leave name out" : "write a shorter name on one line"
            )
            return nil
        }
        if let first = names[name] {
            error(
                DiagnosticCode.duplicateName, at: node.location,
                "a rule of this policy is named \(quoted(name)) already, at \(first)",
                "give one of the two another name"
            )
        }
        names[name] = node.location
        return name
    }

    /// Reads the entries of `ports` where no workloads give names their numbers.
    mutating func readServices(_ node: DocumentNode) -> [Service] {
        readPorts(node, Peers()).compactMap { if case .service(let service) = $0 { service } else { nil } }
    }

    /// Reads the entries of `ports`. Names are for workloads: elsewhere nobody knows their number.
    private mutating func readPorts(_ node: DocumentNode, _ peers: Peers) -> [PortEntry] {
        let everything = "leave ports out for every protocol and port"
        guard
            let items = items(
                node, "ports", emptyMessage: "ports is empty, and an empty list would match nothing",
                emptySuggestion: everything
            )
        else { return [] }
        return items.compactMap { item in
            guard let entry = readPort(item) else { return nil }
            guard case .name(let name, let elsewhere) = entry else { return entry }
            if !peers.isWellFormed || peers.destinations.isEmpty && peers.domains.isEmpty && !peers.workloads.isEmpty {
                return entry
            }
            var problem = elsewhere
            if !peers.workloads.isEmpty {
                problem = SyntaxProblem(
                    DiagnosticCode.portName,
                    "\(quoted(name.name)) is the name of a port, which only workloads have, and to has other entries too",
                    suggestion: "write a rule of its own for the entries with endpoints")
            }
            result.diagnostics.append(problem.diagnostic(at: item.location))
            return nil
        }
    }

    private mutating func readPort(_ node: DocumentNode) -> PortEntry? {
        let text: String
        switch node.content {
        case .string(let value): text = value
        case .integer: text = node.text
        case .mapping(let entries) where entries.isEmpty:
            error(DiagnosticCode.empty, at: node.location, "the entry is empty", "write for example 443/tcp")
            return nil
        case .mapping(let entries):
            error(
                DiagnosticCode.wrongType, at: node.location,
                "an entry of ports is a text or a number, and here is a mapping",
                "write \(PolicyReader.portText(of: entries) ?? "for example 443/tcp")"
            )
            return nil
        default:
            error(
                DiagnosticCode.wrongType, at: node.location,
                "an entry of ports is a text or a number, and here is \(node.found)",
                "write for example 443/tcp, 8000-9000/udp or gre"
            )
            return nil
        }
        do {
            return try PortEntry.parse(Substring(text))
        } catch {
            result.diagnostics.append(error.diagnostic(at: node.location))
            return nil
        }
    }

    /// The entry in our spelling, where it is written in that of Kubernetes.
    private static func portText(of entries: [DocumentNode.Entry]) -> String? {
        func text(_ key: String) -> String? { entries.first { $0.key == key }.map(\.value.text) }
        guard let port = text("port"), !port.isEmpty else { return nil }
        let range = text("endPort").map { "\(port)-\($0)" } ?? port
        let candidate = "\(range)/\(text("protocol")?.lowercased() ?? "tcp")"
        return (try? ServiceSyntax.parse(Substring(candidate))).map(\.description)
    }
}
