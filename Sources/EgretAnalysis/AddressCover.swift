// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Cuts a family's addresses into the fewest CIDR blocks that have one value each.
///
/// Some addresses may be of no interest: a block may hold them whatever its value, and none is made for them alone.
struct AddressCover {
    /// A block, and the value of all of its addresses that are of interest.
    struct Block {
        var prefix: IPPrefix
        var value: Int32
    }

    /// Addresses one after the other with one value; the first and the last are of interest.
    private struct Run {
        var first: UInt128
        var last: UInt128
        var value: Int32
        /// Runs of one value with nothing of another between them have the same number.
        var group: Int
    }

    private let family: AddressFamily
    private let ignored: [UInt128]
    private var runs: [Run] = []
    private(set) var blocks: [Block] = []

    /// - Parameters:
    ///   - steps: The values.
    ///   - ignored: Addresses of no interest, rising, none of them twice.
    /// - Complexity: O(*p* *b* log *n*) in the pieces *p* of the steps, the bits *b* of an address, and the addresses of no
    ///   interest *n*; those that lie together at the end of a piece are passed one by one.
    init(_ steps: AddressSteps, ignoring ignored: [UInt128]) {
        family = steps.family
        self.ignored = ignored
        for piece in steps.values.indices {
            if let ends = interest(in: steps.starts[piece], steps.end(of: piece)) {
                append(ends.first, ends.last, steps.values[piece])
            }
        }
        let whole = IPPrefix(allOf: family)
        cut(whole, runs.startIndex..<runs.endIndex)
    }

    /// The first and the last address of interest in a range; `nil` if there is none.
    private func interest(in first: UInt128, _ last: UInt128) -> (first: UInt128, last: UInt128)? {
        var first = first
        var last = last
        var hole = ignored.firstIndex(in: ignored.indices) { $0 >= first }
        while hole < ignored.count, ignored[hole] == first {
            if first == last { return nil }
            first += 1
            hole += 1
        }
        hole = ignored.firstIndex(in: ignored.indices) { $0 > last }
        while hole > 0, ignored[hole - 1] == last {
            last -= 1
            hole -= 1
        }
        return (first, last)
    }

    /// Whether any address of the block is of interest.
    private func isOfInterest(_ prefix: IPPrefix) -> Bool {
        let first = ignored.firstIndex(in: ignored.indices) { $0 >= prefix.lowerBound }
        let end = ignored.firstIndex(in: first..<ignored.count) { $0 > prefix.upperBound }
        return UInt128(end - first) <= prefix.upperBound - prefix.lowerBound
    }

    private mutating func append(_ first: UInt128, _ last: UInt128, _ value: Int32) {
        let group = runs.last.map { $0.value == value ? $0.group : $0.group + 1 } ?? 0
        runs.append(Run(first: first, last: last, value: value, group: group))
    }

    /// Cuts the runs of `range`, which are those that reach into the prefix, and perhaps others around them.
    private mutating func cut(_ prefix: IPPrefix, _ range: Range<Int>) {
        let inside = narrowed(range, to: prefix)
        if inside.isEmpty { return }
        if runs[inside.lowerBound].group == runs[inside.upperBound - 1].group {
            // A block in the middle of a run may have none.
            if isOfInterest(prefix) { blocks.append(Block(prefix: prefix, value: runs[inside.lowerBound].value)) }
            return
        }
        let half = UInt128(1) << UInt128(family.bitWidth - prefix.length - 1)
        let upper = IPAddress(family: family, rawValue: prefix.lowerBound | half)
        for start in [prefix.address, upper] {
            if let child = IPPrefix(start, length: prefix.length + 1) { cut(child, inside) }
        }
    }

    private func narrowed(_ range: Range<Int>, to prefix: IPPrefix) -> Range<Int> {
        let first = runs.firstIndex(in: range) { $0.last >= prefix.lowerBound }
        let end = runs.firstIndex(in: first..<range.upperBound) { $0.first > prefix.upperBound }
        return first..<end
    }
}

extension Array {
    /// The first place in the range whose element meets a condition that all later ones meet too; the end if none does.
    func firstIndex(in range: Range<Int>, where condition: (Element) -> Bool) -> Int {
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if condition(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
