// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

/// The match of a clause for one family, by the far side's addresses and ports, as conditions of rules.
struct FarSideMatch {
    /// The addresses, where the clause names any.
    let set: Set?
    /// One list of statements for each service; none if nothing of the family can match.
    let conditions: [[Statement]]

    init(_ route: EgressRoute, groups: [String: DestinationGroup], family: AddressFamily, set name: String) {
        self.init(route.destinations, route.services, .egress, groups: groups, family: family, set: name)
    }

    /// Works out a match; `direction` says whether the far side is what packets go to, or what they come from. With `isLed` it
    /// is what their connection was going to before it was led to a proxy of this host's.
    init(
        _ destinations: [Destination], _ services: [Service], _ direction: TrafficDirection, isLed: Bool = false,
        groups: [String: DestinationGroup], family: AddressFamily, set name: String
    ) {
        var condition: [Statement] = [family.isPackets]
        if destinations.isEmpty {
            set = nil
        } else {
            let ranges = AddressRangeSet(destinations.flatMap { $0.blocks(groups) }).ranges(family)
            guard !ranges.isEmpty else {
                set = nil
                conditions = []
                return
            }
            set = FarSideMatch.set(name, ranges, family)
            condition.append(.inSet(FarSideMatch.address(direction, isLed: isLed, family), name))
        }
        let port = FarSideMatch.port(direction, isLed: isLed)
        conditions =
            services.isEmpty
            ? [condition] : services.flatMap { FarSideMatch.conditions($0, port: port) }.map { condition + $0 }
    }

    /// Where a packet has the far side's address.
    static func address(_ direction: TrafficDirection, isLed: Bool, _ family: AddressFamily) -> Selector {
        if isLed { return family.originalDestination }
        return direction == .egress ? family.destination : family.source
    }

    /// Where a packet has the far side's port.
    static func port(_ direction: TrafficDirection, isLed: Bool) -> Selector {
        isLed ? .originalDestinationPort : direction == .egress ? .destinationPort : .sourcePort
    }

    static func set(_ name: String, _ ranges: [ClosedRange<UInt128>], _ family: AddressFamily) -> Set {
        let contents: SetContents =
            switch family {
            case .ipv4:
                .ipv4Intervals(
                    ranges.map {
                        AddressInterval(
                            UInt32(truncatingIfNeeded: $0.lowerBound), UInt32(truncatingIfNeeded: $0.upperBound))
                    }, verdicts: [])
            case .ipv6: .ipv6Intervals(ranges.map { AddressInterval($0.lowerBound, $0.upperBound) }, verdicts: [])
            }
        return Set(name, keyType: family.dataType, hasIntervals: true, contents: contents)
    }

    static func conditions(_ service: Service, port: Selector = .destinationPort) -> [[Statement]] {
        switch service {
        case .any(let proto): return [[.equal(.transportProtocol, UInt128(proto.rawValue))]]
        case .icmp(let proto, let type):
            let selector: Selector = proto == .icmp ? .icmpType : .icmpv6Type
            return [[.equal(.transportProtocol, UInt128(proto.rawValue)), .equal(selector, UInt128(type))]]
        case .ports(let proto, let ports):
            let isProtocol = Statement.equal(.transportProtocol, UInt128(proto.rawValue))
            if ports.lowerBound == ports.upperBound {
                return [[isProtocol, .equal(port, UInt128(ports.lowerBound))]]
            }
            if ports.lowerBound == 0, ports.upperBound == .max { return [[isProtocol]] }
            return [[isProtocol, .inSet(port, portSetName(ports))]]
        }
    }

    /// The sets of the port ranges that a clause names.
    static func portSets(_ route: EgressRoute) -> [Set] { portSets(route.services) }

    /// The sets of the port ranges that some services name.
    static func portSets(_ services: [Service]) -> [Set] {
        services.compactMap { service -> Set? in
            guard case .ports(_, let ports) = service, ports.lowerBound < ports.upperBound else { return nil }
            let element = SetElement(UInt128(ports.lowerBound), UInt128(ports.upperBound))
            return Set(
                portSetName(ports), keyType: .inetService, hasIntervals: true, contents: .elements([element]))
        }
    }

    private static func portSetName(_ ports: PortRange) -> String { "ports-\(ports.lowerBound)-\(ports.upperBound)" }
}
