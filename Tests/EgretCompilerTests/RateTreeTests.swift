// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("rates within each other")
struct RateTreeTests {
    private func limit(_ rate: String?, _ destinations: [String] = [], _ ports: ClosedRange<UInt16>? = nil) throws
        -> TrafficLimit
    {
        TrafficLimit(
            name: rate,
            destinations: try destinations.map { .block(AddressBlock(try #require(IPPrefix($0)))) },
            services: try ports.map { [.ports(.tcp, try #require(PortRange($0.lowerBound, $0.upperBound)))] } ?? [],
            rate: rate.flatMap { BitRate($0) })
    }

    private func tree(_ limits: [TrafficLimit]) throws -> RateTree { try RateTree(limits, .egress, groups: [:]) }

    @Test("what lies within comes before what it lies within, and packets of both find the inner one")
    func nesting() throws {
        let tree = try tree([
            limit("8Mbit", ["10.0.0.0/8"]), limit("20Mbit"), limit("2Mbit", ["10.1.0.0/16"], 443...443),
            limit("4Mbit", ["10.1.0.0/16"]), limit("1Mbit", ["192.0.2.0/24"]),
        ])
        #expect(tree.rate == BitRate("20Mbit"))
        #expect(tree.shares.map(\.limit.name) == ["2Mbit", "4Mbit", "8Mbit", "1Mbit"])
        let numbers = Dictionary(uniqueKeysWithValues: tree.shares.map { ($0.limit.name ?? "", $0.number) })
        #expect(tree.shares.map(\.parent) == [numbers["4Mbit"], numbers["8Mbit"], nil, nil])
        #expect(tree.shares.map { $0.leaf == $0.number } == [true, false, false, true])
        #expect(Swift.Set(tree.shares.flatMap { [$0.leaf, $0.number] }).count == 6)
    }

    @Test("of two about the same the slower lies within the other")
    func equals() throws {
        let tree = try tree([limit("1Mbit", ["10.0.0.0/8"]), limit("2Mbit", ["10.0.0.0/9", "10.128.0.0/9"])])
        #expect(tree.shares.map(\.limit.name) == ["1Mbit", "2Mbit"])
        #expect(tree.shares[0].parent == tree.shares[1].number)
    }

    @Test("limits that overlap halfway are refused, and so is a guarantee of nothing")
    func conflicts() throws {
        let crossing = try [limit("1Mbit", ["10.0.0.0/8"], 0...100), limit("2Mbit", ["10.1.0.0/16"])]
        #expect(throws: RateTree.Conflict.self) { try tree(crossing) }
        let apart = try [limit("1Mbit", ["10.0.0.0/8"], 0...100), limit("2Mbit", ["10.1.0.0/16"], 101...200)]
        #expect(try tree(apart).shares.count == 2)
        var guarantee = try limit(nil, ["10.0.0.0/8"])
        guarantee.guarantee = BitRate("1Mbit")
        #expect(throws: RateTree.Conflict.self) { try tree([guarantee]) }
        #expect(try tree([guarantee, limit("2Mbit")]).shares.count == 1)
    }

    @Test("guarantees come to no more than the rate that they lie within")
    func guarantees() throws {
        var first = try limit(nil, ["10.0.0.0/9"])
        first.guarantee = BitRate("6Mbit")
        var second = try limit(nil, ["11.0.0.0/8"])
        second.guarantee = BitRate("4Mbit")
        let tree = try tree([limit("10Mbit"), first, second])
        #expect(tree.guaranteed[RateTree.total] == 10_000_000)
        #expect(throws: RateTree.Conflict.self) { try self.tree([limit("9Mbit"), first, second]) }
        // What lies within a share without a guarantee counts as well, and holds to the share's rate.
        let outer = try limit("8Mbit", ["10.0.0.0/8"])
        #expect(throws: RateTree.Conflict.self) { try self.tree([limit("9Mbit"), outer, first, second]) }
        let slow = try limit("5Mbit", ["10.0.0.0/8"])
        #expect(throws: RateTree.Conflict.self) { try self.tree([limit("20Mbit"), slow, first]) }
    }

    /// Minutes of every day.
    private func at(_ start: Int64, _ end: Int64, _ limit: TrafficLimit) throws -> TrafficLimit {
        var limit = limit
        limit.schedule = Schedule(hours: [try #require(Schedule.Hours(start: start, end: end))])
        return limit
    }

    @Test("a rate for some times lies within the one for all, beside those of other times, and within those of more")
    func times() throws {
        let tree = try tree([
            limit("20Mbit"), at(540, 1_020, limit("8Mbit")), at(1_020, 540, limit("12Mbit")),
            at(600, 660, limit("2Mbit", ["10.0.0.0/8"])),
        ])
        #expect(tree.rate == BitRate("20Mbit"))
        #expect(tree.shares.map(\.limit.name) == ["2Mbit", "8Mbit", "12Mbit"])
        let numbers = Dictionary(uniqueKeysWithValues: tree.shares.map { ($0.limit.name ?? "", $0.number) })
        #expect(tree.shares.map(\.parent) == [numbers["8Mbit"], nil, nil])
        #expect(tree.shares.map { $0.leaf == $0.number } == [true, false, true])
        let always = try self.tree([at(540, 1_020, limit("2Mbit", ["10.1.0.0/16"])), limit("3Mbit", ["10.0.0.0/8"])])
        #expect(always.shares.map(\.limit.name) == ["2Mbit", "3Mbit"])
        #expect(always.shares[0].parent == always.shares[1].number)
    }

    @Test("beyond the times that are known the slowest of several is asked first, whatever lies within what")
    func slowestFirst() throws {
        let tree = try tree([
            at(540, 1_020, limit("9Mbit", ["10.0.0.0/8"])), at(540, 1_020, limit("4Mbit", ["10.1.0.0/16"])),
            at(1_020, 540, limit("1Mbit", ["10.0.0.0/8"])), at(1_020, 540, limit("6Mbit", ["11.0.0.0/8"])),
        ])
        #expect(tree.shares.map(\.limit.name) == ["1Mbit", "4Mbit", "6Mbit", "9Mbit"])
        #expect(tree.shares[1].parent == tree.shares[3].number)
        // What lies within a slower one is as slow, and comes before it all the same.
        let inner = try self.tree([
            at(540, 1_020, limit("2Mbit", ["10.0.0.0/8"])), at(600, 660, limit("5Mbit", ["10.1.0.0/16"])),
        ])
        #expect(inner.shares.map(\.limit.name) == ["5Mbit", "2Mbit"])
        #expect(inner.shares[0].parent == inner.shares[1].number)
    }

    @Test("rates whose times overlap in part are refused, and so is one for all times beside a wider one for some")
    func conflictsInTime() throws {
        for limits in try [
            [at(540, 1_020, limit("1Mbit")), at(1_000, 1_100, limit("2Mbit"))],
            [limit("1Mbit", ["10.0.0.0/8"]), at(540, 1_020, limit("2Mbit"))],
        ] {
            let error = #expect(throws: RateTree.Conflict.self) { try tree(limits) }
            #expect(error?.description.contains("overlap, in traffic and in times, and neither") ?? false)
        }
        let apart = try [
            at(540, 1_020, limit("1Mbit", ["10.0.0.0/8"])), at(540, 1_020, limit("2Mbit", ["11.0.0.0/8"])),
        ]
        #expect(try tree(apart).shares.count == 2)
        #expect(RateTree(slowestOf: apart, .egress).rate == BitRate("1Mbit"))
    }

    private func named(_ rate: String, _ names: String...) throws -> TrafficLimit {
        TrafficLimit(name: rate, domains: try names.map { try DomainPattern.parse($0) }, rate: BitRate(rate))
    }

    @Test("names lie within patterns and the internet, beside others of which the slower is asked first")
    func names() throws {
        var internet = try limit("8Mbit")
        internet.destinations = [.builtIn(.internet)]
        let tree = try tree([
            internet, named("5Mbit", "*.example.org"), named("1Mbit", "a.example.org", "b.example.org"),
            named("2Mbit", "example.com"), limit("20Mbit"),
        ])
        #expect(tree.shares.map(\.limit.name) == ["1Mbit", "2Mbit", "5Mbit", "8Mbit"])
        let numbers = Dictionary(uniqueKeysWithValues: tree.shares.map { ($0.limit.name ?? "", $0.number) })
        #expect(tree.shares.map(\.parent) == [numbers["5Mbit"], numbers["8Mbit"], numbers["8Mbit"], nil])
        // Nobody knows whether a name has an address of the block.
        let block = try limit("3Mbit", ["198.51.100.0/24"])
        let name = try named("2Mbit", "example.com")
        #expect(throws: RateTree.Conflict.self) { try self.tree([block, name]) }
        var ofPort = block
        ofPort.services = [.ports(.tcp, PortRange(80))]
        var ofOther = name
        ofOther.services = [.ports(.tcp, PortRange(443))]
        #expect(try self.tree([ofPort, ofOther]).shares.count == 2)
        // One covers some names of the other's, and both have others.
        let crossing = try [named("1Mbit", "a.example.org", "c.test"), named("2Mbit", "*.example.org")]
        #expect(throws: RateTree.Conflict.self) { try self.tree(crossing) }
    }

    @Test("a group without addresses of a family matches nothing of it, and limits of others are no shares")
    func sharing() throws {
        var shared = try limit("1Mbit", ["10.0.0.0/8"])
        shared.scope = .policy
        var received = try limit("1Mbit", ["10.0.0.0/8"])
        received.direction = .ingress
        #expect(try tree([shared, received]).shares == [])
    }
}

@Suite("rates that endpoints share")
struct PoolTreeTests {
    private func limit(_ rate: String, _ policy: String, _ block: String? = nil, _ scope: TrafficLimit.Scope = .policy)
        throws -> TrafficLimit
    {
        TrafficLimit(
            name: rate,
            destinations: try block.map { [.block(AddressBlock(try #require(IPPrefix($0))))] } ?? [], scope: scope,
            rate: BitRate(rate), policy: policy)
    }

    private func candidate(_ number: Int, _ network: String, _ limits: [TrafficLimit]) -> PoolTree.Candidate {
        PoolTree.Candidate(number: number, network: network, limits: limits, groups: [:])
    }

    @Test("a policy's endpoints share one class, those of each network one, and a part lies within the whole")
    func sharing() throws {
        let limits = try [
            limit("10Mbit", "p"), limit("4Mbit", "p", "10.0.0.0/8"), limit("2Mbit", "p", "10.1.0.0/16", .network),
        ]
        let tree = try PoolTree(
            [candidate(1, "n", limits), candidate(2, "n", limits), candidate(3, "m", limits)], .egress)
        #expect(tree.shares.map(\.limit.name) == ["2Mbit", "2Mbit", "4Mbit", "10Mbit"])
        #expect(Swift.Set(tree.shares.map(\.network)) == ["n", "m", nil])
        #expect(tree.shares[0].parent == tree.shares[2].number && tree.shares[1].parent == tree.shares[2].number)
        #expect(tree.shares[2].parent == tree.shares[3].number && tree.shares[3].parent == nil)
        #expect(tree.members[1] == tree.members[2] && tree.members[1] != tree.members[3])
        #expect(tree.members[3]?.map(\.limit.name) == ["2Mbit", "4Mbit", "10Mbit"])
        #expect(Swift.Set(tree.shares.flatMap { [$0.number, $0.leaf] }).count == 6)
        #expect(tree.shares.allSatisfy { (0x1000...0xcfff).contains($0.number) })
        var slower = limits
        slower[0].rate = BitRate("5Mbit")
        let changed = try PoolTree([candidate(1, "n", slower), candidate(3, "m", slower)], .egress)
        #expect(changed.shares.map(\.number) == tree.shares.map(\.number))
    }

    @Test("two limits that differ in nothing but the rate are two, and the slower lies within the other")
    func sameWords() throws {
        var (fast, slow) = try (limit("10Mbit", "p"), limit("4Mbit", "p"))
        (fast.name, slow.name) = (nil, nil)
        for limits in [[fast, slow], [slow, fast]] {
            let tree = try PoolTree([candidate(1, "n", limits), candidate(2, "n", limits)], .egress)
            #expect(tree.shares.map(\.limit.rate) == [BitRate("4Mbit"), BitRate("10Mbit")])
            #expect(tree.shares.first?.parent == tree.shares.last?.number)
        }
    }

    @Test("a shared rate for some times lies within the one for all times, or beside those of other times")
    func times() throws {
        let hours = try [(540, 1_020), (1_020, 540), (600, 700)].map {
            try #require(Schedule.Hours(start: $0.0, end: $0.1))
        }
        var limits = try [limit("10Mbit", "p"), limit("8Mbit", "p"), limit("4Mbit", "p")]
        limits[1].schedule = Schedule(hours: [hours[0]])
        limits[2].schedule = Schedule(hours: [hours[1]])
        let tree = try PoolTree([candidate(1, "n", limits), candidate(2, "n", limits)], .egress)
        #expect(tree.shares.map(\.limit.name) == ["4Mbit", "8Mbit", "10Mbit"])
        #expect(tree.shares.map(\.parent) == [tree.shares[2].number, tree.shares[2].number, nil])
        #expect(Swift.Set(tree.shares.flatMap { [$0.number, $0.leaf] }).count == 4)
        limits[2].schedule = Schedule(days: [.mon], hours: [hours[2]])
        let inner = try PoolTree([candidate(1, "n", limits)], .egress)
        #expect(inner.shares.map(\.limit.name) == ["4Mbit", "8Mbit", "10Mbit"])
        #expect(inner.shares.first?.parent == inner.shares[1].number)
    }

    @Test("what overlaps halfway, in traffic or in endpoints, is refused; joined, the slowest holds for everybody")
    func conflicts() throws {
        let (p, q) = try (limit("10Mbit", "p"), limit("20Mbit", "q"))
        let candidates = [candidate(1, "n", [p]), candidate(2, "n", [p, q]), candidate(3, "n", [q])]
        #expect(throws: RateTree.Conflict.self) { try PoolTree(candidates, .egress) }
        let joined = PoolTree(joining: candidates, .ingress)
        #expect(joined.shares.map(\.limit.rate) == [BitRate("10Mbit")] && joined.members.count == 3)
        let apart = try [limit("10Mbit", "p", "10.0.0.0/8"), limit("20Mbit", "q", "11.0.0.0/8")]
        #expect(try PoolTree([candidate(1, "n", apart), candidate(2, "n", [apart[1]])], .egress).shares.count == 2)
        #expect(RateTree(slowestOf: [p, q], .egress).rate == nil)
    }
}

@Suite("limits as programs")
struct LimitProgramTests {
    private func program(
        _ limits: [TrafficLimit], queue: UInt32? = nil, horizon: ClosedRange<Int64> = 0...0
    ) throws -> LimitProgram {
        let members = try (1...2).map { number in
            LimitProgram.Member(
                number: number,
                attachment: .port(
                    try #require(InterfaceName("egn\(number)")), index: UInt32(number), bridgeIndex: 9),
                addresses: [try #require(IPAddress("10.9.0.\(number)"))], network: "br0", limits: limits, groups: [:],
                shares: [
                    .egress: try RateTree(limits, .egress, groups: [:]).shares,
                    .ingress: try RateTree(limits, .ingress, groups: [:]).shares,
                ],
                queueIndex: queue)
        }
        return LimitProgram(members, horizon: horizon, logGroup: 7)
    }

    @Test("each endpoint counts by itself, and a policy's endpoints together")
    func scopes() throws {
        let own = try program([TrafficLimit(connections: 5, policy: "p")])
        #expect(own.program.chains.filter { $0.name.hasPrefix("connections-") }.count == 4)
        let shared = try program([TrafficLimit(scope: .policy, connections: 5, policy: "p")])
        let chains = shared.program.chains.map(\.name).filter { $0.hasPrefix("connections-") }
        #expect(chains.count == 2)
        #expect(own.refusals.count == 2 && shared.refusals.count == 2)
        let network = try program([TrafficLimit(scope: .network, connections: 5, policy: "p")])
        #expect(network.program.chains.map(\.name).filter { $0.hasPrefix("connections-") }.count == 2)
    }

    @Test("a packet that several of a limit's ports match is counted once")
    func overlappingPorts() throws {
        let services: [Service] = [
            .ports(.tcp, try #require(PortRange(1, 1_024))), .ports(.tcp, PortRange(443)), .any(.udp),
            .ports(.udp, PortRange(53)),
        ]
        let packets = EventRate(count: 100)
        let made = try program([TrafficLimit(services: services, packets: packets, policy: "p")])
        let lines = made.program.rules.filter { $0.chain == "from-1" }.map { NftText.render($0) }
        // TCP and UDP, for each family or for both.
        #expect(lines.filter { $0.contains("ports-1-1024") }.count * 2 == lines.count)
        #expect(lines.allSatisfy { !$0.contains("dport 443") && !$0.contains("dport 53 ") })
        #expect(!lines.isEmpty)
    }

    @Test("names are sets that are filled by others and kept by packets, beside addresses without counting twice")
    func namedSets() throws {
        let names = try ["www.example.org", "*.example.net"].map { try DomainPattern.parse($0) }
        let block = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        let limit = TrafficLimit(
            direction: .egress, destinations: [block], domains: names, services: [.ports(.tcp, PortRange(443))],
            connections: 5, packets: EventRate(count: 100), policy: "p")
        let made = try program([limit])
        #expect(made.namedSets.map { $0.set.family } == [.ipv4, .ipv6])
        #expect(made.namedSets.allSatisfy { $0.table == LimitProgram.table && $0.set.patterns == names })
        for (_, named) in made.namedSets {
            let set = try #require(made.program.sets.first { $0.name == named.name })
            #expect(set.isDynamic && set.hasTimeouts && set.size == nil && set.contents.count == 0)
        }
        let four = try #require(made.namedSets.first?.set.name)
        let lines = made.program.rules.filter { $0.chain == "from-1" }.map { NftText.render($0) }
        let ofPackets = lines.filter { $0.contains("jump packets-") }
        // Of IPv4 the block and the names, of IPv6 the names.
        #expect(ofPackets.count == 3 && lines.filter { $0.contains("jump connections-") }.count == 3)
        let byName = try #require(ofPackets.first { $0.contains("ip daddr @\(four)") })
        #expect(byName.contains("ip daddr != @far-"))
        #expect(byName.contains("update @\(four) { ip daddr timeout 10800s }"))
        // The same names in another order are in the same sets; another limit is another chain.
        var other = limit
        other.domains.reverse()
        #expect(try program([limit, other]).namedSets.map { $0.set.name } == made.namedSets.map { $0.set.name })
        other.domains.removeLast()
        let further = try program([other])
        #expect(Swift.Set(further.refusals.keys).isDisjoint(with: made.refusals.keys))
        #expect(Swift.Set(further.namedSets.map { $0.set.name }).isDisjoint(with: made.namedSets.map { $0.set.name }))
    }

    @Test("endpoints of a host have sets of names of their own, of which the links of one have the same")
    func ownNamedSets() throws {
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("example.org")], connections: 5, policy: "p")
        let members = try [(1, 1), (2, 2), (3, 2)].map { (number: Int, link: Int) in
            LimitProgram.Member(
                number: number, owner: link, linkIndex: UInt32(link),
                attachment: .link(try #require(InterfaceName("egn\(number)")), index: UInt32(number)), addresses: [],
                network: "n", limits: [limit], groups: [:], isLed: true)
        }
        let made = LimitProgram(members, logGroup: 7)
        let askers = made.namedSets.map { made.members(asking: $0.set) }
        #expect(askers == [[1], [1], [2, 3], [2, 3]])
        let names = made.namedSets.map { $0.set.name }
        for (name, beginning) in zip(names, ["names4-1-", "names6-1-", "names4-2-", "names6-2-"]) {
            #expect(name.hasPrefix(beginning) && made.program.sets.map(\.name).filter { $0 == name }.count == 1)
        }
        for number in 1...3 {
            let set = names[number == 1 ? 0 : 2]
            for (chain, address) in [("from-\(number)", "ip daddr"), ("from-\(number)-led", "ct original ip daddr")] {
                let lines = made.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
                let asking = lines.filter { $0.contains("@names4-") }
                #expect(asking.count == 1 && asking.allSatisfy { $0.contains("\(address) @\(set) update @\(set) ") })
            }
        }
    }

    @Test("frames of names find their class, and their sets are in both tables")
    func namedClasses() throws {
        let limit = TrafficLimit(domains: [try DomainPattern.parse("example.org")], rate: BitRate("1Mbit"))
        let made = try program([limit], queue: 33)
        let (packets, queued) = (LimitProgram.table, LimitProgram.frameTable)
        #expect(made.namedSets.map { $0.table } == [packets, packets, queued, queued])
        let frames = made.frames.rules.filter { $0.chain == "endpoint-1" }.map { NftText.render($0) }
        #expect(frames.filter { $0.contains("ip daddr @names4-") && $0.contains("update @names4-") }.count == 1)
        #expect(frames.filter { $0.contains("ip6 daddr @names6-") && $0.contains("update @names6-") }.count == 1)
        let received = made.program.rules.filter { $0.chain == "wait-2" }.map { NftText.render($0) }
        #expect(received.filter { $0.contains("saddr @names") }.count == 2)
        // What is not there needs nobody to fill it.
        var sent = limit
        sent.direction = .egress
        #expect(try program([sent], queue: 33).namedSets.allSatisfy { $0.table == LimitProgram.frameTable })
        #expect(try program([sent]).namedSets.isEmpty)
    }

    @Test("equal limits have equal names, other limits others, and nothing to do is nothing")
    func names() throws {
        let first = try program([TrafficLimit(connections: 5, policy: "p")])
        #expect(try program([TrafficLimit(connections: 5, policy: "p")]).program == first.program)
        let other = try program([TrafficLimit(connections: 6, policy: "p")])
        #expect(Swift.Set(other.refusals.keys).isDisjoint(with: first.refusals.keys))
        #expect(try program([TrafficLimit(rate: BitRate("1Mbit"))]).isEmpty)
    }

    @Test("frames of a share find its class, the rest the queue, and what is received its own")
    func classes() throws {
        let cidr = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        let made = try program([TrafficLimit(destinations: [cidr], rate: BitRate("1Mbit"))], queue: 33)
        let lines = made.frames.rules.filter { $0.chain == "endpoint-1" }.map { NftText.render($0) }
        #expect(lines.count == 3)
        #expect(lines.first?.contains("meta priority set e9e8:10 fwd to 33") ?? false)
        #expect(lines.dropFirst().allSatisfy { $0.hasSuffix("fwd to 33") })
        let received = made.program.rules.filter { $0.chain == "wait-2" }.map { NftText.render($0) }
        #expect(received.count == 2 && received[0].contains("ip saddr @far-"))
        #expect(received.last?.hasSuffix("meta priority set e9e8:2") ?? false)
        #expect(try program([TrafficLimit(destinations: [cidr], rate: BitRate("1Mbit"))]).frames.rules.isEmpty)
    }
    /// Ten days from a Monday's midnight on.
    private static let horizon: ClosedRange<Int64> = 1_795_392_000...1_795_392_000 + 864_000

    /// What the set of times holds, in seconds.
    private func times(_ program: TableProgram) throws -> [Range<UInt128>] {
        let sets = program.sets.filter { $0.keyType == .time }
        #expect(sets.count == 1)
        guard case .elements(let elements) = try #require(sets.first).contents else { return [] }
        return elements.map { $0.lowerBound / 1_000_000_000..<($0.upperBound + 1) / 1_000_000_000 }
    }

    @Test("each rule of a limit asks the clock, and beyond the times that are worked out it holds")
    func schedules() throws {
        let hours = try #require(Schedule.Hours(start: 540, end: 1_020))
        let cidr = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        let limit = TrafficLimit(
            destinations: [cidr], rate: BitRate("1Mbit"), connections: 5, packets: EventRate("20/s"),
            dscp: TrafficClassMark("ef"), schedule: Schedule(days: [.mon], hours: [hours]), policy: "p")
        let made = try program([limit], queue: 33, horizon: LimitProgramTests.horizon)
        #expect(made.hasTimes)
        let name = try #require(made.program.sets.first { $0.keyType == .time }).name
        for prefix in ["from-1", "to-2", "wait-1"] {
            let lines = made.program.rules.filter { $0.chain == prefix }.map { NftText.render($0) }
            let asking = lines.filter { $0.contains("meta time @\(name)") }
            // All but what passes over confirmed connections, and what has waited elsewhere before.
            #expect(asking.count == lines.count - 1, "\(lines)")
        }
        let frames = made.frames.rules.filter { $0.chain == "endpoint-1" }.map { NftText.render($0) }
        #expect(frames.filter { $0.contains("meta time @\(name) meta priority set e9e8:") }.count == 1)
        let monday = UInt128(LimitProgramTests.horizon.lowerBound)
        let expected = [
            0..<monday, monday + 32_400..<monday + 61_200, monday + 604_800 + 32_400..<monday + 604_800 + 61_200,
            monday + 864_001..<UInt128(Int64.max / 1_000_000_000),
        ]
        #expect(try times(made.program) == expected)
        #expect(try times(made.frames) == expected)
        // Nothing is worked out: it holds.
        #expect(try times(program([limit]).program) == [1..<UInt128(Int64.max / 1_000_000_000)])
    }

    @Test("as the days pass, nothing of a limit changes but its times; another schedule is another limit")
    func renewal() throws {
        let limit = TrafficLimit(connections: 5, schedule: Schedule(days: [.mon]), policy: "p")
        let first = try program([limit], horizon: LimitProgramTests.horizon)
        let later = LimitProgramTests.horizon.lowerBound + 691_200
        let next = try program([limit], horizon: later...later + 864_000)
        let difference = next.program.difference(from: first.program)
        #expect(difference.arrival.isEmpty && difference.departure.isEmpty && !difference.switching.isEmpty)
        #expect(
            difference.switching.allSatisfy {
                switch $0 {
                case .addElements(let set), .deleteElements(let set): set.keyType == .time
                default: false
                }
            })
        var others = [limit, limit, limit]
        others[1].schedule = Schedule(days: [.tue])
        others[2].schedule = nil
        let names = try others.map { Swift.Set(try program([$0]).refusals.keys) }
        #expect(names[0].isDisjoint(with: names[1]) && names[0].isDisjoint(with: names[2]))
        #expect(try !program([others[2]]).hasTimes)
    }
}
