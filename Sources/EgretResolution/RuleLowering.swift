// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Turns the rules of one policy into rules of addresses and numbers.
struct RuleLowering<Index: WorkloadLookup> {
    /// Where workloads are looked up; it remembers what it has found.
    var index: Index
    let direction: TrafficDirection
    /// The ports by name of the workload whose ingress this is.
    let ownPorts: [Workload.NamedPort]
    /// The IPv6 forms of addresses that only stand in for others and that groups are not about, by the groups' names.
    let groupForms: [String: [AddressBlock]]

    init(
        index: Index, direction: TrafficDirection, ownPorts: [Workload.NamedPort],
        groupForms: [String: [AddressBlock]] = [:]
    ) {
        self.index = index
        self.groupForms = groupForms
        self.direction = direction
        self.ownPorts = ownPorts
    }

    /// What a rule of any kind says, before anything is looked up.
    private struct Clause {
        var name: String?
        var action: RuleAction
        var isForEverybody: Bool
        var destinations: [Destination] = []
        var workloads: [Int] = []
        var domains: [DomainPattern] = []
        var naming = NameOptions()
        var services: [Service]
        var portNames: [PortName]
        var schedule: Schedule?
        var location: SourceLocation?
    }

    mutating func policy(_ source: Source) -> EgressPolicy {
        switch source {
        case .egress(let policy):
            var resolved = policy
            if policy.rules.allSatisfy(\.isResolved) {
                if index.placeholders.isEmpty { return policy }
                resolved.rules = policy.rules.map { spared($0) }
                return resolved
            }
            resolved.rules = lower(policy.rules.map { clause($0) })
            return resolved
        case .network(let policy):
            return EgressPolicy(
                name: policy.reference, tier: .workload, priority: PolicyResolver.lastPriority, defaultAction: .deny,
                rules: lower(policy.rules(direction).map { clause($0, namespace: policy.namespace) }),
                location: policy.location
            )
        case .cluster(let policy):
            return EgressPolicy(
                name: policy.reference, tier: policy.tier, priority: policy.priority, defaultAction: nil,
                rules: lower(policy.rules(direction).map { clause($0, tier: policy.tier) }), location: policy.location
            )
        }
    }

    /// The rule, of which only blocks of everything are about workloads that nobody knows the address of.
    private func spared(_ rule: EgressRule) -> EgressRule {
        var spared = rule
        spared.destinations = self.spared(rule.destinations, rule.action)
        return spared
    }

    private func spared(_ destinations: [Destination], _ action: RuleAction) -> [Destination] {
        let refuses = action == .deny || action == .reject
        return destinations.sparing(index.placeholders, forms: refuses ? groupForms : nil)
    }

    private mutating func clause(_ rule: EgressRule) -> Clause {
        Clause(
            name: rule.name, action: rule.action,
            isForEverybody: rule.isEverywhere, destinations: rule.destinations,
            workloads: index.workloads(chosenByAnyOf: rule.workloads), domains: rule.domains, naming: rule.naming,
            services: rule.services, portNames: rule.portNames, schedule: rule.schedule, location: rule.location
        )
    }

    private mutating func clause(_ rule: NetworkPolicy.Rule, namespace: String) -> Clause {
        let selectors = rule.peers.compactMap { $0.selector(in: namespace) }
        let destinations = rule.peers.compactMap { peer -> Destination? in
            if case .block(let block) = peer { return .block(block) }
            return nil
        }
        return Clause(
            action: .allow, isForEverybody: rule.peers.isEmpty, destinations: destinations,
            workloads: index.workloads(chosenByAnyOf: selectors), services: rule.services, portNames: rule.portNames,
            location: rule.location
        )
    }

    private mutating func clause(_ rule: ClusterPolicy.Rule, tier: EgressPolicy.Tier) -> Clause {
        var clause = Clause(
            name: rule.name, action: RuleAction(rule.action), isForEverybody: false, services: rule.services,
            portNames: rule.portNames, location: rule.location
        )
        var selectors: [WorkloadSelector] = []
        var isReadable = true
        for peer in rule.peers {
            switch peer {
            case .pods(let pods): selectors.append(pods.selector)
            case .nodes(let selector):
                let nodes = index.nodes.filter { selector.matches($0.labels) }
                clause.destinations += nodes.flatMap(\.addresses).map { .block(AddressBlock(IPPrefix($0))) }
            case .networks(let networks): clause.destinations += networks.map { .block(AddressBlock($0)) }
            case .domainNames(let names) where rule.action == .accept && tier == .admin: clause.domains += names
            case .domainNames, .unknown: isReadable = false
            }
        }
        clause.workloads = index.workloads(chosenByAnyOf: selectors)
        // A rule that accepts and is not all readable accepts nothing: so the specification fails closed.
        if !isReadable && rule.action == .accept {
            clause.workloads = []
            clause.destinations = []
            clause.domains = []
        }
        // Nobody knows whom this rule was meant to hold back, or to hand on: nothing passes by it.
        if !isReadable && rule.action != .accept {
            clause.action = .deny
            clause.isForEverybody = true
            // Without these the rule would be about them alone: no destinations are all.
            clause.destinations = []
            clause.workloads = []
            clause.domains = []
            clause.services = []
            clause.portNames = []
        }
        return clause
    }

    // MARK: - To addresses and numbers

    private mutating func lower(_ clauses: [Clause]) -> [EgressRule] {
        var rules: [EgressRule] = []
        for (number, clause) in clauses.enumerated() {
            rules += lowerServices(clause, number)
            rules += lowerNames(clause, number)
        }
        return rules
    }

    /// The part of a rule that names its ports by number, or names none.
    private func lowerServices(_ clause: Clause, _ number: Int) -> [EgressRule] {
        if clause.services.isEmpty && !clause.portNames.isEmpty { return [] }
        return rule(clause, number, to: clause.workloads, clause.services).map { [$0] } ?? []
    }

    /// The part of a rule that names ports: a rule for each number that the name has at the far end.
    private mutating func lowerNames(_ clause: Clause, _ number: Int) -> [EgressRule] {
        if clause.portNames.isEmpty { return [] }
        if direction == .ingress {
            // The target is the workload itself: its own ports say what the name means.
            let services = ownPorts.filter { port in clause.portNames.contains { $0.matches(port) } }.map(Service.init)
            return services.isEmpty ? [] : rule(clause, number, to: clause.workloads, services).map { [$0] } ?? []
        }
        // A name means nothing at an address that is not a workload's.
        let workloads = clause.isForEverybody ? index.everyWorkload() : clause.workloads
        var targets: [[Service]: [Int]] = [:]
        for place in workloads {
            let ports = index.workload(at: place).namedPorts
            let services = ports.filter { port in clause.portNames.contains { $0.matches(port) } }.map(Service.init)
            if !services.isEmpty { targets[services, default: []].append(place) }
        }
        var named = clause
        named.isForEverybody = false
        named.destinations = []
        named.domains = []
        let precedes = index.precedes
        let inOrder = targets.sorted { $0.value.lexicographicallyPrecedes($1.value, by: precedes) }
        return inOrder.compactMap { services, places in rule(named, number, to: places, services) }
    }

    /// One rule; `nil` if it is for nobody.
    private func rule(_ clause: Clause, _ number: Int, to workloads: [Int], _ services: [Service]) -> EgressRule? {
        var destinations = spared(clause.destinations, clause.action)
        if !clause.isForEverybody {
            // Every link of a workload may stand for all of it.
            var known: Set<IPAddress> = []
            for place in workloads {
                for address in index.workload(at: place).addresses where known.insert(address).inserted {
                    destinations.append(.block(AddressBlock(IPPrefix(address))))
                }
            }
            if destinations.isEmpty && clause.domains.isEmpty { return nil }
        }
        return EgressRule(
            name: clause.name, action: clause.action, destinations: destinations, domains: clause.domains,
            naming: clause.naming, services: services, schedule: clause.schedule, clauseIndex: number,
            location: clause.location
        )
    }
}

extension PortName {
    /// Whether the workload's port is meant.
    fileprivate func matches(_ port: Workload.NamedPort) -> Bool {
        port.name == name && (`protocol` == nil || port.protocol == `protocol`)
    }
}

extension Service {
    fileprivate init(_ port: Workload.NamedPort) {
        self = .ports(port.protocol, PortRange(port.number))
    }
}

extension RuleAction {
    init(_ action: ClusterPolicy.Action) {
        switch action {
        case .accept: self = .allow
        case .deny: self = .deny
        case .pass: self = .pass
        }
    }
}
