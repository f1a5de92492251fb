// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// Cuts the addresses of one family where any rule begins or ends to cover them.
struct CoverageSweep {
    /// Which rules cover the addresses of each piece: places in `coverages`.
    private(set) var steps: AddressSteps
    /// The distinct lists of rules that cover an address, each rising.
    private(set) var coverages: [[Int32]] = []

    // Not a UInt128: see IPv6Address.
    private struct Event {
        var high: UInt64
        var low: UInt64
        var rule: Int32

        init(_ address: UInt128, _ rule: Int) {
            high = UInt64(truncatingIfNeeded: address >> 64)
            low = UInt64(truncatingIfNeeded: address)
            self.rule = Int32(truncatingIfNeeded: rule)
        }

        var address: UInt128 { UInt128(high) << 64 | UInt128(low) }
    }

    /// Creates the sweep over the ranges that each rule covers, in order and apart.
    ///
    /// - Complexity: O(*n* log *n* + *n* *r*) in the ranges *n*, and the rules *r* that cover an address at once.
    init(_ rules: [[ClosedRange<UInt128>]], family: AddressFamily) {
        let last = family.lastAddress
        var events: [Event] = []
        for (rule, ranges) in rules.enumerated() {
            for range in ranges {
                events.append(Event(range.lowerBound, rule))
                if range.upperBound < last { events.append(Event(range.upperBound + 1, rule)) }
            }
        }
        events.sort { ($0.high, $0.low) < ($1.high, $1.low) }
        var places: [[Int32]: Int32] = [:]
        var active: [Int32] = []
        steps = AddressSteps(family, 0)
        var index = 0
        var position: UInt128 = 0
        while true {
            while index < events.count, events[index].address == position {
                CoverageSweep.toggle(events[index].rule, in: &active)
                index += 1
            }
            var place = places[active]
            if place == nil {
                place = Int32(truncatingIfNeeded: coverages.count)
                places[active] = place
                coverages.append(active)
            }
            steps.append(from: position, place ?? 0)
            guard index < events.count else { return }
            position = events[index].address
        }
    }

    private static func toggle(_ rule: Int32, in rules: inout [Int32]) {
        var low = 0
        var high = rules.count
        while low < high {
            let middle = (low + high) / 2
            if rules[middle] < rule { low = middle + 1 } else { high = middle }
        }
        if low < rules.count && rules[low] == rule { rules.remove(at: low) } else { rules.insert(rule, at: low) }
    }
}

extension PreparedRule {
    /// The addresses of one family that the rule covers, in order and apart.
    func ranges(_ family: AddressFamily, isHost: Bool) -> [ClosedRange<UInt128>] {
        let addresses = isHost ? local : remote
        guard family == .ipv6, action.holdsBack, addresses != .everything else { return addresses.ranges(family) }
        let embedded = IPv4Embedding.allCases.flatMap { embedding in
            addresses.ranges(.ipv4).map { embedding.first($0.lowerBound)...embedding.last($0.upperBound) }
        }
        return AddressRangeSet.merged(addresses.ranges(.ipv6) + embedded)
    }
}
