// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Cuts what comes over TCP into messages: two bytes of length before each (RFC 1035, section 4.2.2; RFC 7766).
public struct DNSStreamFramer: Sendable {
    /// What has come; before `start` it was taken.
    private var pending: [UInt8] = []
    private var start = 0

    /// Starts with nothing.
    public init() {}

    /// The number of bytes that wait for the rest of a message.
    public var pendingCount: Int { pending.count - start }

    /// Takes what has come.
    public mutating func append(_ bytes: some Sequence<UInt8>) {
        pending.removeFirst(start)
        start = 0
        pending.append(contentsOf: bytes)
    }

    /// Whether a message is there whole.
    public var hasMessage: Bool { nextEnd != nil }

    /// Where the next message ends, once it is whole.
    private var nextEnd: Int? {
        guard pendingCount >= 2 else { return nil }
        let end = start + 2 + Int(pending[start]) << 8 + Int(pending[start + 1])
        return pending.count >= end ? end : nil
    }

    /// The next message that is there whole.
    public mutating func next() -> [UInt8]? {
        guard let end = nextEnd else { return nil }
        defer { start = end }
        return Array(pending[(start + 2)..<end])
    }

    /// A message with its length before it, or `nil` if it is too long.
    public static func framed(_ message: [UInt8]) -> [UInt8]? {
        guard let count = UInt16(exactly: message.count) else { return nil }
        return [UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)] + message
    }
}
