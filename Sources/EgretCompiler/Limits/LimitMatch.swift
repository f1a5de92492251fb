// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

/// What a limit is about, as conditions of rules.
struct LimitMatch: Sendable {
    /// Where a packet has the far end's address and port.
    enum FarEnd {
        /// A packet to it.
        case destination
        /// A packet from it.
        case source
        /// The first packet of a connection from it: the port is the one that the connection is to.
        case beginner
        /// Any packet of a connection that was led to a proxy of this host's: where it was going before.
        case led

        func address(_ family: AddressFamily) -> Selector {
            switch self {
            case .destination: family.destination
            case .source, .beginner: family.source
            case .led: family.originalDestination
            }
        }

        var port: Selector {
            switch self {
            case .destination, .beginner: .destinationPort
            case .source: .sourcePort
            case .led: .originalDestinationPort
            }
        }
    }

    /// A set of addresses, of which one must be the far end's.
    private struct Addresses {
        let set: String
        /// Whether they are what names were resolved to.
        let areOfNames: Bool
    }

    /// The sets that conditions ask, named by what they hold.
    let sets: [EgretNftables.Set]
    /// Those of them that are filled while names are resolved.
    let namedSets: [NamedSet]
    private let services: [Service]
    /// The sets of each family's addresses, none for all of them; no entry if there are none.
    private let addresses: [AddressFamily: [Addresses]]

    /// Works out what a limit is about.
    ///
    /// - Parameters:
    ///   - limit: The limit.
    ///   - groups: The groups that it may name.
    ///   - owner: Whose the sets of names are, as ``NamedSet`` has it.
    init(_ limit: TrafficLimit, groups: [String: DestinationGroup], of owner: UInt32? = nil) {
        // Of which no two match one packet: it would be counted for each.
        services = Service.apart(limit.services)
        var sets = FarSideMatch.portSets(services)
        var namedSets: [NamedSet] = []
        var addresses: [AddressFamily: [Addresses]] = [:]
        let patterns = limit.patterns(groups)
        for family in AddressFamily.allCases {
            if limit.isForAllFarEnds {
                addresses[family] = []
                continue
            }
            let ranges = AddressRangeSet(limit.destinations.flatMap { $0.blocks(groups) }).ranges(family)
            if !ranges.isEmpty {
                var digest = StableDigest()
                for range in ranges { digest.add(range.lowerBound, range.upperBound) }
                let name = "far-\(digest.text)"
                sets.append(FarSideMatch.set(name, ranges, family))
                addresses[family, default: []].append(Addresses(set: name, areOfNames: false))
            }
            if !patterns.isEmpty {
                let named = NamedSet(patterns, family, of: owner)
                sets.append(named.declaration)
                namedSets.append(named)
                addresses[family, default: []].append(Addresses(set: named.name, areOfNames: true))
            }
        }
        self.sets = sets
        self.namedSets = namedSets
        self.addresses = addresses
    }

    /// The families that it is about.
    var families: [AddressFamily] { AddressFamily.allCases.filter { addresses.keys.contains($0) } }

    /// One list of statements for each kind of packet of a family; none if nothing of the family can match.
    func conditions(_ family: AddressFamily, _ end: FarEnd, ofFrames: Bool = false) -> [[Statement]] {
        guard let asked = addresses[family] else { return [] }
        let isOfFamily = ofFrames ? family.isFrames : family.isPackets
        let ports: [[Statement]] =
            services.isEmpty ? [[]] : services.flatMap { FarSideMatch.conditions($0, port: end.port) }
        if asked.isEmpty { return ports.map { [isOfFamily] + $0 } }
        let address = end.address(family)
        var found: [[Statement]] = []
        for (place, far) in asked.enumerated() {
            var isFar = [isOfFamily]
            // A packet whose address is in several sets counts once.
            for former in asked[..<place] { isFar.append(.notInSet(address, former.set)) }
            isFar.append(.inSet(address, far.set))
            // As long as there are packets the address stays, however long ago its name was resolved.
            let stays = far.areOfNames ? [Statement.keepInSet(address, far.set)] : []
            found += ports.map { isFar + $0 + stays }
        }
        return found
    }

    /// The conditions of both families; one without statements where everything matches.
    func conditions(_ end: FarEnd) -> [[Statement]] {
        if services.isEmpty, addresses.values.allSatisfy(\.isEmpty), addresses.count == 2 { return [[]] }
        return AddressFamily.allCases.flatMap { conditions($0, end) }
    }
}

extension AddressFamily {
    /// Goes on only with frames that carry packets of the family: `ETH_P_IP` and `ETH_P_IPV6`.
    var isFrames: Statement { .equal(.etherType, self == .ipv4 ? 0x0800 : 0x86dd) }
}

/// A number that equal contents share in every process (FNV-1a, 64 bits).
struct StableDigest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ text: String) {
        for byte in text.utf8 { add(byte) }
        add(0)
    }

    mutating func add(_ numbers: UInt128...) {
        for number in numbers {
            for place in 0..<16 { add(UInt8(truncatingIfNeeded: number >> UInt128(8 * place))) }
        }
    }

    private mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01b3 }

    var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
