// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretPolicy

/// Says by which of a host's ways a connection leaves that a proxy makes for an endpoint.
public struct HostRouteChooser: Sendable {
    private let members: [IPAddress: Int]
    private let groups: [Int: RouteChooser]
    private let localNetworks: AddressRangeSet
    /// The marks of what proxies may send by a way: connections with others have lost theirs.
    public let marks: Swift.Set<UInt32>

    /// Takes what it must know out of a plan.
    ///
    /// - Complexity: O(*n*) in the members and clauses.
    public init(_ plan: HostRoutePlan = HostRoutePlan()) {
        members = Dictionary(
            plan.members.flatMap { member in member.addresses.map { ($0, member.group) } },
            uniquingKeysWith: { first, _ in first })
        var groups: [Int: RouteChooser] = [:]
        for group in plan.groups {
            var chooser = RouteChooser()
            for clause in group.clauses {
                var ways: [AddressFamily: Int] = [:]
                for family in AddressFamily.allCases { ways[family] = plan.choice(clause, family)?.way }
                chooser.add(clause.route, groups: group.destinations, taking: ways)
            }
            groups[group.number] = chooser
        }
        self.groups = groups
        localNetworks = AddressRangeSet(plan.localNetworks.map { AddressBlock($0) })
        let numbers = plan.ways.keys.filter { !plan.leaving.contains($0) }
        marks = Swift.Set(numbers.map { HostRouteMark.sent(way: $0) })
    }

    /// Chooses for a new connection of an endpoint.
    ///
    /// - Parameters:
    ///   - source: The endpoint's address.
    ///   - destination: Where the connection goes; not an address of this host.
    ///   - transport: Its protocol.
    ///   - port: The port there.
    /// - Returns: How it leaves.
    public func choice(
        from source: IPAddress, to destination: IPAddress, _ transport: IPProtocol, port: UInt16
    ) -> RouteChooser.Choice {
        guard let number = members[source], let chooser = groups[number], !localNetworks.contains(destination) else {
            return .main
        }
        return chooser.choice(to: destination, transport, port: port)
    }
}
