// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// Notices that somebody removes objects of tables: another tool, or a person with nft(8).
public final class TableWatch {
    /// `NFNLGRP_NFTABLES` in `linux/netfilter/nfnetlink.h`.
    private static let group: UInt32 = 7

    private let connection: NetlinkConnection
    private let tables: Swift.Set<Table>

    /// Starts to listen; removals from now on are noticed.
    ///
    /// - Parameter tables: The tables to listen for.
    /// - Throws: `NetlinkError` if the kernel gives no notifications.
    public init(_ tables: [Table]) throws(NetlinkError) {
        connection = try NetlinkConnection.netfilterEvents(groups: [TableWatch.group], receiveBuffer: 1 << 20)
        self.tables = Swift.Set(tables)
    }

    /// Becomes readable when anything has changed in the ruleset.
    public var descriptor: Descriptor { connection.descriptor }

    /// Whether something was removed from the tables since the last call, or may have been: word of it was lost.
    ///
    /// - Throws: `NetlinkError` if the socket fails.
    public func somethingWasRemoved() throws(NetlinkError) -> Bool {
        var found = false
        while true {
            let events = try connection.pendingEvents()
            found = found || events.someWereLost || events.messages.contains(where: isRemoval)
            if events.messages.count < NetlinkConnection.eventLimit { return found }
        }
    }

    private func isRemoval(_ message: NetlinkMessage) -> Bool {
        let table = (try? NftablesWire.decodeEvent(message))?.tableOfRemoval
        return table.map(tables.contains) ?? false
    }
}

extension Dataplane {
    /// Whether the kernel still holds every rule and membership of the programs.
    ///
    /// Quicker than ``drift(of:)``: it reads just the chains and maps that the programs name, and says only yes or no.
    ///
    /// - Parameter programs: The programs; chains without rules and contents of their own sets are not looked at.
    /// - Returns: `false` also if a table is gone.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func holds(_ programs: [TableProgram]) throws(NetlinkError) -> Bool {
        for program in programs {
            do throws(NetlinkError) {
                for (chain, rules) in Dictionary(grouping: program.rules, by: \.chain) {
                    if try !self.rules(in: program.table, chain: chain).hold(rules) { return false }
                }
                let sets = program.memberships.isEmpty ? [] : try self.sets(in: program.table)
                for membership in program.memberships {
                    guard let record = sets.first(where: { $0.name == membership.name }),
                        case .elements(let meant) = membership.contents,
                        Swift.Set(try elements(of: record)).isSuperset(of: meant)
                    else { return false }
                }
            } catch {
                if error.code == .notFound { return false }
                throw error
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
