// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables

/// One network namespace, asked over sockets that stay in it.
final class NamespaceView {
    let place: Place
    private let namespace: Namespace?
    let route: NetlinkConnection
    private let traces: NetlinkConnection
    private let tracking: NetlinkConnection
    let ruleset: any Ruleset
    private(set) var events: [TraceEvent] = []
    private var installed: [Table] = []

    /// Opens sockets in a namespace, or with none in the thread's own.
    init(_ place: Place, _ namespace: Namespace?, _ makeRuleset: RulesetMaker) throws {
        self.place = place
        self.namespace = namespace
        func open() throws -> (NetlinkConnection, NetlinkConnection, NetlinkConnection, NetlinkConnection) {
            (
                try .route(), try .netfilter(), try .netfilter(),
                try .netfilterEvents(groups: [NfnetlinkGroup.nftablesTrace], receiveBuffer: 1 << 20)
            )
        }
        let (route, netfilter, tracking, traces) = try namespace?.visit(open) ?? open()
        (self.route, self.tracking, self.traces, ruleset) = (route, tracking, traces, makeRuleset(netfilter))
    }

    /// Runs the body in the namespace.
    func visit<Result>(_ body: () throws -> Result) throws -> Result {
        try namespace?.visit(body) ?? body()
    }

    /// Everything that can be read of the namespace, without its switches.
    func surroundings(_ family: AddressFamily) throws -> Surroundings {
        var found = Surroundings(place)
        found.links = try route.links()
        found.addresses = try route.addresses()
        found.routes = try route.dump("list routes") { sequence throws(WireError) in
            try RouteWire.routesRequest(family: family, sequence: sequence)
        }.compactMap { try RouteWire.decodeRoute($0) }
        found.neighbours = try neighbours(family)
        return found
    }

    /// The neighbours as they are now.
    func neighbours(_ family: AddressFamily) throws -> [NeighbourRecord] {
        try route.dump("list neighbours") { sequence throws(WireError) in
            try RouteWire.neighboursRequest(family: family, sequence: sequence)
        }.compactMap { try RouteWire.decodeNeighbour($0) }
    }

    /// What the kernel would do with a packet.
    func answer(_ query: RouteQuery) throws -> RouteAnswer {
        do {
            let message = try route.get("ask for a route") { sequence throws(WireError) in
                try RouteWire.routeRequest(query, sequence: sequence)
            }
            guard let record = try RouteWire.decodeRoute(message) else { return .refused(.networkUnreachable) }
            return .route(record)
        } catch let error as NetlinkError {
            guard let errno = error.errno else { throw error }
            return .refused(errno)
        }
    }

    /// How many connections could not be entered until now; `nil` if the kernel does not say.
    func refusedInsertions() -> Int? {
        let messages = try? tracking.dump("read the statistics of connection tracking") {
            sequence throws(WireError) in
            try ConntrackWire.statisticsRequest(sequence: sequence)
        }
        return try? messages?.map { Int(try ConntrackWire.decodeStatistics($0).insertFailed) }.reduce(0, +)
    }

    /// The positions of switches; those that the kernel does not have are left out.
    func switches(_ paths: [String]) throws -> [String: String] {
        try visit {
            var found: [String: String] = [:]
            for path in paths { found[path] = try? Sysctl(path).read() }
            return found
        }
    }

    /// The tables of the older iptables.
    func legacyTables(_ family: AddressFamily) throws -> [String] {
        let path = "/proc/thread-self/net/\(family == .ipv4 ? "ip" : "ip6")_tables_names"
        let text = try visit { (try? File.readText(path)) ?? "" }
        return text.split { $0.isWhitespace }.map(String.init)
    }
}

extension NamespaceView {
    /// The descriptor that becomes readable when a trace event waits.
    var descriptor: Descriptor { traces.descriptor }

    /// Begins to trace. Tables that the kernel has no family for are left out, but for the first.
    func begin(_ program: TraceProgram, withBridge: Bool) throws {
        for (index, table) in program.tables(withBridge: withBridge).enumerated() {
            do {
                try ruleset.install(table)
                installed.append(table.table)
            } catch {
                if index == 0 { throw error }
            }
        }
        _ = try traces.pendingEvents()
        events = []
    }

    /// Takes what has happened, and says whether a rule of somebody has dropped a packet.
    func collect() throws {
        for message in try traces.pendingEvents().messages where NftablesWire.isTrace(message) {
            if let event = try? NftablesWire.decodeTrace(message) { events.append(event) }
        }
    }

    /// Takes the tables away.
    func end() {
        try? ruleset.remove(installed)
        installed = []
    }

    /// Whether a table is the doctor's.
    func isOwn(_ table: Table) -> Bool { installed.contains(table) }

    /// The rules that dropped questions for neighbours or answers to them.
    func neighbourDrops(_ family: AddressFamily) -> [Passage.Drop] {
        events.compactMap { event in
            guard !isOwn(event.table), let drop = Passage.Drop(event) else { return nil }
            if event.table.family == .arp { return drop }
            guard let packet = PacketSummary.parse(event.packet) ?? headers(of: event) else {
                // Of ARP on a bridge there is no IP header to read.
                return family == .ipv4 && event.table.family == .bridge ? drop : nil
            }
            return packet.transport == .icmpv6 && [135, 136].contains(packet.icmpType) ? drop : nil
        }
    }

    /// The packet of an event that does not carry it, from an earlier one of the same packet.
    private func headers(of event: TraceEvent) -> PacketSummary? {
        events.last { $0.packetID == event.packetID && !$0.packet.isEmpty }.flatMap { PacketSummary.parse($0.packet) }
    }

    /// Adds a rule's words to a drop.
    func described(_ drop: Passage.Drop?, _ names: [UInt32: String]) -> Passage.Drop? {
        guard var drop else { return nil }
        if let found = try? ruleset.words(
            of: drop.handle, in: drop.chain, of: drop.table, interfaceNames: names)
        {
            (drop.text, drop.comment, drop.owner) = (found.text, found.comment, found.owner)
        }
        return drop
    }
}
