// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// A number of packets and of the bytes in them, IP headers included.
public struct Traffic: Hashable, Sendable {
    /// Packets.
    public var packets: UInt64
    /// Bytes, from the IP header to the end.
    public var bytes: UInt64

    /// Creates an amount.
    public init(packets: UInt64 = 0, bytes: UInt64 = 0) {
        self.packets = packets
        self.bytes = bytes
    }

    /// Adds an amount; stops at the largest number.
    public static func += (left: inout Traffic, right: Traffic) {
        left.packets = left.packets.addingClamped(right.packets)
        left.bytes = left.bytes.addingClamped(right.bytes)
    }
}

/// Where traffic went, or wanted to go: an address and a port or an ICMP type of a protocol.
public struct FlowKey: Hashable, Sendable {
    /// The far address.
    public var destination: IPAddress
    /// The protocol.
    public var `protocol`: IPProtocol
    /// The far port, for protocols with ports.
    public var port: UInt16?
    /// The message type, for ICMP and ICMPv6.
    public var icmpType: UInt8?

    /// Creates a key.
    public init(destination: IPAddress, protocol: IPProtocol, port: UInt16? = nil, icmpType: UInt8? = nil) {
        self.destination = destination
        self.protocol = `protocol`
        self.port = port
        self.icmpType = icmpType
    }
}

/// What one run's command reached, what was refused, and what of that could not be told exactly.
public struct RunReport: Hashable, Sendable {
    /// Traffic with one destination that a clause let out.
    public struct Reached: Hashable, Sendable {
        /// Where.
        public var key: FlowKey
        /// The name that it was reached by; `nil` if an address let it out.
        public var name: String?
        /// The clause; `nil` if the kernel admitted the connection and the policy, asked later, does not: what belongs
        /// to the host may have changed meanwhile.
        public var clause: DecidingClause?
        /// Whether the clause is an `audit`.
        public var isAudited: Bool
        /// How many connections.
        public var connections: UInt64
        /// What the command sent.
        public var sent: Traffic
        /// What came back.
        public var received: Traffic

        init(key: FlowKey, name: String?, clause: DecidingClause?, isAudited: Bool) {
            self.key = key
            self.name = name
            self.clause = clause
            self.isAudited = isAudited
            connections = 0
            sent = Traffic()
            received = Traffic()
        }
    }

    /// Attempts at one destination that were refused.
    public struct Refused: Hashable, Sendable {
        /// Where.
        public var key: FlowKey
        /// Whether that is the host itself.
        public var destinationIsHost: Bool
        /// Why.
        public var reason: RefusalReason
        /// The packets of which a log record came. More may have been refused: see ``RunReport/unlogged``.
        public var logged: Traffic
    }

    /// What was let out, by destination.
    public var reached: [Reached] = []
    /// What was refused, by destination, as far as log records tell.
    public var refused: [Refused] = []
    /// Everything that each reason refused: exact, from the kernel's counters.
    public var refusedTotals: [RefusalReason: Traffic] = [:]
    /// Refused packets that are in the totals and in no destination's line: the log's rate limit or a full
    /// socket kept their records.
    public var unlogged: [RefusalReason: UInt64] = [:]
    /// Audited packets of which no log record came: the log's rate limit or a full socket kept it.
    public var unloggedAudits: UInt64 = 0
    /// Whether the kernel could not deliver the end of some connections: their bytes are in no line.
    public var lostConnections: Bool = false
    /// Connections and refused packets whose destination has no line of its own, because too many others have.
    public var omittedDestinations: UInt64 = 0

    /// Creates an empty report.
    public init() {}
}

/// Why packets did not leave.
public enum RefusalReason: Hashable, Sendable {
    /// A clause of the policy refused them.
    case clause(DecidingClause, rejected: Bool)
    /// Their source, or what they say about neighbours, is not the endpoint's.
    case spoofed
    /// Connection tracking does not understand them.
    case invalid
    /// They were more than a limit lets through, in words of it.
    case limit(String)
    /// They came from elsewhere and begin a connection to the endpoint.
    case inbound
}
