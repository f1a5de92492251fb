// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The address family of a table: which packets its hooks see.
///
/// `NFPROTO_*` in `linux/netfilter.h`.
public enum TableFamily: String, Hashable, Sendable, CaseIterable {
    /// IPv4 and IPv6 alike.
    case inet
    /// Every frame of one device, before the network stack.
    case netdev
    /// IPv4 only. Read back from other tools' tables; Egret makes none.
    case ip
    /// IPv6 only. Read back from other tools' tables; Egret makes none.
    case ip6
    /// ARP. Read back only.
    case arp
    /// Bridged frames. Read back only.
    case bridge
}

/// A table: the container of everything else. Egret's is its own; it touches no other.
public struct Table: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The family.
    public var family: TableFamily
    /// The name, unique in the family.
    public var name: String

    /// Creates a table.
    public init(family: TableFamily, name: String) {
        self.family = family
        self.name = name
    }

    /// `inet egret`.
    public var description: String {
        // The raw value: a case by itself is described by looking through the program's metadata.
        "\(family.rawValue) \(name)"
    }

    /// By family, then name.
    public static func < (left: Table, right: Table) -> Bool {
        (left.family.rawValue, left.name) < (right.family.rawValue, right.name)
    }
}

/// Where in a packet's path a base chain is asked.
public enum Hook: String, Hashable, Sendable, CaseIterable {
    /// A device's arriving frames (`netdev` family).
    case ingress
    /// Every arriving packet, before routing.
    case prerouting
    /// Packets for the host.
    case input
    /// Packets that pass through.
    case forward
    /// Packets that the host sends.
    case output
    /// Every leaving packet, after routing.
    case postrouting
}

/// What makes a chain a base chain: the kernel calls it for each packet at its hook.
public struct BaseChain: Hashable, Sendable {
    /// What the chain may do.
    public enum Kind: String, Hashable, Sendable {
        /// Accept and drop.
        case filter
        /// Translate addresses; sees the first packet of each connection only.
        case nat
        /// Mangle and reroute.
        case route
    }

    /// What happens to packets that reach the chain's end.
    public enum Policy: String, Hashable, Sendable {
        /// They go on.
        case accept
        /// They are dropped.
        case drop
    }

    /// What the chain may do.
    public var kind: Kind
    /// Where it is called.
    public var hook: Hook
    /// When, among chains at the same hook: lower first. `NF_IP_PRI_*` in `linux/netfilter_ipv4.h`.
    public var priority: Int32
    /// The device, for `ingress`.
    public var device: String?
    /// What happens at the end.
    public var policy: Policy

    /// Creates the description of a base chain.
    public init(kind: Kind, hook: Hook, priority: Int32, device: String? = nil, policy: Policy = .accept) {
        self.kind = kind
        self.hook = hook
        self.priority = priority
        self.device = device
        self.policy = policy
    }
}

/// A chain: an ordered list of rules.
public struct Chain: Hashable, Sendable {
    /// The name, unique in the table; at most 127 bytes.
    public var name: String
    /// How the kernel calls it, or `nil` for a chain that other chains jump to.
    public var base: BaseChain? {
        get { bases.first }
        set { bases = newValue.map { [$0] } ?? [] }
    }

    /// One or none: of the many chains that are no base chains, none has the room for being one.
    private var bases: [BaseChain]

    /// Creates a chain.
    public init(_ name: String, base: BaseChain? = nil) {
        self.name = name
        bases = base.map { [$0] } ?? []
    }
}

/// A rule: statements that run in order until one does not match or gives a verdict.
public struct Rule: Hashable, Sendable {
    /// The chain.
    public var chain: String
    /// What it does.
    public var statements: [Statement]
    /// Words for a person who lists the ruleset; at most 127 bytes (`NFTNL_UDATA_RULE_COMMENT`).
    public var comment: String?

    /// Creates a rule.
    public init(in chain: String, _ statements: [Statement], comment: String? = nil) {
        self.chain = chain
        self.statements = statements
        self.comment = comment
    }
}

/// A named counter (`NFT_OBJECT_COUNTER`). Its value is the kernel's, not part of the desired state.
public struct Counter: Hashable, Sendable {
    /// The name, unique among the table's counters.
    public var name: String

    /// Creates a counter.
    public init(_ name: String) {
        self.name = name
    }
}

/// A named rate limit (`NFT_OBJECT_LIMIT`), shared by every rule that names it.
public struct RateLimit: Hashable, Sendable {
    /// What is counted: `enum nft_limit_type`.
    public enum Unit: UInt32, Hashable, Sendable {
        /// Packets, of whatever length.
        case packets = 0
        /// Bytes, from the network header to the end.
        case bytes = 1
    }

    /// The name, unique among the table's limits.
    public var name: String
    /// What is counted.
    public var unit: Unit
    /// So many per second.
    public var perSecond: UInt64
    /// So many may pass at once before the rate holds.
    public var burst: UInt32

    /// Creates a limit on packets.
    public init(_ name: String, packetsPerSecond: UInt64, burst: UInt32) {
        self.name = name
        unit = .packets
        perSecond = packetsPerSecond
        self.burst = burst
    }

    /// Creates a limit on bytes. No packet passes that is longer than the burst.
    public init(_ name: String, bytesPerSecond: UInt64, burst: UInt32) {
        self.name = name
        unit = .bytes
        perSecond = bytesPerSecond
        self.burst = burst
    }
}
