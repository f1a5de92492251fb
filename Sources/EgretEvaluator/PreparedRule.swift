// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// A rule with its addresses sorted for look-up.
struct PreparedRule: Sendable {
    /// The rule's place.
    let clause: DecidingClause
    /// What it does.
    let action: RuleAction
    private let services: [Service]
    /// Addresses it matches where the packet is for another machine.
    private let remote: AddressRangeSet
    /// Addresses it matches where the packet is for the host itself.
    private let local: AddressRangeSet

    init(_ rule: EgressRule, clause: DecidingClause, groups: [String: DestinationGroup]) {
        self.clause = clause
        action = rule.action
        services = rule.services
        guard !rule.destinations.isEmpty else {
            remote = .everything
            local = .everything
            return
        }
        var blocks: [AddressBlock] = []
        var builtIns: [BuiltInGroup] = []
        var isUnknown = false
        for destination in rule.destinations {
            switch destination {
            case .block(let block): blocks.append(block)
            case .builtIn(let group): builtIns.append(group)
            case .group(let name):
                guard let group = groups[name] else {
                    isUnknown = true
                    continue
                }
                blocks += group.blocks
            }
        }
        // A group that is not there must not open anything, nor open what it was meant to hold back.
        if isUnknown && rule.action.holdsBack {
            remote = .everything
            local = .everything
            return
        }
        remote = AddressRangeSet(blocks + builtIns.flatMap(\.blocks))
        local = builtIns.contains(.host) ? .everything : AddressRangeSet(blocks)
    }

    /// Whether the rule covers the flow.
    func matches(_ flow: Flow) -> Bool {
        (services.isEmpty || services.contains { $0.matches(flow) }) && matchesDestination(of: flow)
    }

    private func matchesDestination(of flow: Flow) -> Bool {
        let addresses = flow.destinationIsHost ? local : remote
        if addresses.contains(flow.destination) { return true }
        guard action.holdsBack, let embedded = flow.destination.embeddedIPv4 else { return false }
        return addresses.contains(.v4(embedded))
    }
}

extension RuleAction {
    /// Whether the action keeps traffic in: such rules match more in case of doubt, the others less.
    fileprivate var holdsBack: Bool {
        switch self {
        case .deny, .reject: true
        case .allow, .audit, .pass: false
        }
    }
}

extension Service {
    /// Whether the flow's protocol, and its port or type, are the service's.
    fileprivate func matches(_ flow: Flow) -> Bool {
        switch self {
        case .any(let proto): flow.protocol == proto
        case .ports(let proto, let range): flow.protocol == proto && flow.destinationPort.map(range.contains) ?? false
        case .icmp(let proto, let type): flow.protocol == proto && flow.icmpType == type
        }
    }
}
