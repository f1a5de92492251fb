// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables
import Testing

@Suite("nftables trace")
struct TraceTests {
    private let table = Table(family: .inet, name: "t")

    private func events(_ bytes: [UInt8]) throws -> [TraceEvent] {
        let messages = try NetlinkMessage.parse(bytes)
        #expect(messages.allSatisfy(NftablesWire.isTrace))
        return try messages.map { try NftablesWire.decodeTrace($0) }
    }

    @Test("a packet is followed from the rule that traces it to the rule that drops it")
    func jumpAndDrop() throws {
        let events = try events(TraceCapture.jumpAndDrop)
        #expect(events.map(\.chain) == ["outbound", "outbound", "outbound", "inbound", "deny"])
        #expect(events.map(\.kind) == [.rule, .rule, .policy, .rule, .rule])
        let outcomes: [TraceEvent.Outcome] = [
            .next, .next, .verdict(.accept), .verdict(.jump("deny")), .verdict(.drop),
        ]
        #expect(events.map(\.outcome) == outcomes)
        #expect(events.map(\.ruleHandle) == [7, nil, nil, 5, 4])
        #expect(events.allSatisfy { $0.table == table && $0.networkProtocol == 2 })
        #expect(events[0].outputInterface == 1 && events[0].inputInterface == nil)
        #expect(events[3].inputInterface == 1 && events[3].outputInterface == nil)
        #expect(Swift.Set(events.prefix(3).map(\.packetID)).count == 1)
        let packet = try #require(PacketSummary.parse(events[3].packet))
        #expect(packet.destination == IPAddress("127.0.0.9") && packet.icmpType == 8 && packet.length == 36)
        #expect(events[4].packet == [])
    }

    @Test("a policy that drops is told with the packet's family")
    func policy() throws {
        let events = try events(TraceCapture.policy)
        let last = try #require(events.last)
        #expect(last.kind == .policy && last.outcome == .verdict(.drop) && last.chain == "inbound")
        #expect(last.ruleHandle == nil && last.networkProtocol == 10)
        let packet = try #require(PacketSummary.parse(events[0].packet))
        #expect(packet.transport == .icmpv6 && packet.icmpType == 128)
    }

    @Test(
        "a verdict of the kernel's own is told apart",
        arguments: [
            (UInt32(0x0005_0003), TraceEvent.Outcome.queue(5)), (2, .stolen), (UInt32.max, .next),
            (0xffff_fffe, .other(-2)),
        ])
    func outcomes(_ code: UInt32, _ outcome: TraceEvent.Outcome) throws {
        var bytes = Array(TraceCapture.jumpAndDrop.prefix(0x98))
        // The verdict's code is the only attribute of four bytes that is all ones.
        let place = try #require((0..<bytes.count - 3).first { bytes[$0..<$0 + 4].allSatisfy { $0 == 0xff } })
        for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: code >> (24 - 8 * UInt32(index))) }
        #expect(try events(bytes).map(\.outcome) == [outcome])
    }

    @Test("the statement that traces is nft's own")
    func statement() throws {
        #expect(NftText.render(Statement.trace) == "meta nftrace set 1")
        #expect(try NftablesWire.lower([.trace]) == [.immediate([1]), .setMeta(key: .trace)])
    }
}

@Suite("a packet's route")
struct RouteQueryTests {
    @Test("the route of a packet that comes in is asked for with its source, interface and mark")
    func request() throws {
        let addresses = ["8.8.8.8", "192.168.0.2", "::1"].compactMap { IPAddress($0) }
        try #require(addresses.count == 3)
        let (destination, source) = (addresses[0], addresses[1])
        let query = RouteQuery(to: destination, from: source, inputInterface: 3, mark: 5)
        let bytes = try RouteWire.routeRequest(query, sequence: 1)
        let message = try #require(try NetlinkMessage.parse(bytes).first)
        #expect(message.type == 26 && message.flags == NetlinkFlag.request | NetlinkFlag.acknowledge)
        #expect(Array(message.payload.prefix(8)) == [2, 32, 32, 0, 0, 0, 0, 0])
        let attributes = try NetlinkAttribute.parse(message.payload.dropFirst(12))
        #expect(attributes.map(\.type) == [1, 2, 3, 16])
        #expect(attributes.map { $0.payload.count } == [4, 4, 4, 4])
        #expect(Array(attributes[1].payload) == [192, 168, 0, 2])
        let other = RouteQuery(to: destination, from: addresses[2])
        #expect(throws: WireError.self) { try RouteWire.routeRequest(other, sequence: 1) }
    }
}
