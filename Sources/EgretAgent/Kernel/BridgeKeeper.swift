// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretLinux
import EgretNetlinkWire
import EgretNetworks
import EgretPolicy

/// Changes bridges whose endpoints have policies, and puts them back; what was changed is noted in a directory.
struct BridgeKeeper {
    private let policing: BridgePolicing
    private let directory: String
    private let announcer = NeighbourAnnouncer()

    init(_ policing: BridgePolicing, directory: String) {
        self.policing = policing
        self.directory = directory
    }

    /// Sees to it that endpoints reach each other through the host only, before there are rules that drop the rest.
    ///
    /// - Parameters:
    ///   - policed: The endpoints with policies. Their bridges are changed.
    ///   - all: All endpoints: the host answers for each of those bridges' endpoints.
    /// - Throws: An error of the kernel's, or of the directory's.
    func prepare(for policed: [AgentEndpoint], among all: [AgentEndpoint]) throws {
        let ports = Dictionary(grouping: policed.filter { $0.bridge != nil }) { $0.bridge?.name }
        for case (let bridge?, let endpoints) in ports {
            let noted = try note(of: bridge)
            let addresses = all.filter { $0.bridge?.name == bridge }.flatMap(\.addresses)
            let record = try policing.record(
                of: bridge, ports: endpoints.map(\.interface), addresses: addresses, noted: noted)
            if record != noted { try keep(record) }
            try policing.apply(record)
            if let noted { try policing.undo(noted, keeping: record) }
            let others = all.filter { $0.bridge?.name == bridge }
            let old = noted?.ports ?? []
            try announce(others, newcomers: endpoints.filter { !old.contains($0.interface) })
        }
    }

    /// Tells endpoints that were neighbours until now that they reach each other by way of the host.
    private func announce(_ endpoints: [AgentEndpoint], newcomers: [AgentEndpoint]) throws {
        guard !newcomers.isEmpty, let bridge = newcomers[0].bridge,
            let hardware = try policing.hardware(of: bridge.name)
        else { return }
        var announcements: [NeighbourAnnouncement] = []
        let pairs = newcomers.lazy.flatMap { one in endpoints.lazy.map { (one, $0) } }
        for (one, other) in pairs where one != other && announcements.count < NeighbourAnnouncement.limit {
            for (own, told) in [(one, other), (other, one)] {
                announcements += own.addresses.map {
                    NeighbourAnnouncement(
                        $0, at: hardware, to: told.hardwareAddress, through: told.interfaceIndex)
                }
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
        return BridgeRecord(text: try File.readText(path))
    }

    private func keep(_ record: BridgeRecord) throws {
        try Directory.make(directory, mode: 0o700)
        try File.replace(
            "\(directory)/\(record.bridge)", with: Array(record.text.utf8), mode: 0o600, synchronized: false)
    }
}
