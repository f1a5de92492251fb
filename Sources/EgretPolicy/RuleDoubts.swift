// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Finds rules that are right by the grammar and probably not what their author meant.
enum RuleDoubts {
    /// More rules than this are not compared with each other: the comparison is quadratic.
    static let comparedRules = 500

    /// The warnings about one policy, in the order of its rules.
    static func find(in policy: EgressPolicy) -> [Diagnostic] {
        policy.rules.compactMap { opensEverything($0) } + unreachable(in: policy)
    }

    private static func opensEverything(_ rule: EgressRule) -> Diagnostic? {
        guard rule.action == .allow || rule.action == .audit else { return nil }
        let isEverywhere = rule.destinations.isEmpty
        let whole = rule.destinations.first { destination in
            guard case .block(let block) = destination else { return false }
            return block.prefix.length == 0 && block.except.isEmpty
        }
        guard isEverywhere || whole != nil else { return nil }
        let subject = whole.map { "\($0)" } ?? "a rule without destinations"
        return Diagnostic(
            .warning, code: DiagnosticCode.opensEverything, at: rule.location,
            "\(subject) also opens the host, private networks and metadata services",
            suggestion: "use the group internet unless all of that is meant"
        )
    }

    private static func unreachable(in policy: EgressPolicy) -> [Diagnostic] {
        guard policy.rules.count <= comparedRules else { return [] }
        let matches = policy.rules.map { RuleMatch($0) }
        var found: [Diagnostic] = []
        for (index, rule) in policy.rules.enumerated() {
            guard let earlier = matches[..<index].firstIndex(where: { $0.covers(matches[index]) }) else { continue }
            let by = policy.rules[earlier]
            let label = by.name.map { "rule \(quoted($0))" } ?? "rule \(earlier + 1)"
            let place = by.location.map { " at \($0)" } ?? ""
            found.append(
                Diagnostic(
                    .warning, code: DiagnosticCode.unreachableRule, at: rule.location,
                    "this rule never decides: \(label)\(place) already matches everything that it matches",
                    suggestion: by.action == rule.action ? "remove it" : "move it before the other, or remove it"
                ))
        }
        return found
    }
}

/// What a rule matches, in a form that can be compared. Groups by name are compared by name.
private struct RuleMatch {
    /// Addresses matched when the packet is for another machine.
    var remote: AddressRangeSet
    /// Addresses matched when the packet is for the host itself.
    var local: AddressRangeSet
    var groups: Set<String>
    var services: [Service]

    init(_ rule: EgressRule) {
        services = rule.services
        var blocks: [AddressBlock] = []
        var builtIns: [BuiltInGroup] = []
        groups = []
        for destination in rule.destinations {
            switch destination {
            case .block(let block): blocks.append(block)
            case .builtIn(let group): builtIns.append(group)
            case .group(let name): groups.insert(name)
            }
        }
        guard !rule.destinations.isEmpty else {
            remote = .everything
            local = .everything
            return
        }
        remote = AddressRangeSet(blocks + builtIns.flatMap(\.blocks))
        local = builtIns.contains(.host) ? .everything : AddressRangeSet(blocks)
    }

    func covers(_ other: RuleMatch) -> Bool {
        let everywhere = remote == .everything && local == .everything
        return coversServices(of: other) && (everywhere || groups.isSuperset(of: other.groups))
            && remote.isSuperset(of: other.remote) && local.isSuperset(of: other.local)
    }

    private func coversServices(of other: RuleMatch) -> Bool {
        if services.isEmpty { return true }
        if other.services.isEmpty { return false }
        return other.services.allSatisfy { inner in services.contains { RuleMatch.covers($0, inner) } }
    }

    private static func covers(_ outer: Service, _ inner: Service) -> Bool {
        switch (outer, inner) {
        case (.any(let left), .any(let right)), (.any(let left), .ports(let right, _)),
            (.any(let left), .icmp(let right, _)):
            left == right
        case (.ports(let left, let outerPorts), .ports(let right, let innerPorts)):
            left == right && outerPorts.lowerBound <= innerPorts.lowerBound
                && innerPorts.upperBound <= outerPorts.upperBound
        case (.icmp, .icmp): outer == inner
        default: false
        }
    }
}
