// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// The part of one protocol's traffic: some ports or ICMP types, and the packets that have none.
///
/// A packet has no port where it is a later fragment; a protocol without ports or types has only such packets.
struct NumberSet: Hashable, Sendable {
    /// Ports or types, sorted, none touching another.
    private(set) var ranges: [PortRange]
    /// Whether packets without a port or type are in the set.
    var includesNone: Bool

    /// Creates the set of some ranges, in order; they may touch and overlap.
    init(sorted: [PortRange] = [], includesNone: Bool = false) {
        ranges = sorted.count > 1 ? PortRange.merged(sorted: sorted) : sorted
        self.includesNone = includesNone
    }

    /// Everything that packets of the protocol can be.
    static func everything(of number: IPProtocol) -> NumberSet {
        NumberSet(sorted: number.numbers.map { [$0] } ?? [], includesNone: true)
    }

    var isEmpty: Bool { ranges.isEmpty && !includesNone }

    func contains(_ value: UInt16?) -> Bool {
        guard let value else { return includesNone }
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= value
    }

    func union(_ other: NumberSet) -> NumberSet {
        if other.isEmpty { return self }
        if isEmpty { return other }
        return NumberSet(sorted: (ranges + other.ranges).sorted(), includesNone: includesNone || other.includesNone)
    }

    func intersection(_ other: NumberSet) -> NumberSet {
        var result: [PortRange] = []
        var left = 0
        var right = 0
        while left < ranges.count && right < other.ranges.count {
            let lower = max(ranges[left].lowerBound, other.ranges[right].lowerBound)
            let upper = min(ranges[left].upperBound, other.ranges[right].upperBound)
            if let both = PortRange(lower, upper) { result.append(both) }
            if ranges[left].upperBound < other.ranges[right].upperBound { left += 1 } else { right += 1 }
        }
        return NumberSet(sorted: result, includesNone: includesNone && other.includesNone)
    }

    func subtracting(_ other: NumberSet) -> NumberSet {
        var result: [PortRange] = []
        var holes = other.ranges[...]
        for range in ranges {
            var next = UInt32(range.lowerBound)
            let end = UInt32(range.upperBound)
            while let hole = holes.first, UInt32(hole.upperBound) < next { holes.removeFirst() }
            for hole in holes {
                guard hole.lowerBound <= range.upperBound else { break }
                if UInt32(hole.lowerBound) > next { NumberSet.append(next, UInt32(hole.lowerBound) - 1, to: &result) }
                next = UInt32(hole.upperBound) + 1
            }
            if next <= end { NumberSet.append(next, end, to: &result) }
        }
        return NumberSet(sorted: result, includesNone: includesNone && !other.includesNone)
    }

    private static func append(_ lower: UInt32, _ upper: UInt32, to ranges: inout [PortRange]) {
        if let range = PortRange(UInt16(truncatingIfNeeded: lower), UInt16(truncatingIfNeeded: upper)) {
            ranges.append(range)
        }
    }
}

extension IPProtocol {
    /// The ports or types that packets of the protocol carry; `nil` if they carry none.
    var numbers: PortRange? {
        if hasPorts { return .all }
        return self == .icmp || self == .icmpv6 ? PortRange(0, 255) : nil
    }
}
