// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlinkWire
import Synchronization

/// A batch of nf_tables messages as bytes, the last of which asks to be acknowledged.
///
/// The first message behind the beginning has the flag `NLM_F_ECHO`: if the batch changes anything, the kernel tells the sender the
/// ruleset's new number (`NFT_MSG_NEWGEN`) before it acknowledges. A batch of nothing but elements that are there already gives
/// the ruleset no other number.
public struct RawBatch: Sendable {
    /// The bytes.
    public var bytes: [UInt8]
    /// The sequence number of the first message.
    public var first: UInt32
    /// The number behind that of the last message.
    public var end: UInt32
    /// The number of the message that is acknowledged.
    public var acknowledged: UInt32

    /// Describes a batch.
    public init(bytes: [UInt8], first: UInt32, end: UInt32, acknowledged: UInt32) {
        self.bytes = bytes
        self.first = first
        self.end = end
        self.acknowledged = acknowledged
    }
}

/// Commits batches by the socket of a connection, in turn with the thread that uses the connection.
///
/// A table with an owner can be changed by way of its owner's socket alone.
public struct BatchSender: @unchecked Sendable {
    // The connection's gate is held whenever its socket, its numbers and its count are used.
    let connection: NetlinkConnection

    fileprivate init(_ connection: NetlinkConnection) { self.connection = connection }

    /// Has somebody told of each batch that has changed the ruleset. To be called before a second thread sends any.
    ///
    /// - Parameter note: Takes the number of such batches so far: at once, and then before the next one is sent, on the thread
    ///   that has sent it.
    public func tellBatches(to note: @escaping @Sendable (Int) -> Void) {
        connection.batchCommitted = note
        note(connection.batches)
    }

    /// Commits a batch: all of it, or nothing and an error. Waits for whatever the connection is at.
    ///
    /// - Parameters:
    ///   - operation: What it is for, as a phrase for error messages.
    ///   - build: Makes the batch with the first sequence number that it may use; it must not be empty.
    /// - Throws: ``NetlinkError`` with the kernel's first refusal.
    public func commit(_ operation: String, _ build: (UInt32) -> RawBatch) throws(NetlinkError) {
        try connection.gate.withLock { (_) throws(NetlinkError) in try connection.commitRaw(operation, build) }
    }
}

extension NetlinkConnection {
    /// What lets another thread commit by this connection's socket.
    public var batchSender: BatchSender { BatchSender(self) }

    fileprivate func commitRaw(_ operation: String, _ build: (UInt32) -> RawBatch) throws(NetlinkError) {
        let batch = try reserveSequences { (first) throws(NetlinkError) in
            let batch = build(first)
            return (batch, batch.end)
        }
        try send(batch.bytes, operation)
        var refusal: NetlinkAcknowledgement?
        var hasChanged = false
        while true {
            for message in try receive(operation) where message.sequence &- batch.first < batch.end &- batch.first {
                guard message.type == NetlinkControl.error else {
                    if (try? NftablesWire.decodeGeneration(message)) != nil { hasChanged = true }
                    continue
                }
                let answer = try decode(message, operation)
                if !answer.isSuccess, refusal == nil { refusal = answer }
                // The last message's answer is the last, and an error of the batch as a whole the only one.
                guard message.sequence == batch.acknowledged || !answer.isSuccess else { continue }
                if let refusal { throw NetlinkError(refusal, operation: operation) }
                if hasChanged { countBatch() }
                return
            }
        }
    }
}
