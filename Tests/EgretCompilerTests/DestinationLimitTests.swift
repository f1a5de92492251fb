// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("limits for each destination as programs")
struct DestinationLimitProgramTests {
    /// The program of two links, of one endpoint or of two.
    private func program(_ limit: TrafficLimit, owners: [Int] = [1, 2], mostDestinations: UInt32? = nil) throws
        -> LimitProgram
    {
        let members = try owners.enumerated().map { place, owner in
            LimitProgram.Member(
                number: place + 1, owner: owner,
                attachment: .link(try #require(InterfaceName("egn\(place + 1)")), index: UInt32(place + 1)),
                addresses: [], network: "n", limits: [limit], groups: [:])
        }
        return LimitProgram(members, logGroup: 7, mostDestinations: mostDestinations)
    }

    private func rules(_ program: LimitProgram, in chain: String) -> [String] {
        program.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    @Test("each address has a count of its own, and what a full set does not take is refused")
    func counts() throws {
        let limit = TrafficLimit(
            direction: .egress, scope: .destination, connections: 5, newConnections: EventRate(count: 90, unit: .hour),
            policy: "p")
        let made = try program(limit)
        let chains = made.program.chains.map(\.name).filter { $0.hasPrefix("connections-") }.sorted()
        #expect(chains.count == 2 && made.refusals.count == 1)
        let refusing = try #require(made.refusals.keys.first)
        let owner = "1-\(refusing.dropFirst("limit-".count))"
        #expect(chains.first == "connections-\(owner)")
        var expected: [String] = []
        for (word, verb, count) in [
            ("open", "add", "ct count over 5"),
            ("begun", "update", "timeout 3600s limit rate over 90/hour burst 90 packets"),
        ] {
            for (family, address, number) in [("ipv4", "ip", 4), ("ipv6", "ip6", 6)] {
                let set = "@\(word)\(number)-\(owner)"
                expected += [
                    "meta nfproto == \(family) \(verb) \(set) { \(address) daddr \(count) } goto \(refusing)",
                    "meta nfproto == \(family) \(address) daddr != \(set) goto \(refusing)",
                ]
            }
        }
        #expect(rules(made, in: "connections-\(owner)") == expected)
    }

    @Test("limits that say the same count a packet once")
    func sameWords() throws {
        for scope in [TrafficLimit.Scope.endpoint, .destination] {
            let limit = TrafficLimit(
                direction: .egress, scope: scope, newConnections: EventRate(count: 90, unit: .hour),
                packets: EventRate(count: 50), policy: "p")
            var other = limit
            other.direction = nil
            let member = LimitProgram.Member(
                number: 1, attachment: .link(try #require(InterfaceName("egn1")), index: 1), addresses: [],
                network: "n", limits: [limit, other], groups: [:])
            let made = LimitProgram([member], logGroup: 7)
            for chain in ["from-1", "to-1"] {
                let jumps = rules(made, in: chain).filter { $0.contains("jump ") }
                #expect(jumps.count == 2, "\(jumps)")
            }
        }
    }

    @Test("sets are made by what they hold: each endpoint's own, of the families that the limit is about")
    func sets() throws {
        let block = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        let limit = TrafficLimit(
            destinations: [block], scope: .destination, connections: 5, packets: EventRate(count: 50), policy: "p")
        let made = try program(limit, mostDestinations: 3)
        let sets = made.program.sets.filter(\.isDynamic)
        // Two endpoints, two directions, two counts.
        #expect(sets.count == 8 && Swift.Set(sets.map(\.name)).count == 8)
        #expect(sets.allSatisfy { $0.keyType == .ipv4Address && $0.size == 3 && $0.contents.count == 0 })
        #expect(sets.filter { $0.name.hasPrefix("open4-") && !$0.hasTimeouts }.count == 4)
        #expect(sets.filter { $0.name.hasPrefix("passed4-") && $0.hasTimeouts }.count == 4)
        let together = try program(limit, owners: [1, 1]).program
        #expect(together.sets.filter(\.isDynamic).count == 4)
        #expect(together.sets.filter(\.isDynamic).allSatisfy { $0.size == nil })
        #expect(together.chains.map(\.name).filter { $0.hasPrefix("connections-1-") }.count == 2)
    }

    @Test("of what comes in, the far address is the source")
    func ingress() throws {
        let limit = TrafficLimit(
            direction: .ingress, scope: .destination, connections: 5, packets: EventRate(count: 50), policy: "p")
        let made = try program(limit)
        for kind in ["connections-1-", "packets-1-"] {
            let chain = try #require(made.program.chains.first { $0.name.hasPrefix(kind) })
            let lines = rules(made, in: chain.name)
            #expect(lines.count == 4 && lines.allSatisfy { $0.contains(" saddr ") && !$0.contains("daddr") })
        }
    }

    @Test("what stays the same keeps its sets, and another number has others")
    func names() throws {
        let limit = TrafficLimit(scope: .destination, connections: 5, policy: "p")
        let first = try program(limit).program
        #expect(try program(limit).program == first)
        var other = limit
        other.connections = 6
        let difference = try program(other).program.difference(from: first)
        let names = Swift.Set(first.sets.filter(\.isDynamic).map(\.name))
        let gone = difference.departure.compactMap { operation -> String? in
            if case .deleteSet(let name) = operation { name } else { nil }
        }
        let come = difference.arrival.compactMap { operation -> String? in
            if case .addSet(let set) = operation { set.name } else { nil }
        }
        #expect(Swift.Set(gone) == names && names.count == 8)
        #expect(come.count == 8 && names.isDisjoint(with: come))
    }
}
