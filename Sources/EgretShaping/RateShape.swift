// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlinkWire

/// A rate as a token bucket holds to it.
///
/// What passes at once after a pause is what the rate carries in 10 ms, and what waits is what it carries in 25 ms: less
/// makes the rate inexact, more makes a ping wait behind a transfer. Where that is less than a few packets, it is those.
/// Where the kernel has `fq_codel`, what waits does so in one of these, and a ping hardly behind a transfer at all.
/// `docs/benchmarks.md` has what was measured.
public struct RateShape: Hashable, Sendable {
    /// The bucket.
    public let bucket: TokenBucket
    /// The queue within it, where the kernel has such queues; `nil` for whatever is there.
    public let leaf: FairQueue?

    /// The bytes of a link layer's header (Ethernet with one tag of IEEE 802.1Q).
    static let header: UInt64 = 18

    /// Takes a bucket, and what is within it, as they are.
    init(_ bucket: TokenBucket, leaf: FairQueue? = nil) {
        self.bucket = bucket
        self.leaf = leaf
    }

    /// Works out a bucket.
    ///
    /// - Parameters:
    ///   - bitsPerSecond: The rate on the wire, link-layer headers included.
    ///   - burst: How many bytes pass at once; `nil` for what the rate carries in 10 ms. Never less than one packet.
    ///   - mtu: The link's largest packet, in bytes.
    public init(bitsPerSecond: UInt64, burst: UInt64? = nil, mtu: UInt32) {
        let rate = max(1, bitsPerSecond / 8)
        let frame = UInt64(mtu) + RateShape.header
        let burst = max(burst ?? rate / 100, frame)
        let queue = max(rate / 40, 4 * frame)
        bucket = TokenBucket(
            bytesPerSecond: rate,
            burstBytes: UInt32(clamping: burst),
            queueBytes: UInt32(clamping: queue + burst)
        )
        leaf = FairQueue(
            bytesPerSecond: rate, frame: frame, queueBytes: UInt64(bucket.queueBytes), flows: FairQueue.ownFlows)
    }
}
