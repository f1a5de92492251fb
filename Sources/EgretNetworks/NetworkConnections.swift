// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire

/// What the kernel's connection tracking knows of networks.
public struct NetworkConnections {
    private let connection: NetlinkConnection

    /// Works through a connection made by `NetlinkConnection.netfilter()`.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
    }

    /// Forgets every connection from or to the addresses: whoever gets them next begins with none.
    ///
    /// - Parameter addresses: An endpoint's.
    /// - Throws: An error that says what the kernel refused.
    public func forget(of addresses: [IPAddress]) throws {
        try forget { record in
            addresses.contains(record.original.source) || addresses.contains(record.original.destination)
                || addresses.contains(record.reply.source) || addresses.contains(record.reply.destination)
        }
    }

    /// Forgets connections that left a translated network while the rules that translate were missing: the kernel translates
    /// the first packet of a connection only, and they would go on untranslated.
    ///
    /// - Parameters:
    ///   - blocks: The network's addresses.
    ///   - own: The host's addresses; connections to those stay.
    /// - Throws: An error that says what the kernel refused.
    public func forgetUntranslated(from blocks: [IPPrefix], besides own: Set<IPAddress>) throws {
        try forget { record in
            let (source, destination) = (record.original.source, record.original.destination)
            return blocks.contains { $0.contains(source) } && !blocks.contains { $0.contains(destination) }
                && record.reply.destination == source && !own.contains(destination)
        }
    }

    /// Forgets what went to ports before they were published. The kernel translates the
    /// first packet of a connection only, and without this a client of UDP that goes on would never get through.
    ///
    /// - Parameters:
    ///   - ports: The host's ports.
    ///   - transport: Their protocol.
    ///   - isHosts: Whether an address is one that the ports are published at. What goes to the same ports of anybody
    ///     else stays.
    /// - Throws: An error that says what the kernel refused.
    public func forget(
        to ports: ClosedRange<UInt16>, _ transport: IPProtocol, at isHosts: (IPAddress) -> Bool
    ) throws {
        try forget { record in
            record.original.transport == transport
                && record.original.destinationPort.map(ports.contains) ?? false && isHosts(record.original.destination)
        }
    }

    /// Forgets every connection that has one of the labels.
    ///
    /// - Parameter labels: The labels, 0 to 127.
    /// - Returns: How many there were.
    /// - Throws: An error that says what the kernel refused.
    @discardableResult
    public func forget(labelled labels: Set<UInt8>) throws -> Int {
        var count = 0
        try forget { record in
            let isLabelled = labels.contains { record.labels.contains($0) }
            if isLabelled { count += 1 }
            return isLabelled
        }
        return count
    }

    /// Forgets every connection with one of some marks.
    ///
    /// - Parameter isMeant: Whether connections with a mark are forgotten.
    /// - Throws: An error that says what the kernel refused.
    public func forgetMarked(where isMeant: (UInt32) -> Bool) throws {
        try forget { isMeant($0.mark) }
    }

    /// A connection that the kernel tracks, as policies see it.
    public struct Tracked: Hashable, Sendable {
        /// Who began it.
        public var source: IPAddress
        /// Whom it reached, after translation; where it was going, if it is led to a proxy.
        public var destination: IPAddress
        /// The upper-layer protocol.
        public var transport: IPProtocol
        /// The port that it reached, after translation; `nil` for protocols without ports.
        public var port: UInt16?
        /// The type of its first message, for ICMP and ICMPv6.
        public var icmpType: UInt8?
        /// Whether it bears the label of what is led to a proxy of this host's.
        public var isLed = false

        /// Creates a connection.
        public init(
            source: IPAddress, destination: IPAddress, transport: IPProtocol, port: UInt16? = nil,
            icmpType: UInt8? = nil
        ) {
            self.source = source
            self.destination = destination
            self.transport = transport
            self.port = port
            self.icmpType = icmpType
        }
    }

    /// The connections that the kernel tracks and that are not closed, in no order.
    ///
    /// - Parameter ledLabel: The label of connections that are led to a proxy of this host's.
    /// - Returns: The connections.
    /// - Throws: An error that says what the kernel refused.
    public func open(ledLabel: UInt8? = nil) throws -> [Tracked] {
        try records().filter { !$0.isClosed }.map { record in
            var tracked = Tracked(
                source: record.original.source, destination: record.reply.source, transport: record.original.transport,
                port: record.reply.sourcePort, icmpType: record.original.icmpType)
            if let ledLabel, record.labels.contains(ledLabel) {
                // The proxy stands where the connection was going.
                tracked.isLed = true
                tracked.destination = record.original.destination
                tracked.port = record.original.destinationPort
            }
            return tracked
        }
    }

    /// The marks that connections bear, other than 0.
    ///
    /// - Throws: An error that says what the kernel refused.
    public func marks() throws -> Set<UInt32> {
        Set(try records().map(\.mark)).subtracting([0])
    }

    /// How many connections could not be entered since the machine's start, or the namespace's: two that nobody could tell
    /// apart after translation. The kernel drops their packets.
    ///
    /// - Throws: An error that says what the kernel refused.
    public func refusedInsertions() throws -> Int {
        try connection.dump("read the statistics of connection tracking") { sequence throws(WireError) in
            try ConntrackWire.statisticsRequest(sequence: sequence)
        }
        .map { (message) throws(WireError) in Int(try ConntrackWire.decodeStatistics(message).insertFailed) }
        .reduce(0, +)
    }

    private func records() throws -> [ConnectionRecord] {
        // Those of all families at once: the kernel walks its whole table each time.
        try connection.dump("list connections") { sequence throws(WireError) in
            try ConntrackWire.dumpRequest(sequence: sequence)
        }.compactMap { try? ConntrackWire.decode($0) }
    }

    private func forget(_ isStale: (ConnectionRecord) -> Bool) throws {
        for record in try records() where isStale(record) {
            try connection.request("forget a connection", unless: .notFound) { sequence throws(WireError) in
                try ConntrackWire.deleteRequest(
                    original: record.original, zone: record.zone, identifier: record.identifier, sequence: sequence)
            }
        }
    }
}
