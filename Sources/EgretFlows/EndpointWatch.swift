// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// Listens to what the kernel tells of many endpoints: packets that one group of rules logs, and connections that begin.
///
/// For one thread at a time.
public final class EndpointWatch {
    /// A logged packet.
    public struct Record: Hashable, Sendable {
        /// The prefix of the rule that logged it.
        public var prefix: String
        /// Where it comes from.
        public var source: IPAddress
        /// Where it goes.
        public var destination: IPAddress
        /// Its protocol.
        public var transport: IPProtocol
        /// The destination's port, for protocols with ports.
        public var port: UInt16?
        /// The message type, for ICMP and ICMPv6.
        public var icmpType: UInt8?
        /// Its length, from the IP header on.
        public var bytes: UInt64

        /// Creates a record.
        public init(
            prefix: String, source: IPAddress, destination: IPAddress, transport: IPProtocol, port: UInt16? = nil,
            icmpType: UInt8? = nil, bytes: UInt64
        ) {
            self.prefix = prefix
            self.source = source
            self.destination = destination
            self.transport = transport
            self.port = port
            self.icmpType = icmpType
            self.bytes = bytes
        }
    }

    /// A connection that has begun.
    public struct Connection: Hashable, Sendable {
        /// Who began it.
        public var source: IPAddress
        /// Whom it reached, after any translation by the host.
        public var destination: IPAddress
        /// Its protocol.
        public var transport: IPProtocol
        /// The port that it reached, after translation.
        public var port: UInt16?
        /// The type of its first message, for ICMP and ICMPv6.
        public var icmpType: UInt8?
        /// Its mark: the generation of the program that has admitted it, in the upper half.
        public var mark: UInt32 = 0
        /// Whether it bears the label of what is led to a proxy of this host's.
        public var isLed = false
        /// The port that it was begun from.
        public var sourcePort: UInt16?
    }

    /// What came since the last call.
    public struct Events: Sendable {
        /// Logged packets, in order.
        public var records: [Record] = []
        /// Connections that began, in order.
        public var connections: [Connection] = []
        /// How many records the kernel could not deliver; each loss of connections counts as one.
        public var lost: UInt64 = 0
        /// Whether there may be more: ask again.
        public var mayHaveMore = false

        /// Nothing.
        public init() {}
    }

    private let logs: NetlinkConnection
    private let begun: NetlinkConnection
    private let ledLabel: UInt8?
    private var nextSequence: UInt32?

    /// 4 MiB: some ten thousand records.
    private static let bufferBytes = 4 << 20

    /// Starts to listen; what happens from now on is heard.
    ///
    /// - Parameters:
    ///   - logGroup: The nfnetlink_log group that the endpoints' rules log to.
    ///   - ledLabel: The label of connections that are led to a proxy of this host's.
    /// - Throws: An error that says which part of the kernel refused: `EBUSY` if somebody else listens to the group.
    public init(logGroup: UInt16, ledLabel: UInt8? = nil) throws(NetlinkError) {
        self.ledLabel = ledLabel
        logs = try NetlinkConnection.packetLog(group: logGroup, receiveBuffer: EndpointWatch.bufferBytes)
        begun = try NetlinkConnection.netfilterEvents(
            groups: [NfnetlinkGroup.conntrackNew], receiveBuffer: EndpointWatch.bufferBytes)
    }

    /// The descriptors that become readable when something has come.
    public var descriptors: [Descriptor] { [logs.descriptor, begun.descriptor] }

    /// What has come, without waiting.
    public func pending() throws(NetlinkError) -> Events {
        var events = Events()
        // The kernel numbers the packets of the group: gaps are losses.
        let logged = try logs.pendingEvents().messages
        for message in logged {
            guard let packet = try? PacketLogWire.decode(message) else { continue }
            if let number = packet.localSequence {
                if let nextSequence { events.lost += UInt64(number &- nextSequence) }
                nextSequence = number &+ 1
            }
            if let record = EndpointWatch.record(packet) { events.records.append(record) }
        }
        let new = try begun.pendingEvents()
        if new.someWereLost { events.lost += 1 }
        for message in new.messages {
            guard let event = try? ConntrackWire.decodeEvent(message), case .new(let record) = event else { continue }
            events.connections.append(
                Connection(
                    source: record.original.source, destination: record.reply.source,
                    transport: record.original.transport, port: record.reply.sourcePort,
                    icmpType: record.original.icmpType, mark: record.mark,
                    isLed: ledLabel.map { record.labels.contains($0) } ?? false,
                    sourcePort: record.original.sourcePort))
        }
        events.mayHaveMore = max(logged.count, new.messages.count) >= NetlinkConnection.eventLimit
        return events
    }

    private static func record(_ packet: LoggedPacket) -> Record? {
        guard let summary = PacketSummary.parse(packet.payload) else { return nil }
        return Record(
            prefix: packet.prefix, source: summary.source, destination: summary.destination,
            transport: summary.transport, port: summary.destinationPort, icmpType: summary.icmpType,
            bytes: UInt64(max(0, summary.length)))
    }
}
