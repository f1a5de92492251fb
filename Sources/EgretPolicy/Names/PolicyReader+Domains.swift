// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    /// The fields of a rule that say more about its names.
    static let namingFields = ["applications", "whenUnverified", "quic", "records", "addresses"]

    /// Reads a list of names and patterns.
    mutating func readDomains(_ node: DocumentNode, _ field: String = "domains") -> [DomainPattern] {
        guard
            let items = items(
                node, field, emptyMessage: "\(field) is empty, and an empty list would match nothing",
                emptySuggestion: "write for example \(field): [example.org, \"*.example.org\"]")
        else { return [] }
        return items.compactMap { readDomain($0, "an entry of \(field)") }
    }

    private mutating func readDomain(_ node: DocumentNode, _ field: String) -> DomainPattern? {
        let text: String
        switch node.content {
        case .string(let value): text = value
        case .integer: text = node.text
        default:
            guard let value = string(node, field, expected: "a name, for example example.org") else { return nil }
            text = value
        }
        do throws(DomainProblem) {
            return try DomainPattern.parse(text)
        } catch {
            result.diagnostics.append(error.syntaxProblem.diagnostic(at: node.location))
            return nil
        }
    }

    /// Reads what a rule says about its names, and checks that the rule can keep it.
    mutating func readNaming(_ fields: DocumentFields, _ action: RuleAction?, _ peers: Peers) -> NameOptions {
        let options = readNameOptions(fields)
        if let first = PolicyReader.namingFields.first(where: { fields.has($0) }) {
            if peers.domains.isEmpty && peers.isWellFormed && !peers.hasGroup {
                error(
                    DiagnosticCode.contradiction, at: fields.location(of: first),
                    "\(first) is about names, and the rule has no domains",
                    "write domains in to, or remove \(first)")
            } else if let action, action != .allow, action != .audit {
                error(
                    DiagnosticCode.contradiction, at: fields.location(of: first),
                    "\(first) says how traffic passes, and the rule has action \(action.rawValue)", "remove \(first)")
            }
        }
        if fields.has("applications"), !peers.domains.isEmpty,
            !(peers.destinations.isEmpty && peers.workloads.isEmpty)
        {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "applications"),
                "applications are looked for where a name is said, and to has other entries than domains",
                "write a rule of its own for the other entries")
        }
        return options
    }

    private mutating func readNameOptions(_ fields: DocumentFields) -> NameOptions {
        var options = NameOptions()
        if let node = fields["applications"] { options.applications = readApplications(node) }
        if let node = fields["whenUnverified"] {
            options.whenUnverified =
                word(
                    node, "whenUnverified", as: NameOptions.Unverified.self,
                    others: ["allow": "pin", "pass": "pin", "reject": "deny", "drop": "deny", "refuse": "deny"])
                ?? .deny
        }
        if let node = fields["quic"] {
            options.quic =
                word(
                    node, "quic", as: NameOptions.QUIC.self,
                    others: [
                        "allow": "pin", "deny": "refuse", "reject": "refuse", "drop": "refuse", "read": "check",
                        "sni": "check",
                    ]) ?? .refuse
        }
        if let node = fields["records"] { options.records = readRecords(node) }
        if let node = fields["addresses"] { options.addresses = readNamedAddresses(node) }
        return options
    }

    private mutating func readApplications(_ node: DocumentNode) -> [ApplicationProtocol] {
        guard
            let items = items(
                node, "applications", emptyMessage: "applications is empty, and an empty list would match nothing",
                emptySuggestion: "leave applications out, or write for example applications: [tls]")
        else { return [] }
        let others = [
            "https": "tls", "http2": "http", "http/2": "http", "h2c": "http", "postgres": "postgresql",
            "git-ssh": "ssh",
            "sftp": "ssh", "mariadb": "mysql", "ssl": "tls", "mail": "smtp", "valkey": "redis",
        ]
        var found: [ApplicationProtocol] = []
        for item in items {
            if case .string(let text) = item.content, ["quic", "http3", "http/3"].contains(text.lowercased()) {
                error(
                    DiagnosticCode.unknownValue, at: item.location, "\(quoted(text)) is not a value of applications",
                    "write quic: check, or quic: pin, in the rule")
                continue
            }
            guard let value = word(item, "applications", as: ApplicationProtocol.self, others: others) else { continue }
            if !found.contains(value) { found.append(value) }
        }
        return found
    }

    private mutating func readRecords(_ node: DocumentNode) -> [NameRecordType] {
        guard
            let items = items(
                node, "records", emptyMessage: "records is empty",
                emptySuggestion: "leave records out: types that lead to addresses may always be asked")
        else { return [] }
        let known = NameRecordType.names.map(\.text)
        var found: [NameRecordType] = []
        for item in items {
            guard let text = string(item, "an entry of records", expected: "a type, for example TXT") else { continue }
            if let type = NameRecordType(name: text) {
                if !found.contains(type) { found.append(type) }
                continue
            }
            let isAlways = ["A", "AAAA", "CNAME", "HTTPS", "SVCB"].contains(text.uppercased())
            let isWhole = ["ANY", "*", "AXFR", "IXFR", "NULL"].contains(text.uppercased())
            error(
                DiagnosticCode.unknownValue, at: item.location, "\(quoted(text)) is not a type that records takes",
                isAlways
                    ? "remove it: it may always be asked"
                    : isWhole
                        ? "name the types that are meant, for example [TXT, MX]"
                        : Spelling.suggestion(for: text.uppercased(), among: known, verb: "write"))
        }
        return found
    }

    private mutating func readNamedAddresses(_ node: DocumentNode) -> [Destination] {
        guard
            let items = items(
                node, "addresses", emptyMessage: "addresses is empty",
                emptySuggestion: "leave addresses out: names then have public addresses only")
        else { return [] }
        return items.compactMap { item in
            if case .string(let text) = item.content, let group = BuiltInGroup(rawValue: text) {
                if group != .host { return .builtIn(group) }
                error(
                    DiagnosticCode.unknownValue, at: item.location, "no name leads to the host",
                    "write a rule of its own with group: host")
                return nil
            }
            return readPrefix(item, "an entry of addresses").map { .block(AddressBlock($0)) }
        }
    }

    /// Reads `ports` and `applications` of what holds, counts or prices packets. It sees their ports and not what is spoken:
    /// an application is its usual ports, or those that are written out beside it.
    ///
    /// - Parameters:
    ///   - fields: The fields.
    ///   - owner: What they are of, for messages: `a limit`.
    /// - Returns: Protocols and ports; none for all of them.
    mutating func readPortsAndApplications(_ fields: DocumentFields, of owner: String) -> [Service] {
        let services = fields["ports"].map { readServices($0) } ?? []
        guard let node = fields["applications"] else { return services }
        let applications = readApplications(node)
        if let spoken = applications.first(where: \.saysName) {
            error(
                DiagnosticCode.notSupportedYet, at: node.location,
                "\(spoken.rawValue) is known by what a client says, and \(owner) knows packets by their ports",
                "write the ports that are meant instead, for example ports: [443/tcp]")
            return services
        }
        checkApplications(applications, services, fields, of: owner)
        if fields.has("ports") { return services }
        return applications.flatMap(\.usualPorts).map { .ports(.tcp, PortRange($0)) }
    }

    /// Ports of a rule, or of something else, whose applications all run over TCP.
    mutating func checkApplications(
        _ applications: [ApplicationProtocol], _ services: [Service], _ fields: DocumentFields, of owner: String
    ) {
        guard !applications.isEmpty else { return }
        let other = services.first { service in
            switch service {
            case .any(.tcp), .ports(.tcp, _): false
            default: true
            }
        }
        guard let other else { return }
        error(
            DiagnosticCode.contradiction, at: fields.location(of: "ports"),
            "applications are spoken over TCP, and ports has \(other)",
            "write \(owner) of its own for \(other)")
    }
}

extension DomainProblem {
    /// The problem as a diagnostic's.
    var syntaxProblem: SyntaxProblem {
        SyntaxProblem(
            DiagnosticCode.domain, message, suggestion: suggestion ?? "write for example example.org or *.example.org")
    }
}
