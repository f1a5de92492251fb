// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@Suite("ctnetlink")
struct ConntrackTests {
    private func records(_ bytes: [UInt8]) throws -> [ConnectionRecord] {
        try NetlinkMessage.parse(bytes).map { try ConntrackWire.decode($0) }
    }

    @Test("connections of three protocols, with marks and counters")
    func connections() throws {
        let all = try records(ConntrackCapture.connections)
        #expect(all.allSatisfy { $0.mark == 0xabcd_0001 && $0.zone == 0 && $0.identifier != nil })
        let tcp = try #require(all.first { $0.original.transport == .tcp })
        #expect(tcp.original.sourcePort == 40_000 && tcp.original.destinationPort == 8080)
        #expect(tcp.reply.sourcePort == 8080 && tcp.reply.destinationPort == 40_000)
        #expect(tcp.status == [.seenReply, .assured, .confirmed] && tcp.tcpState == 7)
        var open = tcp
        #expect(tcp.isClosed)
        for state in UInt8(0)...9 {
            open.tcpState = state
            #expect(open.isClosed == (state == 7 || state == 8), "state \(state)")
        }
        open.tcpState = nil
        #expect(!open.isClosed)
        #expect(tcp.originalCounters?.packets == 5 && (tcp.originalCounters?.bytes ?? 0) > 100)
        let icmp = try #require(all.first { $0.original.transport == .icmp })
        #expect(icmp.original.icmpType == 8 && icmp.reply.icmpType == 0 && icmp.original.icmpCode == 0)
        #expect(icmp.original.icmpIdentifier == icmp.reply.icmpIdentifier && icmp.original.icmpIdentifier != nil)
        let icmpv6 = try #require(all.first { $0.original.transport == .icmpv6 })
        #expect(icmpv6.original.icmpType == 128 && icmpv6.reply.icmpType == 129)
        #expect(icmpv6.original.source == IPAddress("::1"))
    }

    @Test("events say what happened")
    func events() throws {
        func event(_ bytes: [UInt8]) throws -> ConnectionEvent {
            try ConntrackWire.decodeEvent(try #require(try NetlinkMessage.parse(bytes).first))
        }
        guard case .new(let new) = try event(ConntrackCapture.eventNew),
            case .update(let update) = try event(ConntrackCapture.eventUpdate),
            case .destroy(let destroy) = try event(ConntrackCapture.eventDestroy)
        else {
            Issue.record("an event of the wrong kind")
            return
        }
        #expect(new.original == update.original && new.original == destroy.original)
        #expect(!new.status.contains(.seenReply) && update.status.contains(.seenReply))
        #expect(destroy.status.contains(.dying))
        #expect(destroy.originalCounters == ConnectionCounters(packets: 1, bytes: 84))
    }

    @Test("a dump is asked for as conntrack(8) asks, with a mark and without")
    func dumpRequest() throws {
        let plain = try NetlinkMessage.parse(ConntrackWire.dumpRequest(sequence: 0))[0]
        let theirs = try NetlinkMessage.parse(ConntrackCapture.dumpRequest)[0]
        #expect(plain.type == theirs.type && plain.flags == theirs.flags && plain.payload.count == 4)
        let filter = ConntrackWire.MarkFilter(value: 0xabcd_0000, mask: 0xffff_0000)
        let filtered = try NetlinkMessage.parse(ConntrackWire.dumpRequest(mark: filter, sequence: 0))[0]
        let theirFilter = try NetlinkMessage.parse(ConntrackCapture.filteredDumpRequest)[0]
        let marks: (NetlinkMessage) throws -> [AttributeTree] = {
            try MessageTree($0, headerSize: 4).attributes.filter { $0.type == 8 || $0.type == 21 }
        }
        #expect(try marks(filtered) == marks(theirFilter))
        #expect(try marks(filtered).count == 2)
    }

    @Test("one connection is deleted by its tuple, as conntrack(8) does it")
    func deleteTuple() throws {
        let theirs = try NetlinkMessage.parse(ConntrackCapture.deleteTuple)[0]
        let tuple = try ConntrackWire.decode(theirs).original
        let mine = try NetlinkMessage.parse(ConntrackWire.deleteRequest(original: tuple, sequence: 0))[0]
        let original: (NetlinkMessage) throws -> [AttributeTree] = {
            try MessageTree($0, headerSize: 4).attributes.filter { $0.type == 1 }
        }
        #expect(try original(mine) == original(theirs))
        #expect(mine.type == theirs.type && mine.payload.first == 2)
    }

    @Test("a filter that fits every connection is refused")
    func emptyMask() {
        #expect(throws: WireError.self) {
            try ConntrackWire.deleteRequest(mark: .init(value: 0, mask: 0), sequence: 1)
        }
    }
}
