// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNftables
import EgretPolicy
import EgretShaping
import Testing

@Suite("a thousand endpoints with limits", .serialized, .requiresRoot)
struct LimitScaleTests {
    private static let count = 1_000

    private static func limits(_ rate: String) throws -> [TrafficLimit] {
        let cidr = Destination.block(AddressBlock(try #require(IPPrefix("198.51.100.0/24"))))
        return [
            TrafficLimit(rate: BitRate("20Mbit"), policy: "p"),
            TrafficLimit(destinations: [cidr], rate: BitRate(rate), policy: "p"),
            TrafficLimit(connections: 100, newConnections: EventRate("20/s"), policy: "p"),
        ]
    }

    private static func members(_ links: [UInt32], _ shaper: EndpointShaper, _ limits: [TrafficLimit]) throws
        -> [LimitProgram.Member]
    {
        let shares: [TrafficDirection: [RateTree.Share]] = [
            .egress: try RateTree(limits, .egress, groups: [:]).shares,
            .ingress: try RateTree(limits, .ingress, groups: [:]).shares,
        ]
        return try links.enumerated().map { number, link in
            LimitProgram.Member(
                number: number, attachment: .link(try #require(InterfaceName("end\(number)")), index: link),
                addresses: [], network: "n", limits: limits, groups: [:], shares: shares,
                queueIndex: shaper.queue(of: link))
        }
    }

    private static func rates(_ links: [UInt32], _ limits: [TrafficLimit]) throws -> [UInt32: EndpointRates] {
        let rates = EndpointRates(
            egress: TrafficShape(try RateTree(limits, .egress, groups: [:]), mtu: 1_500),
            ingress: TrafficShape(try RateTree(limits, .ingress, groups: [:]), mtu: 1_500))
        return Dictionary(uniqueKeysWithValues: links.map { ($0, rates) })
    }

    /// The link of every change of queues and their classes that was heard of (`tcm_ifindex` of `struct tcmsg`).
    private static func changedLinks(_ events: NetlinkConnection) throws -> [UInt32] {
        let (messages, someWereLost) = try events.pendingEvents()
        #expect(!someWereLost)
        return try messages.map { message in
            var header = ByteReader(message.payload)
            _ = try header.readHost(UInt32.self, "family")
            return try header.readHost(UInt32.self, "link")
        }
    }

    @Test("all have their queues and counts, another process finds them so, and a change of one writes to one alone")
    func many() throws {
        let bench = try KernelBench(endpoints: 0)
        var links: [UInt32] = []
        for number in 0..<LimitScaleTests.count {
            try bench.route.request("make a link") { sequence throws(WireError) in
                try RouteWire.createLink("end\(number)", kind: "ifb", sequence: sequence)
            }
        }
        let dump = try bench.route.dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        links = try dump.map { try RouteWire.decodeLink($0) }.filter { $0.name.hasPrefix("end") }.map(\.index)
        #expect(links.count == LimitScaleTests.count)
        let shaper = EndpointShaper(bench.route)
        let limits = try LimitScaleTests.limits("2Mbit")
        let wanted = try LimitScaleTests.rates(links, limits)
        let clock = ContinuousClock()
        var program = LimitProgram([], logGroup: 7)
        let all = try clock.measure {
            try shaper.prepare(wanted)
            program = LimitProgram(try LimitScaleTests.members(links, shaper, limits), logGroup: 7)
            for table in program.programs { try bench.dataplane.install([], on: table) }
        }
        #expect(all < .seconds(60), "\(all)")
        #expect(try bench.dataplane.drift(of: program.programs).isEmpty)
        // Whoever comes next finds the queues, and makes none anew.
        let next = EndpointShaper(bench.route)
        try next.prepare(wanted)
        #expect(links.allSatisfy { next.queue(of: $0) == shaper.queue(of: $0) })
        #expect(try next.drift() == [])
        let counts = try next.counts()
        #expect(counts.count == 2 * LimitScaleTests.count && Swift.Set(counts.map(\.link)) == Swift.Set(links))
        #expect(counts.allSatisfy { $0.dropped == 0 && $0.waitingBytes == 0 })
        var other = wanted
        let changed = try LimitScaleTests.rates([links[500]], LimitScaleTests.limits("3Mbit"))
        other.merge(changed) { $1 }
        let events = try bench.host.onOwnThread {
            try NetlinkConnection.routeEvents(groups: [RouteGroup.trafficControl], receiveBuffer: 4 << 20)
        }
        try next.prepare(other)
        let written = try LimitScaleTests.changedLinks(events)
        #expect(written.count > 0 && written.count < 20, "\(written)")
        #expect(Swift.Set(written).isSubset(of: [links[500], try #require(next.queue(of: links[500]))]), "\(written)")
        // Where the link is gone, nothing is on its way that could be waited for.
        try bench.route.request("delete a link") { sequence throws(WireError) in
            try RouteWire.deleteLink(links[0], sequence: sequence)
        }
        var pauses = 0
        try next.release(except: other.filter { $0.key != links[0] }) { _ in pauses += 1 }
        #expect(pauses == 0 && next.queue(of: links[0]) == nil && next.queue(of: links[1]) != nil)
        let gone = try clock.measure { try next.release(except: [:]) { _ in pauses += 1 } }
        #expect(pauses == 1)
        #expect(gone < .seconds(60), "\(gone)")
        #expect(links.allSatisfy { next.queue(of: $0) == nil })
    }
}
