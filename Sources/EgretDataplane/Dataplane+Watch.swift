// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// What somebody has done to tables.
public struct TableChanges: Hashable, Sendable {
    /// What was changed, added or removed: a chain (also by a rule in it), a set (also by an element), a counter.
    public struct Change: Hashable, Sendable {
        /// The table.
        public var table: Table
        /// The object; `nil` for the table itself.
        public var object: String?
        /// Whether something was removed.
        public var isRemoval: Bool
        /// Whether elements came into a set.
        public var isAddedElement: Bool
    }

    /// The changes, in order.
    public var changes: [Change] = []
    /// Who made them, as far as the kernel tells: the process and its name, `nft (4711)`; each once, in order.
    public var authors: [String] = []
    /// Whether the kernel could not deliver word of others.
    public var someWereLost = false
}

/// Notices what others do to tables: another tool, or a person with nft(8).
public final class TableWatch {
    private let connection: NetlinkConnection
    private let tables: Swift.Set<Table>
    private let ownPorts: Swift.Set<UInt32?>
    /// Whether changes have been read whose batch has not ended yet.
    private var hasUnnamedChanges = false

    /// Starts to listen; changes from now on are noticed.
    ///
    /// - Parameters:
    ///   - tables: The tables to listen for.
    ///   - own: What is changed by way of this is not noticed.
    ///   - ports: Nor what is changed through netlink sockets of these ports.
    /// - Throws: `NetlinkError` if the kernel gives no notifications.
    public init(_ tables: [Table], besides own: Dataplane, andPorts ports: [UInt32] = []) throws(NetlinkError) {
        connection = try NetlinkConnection.netfilterEvents(groups: [NfnetlinkGroup.nftables], receiveBuffer: 1 << 20)
        self.tables = Swift.Set(tables)
        ownPorts = Swift.Set([own.connection.portID] + ports)
    }

    /// Becomes readable when anything has changed in the ruleset.
    public var descriptor: Descriptor { connection.descriptor }

    /// What has happened to the tables since the last call.
    ///
    /// - Throws: `NetlinkError` if the socket fails.
    public func pending() throws(NetlinkError) -> TableChanges {
        var found = TableChanges()
        while true {
            let events = try connection.pendingEvents()
            found.someWereLost = found.someWereLost || events.someWereLost
            for message in events.messages {
                if let change = change(message) {
                    found.changes.append(change)
                    hasUnnamedChanges = true
                } else if hasUnnamedChanges, let author = TableWatch.author(message) {
                    if !found.authors.contains(author) { found.authors.append(author) }
                    hasUnnamedChanges = false
                }
            }
            if events.messages.count < NetlinkConnection.eventLimit { return found }
        }
    }

    /// Who committed a batch, which the kernel tells at its end (`NFTA_GEN_PROC_PID`, `NFTA_GEN_PROC_NAME`).
    private static func author(_ message: NetlinkMessage) -> String? {
        guard case .generation(let record) = try? NftablesWire.decodeEvent(message) else { return nil }
        let process = record.processID.map { "process \($0)" } ?? "an unknown process"
        return record.processName.map { "\($0) (\(process))" } ?? process
    }

    private func change(_ message: NetlinkMessage) -> TableChanges.Change? {
        guard let event = try? NftablesWire.decodeEvent(message), case .change(_, let table, let object) = event,
            tables.contains(table), !ownPorts.contains(message.portID)
        else { return nil }
        return TableChanges.Change(
            table: table, object: object, isRemoval: event.isRemoval, isAddedElement: event.isAddedElement)
    }
}

extension Dataplane {
    /// Whether the kernel still holds every rule and membership of the programs.
    ///
    /// Quicker than ``drift(of:areAll:)``: it reads just the chains and maps that the programs name, and says only yes or no.
    ///
    /// - Parameter programs: The programs; chains without rules and contents of their own sets are not looked at.
    /// - Returns: `false` also if a table is gone.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func holds(_ programs: [TableProgram]) throws(NetlinkError) -> Bool {
        do throws(NetlinkError) {
            for (table, programs) in Dictionary(grouping: programs, by: \.table) {
                if try !hold(rules: programs.flatMap(\.rules), in: table) { return false }
                if try !hold(memberships: programs.flatMap(\.memberships), in: table) { return false }
            }
            return true
        } catch {
            if error.code == .notFound { return false }
            throw error
        }
    }

    private func hold(rules: [Rule], in table: Table) throws(NetlinkError) -> Bool {
        let meant = Dictionary(grouping: rules, by: \.chain)
        // A few chains are asked for one by one; from many on, the whole table costs less.
        let all = meant.count > 16 ? Dictionary(grouping: try self.rules(in: table), by: \.chain) : nil
        for (chain, rules) in meant {
            let present: [RuleRecord]
            if let all { present = all[chain] ?? [] } else { present = try self.rules(in: table, chain: chain) }
            if !present.hold(rules) { return false }
        }
        return true
    }

    private func hold(memberships: [Set], in table: Table) throws(NetlinkError) -> Bool {
        let sets = memberships.isEmpty ? [] : try self.sets(in: table)
        for (name, parts) in Dictionary(grouping: memberships, by: \.name) {
            guard let record = sets.first(where: { $0.name == name }) else { return false }
            let present = Swift.Set(try elements(of: record))
            for part in parts {
                guard case .elements(let meant) = part.contents, present.isSuperset(of: meant) else { return false }
            }
        }
        return true
    }

    /// The keys of a map that leads from interfaces, or of a set of them; none if there is no such set.
    ///
    /// - Parameters:
    ///   - name: The set or map.
    ///   - table: Its table.
    /// - Returns: Interface indices.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func interfaces(in name: String, of table: Table) throws(NetlinkError) -> [UInt32] {
        guard try tables().contains(table),
            let record = try sets(in: table).first(where: { $0.name == name })
        else { return [] }
        return try elements(of: record).map { UInt32(truncatingIfNeeded: $0.lowerBound) }
    }
}
