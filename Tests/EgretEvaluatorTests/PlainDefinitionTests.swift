// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import Testing

/// The semantics written down as plainly as they can be, without any preparation.
private func plainlyMatches(_ rule: EgressRule, _ flow: Flow) -> Bool {
    let service =
        rule.services.isEmpty
        || rule.services.contains { service in
            switch service {
            case .any(let proto): flow.protocol == proto
            case .ports(let proto, let range):
                flow.protocol == proto && flow.destinationPort.map(range.contains) == true
            case .icmp(let proto, let type): flow.protocol == proto && flow.icmpType == type
            }
        }
    var addresses = [flow.destination]
    if rule.action == .deny || rule.action == .reject, let inside = flow.destination.embeddedIPv4 {
        addresses.append(.v4(inside))
    }
    let destination =
        rule.destinations.isEmpty
        || rule.destinations.contains { destination in
            switch destination {
            case .block(let block): addresses.contains { block.contains($0) }
            case .builtIn(.host): flow.destinationIsHost
            case .builtIn(let group):
                !flow.destinationIsHost
                    && addresses.contains { address in group.blocks.contains { $0.contains(address) } }
            case .group: false
            }
        }
    return service && destination
}

@Suite("The evaluator against the plain definition")
struct PlainDefinitionTests {
    /// Addresses at and around the edges of a block.
    private func edges(of block: AddressBlock) -> [IPAddress] {
        ([block.prefix] + block.except).flatMap { prefix in
            [
                prefix.lowerBound, prefix.upperBound, prefix.lowerBound == 0 ? 0 : prefix.lowerBound - 1,
                prefix.upperBound == .max ? .max : prefix.upperBound + 1,
            ].map { IPAddress(family: prefix.family, rawValue: $0) }
        }
    }

    private func randomBlock() -> AddressBlock {
        let family = Bool.random() ? AddressFamily.ipv4 : .ipv6
        let address = IPAddress(family: family, rawValue: UInt128.random(in: 0...(.max)))
        let prefix = IPPrefix(address, length: .random(in: 0..<family.bitWidth)) ?? IPPrefix(address)
        let holes = (0..<Int.random(in: 0...3)).compactMap { _ -> IPPrefix? in
            let size = prefix.upperBound - prefix.lowerBound
            let inside = IPAddress(family: family, rawValue: prefix.lowerBound + UInt128.random(in: 0...size))
            return IPPrefix(inside, length: .random(in: (prefix.length + 1)...family.bitWidth))
        }
        return AddressBlock(prefix, except: holes)
    }

    @Test("random rules match exactly what the definition says, at the edges of every block too")
    func agreement() {
        for _ in 0..<400 {
            let blocks = (0..<Int.random(in: 1...4)).map { _ in randomBlock() }
            var destinations = blocks.map { Destination.block($0) }
            if Bool.random() { destinations.append(.builtIn(BuiltInGroup.allCases.randomElement() ?? .host)) }
            let rule = EgressRule(
                action: RuleAction.allCases.filter { $0 != .pass }.randomElement() ?? .deny, destinations: destinations,
                services: Bool.random() ? [] : [.ports(.tcp, PortRange(443)), .any(.udp)]
            )
            let set = PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
            let evaluator = PolicyEvaluator(policies: set)
            for address in blocks.flatMap(edges) + embeddings(of: blocks) {
                let flow = Flow(
                    to: address, isHost: Bool.random(), protocol: Bool.random() ? .tcp : .udp,
                    port: Bool.random() ? 443 : 80
                )
                let isMatch = evaluator.decide(flow).clause == .rule(policy: "p", index: 0)
                #expect(isMatch == plainlyMatches(rule, flow), "\(rule) \(flow)")
            }
        }
    }

    private func embeddings(of blocks: [AddressBlock]) -> [IPAddress] {
        blocks.filter { $0.prefix.family == .ipv4 }.flatMap(edges).flatMap { address in
            [
                address.rawValue | 0xffff << 32, address.rawValue | 0x64_ff9b << 96,
                address.rawValue << 80 | 0x2002 << 112,
            ].map { IPAddress(family: .ipv6, rawValue: $0) }
        }
    }

    @Test("built-in groups do not overlap where they promise not to")
    func builtIns() {
        let sets = BuiltInGroup.allCases.map { ($0, AddressRangeSet($0.blocks)) }
        for (group, set) in sets {
            for (other, otherSet) in sets where other != group {
                for family in AddressFamily.allCases {
                    for run in otherSet.ranges(family) {
                        #expect(!set.contains(IPAddress(family: family, rawValue: run.lowerBound)), "\(group) \(other)")
                        #expect(!set.contains(IPAddress(family: family, rawValue: run.upperBound)), "\(group) \(other)")
                    }
                }
            }
        }
    }

    @Test("equal sets of addresses are equal however they are put together")
    func canonical() {
        let whole = IPPrefix("10.0.0.0/8").map { AddressRangeSet([AddressBlock($0)]) }
        let halves = AddressRangeSet(
            ["10.128.0.0/9", "10.0.0.0/9", "10.1.0.0/16"].compactMap { IPPrefix($0) }.map { AddressBlock($0) })
        #expect(whole == halves)
        let everything = AddressRangeSet(
            ["::/1", "8000::/1", "0.0.0.0/0"].compactMap { IPPrefix($0) }.map { AddressBlock($0) })
        #expect(everything == .everything)
        #expect(everything.isSuperset(of: halves))
        #expect(!halves.isSuperset(of: everything))
    }
}
