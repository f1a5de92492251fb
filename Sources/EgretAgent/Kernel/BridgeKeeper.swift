// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretNetworks
import EgretPolicy

/// Changes bridges whose endpoints have policies, and puts them back; what was changed is noted in a directory.
final class BridgeKeeper {
    private let policing: BridgePolicing
    private let directory: String
    private let announcer = NeighbourAnnouncer()
    /// The links that this process has isolated, by name and index: a name may be another link's later.
    private var isolated: [InterfaceName: UInt32] = [:]
    /// The notes as they were last read or written, and what they say: a bridge's has a line for each port.
    private var notes: [InterfaceName: (bytes: [UInt8], record: BridgeRecord)] = [:]

    init(_ policing: BridgePolicing, directory: String) {
        self.policing = policing
        self.directory = directory
    }

    /// Sees to it that endpoints reach each other through the host only, before there are rules that drop the rest.
    ///
    /// - Parameters:
    ///   - policed: The endpoints with policies. Their bridges are changed.
    ///   - all: All endpoints: the host answers for each of those bridges' endpoints.
    ///   - isThorough: Whether also those ports are looked at that were isolated before.
    /// - Throws: An error of the kernel's, or of the directory's.
    func prepare(for policed: [AgentEndpoint], among all: [AgentEndpoint], isThorough: Bool) throws {
        if isThorough { isolated = [:] }
        defer {
            let present = Set(policed.map(\.interface))
            isolated = isolated.filter { present.contains($0.key) }
        }
        let ports = Dictionary(grouping: policed.filter { $0.bridge != nil }) { $0.bridge?.name }
        for case (let bridge?, let endpoints) in ports {
            let noted = try note(of: bridge)
            let addresses = all.filter { $0.bridge?.name == bridge }.flatMap(\.addresses)
            let known = Set(endpoints.filter { isolated[$0.interface] == $0.interfaceIndex }.map(\.interface))
            let record = try policing.record(
                of: bridge, ports: endpoints.map(\.interface), addresses: addresses, noted: noted, isolated: known)
            if record != noted { try keep(record) }
            let done = try policing.apply(record, besides: known)
            if let noted { try policing.undo(noted, keeping: record) }
            for endpoint in endpoints where done.contains(endpoint.interface) {
                isolated[endpoint.interface] = endpoint.interfaceIndex
            }
            let others = all.filter { $0.bridge?.name == bridge }
            let old = noted?.ports ?? []
            try announce(others, newcomers: endpoints.filter { !old.contains($0.interface) })
        }
    }

    /// Tells endpoints that were neighbours until now that they reach each other by way of the host.
    private func announce(_ endpoints: [AgentEndpoint], newcomers: [AgentEndpoint]) throws {
        // Those of Egret's networks are known before their links are up, and were never neighbours.
        let newcomers = try newcomers.filter { try policing.isUp($0.interfaceIndex) }
        guard !newcomers.isEmpty, let bridge = newcomers[0].bridge,
            let hardware = try policing.hardware(of: bridge.name)
        else { return }
        // Of each no more than is said of it: to copy all that is known of hundreds takes longer than to tell them.
        typealias Party = (addresses: [IPAddress], hardware: MACAddress, port: UInt32)
        let all: [Party] = endpoints.map { ($0.addresses, $0.hardwareAddress, $0.interfaceIndex) }
        let coming = Set(newcomers.map(\.interfaceIndex))
        var announcements: [NeighbourAnnouncement] = []
        func tell(_ told: Party, of other: Party) {
            for address in other.addresses {
                announcements.append(
                    NeighbourAnnouncement(address, at: hardware, to: told.hardware, through: told.port))
            }
        }
        for one in all where coming.contains(one.port) {
            for other in all where other.port != one.port && announcements.count < NeighbourAnnouncement.limit {
                tell(other, of: one)
                tell(one, of: other)
            }
        }
        announcer.send(announcements)
    }

    /// Puts back the bridges that no policed endpoint is on any more.
    func release(except policed: [AgentEndpoint]) throws {
        let needed = Set(policed.compactMap(\.bridge?.name))
        guard File.exists(directory) else { return }
        for name in try Directory.names(in: directory) {
            guard let bridge = InterfaceName(name), !needed.contains(bridge), let record = try note(of: bridge) else {
                continue
            }
            try policing.undo(record)
            try File.remove("\(directory)/\(name)")
            notes[bridge] = nil
        }
        if try Directory.names(in: directory).isEmpty { try Directory.remove(directory) }
    }

    /// What is otherwise than was noted.
    func drift() throws -> [String] {
        guard File.exists(directory) else { return [] }
        return try Directory.names(in: directory).flatMap { name -> [String] in
            guard let bridge = InterfaceName(name), let record = try note(of: bridge) else { return [] }
            return try policing.drift(from: record)
        }
    }

    private func note(of bridge: InterfaceName) throws -> BridgeRecord? {
        let path = "\(directory)/\(bridge)"
        guard File.exists(path) else { return nil }
        let bytes = try File.read(path)
        if let known = notes[bridge], known.bytes == bytes { return known.record }
        guard let record = BridgeRecord(text: String(decoding: bytes, as: UTF8.self)) else { return nil }
        notes[bridge] = (bytes, record)
        return record
    }

    private func keep(_ record: BridgeRecord) throws {
        let bytes = Array(record.text.utf8)
        try Directory.make(directory, mode: 0o700)
        try File.replace("\(directory)/\(record.bridge)", with: bytes, mode: 0o600, synchronized: false)
        notes[record.bridge] = (bytes, record)
    }
}
