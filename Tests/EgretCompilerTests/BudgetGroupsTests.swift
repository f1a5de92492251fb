// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy
import Testing

@testable import EgretCompiler

@Suite("Budgets of control groups in the kernel")
struct BudgetGroupsTests {
    @Test("what a group sends is asked for and counted where the host sends, and what it is sent nowhere")
    func output() throws {
        let budget = TrafficBudget(name: "a", direction: .both, amount: BudgetAmount(bytes: 1_000))
        let meter = BudgetPlan.Meter(name: "a", clause: BudgetPlan.Clause(budget, groups: [:]), account: "a")
        func member(_ name: String, _ attachment: HostEndpoint.Attachment) -> BudgetPlan.Member {
            BudgetPlan.Member(
                name: name, links: [BudgetPlan.Link(attachment: attachment, addresses: [])], meters: [meter])
        }
        var plan = BudgetPlan()
        plan.accounts = [BudgetPlan.Account(name: "a", left: 1_000, onExhausted: .cut)]
        plan.members = [
            member("inner", .cgroup(id: 9, level: 3)), member("outer", .cgroup(id: 7, level: 2)),
            member("link", .link(try #require(InterfaceName("egn1")), index: 5)),
        ]
        let program = plan.program
        func rules(_ chain: String) -> [String] {
            program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
        }
        #expect(
            rules("output") == [
                "socket cgroupv2 level 2 vmap @from-cgroups2", "socket cgroupv2 level 3 vmap @from-cgroups3",
                "meta oif vmap @to", "socket cgroupv2 level 2 vmap @used-from-cgroups2",
                "socket cgroupv2 level 3 vmap @used-from-cgroups3", "meta oif vmap @used-to",
            ])
        #expect((rules("forward") + rules("input")).filter { $0.contains("cgroup") } == [])
        let maps = program.sets.filter { $0.keyType == .cgroup }
        #expect(
            maps.map(\.name).sorted() == [
                "from-cgroups2", "from-cgroups3", "used-from-cgroups2", "used-from-cgroups3",
            ])
        let outer = maps.first { $0.name == "from-cgroups2" }
        #expect(outer?.contents == .elements([SetElement(7, verdict: .jump("from-outer"))]))
        let to = program.sets.first { $0.name == "to" }
        #expect(to?.contents == .elements([SetElement(5, verdict: .jump("to-link"))]))
    }
}
