// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetworks
import EgretNftables
import EgretRoutes
import EgretRun

/// What routes need of the host, by way of the data plane; what is noted is in a directory.
struct AgentRouteRules: HostRouteRules {
    let dataplane: Dataplane
    private let connections: NetworkConnections
    private let directory: String

    /// Works through a data plane and a connection; `directory` is where numbers of ways and positions of switches are
    /// noted, and is made if need be.
    init(_ dataplane: Dataplane, _ netfilter: NetlinkConnection, directory: String) {
        self.dataplane = dataplane
        connections = NetworkConnections(netfilter)
        self.directory = directory
    }

    func replace(with program: TableProgram, holding hold: TableProgram) throws {
        let table = program.table
        let picture = try dataplane.picture(of: [table])
        let isThere = picture.tables.contains(table)
        if isThere, try picture.holds(program) { return try dataplane.sweep([table], keeping: [program]) }
        var transaction = Transaction([Transaction.Step(.addTable, in: table)])
        if isThere {
            transaction.steps.insert(Transaction.Step(.deleteTable, in: table), at: 0)
            for operation in hold.installation { transaction.append(operation, in: table) }
        }
        for operation in program.installation { transaction.append(operation, in: table) }
        try dataplane.commit(transaction)
        if isThere { try dataplane.remove([hold]) }
    }

    func change(_ difference: TableDifference, of table: Table) throws {
        for operations in [difference.arrival, difference.switching, difference.departure] where !operations.isEmpty {
            try dataplane.commit(Transaction(operations.map { Transaction.Step($0, in: table) }))
        }
    }

    func drift(of program: TableProgram) throws -> [String] {
        try dataplane.drift(of: [program]).map(\.description)
    }

    func remove(_ table: Table) throws { try dataplane.removeTables([table]) }

    func forget(labelled labels: Swift.Set<UInt8>) throws -> Int { try connections.forget(labelled: labels) }

    // MARK: - Switches

    func open(_ interfaces: [InterfaceName]) throws -> [AddressFamily: [InterfaceName]] {
        let path = "\(directory)/switches"
        if interfaces.isEmpty && !File.exists(path) { return [:] }
        var ledger = SwitchLedger(text: File.exists(path) ? try File.readText(path) : "")
        let position = { (path: String) in try? Sysctl(path).read() }
        let needed = interfaces.flatMap(AgentRouteRules.switches)
        let moves = ledger.prepare(needed, position: position)
        let names = Swift.Set(interfaces.map(\.rawValue))
        var back: [HostSwitch] = []
        for entry in ledger.entries where AgentRouteRules.interface(of: entry).map({ !names.contains($0) }) ?? true {
            if let move = ledger.release(entry.path, position: position) { back.append(move) }
        }
        if !ledger.entries.isEmpty {
            try Directory.make(directory, mode: 0o700)
            try File.replace(path, with: Array(ledger.text.utf8), mode: 0o600, synchronized: false)
        }
        for move in moves + back { try Sysctl(move.path).write(move.needed) }
        if ledger.entries.isEmpty, File.exists(path) {
            try File.remove(path)
            try removeDirectoryIfEmpty()
        }
        return AgentRouteRules.opened(by: ledger, interfaces)
    }

    /// Answers come in by an interface that the main table would not expect them at, and are passed on.
    private static func switches(_ name: InterfaceName) -> [HostSwitch] {
        var switches = [HostSwitch("net/ipv4/conf/\(name)/forwarding", needed: "1")]
        let read = { (path: String) in (try? Sysctl(path).read()) ?? "0" }
        let isRouter6 = read("net/ipv6/conf/all/forwarding") != "0"
        if !isRouter6 { switches.append(HostSwitch("net/ipv6/conf/\(name)/force_forwarding", needed: "1")) }
        let strictness = ["all", name.rawValue].map { read("net/ipv4/conf/\($0)/rp_filter") }
        if strictness.contains("1") && !strictness.contains("2") {
            switches.append(HostSwitch("net/ipv4/conf/\(name)/rp_filter", needed: "2"))
        }
        return switches
    }

    /// `net/ipv4/conf/NAME/forwarding`.
    private static func interface(of entry: SwitchLedger.Entry) -> String? {
        let parts = entry.path.split(separator: "/")
        return parts.count == 5 ? String(parts[3]) : nil
    }

    private static func opened(
        by ledger: SwitchLedger, _ interfaces: [InterfaceName]
    ) -> [AddressFamily: [InterfaceName]] {
        var opened: [AddressFamily: [InterfaceName]] = [:]
        for entry in ledger.entries where entry.path.hasSuffix("forwarding") {
            guard let name = interfaces.first(where: { $0.rawValue == interface(of: entry) }) else { continue }
            opened[entry.path.hasPrefix("net/ipv4/") ? .ipv4 : .ipv6, default: []].append(name)
        }
        return opened
    }

    // MARK: - Notes

    func keep(_ notes: String) throws {
        let path = "\(directory)/ways"
        if notes.isEmpty {
            if File.exists(path) { try File.remove(path) }
            try removeDirectoryIfEmpty()
        } else if try notes != kept() {
            try Directory.make(directory, mode: 0o700)
            try File.replace(path, with: Array(notes.utf8), mode: 0o600, synchronized: false)
        }
    }

    func kept() throws -> String {
        let path = "\(directory)/ways"
        return File.exists(path) ? try File.readText(path) : ""
    }

    private func removeDirectoryIfEmpty() throws {
        guard File.exists(directory), try Directory.names(in: directory).isEmpty else { return }
        try Directory.remove(directory)
    }
}
