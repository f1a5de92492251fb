// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// One direction of a connection as connection tracking sees it.
public struct ConnectionTuple: Hashable, Sendable {
    /// Where its packets come from.
    public var source: IPAddress
    /// Where they go.
    public var destination: IPAddress
    /// The upper-layer protocol.
    public var transport: IPProtocol
    /// The source port, for protocols with ports.
    public var sourcePort: UInt16?
    /// The destination port, for protocols with ports.
    public var destinationPort: UInt16?
    /// The ICMP or ICMPv6 type.
    public var icmpType: UInt8?
    /// The ICMP or ICMPv6 code.
    public var icmpCode: UInt8?
    /// The identifier of an ICMP or ICMPv6 echo.
    public var icmpIdentifier: UInt16?

    /// Creates a tuple.
    public init(
        source: IPAddress,
        destination: IPAddress,
        transport: IPProtocol,
        sourcePort: UInt16? = nil,
        destinationPort: UInt16? = nil
    ) {
        self.source = source
        self.destination = destination
        self.transport = transport
        self.sourcePort = sourcePort
        self.destinationPort = destinationPort
    }
}

/// What has passed in one direction of a connection (`net.netfilter.nf_conntrack_acct`).
public struct ConnectionCounters: Hashable, Sendable {
    /// Packets.
    public var packets: UInt64
    /// Bytes, network headers included.
    public var bytes: UInt64

    /// Creates counters.
    public init(
        packets: UInt64,
        bytes: UInt64
    ) {
        self.packets = packets
        self.bytes = bytes
    }
}

/// Bits of a connection's status (`enum ip_conntrack_status` in `linux/netfilter/nf_conntrack_common.h`).
public struct ConnectionStatus: OptionSet, Hashable, Sendable {
    /// The bits.
    public var rawValue: UInt32

    /// Creates a status from its bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// `IPS_EXPECTED`: another connection announced it.
    public static let expected = ConnectionStatus(rawValue: 1)
    /// `IPS_SEEN_REPLY`: packets were seen in both directions.
    public static let seenReply = ConnectionStatus(rawValue: 2)
    /// `IPS_ASSURED`: not dropped when the table is full.
    public static let assured = ConnectionStatus(rawValue: 4)
    /// `IPS_CONFIRMED`: its first packet has left.
    public static let confirmed = ConnectionStatus(rawValue: 8)
    /// `IPS_SRC_NAT`: the source is translated.
    public static let sourceTranslated = ConnectionStatus(rawValue: 16)
    /// `IPS_DST_NAT`: the destination is translated.
    public static let destinationTranslated = ConnectionStatus(rawValue: 32)
    /// `IPS_DYING`: being deleted.
    public static let dying = ConnectionStatus(rawValue: 512)
}

/// The labels of a connection: some of the numbers 0 to 127.
public struct ConnectionLabels: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// No labels.
    public init() {}

    /// Reads `CTA_LABELS`: a bit map in words of the machine's byte order. What is not one has no labels.
    init(words: ArraySlice<UInt8>) {
        guard words.count == 16 else { return }
        low = ByteOrder.host(words.prefix(8), as: UInt64.self)
        high = ByteOrder.host(words.suffix(8), as: UInt64.self)
    }

    /// Whether the connection has a label.
    public func contains(_ label: UInt8) -> Bool {
        (label < 64 ? low >> UInt64(label) : high >> UInt64(label & 63)) & 1 == 1 && label < 128
    }
}

/// A row of connection tracking.
public struct ConnectionRecord: Hashable, Sendable {
    /// As the first packet had it.
    public var original: ConnectionTuple
    /// As answers have it: with address translation not the original turned round.
    public var reply: ConnectionTuple
    /// The zone; 0 unless rules say otherwise.
    public var zone: UInt16 = 0
    /// The status.
    public var status: ConnectionStatus = []
    /// The mark.
    public var mark: UInt32 = 0
    /// The labels.
    public var labels = ConnectionLabels()
    /// Seconds until it expires without traffic; `nil` on destruction.
    public var timeoutSeconds: UInt32?
    /// What passed in the original direction; `nil` where accounting is off.
    public var originalCounters: ConnectionCounters?
    /// What passed in the reply direction; `nil` where accounting is off.
    public var replyCounters: ConnectionCounters?
    /// The kernel's number for it.
    public var identifier: UInt32?
    /// The TCP state, `TCP_CONNTRACK_*`: 3 is established.
    public var tcpState: UInt8?

    /// Whether both ends have closed it, or one has reset it: the kernel keeps the row for a while
    /// (`TCP_CONNTRACK_TIME_WAIT` and `TCP_CONNTRACK_CLOSE`).
    public var isClosed: Bool { tcpState == 7 || tcpState == 8 }

    /// Creates a row.
    public init(
        original: ConnectionTuple,
        reply: ConnectionTuple
    ) {
        self.original = original
        self.reply = reply
    }
}

/// What happened to a connection.
public enum ConnectionEvent: Hashable, Sendable {
    /// It began.
    case new(ConnectionRecord)
    /// It changed: status, mark, TCP state. Updates do not carry counters.
    case update(ConnectionRecord)
    /// It ended; the counters are final.
    case destroy(ConnectionRecord)
}
