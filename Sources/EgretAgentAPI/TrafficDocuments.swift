// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What one clause of a policy has decided about, over all endpoints that obey it, since the policy came.
public struct ClauseTraffic: Codable, Hashable, Sendable {
    /// `egress` or `ingress`.
    public var direction: String
    /// The rule's name, or `rule 2`; `default`.
    public var rule: String
    /// What happens: `allow`, `audit`, `deny` or `reject`; `would-deny` or `would-reject` where the policy is only audited.
    public var verdict: String
    /// Packets that were refused. Of what is let through, those that begin connections.
    public var packets: UInt64
    /// Bytes of those packets, IP headers included.
    public var bytes: UInt64

    /// Creates an account.
    public init(direction: String, rule: String, verdict: String, packets: UInt64, bytes: UInt64) {
        self.direction = direction
        self.rule = rule
        self.verdict = verdict
        self.packets = packets
        self.bytes = bytes
    }
}

/// What has become of the traffic of an endpoint that waits for a rate of its own, since the agent made the place.
public struct RateInfo: Codable, Hashable, Sendable {
    /// `egress`: what the endpoint sends. `ingress`: what it is sent.
    public var direction: String
    /// Packets that have passed.
    public var packets: UInt64
    /// Bytes of those, as the link carries them.
    public var bytes: UInt64
    /// Packets that were dropped because so many waited already.
    public var dropped: UInt64
    /// Bytes that wait now.
    public var waiting: UInt64

    /// Creates an account.
    public init(direction: String, packets: UInt64, bytes: UInt64, dropped: UInt64, waiting: UInt64) {
        self.direction = direction
        self.packets = packets
        self.bytes = bytes
        self.dropped = dropped
        self.waiting = waiting
    }
}

/// Traffic of one endpoint with one other end, by one clause.
public struct FlowInfo: Codable, Hashable, Sendable {
    /// `group/name`.
    public var endpoint: String
    /// `egress`: the endpoint began it. `ingress`: the other end did.
    public var direction: String
    /// `allow`, `audit`, `deny`, `reject`, `would-deny` or `would-reject`.
    public var verdict: String
    /// The policy that decided, by kind and name; not for `allow`, nor where no policy was asked.
    public var policy: String?
    /// Its rule; `spoofed` or `invalid` where no policy was asked.
    public var rule: String?
    /// The other end's address.
    public var peer: String
    /// The endpoint that has this address, if one has.
    public var peerEndpoint: String?
    /// The protocol's name or number.
    public var `protocol`: String
    /// The port of whoever did not begin.
    public var port: Int?
    /// The type of the first message, for ICMP and ICMPv6.
    public var icmpType: Int?
    /// The name that was asked of a server (``peer``, port 53), or said on a connection.
    public var name: String?
    /// Packets that were logged; for `allow`, connections that began; for names, questions and connections.
    public var packets: UInt64
    /// Bytes of logged packets, IP headers included; 0 for `allow`.
    public var bytes: UInt64
    /// When it was first seen, in seconds since 1970.
    public var first: Int
    /// When it was last seen, in seconds since 1970.
    public var last: Int

    /// Creates a description.
    public init(
        endpoint: String, direction: String, verdict: String, policy: String? = nil, rule: String? = nil, peer: String,
        peerEndpoint: String? = nil, protocol: String, port: Int? = nil, icmpType: Int? = nil, name: String? = nil,
        packets: UInt64, bytes: UInt64, first: Int, last: Int
    ) {
        self.endpoint = endpoint
        self.direction = direction
        self.verdict = verdict
        self.policy = policy
        self.rule = rule
        self.peer = peer
        self.peerEndpoint = peerEndpoint
        self.protocol = `protocol`
        self.port = port
        self.icmpType = icmpType
        self.name = name
        self.packets = packets
        self.bytes = bytes
        self.first = first
        self.last = last
    }
}

/// What left endpoints, reached them, and was refused.
public struct FlowList: Codable, Hashable, Sendable {
    /// Where to go on: with `after`, only what is seen later is listed.
    public var cursor: UInt64
    /// The flows, those last seen last.
    public var flows: [FlowInfo]
    /// Records that the kernel could not deliver. What limits on logging kept back is not among them: counters have it.
    public var lost: UInt64
    /// Flows that had to make room for others.
    public var forgotten: UInt64

    /// Creates a list.
    public init(cursor: UInt64, flows: [FlowInfo], lost: UInt64, forgotten: UInt64) {
        self.cursor = cursor
        self.flows = flows
        self.lost = lost
        self.forgotten = forgotten
    }
}

/// Which flows are wanted.
public struct FlowQuery: Hashable, Sendable {
    /// Of this endpoint only: `group/name`.
    public var endpoint: String?
    /// Only what was refused, or would have been.
    public var deniedOnly: Bool
    /// Only what was seen after this cursor.
    public var after: UInt64

    /// Creates a query.
    public init(endpoint: String? = nil, deniedOnly: Bool = false, after: UInt64 = 0) {
        self.endpoint = endpoint
        self.deniedOnly = deniedOnly
        self.after = after
    }
}
