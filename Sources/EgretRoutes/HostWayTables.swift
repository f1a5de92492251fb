// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNetlink
import EgretNetlinkWire

/// The routing rules and tables of a host's ways.
struct HostWayTables {
    private let connection: NetlinkConnection

    init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// The rules that lead a way's packets to its table, and the host's answers by the main table where that has more
    /// than a default route.
    private static func rules(_ ways: [Int: [AddressFamily]]) -> [RoutingRuleRecord] {
        if ways.isEmpty { return [] }
        let leading = ways.sorted { $0.key < $1.key }.flatMap { number, families in
            families.map { family in
                RoutingRuleRecord(
                    family: family, priority: RouteMark.rulePriority,
                    mark: RoutingRuleRecord.Mark(value: HostRouteMark.packet(way: number), mask: HostRouteMark.mask),
                    table: HostRouteMark.table(way: number), protocolNumber: RouteWire.ownProtocolNumber)
            }
        }
        return AddressFamily.allCases.map { RoutingRuleRecord.answering($0, HostRouteMark.answers) } + leading
    }

    private static func isOwn(_ rule: RoutingRuleRecord) -> Bool {
        HostRouteMark.tables.contains(rule.table)
            || rule == RoutingRuleRecord.answering(rule.family, HostRouteMark.answers)
    }

    /// Makes what ways need; what is there will do. The rules for answers come first: where they are not, nothing is.
    func make(_ ways: [Int: [AddressFamily]]) throws(NetlinkError) {
        try makeRules(HostWayTables.rules(ways).filter { $0.table == 254 })
        for (number, families) in ways {
            for family in families {
                try connection.add(RouteRecord.end(of: HostRouteMark.table(way: number), family))
            }
        }
        try makeRules(HostWayTables.rules(ways))
    }

    /// The routing rules of a family; whether somebody has made one so that nobody can remove it makes no difference.
    private func rules(of family: AddressFamily) throws(NetlinkError) -> [RoutingRuleRecord] {
        var rules = try connection.routingRules(family)
        for place in rules.indices { rules[place].isPermanent = false }
        return rules
    }

    private func makeRules(_ wanted: [RoutingRuleRecord]) throws(NetlinkError) {
        for family in AddressFamily.allCases {
            let present = try rules(of: family)
            for rule in wanted where rule.family == family && !present.contains(rule) {
                try connection.add(rule)
            }
        }
    }

    /// Adds a way's default route; one that is there will do.
    func addDefault(way number: Int, _ family: AddressFamily, gateway: IPAddress?, link: UInt32) throws(NetlinkError) {
        let table = HostRouteMark.table(way: number)
        try connection.add(RouteRecord.wayOut(in: table, family, gateway: gateway, link: link))
    }

    /// Removes the rules and routes of all ways but these; nothing stays if there are none.
    func remove(except ways: [Int: [AddressFamily]]) throws(NetlinkError) {
        let kept = HostWayTables.rules(ways)
        let tables = Swift.Set(ways.keys.map { HostRouteMark.table(way: $0) })
        for family in AddressFamily.allCases {
            // The host's routes may be many: they are read only if there is something to be found among them.
            let own = try rules(of: family).filter { HostWayTables.isOwn($0) }.sorted {
                $0.priority > $1.priority
            }
            if own.isEmpty { continue }
            for route in try connection.routes(family)
            where HostRouteMark.tables.contains(route.table) && !tables.contains(route.table) {
                try connection.remove(route)
            }
            for rule in own where !kept.contains(rule) {
                try connection.remove(rule)
            }
        }
    }

    /// What is not there of what ways need, in ip's words.
    func drift(_ ways: [Int: [AddressFamily]]) throws(NetlinkError) -> [String] {
        var found: [String] = []
        for family in AddressFamily.allCases {
            let present = try rules(of: family)
            found += HostWayTables.rules(ways).filter { $0.family == family && !present.contains($0) }
                .map { "the \(family) routing rule of table \($0.table) is missing" }
            let tables = Swift.Set(try connection.routes(family).filter { $0.kind == .unreachable }.map(\.table))
            for (number, families) in ways where families.contains(family) {
                let table = HostRouteMark.table(way: number)
                if !tables.contains(table) { found.append("the \(family) end of routing table \(table) is missing") }
            }
        }
        return found
    }
}
