// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What a workload may send, as its author wrote it, validated.
///
/// In a ``PolicySet`` for ingress, a policy has the same form: `destinations` are then where a connection comes from.
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

    /// Whether a policy decides, or only tells what it would have decided.
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// It decides.
        case enforce
        /// It decides nothing: what it would have refused is counted and reported.
        case audit
    }

    /// `metadata.name`, unique in a policy set.
    public var name: String
    /// Which workloads obey it; `nil` for all.
    public var selects: WorkloadSelector?
    /// Whether it decides.
    public var mode: Mode
    /// The tier.
    public var tier: Tier
    /// 0 to 1000 within the tier; the lower number is asked first, then the name decides.
    public var priority: Int
    /// What the workload tier does with traffic that none of its rules matched; `nil` in the other tiers.
    public var defaultAction: DefaultAction?
    /// The rules, in order: the first whose match covers the traffic decides.
    public var rules: [EgressRule]
    /// How fast its endpoints' traffic may be; all hold.
    public var limits: [TrafficLimit]
    /// How much traffic its endpoints may have; all hold.
    public var budgets: [TrafficBudget]
    /// The ways that connections take, in order: the first whose match covers the connection decides.
    public var routes: [EgressRoute]
    /// The servers that questions of its endpoints about names go to; none where the policy does not say.
    public var nameServers: [DNSServer]
    /// Where the document begins.
    public var location: SourceLocation?

    /// Creates a policy.
    public init(
        name: String,
        selects: WorkloadSelector? = nil,
        mode: Mode = .enforce,
        tier: Tier = .workload,
        priority: Int = 100,
        defaultAction: DefaultAction? = .deny,
        rules: [EgressRule],
        limits: [TrafficLimit] = [],
        budgets: [TrafficBudget] = [],
        routes: [EgressRoute] = [],
        nameServers: [DNSServer] = [],
        location: SourceLocation? = nil
    ) {
        self.limits = limits
        self.budgets = budgets
        self.name = name
        self.selects = selects
        self.mode = mode
        self.tier = tier
        self.priority = priority
        self.defaultAction = defaultAction
        self.rules = rules
        self.routes = routes
        self.nameServers = nameServers
        self.location = location
    }
}

extension EgressPolicy {
    /// Whether a rule holds at some times only.
    public var hasSchedules: Bool { rules.contains { $0.schedule != nil } }

    /// Whether a limit holds at some times only.
    public var hasTimedLimits: Bool { limits.contains { $0.schedule != nil } }
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
    /// Where the traffic goes. Any one suffices; empty, with no `workloads` and no `domains`, means everywhere.
    public var destinations: [Destination]
    /// Workloads that the traffic may go to, besides `destinations`: what a resolver turns into addresses.
    public var workloads: [WorkloadSelector]
    /// Names that the traffic may be for, besides `destinations`. A rule with names alone matches nothing by address.
    public var domains: [DomainPattern]
    /// What holds for its names.
    public var naming: NameOptions
    /// Protocols and ports. Any one suffices; empty, with no `portNames`, means every protocol and port.
    public var services: [Service]
    /// Ports by name, besides `services`: what a resolver turns into numbers.
    public var portNames: [PortName]
    /// When the rule holds; `nil` for always.
    public var schedule: Schedule?
    /// The place of the written rule that this one was made of, where that is not its own place in the policy.
    public var clauseIndex: Int?
    /// Where the rule begins.
    public var location: SourceLocation?

    /// Whether nothing is left to be looked up: only such rules are evaluated and compiled. Names are not looked up.
    public var isResolved: Bool { workloads.isEmpty && portNames.isEmpty }

    /// Whether it matches every address.
    public var isEverywhere: Bool { destinations.isEmpty && workloads.isEmpty && domains.isEmpty }

    /// Creates a rule.
    public init(
        name: String? = nil,
        action: RuleAction,
        destinations: [Destination] = [],
        workloads: [WorkloadSelector] = [],
        domains: [DomainPattern] = [],
        naming: NameOptions = NameOptions(),
        services: [Service] = [],
        portNames: [PortName] = [],
        schedule: Schedule? = nil,
        clauseIndex: Int? = nil,
        location: SourceLocation? = nil
    ) {
        self.name = name
        self.action = action
        self.destinations = destinations
        self.workloads = workloads
        self.domains = domains
        self.naming = naming
        self.services = services
        self.portNames = portNames
        self.schedule = schedule
        self.clauseIndex = clauseIndex
        self.location = location
    }
}

extension EgressRule {
    /// The rule with the place of the written rule that it stands for, unless it says that already.
    public func at(_ index: Int) -> EgressRule {
        if clauseIndex != nil { return self }
        var placed = self
        placed.clauseIndex = index
        return placed
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

    /// The addresses; none where they are the host's own, or the group is unknown.
    package func blocks(_ groups: [String: DestinationGroup]) -> [AddressBlock] {
        switch self {
        case .block(let block): [block]
        case .builtIn(let group): group.blocks
        case .group(let name): groups[name]?.blocks ?? []
        }
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

extension Service {
    /// Whether packets of a protocol are the service's, by their port or type, where they have one.
    package func matches(_ proto: IPProtocol, port: UInt16?, icmpType: UInt8?) -> Bool {
        switch self {
        case .any(let mine): mine == proto
        case .ports(let mine, let range): mine == proto && port.map(range.contains) ?? false
        case .icmp(let mine, let type): mine == proto && type == icmpType
        }
    }
}
