// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("Budgets for names in the kernel")
struct BudgetNamesTests {
    private func member(
        _ budget: TrafficBudget, _ groups: [String: DestinationGroup] = [:], links: [UInt32] = [4],
        account: String? = "a", isLed: Bool = false
    ) throws -> BudgetPlan.Member {
        let links = try links.map { index in
            BudgetPlan.Link(
                attachment: .link(try #require(InterfaceName("egn\(index)")), index: index), addresses: [])
        }
        let meter = BudgetPlan.Meter(
            name: "m\(links[0].attachment.index ?? 0)", clause: BudgetPlan.Clause(budget, groups: groups),
            account: account, countsConnections: true)
        return BudgetPlan.Member(
            name: "x\(links[0].attachment.index ?? 0)", links: links, meters: [meter], isLed: isLed)
    }

    private func plan(_ members: BudgetPlan.Member...) -> BudgetPlan {
        var plan = BudgetPlan()
        plan.accounts = [BudgetPlan.Account(name: "a", left: 5_000, onExhausted: .cut)]
        plan.members = members
        return plan
    }

    private func rules(_ plan: BudgetPlan, in chain: String) -> [String] {
        plan.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    private func budget(
        _ names: String..., to destinations: [Destination] = [], services: [Service] = [],
        direction: TrafficBudget.Direction = .egress
    ) throws -> TrafficBudget {
        TrafficBudget(
            name: "b", destinations: destinations, domains: try names.map { try DomainPattern.parse($0) },
            services: services, direction: direction)
    }

    @Test("what goes to the addresses of names is asked and counted, and keeps them known once for each packet")
    func counting() throws {
        let made = plan(try member(budget("example.org", "*.example.org")))
        let sets = made.namedSets.map(\.set.name)
        try #require(sets.count == 2)
        let (four, six) = (sets[0], sets[1])
        #expect(four.hasPrefix("names4-4-") && six.hasPrefix("names6-4-"))
        #expect(
            rules(made, in: "from-x4") == [
                "meta nfproto == ipv4 ip daddr @\(four) update @\(four) { ip daddr timeout 10800s } jump check-a",
                "meta nfproto == ipv6 ip6 daddr @\(six) update @\(six) { ip6 daddr timeout 10800s } jump check-a",
            ])
        #expect(
            rules(made, in: "used-from-x4") == [
                "meta nfproto == ipv4 ip daddr @\(four) counter name \"used-m4\"",
                "meta nfproto == ipv6 ip6 daddr @\(six) counter name \"used-m4\"",
                "ct status confirmed return",
                "ct direction == original meta nfproto == ipv4 ip daddr @\(four) counter name \"opened-m4\"",
                "ct direction == original meta nfproto == ipv6 ip6 daddr @\(six) counter name \"opened-m4\"",
            ])
        let declared = made.program.sets.filter { sets.contains($0.name) }
        #expect(declared.map(\.name) == [four, six])
        #expect(declared.allSatisfy { $0.isDynamic && $0.hasTimeouts })
        // Nobody is asked first of what is only counted.
        let counted = rules(plan(try member(budget("example.org"), account: nil)), in: "used-from-x4")
        #expect(counted.filter { $0.contains("update @names") }.count == 2)
    }

    @Test("where an account is used up, who goes on trying keeps the address known")
    func spent() throws {
        var made = plan(try member(budget("example.org", direction: .both)))
        made.accounts[0].isSpent = true
        for (chain, address) in [("spent-from-x4", "ip daddr"), ("spent-to-x4", "ip saddr")] {
            let asking = rules(made, in: chain)
            #expect(asking.count == 2 && asking[0].contains("{ \(address) timeout 10800s } jump check-a"))
        }
        #expect(rules(made, in: "from-x4").isEmpty)
    }

    @Test("a packet of an address that is written and resolved counts once, and ports are asked of both")
    func both() throws {
        let block = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        let services = [Service.ports(.tcp, PortRange(443))]
        let made = plan(try member(budget("example.org", to: [block], services: services)))
        let asking = rules(made, in: "from-x4")
        let far = try #require(made.program.sets.first { $0.name.hasPrefix("far-") }?.name)
        let (four, six) = (made.namedSets[0].set.name, made.namedSets[1].set.name)
        let port = "meta l4proto == tcp th dport == 443"
        #expect(
            asking == [
                "meta nfproto == ipv4 ip daddr @\(far) \(port) jump check-a",
                "meta nfproto == ipv4 ip daddr != @\(far) ip daddr @\(four) \(port) "
                    + "update @\(four) { ip daddr timeout 10800s } jump check-a",
                "meta nfproto == ipv6 ip6 daddr @\(six) \(port) update @\(six) { ip6 daddr timeout 10800s } "
                    + "jump check-a",
            ])
    }

    @Test("connections by name are asked where they were going")
    func led() throws {
        let made = plan(try member(budget("example.org"), isLed: true))
        let (plain, led) = (rules(made, in: "from-x4"), rules(made, in: "from-x4-led"))
        #expect(plain.first == "ct label & 31 == 31 goto from-x4-led" && plain.count == 3)
        #expect(
            led
                == plain.dropFirst().map {
                    $0.replacing("ip daddr", with: "ct original ip daddr")
                        .replacing("ip6 daddr", with: "ct original ip6 daddr")
                })
    }

    @Test("the names of a group are a budget's, and a group without addresses is not everything")
    func groups() throws {
        let group = DestinationGroup(
            name: "video", blocks: [], domains: [try DomainPattern.parse("*.video.example")])
        let grouped = try budget(to: [.group("video")])
        let made = plan(try member(grouped, ["video": group]))
        let patterns = made.namedSets.map { $0.set.patterns.map(\.description) }
        #expect(patterns == [["*.video.example"], ["*.video.example"]])
        #expect(rules(made, in: "from-x4").count == 2)
        #expect(rules(made, in: "from-x4").allSatisfy { $0.contains("daddr @names") })
    }

    @Test("each endpoint has sets of its own, all of its links together, and one that goes takes nobody else's")
    func members() throws {
        let names = try budget("example.org")
        let (first, second) = (try member(names, links: [9, 7]), try member(names, links: [8]))
        let both = plan(first, second)
        #expect(Swift.Set(both.namedSets.map(\.set.name)).count == 4)
        for (set, links) in both.namedSets {
            let owner = links.count == 2 ? "7" : "8"
            #expect(set.name.hasPrefix("names\(set.family == .ipv4 ? 4 : 6)-\(owner)-"))
        }
        let difference = plan(first).program.difference(from: both.program)
        let kept = Swift.Set(plan(first).namedSets.map(\.set.name))
        let deleted = difference.departure.compactMap { step -> String? in
            if case .deleteSet(let name) = step { name } else { nil }
        }
        #expect(deleted.filter { $0.hasPrefix("names") }.count == 2 && kept.isDisjoint(with: deleted))
    }

    @Test("thousands of addresses beside names are worked out once, not for each of many endpoints")
    func manyMembers() throws {
        let blocks = (0..<4_000).map { number in
            AddressBlock(
                IPPrefix(IPAddress.v4(IPv4Address(10, UInt8(number / 128), UInt8(number % 128 * 2), 1))))
        }
        let group = DestinationGroup(
            name: "cdn", blocks: blocks, domains: [try DomainPattern.parse("*.cdn.example")])
        let (grouped, groups) = (try budget(to: [.group("cdn")]), ["cdn": group])
        var made = plan(try member(grouped, groups, links: [4]), try member(grouped, groups, links: [5]))
        let sets = made.program.sets.map(\.name)
        #expect(sets.filter { $0.hasPrefix("far-") }.count == 1 && sets.filter { $0.hasPrefix("names") }.count == 4)
        #expect(
            rules(made, in: "from-x5")
                == rules(made, in: "from-x4").map {
                    $0.replacing("names4-4-", with: "names4-5-").replacing("names6-4-", with: "names6-5-")
                })
        made.members += try (6..<306).map { try member(grouped, groups, links: [$0]) }
        let start = ContinuousClock.now
        let program = made.program
        // Each by itself they take many times as long.
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(program.sets.filter { $0.name.hasPrefix("names") }.count == 604)
    }

    @Test("budgets about the same names ask one set, in whatever order they are written")
    func shared() throws {
        var whole = try member(budget("a.example", "b.example"))
        whole.meters += try member(budget("b.example", "a.example", direction: .ingress)).meters
        let made = plan(whole)
        #expect(made.namedSets.count == 2)
        #expect(made.program.sets.filter { $0.name.hasPrefix("names") }.count == 2)
    }
}
