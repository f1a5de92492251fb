// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A named quota (`NFT_OBJECT_QUOTA`, `quota NAME { over N bytes }`), shared by every rule that names it.
///
/// It matches once more than its bytes have come by. Every packet that asks it uses of it, whatever becomes of the packet.
/// Adding it again sets its bytes and keeps what is used.
public struct Quota: Hashable, Sendable {
    /// The name, unique among the table's quotas.
    public var name: String
    /// How many bytes, from the network header to the end, pass before it matches.
    public var bytes: UInt64
    /// How many of them are used when it comes. What is used later is the kernel's.
    public var used: UInt64

    /// Creates a quota.
    public init(_ name: String, bytes: UInt64, used: UInt64 = 0) {
        self.name = name
        self.bytes = bytes
        self.used = used
    }
}
