// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretCompiler
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire
import EgretNftables
public import EgretPolicy

/// The routes of the endpoints of a host's networks: keeps them in the kernel, keeps an eye on every way's health, and
/// leads new connections by the first usable one.
///
/// What is in the kernel goes on without it; whoever comes next takes it over. `docs/design/routes.md` has what holds in
/// each state. Not for several threads at once.
public final class HostRouteKeeper {
    /// Becomes readable when ``serve()`` has something to do.
    public var descriptor: Descriptor { timer.descriptor }
    /// Whether there are routes to keep.
    public var isNeeded: Bool { !plan.groups.isEmpty }

    /// Hears how connections leave that proxies make for endpoints: each time that the kernel has been told how endpoints' own do.
    public var chosen: ((HostRouteChooser) -> Void)?

    /// How often interfaces and their addresses are looked at.
    private static let look = Duration.milliseconds(200)

    let connection: NetlinkConnection
    let rules: any HostRouteRules
    let tables: HostWayTables
    private let timer: Timer
    /// What is meant.
    var plan = HostRoutePlan()
    /// What the table holds; `nil` while that is not known.
    var installed: TableProgram?
    /// The clauses that groups have, by number.
    var clauses: [Int: HostRouteClauses] = [:]
    var ways: [Int: HostWay] = [:]
    private var health: [HostRoutePlan.Candidate: WayHealth] = [:]
    private var checkers: [HostRoutePlan.Candidate: WayChecker] = [:]
    private var linksDue = MonotonicInstant.now
    private var rulesDue = MonotonicInstant.now
    private var openInterfaces: [InterfaceName]?
    private var nextIdentifier: UInt16 = 0x4000

    /// Prepares to keep routes; nothing is changed yet.
    ///
    /// - Parameters:
    ///   - connection: To the host's routing.
    ///   - rules: The host's rules.
    /// - Throws: An error if the kernel gives no timer.
    public init(_ connection: NetlinkConnection, _ rules: any HostRouteRules) throws {
        self.connection = connection
        self.rules = rules
        tables = HostWayTables(connection)
        timer = try Timer()
    }

    // MARK: - Keeping

    /// Does what is due: asks, takes note of answers, and leads new connections elsewhere if the usable ways changed.
    ///
    /// - Returns: The ways whose usability has changed, in words.
    /// - Throws: An error that names the step.
    @discardableResult
    public func serve() throws -> [String] {
        if !isNeeded { return [] }
        let now = MonotonicInstant.now
        // Whatever fails is tried again at the next look.
        try timer.set(after: HostRouteKeeper.look)
        if linksDue <= now {
            linksDue = now + HostRouteKeeper.look
            try lookAtLinks()
            if rulesDue <= now {
                // Somebody may have taken some away; what is there costs a look.
                rulesDue = now + .seconds(1)
                try tables.make(needs)
            }
        }
        for candidate in checkers.keys {
            if let answered = checkers[candidate]?.serve(now: now) { health[candidate]?.note(answered: answered) }
        }
        let changes = try choose()
        let due = (checkers.values.map(\.due) + [linksDue]).min() ?? linksDue
        try timer.set(after: max(.milliseconds(1), now.duration(to: due)))
        return changes
    }

    /// Brings the table into line with what is known now.
    private func choose() throws -> [String] {
        let before = plan
        observe()
        if plan == before, installed != nil { return [] }
        try write()
        return plan.usable.symmetricDifference(before.usable).compactMap { candidate in
            guard let way = plan.ways[candidate.way] else { return nil }
            return "the way by \(way.words) is \(plan.usable.contains(candidate) ? "usable again" : "given up")"
        }.sorted()
    }

    /// Takes into the plan what is known of ways.
    func observe() {
        plan.usable = Swift.Set(health.filter { $0.value.isUsable && ways[$0.key.way]?.isThere ?? false }.map(\.key))
        plan.outputs = ways.compactMapValues { $0.link?.index }
    }

    /// Puts the plan into the kernel.
    func write() throws {
        try rules.keep(notes.text)
        let program = plan.program
        if let present = installed {
            installed = nil
            try rules.change(program.difference(from: present), of: program.table)
        } else {
            try rules.replace(with: program, holding: plan.hold)
        }
        installed = program
        chosen?(HostRouteChooser(plan))
    }

    private var notes: HostRouteNotes {
        var notes = HostRouteNotes()
        notes.ways = plan.ways
        notes.silent = Swift.Set(health.filter { !$0.value.isAnswering }.map(\.key.way))
        return notes
    }

    // MARK: - Interfaces

    func lookAtLinks() throws {
        let sought = ways.values.filter(\.way.isPath).map { (interface: $0.way.interface, last: $0.link?.name) }
        let links = try HostWay.links(
            for: sought, named: { try connection.link(named: $0) }, orAll: { try connection.links() })
        for number in ways.keys {
            guard var way = ways[number] else { continue }
            let former = way.link?.index
            way.look(at: links, connection)
            if let index = way.link?.index, way.isThere, way.way.isPath {
                for family in way.families {
                    do throws(NetlinkError) {
                        try tables.addDefault(way: number, family, gateway: way.gateways[family], link: index)
                    } catch {
                        // An interface without this family: the table's end refuses its packets.
                        if way.families.count == 1 { way.isThere = false }
                    }
                }
            }
            ways[number] = way
            if way.link?.index != former {
                for candidate in checkers.keys where candidate.way == number {
                    checkers[candidate]?.path = way.path
                }
            }
        }
        try openWays()
        try lookAtAddresses()
    }

    /// Interfaces that ways lead by forward, and take answers that the main table would not expect there.
    private func openWays() throws {
        let names = Swift.Set(ways.values.compactMap { $0.way.isPath ? $0.link?.name : nil }).sorted()
            .compactMap { InterfaceName($0) }
        // One that is made anew has its switches as the host has them.
        if names == openInterfaces, !ways.values.contains(where: \.isNew) { return }
        let opened = try rules.open(names)
        plan.opened = opened.mapValues { names in
            names.compactMap { name in ways.values.first { $0.link?.name == name.rawValue }?.link?.index }
        }
        openInterfaces = names
        for number in ways.keys { ways[number]?.isNew = false }
    }

    private func lookAtAddresses() throws {
        let paths = ways.sorted { $0.key < $1.key }.map(\.value).filter(\.way.isPath)
        plan.addresses = try connection.addresses().byWay(paths.map { ($0.number, $0.way, $0.link) })
    }

    // MARK: - Who asks

    /// Begins and ends checks, so that each candidate of the plan has its own.
    ///
    /// - Parameter silent: Ways that were given up before this process began.
    func prepareChecks(silent: Swift.Set<Int> = []) {
        let wanted = Swift.Set(plan.groups.flatMap(\.clauses).flatMap(\.candidates))
        for candidate in health.keys where !wanted.contains(candidate) {
            health[candidate] = nil
            checkers[candidate] = nil
        }
        let now = MonotonicInstant.now
        for candidate in wanted where health[candidate] == nil {
            guard let way = ways[candidate.way] else { continue }
            // What another check of the same way knows is true of this one.
            let isSilent =
                silent.contains(candidate.way)
                || health.contains { $0.key.way == candidate.way && !$0.value.isAnswering }
            health[candidate] = WayHealth(candidate.check, isAnswering: !isSilent)
            nextIdentifier = nextIdentifier &+ 1 | 0x4000
            checkers[candidate] = candidate.check.map {
                WayChecker($0, by: way.path, identifier: nextIdentifier, from: now)
            }
        }
        linksDue = now
        try? timer.set(after: .milliseconds(1))
    }

    /// The ways that a demand's clauses may take, and which they take now, in words; one text for each clause.
    public func choices(of clauses: HostRouteClauses) -> [HostRouteChoice] {
        guard let number = self.clauses.first(where: { $0.value == clauses })?.key,
            let group = plan.groups.first(where: { $0.number == number })
        else { return [] }
        return group.clauses.map { clause in
            HostRouteChoice(
                route: clause.route,
                chosen: AddressFamily.allCases.reduce(into: [:]) { chosen, family in
                    chosen[family] = plan.choice(clause, family).flatMap { plan.ways[$0.way] }
                },
                givenUp: clause.candidates.filter { !plan.usable.contains($0) }.compactMap { plan.ways[$0.way] })
        }
    }
}

/// What a clause of routes leads to now.
public struct HostRouteChoice: Hashable, Sendable {
    /// The clause.
    public var route: EgressRoute
    /// The way that new connections take, by family; none where the fallback decides.
    public var chosen: [AddressFamily: RouteWay]
    /// The ways that are not usable.
    public var givenUp: [RouteWay]
}
