// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretPolicy

/// Random policies of every kind, and random workloads that they select.
///
/// Labels, namespaces and addresses come from small sets, so that selectors, blocks and workloads meet. The addresses
/// of workloads are among those that ``RandomPolicies`` speaks of.
public struct RandomCatalogs {
    /// Names of namespaces.
    public static let namespaces = ["default", "shop", "build"]
    private static let labels: [(key: String, values: [String])] = [
        ("app", ["web", "db", "ci"]), ("tier", ["front", "back"]), ("team", ["a", "b"]),
    ]
    private static let portNames = ["http", "metrics", "dns"]

    var policies: RandomPolicies

    /// Creates a source of catalogs; equal seeds give equal catalogs.
    public init(seed: UInt64) {
        policies = RandomPolicies(seed: seed)
    }

    /// Some workloads in a few namespaces, and two machines.
    ///
    /// Most have an address of each family, some of one only, some none, and some use the host's network.
    ///
    /// - Parameter count: How many workloads; at most 50.
    /// - Returns: The inventory.
    public mutating func inventory(workloads count: Int = 6) -> Inventory {
        let workloads = (0..<min(count, 50)).map { workload($0) }
        let nodes = (0..<2).map { index in
            Inventory.Node(
                "node-\(index)", labels: labels(),
                addresses: [IPAddress(family: .ipv4, rawValue: 0x0a01_0200 + UInt128(index))])
        }
        let namespaces = RandomCatalogs.namespaces.map { ($0, labels()) }
        return Inventory(
            workloads: workloads, namespaces: Dictionary(uniqueKeysWithValues: namespaces), nodes: nodes)
    }

    /// A few policies of every kind.
    public mutating func catalog() -> PolicyCatalog {
        let groups = (0..<number(0...2)).map { index in
            DestinationGroup(name: "group-\(index)", blocks: (0...number(0...2)).map { _ in policies.block() })
        }
        return PolicyCatalog(
            egressPolicies: (0..<number(0...2)).map { egressPolicy($0, groups: groups) },
            networkPolicies: (0..<number(0...3)).map { networkPolicy($0) },
            clusterPolicies: (0..<number(0...3)).map { clusterPolicy($0) },
            groups: groups,
            networkDefault: chance(of: 3) ? .deny : .allow
        )
    }

    /// A policy of Egret's own kind.
    public mutating func egressPolicy(_ index: Int, groups: [DestinationGroup] = []) -> EgressPolicy {
        let tier = pick(EgressPolicy.Tier.allCases) ?? .workload
        return EgressPolicy(
            name: "egress-\(index)",
            selects: chance(of: 3) ? nil : selector(),
            tier: tier,
            priority: number(0...3),
            defaultAction: tier == .workload ? pick(DefaultAction.allCases) : nil,
            rules: (0..<number(0...4)).map { _ in
                var rule = policies.rule(groups: groups)
                if chance(of: 2) { rule.workloads = [selector()] }
                if chance(of: 4) { rule.portNames = [portName()] }
                return rule
            }
        )
    }

    /// A policy of `networking.k8s.io/v1`.
    public mutating func networkPolicy(_ index: Int) -> NetworkPolicy {
        let directions: Set<TrafficDirection> =
            switch number(0...3) {
            case 0: [.ingress]
            case 1: [.egress]
            default: [.ingress, .egress]
            }
        return NetworkPolicy(
            namespace: pick(RandomCatalogs.namespaces) ?? "default", name: "network-\(index)",
            podSelector: labelSelector(), directions: directions,
            ingress: directions.contains(.ingress) ? (0..<number(0...2)).map { _ in networkRule() } : [],
            egress: directions.contains(.egress) ? (0..<number(0...2)).map { _ in networkRule() } : []
        )
    }

    /// A policy of `policy.networking.k8s.io`.
    public mutating func clusterPolicy(_ index: Int) -> ClusterPolicy {
        ClusterPolicy(
            name: "cluster-\(index)", tier: chance(of: 2) ? .admin : .baseline, priority: number(0...3),
            subject: pods(),
            ingress: (0..<number(0...2)).map { _ in clusterRule(.ingress) },
            egress: (0..<number(0...2)).map { _ in clusterRule(.egress) }
        )
    }

    /// A selector that is likely to choose some of the workloads.
    public mutating func selector() -> WorkloadSelector {
        WorkloadSelector(
            namespaces: chance(of: 3) ? [pick(RandomCatalogs.namespaces) ?? "default"] : [], labels: labelSelector())
    }

    /// Some services, as a rule lists them.
    public mutating func services() -> [Service] {
        (0..<number(0...4)).map { _ in policies.service() }
    }

    /// A number, for choices of the test's own.
    public mutating func number() -> UInt64 {
        policies.generator.next()
    }

    // MARK: - Parts

    private mutating func workload(_ index: Int) -> Workload {
        let low = UInt128(index + 1)
        let first = IPAddress(family: .ipv4, rawValue: 0xcb00_7100 + low)
        let second = IPAddress(family: .ipv6, rawValue: 0x2001_0db8_0113 << 80 | low)
        let addresses: [IPAddress] =
            switch number(0...7) {
            case 0: []
            case 1: [first]
            case 2: [second]
            default: [first, second]
            }
        let ports = RandomCatalogs.portNames.prefix(number(0...3)).map { name in
            Workload.NamedPort(name, chance(of: 3) ? .udp : .tcp, policies.port())
        }
        return Workload(
            Workload.ID(namespace: pick(RandomCatalogs.namespaces) ?? "default", name: "w\(index)"),
            labels: labels(), addresses: addresses, namedPorts: Array(ports), usesHostNetwork: chance(of: 12))
    }

    private mutating func networkRule() -> NetworkPolicy.Rule {
        NetworkPolicy.Rule(
            peers: (0..<number(0...2)).map { _ in
                switch number(0...3) {
                case 0: .block(policies.block())
                case 1: .pods(namespaces: nil, pods: labelSelector())
                case 2: .pods(namespaces: labelSelector(), pods: nil)
                default: .pods(namespaces: labelSelector(), pods: labelSelector())
                }
            },
            services: (0..<number(0...2)).map { _ in policies.service() },
            portNames: chance(of: 4) ? [portName()] : []
        )
    }

    private mutating func clusterRule(_ direction: TrafficDirection) -> ClusterPolicy.Rule {
        let peers = (0...number(0...1)).map { _ -> ClusterPolicy.Peer in
            switch number(0...(direction == .egress ? 7 : 4)) {
            case 5: .nodes(labelSelector())
            case 6: .networks([policies.block().prefix])
            case 7: chance(of: 3) ? .unknown : .networks([policies.block().prefix])
            default: .pods(pods())
            }
        }
        return ClusterPolicy.Rule(
            action: pick(ClusterPolicy.Action.allCases) ?? .deny, peers: peers,
            services: (0..<number(0...2)).map { _ in policies.service() },
            portNames: chance(of: 6) ? [portName()] : []
        )
    }

    private mutating func pods() -> ClusterPolicy.Pods {
        ClusterPolicy.Pods(
            namespaces: chance(of: 2) ? .everything : labelSelector(),
            pods: chance(of: 2) ? .everything : labelSelector()
        )
    }

    private mutating func portName() -> PortName {
        PortName(pick(RandomCatalogs.portNames) ?? "http", chance(of: 2) ? nil : .tcp)
    }

    private mutating func labels() -> [String: String] {
        var labels: [String: String] = [:]
        for (key, values) in RandomCatalogs.labels where !chance(of: 4) { labels[key] = pick(values) }
        return labels
    }

    private mutating func labelSelector() -> LabelSelector {
        LabelSelector(
            (0..<number(0...1)).map { _ in
                let (key, values) = pick(RandomCatalogs.labels) ?? ("app", ["web"])
                switch number(0...5) {
                case 0: return .init(key, .exists)
                case 1: return .init(key, .doesNotExist)
                case 2: return .init(key, .isNotIn, [pick(values) ?? ""])
                default: return .init(key, .isIn, Array(values.prefix(number(1...values.count))))
                }
            })
    }

    private mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &policies.generator)
    }

    private mutating func chance(of count: Int) -> Bool {
        number(1...count) == 1
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.randomElement(using: &policies.generator)
    }
}
