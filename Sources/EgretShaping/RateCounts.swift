// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// What has become of the traffic that waits in one class of what endpoints share, since that class was made.
public struct SharedCounts: Hashable, Sendable {
    /// Whether it is what endpoints send, or what they are sent.
    public var direction: TrafficDirection
    /// The number of the class that packets wait in.
    public var number: UInt16
    /// Packets that have passed.
    public var packets: UInt64
    /// Bytes of those, as the link carries them.
    public var bytes: UInt64
    /// Packets that were too many: so many waited already that there was no place for them, or they had waited too long.
    public var dropped: UInt64
    /// Bytes that wait now.
    public var waitingBytes: UInt64

    /// Creates counts.
    public init(
        direction: TrafficDirection, number: UInt16, packets: UInt64, bytes: UInt64, dropped: UInt64,
        waitingBytes: UInt64
    ) {
        self.direction = direction
        self.number = number
        self.packets = packets
        self.bytes = bytes
        self.dropped = dropped
        self.waitingBytes = waitingBytes
    }
}

/// What has become of the traffic of an endpoint where it waits for the endpoint's own rate, since that place was made.
public struct RateCounts: Hashable, Sendable {
    /// The index of the host's end of the endpoint's link, or of the one of its links that it is known by.
    public var link: UInt32
    /// Whether it is what the endpoint sends, or what it is sent.
    public var direction: TrafficDirection
    /// Packets that have passed.
    public var packets: UInt64
    /// Bytes of those, as the link carries them.
    public var bytes: UInt64
    /// Packets that were too many: so many waited already that there was no place for them, or they had waited too long.
    public var dropped: UInt64
    /// Bytes that wait now.
    public var waitingBytes: UInt64

    /// Creates counts.
    public init(
        link: UInt32, direction: TrafficDirection, packets: UInt64, bytes: UInt64, dropped: UInt64,
        waitingBytes: UInt64
    ) {
        self.link = link
        self.direction = direction
        self.packets = packets
        self.bytes = bytes
        self.dropped = dropped
        self.waitingBytes = waitingBytes
    }
}
