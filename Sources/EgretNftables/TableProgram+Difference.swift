// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What brings a table from one program to another, in three transactions.
///
/// What comes is used by nobody yet; the switch leads packets to it at one moment; what goes is used by nobody any
/// more.
public struct TableDifference: Hashable, Sendable {
    /// What comes.
    public var arrival: [Operation] = []
    /// What leads packets from the old to the new.
    public var switching: [Operation] = []
    /// What goes.
    public var departure: [Operation] = []

    /// Creates an empty difference.
    public init() {}
}

extension TableProgram {
    /// What brings a table here that holds another program and nothing else.
    ///
    /// A chain keeps its hook, a set its shape, and a limit and a quota what they say, as long as they have their names.
    /// Memberships are not looked at.
    ///
    /// - Parameter old: The program that the table holds.
    /// - Returns: The steps, empty where the two agree.
    /// - Complexity: O(*n*) in the objects and elements of both.
    public func difference(from old: TableProgram) -> TableDifference {
        if self == old { return TableDifference() }
        var difference = TableDifference()
        let counters = Swift.Set(old.counters.map(\.name))
        difference.arrival += self.counters.filter { !counters.contains($0.name) }.map { .addCounter($0) }
        let (limits, quotas) = (Swift.Set(old.limits.map(\.name)), Swift.Set(old.quotas.map(\.name)))
        difference.arrival += self.limits.filter { !limits.contains($0.name) }.map { .addLimit($0) }
        difference.arrival += self.quotas.filter { !quotas.contains($0.name) }.map { .addQuota($0) }
        let present = Swift.Set(old.chains.map(\.name))
        difference.arrival += chains.filter { !present.contains($0.name) }.map { .createChain($0) }
        difference.add(sets, from: old.sets)
        let (mine, theirs) = (Dictionary(grouping: rules, by: \.chain), Dictionary(grouping: old.rules, by: \.chain))
        for chain in chains {
            let wanted = mine[chain.name] ?? []
            if !present.contains(chain.name) {
                difference.arrival += wanted.map { .addRule($0) }
            } else if wanted != theirs[chain.name] ?? [] {
                difference.switching += [.flushChain(chain.name)] + wanted.map { .addRule($0) }
            }
        }
        let kept = Swift.Set(chains.map(\.name))
        let gone = old.chains.map(\.name).filter { !kept.contains($0) }
        let sets = Swift.Set(self.sets.map(\.name))
        difference.departure += gone.map { .flushChain($0) }
        difference.departure += old.sets.filter { !sets.contains($0.name) }.map { .deleteSet($0.name) }
        difference.departure += gone.map { .deleteChain($0) }
        let countersKept = Swift.Set(self.counters.map(\.name))
        difference.departure += old.counters.filter { !countersKept.contains($0.name) }.map { .deleteCounter($0.name) }
        let (limitsKept, quotasKept) = (Swift.Set(self.limits.map(\.name)), Swift.Set(self.quotas.map(\.name)))
        difference.departure += old.limits.filter { !limitsKept.contains($0.name) }.map { .deleteLimit($0.name) }
        difference.departure += old.quotas.filter { !quotasKept.contains($0.name) }.map { .deleteQuota($0.name) }
        return difference
    }
}

extension TableProgram {
    /// What puts this program's times in the place of those of another, which is the same program otherwise.
    ///
    /// - Parameter former: The program that the table holds.
    /// - Returns: The steps for one transaction, about elements of sets of times alone; none where the times agree.
    public func renewal(ofTimesOf former: TableProgram) -> [Transaction.Step] {
        var difference = TableDifference()
        difference.add(sets.filter { $0.keyType == .time }, from: former.sets)
        return difference.switching.map { Transaction.Step($0, in: table) }
    }
}

extension TableDifference {
    fileprivate mutating func add(_ sets: [Set], from old: [Set]) {
        let present = Dictionary(old.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for set in sets {
            guard let former = present[set.name] else {
                arrival.append(.addSet(set))
                continue
            }
            if former.contents == set.contents { continue }
            let (before, after) = (former.elementSet, set.elementSet)
            func changed(_ elements: Swift.Set<SetElement>) -> Set {
                var part = set
                part.contents = .elements(elements.sorted())
                return part
            }
            let (leaving, coming) = (before.subtracting(after), after.subtracting(before))
            if !leaving.isEmpty { switching.append(.deleteElements(changed(leaving))) }
            if !coming.isEmpty { switching.append(.addElements(changed(coming))) }
        }
    }
}

extension Set {
    /// The elements of a modest set; sets of address ranges keep theirs as long as they have their name.
    fileprivate var elementSet: Swift.Set<SetElement> {
        if case .elements(let elements) = contents { return Swift.Set(elements) }
        return []
    }
}
