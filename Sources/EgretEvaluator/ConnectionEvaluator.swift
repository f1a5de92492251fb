// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy
public import EgretResolution

/// One end of a connection.
public enum ConnectionEnd: Hashable, Sendable {
    /// A workload, by its place in the inventory.
    case workload(Int)
    /// An address outside, of which no policy here knows more.
    case address(IPAddress)
}

/// What a connection is asked for with.
public struct ConnectionService: Hashable, Sendable {
    /// The IP protocol.
    public var `protocol`: IPProtocol
    /// The port of the connection's target, for protocols that have ports.
    public var port: UInt16?
    /// The message type, for ICMP and ICMPv6.
    public var icmpType: UInt8?

    /// Creates a service.
    public init(_ protocol: IPProtocol, port: UInt16? = nil, icmpType: UInt8? = nil) {
        self.protocol = `protocol`
        self.port = port
        self.icmpType = icmpType
    }
}

/// What happens to a connection: both ends decide where both are known.
public struct ConnectionDecision: Hashable, Sendable {
    /// What the policies of the end that begins it say; `nil` if that end is no workload, or asks for its own address.
    public var egress: Decision?
    /// What the policies of its target say; `nil` if the target is no workload, or is asked by itself.
    public var ingress: Decision?

    /// Whether every end that decides lets it through.
    public var isAllowed: Bool { egress?.verdict ?? .allow == .allow && ingress?.verdict ?? .allow == .allow }
}

/// Decides about connections among the workloads of an inventory and the world, by every policy of a catalog.
///
/// Policy sets that workloads share are prepared once. A workload's connection to its own address is decided by nobody: it
/// does not leave. One that a service leads back to it is decided by the cluster's policies (network-policy-api,
/// site-src/api-overview.md): the network policies that select it let it through, as what they say of it is not defined,
/// and policies of Egret's own say nothing of it.
public struct ConnectionEvaluator: Sendable {
    private var resolver: PolicyResolver
    private var evaluators: [PreparedKey: PolicyEvaluator] = [:]
    private let ownPolicies: Set<String>

    private struct PreparedKey: Hashable {
        var key: PolicyResolver.Key
        var direction: TrafficDirection
        var isReturned: Bool
    }

    /// Creates an evaluator.
    public init(_ resolver: PolicyResolver) {
        self.resolver = resolver
        ownPolicies = Set(resolver.catalog.egressPolicies.map(\.name))
    }

    /// What selectors choose from.
    public var inventory: Inventory { resolver.inventory }

    /// The evaluator of the policies that decide about a workload's traffic.
    ///
    /// - Parameters:
    ///   - workload: The place in the inventory.
    ///   - direction: The direction.
    ///   - isReturned: Whether it is traffic that a service leads back to the workload that sent it.
    /// - Returns: An evaluator that workloads with the same policies share.
    public mutating func evaluator(
        of workload: Int, _ direction: TrafficDirection, isReturned: Bool = false
    ) -> PolicyEvaluator {
        let key = PreparedKey(
            key: resolver.key(of: workload, direction), direction: direction, isReturned: isReturned)
        if let evaluator = evaluators[key] { return evaluator }
        let policies = resolver.policies(of: workload, direction)
        let evaluator = PolicyEvaluator(policies: isReturned ? returned(policies) : policies)
        evaluators[key] = evaluator
        return evaluator
    }

    /// What decides about traffic that a service leads back to its sender.
    private func returned(_ policies: PolicySet) -> PolicySet {
        let asked = policies.policies.filter { !ownPolicies.contains($0.name) }.map { policy in
            // Of the kinds of Kubernetes only NetworkPolicy is in the workload tier.
            if policy.tier != .workload { return policy }
            var open = policy
            open.rules = []
            open.defaultAction = .allow
            return open
        }
        return PolicySet(policies: asked, networkDefault: .allow)
    }

    /// Decides about the first packet of a connection.
    ///
    /// - Parameters:
    ///   - source: Who begins it.
    ///   - target: Who is asked.
    ///   - service: What with.
    ///   - family: Which of a workload's addresses speak, where it has both families.
    ///   - byService: Whether the target is asked by the address of a service that leads there.
    ///   - unixTime: When, in seconds since 1970-01-01T00:00Z; `nil` for a time that nobody knows.
    /// - Returns: What each end says. A workload that uses the host's network has no policies and speaks as its address;
    ///   an end that has no address of the family makes a connection that nobody can ask for, and `nil`.
    public mutating func decide(
        from source: ConnectionEnd,
        to target: ConnectionEnd,
        _ service: ConnectionService,
        family: AddressFamily = .ipv4,
        byService: Bool = false,
        at unixTime: Int64? = nil
    ) -> ConnectionDecision? {
        let isReturned = source == target
        if isReturned && !byService { return ConnectionDecision() }
        guard let sourceAddress = address(of: source, family), let targetAddress = address(of: target, family) else {
            return nil
        }
        return ConnectionDecision(
            egress: decide(source, .egress, with: targetAddress, service, isReturned, unixTime),
            ingress: decide(target, .ingress, with: sourceAddress, service, isReturned, unixTime)
        )
    }

    private func address(of end: ConnectionEnd, _ family: AddressFamily) -> IPAddress? {
        switch end {
        case .workload(let place): inventory.workloads[place].addresses.first { $0.family == family }
        case .address(let address): address.family == family ? address : nil
        }
    }

    private mutating func decide(
        _ end: ConnectionEnd, _ direction: TrafficDirection, with peer: IPAddress, _ service: ConnectionService,
        _ isReturned: Bool, _ unixTime: Int64?
    ) -> Decision? {
        guard case .workload(let place) = end, !inventory.workloads[place].usesHostNetwork else { return nil }
        let flow = Flow(
            to: peer, protocol: service.protocol, port: service.port, icmpType: service.icmpType)
        return evaluator(of: place, direction, isReturned: isReturned).decide(flow, at: unixTime)
    }
}
