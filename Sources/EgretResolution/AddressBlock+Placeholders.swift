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

    /// The IPv6 forms of those addresses that only stand in for others which ``sparing(_:)`` takes away.
    ///
    /// A rule that holds traffic back is about these as well, and what it says of them does not hang on who stands in.
    func formsOfSpared(_ placeholders: [IPPrefix]) -> [AddressBlock] {
        if !partialFamilies.contains(.ipv4) { return [] }
        let runs = AddressRangeSet(self).ranges(.ipv4)
        var forms: [AddressBlock] = []
        for place in placeholders where place.family == .ipv4 {
            let whole = place.lowerBound...place.upperBound
            for run in runs where run.overlaps(whole) {
                let held = run.clamped(to: whole)
                let count = held.upperBound - held.lowerBound + 1
                for block in Inventory.blocks(.ipv4, from: held.lowerBound, count: count) {
                    forms += IPv4Embedding.allCases.compactMap { $0.block(of: block).map { AddressBlock($0) } }
                }
            }
        }
        return forms
    }

    /// The families of which the blocks together hold something, and not everything.
    fileprivate var partialFamilies: [AddressFamily] {
        let covered = AddressRangeSet(self)
        return AddressFamily.allCases.filter { family in
            !covered.ranges(family).isEmpty
                && covered.ranges(family) != AddressRangeSet.everything.ranges(family)
        }
    }

    /// Whether pods may well have some of the addresses, but need not: the blocks hold private ones, or some network's of
    /// global IPv6 addresses, which pods have as well as any host, and not everything.
    fileprivate var mayHoldPods: Bool {
        let families = partialFamilies
        if families.contains(.ipv6), contains(where: \.isNetworkOfGlobal6) { return true }
        let covered = AddressRangeSet(self)
        let usual = AddressRangeSet(BuiltInGroup.private.blocks)
        return families.contains { family in
            covered.ranges(family).contains { run in usual.ranges(family).contains { $0.overlaps(run) } }
        }
    }
}

extension AddressBlock {
    /// Whether it is of global unicast addresses of IPv6, and so small that it is some network's and not the internet.
    fileprivate var isNetworkOfGlobal6: Bool {
        prefix.family == .ipv6 && prefix.length > 16 && prefix.lowerBound >> 125 == 1
    }
}

extension [Destination] {
    /// The destinations, of which no block that leaves something out is about addresses that only stand in for others.
    ///
    /// - Parameters:
    ///   - placeholders: The addresses that stand in.
    ///   - forms: Of a rule that holds traffic back, and is about the IPv6 addresses as well that stand for IPv4 ones,
    ///     those that groups have lost with the placeholders, by the groups' names; `nil` for any other rule.
    /// - Returns: The destinations, in which blocks may have more exceptions, and those forms.
    func sparing(_ placeholders: [IPPrefix], forms: [String: [AddressBlock]]?) -> [Destination] {
        if placeholders.isEmpty { return self }
        var blocks: [AddressBlock] = []
        var others: [Destination] = []
        for destination in self {
            if case .block(let block) = destination { blocks.append(block) } else { others.append(destination) }
        }
        var all = blocks.sparing(placeholders)
        if let forms {
            if all != blocks { all += blocks.formsOfSpared(placeholders) }
            for case .group(let name) in others { all += forms[name] ?? [] }
        }
        return all == blocks ? self : all.map { .block($0) } + others
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
