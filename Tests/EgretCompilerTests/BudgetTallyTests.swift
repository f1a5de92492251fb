// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretNftables
import EgretPolicy
import Testing

@Suite("Budgets of packets and of connections in the kernel")
struct BudgetTallyTests {
    private static let numbers = "numbers-packets-a"

    private func account(
        _ left: UInt64, _ unit: BudgetAmount.Unit = .packets, _ name: String = "a"
    ) -> BudgetPlan.Account {
        BudgetPlan.Account(name: name, left: left, unit: unit, onExhausted: .deny)
    }

    private func correction(_ left: UInt64, of amount: UInt64, bound: UInt64, asked: UInt64)
        -> BudgetPlan.TallyCorrection?
    {
        BudgetPlan.correction(ofTally: account(left), amount: amount, bound: bound, asked: asked)
    }

    @Test("as many pass as are left, and no more than there are numbers")
    func bounds() {
        var plan = BudgetPlan()
        plan.accounts = [account(5), account(.max, .connections, "b"), account(7, .bytes, "c")]
        #expect(
            BudgetPlan.bounds(in: plan.program)
                == [Self.numbers: 5, "numbers-connections-b": BudgetPlan.tallyLimit])
        #expect(plan.program.quotas.map(\.name) == ["left-c"])
        plan.setBounds([Self.numbers: 9])
        #expect(BudgetPlan.bounds(in: plan.program)[Self.numbers] == 9)
        var program = plan.program
        program.setBounds([Self.numbers: 11])
        #expect(BudgetPlan.bounds(in: program)[Self.numbers] == 11)
        #expect(program.difference(from: plan.program).switching.count == 2)
    }

    @Test("whether it is closed is asked before the number, and only first packets begin connections")
    func chains() {
        var plan = BudgetPlan()
        plan.accounts = [account(5, .connections)]
        func rules(_ chain: String) -> [String] {
            plan.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
        }
        let number = "numgen inc mod 4294967295 offset 1"
        #expect(
            rules("check-a") == [
                "meta mark & 0x00000000 @closed-connections-a goto spent-a", "ct status confirmed return",
                "ct direction == original counter name \"asked-connections-a\" \(number) @numbers-connections-a return",
                "ct direction == original counter name \"shut-connections-a\" "
                    + "add @closed-connections-a { meta mark & 0x00000000 }",
                "ct direction == original goto spent-a",
            ])
        #expect(
            rules("spent-a") == [
                "ct status confirmed return", "ct direction == original counter name \"refused-a\" drop",
            ])
        plan.accounts = [account(5)]
        #expect(
            rules("check-a") == [
                "meta mark & 0x00000000 @closed-packets-a goto spent-a",
                "counter name \"asked-packets-a\" \(number) @numbers-packets-a return",
                "counter name \"shut-packets-a\" add @closed-packets-a { meta mark & 0x00000000 }", "goto spent-a",
            ])
    }

    @Test("another unit begins with nothing of the former one's")
    func units() {
        var plans = [BudgetPlan(), BudgetPlan()]
        plans[0].accounts = [account(5)]
        plans[1].accounts = [account(5, .connections)]
        let difference = plans[1].program.difference(from: plans[0].program)
        #expect(difference.arrival.contains(.addCounter(Counter("asked-connections-a"))))
        #expect(difference.switching.first == .flushChain("check-a"))
        #expect(difference.departure.contains(.deleteCounter("asked-packets-a")))
        #expect(difference.departure.contains(.deleteSet("closed-packets-a")))
        #expect(difference.departure.contains(.deleteSet(Self.numbers)))
    }

    @Test("the last number that passes becomes what has asked and what is left, and the rule stays")
    func corrections() throws {
        let none = try #require(correction(90, of: 100, bound: 100, asked: 10))
        #expect(none.steps == [] && none.bound == 100)
        for (left, wanted) in [(40, 50), (1_000, 1_010)] as [(UInt64, UInt64)] {
            let found = try #require(correction(left, of: 100, bound: 100, asked: 10))
            #expect(found.bound == wanted)
            guard case .deleteElements(let old) = found.steps.first, case .addElements(let new) = found.steps.last
            else {
                Issue.record("\(found.steps)")
                continue
            }
            #expect(found.steps.count == 2)
            #expect(old.contents == .elements([SetElement(0, 100)]))
            #expect(new.contents == .elements([SetElement(0, UInt128(wanted))]))
        }
    }

    @Test("what two readings of busy counters differ by is let be, and of small amounts nothing is")
    func tolerance() {
        #expect(correction(899_500, of: 1_000_000, bound: 1_000_000, asked: 100_000)?.steps == [])
        #expect(correction(898_500, of: 1_000_000, bound: 1_000_000, asked: 100_000)?.bound == 998_500)
        #expect(correction(89, of: 100, bound: 100, asked: 10)?.bound == 99)
    }

    @Test("an amount that becomes a little less than what is used is used up at once, and little that is left is exact")
    func lessThanUsed() throws {
        #expect(correction(0, of: 999_600, bound: 1_000_000, asked: 999_700)?.bound == 999_700)
        #expect(correction(100, of: 999_600, bound: 1_000_000, asked: 999_500)?.bound == 999_600)
        #expect(correction(100, of: 999_600, bound: 999_610, asked: 999_500)?.steps == [])
        func steps(_ left: UInt64) -> [EgretNftables.Operation]? {
            BudgetPlan.correction(
                of: account(left, .bytes), amount: 1_000_000, bytes: 1_010_000, used: 1_000_500, leftover: 65_536)
        }
        #expect(steps(0) == [.addQuota(Quota("left-a", bytes: 1_000_500))])
        #expect(steps(9_000) == [])
    }

    @Test("what is used up stays so, and what has more again begins anew")
    func renewal() throws {
        for asked in [100, 101] as [UInt64] {
            #expect(correction(0, of: 100, bound: 100, asked: asked) == nil)
            let found = try #require(correction(10, of: 100, bound: 100, asked: asked))
            #expect(found.bound == 10 && found.steps.first == .flushChain("check-a"))
            #expect(found.steps.contains(.deleteSet("closed-packets-a")))
        }
    }

    @Test("one that is closed is used up, also where more was given while a packet closed it")
    func closed() throws {
        func asked(_ counters: [String: UInt64]) -> UInt64? {
            BudgetPlan.asked(of: account(20), bound: 29) { counters[$0] }
        }
        #expect(asked([:]) == nil)
        #expect(asked(["asked-packets-a": 11]) == 11)
        #expect(asked(["asked-packets-a": 11, "shut-packets-a": 0]) == 11)
        #expect(asked(["asked-packets-a": 11, "shut-packets-a": 1]) == 29)
        #expect(asked(["asked-packets-a": 31, "shut-packets-a": 2]) == 31)
        let found = try #require(correction(20, of: 10, bound: 29, asked: 29))
        #expect(found.bound == 20)
        #expect(found.steps.contains(.deleteCounter("shut-packets-a")))
        #expect(found.steps.contains(.addCounter(Counter("shut-packets-a"))))
    }

    @Test("numbers that come to their end begin anew with half of what is left, and the last ones are used")
    func end() throws {
        let (limit, much) = (BudgetPlan.tallyLimit, UInt64(1) << 40)
        let found = try #require(correction(3_000_000_000, of: much, bound: limit, asked: 3_000_000_000))
        #expect(found.bound == 1_500_000_000 && found.steps.first == .flushChain("check-a"))
        #expect(correction(much, of: much, bound: limit, asked: 3_000_000_000)?.bound == limit)
        #expect(correction(much, of: much, bound: limit, asked: 1_000_000_000)?.steps == [])
        #expect(correction(100_000, of: much, bound: limit, asked: limit - 10)?.steps == [])
        #expect(correction(99_990, of: much, bound: limit, asked: limit)?.bound == 99_990)
    }
}
