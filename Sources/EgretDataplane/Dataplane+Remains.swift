// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

extension Dataplane {
    /// Removes what a process that is gone has left in tables that others still use: objects by the beginning of
    /// their names, the elements that lead to them, and addresses.
    ///
    /// - Parameters:
    ///   - prefixes: An object is removed if its name is one of these, or one of these and a hyphen and more.
    ///   - addresses: Elements of sets of addresses that are removed.
    ///   - tables: Where to look.
    /// - Throws: An error that names the first step that was refused.
    public func removeRemains(
        prefixes: [String],
        addresses: [IPAddress],
        in tables: [Table]
    ) throws(NetlinkError) {
        let present = Swift.Set(try self.tables())
        let chains = try self.chains()
        var transaction = Transaction()
        for table in tables where present.contains(table) {
            func isRemains(_ name: String) -> Bool {
                prefixes.contains { name == $0 || name.hasPrefix($0 + "-") }
            }
            let sets = try self.sets(in: table)
            for set in sets where !isRemains(set.name) {
                let stale = try elements(of: set).filter { element in
                    element.verdict?.chain.map(isRemains) ?? set.holds(element, oneOf: addresses)
                }
                if !stale.isEmpty { transaction.append(.deleteElements(set.value(stale)), in: table) }
            }
            let names = chains.filter { $0.table == table }.map(\.chain.name).filter(isRemains)
            for name in names { transaction.append(.flushChain(name), in: table) }
            for set in sets where isRemains(set.name) { transaction.append(.deleteSet(set.name), in: table) }
            for name in names { transaction.append(.deleteChain(name), in: table) }
            for object in try objects(in: table) where isRemains(object.name) {
                switch object.kind {
                case .counter: transaction.append(.deleteCounter(object.name), in: table)
                case .limit: transaction.append(.deleteLimit(object.name), in: table)
                case .quota: transaction.append(.deleteQuota(object.name), in: table)
                case .other: continue
                }
            }
        }
        try commit(transaction)
    }
}

extension Dataplane {
    /// Removes whatever is there of a program, where some of it may never have come or may be gone.
    ///
    /// - Parameter program: The program. A table that is gone will do.
    /// - Throws: An error that names the first step that was refused.
    public func removeRemains(of program: TableProgram) throws(NetlinkError) {
        let table = program.table
        guard try tables().contains(table) else { return }
        var transaction = Transaction()
        let own = Swift.Set(program.chains.map(\.name))
        let sets = try self.sets(in: table)
        for membership in program.memberships {
            guard let record = sets.first(where: { $0.name == membership.name }),
                case .elements(let meant) = membership.contents
            else { continue }
            let keys = Swift.Set(meant)
            let stale = try elements(of: record).filter { element in
                keys.contains(element) || element.verdict?.chain.map(own.contains) ?? false
            }
            if !stale.isEmpty { transaction.append(.deleteElements(record.value(stale)), in: table) }
        }
        let chains = Swift.Set(try self.chains().filter { $0.table == table }.map(\.chain.name))
        let ownChains = program.chains.map(\.name).filter(chains.contains)
        for name in ownChains { transaction.append(.flushChain(name), in: table) }
        for set in program.sets where sets.contains(where: { $0.name == set.name }) {
            transaction.append(.deleteSet(set.name), in: table)
        }
        for name in ownChains { transaction.append(.deleteChain(name), in: table) }
        let objects = Swift.Set(try self.objects(in: table).map(\.name))
        for counter in program.counters where objects.contains(counter.name) {
            transaction.append(.deleteCounter(counter.name), in: table)
        }
        for quota in program.quotas where objects.contains(quota.name) {
            transaction.append(.deleteQuota(quota.name), in: table)
        }
        for limit in program.limits where objects.contains(limit.name) {
            transaction.append(.deleteLimit(limit.name), in: table)
        }
        try commit(transaction)
    }
}

extension Verdict {
    /// The chain that the packet is sent to.
    fileprivate var chain: String? {
        switch self {
        case .jump(let chain), .goto(let chain): chain
        case .accept, .drop, .return: nil
        }
    }
}

extension SetRecord {
    fileprivate func holds(_ element: SetElement, oneOf addresses: [IPAddress]) -> Bool {
        let family: AddressFamily
        switch keyType {
        case .ipv4Address: family = .ipv4
        case .ipv6Address: family = .ipv6
        default: return false
        }
        return addresses.contains { $0.family == family && $0.rawValue == element.lowerBound }
    }

    func value(_ elements: [SetElement]) -> Set {
        var set = Set(
            name,
            keyType: keyType ?? .mark,
            hasIntervals: hasIntervals,
            mapsToVerdict: mapsToVerdict,
            contents: .elements(elements)
        )
        set.furtherKeyTypes = furtherKeyTypes
        set.hasTimeouts = hasTimeouts
        set.isDynamic = isDynamic
        return set
    }
}
