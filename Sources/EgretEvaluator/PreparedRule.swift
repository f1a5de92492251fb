// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
package import EgretPolicy

/// A rule with its addresses sorted for look-up.
package struct PreparedRule: Sendable {
    /// The rule's place.
    package let clause: DecidingClause
    /// What it does.
    package let action: RuleAction
    /// Protocols and ports it matches; empty for all of them.
    package let services: [Service]
    /// When it holds; `nil` for always.
    package let schedule: Schedule?
    /// Addresses it matches where the packet is for another machine.
    package let remote: AddressRangeSet
    /// Addresses it matches where the packet is for the host itself.
    package let local: AddressRangeSet
    /// The names that it is about; `nil` for none.
    package let names: PreparedNames?

    package init(_ rule: EgressRule, clause: DecidingClause, groups: [String: DestinationGroup]) {
        self.clause = clause
        action = rule.action
        services = rule.services
        schedule = rule.schedule
        names = PreparedNames(rule, groups: groups)
        guard !rule.destinations.isEmpty else {
            remote = rule.isEverywhere ? .everything : AddressRangeSet([])
            local = remote
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

    /// Whether the rule covers the flow; `held` are the flow's names by which the rule may reach its address.
    func matches(_ flow: Flow, holding held: Set<DomainName> = []) -> Bool {
        if (services.isEmpty || services.contains { $0.matches(flow) }) && matchesDestination(of: flow) { return true }
        return !flow.destinationIsHost && names?.match(flow, holding: held, services: services) ?? false
    }

    /// Whether a refusal of the flow by default is to be answered.
    func answers(_ flow: Flow, holding held: Set<DomainName>) -> Bool {
        !flow.destinationIsHost && names?.answers(flow, holding: held) ?? false
    }

    /// Whether the rule holds at a time; at one that nobody knows, whether it holds traffic back.
    package func isOpen(at unixTime: Int64?) -> Bool {
        guard let schedule else { return true }
        return unixTime.map { schedule.isOpen(at: $0) } ?? action.holdsBack
    }

    /// Whether the rule holds for a connection: where its schedule drains, whether it did when that began.
    func isOpen(at unixTime: Int64?, since beginning: Int64?) -> Bool {
        isOpen(at: schedule?.onClose == .drain ? beginning ?? unixTime : unixTime)
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
    package var holdsBack: Bool {
        switch self {
        case .deny, .reject: true
        case .allow, .audit, .pass: false
        }
    }
}

extension Service {
    /// Whether the flow's protocol, and its port or type, are the service's.
    func matches(_ flow: Flow) -> Bool {
        matches(flow.protocol, port: flow.destinationPort, icmpType: flow.icmpType)
    }
}
