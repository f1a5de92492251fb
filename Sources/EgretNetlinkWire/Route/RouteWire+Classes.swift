// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A class of a queueing discipline with classes (`htb`).
public struct QueueClass: Hashable, Sendable {
    /// The lower half of its number.
    public var number: UInt16
    /// The class that it lies within; `nil` for none.
    public var parent: UInt16?
    /// What it gets at least, in bytes a second.
    public var bytesPerSecond: UInt64
    /// What it never passes, in bytes a second.
    public var ceilingBytesPerSecond: UInt64
    /// How many bytes of its own pass at once.
    public var burstBytes: UInt64
    /// How many bytes pass at once in all.
    public var ceilingBurstBytes: UInt64
    /// How many bytes it sends when it is its turn to borrow.
    public var quantum: UInt32
    /// Who borrows first: 0 before 7.
    public var priority: UInt8

    /// Creates a description.
    public init(
        number: UInt16, parent: UInt16?, bytesPerSecond: UInt64, ceilingBytesPerSecond: UInt64, burstBytes: UInt64,
        ceilingBurstBytes: UInt64, quantum: UInt32, priority: UInt8
    ) {
        self.number = number
        self.parent = parent
        self.bytesPerSecond = bytesPerSecond
        self.ceilingBytesPerSecond = ceilingBytesPerSecond
        self.burstBytes = burstBytes
        self.ceilingBurstBytes = ceilingBurstBytes
        self.quantum = quantum
        self.priority = priority
    }

    /// The time that some bytes take at a rate, in the kernel's ticks of 64 ns (`PSCHED_SHIFT`).
    fileprivate static func ticks(_ bytes: UInt64, at bytesPerSecond: UInt64) -> UInt32 {
        let (time, overflows) = bytes.multipliedReportingOverflow(by: 1_000_000_000 / 64)
        return overflows ? .max : UInt32(clamping: time / max(1, bytesPerSecond))
    }
}

/// A class of a queueing discipline with classes, as the kernel tells of it.
public struct ClassRecord: Hashable, Sendable {
    /// The lower half of its number.
    public var number: UInt16
    /// The class that it lies within; `nil` for none.
    public var parent: UInt16?
    /// The number of the queueing discipline in which its packets wait; 0 for none.
    public var queue: UInt32
    /// What it gets at least, in bytes a second.
    public var bytesPerSecond: UInt64?
    /// What it never passes, in bytes a second.
    public var ceilingBytesPerSecond: UInt64?

    /// Creates a record.
    public init(
        number: UInt16, parent: UInt16?, queue: UInt32, bytesPerSecond: UInt64? = nil,
        ceilingBytesPerSecond: UInt64? = nil
    ) {
        self.number = number
        self.parent = parent
        self.queue = queue
        self.bytesPerSecond = bytesPerSecond
        self.ceilingBytesPerSecond = ceilingBytesPerSecond
    }
}

extension RouteWire {
    /// Gives a link a queueing discipline with classes at its root (`htb`), in place of whatever is there under another
    /// number. It has no classes yet.
    ///
    /// - Parameters:
    ///   - index: The link.
    ///   - handle: The number that it gets.
    ///   - rest: The class of packets that no priority leads elsewhere; where there is none, they pass.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func createClassTree(link index: UInt32, handle: UInt32, rest: UInt16, sequence: UInt32)
        throws(WireError) -> [UInt8]
    {
        let flags = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.replace
        return try request(TrafficControlMessage.newDiscipline, flags, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle, parent: UInt32.max)
            try writer.putString(1, "htb")
            try writer.nest(2) { (writer) throws(WireError) in
                // TCA_HTB_INIT, `struct tc_htb_glob`: version, rate2quantum, defcls, debug, direct_pkts.
                let words = [3, 10, UInt32(rest), 0, 0] as [UInt32]
                try writer.putBytes(2, words.flatMap { ByteOrder.hostBytes($0, count: 4) })
            }
        }
    }

    /// Gives a tree of classes a class, or changes one that is there in place.
    public static func setClass(_ item: QueueClass, link index: UInt32, tree handle: UInt32, sequence: UInt32)
        throws(WireError) -> [UInt8]
    {
        let flags = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.replace
        return try request(TrafficControlMessage.newClass, flags, sequence) { (writer) throws(WireError) in
            let parent = handle | UInt32(item.parent ?? 0)
            writer.appendTrafficHeader(link: index, handle: handle | UInt32(item.number), parent: parent)
            try writer.putString(1, "htb")
            try writer.nest(2) { (writer) throws(WireError) in
                // TCA_HTB_PARMS, `struct tc_htb_opt`: rate, ceil (`struct tc_ratespec`), buffer, cbuffer, quantum, level,
                // prio.
                var parameters = NetlinkWriter.rateSpecification(item.bytesPerSecond)
                parameters += NetlinkWriter.rateSpecification(item.ceilingBytesPerSecond)
                let words = [
                    QueueClass.ticks(item.burstBytes, at: item.bytesPerSecond),
                    QueueClass.ticks(item.ceilingBurstBytes, at: item.ceilingBytesPerSecond), item.quantum, 0,
                    UInt32(item.priority),
                ]
                parameters += words.flatMap { ByteOrder.hostBytes($0, count: 4) }
                try writer.putBytes(1, parameters)
                // TCA_HTB_RATE64 and TCA_HTB_CEIL64, for what 32 bits do not hold.
                if item.bytesPerSecond > UInt64(UInt32.max) {
                    try writer.putBytes(6, ByteOrder.hostBytes(item.bytesPerSecond, count: 8))
                }
                if item.ceilingBytesPerSecond > UInt64(UInt32.max) {
                    try writer.putBytes(7, ByteOrder.hostBytes(item.ceilingBytesPerSecond, count: 8))
                }
            }
        }
    }

    /// Takes a class, in which no others lie, from a tree; what waits in it is lost.
    public static func deleteClass(_ number: UInt16, link index: UInt32, tree handle: UInt32, sequence: UInt32)
        throws(WireError) -> [UInt8]
    {
        try request(TrafficControlMessage.deleteClass, NetlinkFlag.acknowledge, sequence) {
            (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle | UInt32(number), parent: 0)
        }
    }

    /// Asks for the classes of a link.
    public static func classesRequest(link index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.getClass, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: 0, parent: 0)
        }
    }

    /// Decodes `RTM_NEWTCLASS`; `nil` if it is of another tree.
    public static func decodeClass(_ message: NetlinkMessage, tree: UInt32) throws(WireError) -> ClassRecord? {
        var (header, attributes) = try message.headerAndAttributes(20, "class header")
        _ = try header.readHost(UInt32.self, "class header")
        _ = try header.readHost(UInt32.self, "class header")
        let handle = try header.readHost(UInt32.self, "class header")
        let parent = try header.readHost(UInt32.self, "class header")
        let queue = try header.readHost(UInt32.self, "class header")
        guard handle & 0xffff_0000 == tree else { return nil }
        let isRoot = parent == UInt32.max || parent & 0xffff == 0
        var record = ClassRecord(
            number: UInt16(truncatingIfNeeded: handle), parent: isRoot ? nil : UInt16(truncatingIfNeeded: parent),
            queue: queue)
        for option in try attributes.first(where: { $0.type == 2 })?.attributes() ?? [] {
            switch option.type {
            // `struct tc_htb_opt`: the rate of its first `struct tc_ratespec` at 8, that of the second at 20.
            case 1 where option.payload.count >= 24:
                let (own, ceiling) = (option.payload.dropFirst(8).prefix(4), option.payload.dropFirst(20).prefix(4))
                record.bytesPerSecond = record.bytesPerSecond ?? UInt64(ByteOrder.host(own, as: UInt32.self))
                record.ceilingBytesPerSecond =
                    record.ceilingBytesPerSecond ?? UInt64(ByteOrder.host(ceiling, as: UInt32.self))
            case 6: record.bytesPerSecond = try option.host(UInt64.self)
            case 7: record.ceilingBytesPerSecond = try option.host(UInt64.self)
            default: break
            }
        }
        return record
    }
}
