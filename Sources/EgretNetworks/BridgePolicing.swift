// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// What was changed of a bridge so that its endpoints reach each other only through the host, and how it was before.
///
/// It is stored before anything is changed: whatever ends Egret, the way back is known.
public struct BridgeRecord: Hashable, Sendable {
    /// A switch of the kernel's, by its path below `/proc/sys`.
    public struct Switch: Hashable, Sendable {
        /// The path.
        public var path: String
        /// Its position before.
        public var original: String
        /// The position that it is given.
        public var ours: String
    }

    /// The bridge's name.
    public var bridge: InterfaceName
    /// The switches that are moved.
    public internal(set) var switches: [Switch] = []
    /// The ports that are isolated, and were not before.
    public internal(set) var ports: Set<InterfaceName> = []
    /// The IPv6 addresses that the host answers for on the bridge.
    public internal(set) var proxies: Set<IPAddress> = []

    /// Creates a record of nothing.
    public init(bridge: InterfaceName) {
        self.bridge = bridge
    }

    /// Reads a record back; `nil` if its first line names no bridge. Other lines that say nothing are skipped.
    public init?(text: String) {
        let lines = text.split(separator: "\n").map { $0.split(separator: " ") }
        guard let first = lines.first, first.count == 2, first[0] == "bridge", let name = InterfaceName(first[1]) else {
            return nil
        }
        bridge = name
        for fields in lines.dropFirst() {
            switch (fields.first, fields.count) {
            case ("switch", 4) where fields[1].hasPrefix("net/") && !fields[1].split(separator: "/").contains(".."):
                switches.append(
                    Switch(path: String(fields[1]), original: String(fields[2]), ours: String(fields[3])))
            case ("port", 2): if let port = InterfaceName(fields[1]) { ports.insert(port) }
            case ("proxy", 2): if let address = IPAddress(String(fields[1])) { proxies.insert(address) }
            default: continue
            }
        }
    }

    /// The record as it is stored: a line for each part.
    public var text: String {
        let lines =
            ["bridge \(bridge)"] + switches.map { "switch \($0.path) \($0.original) \($0.ours)" }
            + ports.sorted().map { "port \($0)" } + proxies.sorted().map { "proxy \($0)" }
        return lines.map { $0 + "\n" }.joined()
    }
}

/// Keeps endpoints of a bridge from reaching each other but through the host, where packets meet their policies.
///
/// Their ports are isolated, so that no frame goes from one to another, and the host answers when one asks for
/// another's hardware address (RFC 3069; neighbour proxies for IPv6). The thread must be in the host's network namespace.
public struct BridgePolicing {
    private let connection: NetlinkConnection

    /// Works through a connection to the host's network namespace.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Says what has to be changed of a bridge.
    ///
    /// - Parameters:
    ///   - bridge: The bridge.
    ///   - ports: The ports of policed endpoints.
    ///   - addresses: The endpoints' addresses.
    ///   - noted: What was changed before, which is kept as far as it is still needed.
    ///   - isolated: Those of the ports that were isolated by a record before, and are the same links still: they are not
    ///     looked at again.
    /// - Returns: The record to store, and then to hand to ``apply(_:besides:)``. What `noted` holds and the record does not is
    ///   to be undone: see ``undo(_:keeping:)``.
    /// - Throws: An error of the kernel's.
    public func record(
        of bridge: InterfaceName, ports: [InterfaceName], addresses: [IPAddress], noted: BridgeRecord? = nil,
        isolated: Set<InterfaceName> = []
    ) throws -> BridgeRecord {
        var record = BridgeRecord(bridge: bridge)
        for (path, needed) in BridgePolicing.switches(bridge) {
            if let known = noted?.switches.first(where: { $0.path == path }) {
                record.switches.append(known)
            } else if let present = try Sysctl(path).read(), present != needed {
                record.switches.append(BridgeRecord.Switch(path: path, original: present, ours: needed))
            }
        }
        for port in ports {
            let wasOurs = noted?.ports.contains(port) ?? false
            if wasOurs, isolated.contains(port) {
                record.ports.insert(port)
                continue
            }
            try ignoringAbsence {
                // A link that is on its way to the bridge is no port yet: its turn comes when it is.
                guard let isIsolated = try link(port).isIsolatedPort else { return }
                if wasOurs || !isIsolated { record.ports.insert(port) }
            }
        }
        record.proxies = Set(addresses.filter { $0.family == .ipv6 })
        return record
    }

    /// Changes a bridge as its record says. What is so already stays; ports that are gone or another bridge's do not matter.
    ///
    /// - Parameters:
    ///   - record: The record.
    ///   - isolated: Ports that are not looked at again.
    /// - Returns: The ports that are isolated now, those not looked at included.
    /// - Throws: An error of the kernel's.
    @discardableResult
    public func apply(
        _ record: BridgeRecord, besides isolated: Set<InterfaceName> = []
    ) throws -> Set<InterfaceName> {
        for item in record.switches where try Sysctl(item.path).read() != item.ours {
            if item.path == BridgePolicing.forwarding(record.bridge) {
                try BridgePolicing.keepingRouters { try Sysctl(item.path).write(item.ours) }
            } else {
                try Sysctl(item.path).write(item.ours)
            }
        }
        var done = isolated.intersection(record.ports)
        for port in record.ports.subtracting(isolated).sorted() {
            if try setIsolated(true, port, of: record.bridge) { done.insert(port) }
        }
        if record.proxies.isEmpty { return done }
        let index = try link(record.bridge).index
        for address in record.proxies.sorted() { try setProxy(address, index, isAnswered: true) }
        return done
    }

    /// What is not as a record says any more.
    ///
    /// - Parameter record: What was applied. Ports that are gone do not matter.
    /// - Returns: A few words for each.
    /// - Throws: An error of the kernel's.
    public func drift(from record: BridgeRecord) throws -> [String] {
        var found: [String] = []
        for item in record.switches {
            if let present = try Sysctl(item.path).read(), present != item.ours {
                found.append("\(item.path) has changed")
            }
        }
        for port in record.ports.sorted() {
            try ignoringAbsence {
                if try link(port).isIsolatedPort != true { found.append("the port \(port) is not isolated") }
            }
        }
        return found
    }

    /// Puts back what a record says was changed, but for what another record says is still to be so.
    ///
    /// A switch that somebody else has moved since is theirs now and stays. Ports, addresses and bridges that are gone will
    /// do.
    public func undo(_ record: BridgeRecord, keeping kept: BridgeRecord? = nil) throws {
        for address in record.proxies.subtracting(kept?.proxies ?? []).sorted() {
            try ignoringAbsence { try setProxy(address, try link(record.bridge).index, isAnswered: false) }
        }
        for port in record.ports.subtracting(kept?.ports ?? []).sorted() {
            _ = try setIsolated(false, port, of: record.bridge)
        }
        for item in record.switches.reversed() where !(kept?.switches.contains(item) ?? false) {
            if try Sysctl(item.path).read() == item.ours { try Sysctl(item.path).write(item.original) }
        }
    }

    private static func forwarding(_ bridge: InterfaceName) -> String { "net/ipv6/conf/\(bridge)/forwarding" }

    /// Turns forwarding on for one interface without the host's losing its way out: the kernel then forgets the routers
    /// that other interfaces have heard of, but for interfaces that hear of them even as routers themselves.
    private static func keepingRouters(_ write: () throws -> Void) throws {
        let interfaces = try Directory.names(in: "/proc/sys/net/ipv6/conf").filter { $0 != "all" && $0 != "default" }
        let listening = interfaces.map { Sysctl("net/ipv6/conf/\($0)/accept_ra") }.filter { (try? $0.read()) == "1" }
        for item in listening { try? item.write("2") }
        defer { for item in listening { try? item.write("1") } }
        try write()
    }

    /// The switches of a bridge whose endpoints the host answers for, and to whom it says nothing of shorter ways.
    static func switches(_ bridge: InterfaceName) -> [(path: String, needed: String)] {
        [
            ("net/ipv4/conf/\(bridge)/proxy_arp_pvlan", "1"), ("net/ipv4/conf/\(bridge)/send_redirects", "0"),
            ("net/ipv4/neigh/\(bridge)/proxy_delay", "0"),
            // Without this the kernel answers for nobody, though it forwards by another switch.
            (forwarding(bridge), "1"), ("net/ipv6/conf/\(bridge)/proxy_ndp", "1"),
            ("net/ipv6/neigh/\(bridge)/proxy_delay", "0"),
        ]
    }

    /// The bridge's hardware address.
    ///
    /// - Throws: An error of the kernel's.
    public func hardware(of bridge: InterfaceName) throws -> MACAddress? { try link(bridge).address }

    /// Whether a link is up: whoever is behind one that never was has been nobody's neighbour.
    ///
    /// - Parameter index: The link's number.
    /// - Returns: `false` also where there is none.
    /// - Throws: An error of the kernel's.
    public func isUp(_ index: UInt32) throws -> Bool { try connection.link(index)?.isUp ?? false }

    private func link(_ name: InterfaceName) throws -> LinkRecord {
        try RouteWire.decodeLink(
            connection.get("find \(name)") { sequence throws(WireError) in
                try RouteWire.linkRequest(named: name, sequence: sequence)
            })
    }

    /// Isolates a port, or no more. A link of that name that is no port of the bridge, any more or at all, is somebody else's.
    ///
    /// - Returns: Whether it is the bridge's, and so now.
    private func setIsolated(_ isIsolated: Bool, _ port: InterfaceName, of bridge: InterfaceName) throws -> Bool {
        var isDone = false
        try ignoringAbsence {
            let found = try link(port)
            guard let present = found.isIsolatedPort, try found.masterIndex == link(bridge).index else { return }
            isDone = true
            if present == isIsolated { return }
            try connection.request("isolate a bridge's port") { sequence throws(WireError) in
                try RouteWire.setPort(found.index, isIsolated: isIsolated, sequence: sequence)
            }
        }
        return isDone
    }

    private func setProxy(_ address: IPAddress, _ index: UInt32, isAnswered: Bool) throws(NetlinkError) {
        try connection.request("answer for \(address)") { sequence throws(WireError) in
            try RouteWire.setNeighbourProxy(address, link: index, isAnswered: isAnswered, sequence: sequence)
        }
    }

    private func ignoringAbsence(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as NetlinkError {
            if error.code != .notFound { throw error }
        }
    }
}
