// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDNSWire
import EgretNames
import Testing

/// What a question and its answer cost when much is held.
struct NameTableCostTests {
    @Test("the cost of an answer does not grow with what is held")
    func cost() throws {
        var limits = NameLimits()
        (limits.names, limits.namesPerRule) = (99_999, 99_999)
        (limits.addresses, limits.addressesPerRule) = (99_999, 99_999)
        (limits.newNameBurst, limits.newNameByteBurst, limits.questionBurst) = (99_999, 9_999_999, 99_999)
        var table = NameTable(rules: [try .allow(0, "*.example.com")], limits: limits, now: 0)
        var next: UInt32 = 0
        func answers(_ count: Int) throws -> Duration {
            let start = ContinuousClock.now
            for _ in 0..<count {
                let name = try #require(DNSName("host-\(next).example.com"))
                let question = DNSQuestion(name, .a)
                guard case .forward(let permission) = table.ask(question, now: 0) else {
                    Issue.record("refused")
                    break
                }
                var message = DNSMessage(id: 1, flags: DNSFlags(rawValue: 0x8180), questions: [question])
                let address = IPAddress.v4(IPv4Address(rawValue: 0x0800_0000 + next))
                message.answers = [DNSRecord(name, address, timeToLive: 60)]
                guard case .pass(let passage) = table.answer(message, to: permission, now: 0) else {
                    Issue.record("not passed")
                    break
                }
                table.committed(passage.grants, now: 0)
                next += 1
            }
            return ContinuousClock.now - start
        }
        _ = try answers(500)
        let few = try answers(500)
        _ = try answers(9_000)
        let many = try answers(500)
        #expect(table.held == (10_500, 10_500))
        // A copy of all that is held would cost twenty times as much.
        #expect(many < few * 5, "\(few) \(many)")
    }
}
