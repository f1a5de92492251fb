// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// What the kernel holds of some tables, read once: chains, rules, sets and named objects, and elements as they are asked
/// for. Rules, too, are read when the first of a table's are asked for; those of a large table chain by chain, and not kept.
public final class TablePicture {
    private struct Contents {
        /// Whether somebody has put the table to sleep: all is there then, and nothing of it is asked.
        var isDormant = false
        var chains: [String: ChainRecord] = [:]
        /// By chain; `nil` as long as nobody has asked, and if there are too many to be read at once.
        var rules: [String: [RuleRecord]]?
        var sets: [String: SetRecord] = [:]
        var counters: Swift.Set<String> = []
        var limits: [String: ObjectRecord] = [:]
        var quotas: Swift.Set<String> = []
    }

    /// Up to how many chains a table's rules are read at once. For each datagram of a listing the kernel walks over the rules
    /// of all former ones (`__nf_tables_dump_rules`): the time grows with the square of their number, and from several
    /// thousand chains on it is less to ask for each chain's rules, which the kernel finds by name.
    private static var mostChainsAtOnce: Int { 4_096 }

    private let dataplane: Dataplane
    private var contents: [Table: Contents] = [:]
    private var elements: [Table: [String: [SetElement]]] = [:]
    private var elementsByKey: [Table: [String: [SetElement: SetElement]]] = [:]

    /// Reads tables; those that are not there will do.
    init(_ tables: [Table], of dataplane: Dataplane) throws(NetlinkError) {
        self.dataplane = dataplane
        let wanted = Swift.Set(tables)
        for record in try dataplane.tableRecords() where wanted.contains(record.table) {
            contents[record.table] = Contents(isDormant: record.flags & TableRecord.isDormant != 0)
        }
        if contents.isEmpty { return }
        for record in try dataplane.chains() { contents[record.table]?.chains[record.chain.name] = record }
        for table in contents.keys {
            for record in try dataplane.sets(in: table) { contents[table]?.sets[record.name] = record }
            for record in try dataplane.objects(in: table) {
                switch record.kind {
                case .counter: contents[table]?.counters.insert(record.name)
                case .limit: contents[table]?.limits[record.name] = record
                case .quota: contents[table]?.quotas.insert(record.name)
                case .other: continue
                }
            }
        }
    }

    /// The tables that are there.
    public var tables: Swift.Set<Table> { Swift.Set(contents.keys) }

    /// What each table holds, by name.
    public var holdings: [Table: TableHoldings] {
        contents.mapValues { contents in
            var holdings = TableHoldings()
            holdings.chains = contents.chains.keys.sorted()
            holdings.sets = contents.sets.keys.sorted()
            holdings.counters = contents.counters.sorted()
            holdings.limits = contents.limits.keys.sorted()
            holdings.quotas = contents.quotas.sorted()
            return holdings
        }
    }

    /// The rules of a chain, in order; none if there is no such chain.
    private func rules(of chain: String, in table: Table) throws(NetlinkError) -> [RuleRecord] {
        guard let present = contents[table], present.chains[chain] != nil else { return [] }
        if let rules = present.rules { return rules[chain] ?? [] }
        if present.chains.count > TablePicture.mostChainsAtOnce {
            return try dataplane.rules(in: table, chain: chain)
        }
        let rules = Dictionary(grouping: try dataplane.rules(in: table), by: \.chain)
        contents[table]?.rules = rules
        return rules[chain] ?? []
    }

    /// The chains that a chain's rules lead to by `jump` and `goto`, in the rules' order.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func targets(of chain: String, in table: Table) throws(NetlinkError) -> [String] {
        try rules(of: chain, in: table).flatMap { record in
            record.expressions.compactMap { expression -> String? in
                guard case .verdict(let verdict) = expression else { return nil }
                switch verdict {
                case .jump(let name), .goto(let name): return name
                case .accept, .drop, .return: return nil
                }
            }
        }
    }

    /// The chains of a table that hook to interfaces, by the interface's name.
    public func chainsByDevice(in table: Table) -> [String: String] {
        var found: [String: String] = [:]
        for (name, record) in contents[table]?.chains ?? [:] {
            if let device = record.chain.base?.device { found[device] = name }
        }
        return found
    }

    /// The elements of a set; none if there is no such set.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func elements(of name: String, in table: Table) throws(NetlinkError) -> [SetElement] {
        if let known = elements[table]?[name] { return known }
        guard let record = contents[table]?.sets[name] else { return [] }
        let found = try dataplane.elements(of: record)
        elements[table, default: [:]][name] = found
        return found
    }

    /// The element of a set that has the key of another; `nil` if there is none.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func element(
        like element: SetElement, of name: String, in table: Table
    ) throws(NetlinkError) -> SetElement? {
        if elementsByKey[table]?[name] == nil {
            var byKey: [SetElement: SetElement] = [:]
            for element in try elements(of: name, in: table) { byKey[element.key] = element }
            elementsByKey[table, default: [:]][name] = byKey
        }
        return elementsByKey[table]?[name]?[element.key]
    }

    /// Whether a set has elements just as they are, verdicts included.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func holds(_ wanted: [SetElement], in name: String, of table: Table) throws(NetlinkError) -> Bool {
        for element in wanted where try self.element(like: element, of: name, in: table) != element { return false }
        return true
    }

    /// What takes elements out of a set as it was read.
    ///
    /// - Returns: `nil` if there is no such set, or no element.
    public func removal(of elements: [SetElement], from name: String, in table: Table) -> Transaction.Step? {
        guard let record = contents[table]?.sets[name], !elements.isEmpty else { return nil }
        return Transaction.Step(.deleteElements(record.value(elements)), in: table)
    }

    // MARK: - Comparing

    /// Whether the kernel holds a program just as it is. Counters' values do not matter.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func holds(_ program: TableProgram) throws(NetlinkError) -> Bool {
        try drift(of: program, isBrief: true).isEmpty
    }

    /// What the kernel holds otherwise than a program says, by object.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func drift(of program: TableProgram) throws(NetlinkError) -> [Drift] {
        try drift(of: program, isBrief: false)
    }

    private func drift(of program: TableProgram, isBrief: Bool) throws(NetlinkError) -> [Drift] {
        guard let present = contents[program.table] else {
            return [Drift(kind: .missing, object: "table \(program.table)")]
        }
        if present.isDormant { return [Drift(kind: .changed, object: "table \(program.table)")] }
        let found = try chainDrift(program, present) + objectDrift(program, present)
        if isBrief, !found.isEmpty { return found }
        return try found + setDrift(program, present)
    }

    private func chainDrift(_ program: TableProgram, _ present: Contents) throws(NetlinkError) -> [Drift] {
        let desired = Dictionary(grouping: program.rules, by: \.chain)
        var found: [Drift] = []
        for chain in program.chains {
            let object = "chain \(program.table) \(chain.name)"
            guard let record = present.chains[chain.name] else {
                found.append(Drift(kind: .missing, object: object))
                continue
            }
            let rules = try rules(of: chain.name, in: program.table)
            if record.chain != chain || !rules.hold(desired[chain.name] ?? []) {
                found.append(Drift(kind: .changed, object: object))
            }
        }
        return found
    }

    private func objectDrift(_ program: TableProgram, _ present: Contents) -> [Drift] {
        let counters = program.counters.compactMap { counter in
            present.counters.contains(counter.name)
                ? nil : Drift(kind: .missing, object: "counter \(program.table) \(counter.name)")
        }
        let limits = program.limits.compactMap { limit -> Drift? in
            let object = "limit \(program.table) \(limit.name)"
            guard let record = present.limits[limit.name] else { return Drift(kind: .missing, object: object) }
            return record.isSame(as: limit) ? nil : Drift(kind: .changed, object: object)
        }
        let quotas = program.quotas.filter { !present.quotas.contains($0.name) }.map {
            Drift(kind: .missing, object: "quota \(program.table) \($0.name)")
        }
        return counters + limits + quotas
    }

    private func setDrift(_ program: TableProgram, _ present: Contents) throws(NetlinkError) -> [Drift] {
        var found: [Drift] = []
        for set in program.sets {
            let object = "set \(program.table) \(set.name)"
            guard let record = present.sets[set.name] else {
                found.append(Drift(kind: .missing, object: object))
                continue
            }
            let hasShape =
                record.keyType == set.keyType && record.furtherKeyTypes == set.furtherKeyTypes
                && record.hasIntervals == set.hasIntervals && record.hasTimeouts == set.hasTimeouts
                && record.isDynamic == set.isDynamic && record.mapsToVerdict == set.mapsToVerdict
            if !hasShape {
                found.append(Drift(kind: .changed, object: object))
            } else if !set.changesByItself, !set.isFilledByOthers,
                try elements(of: set.name, in: program.table) != set.sortedElements
            {
                found.append(Drift(kind: .changed, object: object))
            }
        }
        for membership in program.memberships {
            let object = "element of \(program.table) \(membership.name)"
            let actual = Swift.Set(try elements(of: membership.name, in: program.table))
            if present.sets[membership.name] == nil || !actual.isSuperset(of: membership.sortedElements) {
                found.append(Drift(kind: .missing, object: object))
            }
        }
        return found
    }

    fileprivate func drift(of programs: [TableProgram], areAll: Bool) throws(NetlinkError) -> [Drift] {
        var found: [Drift] = []
        for program in programs { found += try drift(of: program) }
        if areAll { found += try strays(besides: programs) }
        return found
    }

    /// Whether tables hold objects besides those of programs, which are all there.
    fileprivate func holdsMore(than programs: [TableProgram]) -> Bool {
        contents.contains { table, present in
            let own = programs.filter { $0.table == table }
            let chains = Swift.Set(own.lazy.flatMap(\.chains).map(\.name))
            let sets = Swift.Set(own.lazy.flatMap(\.sets).map(\.name))
            let counters = Swift.Set(own.lazy.flatMap(\.counters).map(\.name))
            let limits = Swift.Set(own.lazy.flatMap(\.limits).map(\.name))
            let quotas = Swift.Set(own.lazy.flatMap(\.quotas).map(\.name))
            return present.chains.count != chains.count || present.sets.count != sets.count
                || present.counters.count != counters.count || present.limits.count != limits.count
                || present.quotas.count != quotas.count
        }
    }

    /// The sets that programs share, as far as they hold elements that none of the programs has put there.
    fileprivate func strays(besides programs: [TableProgram]) throws(NetlinkError) -> [Drift] {
        let meant = programs.sharedElements
        var found: [Drift] = []
        for program in programs {
            for set in program.sets where set.isFilledByOthers && !set.changesByItself {
                let own = meant[program.table]?[set.name] ?? []
                let actual = try elements(of: set.name, in: program.table)
                if actual.allSatisfy(own.contains) { continue }
                found.append(Drift(kind: .changed, object: "set \(program.table) \(set.name)"))
            }
        }
        return found
    }
}

extension Set {
    /// Whether rules put elements in, or the kernel forgets some: what comes and goes by itself is no drift.
    fileprivate var changesByItself: Bool { hasTimeouts || isDynamic }

    /// Whether what it holds is other programs' to say. Of times it is not: where there are none, the rule never holds.
    fileprivate var isFilledByOthers: Bool { contents.count == 0 && keyType != .time }
}

extension SetElement {
    /// The element without its verdict.
    fileprivate var key: SetElement {
        var key = self
        key.verdict = nil
        return key
    }
}

extension Dataplane {
    /// Reads what the kernel holds of tables.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func picture(of tables: [Table]) throws(NetlinkError) -> TablePicture {
        try TablePicture(tables, of: self)
    }

    /// Compares programs with what the kernel holds, by object, in the programs' order.
    ///
    /// Counters' values do not matter, nor do objects that no program names.
    ///
    /// - Parameters:
    ///   - programs: The programs.
    ///   - areAll: Whether nobody else has elements in the sets that they share: what else is in them is named then.
    /// - Returns: What is otherwise, the sets that programs share last.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func drift(of programs: [TableProgram], areAll: Bool = false) throws(NetlinkError) -> [Drift] {
        if programs.isEmpty { return [] }
        return try picture(of: Swift.Set(programs.map(\.table)).sorted()).drift(of: programs, areAll: areAll)
    }

    /// Compares programs as ``drift(of:areAll:)`` does, where nobody else has anything in their tables.
    ///
    /// - Parameter programs: The programs.
    /// - Returns: What is otherwise, and whether the tables hold chains, sets or named objects besides; that is not known where
    ///   anything is otherwise.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func comparison(
        of programs: [TableProgram]
    ) throws(NetlinkError) -> (drift: [Drift], holdsMore: Bool) {
        if programs.isEmpty { return ([], false) }
        let picture = try picture(of: Swift.Set(programs.map(\.table)).sorted())
        return (try picture.drift(of: programs, areAll: true), picture.holdsMore(than: programs))
    }
}
