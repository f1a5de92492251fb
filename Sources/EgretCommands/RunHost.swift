// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretFlows
import EgretLinux
import EgretNetlink
import EgretNetworks
import EgretNftables
import EgretRoutes
import EgretRun
import EgretShaping

/// The host as runs share it: its state directory, its tables, its switches.
final class RunHost {
    let state: StateDirectory
    let route: NetlinkConnection
    let netfilter: NetlinkConnection
    let dataplane: Dataplane
    var routeRules: KernelRouteRules { KernelRouteRules(dataplane: dataplane) }

    init() throws {
        state = try StateDirectory()
        route = try NetlinkConnection.route()
        netfilter = try NetlinkConnection.netfilter()
        dataplane = Dataplane(netfilter)
    }

    /// Removes what dead runs left. The caller holds the lock.
    ///
    /// - Returns: The runs that were removed.
    @discardableResult
    func removeDeadRuns() throws -> [RunRecord] {
        let dead = try state.deadRuns()
        if dead.isEmpty { return [] }
        for record in dead {
            try RunLink.remove(record, route)
            try removeQueue(of: record)
            try RouteKeeper.remove(slot: record.slot, route, routeRules)
            try dataplane.removeTables([
                LimitProgram.table(slot: record.slot), LimitProgram.frameTable(slot: record.slot),
            ])
            try RunBudgets.remove(slot: record.slot, dataplane)
            try removeRemains(of: record)
            if let generation = Generation(rawValue: record.generation) {
                try KernelFlows.delete(mark: (generation.mark, Generation.mask), netfilter)
            }
        }
        // Those whose every packet is judged by the clock bear no mark.
        try NetworkConnections(netfilter).forget(of: dead.flatMap(\.addresses))
        for record in dead { try state.forget(record) }
        if try isAlone() { try restore() }
        return dead
    }

    /// Removes the interface that a run's frames wait in, if there is one.
    func removeQueue(of record: RunRecord) throws {
        guard let name = InterfaceName(record.queueInterface) else { return }
        try LinkShaper(route).removeQueue(name, record.queueHardwareAddress)
    }

    /// Removes links of runs that have no record any more and are down: something has held the run's network namespace,
    /// or the kernel is just about to remove them itself. A link that is up may be of a run that another Egret has begun,
    /// one that sees another `/run`. The caller holds the lock.
    ///
    /// - Parameter spared: So many are left to the kernel.
    /// - Returns: The names of those that were there.
    /// - Throws: An error that says what the kernel refused.
    @discardableResult
    func removeStrayLinks(besides spared: Int = 0) throws -> [String] {
        let known = Swift.Set(try state.slots())
        let strays = try RunLink.slotsDown(route).filter { !known.contains($0) }
        return try strays.dropLast(spared).compactMap { slot in
            let record = RunRecord(slot: slot, generation: 1, addresses: [])
            return try RunLink.remove(record, route) ? record.interface : nil
        }
    }

    /// Removes links that somebody was killed while making for endpoints of networks, and that no note tells of: `/run` was emptied
    /// or full, say. The caller holds the lock.
    ///
    /// - Parameter networks: The networks that are kept.
    /// - Returns: The names of those that were there.
    /// - Throws: An error that says what the kernel refused.
    func removeBegunLinks(besides networks: [NetworkRecord]) throws -> [String] {
        let names = try NetworkLinks(route).removeStrays(besides: networks.flatMap(\.endpoints))
        if names.isEmpty { return [] }
        var ledger = state.ledger()
        for name in names { _ = ledger.forget(interface: name) }
        try state.store(ledger)
        return names
    }

    /// Removes a run's objects by their names, whichever of them are there.
    func removeRemains(of record: RunRecord) throws {
        try dataplane.removeRemains(
            prefixes: [
                "g\(record.generation)", record.interface, "from-\(record.interface)", "to-\(record.interface)",
            ],
            addresses: record.addresses,
            in: [BaseProgram.table, BaseProgram.frameTable]
        )
    }

    /// Switches on what a run's packets and their answers need to be passed on, and their bytes to be accounted.
    ///
    /// What stands right is left alone. Where forwarding was off, the host goes on forwarding for nobody but
    /// endpoints: the packet table says so before the switch is moved.
    ///
    /// - Parameters:
    ///   - links: The links whose packets are passed on.
    ///   - network: The host's interfaces.
    ///   - routes: Interfaces that routes lead out by.
    ///   - isAnew: Whether the packet table has been made anew: then it is told again of what was switched on before.
    /// - Returns: Whether any switch had to be moved.
    /// - Throws: An error that says what could not be noted or moved.
    @discardableResult
    func openForwarding(
        of links: [InterfaceName], _ network: HostNetwork, routes: [InterfaceName] = [], isAnew: Bool = false
    ) throws -> Bool {
        let needs = ForwardingNeeds(links: links, network, ways: routes)
        var ledger = state.ledger()
        let moves = ledger.prepare(needs.switches + ForwardingNeeds.answers(by: routes)) { path in
            try? Sysctl(path).read()
        }
        if moves.isEmpty && !isAnew { return false }
        if !moves.isEmpty { try state.store(ledger) }
        let opening = isAnew ? ledger.moves(besides: links) : moves
        var transaction = Transaction()
        for family in AddressFamily.allCases {
            let opened = needs.interfaces(openedBy: opening, family)
            if opened.isEmpty { continue }
            transaction.append(.addElements(BaseProgram.openedInterfaces(family, opened)), in: BaseProgram.table)
        }
        if !transaction.steps.isEmpty { try dataplane.commit(transaction) }
        for move in moves { try Sysctl(move.path).write(move.needed) }
        if moves.contains(where: { $0.path == ForwardingNeeds.everywhere6 }) {
            Console.error([
                "egret: this kernel forwards IPv6 for all interfaces or for none: it is on until the last run or network "
                    + "ends; what comes in by others' interfaces is dropped as before"
            ])
        }
        return !moves.isEmpty
    }

    /// If no run is left: puts the switches back, deletes the tables, and removes the state directory.
    func restoreIfLast() throws {
        if try isAlone() { try restore() }
        try state.removeIfEmpty()
    }

    /// Whether no run but this one is on the host, and no network.
    ///
    /// Runs that another Egret has begun, one that sees another `/run`, have no record here. Their interfaces are in
    /// the packet table's maps all the same.
    ///
    /// - Parameter record: A run that does not count.
    /// - Returns: `true` if neither records nor the packet table know of another.
    /// - Throws: An error that says what could not be read.
    func isAlone(besides record: RunRecord? = nil) throws -> Bool {
        if try state.isInUse(besides: record) { return false }
        let links = try HostNetwork.links(route)
        let attached = try dataplane.interfaces(in: BaseProgram.senderMap, of: BaseProgram.table)
        return !attached.contains { index in
            links[index].map { $0 != record?.interface } ?? false
        }
    }

    /// Puts the switches back and deletes the tables, in that order: forwarding goes off before the table that
    /// confines it goes away. For when no other run is left.
    func restore() throws {
        for move in state.ledger().restoration(position: { path in try? Sysctl(path).read() }) {
            if ForwardingNeeds.isNowOthers(move) { continue }
            do throws(LinuxError) {
                try Sysctl(move.path).write(move.needed)
            } catch {
                // The switch of an interface that has gone in this moment.
                if error.errno != .noEntry { throw error }
            }
        }
        try dataplane.removeTables([BaseProgram.table, BaseProgram.frameTable])
        try state.store(SwitchLedger())
    }
}
