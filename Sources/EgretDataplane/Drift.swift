// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// A difference between a program and what the kernel holds.
public struct Drift: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong with the object.
    public enum Kind: String, Hashable, Sendable {
        /// The kernel does not have it.
        case missing
        /// The kernel has it, but not as the program says.
        case changed
    }

    /// What is wrong.
    public var kind: Kind
    /// The object, in nft's words: `chain inet egret from-egret0`.
    public var object: String

    /// `chain inet egret from-egret0 is missing`.
    public var description: String { "\(object) \(kind == .missing ? "is missing" : "has changed")" }
}

extension Dataplane {
    /// Compares programs with what the kernel holds, by object, in the programs' order.
    ///
    /// Counters' values do not matter, nor do objects that no program names.
    public func drift(of programs: [TableProgram]) throws(NetlinkError) -> [Drift] {
        let observedTables = Swift.Set(try tables())
        let observedChains = try chains()
        var found: [Drift] = []
        for program in programs {
            guard observedTables.contains(program.table) else {
                found.append(Drift(kind: .missing, object: "table \(program.table)"))
                continue
            }
            let observation = Observation(
                chains: observedChains.filter { $0.table == program.table },
                rules: Dictionary(grouping: try rules(in: program.table), by: \.chain),
                sets: try sets(in: program.table),
                objects: try objects(in: program.table)
            )
            found += observation.chainDrift(program) + observation.objectDrift(program)
            found += try setDrift(program, observation)
        }
        return found
    }

    private func setDrift(_ program: TableProgram, _ observation: Observation) throws(NetlinkError) -> [Drift] {
        var found: [Drift] = []
        for set in program.sets {
            let object = "set \(program.table) \(set.name)"
            guard let record = observation.sets.first(where: { $0.name == set.name }) else {
                found.append(Drift(kind: .missing, object: object))
                continue
            }
            let isShared = set.contents.count == 0
            let hasShape =
                record.keyType == set.keyType && record.furtherKeyTypes == set.furtherKeyTypes
                && record.hasIntervals == set.hasIntervals
                && record.mapsToVerdict == set.mapsToVerdict
            if !hasShape {
                found.append(Drift(kind: .changed, object: object))
            } else if !isShared, try elements(of: record) != set.sortedElements {
                found.append(Drift(kind: .changed, object: object))
            }
        }
        for membership in program.memberships {
            let object = "element of \(program.table) \(membership.name)"
            guard let record = observation.sets.first(where: { $0.name == membership.name }) else {
                found.append(Drift(kind: .missing, object: object))
                continue
            }
            let present = Swift.Set(try elements(of: record))
            if !present.isSuperset(of: membership.sortedElements) {
                found.append(Drift(kind: .missing, object: object))
            }
        }
        return found
    }
}

/// What the kernel holds of one table.
private struct Observation {
    var chains: [ChainRecord]
    var rules: [String: [RuleRecord]]
    var sets: [SetRecord]
    var objects: [ObjectRecord]

    func chainDrift(_ program: TableProgram) -> [Drift] {
        let desired = Dictionary(grouping: program.rules, by: \.chain)
        return program.chains.compactMap { chain in
            let object = "chain \(program.table) \(chain.name)"
            guard let record = chains.first(where: { $0.chain.name == chain.name }) else {
                return Drift(kind: .missing, object: object)
            }
            let isSame = record.chain == chain && (rules[chain.name] ?? []).hold(desired[chain.name] ?? [])
            return isSame ? nil : Drift(kind: .changed, object: object)
        }
    }

    func objectDrift(_ program: TableProgram) -> [Drift] {
        let counters = program.counters.compactMap { counter -> Drift? in
            let isThere = objects.contains { record in
                if case .counter = record.kind { return record.name == counter.name }
                return false
            }
            return isThere ? nil : Drift(kind: .missing, object: "counter \(program.table) \(counter.name)")
        }
        let limits = program.limits.compactMap { limit -> Drift? in
            guard let record = objects.first(where: { $0.name == limit.name && $0.isLimit }) else {
                return Drift(kind: .missing, object: "limit \(program.table) \(limit.name)")
            }
            return record.isSame(as: limit)
                ? nil : Drift(kind: .changed, object: "limit \(program.table) \(limit.name)")
        }
        return counters + limits
    }
}

extension [RuleRecord] {
    /// Whether these are the rules, in this order.
    func hold(_ rules: [Rule]) -> Bool {
        map { NftablesWire.normalised($0.expressions) } == rules.map { try? NftablesWire.lower($0.statements) }
    }
}

extension ObjectRecord {
    fileprivate var isLimit: Bool {
        if case .limit = kind { return true }
        return false
    }
}

extension Set {
    /// The contents as elements, by key.
    fileprivate var sortedElements: [SetElement] {
        let elements: [SetElement] =
            switch contents {
            case .elements(let elements): elements
            case .ipv4Intervals(let intervals, let verdicts):
                intervals.map { interval in
                    SetElement(
                        UInt128(interval.lowerBound),
                        UInt128(interval.upperBound),
                        verdict: verdicts.isEmpty ? nil : verdicts[Int(interval.verdictIndex)]
                    )
                }
            case .ipv6Intervals(let intervals, let verdicts):
                intervals.map { interval in
                    SetElement(
                        interval.lowerBound,
                        interval.upperBound,
                        verdict: verdicts.isEmpty ? nil : verdicts[Int(interval.verdictIndex)]
                    )
                }
            }
        return elements.sorted()
    }
}
