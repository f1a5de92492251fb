// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// One thing that happened to a traced packet: it met a rule, left a chain, or got a base chain's policy.
///
/// A packet is traced from the rule that sets `meta nftrace` on. Events of a packet come in order; a rule that does
/// not match gives none.
public struct TraceEvent: Hashable, Sendable {
    /// What gave the event (`enum nft_trace_types`).
    public enum Kind: UInt32, Hashable, Sendable {
        /// A base chain's policy, at its end.
        case policy = 1
        /// The end of a chain that others jump to, or a rule's `return`.
        case `return` = 2
        /// A rule that matched to its end.
        case rule = 3
    }

    /// What becomes of the packet for the time being.
    public enum Outcome: Hashable, Sendable {
        /// A verdict that rules can give.
        case verdict(Verdict)
        /// The next rule is asked (`NFT_CONTINUE`).
        case next
        /// It waits for a program (`NF_QUEUE`), in this queue.
        case queue(UInt16)
        /// Something has taken it, such as a flowtable or a reject that answers (`NF_STOLEN`).
        case stolen
        /// Another code.
        case other(Int32)
    }

    /// The table.
    public var table: Table
    /// The chain.
    public var chain: String
    /// What gave the event.
    public var kind: Kind
    /// What becomes of the packet; of a policy event, what the policy says.
    public var outcome: Outcome
    /// The kernel's number for the rule, in an event of one.
    public var ruleHandle: UInt64?
    /// The same for all events of one packet in one pass through the host, and hardly ever for another's.
    public var packetID: UInt32 = 0
    /// The packet's family, `NFPROTO_*`, which in a table `inet` or `netdev` is not the table's.
    public var networkProtocol: UInt32 = 0
    /// The index of the interface it came in by.
    public var inputInterface: UInt32?
    /// The index of the interface it leaves by.
    public var outputInterface: UInt32?
    /// The packet's mark.
    public var mark: UInt32 = 0
    /// The packet's first bytes from the network header on; only in the first event of a base chain's pass.
    public var packet: [UInt8] = []
    /// Whether the packet belongs to a connection, and its relation to it.
    public var connectionState: ConnectionState?

    /// Creates an event of which nothing else is known.
    public init(table: Table, chain: String, kind: Kind, outcome: Outcome, ruleHandle: UInt64? = nil) {
        self.table = table
        self.chain = chain
        self.kind = kind
        self.outcome = outcome
        self.ruleHandle = ruleHandle
    }
}

extension NftablesWire {
    /// Whether a message is a trace event (`NFT_MSG_TRACE`), which `NfnetlinkGroup.nftablesTrace` delivers.
    public static func isTrace(_ message: NetlinkMessage) -> Bool {
        message.type == NftMessage.type(NftMessage.trace)
    }

    /// Decodes `NFT_MSG_TRACE`.
    public static func decodeTrace(_ message: NetlinkMessage) throws(WireError) -> TraceEvent {
        let body = try NftablesBody(message, [NftMessage.trace])
        guard let kind = TraceEvent.Kind(rawValue: try body.uint32(Nfta.Trace.type) ?? 0) else {
            throw WireError(.badValue, "trace type")
        }
        var event = TraceEvent(
            table: Table(family: body.family, name: try body.string(Nfta.Trace.table)),
            chain: try body.string(Nfta.Trace.chain),
            kind: kind,
            outcome: try outcome(body, kind),
            ruleHandle: try body.uint64(Nfta.Trace.ruleHandle)
        )
        event.packetID = try body.uint32(Nfta.Trace.identifier) ?? 0
        event.networkProtocol = try body.uint32(Nfta.Trace.networkProtocol) ?? 0
        event.inputInterface = try body.uint32(Nfta.Trace.inputInterface)
        event.outputInterface = try body.uint32(Nfta.Trace.outputInterface)
        event.mark = try body.uint32(Nfta.Trace.mark) ?? 0
        event.connectionState = try body.uint32(Nfta.Trace.connectionState).map { ConnectionState(rawValue: $0) }
        for part in [Nfta.Trace.networkHeader, Nfta.Trace.transportHeader] {
            event.packet += body.find(part)?.payload ?? []
        }
        return event
    }

    private static func outcome(_ body: NftablesBody, _ kind: TraceEvent.Kind) throws(WireError) -> TraceEvent.Outcome {
        if kind == .policy, let policy = try body.uint32(Nfta.Trace.policy) {
            return .verdict(policy == 0 ? .drop : .accept)
        }
        guard let verdict = body.find(Nfta.Trace.verdict) else {
            if kind == .return { return .verdict(.return) }
            throw WireError(.missing, "trace verdict")
        }
        if let known = try Verdict.decode(verdict.payload) { return .verdict(known) }
        let code = try verdict.attributes().first { $0.type == Nfta.Verdict.code }
        let number = try code?.bigEndian(Int32.self) ?? 0
        // NF_QUEUE's upper half is the queue's number.
        switch number & 0xff {
        case 3 where number > 0: return .queue(UInt16(truncatingIfNeeded: number >> 16))
        case 2 where number > 0: return .stolen
        default: return number == -1 ? .next : .other(number)
        }
    }
}
