// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Hands out generations so that no open connection can carry the number of a program that never judged it.
///
/// A connection keeps its number for as long as it stays open, whatever became of the program. So a number that a program
/// has had rests when the program goes, and is given again only after somebody has made sure that no connection
/// carries it.
public struct GenerationAllocator: Hashable, Sendable {
    /// There is no number left that nothing carries.
    public struct Exhausted: Error, Hashable, Sendable, CustomStringConvertible {
        /// How many programs have a number.
        public var used: Int
        /// How many numbers rest.
        public var resting: Int

        /// One sentence for a person.
        public var description: String {
            "no generation is left for another policy program: \(used) are in use, and \(resting) may still be noted on "
                + "open connections"
        }
    }

    /// The numbers that may be given.
    public let range: ClosedRange<UInt16>
    /// The numbers that programs have.
    public private(set) var used: Set<UInt16> = []
    /// The numbers that programs have had, the longest ago first.
    public private(set) var resting: [UInt16] = []
    /// Numbers that have rested.
    private var rested: [UInt16] = []
    /// Numbers ahead that must not be given.
    private var reserved: Set<UInt16>
    private var next: UInt32

    /// Creates an allocator.
    ///
    /// - Parameters:
    ///   - range: The numbers that may be given, above 0.
    ///   - taken: Numbers that rest from the start: a former state of the kernel's, or somebody else's.
    public init(range: ClosedRange<UInt16> = 1...UInt16.max, resting taken: Set<UInt16> = []) {
        self.range = range
        reserved = taken.filter(range.contains)
        resting = reserved.sorted()
        next = UInt32(max(1, range.lowerBound))
    }

    /// How many numbers can be given before one must be released.
    public var available: Int {
        let fresh = UInt32(range.upperBound) >= next ? Int(UInt32(range.upperBound) - next) + 1 : 0
        let taken = reserved.reduce(0) { $0 + (UInt32($1) >= next ? 1 : 0) }
        return fresh - taken + rested.count
    }

    /// Takes a number that nothing carries.
    ///
    /// - Throws: ``Exhausted`` if there is none.
    public mutating func take() throws(Exhausted) -> Generation {
        while next <= UInt32(range.upperBound) {
            let number = UInt16(truncatingIfNeeded: next)
            next += 1
            if !reserved.contains(number), let generation = Generation(rawValue: number) {
                used.insert(number)
                return generation
            }
        }
        if !rested.isEmpty, let generation = Generation(rawValue: rested.removeFirst()) {
            used.insert(generation.rawValue)
            return generation
        }
        throw Exhausted(used: used.count, resting: resting.count)
    }

    /// Notes that programs have numbers already. They are none that have been given.
    public mutating func use(_ numbers: Set<UInt16>) {
        let taken = numbers.filter(range.contains)
        used.formUnion(taken)
        reserved.formUnion(taken)
        resting.removeAll(where: taken.contains)
        rested.removeAll(where: taken.contains)
    }

    /// Notes that a program is gone: its number rests.
    public mutating func retire(_ generation: Generation) {
        if used.remove(generation.rawValue) != nil { resting.append(generation.rawValue) }
    }

    /// Notes that no connection carries some of the resting numbers any more: they may be given again.
    public mutating func release(_ numbers: Set<UInt16>) {
        let free = resting.filter(numbers.contains)
        resting.removeAll(where: numbers.contains)
        rested += free
    }
}
