// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// What Egret has added to the rules of another tool, because its user asked for it: that tool drops what it does not
/// accept itself, and an accept of Egret's does not change that.
public struct Passage: Hashable, Sendable {
    /// A tool that has a place for rules of others.
    public enum Tool: String, Hashable, Sendable, CaseIterable {
        /// The chain `DOCKER-USER`.
        case docker
        /// A policy named ``FirewalldRules/policy``.
        case firewalld
        /// Route rules.
        case ufw
        /// The chain `FORWARD`.
        case iptables
    }

    /// The tool.
    public var tool: Tool
    /// What was added, in words of the tool's kind: for `docker` and `iptables` the command (`iptables`, `ip6tables`),
    /// for `firewalld` the rich rule, for `ufw` the route rule.
    public var rules: [String]

    /// Notes what is added.
    public init(_ tool: Tool, rules: [String] = []) {
        self.tool = tool
        self.rules = rules
    }
}

/// The rules of a network for the tables of iptables: one rule in a chain of the tool's that leads to a chain of the
/// network's own.
///
/// The network's chain accepts what comes from the network, and towards it answers and what was translated on its way.
public struct IptablesRules: Sendable {
    /// The network's own chain.
    public let chain: String
    /// The chain of the tool that gets the one rule.
    public let parent: String
    /// What selects packets from the network, and towards it.
    private let selectors: (from: [String], to: [String])

    /// The rules of a network, for a tool and a family.
    public init(_ network: NetworkRecord, _ subnet: Subnet, for tool: Passage.Tool) {
        chain = "EGRET-\(network.name)"
        parent = tool == .docker ? "DOCKER-USER" : "FORWARD"
        selectors =
            network.mode == .bridge
            ? (["-i", network.name], ["-o", network.name])
            : (["-i", "egn+", "-s", "\(subnet.block)"], ["-o", "egn+", "-d", "\(subnet.block)"])
    }

    /// The network's chain, as arguments after `-A` and its name.
    public var rules: [[String]] {
        [
            selectors.from + ["-j", "ACCEPT"],
            selectors.to + ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"],
        ]
    }

    /// The command for a family's tables.
    public static func program(_ family: AddressFamily) -> String { family == .ipv4 ? "iptables" : "ip6tables" }
}

/// The rules of a network for firewalld: rich rules of one policy that all networks share.
public enum FirewalldRules {
    /// The policy's name. Its packets are those from any zone to any other.
    public static let policy = "egret"

    /// One rule for each family: what comes from the network is accepted. Answers, and connections to published ports,
    /// firewalld accepts by itself.
    public static func rules(_ network: NetworkRecord) -> [String] {
        network.subnets.map {
            "rule family=\"\($0.block.family)\" source address=\"\($0.block)\" accept"
        }
    }
}

/// The rules of a network for ufw: one for each direction. Each is for both families.
public enum UfwRules {
    /// As arguments after `ufw route allow`.
    public static func rules(_ network: NetworkRecord) -> [String] {
        switch network.mode {
        case .bridge: ["in on \(network.name)"] + (network.isTranslated ? ["out on \(network.name)"] : [])
        case .routed:
            network.subnets.flatMap { subnet in
                ["from \(subnet.block)"] + (network.isTranslated ? ["to \(subnet.block)"] : [])
            }
        }
    }

    /// The comment that tells them from rules of others.
    public static func comment(_ network: NetworkRecord) -> String { "egret network \(network.name)" }
}
