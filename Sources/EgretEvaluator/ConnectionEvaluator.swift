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
    /// What the policies of the end that begins it say; `nil` if that end is no workload, or is the target itself.
    public var egress: Decision?
    /// What the policies of its target say; `nil` if the target is no workload, or begins the connection itself.
    public var ingress: Decision?

    /// Whether every end that decides lets it through.
    public var isAllowed: Bool { egress?.verdict ?? .allow == .allow && ingress?.verdict ?? .allow == .allow }
}

/// Decides about connections among the workloads of an inventory and the world, by every policy of a catalog.
///
/// Policy sets that workloads share are prepared once. A workload's connection to itself is decided by nobody: it does
/// not leave.
public struct ConnectionEvaluator: Sendable {
    private var resolver: PolicyResolver
    private var evaluators: [PreparedKey: PolicyEvaluator] = [:]

    private struct PreparedKey: Hashable {
        var key: PolicyResolver.Key
        var direction: TrafficDirection
    }

    /// Creates an evaluator.
    public init(_ resolver: PolicyResolver) {
        self.resolver = resolver
    }

    /// What selectors choose from.
    public var inventory: Inventory { resolver.inventory }

    /// The evaluator of the policies that decide about a workload's traffic.
    public mutating func evaluator(of workload: Int, _ direction: TrafficDirection) -> PolicyEvaluator {
        let key = PreparedKey(key: resolver.key(of: workload, direction), direction: direction)
        if let evaluator = evaluators[key] { return evaluator }
        let evaluator = PolicyEvaluator(policies: resolver.policies(of: workload, direction))
        evaluators[key] = evaluator
        return evaluator
    }

    /// Decides about the first packet of a connection.
    ///
    /// - Parameters:
    ///   - source: Who begins it.
    ///   - target: Who is asked.
    ///   - service: What with.
    ///   - family: Which of a workload's addresses speak, where it has both families.
    ///   - unixTime: When, in seconds since 1970-01-01T00:00Z; `nil` for a time that nobody knows.
    /// - Returns: What each end says. A workload that uses the host's network has no policies and speaks as its address;
    ///   an end that has no address of the family makes a connection that nobody can ask for, and `nil`.
    public mutating func decide(
        from source: ConnectionEnd,
        to target: ConnectionEnd,
        _ service: ConnectionService,
        family: AddressFamily = .ipv4,
        at unixTime: Int64? = nil
    ) -> ConnectionDecision? {
        guard source != target else { return ConnectionDecision() }
        guard let sourceAddress = address(of: source, family), let targetAddress = address(of: target, family) else {
            return nil
        }
        return ConnectionDecision(
            egress: decide(source, .egress, with: targetAddress, service, unixTime),
            ingress: decide(target, .ingress, with: sourceAddress, service, unixTime)
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
        _ unixTime: Int64?
    ) -> Decision? {
        guard case .workload(let place) = end, !inventory.workloads[place].usesHostNetwork else { return nil }
        let flow = Flow(
            to: peer, protocol: service.protocol, port: service.port, icmpType: service.icmpType)
        return evaluator(of: place, direction).decide(flow, at: unixTime)
    }
}
