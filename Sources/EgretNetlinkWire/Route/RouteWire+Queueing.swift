// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A token bucket: what passes at once, how fast it fills again, and how much waits.
public struct TokenBucket: Hashable, Sendable {
    /// How fast the bucket fills, in bytes.
    public var bytesPerSecond: UInt64
    /// How much the bucket holds, in bytes: at least the largest packet of the link.
    public var burstBytes: UInt32
    /// How much waits at most, in bytes; the rest is dropped.
    public var queueBytes: UInt32

    /// Creates a description.
    public init(bytesPerSecond: UInt64, burstBytes: UInt32, queueBytes: UInt32) {
        self.bytesPerSecond = bytesPerSecond
        self.burstBytes = burstBytes
        self.queueBytes = queueBytes
    }
}

/// What a queueing discipline has let pass and dropped since it was made, and what waits in it.
public struct QueueingCounts: Hashable, Sendable {
    /// Packets that have passed.
    public var packets: UInt64 = 0
    /// Bytes of those, as the link carries them.
    public var bytes: UInt64 = 0
    /// Packets for which there was no place, there or in the queue within. The kernel counts them in 32 bits.
    public var dropped: UInt64 = 0
    /// Bytes that wait.
    public var waitingBytes: UInt64 = 0

    /// Nothing has come by.
    public init() {}
}

/// A queueing discipline at a link's root, as the kernel tells of it.
public struct QueueingRecord: Hashable, Sendable {
    /// The link.
    public var link: UInt32
    /// Its number, by which whoever has made it knows it again: 1: is 0x10000.
    public var handle: UInt32
    /// Its kind, such as `tbf`.
    public var kind: String
    /// How fast its bucket fills, in bytes a second, if it is a token bucket.
    public var bytesPerSecond: UInt64?
    /// How much waits at most, in bytes, if it is a token bucket.
    public var queueBytes: UInt32?
    /// What it has counted; `nil` if the message does not say.
    public var counts: QueueingCounts?
}

/// The queue of a class, as the kernel tells of it.
public struct ClassQueueRecord: Hashable, Sendable {
    /// The link.
    public var link: UInt32
    /// The class that it is the queue of.
    public var number: UInt16
    /// What it has counted; `nil` if the message does not say.
    public var counts: QueueingCounts?
}

extension RouteWire {
    /// Gives a link a queueing discipline of this kind at its root, without options.
    ///
    /// A kernel that does not know the kind answers `ENOENT`; one that does takes it, or misses its options, `EINVAL`.
    public static func addQueueingDiscipline(_ kind: String, link index: UInt32, sequence: UInt32) throws(WireError)
        -> [UInt8]
    {
        try request(TrafficControlMessage.newDiscipline, create, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: 0x0001_0000)
            // TCA_KIND.
            try writer.putString(1, kind)
        }
    }

    /// Gives a link a token bucket at its root (`tbf`), in place of whatever is there.
    ///
    /// - Parameters:
    ///   - bucket: Its rate, burst and queue.
    ///   - index: The link.
    ///   - handle: The number that it gets. One that is there under this number changes in place.
    ///   - parent: The class that it is the queue of; without one, it is at the root.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func setTokenBucket(
        _ bucket: TokenBucket, link index: UInt32, handle: UInt32 = 0x0001_0000, parent: UInt32 = UInt32.max,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        let flags = NetlinkFlag.acknowledge | NetlinkFlag.create | NetlinkFlag.replace
        return try request(TrafficControlMessage.newDiscipline, flags, sequence) { (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle, parent: parent)
            try writer.putString(1, "tbf")
            try writer.nest(2) { (writer) throws(WireError) in
                // TCA_TBF_PARMS, `struct tc_tbf_qopt`: two `struct tc_ratespec`, then limit, buffer and mtu.
                var parameters = NetlinkWriter.rateSpecification(bucket.bytesPerSecond)
                parameters += [UInt8](repeating: 0, count: 12)
                for word in [bucket.queueBytes, 0, 0] as [UInt32] { parameters += ByteOrder.hostBytes(word, count: 4) }
                try writer.putBytes(1, parameters)
                // TCA_TBF_BURST, and TCA_TBF_RATE64 for what 32 bits do not hold.
                writer.putHost(6, bucket.burstBytes)
                if bucket.bytesPerSecond > UInt64(UInt32.max) {
                    try writer.putBytes(4, ByteOrder.hostBytes(bucket.bytesPerSecond, count: 8))
                }
            }
        }
    }

    /// Takes the queueing discipline with this number from a link's root; the link gets what it had before any.
    ///
    /// - Parameters:
    ///   - index: The link.
    ///   - handle: The number.
    ///   - parent: The class that it is the queue of, which has none then and drops what comes; without one, it is at the root.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func deleteQueueingDiscipline(
        link index: UInt32, handle: UInt32, parent: UInt32 = UInt32.max, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.deleteDiscipline, NetlinkFlag.acknowledge, sequence) {
            (writer) throws(WireError) in
            writer.appendTrafficHeader(link: index, handle: handle, parent: parent)
        }
    }

    /// Asks for the queueing disciplines of all links.
    public static func queueingDisciplinesRequest(sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(TrafficControlMessage.getDiscipline, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.append([UInt8](repeating: 0, count: 20))
        }
    }

    /// Decodes `RTM_NEWQDISC`; `nil` for what is not at a link's root.
    public static func decodeQueueingDiscipline(_ message: NetlinkMessage) throws(WireError) -> QueueingRecord? {
        var (header, attributes) = try message.headerAndAttributes(20, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let link = try header.readHost(UInt32.self, "queueing header")
        let handle = try header.readHost(UInt32.self, "queueing header")
        let parent = try header.readHost(UInt32.self, "queueing header")
        guard parent == UInt32.max, let kind = attributes.first(where: { $0.type == 1 })?.string() else { return nil }
        var record = QueueingRecord(link: link, handle: handle, kind: kind)
        record.counts = try queueingCounts(attributes)
        guard kind == "tbf", let options = try attributes.first(where: { $0.type == 2 })?.attributes() else {
            return record
        }
        for option in options {
            switch option.type {
            // `struct tc_tbf_qopt`: the rate of its first `struct tc_ratespec` at 8, the limit at 24.
            case 1 where option.payload.count >= 28:
                let bytes = option.payload
                let rate = ByteOrder.host(bytes.dropFirst(8).prefix(4), as: UInt32.self)
                record.bytesPerSecond = record.bytesPerSecond ?? UInt64(rate)
                record.queueBytes = ByteOrder.host(bytes.dropFirst(24).prefix(4), as: UInt32.self)
            case 4: record.bytesPerSecond = try option.host(UInt64.self)
            default: break
            }
        }
        return record
    }

    /// Decodes `RTM_NEWQDISC` about the queue of a class; `nil` for one of another tree, or of none.
    public static func decodeClassQueue(
        _ message: NetlinkMessage, tree: UInt32
    ) throws(WireError) -> ClassQueueRecord? {
        var (header, attributes) = try message.headerAndAttributes(20, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let link = try header.readHost(UInt32.self, "queueing header")
        _ = try header.readHost(UInt32.self, "queueing header")
        let parent = try header.readHost(UInt32.self, "queueing header")
        guard parent & 0xffff_0000 == tree, parent & 0xffff != 0 else { return nil }
        return ClassQueueRecord(
            link: link, number: UInt16(truncatingIfNeeded: parent), counts: try queueingCounts(attributes))
    }

    /// What `TCA_STATS2` says; `nil` if it is not there, or does not say what has passed and what was dropped.
    ///
    /// Values that are too short are left out, as those of other options are: a queue is there whatever is counted of it, and what
    /// is not known is not nothing. Attributes that cannot be told apart are an error, as in every message.
    private static func queueingCounts(_ attributes: [NetlinkAttribute]) throws(WireError) -> QueueingCounts? {
        guard let statistics = try attributes.first(where: { $0.type == 7 })?.attributes() else { return nil }
        var counts = QueueingCounts()
        var (hasPassed, hasQueue) = (false, false)
        var allPackets: UInt64?
        for item in statistics {
            let bytes = item.payload
            switch item.type {
            // `struct gnet_stats_basic`: bytes in 64 bits, packets in 32.
            case 1 where bytes.count >= 12:
                counts.bytes = ByteOrder.host(bytes.prefix(8), as: UInt64.self)
                counts.packets = UInt64(ByteOrder.host(bytes.dropFirst(8).prefix(4), as: UInt32.self))
                hasPassed = true
            // `struct gnet_stats_queue`: packets and bytes that wait, and packets that were dropped.
            case 3 where bytes.count >= 12:
                counts.waitingBytes = UInt64(ByteOrder.host(bytes.dropFirst(4).prefix(4), as: UInt32.self))
                counts.dropped = UInt64(ByteOrder.host(bytes.dropFirst(8).prefix(4), as: UInt32.self))
                hasQueue = true
            // `TCA_STATS_PKT64`: there where 32 bits do not hold the packets.
            case 8 where bytes.count >= 8: allPackets = ByteOrder.host(bytes.prefix(8), as: UInt64.self)
            default: break
            }
        }
        if let allPackets { counts.packets = allPackets }
        return hasPassed && hasQueue ? counts : nil
    }

    /// Makes a link that needs nothing but its kind, such as `ifb`. It is down. A kernel that does not know the kind
    /// answers `EOPNOTSUPP`.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - kind: Its kind.
    ///   - address: Its hardware address; `nil` for the kernel's choice.
    ///   - mtu: The largest packet, in bytes; `nil` for the kernel's choice.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func createLink(
        _ name: String, kind: String, address: MACAddress? = nil, mtu: UInt32? = nil, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, create, sequence) { (writer) throws(WireError) in
            // `struct ifinfomsg`.
            writer.append([UInt8](repeating: 0, count: 16))
            try writer.putString(Ifla.name, name)
            if let address { try writer.putBytes(Ifla.address, address.octets) }
            if let mtu { writer.putHost(Ifla.mtu, mtu) }
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoKind, kind)
            }
        }
    }
}
