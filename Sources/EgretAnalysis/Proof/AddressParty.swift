// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Addresses that an assertion speaks of.
struct AddressParty {
    private var v4: [ClosedRange<UInt128>]
    private var v6: [ClosedRange<UInt128>]
    /// Whether workloads that have one of the addresses are meant too.
    var includesWorkloads: Bool
    /// Whether the machine itself is meant, whatever its address.
    var isHost = false

    /// The rest of the world.
    static let outside = AddressParty(
        v4: AddressRangeSet.everything.ranges(.ipv4), v6: AddressRangeSet.everything.ranges(.ipv6),
        includesWorkloads: false)

    private init(v4: [ClosedRange<UInt128>], v6: [ClosedRange<UInt128>], includesWorkloads: Bool) {
        self.v4 = v4
        self.v6 = v6
        self.includesWorkloads = includesWorkloads
    }

    /// The addresses of a party; `nil` if it is of workloads.
    init?(_ party: Assertion.Party, groups: [DestinationGroup]) {
        let blocks: [AddressBlock]
        switch party {
        case .workloads: return nil
        case .outside:
            self = .outside
            return
        case .block(let prefix): blocks = [AddressBlock(prefix)]
        case .builtIn(let group): blocks = group.blocks
        case .group(let name): blocks = groups.first { $0.name == name }?.blocks ?? []
        }
        let set = AddressRangeSet(blocks)
        self.init(v4: set.ranges(.ipv4), v6: set.ranges(.ipv6), includesWorkloads: true)
        isHost = party == .builtIn(.host)
    }

    /// With the IPv6 addresses that stand for the IPv4 ones: what is reached by them is reached.
    var withEmbedded: AddressParty {
        let embedded = IPv4Embedding.allCases.flatMap { embedding in
            v4.map { embedding.first($0.lowerBound)...embedding.last($0.upperBound) }
        }
        var result = self
        result.v6 = (v6 + embedded).sorted { $0.lowerBound < $1.lowerBound }
        return result
    }

    /// Every other address, workloads' included.
    var complement: AddressParty {
        AddressParty(
            v4: AddressParty.complement(of: v4, .ipv4), v6: AddressParty.complement(of: v6, .ipv6),
            includesWorkloads: true)
    }

    /// The ranges of one family, by their first addresses.
    func ranges(_ family: AddressFamily) -> [ClosedRange<UInt128>] { family == .ipv4 ? v4 : v6 }

    func contains(_ address: IPAddress) -> Bool {
        let value = address.rawValue
        return ranges(address.family).contains { $0.contains(value) }
    }

    private static func complement(
        of ranges: [ClosedRange<UInt128>], _ family: AddressFamily
    ) -> [ClosedRange<UInt128>] {
        var result: [ClosedRange<UInt128>] = []
        var next: UInt128 = 0
        for range in ranges {
            if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
            if range.upperBound >= family.lastAddress { return result }
            next = range.upperBound + 1
        }
        return result + [next...family.lastAddress]
    }
}
