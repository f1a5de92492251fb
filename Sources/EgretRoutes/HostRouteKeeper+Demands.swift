// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretCompiler
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import EgretPolicy

extension HostRouteKeeper {
    /// Brings the kernel to what endpoints demand, all of it or nothing.
    ///
    /// Open connections keep their ways as long as anybody may take these. Those on a way that nobody may take any more
    /// are forgotten, and what they send is dropped until they are.
    ///
    /// - Parameters:
    ///   - demands: The endpoints whose policies have routes.
    ///   - localNetworks: The networks of this host, which are reached by no way.
    ///   - isStrict: Whether a way that comes new must be one that this host has.
    /// - Throws: ``RouteProblem``, or an error that names the step.
    public func lead(_ demands: [HostRouteDemand], localNetworks: [IPPrefix], isStrict: Bool) throws {
        let before = (plan, clauses, ways)
        let next = try HostRouteAssignment(demands, after: plan, clauses)
        if isStrict { try refuseUnknown(next.ways) }
        do {
            try change(to: next, localNetworks)
        } catch {
            (plan, clauses, ways) = before
            installed = nil
            chosen?(HostRouteChooser(plan))
            prepareChecks()
            // Otherwise the next look puts the state before back.
            if !isNeeded { try? finish([]) }
            throw error
        }
    }

    /// Takes over what a former process has left, whatever state it is in, and brings it to what endpoints demand.
    ///
    /// - Parameters:
    ///   - demands: The endpoints whose policies have routes.
    ///   - localNetworks: The networks of this host.
    /// - Throws: An error that names the step.
    public func take(_ demands: [HostRouteDemand], localNetworks: [IPPrefix]) throws {
        let notes = HostRouteNotes(text: try rules.kept())
        if plan.ways.isEmpty { plan.ways = notes.ways }
        if plan.ways.isEmpty, installed == nil, !demands.isEmpty { try forgetUnknown() }
        for (number, way) in plan.ways where ways[number] == nil { ways[number] = HostWay(number: number, way) }
        if let present = installed, try !rules.drift(of: present).isEmpty { installed = nil }
        try change(to: HostRouteAssignment(demands, after: plan, clauses), localNetworks, silent: notes.silent)
        try tables.remove(except: needs)
    }

    /// Ends what was begun by numbers of which nobody knows any more what they meant: they are about to mean something
    /// else.
    private func forgetUnknown() throws {
        var interim = HostRoutePlan()
        if try rules.drift(of: TableProgram(table: HostRoutePlan.table)).isEmpty {
            for number in HostRouteMark.ways { interim.ways[number] = RouteWay() }
            interim.leaving = Swift.Set(HostRouteMark.ways)
            try rules.replace(with: interim.program, holding: interim.hold)
            installed = interim.program
        }
        let labels = Swift.Set(HostRouteMark.ways.map { HostRouteMark.label(way: $0) })
        for _ in 0..<5 { if try rules.forget(labelled: labels) == 0 { break } }
    }

    /// What the kernel holds otherwise than is meant, in the words of nft and ip.
    public func drift() throws -> [String] {
        guard isNeeded else { return [] }
        guard let installed else { return ["table \(HostRoutePlan.table) is not known"] }
        return try rules.drift(of: installed) + tables.drift(needs)
    }

    /// The families of the ways that have a table.
    var needs: [Int: [AddressFamily]] {
        ways.filter { plan.ways[$0.key] != nil && $0.value.way.isPath }.mapValues(\.families)
    }

    private func change(
        to next: HostRouteAssignment, _ localNetworks: [IPPrefix], silent: Swift.Set<Int> = []
    ) throws {
        let gone = Swift.Set(plan.ways.keys).subtracting(next.ways.keys)
        if next.groups.isEmpty && gone.isEmpty && plan.groups.isEmpty && installed == nil {
            // Nothing was, and nothing is to be.
            if try rules.kept().isEmpty { return }
        }
        for (number, way) in next.ways where ways[number] == nil { ways[number] = HostWay(number: number, way) }
        plan.ways.merge(next.ways) { first, _ in first }
        plan.leaving = gone
        plan.groups = next.groups
        plan.members = next.members
        plan.localNetworks = localNetworks
        clauses = next.clauses
        // Numbers are noted before anything in the kernel carries them.
        prepareChecks(silent: silent)
        try lookAtLinks()
        try tables.make(needs)
        try lookAtLinks()
        observe()
        if !next.groups.isEmpty || !gone.isEmpty { try write() }
        try finish(gone)
    }

    /// Removes ways that nobody may take any more, when no connection is on them.
    private func finish(_ gone: Swift.Set<Int>) throws {
        if !gone.isEmpty {
            let labels = Swift.Set(gone.map { HostRouteMark.label(way: $0) })
            // A packet that was on its way may have begun another one meanwhile.
            for _ in 0..<5 { if try rules.forget(labelled: labels) == 0 { break } }
            for number in gone {
                ways[number] = nil
                plan.ways[number] = nil
            }
            plan.leaving = []
            try lookAtLinks()
            observe()
        }
        if plan.groups.isEmpty {
            chosen?(HostRouteChooser(plan))
            try rules.remove(HostRoutePlan.table)
            installed = nil
            try tables.remove(except: [:])
            _ = try rules.open([])
            try rules.keep("")
        } else if !gone.isEmpty {
            try write()
            try tables.remove(except: needs)
        }
    }

    /// A way with an interface that is not there, or a gateway that is nowhere, is most often a slip.
    private func refuseUnknown(_ next: [Int: RouteWay]) throws {
        let new = next.filter { plan.ways[$0.key] == nil && $0.value.isPath }
        if new.isEmpty { return }
        let links = try connection.links()
        for (number, way) in new.sorted(by: { $0.key < $1.key }) {
            _ = try ResolvedWay(number: number, way, links: links, connection)
        }
    }
}

/// Which numbers ways and groups have.
private struct HostRouteAssignment {
    var ways: [Int: RouteWay] = [:]
    var groups: [HostRoutePlan.Group] = []
    var members: [HostRoutePlan.Member] = []
    var clauses: [Int: HostRouteClauses] = [:]

    init(
        _ demands: [HostRouteDemand], after plan: HostRoutePlan, _ former: [Int: HostRouteClauses]
    ) throws {
        var numbers = Dictionary(plan.ways.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        var free = HostRouteMark.ways.filter { plan.ways[$0] == nil }[...]
        var known = Dictionary(former.map { ($0.value, $0.key) }, uniquingKeysWith: { first, _ in first })
        var nextGroup = (former.keys.max() ?? -1) + 1
        for demand in demands {
            let number: Int
            if let present = known[demand.clauses] {
                number = present
            } else {
                number = nextGroup
                nextGroup += 1
                known[demand.clauses] = number
            }
            members.append(
                HostRoutePlan.Member(attachment: demand.attachment, addresses: demand.addresses, group: number))
            if clauses.updateValue(demand.clauses, forKey: number) != nil { continue }
            let list = try demand.clauses.routes.map { route in
                HostRoutePlan.Clause(
                    route: route,
                    candidates: try route.ways.map { way in
                        guard let number = numbers[way.path] ?? free.popFirst() else {
                            throw RouteProblem(
                                description:
                                    "routes: the policies have more than \(HostRouteMark.ways.count) ways together")
                        }
                        numbers[way.path] = number
                        ways[number] = way.path
                        return HostRoutePlan.Candidate(way: number, check: way.check)
                    })
            }
            groups.append(
                HostRoutePlan.Group(number: number, clauses: list, destinations: demand.clauses.destinations))
        }
    }
}
