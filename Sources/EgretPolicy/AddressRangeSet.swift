// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A set of addresses of both families, as sorted runs that neither touch nor overlap.
///
/// Two sets with the same addresses are equal, however they were put together.
public struct AddressRangeSet: Hashable, Sendable {
    /// Every address of both families.
    public static let everything = AddressRangeSet(
        v4: [0...UInt128(UInt32.max)], v6: [0...UInt128.max]
    )

    private let v4: [ClosedRange<UInt128>]
    private let v6: [ClosedRange<UInt128>]

    private init(v4: [ClosedRange<UInt128>], v6: [ClosedRange<UInt128>]) {
        self.v4 = v4
        self.v6 = v6
    }

    /// Creates the union of some blocks, each less its exceptions.
    ///
    /// - Complexity: O(*n* log *n*) in the number of blocks and exceptions.
    public init(_ blocks: [AddressBlock]) {
        self.init(
            v4: AddressRangeSet.covered(blocks.filter { $0.prefix.family == .ipv4 }),
            v6: AddressRangeSet.covered(blocks.filter { $0.prefix.family == .ipv6 })
        )
    }

    /// The runs of one family, first and last address, in order.
    public func ranges(_ family: AddressFamily) -> [ClosedRange<UInt128>] {
        family == .ipv4 ? v4 : v6
    }

    /// Whether there is no address in the set.
    public var isEmpty: Bool { v4.isEmpty && v6.isEmpty }

    /// Whether the address is in the set.
    ///
    /// - Complexity: O(log *n*) in the number of runs.
    public func contains(_ address: IPAddress) -> Bool {
        let runs = ranges(address.family)
        let value = address.rawValue
        return AddressRangeSet.run(at: value, in: runs)?.contains(value) ?? false
    }

    /// Whether every address of the other set is in this one.
    public func isSuperset(of other: AddressRangeSet) -> Bool {
        AddressFamily.allCases.allSatisfy { family in
            let runs = ranges(family)
            return other.ranges(family).allSatisfy { inner in
                AddressRangeSet.run(at: inner.lowerBound, in: runs).map { $0.upperBound >= inner.upperBound } ?? false
            }
        }
    }

    /// The last run that begins at or before the value and reaches it.
    private static func run(at value: UInt128, in runs: [ClosedRange<UInt128>]) -> ClosedRange<UInt128>? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].lowerBound <= value { low = middle + 1 } else { high = middle }
        }
        guard low > 0, runs[low - 1].upperBound >= value else { return nil }
        return runs[low - 1]
    }

    /// Runs in order of which no two touch, for the same addresses.
    package static func merged(_ runs: [ClosedRange<UInt128>]) -> [ClosedRange<UInt128>] {
        var result: [ClosedRange<UInt128>] = []
        for run in runs.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, last.upperBound == .max || run.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, run.upperBound)
            } else {
                result.append(run)
            }
        }
        return result
    }

    /// What some blocks of one family cover.
    private static func covered(_ blocks: [AddressBlock]) -> [ClosedRange<UInt128>] {
        merged(blocks.flatMap { remainder(of: $0) })
    }

    /// What the exceptions leave of a block, in order.
    private static func remainder(of block: AddressBlock) -> [ClosedRange<UInt128>] {
        let whole = block.prefix.lowerBound...block.prefix.upperBound
        let holes = block.except.filter { $0.family == block.prefix.family && $0.overlaps(block.prefix) }
            .sorted { $0.lowerBound < $1.lowerBound }
        var runs: [ClosedRange<UInt128>] = []
        var next = whole.lowerBound
        for hole in holes {
            if hole.lowerBound > next { runs.append(next...(hole.lowerBound - 1)) }
            if hole.upperBound >= whole.upperBound { return runs }
            next = max(next, hole.upperBound + 1)
        }
        runs.append(next...whole.upperBound)
        return runs
    }
}
