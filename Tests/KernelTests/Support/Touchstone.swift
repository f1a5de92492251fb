// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretEvaluator
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// A policy set with a rule of every kind, and flows at every edge of it.
enum Touchstone {
    static let policies = PolicySet(
        policies: [
            EgressPolicy(
                name: "first", tier: .admin,
                rules: [
                    EgressRule(action: .deny, destinations: [.prefix("203.0.113.66/32")]),
                    EgressRule(
                        action: .pass, destinations: [.prefix("203.0.113.32/29")],
                        services: [.ports(.tcp, PortRange(443))]),
                    EgressRule(action: .reject, destinations: [.prefix("203.0.113.32/28")]),
                    EgressRule(
                        action: .allow, destinations: [.builtIn(.host)], services: [.ports(.udp, PortRange(53))]),
                    EgressRule(action: .deny, destinations: [.builtIn(.host)]),
                ]),
            EgressPolicy(
                name: "second", tier: .workload, defaultAction: .reject,
                rules: [
                    EgressRule(
                        action: .allow, destinations: [.prefix("203.0.113.0/27", except: "203.0.113.8/30")],
                        services: [
                            .ports(.tcp, PortRange(443)), .ports(.udp, PortRange(8000, 8010) ?? PortRange(8000)),
                            .ports(.dccp, PortRange(5000)),
                        ]),
                    EgressRule(
                        action: .allow, destinations: [.group("partners")],
                        services: [.icmp(.icmp, type: 8), .icmp(.icmpv6, type: 128)]),
                    EgressRule(
                        action: .audit, destinations: [.prefix("2001:db8:113::/64")],
                        services: [.ports(.tcp, PortRange(80))]),
                    EgressRule(action: .allow, services: [.any(IPProtocol(rawValue: 253))]),
                    EgressRule(action: .deny, destinations: [.builtIn(.private)]),
                    EgressRule(action: .pass, destinations: [.prefix("198.51.100.0/24")]),
                    EgressRule(
                        action: .allow, destinations: [.prefix("64:ff9b::/96"), .prefix("2002::/16")],
                        services: [.ports(.udp, PortRange(9))]),
                ]),
            EgressPolicy(
                name: "third", tier: .baseline,
                rules: [EgressRule(action: .audit, destinations: [.prefix("198.51.100.0/25")], services: [.any(.udp)])]),
        ],
        groups: [
            DestinationGroup(
                name: "partners",
                blocks: ["198.18.0.0/30", "2001:db8:2::/126"].compactMap { IPPrefix($0) }.map { AddressBlock($0) })
        ],
        networkDefault: .deny
    )

    /// Each address at an edge of a block or beside it, with each service that a rule names or nearly names.
    static let flows = flows(to: addresses)

    /// Each address with each service that a rule names or nearly names.
    static func flows(to addresses: [IPAddress]) -> [Flow] {
        let services: [(IPProtocol, UInt16?)] =
            [443, 444, 80, 79].map { (.tcp, $0) } + [53, 8000, 8010, 7999, 8011, 9, 10].map { (.udp, $0) }
            + [(.sctp, 443), (.dccp, 5000), (IPProtocol(rawValue: 253), nil), (IPProtocol(rawValue: 252), nil)]
        return addresses.flatMap { address -> [Flow] in
            let isHost = KernelBench.hostAddresses.contains(address)
            let types: [UInt8] = address.family == .ipv4 ? [8, 13] : [128]
            return services.map { Flow(to: address, isHost: isHost, protocol: $0, port: $1) }
                + types.map {
                    Flow(to: address, isHost: isHost, protocol: address.family == .ipv4 ? .icmp : .icmpv6, icmpType: $0)
                }
        }
    }

    private static let addresses: [IPAddress] = {
        let edges = [
            "203.0.113.66/32", "203.0.113.32/29", "203.0.113.32/28", "203.0.113.0/27", "203.0.113.8/30",
            "198.51.100.0/25", "198.51.100.0/24", "198.18.0.0/30", "2001:db8:2::/126", "2001:db8:113::/64",
            "64:ff9b::cb00:7142/128", "2002:cb00:7142::/48", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12",
            "192.168.0.0/16", "fc00::/7", "64:ff9b::a00:0/104", "2002:a00::/24", "64:ff9b::6440:0/106",
            "2002:6440::/26",
            "64:ff9b::ac10:0/108", "2002:ac10::/28", "64:ff9b::c0a8:0/112", "2002:c0a8::/32", "64:ff9b::/96",
            "2002::/16",
            "64:ff9b::cb00:7120/124", "2002:cb00:7120::/44", "::ffff:cb00:7120/124", "::ffff:cb00:7142/128",
            "::ffff:a00:0/104", "::ffff:6440:0/106", "::ffff:ac10:0/108", "::ffff:c0a8:0/112",
        ].compactMap { IPPrefix($0) }
        let beside = edges.flatMap { prefix -> [IPAddress] in
            [prefix.lowerBound &- 1, prefix.lowerBound, prefix.upperBound, prefix.upperBound &+ 1].map {
                IPAddress(family: prefix.family, rawValue: $0)
            }
        }
        return Swift.Set(beside + KernelBench.hostAddresses).sorted()
    }()
}
