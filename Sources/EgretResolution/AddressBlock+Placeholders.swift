// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretPolicy

extension [AddressBlock] {
    /// The blocks without the addresses that only stand in for others, in each family that they do not cover whole.
    func sparing(_ placeholders: [IPPrefix]) -> [AddressBlock] {
        func isHit(_ block: AddressBlock) -> Bool { placeholders.contains { $0.overlaps(block.prefix) } }
        if !contains(where: isHit) { return self }
        let families = partialFamilies
        return map { block in
            guard families.contains(block.prefix.family) else { return block }
            let spared = placeholders.filter { $0.family == block.prefix.family && $0.overlaps(block.prefix) }
            return spared.isEmpty ? block : AddressBlock(block.prefix, except: block.except + spared)
        }
    }

    /// The families of which the blocks together hold something, and not everything.
    fileprivate var partialFamilies: [AddressFamily] {
        let covered = AddressRangeSet(self)
        return AddressFamily.allCases.filter { family in
            !covered.ranges(family).isEmpty
                && covered.ranges(family) != AddressRangeSet.everything.ranges(family)
        }
    }

    /// Whether pods may well have some of the addresses, but need not: the blocks hold private ones, and not everything.
    fileprivate var mayHoldPods: Bool {
        let covered = AddressRangeSet(self)
        let usual = AddressRangeSet(BuiltInGroup.private.blocks)
        return partialFamilies.contains { family in
            covered.ranges(family).contains { run in usual.ranges(family).contains { $0.overlaps(run) } }
        }
    }
}

extension [Destination] {
    /// The destinations, of which no block that leaves something out is about addresses that only stand in for others.
    ///
    /// - Parameters:
    ///   - placeholders: The addresses that stand in.
    ///   - refuses: Whether the rule holds traffic back: it is then about the IPv6 addresses as well that stand for IPv4
    ///     ones, and for those of the placeholders it still is.
    /// - Returns: The destinations, in which blocks may have more exceptions.
    func sparing(_ placeholders: [IPPrefix], refuses: Bool) -> [Destination] {
        if placeholders.isEmpty { return self }
        let blocks = compactMap { destination -> AddressBlock? in
            if case .block(let block) = destination { return block }
            return nil
        }
        let spared = blocks.sparing(placeholders)
        if spared == blocks { return self }
        let others = filter { destination in
            if case .block = destination { return false }
            return true
        }
        var all = spared
        if refuses {
            let lost = placeholders.filter { place in
                place.family == .ipv4 && zip(blocks, spared).contains { $0 != $1 && $0.prefix.overlaps(place) }
            }
            all += lost.flatMap { place in
                IPv4Embedding.allCases.compactMap { $0.block(of: place).map { AddressBlock($0) } }
            }
        }
        return all.map { .block($0) } + others
    }
}

extension IPv4Embedding {
    /// The IPv6 addresses that stand for those of an IPv4 block.
    fileprivate func block(of prefix: IPPrefix) -> IPPrefix? {
        let lowest = first(prefix.lowerBound)
        let count = last(prefix.upperBound) - lowest + 1
        return IPPrefix(IPAddress(family: .ipv6, rawValue: lowest), length: 128 - count.trailingZeroBitCount)
    }
}

extension DestinationGroup {
    /// The group, of which no block that leaves something out is about addresses that only stand in for others.
    func sparing(_ placeholders: [IPPrefix]) -> DestinationGroup {
        let all = blocks
        let spared = all.sparing(placeholders)
        if spared == all { return self }
        var group = self
        group.cidrs = cidrs.sparing(placeholders)
        group.fetched = fetched.map { $0.sparing(placeholders) }
        return group
    }
}

extension PolicyCatalog {
    /// What rules do that name blocks in which pods may have their addresses, but need not: where the addresses of workloads
    /// are not known, such a rule is taken not to be about them.
    public var actionsAtUncertainBlocks: Set<RuleAction> {
        var actions: Set<RuleAction> = []
        let groups = Dictionary(groups.map { ($0.name, $0.blocks) }, uniquingKeysWith: { first, _ in first })
        for rule in egressPolicies.flatMap(\.rules) where !actions.contains(rule.action) {
            let blocks = rule.destinations.flatMap { destination -> [AddressBlock] in
                switch destination {
                case .block(let block): [block]
                case .builtIn(let group): group.blocks
                case .group(let name): groups[name] ?? []
                }
            }
            if blocks.mayHoldPods { actions.insert(rule.action) }
        }
        for policy in clusterPolicies {
            for rule in policy.ingress + policy.egress {
                let blocks = rule.peers.flatMap { peer -> [AddressBlock] in
                    if case .networks(let networks) = peer { return networks.map { AddressBlock($0) } }
                    return []
                }
                if blocks.mayHoldPods { actions.insert(RuleAction(rule.action)) }
            }
        }
        let blocks = networkPolicies.contains { policy in
            (policy.ingress + policy.egress).contains { rule in
                rule.peers.compactMap { peer -> AddressBlock? in
                    if case .block(let block) = peer { return block }
                    return nil
                }.mayHoldPods
            }
        }
        if blocks { actions.insert(.allow) }
        return actions
    }
}
