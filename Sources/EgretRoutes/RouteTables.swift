// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretCompiler
public import EgretNetlink
import EgretNetlinkWire

/// The routing rules and tables of one run.
public struct RouteTables {
    private let connection: NetlinkConnection
    private let slot: Int

    /// Names the tables of a run; nothing is made yet.
    public init(slot: Int, _ connection: NetlinkConnection) {
        self.slot = slot
        self.connection = connection
    }

    /// Leads packets of a way to its table: those of the run, and the host's own checks.
    func addRules(way number: Int, _ family: AddressFamily, from interface: InterfaceName) throws(NetlinkError) {
        let table = RouteMark.table(way: number, slot: slot)
        let marks = [
            (interface.rawValue, RoutingRuleRecord.Mark(value: RouteMark.packet(way: number), mask: RouteMark.mask)),
            ("lo", RoutingRuleRecord.Mark(value: RouteMark.check(way: number, slot: slot), mask: RouteMark.checkMask)),
        ]
        for (input, mark) in marks {
            let rule = RoutingRuleRecord(
                family: family, priority: RouteMark.rulePriority, inputInterface: input, mark: mark, table: table,
                protocolNumber: RouteWire.ownProtocolNumber)
            try connection.add(rule)
        }
    }

    /// Leads the host's answers by the main table where that has a route for them; by their way's where it has no more
    /// than a default route.
    func addAnswerRule(_ family: AddressFamily) throws(NetlinkError) {
        try connection.add(RoutingRuleRecord.answering(family, RouteMark.answers(slot: slot)))
    }

    /// Has packets that are led to the run's name check delivered on the host, wherever they go: `tproxy` alone does not.
    ///
    /// ``remove()`` takes it away again.
    public func addDiversion(_ family: AddressFamily) throws(NetlinkError) {
        let table = RouteMark.diversionTable(slot: slot)
        try connection.add(RoutingRuleRecord.diverting(family, RouteMark.diversion(slot: slot), to: table))
        try connection.add(RouteRecord.delivery(in: table, family))
    }

    /// Whether a rule is one of the run's.
    private func isOwn(_ rule: RoutingRuleRecord) -> Bool {
        if RouteMark.tables(slot: slot).contains(rule.table) { return true }
        let (value, mask) = RouteMark.answers(slot: slot)
        return rule.mark == RoutingRuleRecord.Mark(value: value, mask: mask)
            && rule.protocolNumber == RouteWire.ownProtocolNumber
    }

    /// Puts into a way's table what ends the search: without a route of its own, nothing falls through to others.
    func addEnd(way number: Int, _ family: AddressFamily) throws(NetlinkError) {
        try connection.add(RouteRecord.end(of: RouteMark.table(way: number, slot: slot), family))
    }

    /// Adds a way's default route; one that is there will do.
    func addDefault(way number: Int, _ family: AddressFamily, gateway: IPAddress?, link: UInt32) throws(NetlinkError) {
        let table = RouteMark.table(way: number, slot: slot)
        try connection.add(RouteRecord.wayOut(in: table, family, gateway: gateway, link: link))
    }

    /// Removes all rules and routes of the run, whichever of them are there.
    ///
    /// The rule for answers is made first and removed last: where it is not, there is nothing, and the host's routes,
    /// which may be many, need not be read.
    public func remove() throws(NetlinkError) {
        let tables = RouteMark.tables(slot: slot)
        for family in AddressFamily.allCases {
            let own = try connection.routingRules(family).filter(isOwn).sorted { $0.priority > $1.priority }
            if own.isEmpty { continue }
            for route in try connection.routes(family) where tables.contains(route.table) {
                // With its interface, a route goes by itself.
                try connection.remove(route)
            }
            for rule in own {
                try connection.request("remove a routing rule") { sequence throws(WireError) in
                    try RouteWire.deleteRule(rule, sequence: sequence)
                }
            }
        }
    }
}
