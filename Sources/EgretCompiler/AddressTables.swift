// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

/// The pieces of a partition, spread over the tables that the kernel looks them up in.
///
/// Every address is in one piece at most, so the order of the look-ups does not matter. Intervals are in a tree: any
/// interval fits, but a large tree is slow to fill and deep. A block of a length that is frequent goes to the hash table
/// of its length instead, which takes half as many elements and finds one in constant time.
struct AddressTables<Address: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    /// The blocks of one prefix length.
    struct Blocks: Sendable {
        /// 0 up to the address's width.
        var prefixLength: Int
        /// By first address, rising.
        var entries: [AddressInterval<Address>]
    }

    /// The blocks in hash tables, longest first.
    private(set) var blocks: [Blocks] = []
    /// All other pieces.
    private(set) var intervals: [AddressInterval<Address>]

    /// How many hash tables a packet may have to be looked up in.
    private static var mostTables: Int { 8 }
    /// An interval of more blocks stays an interval: as such it has two elements.
    private static var mostBlocks: Int { 3 }

    /// Spreads pieces over tables.
    ///
    /// - Parameters:
    ///   - pieces: Disjoint, rising.
    ///   - threshold: From how many blocks of a length on they have a table of their own.
    init(_ pieces: [AddressInterval<Address>], threshold: Int) {
        intervals = pieces
        if pieces.count < threshold { return }
        var counts = [Int](repeating: 0, count: Address.bitWidth + 1)
        for piece in pieces {
            AddressTables.withBlocks(of: piece) { block in counts[block.prefixLength] += 1 }
        }
        let frequent = counts.indices.filter { counts[$0] >= max(1, threshold) }
            .sorted { (counts[$0], $0) > (counts[$1], $1) }.prefix(AddressTables.mostTables)
        if frequent.isEmpty { return }
        var tables: [[AddressInterval<Address>]?] = Array(repeating: nil, count: counts.count)
        for length in frequent {
            var entries: [AddressInterval<Address>] = []
            entries.reserveCapacity(counts[length])
            tables[length] = entries
        }
        intervals = []
        for piece in pieces {
            var fits = true
            var count = 0
            AddressTables.withBlocks(of: piece) { block in
                fits = fits && tables[block.prefixLength] != nil
                count += 1
            }
            if !fits || count == 0 {
                intervals.append(piece)
                continue
            }
            AddressTables.withBlocks(of: piece) { block in
                tables[block.prefixLength]?.append(
                    AddressInterval(block.first, block.first, verdictIndex: piece.verdictIndex))
            }
        }
        blocks = tables.indices.reversed().compactMap { length in
            guard let entries = tables[length], !entries.isEmpty else { return nil }
            return Blocks(prefixLength: length, entries: entries)
        }
    }

    /// All pieces as blocks, by first address; `nil` if there are more of them than so many, or a table has some.
    func blocks(atMost count: Int) -> [(first: Address, prefixLength: Int, verdictIndex: UInt32)]? {
        if !blocks.isEmpty || intervals.count > count { return nil }
        var found: [(first: Address, prefixLength: Int, verdictIndex: UInt32)] = []
        for piece in intervals {
            AddressTables.forEachBlock(of: piece) { block in
                found.append((block.first, block.prefixLength, piece.verdictIndex))
                return found.count <= count
            }
            if found.count > count { return nil }
        }
        return found
    }

    /// Hands over the blocks that an interval consists of; none if there are too many.
    private static func withBlocks(
        of piece: AddressInterval<Address>,
        _ body: ((first: Address, prefixLength: Int)) -> Void
    ) {
        // Most pieces are one block; two passes cost less than a list.
        var count = 0
        forEachBlock(of: piece) { _ in
            count += 1
            return count <= mostBlocks
        }
        if count > mostBlocks { return }
        forEachBlock(of: piece) { block in
            body(block)
            return true
        }
    }

    private static func forEachBlock(
        of piece: AddressInterval<Address>,
        _ body: ((first: Address, prefixLength: Int)) -> Bool
    ) {
        var first = piece.lowerBound
        while true {
            // The largest block that begins here and does not reach over the end.
            let aligned = first == 0 ? Address.bitWidth : first.trailingZeroBitCount
            let rest = piece.upperBound - first
            let fitting = rest == .max ? Address.bitWidth : Address.bitWidth - 1 - (rest + 1).leadingZeroBitCount
            let size = min(aligned, fitting)
            if !body((first, Address.bitWidth - size)) { return }
            if size == Address.bitWidth { return }
            let (next, isOver) = first.addingReportingOverflow(Address(1) << Address(size))
            if isOver || next > piece.upperBound { return }
            first = next
        }
    }
}
