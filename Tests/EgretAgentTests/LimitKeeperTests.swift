// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

/// What the tables of limits keep when endpoints go.
@Suite("keeping the tables of limits", .serialized, .requiresRoot)
struct LimitKeeperTests {
    private func run(_ command: String) throws -> String {
        let output = try RunningProgram(["sh", "-c", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
        return output.standardOutput
    }

    private func member(_ number: Int, queue: UInt32) throws -> LimitProgram.Member {
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("example.test")], rate: BitRate("1Mbit"), policy: "p")
        let tree = try RateTree([limit], .egress, groups: [:])
        let name = try #require(InterfaceName("leaf\(number)"))
        let index = UInt32(try #require(Interface.index(named: name.rawValue)))
        return LimitProgram.Member(
            number: number, linkIndex: index, attachment: .link(name, index: index), addresses: [], network: "n",
            limits: [limit], groups: [:], shares: [.egress: tree.shares], queueIndex: queue)
    }

    @Test("an interface that takes its chain with it takes nothing of what the limits of others know")
    func departure() throws {
        try OwnThread.run { try depart() }
    }

    private func depart() throws {
        try Namespace.unshare([.network])
        _ = try run("ip link add queue type ifb; for n in 1 2 3; do ip link add leaf$n type ifb; done")
        let queue = UInt32(try #require(Interface.index(named: "queue")))
        let first = try member(1, queue: queue)
        let second = try member(2, queue: queue)
        let third = try member(3, queue: queue)
        let frames = LimitProgram.frameTable
        let keeper = LimitKeeper(Dataplane(try NetlinkConnection.netfilter()))
        try keeper.take(LimitProgram([first, second], logGroup: 7))
        #expect(keeper.emptied.contains(frames))
        let alone = LimitProgram([first], logGroup: 7)
        let named = alone.namedSets.first { $0.table == frames && $0.set.family == .ipv4 }
        let set = try #require(named?.set.name)
        _ = try run("nft add element netdev egret-limits \(set) '{ 198.51.100.10 timeout 60s }'")
        // As older kernels do, on every one; another endpoint comes with the same change.
        let chain = "chain netdev egret-limits endpoint-2"
        _ = try run("nft flush \(chain) && nft delete \(chain) && ip link delete leaf2")
        try keeper.change(to: LimitProgram([first, third], logGroup: 7))
        #expect(keeper.emptied.isEmpty)
        let listing = try run("nft list table netdev egret-limits")
        #expect(listing.contains("198.51.100.10") && listing.contains("endpoint-3"), "\(listing)")
        #expect(!listing.contains("names4-\(second.linkIndex ?? 0)-"), "\(listing)")
        try keeper.change(to: alone)
        #expect(keeper.emptied.isEmpty)
        #expect(try run("nft list table netdev egret-limits").contains("198.51.100.10"))
        let drift = try keeper.drift()
        #expect(drift.isEmpty, "\(drift)")
    }
}
