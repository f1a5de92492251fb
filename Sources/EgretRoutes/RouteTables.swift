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
        let (value, mask) = RouteMark.answers(slot: slot)
        let rule = RoutingRuleRecord(
            family: family, priority: RouteMark.answerRulePriority, inputInterface: "lo",
            mark: RoutingRuleRecord.Mark(value: value, mask: mask), table: 254, suppressedPrefixLength: 0,
            protocolNumber: RouteWire.ownProtocolNumber)
        try connection.add(rule)
    }

    /// Has packets that are led to the run's name check delivered on the host, wherever they go: `tproxy` alone does not.
    ///
    /// ``remove()`` takes it away again.
    public func addDiversion(_ family: AddressFamily) throws(NetlinkError) {
        let (value, mask) = RouteMark.diversion(slot: slot)
        let table = RouteMark.diversionTable(slot: slot)
        let rule = RoutingRuleRecord(
            family: family, priority: RouteMark.diversionRulePriority,
            mark: RoutingRuleRecord.Mark(value: value, mask: mask), table: table,
            protocolNumber: RouteWire.ownProtocolNumber)
        try connection.add(rule)
        var local = route(way: 0, family)
        local.kind = .local
        local.scope = family == .ipv4 ? 254 : 0
        local.outputIndices = [RouteTables.loopbackIndex]
        try add(local)
    }

    /// The loopback interface is the first of every network namespace (`LOOPBACK_IFINDEX` in `net/flow.h`).
    private static let loopbackIndex: UInt32 = 1

    /// Whether a rule is one of the run's.
    private func isOwn(_ rule: RoutingRuleRecord) -> Bool {
        if RouteMark.tables(slot: slot).contains(rule.table) { return true }
        let (value, mask) = RouteMark.answers(slot: slot)
        return rule.mark == RoutingRuleRecord.Mark(value: value, mask: mask)
            && rule.protocolNumber == RouteWire.ownProtocolNumber
    }

    /// Puts into a way's table what ends the search: without a route of its own, nothing falls through to others.
    func addEnd(way number: Int, _ family: AddressFamily) throws(NetlinkError) {
        var end = route(way: number, family)
        end.kind = .unreachable
        end.scope = 0
        end.metric = 0xffff_fffe
        try add(end)
    }

    /// Adds a way's default route; one that is there will do.
    func addDefault(way number: Int, _ family: AddressFamily, gateway: IPAddress?, link: UInt32) throws(NetlinkError) {
        var way = route(way: number, family)
        way.gateway = gateway
        way.outputIndices = [link]
        way.scope = family == .ipv4 && gateway == nil ? 253 : 0
        way.isOnLink = gateway != nil
        try add(way)
    }

    private func route(way number: Int, _ family: AddressFamily) -> RouteRecord {
        let none = IPAddress(family: family, rawValue: 0)
        var route = RouteRecord(to: IPPrefix(none, length: 0) ?? IPPrefix(none))
        route.table = RouteMark.table(way: number, slot: slot)
        route.protocolNumber = RouteWire.ownProtocolNumber
        return route
    }

    private func add(_ route: RouteRecord) throws(NetlinkError) {
        try connection.request("add a route to table \(route.table)", unless: .exists) { sequence throws(WireError) in
            try RouteWire.addRoute(route, sequence: sequence)
        }
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
