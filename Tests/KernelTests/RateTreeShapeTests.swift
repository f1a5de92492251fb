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

    @Test("a burst for everything holds beside parts: the total, the rest and parts without a rate let it pass")
    func bursts() throws {
        let total = TrafficLimit(rate: BitRate("10Mbit"), burst: ByteCount("1MB"))
        let limits = try [part(1, guarantee: "1Mbit"), part(2, rate: "1Mbit"), total]
        let shape = TrafficShape(try RateTree(limits, .egress, groups: [:]), mtu: 1_500)
        guard case .tree(let tree)? = shape else {
            Issue.record("there are parts, and no classes")
            return
        }
        let outermost = try #require(tree.classes.first { $0.parent == nil })
        #expect(outermost.burstBytes == 1_000_000 && outermost.ceilingBurstBytes == 1_000_000)
        let inner = tree.classes.filter { $0.parent != nil }
        // The rest and the part that is guaranteed something pass it; the part with a rate has its own burst.
        #expect(inner.map(\.ceilingBurstBytes).sorted() == [1_518, 1_000_000, 1_000_000])
        // Of their own, they have what their guarantees carry in 10 ms, at least a frame.
        #expect(inner.allSatisfy { $0.burstBytes == 1_518 })
    }

    @Test("a burst of a rate that endpoints share holds")
    func sharedBurst() throws {
        let limit = TrafficLimit(scope: .policy, rate: BitRate("10Mbit"), burst: ByteCount("1MB"), policy: "p")
        let candidates = (1...2).map { PoolTree.Candidate(number: $0, network: "n", limits: [limit], groups: [:]) }
        let shared = try PoolTree(candidates, .egress)
        let pool = try #require(PoolShaper.Pool(shared, links: [1: 11, 2: 12], mtu: 1_500))
        #expect(pool.tree.classes.map(\.burstBytes) == [1_000_000])
        #expect(pool.tree.classes.map(\.ceilingBurstBytes) == [1_000_000])
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
