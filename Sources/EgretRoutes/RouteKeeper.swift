// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretCompiler
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables
public import EgretPolicy

/// The routes of one run: puts them into the kernel, keeps an eye on every way's health, and leads new connections by
/// the first usable one.
///
/// `docs/design/routes.md` has the states and what holds in each.
public final class RouteKeeper {
    /// Becomes readable when ``serve()`` has something to do.
    public var descriptor: Descriptor { timer.descriptor }
    /// Whether an interface has been made anew: what the host sets for interfaces must be set again. The caller takes it
    /// back.
    public var hasNewInterfaces = false
    /// The interfaces that ways lead by.
    public var interfaces: [InterfaceName] {
        Swift.Set(ways.compactMap(\.link?.name)).sorted().compactMap { InterfaceName($0) }
    }

    /// Says by which way connections leave now that the run's proxies make.
    public var chooser: RouteChooser { routes.chooser(in: state) }
    /// Hears when new connections leave otherwise than before.
    public var chosen: ((RouteChooser) -> Void)?

    /// How often interfaces and their addresses are looked at.
    private static let look = Duration.milliseconds(200)

    /// The run's table as it is meant now.
    public var program: TableProgram { routes.program(in: state) }

    private let routes: RouteProgram
    private let tables: RouteTables
    private var ways: [ResolvedWay]
    private let connection: NetlinkConnection
    private let rules: any RouteRules
    private let timer: Timer
    private let slot: Int
    private var health: [WayHealth]
    private var checkers: [WayChecker?]
    private var addresses: [Int: [IPAddress]] = [:]
    private var state: RouteProgram.State
    private var linksDue: MonotonicInstant

    /// Puts a run's routes into the kernel, before its policy lets anything through.
    ///
    /// - Parameters:
    ///   - policies: The policies, whose routes are asked in their order.
    ///   - endpoint: The run's endpoint.
    ///   - slot: The run's slot.
    ///   - connection: To the host's routing.
    ///   - rules: The host's rules.
    /// - Throws: ``RouteProblem`` for a way that the host does not have, or an error that names the step. What was
    ///   made is removed with ``remove(slot:_:_:)``.
    public init(
        _ policies: PolicySet, for endpoint: Endpoint, slot: Int, _ connection: NetlinkConnection,
        _ rules: any RouteRules
    ) throws {
        self.connection = connection
        self.slot = slot
        self.rules = rules
        tables = RouteTables(slot: slot, connection)
        timer = try Timer()
        let links = try connection.links()
        var ways: [ResolvedWay] = []
        var clauses: [RouteProgram.Clause] = []
        for route in policies.routes {
            let resolved = try route.ways.enumerated().map { offset, way in
                try ResolvedWay(number: ways.count + offset + 1, way, links: links, connection)
            }
            ways += resolved
            let described = resolved.map { RouteProgram.Way(number: $0.number, way: $0.way) }
            clauses.append(RouteProgram.Clause(route: route, ways: described))
        }
        guard ways.count <= RouteWay.limit else {
            throw RouteProblem(description: "routes: the policies have more than \(RouteWay.limit) ways together")
        }
        self.ways = ways
        routes = RouteProgram(clauses, groups: policies.groups, for: endpoint, slot: slot)
        let now = MonotonicInstant.now
        linksDue = now
        health = ways.map { WayHealth($0.way.check) }
        state = RouteProgram.State(usable: Swift.Set(ways.map(\.number)), outputs: ways.outputs)
        checkers = ways.map { way in
            way.way.check.map { check in
                WayChecker(
                    check, by: way.path(slot: slot), identifier: UInt16(truncatingIfNeeded: slot << 5 | way.number),
                    from: now)
            }
        }
        for family in AddressFamily.allCases { try tables.addAnswerRule(family) }
        for way in ways where way.link != nil {
            for family in way.families {
                try tables.addEnd(way: way.number, family)
                try tables.addRules(way: way.number, family, from: endpoint.interface)
            }
        }
        try rules.install(program)
        try serve()
    }

    /// Does what is due: asks, takes note of answers, and leads new connections elsewhere if the usable ways changed.
    ///
    /// - Returns: The ways whose usability has changed, in words.
    /// - Throws: An error that names the step.
    @discardableResult
    public func serve() throws -> [String] {
        let now = MonotonicInstant.now
        if linksDue <= now {
            linksDue = now + RouteKeeper.look
            try lookAtLinks()
            try lookAtAddresses()
        }
        for index in checkers.indices {
            if let answered = checkers[index]?.serve(now: now) { health[index].note(answered: answered) }
        }
        let changes = try choose()
        let due = (checkers.compactMap { $0?.due } + [linksDue]).min() ?? linksDue
        try timer.set(after: max(.milliseconds(1), now.duration(to: due)))
        return changes
    }

    /// Brings the table into line with what is known now.
    private func choose() throws -> [String] {
        let before = state
        let usable = Swift.Set(ways.indices.filter { health[$0].isUsable }.map { ways[$0].number })
        let next = RouteProgram.State(usable: usable, outputs: ways.outputs, addresses: addresses)
        guard next != before else { return [] }
        let table = program.table
        try rules.commit(Transaction(routes.entering(next).map { Transaction.Step($0, in: table) }))
        state = next
        chosen?(chooser)
        let changed = ways.filter { usable.contains($0.number) != before.usable.contains($0.number) }
        return changed.map { "the way by \($0.words) is \(usable.contains($0.number) ? "usable again" : "given up")" }
    }

    private func lookAtAddresses() throws {
        addresses = try connection.addresses().byWay(ways.map { ($0.number, $0.way, $0.link) })
    }

    /// Interfaces that went down have taken their routes along.
    private func lookAtLinks() throws {
        // By their names: to list all costs the kernel the more the more endpoints there are.
        let links = try interfaces.compactMap { try connection.link(named: $0) }
        for index in ways.indices {
            guard let before = ways[index].link else { continue }
            let found = links.first { $0.name == before.name }
            if let found, found.index != before.index {
                // Somebody has made the interface anew, as tunnels do.
                ways[index].link = found
                hasNewInterfaces = true
                checkers[index]?.path = ways[index].path(slot: slot)
            }
            let link = found?.index ?? before.index
            var isThere = found?.carries ?? false
            if isThere {
                for family in ways[index].families {
                    do throws(NetlinkError) {
                        let gateway = ways[index].gateways[family]
                        try tables.addDefault(way: ways[index].number, family, gateway: gateway, link: link)
                    } catch {
                        // An interface without this family: the table's end refuses its packets.
                        if ways[index].families.count == 1 { isThere = false }
                    }
                }
            }
            health[index].note(isLinkUp: isThere)
        }
    }

    /// Removes what a run, living or dead, has in the kernel for its routes.
    ///
    /// - Parameters:
    ///   - slot: The run's slot.
    ///   - connection: To the host's routing.
    ///   - rules: The host's rules.
    /// - Throws: An error that names the step.
    public static func remove(slot: Int, _ connection: NetlinkConnection, _ rules: any RouteRules) throws {
        try rules.remove(RouteProgram.table(slot: slot))
        try RouteTables(slot: slot, connection).remove()
    }
}

extension LinkRecord {
    /// Whether it is up and has a carrier; some kinds of links do not know of carriers (`IF_OPER_UNKNOWN`).
    var carries: Bool { isUp && (operationalState == 6 || operationalState == 0) }
}

extension [ResolvedWay] {
    fileprivate var outputs: [Int: UInt32] {
        Dictionary(compactMap { way in way.link.map { (way.number, $0.index) } }) { first, _ in first }
    }
}

extension ResolvedWay {
    /// The path that a check of its health takes.
    fileprivate func path(slot: Int) -> ProbeSocket.Path {
        ProbeSocket.Path(
            mark: RouteMark.check(way: number, slot: slot), interfaceIndex: link?.index,
            source: way.sourceAddress?.networkBytes)
    }

    fileprivate var words: String {
        [
            way.gateway.map { "gateway \($0)" }, way.interface.map { "interface \($0)" },
            way.sourceWords.map { "source address \($0)" },
        ].compactMap(\.self).joined(separator: ", ")
    }
}
