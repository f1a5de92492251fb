// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

@Suite("Header space")
struct HeaderSpaceTests {
    @Test("every address, protocol and port of a small space meets the evaluator's decision", arguments: 0..<40)
    func bruteForce(seed: Int) {
        var random = RandomPolicies(seed: UInt64(seed))
        let policies = Brute.variant(of: random.policySet(), seed: seed)
        // A Monday morning, a Saturday night, and a time that nobody knows.
        let time: Int64? = [1_795_424_400, 1_795_910_400, nil][seed % 3]
        let evaluator = PolicyEvaluator(policies: policies)
        let prepared = PreparedEvaluator(policies: policies, at: time)
        var wrong = Mistakes<Flow>()
        for isHost in [false, true] {
            let space = HeaderSpace(policies, isHost: isHost, at: time)
            for address in Brute.addresses(of: policies, seed: seed) {
                let cases = space.cases(at: address)
                let allowed = space.allowed(at: address)
                for service in Brute.services {
                    let flow = Flow(
                        to: address, isHost: isHost, protocol: service.protocol, port: service.port,
                        icmpType: service.icmpType)
                    let expected = evaluator.decide(flow, at: time)
                    let found = cases.filter { $0.services.contains(service) }.map(\.decision)
                    let isRight =
                        found == [expected] && prepared.decide(flow) == expected
                        && allowed.contains(service) == (expected.verdict == .allow)
                    if !isRight { wrong.append(flow) }
                }
            }
        }
        #expect(wrong.count == 0, "\(wrong)")
    }

    @Test("pieces cover every address of a family once, in order", arguments: 0..<20)
    func piecesCover(seed: Int) {
        var random = RandomPolicies(seed: UInt64(seed))
        let space = HeaderSpace(random.policySet())
        for family in AddressFamily.allCases {
            let pieces = space.pieces(family)
            #expect(pieces.first?.first.rawValue == 0)
            #expect(pieces.last?.last.rawValue == (family == .ipv4 ? UInt128(UInt32.max) : .max))
            for (left, right) in zip(pieces, pieces.dropFirst()) {
                #expect(left.last.rawValue + 1 == right.first.rawValue)
            }
        }
    }

    @Test("a rule that names a group that is missing opens nothing and holds everything back")
    func unknownGroup() {
        let allow = EgressRule(action: .allow, destinations: [.group("missing")])
        let open = HeaderSpace(PolicySet(policies: [EgressPolicy(name: "p", rules: [allow])]))
        #expect(open.pieces(.ipv4).map(\.allowed) == [.nothing])
        let deny = EgressRule(action: .deny, destinations: [.group("missing")])
        let all = EgressRule(action: .allow)
        let shut = HeaderSpace(PolicySet(policies: [EgressPolicy(name: "p", rules: [deny, all])]))
        #expect(shut.pieces(.ipv6).map(\.allowed) == [.nothing])
    }
}

/// Counts what went wrong and keeps the first of it: whole lists make failures unreadable.
struct Mistakes<Subject: Sendable>: CustomStringConvertible, Sendable {
    private(set) var count = 0
    private var first: [Subject] = []

    mutating func append(_ subject: Subject) {
        count += 1
        if first.count < 3 { first.append(subject) }
    }

    var description: String { "\(count) in all, the first \(first)" }
}

/// Every question that can have an answer of its own in a small space.
enum Brute {
    /// The set, with some policies in audit mode and some rules with a schedule, for two seeds of three.
    static func variant(of policies: PolicySet, seed: Int) -> PolicySet {
        if seed % 3 == 0 { return policies }
        var generator = SeededGenerator(seed: UInt64(seed) &+ 1_000)
        let schedules = [
            Schedule(days: [.mon, .tue], hours: [Schedule.Hours(start: 480, end: 1_080)].compactMap { $0 }),
            Schedule(days: [.sat, .sun]),
        ]
        let changed = policies.policies.map { policy in
            var policy = policy
            if seed % 3 == 1 && generator.next() % 2 == 0 { policy.mode = .audit }
            for place in policy.rules.indices where generator.next() % 3 == 0 {
                policy.rules[place].schedule = schedules.randomElement(using: &generator)
            }
            return policy
        }
        return PolicySet(
            policies: changed, groups: Array(policies.groups.values), networkDefault: policies.networkDefault)
    }

    /// The ends of every block that a set speaks of, their neighbours, what stands for them in IPv6, and some more.
    ///
    /// - Returns: At most 120 of them, which the seed chooses.
    static func addresses(of policies: PolicySet, seed: Int) -> [IPAddress] {
        var generator = SeededGenerator(seed: UInt64(seed))
        let builtIn = BuiltInGroup.allCases.flatMap(\.blocks).shuffled(using: &generator).prefix(6)
        var blocks = policies.groups.values.flatMap(\.blocks) + builtIn
        for rule in policies.policies.flatMap(\.rules) {
            for case .block(let block) in rule.destinations { blocks.append(block) }
        }
        var found: Set<IPAddress> = []
        for prefix in blocks.flatMap({ [$0.prefix] + $0.except }) {
            let last = prefix.family == .ipv4 ? UInt128(UInt32.max) : .max
            for value in [prefix.lowerBound, prefix.upperBound] {
                for near in [value == 0 ? 0 : value - 1, value, value == last ? last : value + 1] {
                    found.insert(IPAddress(family: prefix.family, rawValue: near))
                    guard prefix.family == .ipv4 else { continue }
                    for embedding in IPv4Embedding.allCases {
                        found.insert(IPAddress(family: .ipv6, rawValue: embedding.first(near)))
                        found.insert(IPAddress(family: .ipv6, rawValue: embedding.last(near)))
                    }
                }
            }
        }
        return Array(found.sorted().shuffled(using: &generator).prefix(120))
    }

    /// The services that random rules speak of, their neighbours, and packets without a port or type.
    static let services: [ConnectionService] = RandomPolicies.protocols.flatMap { number -> [ConnectionService] in
        let bare = [ConnectionService(number)]
        if number.hasPorts {
            let ports: [UInt16] = [0, 22, 23, 53, 80, 443, 444, 7999, 8000, 8001, 8002, 8080, 65534, 65535]
            return bare + ports.map { ConnectionService(number, port: $0) }
        }
        guard number == .icmp || number == .icmpv6 else { return bare }
        return bare + [0, 8, 13, 14, 128, 255].map { ConnectionService(number, icmpType: $0) }
    }
}
