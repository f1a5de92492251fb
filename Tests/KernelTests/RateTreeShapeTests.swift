// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNetlinkWire
import EgretPolicy
import EgretShaping
import Testing

@Suite("rates as classes")
struct RateTreeShapeTests {
    private func classes(_ total: String?, _ parts: [TrafficLimit]) throws -> [QueueClass] {
        let limits = parts + (total.map { [TrafficLimit(rate: BitRate($0))] } ?? [])
        let shape = TrafficShape(try RateTree(limits, .egress, groups: [:]), mtu: 1_500)
        guard case .tree(let tree)? = shape else { return [] }
        return tree.classes
    }

    private func part(_ number: Int, rate: String? = nil, guarantee: String? = nil) throws -> TrafficLimit {
        let cidr = Destination.block(AddressBlock(try #require(IPPrefix("10.\(number).0.0/16"))))
        return TrafficLimit(
            destinations: [cidr], rate: rate.flatMap { BitRate($0) }, guarantee: guarantee.flatMap { BitRate($0) })
    }

    @Test("a part without a rate for everything has its rate of its own")
    func alone() throws {
        let classes = try classes(nil, [part(1, rate: "8Mbit")])
        #expect(classes.map(\.bytesPerSecond) == [1_000_000])
    }

    @Test(
        "what classes have of their own comes to no more than the total",
        arguments: [nil, "64kbit", "60kbit"] as [String?])
    func sums(guarantee: String?) throws {
        let parts = try (1...20).map { try part($0, rate: "64kbit", guarantee: $0 == 1 ? guarantee : nil) }
        let classes = try classes("64kbit", parts)
        let inner = classes.filter { $0.parent != nil }
        #expect(inner.count == 21)
        #expect(inner.map(\.bytesPerSecond).reduce(0, +) <= 8_000)
    }
}
