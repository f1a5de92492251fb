// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import Testing

/// What is asked for has the form in which the kernel tells of it: the same headers and attributes.
@Suite("queues, classes and filters")
struct QueueingTests {
    private func message(_ bytes: [UInt8]) throws -> NetlinkMessage {
        try #require(try NetlinkMessage.parse(bytes).first)
    }

    @Test("a class is told of with its place, its queue and its rates, also those beyond 32 bits")
    func classes() throws {
        var item = QueueClass(
            number: 18, parent: 1, bytesPerSecond: 1_000, ceilingBytesPerSecond: 20_000_000_000, burstBytes: 1_600,
            ceilingBurstBytes: 200_000_000, quantum: 1_518, priority: 3)
        let tree: UInt32 = 0xe9e8_0000
        var found = try #require(
            try RouteWire.decodeClass(
                message(RouteWire.setClass(item, link: 7, tree: tree, sequence: 1)), tree: tree))
        #expect(
            found
                == ClassRecord(
                    number: 18, parent: 1, queue: 0, bytesPerSecond: 1_000, ceilingBytesPerSecond: 20_000_000_000))
        item.parent = nil
        found = try #require(
            try RouteWire.decodeClass(
                message(RouteWire.setClass(item, link: 7, tree: tree, sequence: 1)), tree: tree))
        #expect(found.parent == nil)
        let others = try message(RouteWire.setClass(item, link: 7, tree: 0x10000, sequence: 1))
        #expect(try RouteWire.decodeClass(others, tree: tree) == nil)
    }

    @Test("a filter says where it leads, and one of another place is nobody's")
    func redirections() throws {
        let filter = try message(RouteWire.redirect(link: 7, through: 3_000_000, preference: 59_879, sequence: 1))
        #expect(try RouteWire.decodeRedirection(filter, preference: 59_879) == 3_000_000)
        #expect(try RouteWire.decodeRedirection(filter, preference: 1) == nil)
        let removal = try message(RouteWire.deleteRedirection(link: 7, preference: 59_879, sequence: 1))
        #expect(try RouteWire.decodeRedirection(removal, preference: 59_879) == nil)
    }

    @Test("what a queue has counted is read, also more packets than 32 bits hold")
    func counts() throws {
        func host<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            (0..<MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
        }
        func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
            host(UInt16(payload.count + 4)) + host(type) + payload
        }
        let basic = attribute(1, host(UInt64(9_000_000_000)) + host(UInt32(4_711)) + host(UInt32(0)))
        let queue = attribute(3, [3, 4_542, 17, 1, 99].flatMap { host(UInt32($0)) })
        let bucket = TokenBucket(bytesPerSecond: 125_000, burstBytes: 1_600, queueBytes: 9_000)
        func record(_ statistics: [UInt8]) throws -> QueueingRecord? {
            var bytes = try RouteWire.setTokenBucket(bucket, link: 7, sequence: 1) + statistics
            bytes.replaceSubrange(0..<4, with: host(UInt32(bytes.count)))
            return try RouteWire.decodeQueueingDiscipline(message(bytes))
        }
        func counts(_ statistics: [UInt8]) throws -> QueueingCounts? { try record(statistics)?.counts }
        var expected = QueueingCounts()
        (expected.packets, expected.bytes, expected.dropped, expected.waitingBytes) = (4_711, 9_000_000_000, 17, 4_542)
        #expect(try counts(attribute(7, basic + queue)) == expected)
        expected.packets = 5_000_000_000
        #expect(try counts(attribute(7, attribute(8, host(UInt64(5_000_000_000))) + basic + queue)) == expected)
        #expect(try counts([]) == nil)
        // What is too short says nothing, and the queue is there all the same; what is not there is not nothing.
        let short = attribute(1, [1, 2, 3, 4])
        for statistics in [short, short + queue, basic + attribute(3, [1, 2, 3, 4]), basic, queue, []] {
            #expect(try record(attribute(7, statistics)) == record([]))
        }
        #expect(try record([])?.bytesPerSecond == 125_000)
        // Attributes that cannot be told apart are an error, here as elsewhere.
        for torn in [Array(basic.dropLast(5)), host(UInt16(3)) + host(UInt16(1)), [1, 2, 3]] {
            #expect(throws: WireError.self) { try record(attribute(7, torn)) }
        }
    }

    @Test("the queue of a class is told from one at a link's root, and from those of other trees")
    func classQueues() throws {
        let tree: UInt32 = 0xe9e8_0000
        let bucket = TokenBucket(bytesPerSecond: 125_000, burstBytes: 1_600, queueBytes: 9_000)
        let queue = try message(
            RouteWire.setTokenBucket(bucket, link: 7, handle: 0x1000_0000, parent: tree | 0x1000, sequence: 1))
        let found = try #require(try RouteWire.decodeClassQueue(queue, tree: tree))
        #expect([UInt64(found.link), UInt64(found.number)] == [7, 0x1000])
        #expect(found.counts == nil)
        #expect(try RouteWire.decodeClassQueue(queue, tree: 0x10000) == nil)
        #expect(try RouteWire.decodeQueueingDiscipline(queue) == nil)
        for parent in [UInt32.max, tree] {
            let root = try message(RouteWire.setTokenBucket(bucket, link: 7, parent: parent, sequence: 1))
            #expect(try RouteWire.decodeClassQueue(root, tree: tree) == nil)
        }
    }

    /// What `linux/pkt_sched.h` and `linux/rtnetlink.h` say that a request about a fair queue looks like.
    private func fairQueueBytes(flags: UInt16, _ values: [(UInt16, UInt32)]) -> [UInt8] {
        func host<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
            (0..<MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value >> Value($0 * 8)) }
        }
        // `struct tcmsg`: family, index, handle, parent, information. TCA_KIND is 1, TCA_OPTIONS 2 (a nest).
        var body = [0, 7, 0xe9e9_0000, 0xe9e7_0001, 0].flatMap { host(UInt32($0)) }
        for part in [host(UInt16(13)), host(UInt16(1)), Array("fq_codel".utf8), [0, 0, 0, 0]] { body += part }
        for part in [host(UInt16(values.count * 8 + 4)), host(UInt16(0x8002))] { body += part }
        for (type, value) in values {
            for part in [host(UInt16(8)), host(type), host(value)] { body += part }
        }
        // RTM_NEWQDISC is 36.
        let header = [host(UInt32(body.count + 16)), host(UInt16(36)), host(flags), host(UInt32(5)), host(UInt32(0))]
        return header.flatMap { $0 } + body
    }

    @Test("a fair queue is made and changed as the kernel's headers say, and told of as it was asked for")
    func fairQueues() throws {
        let queue = FairQueue(
            targetMicroseconds: 18_304, intervalMicroseconds: 366_080, packets: 65_536, memoryBytes: 12_710, flows: 128,
            quantumBytes: 300, marksCongestion: true)
        let (handle, parent): (UInt32, UInt32) = (0xe9e9_0000, 0xe9e7_0001)
        // TCA_FQ_CODEL_TARGET, _LIMIT, _INTERVAL, _ECN, _QUANTUM and _MEMORY_LIMIT; _FLOWS is for new ones alone.
        let values: [(UInt16, UInt32)] = [(1, 18_304), (2, 65_536), (3, 366_080), (4, 1), (6, 300), (9, 12_710)]
        let made = try RouteWire.createFairQueue(queue, link: 7, handle: handle, parent: parent, sequence: 5)
        // NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE.
        #expect(made == fairQueueBytes(flags: 0x705, values + [(5, 128)]))
        let changed = try RouteWire.changeFairQueue(queue, link: 7, handle: handle, parent: parent, sequence: 5)
        #expect(changed == fairQueueBytes(flags: 0x105, values))
        let found = try RouteWire.decodeFairQueue(message(made))
        #expect(found == FairQueueRecord(link: 7, parent: parent, queue: queue))
        let others = try [
            RouteWire.createFairQueue(queue, link: 7, handle: handle, parent: UInt32.max, sequence: 5),
            RouteWire.createFairQueue(queue, link: 7, handle: handle, parent: 0xe9e7_0000, sequence: 5),
            RouteWire.setTokenBucket(
                TokenBucket(bytesPerSecond: 1, burstBytes: 1, queueBytes: 1), link: 7, parent: parent, sequence: 5),
        ]
        for other in others {
            let record = try RouteWire.decodeFairQueue(message(other))
            #expect(record == nil)
        }
        // It is nothing at a root, and no class's bucket.
        #expect(try RouteWire.decodeQueueingDiscipline(message(made)) == nil)
        #expect(try RouteWire.decodeClassQueue(message(made), tree: 0xe9e8_0000) == nil)
        let bytes = try RouteWire.deleteQueueingDiscipline(link: 7, handle: handle, parent: parent, sequence: 5)
        let removal = try message(bytes)
        #expect(removal.type == 37)
        #expect(Array(removal.payload.dropFirst(12).prefix(4)) == [1, 0, 0xe7, 0xe9])
    }

    @Test("a place for filters is told from a queue")
    func places() throws {
        let place = try message(RouteWire.addClassifyingPlace(link: 7, sequence: 1))
        #expect(try RouteWire.decodeClassifyingPlace(place) == 7)
        #expect(try RouteWire.decodeQueueingDiscipline(place) == nil)
        let bucket = TokenBucket(bytesPerSecond: 125_000, burstBytes: 1_600, queueBytes: 9_000)
        let queue = try message(RouteWire.setTokenBucket(bucket, link: 7, sequence: 1))
        #expect(try RouteWire.decodeClassifyingPlace(queue) == nil)
        #expect(try RouteWire.decodeQueueingDiscipline(queue)?.bytesPerSecond == 125_000)
    }
}
