// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretNetlink
import EgretNetlinkWire

/// Listens to what the kernel tells of one endpoint: packets logged, and connections ended.
public final class KernelFlows {
    /// A logged packet of the endpoint, or towards it.
    public struct LogRecord: Hashable, Sendable {
        /// The prefix of the rule that logged it.
        public var prefix: String
        /// Where the packet comes from.
        public var source: IPAddress
        /// The source port, if it has one.
        public var sourcePort: UInt16?
        /// Where it wanted to go.
        public var key: FlowKey
        /// Whether that is the host itself: the packet was on its way into it.
        public var destinationIsHost: Bool
        /// Its length, from the IP header on.
        public var bytes: UInt64
    }

    /// What came since the last call.
    public struct Events {
        /// Logged packets, in order.
        public var records: [LogRecord] = []
        /// Connections that ended.
        public var connections: [FlowCollector.Connection] = []
        /// Whether the kernel had to drop word of ended connections.
        public var lostConnections = false
        /// Whether there may be more: ask again.
        public var mayHaveMore = false
    }

    private let logs: NetlinkConnection
    private let ends: NetlinkConnection
    private let mark: ConntrackWire.MarkFilter
    private let addresses: Swift.Set<IPAddress>
    private let hostAddresses: Swift.Set<IPAddress>
    private let proxyPort: UInt16?
    private let takesUnmarked: Bool
    /// Connections that nobody has marked.
    private var unmarked: ConntrackWire.MarkFilter { ConntrackWire.MarkFilter(value: 0, mask: mark.mask) }

    /// 8 MiB: some twenty thousand records.
    private static let bufferBytes = 8 << 20

    /// Starts to listen; what happens from now on is heard.
    ///
    /// - Parameters:
    ///   - logGroup: The nfnetlink_log group that the endpoint's rules log to.
    ///   - addresses: The endpoint's.
    ///   - mark: The value, under the mask, that the endpoint's admitted connections are marked with.
    ///   - hostAddresses: The host's own.
    ///   - proxyPort: The port of the proxy that the endpoint's questions about names are led to: such connections, and
    ///     those that the host has taken in place of others, are the proxies' to account for. `nil` if there is none.
    ///   - takesUnmarked: Whether connections without any mark are the endpoint's too: of those whose every packet is
    ///     judged by the clock, none is marked, and what no rule lets out is no connection.
    /// - Throws: An error that says which part of the kernel refused.
    public init(
        logGroup: UInt16,
        addresses: [IPAddress],
        mark: (value: UInt32, mask: UInt32),
        hostAddresses: [IPAddress],
        proxyPort: UInt16? = nil,
        takesUnmarked: Bool = false
    ) throws(NetlinkError) {
        self.proxyPort = proxyPort
        self.takesUnmarked = takesUnmarked
        logs = try NetlinkConnection.packetLog(group: logGroup, receiveBuffer: KernelFlows.bufferBytes)
        ends = try NetlinkConnection.netfilterEvents(
            groups: [NfnetlinkGroup.conntrackDestroy],
            receiveBuffer: KernelFlows.bufferBytes
        )
        self.mark = ConntrackWire.MarkFilter(value: mark.value, mask: mark.mask)
        self.addresses = Swift.Set(addresses)
        self.hostAddresses = Swift.Set(hostAddresses)
    }

    /// The descriptors that become readable when something has come.
    public var descriptors: [Descriptor] { [logs.descriptor, ends.descriptor] }

    /// What has come, without waiting.
    public func pending() throws(NetlinkError) -> Events {
        var events = Events()
        // Lost log records show in the counters; nothing else needs to know.
        let logged = try logs.pendingEvents().messages
        for message in logged {
            if let record = KernelFlows.logRecord(message) { events.records.append(record) }
        }
        let ended = try ends.pendingEvents()
        events.lostConnections = ended.someWereLost
        events.mayHaveMore = max(logged.count, ended.messages.count) >= NetlinkConnection.eventLimit
        for message in ended.messages {
            guard let event = try? ConntrackWire.decodeEvent(message), case .destroy(let record) = event else {
                continue
            }
            if let connection = connection(record) { events.connections.append(connection) }
        }
        return events
    }

    /// The endpoint's connections that are still in the kernel's table.
    public func open(_ connection: NetlinkConnection) throws(NetlinkError) -> [FlowCollector.Connection] {
        var found: [FlowCollector.Connection] = []
        for filter in takesUnmarked ? [mark, unmarked] : [mark] {
            let messages = try connection.dump("list connections") { [filter] sequence throws(WireError) in
                try ConntrackWire.dumpRequest(mark: filter, sequence: sequence)
            }
            found += messages.compactMap { message in
                (try? ConntrackWire.decode(message)).flatMap { self.connection($0) }
            }
        }
        return found
    }

    /// Forgets the endpoint's connections in the kernel's table.
    public func deleteOpen(_ connection: NetlinkConnection) throws(NetlinkError) {
        try KernelFlows.delete(mark: (mark.value, mark.mask), connection)
    }

    /// Forgets the connections that bear this mark, also where their endpoint is long gone.
    public static func delete(
        mark: (value: UInt32, mask: UInt32),
        _ connection: NetlinkConnection
    ) throws(NetlinkError) {
        let filter = ConntrackWire.MarkFilter(value: mark.value, mask: mark.mask)
        try connection.request("delete connections") { sequence throws(WireError) in
            try ConntrackWire.deleteRequest(mark: filter, sequence: sequence)
        }
    }

    /// `NF_INET_LOCAL_IN` in `linux/netfilter.h`.
    private static let localInputHook: UInt8 = 1

    private static func logRecord(_ message: NetlinkMessage) -> LogRecord? {
        guard let packet = try? PacketLogWire.decode(message), let summary = PacketSummary.parse(packet.payload) else {
            return nil
        }
        let key = FlowKey(
            destination: summary.destination,
            protocol: summary.transport,
            port: summary.destinationPort,
            icmpType: summary.icmpType
        )
        return LogRecord(
            prefix: packet.prefix,
            source: summary.source,
            sourcePort: summary.sourcePort,
            key: key,
            destinationIsHost: packet.hook == localInputHook,
            bytes: UInt64(max(0, summary.length))
        )
    }

    /// The record as a connection of the endpoint's; `nil` if it is another's, or was never admitted.
    private func connection(_ record: ConnectionRecord) -> FlowCollector.Connection? {
        let bits = record.mark & mark.mask
        guard addresses.contains(record.original.source), bits == mark.value || bits == 0 && takesUnmarked else {
            return nil
        }
        if let proxyPort, record.reply.destination == record.original.source {
            // Its source is as the endpoint sent it: it has not left the host.
            let isToHost = hostAddresses.contains(record.reply.source)
            if !isToHost || record.reply.sourcePort == proxyPort { return nil }
        }
        // The reply's source is where the packets really went, whatever the host translated.
        let key = FlowKey(
            destination: record.reply.source,
            protocol: record.original.transport,
            port: record.reply.sourcePort,
            icmpType: record.original.icmpType
        )
        return FlowCollector.Connection(
            key: key,
            destinationIsHost: hostAddresses.contains(record.reply.source),
            sourcePort: record.original.sourcePort,
            sent: Traffic(record.originalCounters),
            received: Traffic(record.replyCounters)
        )
    }
}

extension Traffic {
    init(_ counters: ConnectionCounters?) {
        self.init(packets: counters?.packets ?? 0, bytes: counters?.bytes ?? 0)
    }
}
