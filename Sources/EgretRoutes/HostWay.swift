// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretPolicy

/// A way of a host with what is known of its interface. It need not be there yet, and may go and come.
struct HostWay {
    let number: Int
    let way: RouteWay
    /// The interface, the last one if it is gone.
    private(set) var link: LinkRecord?
    /// For an interface without a gateway: what the main table says is behind it.
    private(set) var gateways: [AddressFamily: IPAddress] = [:]
    /// Whether packets can take it, its health apart.
    var isThere = false
    /// Whether its interface has come since this was last taken back.
    var isNew = false

    var families: [AddressFamily] { AddressFamily.allCases.filter { way.carries($0) } }

    init(number: Int, _ way: RouteWay) {
        self.number = number
        self.way = way
        isThere = !way.isPath
    }

    /// The links among which ways find theirs. Each is asked for by its name: to list all, several times a second, costs the kernel
    /// the more the more endpoints there are. Only where a way has a gateway alone, and it is not known where that is, are
    /// all listed.
    ///
    /// - Parameters:
    ///   - ways: The interface that each way names, and the one that it had last.
    ///   - named: Asks for the link of a name.
    ///   - all: Lists all links.
    /// - Returns: The links; others may be among them.
    /// - Throws: What `named` or `all` throw.
    static func links(
        for ways: [(interface: InterfaceName?, last: String?)],
        named: (InterfaceName) throws -> LinkRecord?,
        orAll all: () throws -> [LinkRecord]
    ) throws -> [LinkRecord] {
        var found: [InterfaceName: LinkRecord] = [:]
        for (interface, last) in ways {
            guard let name = interface ?? last.flatMap({ InterfaceName($0) }) else { return try all() }
            if found[name] != nil { continue }
            found[name] = try named(name)
            if found[name] == nil, interface == nil { return try all() }
        }
        return Array(found.values)
    }

    /// Finds the way's interface, and whether it is up.
    mutating func look(at links: [LinkRecord], _ connection: NetlinkConnection) {
        if !way.isPath { return }
        let name = way.interface?.rawValue ?? link?.name
        var found = name.flatMap { name in links.first { $0.name == name } }
        if link == nil || (found == nil && way.interface == nil) {
            // Nothing is known yet, or the gateway may have moved to another interface.
            if let resolved = try? ResolvedWay(number: number, way, links: links, connection) {
                found = resolved.link
                gateways = resolved.gateways
            } else if link == nil {
                found = nil
            }
        }
        isThere = found?.carries ?? false
        if let found, found.index != link?.index { isNew = true }
        link = found ?? link
    }

    /// The path that a check of its health takes.
    var path: ProbeSocket.Path {
        ProbeSocket.Path(
            mark: way.isPath ? HostRouteMark.packet(way: number) : 0, interfaceIndex: way.isPath ? link?.index : nil,
            source: way.sourceAddress?.networkBytes)
    }
}
