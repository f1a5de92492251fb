// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire

/// What waits for a rate waits in one of these where the kernel has them (`net/sched/sch_fq_codel.c`, RFC 8290):
///
/// | | | Why |
/// |---|---|---|
/// | target | what 1.5 frames take at the rate, at least 5 ms | less than a frame's time would always be exceeded (RFC 8290, 5.2) |
/// | interval | twenty times that, at least 100 ms | the target is 5 to 10 % of it (RFC 8289) |
/// | memory | the bytes that a plain queue would hold, or a few frames' worth | a flood that heeds nothing waits no longer |
/// | packets | never what decides | the memory does |
/// | quantum | 300 bytes below 50 Mbit/s, else a frame | small packets of a slow link go between large ones (RFC 8290, 5.2) |
/// | ECN | on | who sets it and heeds nothing fills its own flow's queue, and no other's |
extension FairQueue {
    /// In how many queues the flows of one endpoint are put: with 64 bytes for each and 4 more it is 9 KiB, where the kernel's own
    /// 1,024 are 70, for each of thousands of links.
    static let ownFlows: UInt32 = 128
    /// In how many those are that endpoints share: there is one such queue for all of them.
    static let sharedFlows: UInt32 = 1_024
    /// The bit rate below which small packets go between large ones.
    private static let slow: UInt64 = 50_000_000
    /// What a packet takes in memory besides its bytes: its description (`struct sk_buff`, `struct skb_shared_info`), and what its
    /// buffer is rounded up by. One of 1,500 bytes takes 2,304.
    private static let overhead: UInt64 = 1_024

    /// Works out a queue.
    ///
    /// - Parameters:
    ///   - bytesPerSecond: How fast it empties.
    ///   - frame: The largest frame, in bytes.
    ///   - queueBytes: What a plain queue would hold at that rate.
    ///   - flows: In how many queues flows are put.
    init(bytesPerSecond: UInt64, frame: UInt64, queueBytes: UInt64, flows: UInt32) {
        // Beyond half an hour the kernel's clock for this takes later for earlier.
        let frames = min(frame * 1_500_000 / max(1, bytesPerSecond), 50_000_000)
        let target = FairQueue.whole(max(5_000, frames))
        self.init(
            targetMicroseconds: UInt32(clamping: target),
            intervalMicroseconds: UInt32(clamping: FairQueue.whole(max(100_000, 20 * target))), packets: 65_536,
            memoryBytes: FairQueue.memory(queueBytes, frame: frame), flows: flows,
            quantumBytes: bytesPerSecond < FairQueue.slow / 8 ? 300 : UInt32(clamping: frame), marksCongestion: true)
    }

    /// The memory that what waits may take: as much as a plain queue would hold in bytes, so that no more bytes wait.
    ///
    /// A plain queue of few frames takes more memory than it holds bytes. So that no fewer frames wait, it is what up to
    /// sixteen of these take, if that is more. Below some 10 Mbit/s packets that nobody has segmented, and that pass at once,
    /// may thereby wait for up to two thirds longer.
    private static func memory(_ queueBytes: UInt64, frame: UInt64) -> UInt32 {
        // The kernel takes no more than two gibibytes.
        UInt32(clamping: min(max(queueBytes, min(queueBytes / frame, 16) * (frame + overhead)), 1 << 31))
    }

    /// A time, rounded up to one that the kernel tells as it was given.
    private static func whole(_ microseconds: UInt64) -> UInt64 { (microseconds + 127) / 128 * 128 }

    /// The same, but that packets may wait as long as they like.
    var patient: FairQueue {
        var queue = self
        queue.targetMicroseconds = 1_000_000_000
        return queue
    }
}
