// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// The addresses of one family that a rule's `to` covers.
///
/// What is written out holds for every packet. A built-in group holds only for packets that pass through, and
/// `host` only for packets that the host itself receives.
struct AddressMatch<Address: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    var explicit: RangeSet<Address>
    var builtIn: RangeSet<Address>
    var matchesHost: Bool

    init(_ rule: EgressRule, family: AddressFamily, groups: [String: DestinationGroup]) {
        guard !rule.destinations.isEmpty else {
            // Names are looked up where they have been resolved to, and nowhere else.
            explicit = rule.isEverywhere ? .everything : RangeSet()
            builtIn = RangeSet()
            matchesHost = false
            return
        }
        let holdsBack = rule.action == .deny || rule.action == .reject
        var explicit: [RangeSet<Address>.Range] = []
        var builtIn: [RangeSet<Address>.Range] = []
        var matchesHost = false
        explicit.reserveCapacity(AddressMatch.count(rule.destinations, of: family, groups))
        for destination in rule.destinations {
            switch destination {
            case .block(let block):
                AddressMatch.append(CollectionOfOne(block), to: &explicit, family: family, withEmbedded: holdsBack)
            case .builtIn(.host):
                matchesHost = true
            case .builtIn(let group):
                AddressMatch.append(group.blocks, to: &builtIn, family: family, withEmbedded: holdsBack)
            case .group(let name):
                if let group = groups[name] {
                    AddressMatch.append(group.blocks, to: &explicit, family: family, withEmbedded: holdsBack)
                } else if holdsBack {
                    explicit += RangeSet.everything.ranges
                }
            }
        }
        self.explicit = RangeSet(explicit)
        self.builtIn = RangeSet(builtIn)
        self.matchesHost = matchesHost
    }

    /// How many blocks of the family the destinations write out, or a little more.
    private static func count(
        _ destinations: [Destination],
        of family: AddressFamily,
        _ groups: [String: DestinationGroup]
    ) -> Int {
        destinations.reduce(0) { count, destination in
            switch destination {
            case .block(let block): count + (block.prefix.family == family ? 1 : 0)
            case .group(let name):
                count + (groups[name]?.blocks.reduce(0) { $0 + ($1.prefix.family == family ? 1 : 0) } ?? 0)
            case .builtIn: count
            }
        }
    }

    private static func append(
        _ blocks: some Sequence<AddressBlock>,
        to result: inout [RangeSet<Address>.Range],
        family: AddressFamily,
        withEmbedded: Bool
    ) {
        for block in blocks {
            if block.prefix.family == family {
                append(block, to: &result, as: range)
            } else if withEmbedded && family == .ipv6 {
                for embedding in IPv4Embedding.allCases {
                    append(block, to: &result) { prefix in
                        Range(
                            lower: Address(truncatingIfNeeded: embedding.first(prefix.lowerBound)),
                            upper: Address(truncatingIfNeeded: embedding.last(prefix.upperBound))
                        )
                    }
                }
            }
        }
    }

    private typealias Range = RangeSet<Address>.Range

    private static func append(
        _ block: AddressBlock,
        to result: inout [RangeSet<Address>.Range],
        as range: (IPPrefix) -> RangeSet<Address>.Range
    ) {
        if block.except.isEmpty {
            result.append(range(block.prefix))
        } else {
            result += RangeSet([range(block.prefix)]).subtracting(RangeSet(block.except.map(range))).ranges
        }
    }

    private static func range(_ prefix: IPPrefix) -> RangeSet<Address>.Range {
        Range(
            lower: Address(truncatingIfNeeded: prefix.lowerBound),
            upper: Address(truncatingIfNeeded: prefix.upperBound)
        )
    }
}
