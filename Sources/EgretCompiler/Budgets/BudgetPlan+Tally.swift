// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables
import EgretPolicy

extension BudgetPlan {
    /// What counts an account's packets, or connections, in the kernel, which has quotas of bytes only.
    ///
    /// A rule numbers what asks it (`numgen inc`), over all processors, and a set holds the numbers that pass. The first number
    /// that does not closes the account by an element in another set, which is asked first: so it stays closed, although
    /// numbers begin anew behind 2^32 - 1. A counter says how many have asked, as a quota does itself, and another one whether
    /// one of them has closed it: that one may have asked before more was given, and have closed it afterwards.
    struct Tally {
        private let asked: Counter
        private let closings: Counter
        private let numbers: EgretNftables.Set
        private let closing: EgretNftables.Set

        /// Works out what an account needs; `nil` for one of bytes.
        init?(of account: Account) {
            if account.unit == .bytes { return nil }
            asked = Counter(BudgetPlan.asked(of: account))
            closings = Counter(BudgetPlan.closings(of: account))
            numbers = Tally.numbers(of: account, to: min(account.bound ?? account.left, BudgetPlan.tallyLimit))
            closing = Tally.closing(of: account)
        }

        /// Count what asks, and what closes.
        var counters: [Counter] { [asked, closings] }
        /// The sets that rules ask.
        var sets: [EgretNftables.Set] { [numbers, closing] }

        /// Goes on if there was one too many once.
        var isClosed: Statement { .inSet(Tally.key, closing.name) }
        /// Remembers that there was one too many.
        var closes: [Statement] { [.counter(closings.name), .addToSet(Tally.key, closing.name)] }
        /// Counts, and goes on if it is not one too many.
        var passes: [Statement] { [.counter(asked.name), .inSet(.evaluationNumber, numbers.name)] }

        /// A value that all packets have: 0.
        private static let key = Selector.packetMark(mask: 0)

        /// The numbers from 0, which no packet has, to the last that passes.
        static func numbers(of account: Account, to bound: UInt64) -> EgretNftables.Set {
            Set(
                BudgetPlan.numbers(of: account), keyType: .integer, hasIntervals: true,
                contents: .elements([SetElement(0, UInt128(bound))]))
        }

        private static func closing(of account: Account) -> EgretNftables.Set {
            var set = EgretNftables.Set("closed-\(account.unit.rawValue)-\(account.name)", keyType: .mark, size: 1)
            set.isDynamic = true
            return set
        }
    }

    /// The largest number that may pass: 2^32 - 2. The one behind it closes the account.
    public static let tallyLimit = UInt64(UInt32.max) - 1

    /// The name of the counter of what has asked an account of packets or connections.
    ///
    /// The unit is in the names: an account that is of something else from now on begins with nothing.
    public static func asked(of account: Account) -> String { "asked-\(account.unit.rawValue)-\(account.name)" }

    /// The name of the counter of what has closed an account of packets or connections.
    public static func closings(of account: Account) -> String { "shut-\(account.unit.rawValue)-\(account.name)" }

    /// How many have asked an account of packets or connections: as many as may pass, or more, where it is closed.
    ///
    /// - Parameters:
    ///   - account: The account.
    ///   - bound: The last number that passes.
    ///   - packets: What a counter has counted, by its name; `nil` for one that is not there.
    /// - Returns: The number; `nil` if the kernel has nothing of the account.
    public static func asked(of account: Account, bound: UInt64, _ packets: (String) -> UInt64?) -> UInt64? {
        guard let asked = packets(BudgetPlan.asked(of: account)) else { return nil }
        let isClosed = packets(closings(of: account)) ?? 0 > 0
        return isClosed ? max(asked, bound) : asked
    }

    private static let numbersPrefix = "numbers-"

    /// The name of the set of the numbers that an account of packets or connections lets pass.
    public static func numbers(of account: Account) -> String {
        "\(numbersPrefix)\(account.unit.rawValue)-\(account.name)"
    }

    /// Whether a set is one of numbers that pass, by its name.
    public static func isOfNumbers(_ set: String) -> Bool { set.hasPrefix(numbersPrefix) }

    /// The last number that passes, by the contents of a set of numbers; `nil` if it has others than it should.
    public static func bound(in contents: [SetElement]) -> UInt64? {
        guard contents.count == 1, contents[0].lowerBound == 0 else { return nil }
        return UInt64(exactly: contents[0].upperBound)
    }

    /// The last numbers that pass, by the names of their sets.
    public static func bounds(in program: TableProgram) -> [String: UInt64] {
        var found: [String: UInt64] = [:]
        for set in program.sets where isOfNumbers(set.name) {
            if case .elements(let elements) = set.contents { found[set.name] = bound(in: elements) }
        }
        return found
    }
}

extension BudgetPlan {
    /// Says what the kernel counts already, by the names of sets of numbers.
    public mutating func setBounds(_ bounds: [String: UInt64]) {
        for place in accounts.indices where accounts[place].unit != .bytes {
            accounts[place].bound = bounds[BudgetPlan.numbers(of: accounts[place])]
        }
    }
}

extension TableProgram {
    /// Says which is the last number that passes, by the name of the set.
    public mutating func setBounds(_ bounds: [String: UInt64]) {
        for place in sets.indices {
            guard let bound = bounds[sets[place].name] else { continue }
            sets[place].contents = .elements([SetElement(0, UInt128(bound))])
        }
    }
}
