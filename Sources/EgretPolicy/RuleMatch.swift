// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// What a rule matches, as far as that can be compared without knowing groups and workloads.
struct RuleMatch: Equatable {
    /// Addresses matched when the packet is for another machine.
    private var remote: AddressRangeSet
    /// Addresses matched when the packet is for the host itself.
    private var local: AddressRangeSet
    private var groups: Set<String>
    private var workloads: Set<WorkloadSelector>
    private var domains: Set<DomainPattern>
    private var naming: NameOptions
    private var isEverywhere: Bool
    private var services: Set<Service>
    private var portNames: Set<PortName>

    init(_ rule: EgressRule) {
        services = Set(rule.services)
        portNames = Set(rule.portNames)
        workloads = Set(rule.workloads)
        domains = Set(rule.domains)
        naming = rule.naming
        groups = []
        isEverywhere = rule.isEverywhere
        guard !isEverywhere else {
            remote = .everything
            local = .everything
            return
        }
        var blocks: [AddressBlock] = []
        var builtIns: [BuiltInGroup] = []
        for destination in rule.destinations {
            switch destination {
            case .block(let block): blocks.append(block)
            case .builtIn(let group): builtIns.append(group)
            case .group(let name): groups.insert(name)
            }
        }
        remote = AddressRangeSet(blocks + builtIns.flatMap(\.blocks))
        local = builtIns.contains(.host) ? .everything : AddressRangeSet(blocks)
        isEverywhere = remote == .everything && local == .everything
    }

    /// Whether everything that the other matches is matched by this one, for certain.
    func covers(_ other: RuleMatch) -> Bool {
        guard coversServices(of: other) else { return false }
        // Where some ports are not covered, the other rule lets its names be asked, which no packet shows.
        if isEverywhere && (services.isEmpty || other.domains.isEmpty && other.groups.isEmpty) { return true }
        // Every workload includes any, and so do all addresses; what a selector chooses is known only by its likes.
        return !other.isEverywhere && groups.isSuperset(of: other.groups)
            && (workloads.contains(.everything) || workloads.isSuperset(of: other.workloads))
            && remote.isSuperset(of: other.remote) && local.isSuperset(of: other.local)
            && coversDomains(of: other)
    }

    /// Whether every name is covered, and passes or not as it would by the other.
    private func coversDomains(of other: RuleMatch) -> Bool {
        if other.domains.isEmpty && other.groups.isEmpty { return true }
        let isSame = services == other.services && portNames == other.portNames
        let isOfTCP = other.services.allSatisfy { RuleMatch.covers(.any(.tcp), $0) } && !other.services.isEmpty
        // Without ports a rule is about TCP where names are concerned.
        let areServicesCovered = isSame || !services.isEmpty || isOfTCP && naming.applications.isEmpty
        return naming == other.naming && areServicesCovered
            && other.domains.allSatisfy { inner in domains.contains { $0.covers(inner) } }
    }

    private func coversServices(of other: RuleMatch) -> Bool {
        if services.isEmpty && portNames.isEmpty { return true }
        if other.services.isEmpty && other.portNames.isEmpty { return false }
        return other.services.allSatisfy { inner in services.contains { RuleMatch.covers($0, inner) } }
            && other.portNames.allSatisfy { name in
                portNames.contains(name) || portNames.contains(PortName(name.name))
                    || name.protocol.map { services.contains(.any($0)) } ?? false
            }
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
