// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretPolicy

/// Says by which way a connection leaves that a proxy of the host's makes for an endpoint.
///
/// The proxy chooses before it connects, by the same clauses and the same knowledge of ways that the rules for the
/// endpoint's own packets are made of; its packets then bear a mark that the rules hold to the choice.
public struct RouteChooser: Sendable {
    /// How a connection leaves.
    public enum Choice: Hashable, Sendable {
        /// By the host's main routing table.
        case main
        /// By a way, which has this number.
        case way(Int)
        /// Not at all: no way of its clause is usable.
        case dropped
    }

    /// A clause as it is asked.
    private struct Clause: Sendable {
        /// `nil` for everywhere.
        let addresses: AddressRangeSet?
        let services: [Service]
        /// The way that its connections take now.
        let ways: [AddressFamily: Int]
        let fallback: EgressRoute.Fallback
    }

    private var clauses: [Clause] = []

    /// Has no clauses: everything goes by the main table.
    public init() {}

    /// Adds a clause behind those that are there.
    ///
    /// - Parameters:
    ///   - route: What is written.
    ///   - groups: The groups of destinations that it may name.
    ///   - ways: The number of the way that connections of a family take now; none where the fallback decides.
    public mutating func add(
        _ route: EgressRoute, groups: [String: DestinationGroup], taking ways: [AddressFamily: Int]
    ) {
        let blocks = route.destinations.flatMap { $0.blocks(groups) }
        clauses.append(
            Clause(
                addresses: route.destinations.isEmpty ? nil : AddressRangeSet(blocks), services: route.services,
                ways: ways, fallback: route.fallback))
    }

    /// Chooses for a new connection.
    ///
    /// - Parameters:
    ///   - destination: Where it goes; not an address of this host.
    ///   - transport: Its protocol.
    ///   - port: The port there.
    /// - Returns: How it leaves.
    public func choice(to destination: IPAddress, _ transport: IPProtocol, port: UInt16) -> Choice {
        for clause in clauses {
            if let addresses = clause.addresses, !addresses.contains(destination) { continue }
            let isOfService =
                clause.services.isEmpty
                || clause.services.contains { $0.matches(transport, port: port, icmpType: nil) }
            guard isOfService else { continue }
            if let way = clause.ways[destination.family] { return .way(way) }
            switch clause.fallback {
            case .drop: return .dropped
            case .main: return .main
            case .next: continue
            }
        }
        return .main
    }
}
