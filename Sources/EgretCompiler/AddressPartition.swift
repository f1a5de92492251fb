// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The address space of one family, cut where any rule begins or ends to cover it.
///
/// Each piece is covered by one list of rules throughout. A packet then needs a single look-up by address,
/// however many rules and prefixes there are.
struct AddressPartition<Address: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
    /// Which rules cover an address, as places in the rule sequence, rising.
    struct Coverage: Hashable, Sendable {
        /// By what is written out, or by a rule without `to`.
        var explicit: [Int32] = []
        /// By a built-in group only.
        var builtIn: [Int32] = []
    }

    struct Piece: Sendable {
        var lower: Address
        var upper: Address
        /// The place in `coverages`.
        var coverage: Int
    }

    /// The distinct coverages. The first is that of addresses in no range at all.
    private(set) var coverages: [Coverage] = [Coverage()]
    private var coverageIndex: [Coverage: Int] = [Coverage(): 0]

    /// Cuts the space and hands each piece whose coverage is not the first to `body`, in order.
    ///
    /// Rules that cover every address are left out of the coverages: they are in all of them.
    mutating func forEachPiece(of matches: [AddressMatch<Address>], _ body: (Piece, [Coverage]) -> Void) {
        var cursors = CursorHeap<Address>()
        for (index, match) in matches.enumerated() {
            if match.explicit.isEverything { continue }
            cursors.insert(Cursor(ranges: match.explicit.ranges, rule: Int32(index), isBuiltIn: false))
            let builtIn = match.builtIn.subtracting(match.explicit)
            cursors.insert(Cursor(ranges: builtIn.ranges, rule: Int32(index), isBuiltIn: true))
        }
        var active = Coverage()
        var current = 0
        var start = Address.min
        while let position = cursors.first?.position {
            if current != 0 && position > start {
                body(Piece(lower: start, upper: position - 1, coverage: current), coverages)
            }
            while let cursor = cursors.first, cursor.position == position {
                active.toggle(cursor)
                cursors.advanceFirst()
            }
            current = place(of: active)
            start = position
        }
        if current != 0 { body(Piece(lower: start, upper: .max, coverage: current), coverages) }
    }

    private mutating func place(of coverage: Coverage) -> Int {
        if let place = coverageIndex[coverage] { return place }
        coverages.append(coverage)
        coverageIndex[coverage] = coverages.count - 1
        return coverages.count - 1
    }
}

extension AddressPartition.Coverage {
    fileprivate mutating func toggle(_ cursor: Cursor<Address>) {
        if cursor.isBuiltIn {
            AddressPartition.Coverage.toggle(cursor.rule, in: &builtIn)
        } else {
            AddressPartition.Coverage.toggle(cursor.rule, in: &explicit)
        }
    }

    private static func toggle(_ rule: Int32, in rules: inout [Int32]) {
        var low = 0
        var high = rules.count
        while low < high {
            let middle = (low + high) / 2
            if rules[middle] < rule { low = middle + 1 } else { high = middle }
        }
        if low < rules.count && rules[low] == rule {
            rules.remove(at: low)
        } else {
            rules.insert(rule, at: low)
        }
    }
}

/// A walk over one rule's ranges, standing at the next place where the rule begins or ends to cover.
private struct Cursor<Address: FixedWidthInteger & UnsignedInteger & Sendable> {
    private let ranges: [RangeSet<Address>.Range]
    private var index = 0
    private var isInside = false
    let rule: Int32
    let isBuiltIn: Bool
    private(set) var position = Address.min

    /// `nil` if there is nothing to walk over.
    init?(ranges: [RangeSet<Address>.Range], rule: Int32, isBuiltIn: Bool) {
        guard let first = ranges.first else { return nil }
        self.ranges = ranges
        self.rule = rule
        self.isBuiltIn = isBuiltIn
        position = first.lower
    }

    /// Goes on to the next place; `false` at the end. A range up to the last address does not end.
    mutating func advance() -> Bool {
        if isInside {
            index += 1
            guard index < ranges.count else { return false }
            isInside = false
            position = ranges[index].lower
        } else {
            guard ranges[index].upper != .max else { return false }
            isInside = true
            position = ranges[index].upper + 1
        }
        return true
    }
}

/// Cursors, the one with the lowest position first: a binary heap.
private struct CursorHeap<Address: FixedWidthInteger & UnsignedInteger & Sendable> {
    private var cursors: [Cursor<Address>] = []

    var first: Cursor<Address>? { cursors.first }

    mutating func insert(_ cursor: Cursor<Address>?) {
        guard let cursor else { return }
        cursors.append(cursor)
        var child = cursors.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard cursors[child].position < cursors[parent].position else { break }
            cursors.swapAt(child, parent)
            child = parent
        }
    }

    mutating func advanceFirst() {
        if !cursors[0].advance() {
            cursors[0] = cursors[cursors.count - 1]
            cursors.removeLast()
        }
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < cursors.count else { break }
            let right = left + 1
            let least =
                right < cursors.count && cursors[right].position < cursors[left].position ? right : left
            guard cursors[least].position < cursors[parent].position else { break }
            cursors.swapAt(least, parent)
            parent = least
        }
    }
}
