// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A queue in which every flow waits by itself, and none for long (`fq_codel`, RFC 8290).
public struct FairQueue: Hashable, Sendable {
    /// How long packets of a flow may wait for good, in microseconds: while it is longer, packets are dropped or marked.
    ///
    /// The kernel keeps times in units of 1.024 microseconds. Only multiples of 128 are told as they were given.
    public var targetMicroseconds: UInt32
    /// How long they may before the first is, in microseconds.
    public var intervalMicroseconds: UInt32
    /// How many packets wait at most.
    public var packets: UInt32
    /// How much memory what waits takes at most, in bytes: a packet takes more than it is long.
    public var memoryBytes: UInt32
    /// In how many queues flows are put, by a hash. It stays as the queue was made.
    public var flows: UInt32
    /// How many bytes a flow sends at a turn: at least 256.
    public var quantumBytes: UInt32
    /// Whether packets of flows that understand it are marked in place of being dropped (ECN).
    public var marksCongestion: Bool

    /// Creates a description.
    public init(
        targetMicroseconds: UInt32, intervalMicroseconds: UInt32, packets: UInt32, memoryBytes: UInt32, flows: UInt32,
        quantumBytes: UInt32, marksCongestion: Bool
    ) {
        self.targetMicroseconds = targetMicroseconds
        self.intervalMicroseconds = intervalMicroseconds
        self.packets = packets
        self.memoryBytes = memoryBytes
        self.flows = flows
        self.quantumBytes = quantumBytes
        self.marksCongestion = marksCongestion
    }
}

/// A fair queue within another queueing discipline, as the kernel tells of it.
public struct FairQueueRecord: Hashable, Sendable {
    /// The link.
    public var link: UInt32
    /// The class that it is the queue of: of a token bucket, the one class 1.
    public var parent: UInt32
    /// What it is like.
    public var queue: FairQueue

    /// Creates a record.
    public init(link: UInt32, parent: UInt32, queue: FairQueue) {
        self.link = link
        self.parent = parent
        self.queue = queue
    }
}

/// `TCA_FQ_CODEL_*` of `linux/pkt_sched.h`: all are 32 bits in the machine's byte order.
private enum FairQueueOption {
    static let target: UInt16 = 1
    static let limit: UInt16 = 2
    static let interval: UInt16 = 3
    static let marking: UInt16 = 4
    static let flows: UInt16 = 5
    static let quantum: UInt16 = 6
    static let memoryLimit: UInt16 = 9
}

extension RouteWire {
    /// The kind's name.
    private static let fairQueue = "fq_codel"

    /// Makes a fair queue the queue of a class, in place of whatever is there under another number.
    ///
    /// One that is there under this number, of whatever kind, is refused as `EEXIST`, and a kernel that does not know the kind
    /// answers `ENOENT`, as it does if there is no such class.
    ///
    /// - Parameters:
    ///   - queue: What it is to be like.
    ///   - index: The link.
    ///   - handle: The number that it gets.
    ///   - parent: The class that it is the queue of.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func createFairQueue(
        _ queue: FairQueue, link index: UInt32, handle: UInt32, parent: UInt32, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.newDiscipline, create | NetlinkFlag.replace, sequence) {
            (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle, parent: parent)
            try writer.putString(1, fairQueue)
            try writer.nest(2) { (writer) in
                writer.putFairQueue(queue)
                writer.putHost(FairQueueOption.flows, queue.flows)
            }
        }
    }

    /// Changes a fair queue in place: all but the number of its flows.
    ///
    /// What waits beyond its bounds then is dropped. None under this number is answered by `ENOENT`, one of another kind by
    /// `EINVAL`.
    ///
    /// - Parameters:
    ///   - queue: What it is to be like.
    ///   - index: The link.
    ///   - handle: Its number.
    ///   - parent: The class that it is the queue of.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func changeFairQueue(
        _ queue: FairQueue, link index: UInt32, handle: UInt32, parent: UInt32, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let flags = NetlinkFlag.acknowledge | NetlinkFlag.replace
        return try request(TrafficControlMessage.newDiscipline, flags, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle, parent: parent)
            try writer.putString(1, fairQueue)
            try writer.nest(2) { (writer) in writer.putFairQueue(queue) }
        }
    }

    /// Decodes `RTM_NEWQDISC` about a fair queue within another discipline; `nil` for others, and for one at a link's root.
    public static func decodeFairQueue(_ message: NetlinkMessage) throws(WireError) -> FairQueueRecord? {
        var (header, attributes) = try message.headerAndAttributes(20, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let link = try header.readHost(UInt32.self, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let parent = try header.readHost(UInt32.self, "queueing header")
        guard parent & 0xffff != 0, parent != UInt32.max,
            attributes.first(where: { $0.type == 1 })?.string() == fairQueue,
            let options = try attributes.first(where: { $0.type == 2 })?.attributes()
        else { return nil }
        var queue = FairQueue(
            targetMicroseconds: 0, intervalMicroseconds: 0, packets: 0, memoryBytes: 0, flows: 0, quantumBytes: 0,
            marksCongestion: false)
        for option in options {
            switch option.type {
            case FairQueueOption.target: queue.targetMicroseconds = try option.host(UInt32.self)
            case FairQueueOption.limit: queue.packets = try option.host(UInt32.self)
            case FairQueueOption.interval: queue.intervalMicroseconds = try option.host(UInt32.self)
            case FairQueueOption.marking: queue.marksCongestion = try option.host(UInt32.self) != 0
            case FairQueueOption.flows: queue.flows = try option.host(UInt32.self)
            case FairQueueOption.quantum: queue.quantumBytes = try option.host(UInt32.self)
            case FairQueueOption.memoryLimit: queue.memoryBytes = try option.host(UInt32.self)
            default: break
            }
        }
        return FairQueueRecord(link: link, parent: parent, queue: queue)
    }
}

extension NetlinkWriter {
    /// What of a fair queue may change.
    fileprivate mutating func putFairQueue(_ queue: FairQueue) {
        putHost(FairQueueOption.target, queue.targetMicroseconds)
        putHost(FairQueueOption.limit, queue.packets)
        putHost(FairQueueOption.interval, queue.intervalMicroseconds)
        putHost(FairQueueOption.marking, UInt32(queue.marksCongestion ? 1 : 0))
        putHost(FairQueueOption.quantum, queue.quantumBytes)
        putHost(FairQueueOption.memoryLimit, queue.memoryBytes)
    }
}
