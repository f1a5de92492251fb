// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What a workload may send, as its author wrote it, validated.
public struct EgressPolicy: Hashable, Sendable {
    /// The three groups of policies, in the order in which they are asked.
    public enum Tier: String, Hashable, Sendable, CaseIterable, Comparable {
        /// Asked first: what an administrator imposes.
        case admin
        /// Asked second: what the workload's owner wrote. The only tier with a default.
        case workload
        /// Asked last, for what nobody else decided.
        case baseline

        /// In the order of asking.
        public static func < (left: Tier, right: Tier) -> Bool {
            left.rank < right.rank
        }

        private var rank: Int {
            switch self {
            case .admin: 0
            case .workload: 1
            case .baseline: 2
            }
        }
    }

    /// `metadata.name`, unique in a policy set.
    public var name: String
    /// The tier.
    public var tier: Tier
    /// 0 to 1000 within the tier; the lower number is asked first, then the name decides.
    public var priority: Int
    /// What the workload tier does with traffic that none of its rules matched; `nil` in the other tiers.
    public var defaultAction: DefaultAction?
    /// The rules, in order: the first whose match covers the traffic decides.
    public var rules: [EgressRule]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a policy.
    public init(
        name: String,
        tier: Tier = .workload,
        priority: Int = 100,
        defaultAction: DefaultAction? = .deny,
        rules: [EgressRule],
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.tier = tier
        self.priority = priority
        self.defaultAction = defaultAction
        self.rules = rules
        self.location = location
    }
}

/// What happens to traffic that no rule of the workload tier matched.
public enum DefaultAction: String, Hashable, Sendable, CaseIterable {
    /// It leaves.
    case allow
    /// It leaves, and is reported.
    case audit
    /// It is dropped without an answer.
    case deny
    /// It is refused with an answer: a TCP reset or an ICMP "administratively prohibited".
    case reject
}

/// What a rule does with the traffic it matches.
public enum RuleAction: String, Hashable, Sendable, CaseIterable {
    /// The traffic leaves.
    case allow
    /// The traffic leaves, and each new connection is reported.
    case audit
    /// The traffic is dropped without an answer.
    case deny
    /// The traffic is refused with an answer: a TCP reset or an ICMP "administratively prohibited".
    case reject
    /// The rest of this tier is skipped; the next tier decides.
    case pass
}

/// One clause of a policy: a match and an action.
public struct EgressRule: Hashable, Sendable {
    /// The name its author gave it.
    public var name: String?
    /// What happens to matching traffic.
    public var action: RuleAction
    /// Where the traffic goes. Any one suffices; empty means everywhere.
    public var destinations: [Destination]
    /// Protocols and ports. Any one suffices; empty means every protocol and port.
    public var services: [Service]
    /// Where the rule begins.
    public var location: SourceLocation?

    /// Creates a rule.
    public init(
        name: String? = nil,
        action: RuleAction,
        destinations: [Destination] = [],
        services: [Service] = [],
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.action = action
        self.destinations = destinations
        self.services = services
        self.location = location
    }
}

/// A block of addresses less some blocks inside it.
public struct AddressBlock: Hashable, Sendable {
    /// The block.
    public var prefix: IPPrefix
    /// Blocks inside `prefix` that this one does not cover. Another block may cover them again.
    public var except: [IPPrefix]

    /// Creates a block.
    public init(_ prefix: IPPrefix, except: [IPPrefix] = []) {
        self.prefix = prefix
        self.except = except
    }

    /// Whether the address is in the prefix and in none of the exceptions.
    public func contains(_ address: IPAddress) -> Bool {
        prefix.contains(address) && !except.contains { $0.contains(address) }
    }
}

/// One entry of a rule's `to`.
public enum Destination: Hashable, Sendable {
    /// Addresses, written out.
    case block(AddressBlock)
    /// A group that Egret knows.
    case builtIn(BuiltInGroup)
    /// A ``DestinationGroup`` of the same policy set, by name.
    case group(String)
}

/// A named list of addresses that rules may refer to.
public struct DestinationGroup: Hashable, Sendable {
    /// `metadata.name`, unique among groups and never the name of a built-in one.
    public var name: String
    /// The addresses.
    public var blocks: [AddressBlock]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a group.
    public init(name: String, blocks: [AddressBlock], location: SourceLocation? = nil) {
        self.name = name
        self.blocks = blocks
        self.location = location
    }
}

/// One entry of a rule's `ports`: a protocol, or a part of one.
public enum Service: Hashable, Sendable {
    /// Every packet of the protocol.
    case any(IPProtocol)
    /// The protocol's packets to these destination ports. Only for protocols that have ports.
    case ports(IPProtocol, PortRange)
    /// ICMP (1) or ICMPv6 (58) messages of one type.
    case icmp(IPProtocol, type: UInt8)
}
