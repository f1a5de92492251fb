// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// Random policy sets, and flows that are likely to touch what the policies speak of.
///
/// Addresses come from a small space, so that prefixes, exceptions and flows meet.
public struct RandomPolicies {
    var generator: SeededGenerator

    /// Creates a source of policies; equal seeds give equal policies.
    public init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// Protocols whose packets a test sends.
    public static let protocols: [IPProtocol] =
        [.tcp, .udp, .icmp, .icmpv6, .sctp, .udplite, .dccp, .igmp]
        + [47, 50, 132, 253].map { IPProtocol(rawValue: $0) }

    /// A set of one to four policies in all tiers.
    public mutating func policySet() -> PolicySet {
        let groups = (0..<Int.random(in: 0...2, using: &generator)).map { index in
            DestinationGroup(
                name: "group-\(index)", blocks: (0...Int.random(in: 0...3, using: &generator)).map { _ in block() })
        }
        let policies = (0...Int.random(in: 0...3, using: &generator)).map { index in
            let tier = EgressPolicy.Tier.allCases.randomElement(using: &generator) ?? .workload
            return EgressPolicy(
                name: "policy-\(index)",
                tier: tier,
                priority: Int.random(in: 0...3, using: &generator),
                defaultAction: tier == .workload ? DefaultAction.allCases.randomElement(using: &generator) : nil,
                rules: (0..<Int.random(in: 0...6, using: &generator)).map { _ in rule(groups: groups) }
            )
        }
        return PolicySet(
            policies: policies,
            groups: groups,
            networkDefault: DefaultAction.allCases.randomElement(using: &generator) ?? .deny
        )
    }

    /// Up to four clauses of routes with up to three of these ways each.
    public mutating func routes(by ways: [RouteWay], groups: [DestinationGroup] = []) -> [EgressRoute] {
        (0..<Int.random(in: 1...4, using: &generator)).map { _ in
            EgressRoute(
                destinations: (0..<Int.random(in: 0...2, using: &generator)).map { _ in destination(groups: groups) },
                services: (0..<Int.random(in: 0...1, using: &generator)).map { _ in service() },
                ways: Array(ways.shuffled(using: &generator).prefix(Int.random(in: 1...3, using: &generator))),
                fallback: EgressRoute.Fallback.allCases.randomElement(using: &generator) ?? .drop
            )
        }
    }

    /// Some of the numbers.
    public mutating func some(of numbers: Range<Int>) -> Swift.Set<Int> {
        Swift.Set(numbers.filter { _ in Bool.random(using: &generator) })
    }

    /// A flow whose destination and service are likely to be spoken of in some policy.
    ///
    /// - Parameter hostAddresses: Now and then the flow goes to one of these, as the host's own.
    /// - Returns: The flow.
    public mutating func flow(hostAddresses: [IPAddress] = []) -> Flow {
        if let host = hostAddresses.randomElement(using: &generator), Int.random(in: 0..<6, using: &generator) == 0 {
            return flow(to: host, isHost: true)
        }
        return flow(to: address(), isHost: false)
    }

    private mutating func flow(to destination: IPAddress, isHost: Bool) -> Flow {
        var number = RandomPolicies.protocols.randomElement(using: &generator) ?? .tcp
        if number == .icmp && destination.family == .ipv6 { number = .icmpv6 }
        if number == .icmpv6 && destination.family == .ipv4 { number = .icmp }
        switch number {
        case .icmp:
            return Flow(
                to: destination, isHost: isHost, protocol: number, icmpType: [8, 13].randomElement(using: &generator))
        case .icmpv6: return Flow(to: destination, isHost: isHost, protocol: number, icmpType: 128)
        default:
            let port = number.hasPorts ? self.port() : nil
            return Flow(to: destination, isHost: isHost, protocol: number, port: port)
        }
    }

    mutating func rule(groups: [DestinationGroup]) -> EgressRule {
        EgressRule(
            action: RuleAction.allCases.randomElement(using: &generator) ?? .deny,
            destinations: (0..<Int.random(in: 0...3, using: &generator)).map { _ in destination(groups: groups) },
            services: (0..<Int.random(in: 0...3, using: &generator)).map { _ in service() }
        )
    }

    mutating func destination(groups: [DestinationGroup]) -> Destination {
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: return .builtIn(BuiltInGroup.allCases.randomElement(using: &generator) ?? .internet)
        case 1:
            guard let group = groups.randomElement(using: &generator) else { return .block(block()) }
            return .group(group.name)
        default: return .block(block())
        }
    }

    mutating func block() -> AddressBlock {
        let prefix = prefix(of: address(), from: 0)
        let exceptions = (0..<Int.random(in: 0...2, using: &generator)).compactMap { _ -> IPPrefix? in
            guard prefix.length < prefix.family.bitWidth else { return nil }
            let offset = UInt128(generator.next() & 0xff)
            let inside = min(prefix.lowerBound + offset, prefix.upperBound)
            return self.prefix(of: IPAddress(family: prefix.family, rawValue: inside), from: prefix.length + 1)
        }
        return AddressBlock(prefix, except: exceptions)
    }

    mutating func prefix(of address: IPAddress, from shortest: Int) -> IPPrefix {
        let width = address.family.bitWidth
        let length = Swift.max(shortest, width - Int.random(in: 0...10, using: &generator))
        if shortest == 0 && Int.random(in: 0..<12, using: &generator) == 0 {
            return IPPrefix(address, length: 0) ?? IPPrefix(address)
        }
        return IPPrefix(address, length: Swift.min(length, width)) ?? IPPrefix(address)
    }

    /// Addresses in two small blocks, and some that built-in groups, and embeddings of IPv4, are about.
    mutating func address() -> IPAddress {
        let low = UInt128(generator.next() & 0x3f)
        switch Int.random(in: 0..<12, using: &generator) {
        case 0: return IPAddress(family: .ipv4, rawValue: 0x0a01_0200 + low)
        case 1: return IPAddress(family: .ipv6, rawValue: 0x0064_ff9b << 96 | 0xcb00_7100 + low)
        case 2: return IPAddress(family: .ipv6, rawValue: 0x2002 << 112 | (0xcb00_7100 + low) << 80 | 1)
        case 3: return IPAddress(family: .ipv6, rawValue: 0xfd12_3456 << 96 | low)
        case 4: return IPAddress(family: .ipv4, rawValue: 0xa9fe_a9fe)
        case 5..<9: return IPAddress(family: .ipv4, rawValue: 0xcb00_7100 + low)
        default: return IPAddress(family: .ipv6, rawValue: 0x2001_0db8_0113 << 80 | low)
        }
    }

    mutating func port() -> UInt16 {
        [22, 53, 80, 443, 8000, 8001, 8080, 65535].randomElement(using: &generator) ?? 443
    }

    mutating func service() -> Service {
        let number = RandomPolicies.protocols.randomElement(using: &generator) ?? .tcp
        switch number {
        case .icmp where Bool.random(using: &generator):
            return .icmp(number, type: [8, 13].randomElement(using: &generator) ?? 8)
        case .icmpv6 where Bool.random(using: &generator): return .icmp(number, type: 128)
        case _ where number.hasPorts && Int.random(in: 0..<4, using: &generator) > 0:
            let first = port()
            return .ports(number, PortRange(first, Swift.max(first, port())) ?? PortRange(first))
        default: return .any(number)
        }
    }
}
