// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A transaction as bytes: one nf_tables batch, `BATCH_BEGIN` to `BATCH_END`.
///
/// The whole batch must reach the kernel in one `sendmsg`, so the socket's send buffer (`SO_SNDBUFFORCE`) must be
/// larger than ``bytes``. Every message has its own sequence number. Only the last message before `BATCH_END` asks
/// for an acknowledgement; errors come for any message, and for `BATCH_BEGIN` when the commit itself fails. All
/// of them are queued on the socket before `sendmsg` returns. The batch is committed if the acknowledgement came
/// and no error did.
public struct EncodedBatch: Hashable, Sendable {
    /// The bytes.
    public let bytes: [UInt8]
    /// The sequence number of `BATCH_BEGIN`.
    public let firstSequence: UInt32
    /// The sequence number of `BATCH_END`.
    public let lastSequence: UInt32
    /// For each step, the number of messages before its first one, `BATCH_BEGIN` not counted.
    private let stepStarts: [UInt32]

    init(bytes: [UInt8], firstSequence: UInt32, messageCount: UInt32, stepStarts: [UInt32]) {
        self.bytes = bytes
        self.firstSequence = firstSequence
        lastSequence = firstSequence &+ messageCount &+ 1
        self.stepStarts = stepStarts
    }

    /// The bytes of a batch whose sender is told the ruleset's new number (`NFT_MSG_NEWGEN`), before the acknowledgement, if the
    /// batch gives it one: one that adds nothing but what is there does not.
    ///
    /// For that the kernel looks for `NLM_F_ECHO` at the first message behind the beginning.
    public var echoedBytes: [UInt8] {
        if isEmpty { return bytes }
        // Behind `BATCH_BEGIN`, which is netlink's header of 16 bytes and nfnetlink's of 4, and behind length and type.
        let place = 26..<28
        let flags = ByteOrder.host(bytes[place], as: UInt16.self) | NetlinkFlag.echo
        var echoed = bytes
        echoed.replaceSubrange(place, with: ByteOrder.hostBytes(flags, count: 2))
        return echoed
    }

    /// Whether there is nothing to do. Such a batch need not be sent.
    public var isEmpty: Bool { stepStarts.isEmpty }

    /// The sequence number of the message that asks for an acknowledgement; `nil` in an empty batch.
    public var acknowledgedSequence: UInt32? { isEmpty ? nil : lastSequence &- 1 }

    /// Whether a message with this sequence number answers the batch.
    public func contains(sequence: UInt32) -> Bool {
        sequence &- firstSequence <= lastSequence &- firstSequence
    }

    /// The place, in the transaction's steps, of the step that a sequence number belongs to.
    ///
    /// `nil` for `BATCH_BEGIN`, `BATCH_END` and sequence numbers outside the batch.
    public func stepIndex(forSequence sequence: UInt32) -> Int? {
        let place = sequence &- firstSequence
        guard place >= 1, place < lastSequence &- firstSequence else { return nil }
        var low = 0
        var high = stepStarts.count
        while low < high {
            let middle = (low + high) / 2
            if stepStarts[middle] < place { low = middle + 1 } else { high = middle }
        }
        return low > 0 ? low - 1 : nil
    }
}
