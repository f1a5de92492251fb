// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// A mistake that a compiler could make.
struct Mutation: Sendable {
    let testDescription: String
    private let change: @Sendable (inout BenchPrograms) throws -> Void

    init(_ description: String, _ change: @escaping @Sendable (inout BenchPrograms) throws -> Void) {
        testDescription = description
        self.change = change
    }

    func spoil(_ programs: inout BenchPrograms) throws { try change(&programs) }
}

extension Mutation {
    /// Mistakes about policies.
    static let ofPolicies: [Mutation] =
        effects + [
            rules("ICMP types not asked") { _, statements in
                statements.ask(.icmpType) && statements.leadOn ? nil : statements
            },
            rules("ICMPv6 types not asked") { _, statements in
                statements.ask(.icmpv6Type) && statements.leadOn ? nil : statements
            },
            rules("ports asked of the wrong end") { _, statements in
                statements.map { statement in
                    switch statement {
                    case .verdictMap(.destinationPort, let map): .verdictMap(.sourcePort, map)
                    case .equal(.destinationPort, let port): .equal(.sourcePort, port)
                    default: statement
                    }
                }
            },
            rules("one port taken for another") { _, statements in
                statements.map {
                    if case .equal(.destinationPort, let port) = $0 { .equal(.destinationPort, port + 1) } else { $0 }
                }
            },
            rules("protocols not asked") { _, statements in
                statements.ask(.transportProtocol) && statements.leadOn ? nil : statements
            },
            rules("the host taken for any other address") { _, statements in
                statements.contains(.notEqual(.destinationAddressType, 5)) ? nil : statements
            },
            rules("every packet taken for the host's") { _, statements in
                statements.filter { $0 != .notEqual(.destinationAddressType, 5) && $0 != .equal(.outputInterface, 0) }
            },
            rules("IPv4 addresses not asked") { _, statements in
                statements.contains { if case .verdictMap(.ipv4Destination, _) = $0 { true } else { false } }
                    ? nil : statements
            },
            rules("IPv6 addresses not asked") { _, statements in
                statements.contains { if case .verdictMap(.ipv6Destination, _) = $0 { true } else { false } }
                    ? nil : statements
            },
            rules("sources asked in place of destinations") { _, statements in
                statements.map {
                    if case .verdictMap(.ipv4Destination, let map) = $0 { .verdictMap(.ipv4Source, map) } else { $0 }
                }
            },
            rules("reset in place of ICMP for all") { _, statements in
                statements == [.rejectAdministratively] ? [.verdict(.drop)] : statements
            },
            rules("no reset for TCP") { _, statements in
                statements.contains(.rejectWithTCPReset)
                    ? [.equal(.transportProtocol, 6), .verdict(.drop)] : statements
            },
            compiled("tiers in the wrong order") { policies in
                PolicySet(
                    policies: policies.policies.map { policy in
                        var policy = policy
                        if policy.tier == .admin {
                            policy.tier = .workload
                            policy.priority = 9
                            policy.defaultAction = .reject
                        }
                        return policy
                    },
                    groups: Array(policies.groups.values), networkDefault: policies.networkDefault)
            },
            compiled("pass taken for nothing") { policies in
                policies.mapRules { $0.action == .pass ? nil : $0 }
            },
            compiled("exceptions forgotten") { policies in
                policies.mapRules { rule in
                    var rule = rule
                    rule.destinations = rule.destinations.map {
                        if case .block(let block) = $0 { .block(AddressBlock(block.prefix)) } else { $0 }
                    }
                    return rule
                }
            },
            compiled("a group forgotten") { policies in
                PolicySet(policies: policies.policies, groups: [], networkDefault: policies.networkDefault)
            },
            compiled("a built-in group forgotten") { policies in
                policies.mapRules { rule in
                    var rule = rule
                    rule.destinations.removeAll { $0 == .builtIn(.private) }
                    return rule.destinations.isEmpty && !rule.services.contains(.any(IPProtocol(rawValue: 253)))
                        ? nil : rule
                }
            },
            embedded(0x0064_ff9b << 96 | 0xcb00_7142, "NAT64"), embedded(0x2002_cb00_7142 << 80 | 1, "6to4"),
        ]

    /// Each clause's effect turned round.
    private static let effects: [Mutation] = {
        guard let first = Generation(rawValue: 1) else { return [] }
        let clauses = PolicyCompiler.compile(
            Touchstone.policies, generation: first, logGroup: 1
        ).clauses
        return clauses.map { clause in
            rules("\(clause.effect.rawValue) turned round: \(clause.clause)") { chain, statements in
                guard chain == clause.name else { return statements }
                let turned: Verdict = [.allow, .audit].contains(clause.effect) ? .drop : .accept
                return statements.map { statement in
                    switch statement {
                    case .verdict, .rejectWithTCPReset, .rejectAdministratively: .verdict(turned)
                    default: statement
                    }
                }
            }
        }
    }()

    /// Changes rules of the policy program; `nil` drops one.
    private static func rules(
        _ description: String,
        _ body: @escaping @Sendable (String, [Statement]) -> [Statement]?
    ) -> Mutation {
        Mutation(description) { programs in
            programs.policy.program.rules = programs.policy.program.rules.compactMap { rule in
                body(rule.chain, rule.statements).map { Rule(in: rule.chain, $0) }
            }
        }
    }

    /// Compiles other policies than were meant, under the names of those that were.
    private static func compiled(_ description: String, _ body: @escaping @Sendable (PolicySet) -> PolicySet)
        -> Mutation
    {
        Mutation(description) { programs in
            programs.policy = PolicyCompiler.compile(
                body(Touchstone.policies), generation: programs.policy.generation, logGroup: KernelBench.logGroup)
        }
    }

    /// An address that stands for a denied one, sent where its neighbour goes.
    private static func embedded(_ key: UInt128, _ name: String) -> Mutation {
        Mutation("\(name) not seen through") { programs in
            for (index, set) in programs.policy.program.sets.enumerated() {
                guard case .ipv6Intervals(var intervals, let verdicts) = set.contents,
                    let place = intervals.firstIndex(where: { $0.lowerBound <= key && key <= $0.upperBound }), place > 0
                else { continue }
                intervals[place].verdictIndex = intervals[place - 1].verdictIndex
                programs.policy.program.sets[index].contents = .ipv6Intervals(intervals, verdicts: verdicts)
            }
        }
    }
}

extension [Statement] {
    /// Whether a value is looked up or compared.
    fileprivate func ask(_ asked: Selector) -> Bool {
        contains { statement in
            switch statement {
            case .verdictMap(let selector, _), .equal(let selector, _): selector == asked
            default: false
            }
        }
    }

    /// Whether packets are led to where it is decided, be it by a map.
    fileprivate var leadOn: Bool {
        switch last {
        case .verdictMap, .verdict(.goto): true
        default: false
        }
    }
}

extension PolicySet {
    fileprivate func mapRules(_ body: (EgressRule) -> EgressRule?) -> PolicySet {
        PolicySet(
            policies: policies.map { policy in
                var policy = policy
                policy.rules = policy.rules.compactMap(body)
                return policy
            },
            groups: Array(groups.values), networkDefault: networkDefault)
    }
}

/// A set with a mistake in one element, and the addresses where the mistake shows; none if it is not about addresses.
struct SpoiledSet {
    var description: String
    var set: EgretNftables.Set
    var edges: [IPAddress] = []
}

extension EgretNftables.Set {
    /// The set with one element gone, narrower or wider.
    var spoiled: [SpoiledSet] {
        switch contents {
        case .elements(let elements):
            elements.indices.map { index in
                var rest = elements
                rest.remove(at: index)
                return SpoiledSet(description: "without element \(index)", set: with(.elements(rest)))
            }
        case .ipv4Intervals(let intervals, let verdicts):
            spoiled(intervals, .ipv4) { .ipv4Intervals($0, verdicts: verdicts) }
        case .ipv6Intervals(let intervals, let verdicts):
            spoiled(intervals, .ipv6) { .ipv6Intervals($0, verdicts: verdicts) }
        }
    }

    /// The first and the last address of each of a table's blocks, and the one behind it.
    func edges(ofBlocks prefixLength: Int) -> [IPAddress] {
        let firsts: [IPAddress] =
            switch contents {
            case .elements: []
            case .ipv4Intervals(let entries, _): entries.map { .v4(IPv4Address(rawValue: $0.lowerBound)) }
            case .ipv6Intervals(let entries, _): entries.map { IPAddress(family: .ipv6, rawValue: $0.lowerBound) }
            }
        return firsts.compactMap { IPPrefix($0, length: prefixLength) }.flatMap { block in
            [block.lowerBound, block.upperBound, block.upperBound &+ 1].map {
                IPAddress(family: block.family, rawValue: $0)
            }
        }
    }

    private func spoiled<Address>(
        _ intervals: [AddressInterval<Address>],
        _ family: AddressFamily,
        _ contents: ([AddressInterval<Address>]) -> SetContents
    ) -> [SpoiledSet] {
        intervals.indices.flatMap { index -> [SpoiledSet] in
            let (lower, upper) = (intervals[index].lowerBound, intervals[index].upperBound)
            let edges = [lower, upper, upper < .max ? upper + 1 : upper].map {
                IPAddress(family: family, rawValue: UInt128($0))
            }
            func mutant(_ what: String, _ change: (inout [AddressInterval<Address>]) -> Void) -> SpoiledSet {
                var changed = intervals
                change(&changed)
                return SpoiledSet(description: "interval \(index) \(what)", set: with(contents(changed)), edges: edges)
            }
            var found = [mutant("gone") { $0.remove(at: index) }]
            let next = index + 1 < intervals.count ? intervals[index + 1].lowerBound : .max
            if upper < .max, upper + 1 < next { found.append(mutant("wider") { $0[index].upperBound += 1 }) }
            if lower < upper { found.append(mutant("narrower") { $0[index].lowerBound += 1 }) }
            return found
        }
    }

    private func with(_ contents: SetContents) -> EgretNftables.Set {
        var set = self
        set.contents = contents
        return set
    }
}
