// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlinkWire
public import EgretNftables

extension NetlinkConnection {
    /// Encodes a transaction and commits it, all or nothing. An empty transaction is not sent.
    ///
    /// - Throws: ``NetlinkError`` with every refused step; `.malformed` if the transaction has no bytes.
    public func apply(_ transaction: Transaction) throws(NetlinkError) {
        let batch: EncodedBatch
        do {
            batch = try NftablesWire.encode(transaction, firstSequence: nextSequence)
        } catch {
            throw NetlinkError(error, Subject(operation: "encode", object: "\(transaction.steps.count) nftables steps"))
        }
        try apply(batch, describing: transaction)
    }

    /// Sends a batch and waits until the kernel has committed or refused it.
    ///
    /// - Parameters:
    ///   - batch: Encoded with sequence numbers from ``nextSequence`` on.
    ///   - transaction: What it was encoded from, to say which steps were refused.
    /// - Throws: ``NetlinkError`` with every refused step. Nothing of the batch has happened then, except with
    ///   `.overrun` and `.timedOut`, where it is not known.
    public func apply(_ batch: EncodedBatch, describing transaction: Transaction) throws(NetlinkError) {
        guard let last = batch.acknowledgedSequence else { return }
        let whole = Subject(operation: "commit", object: "\(transaction.steps.count) nftables steps")
        try send(batch.bytes, lastSequence: batch.lastSequence, whole)
        var failures: [NetlinkError.StepFailure] = []
        var isAnswered = false
        while !isAnswered {
            let messages: [NetlinkMessage]
            do {
                messages = try receive(whole)
            } catch {
                guard let first = failures.first else { throw error }
                throw NetlinkConnection.error(first, failures)
            }
            for message in messages where message.type == NetlinkControl.error {
                guard batch.contains(sequence: message.sequence) else {
                    dropStale()
                    continue
                }
                let answer = try acknowledgement(message, whole)
                if !answer.isSuccess {
                    failures.append(failure(answer, batch.stepIndex(forSequence: message.sequence), transaction, whole))
                }
                // An error on the batch's first message is about the whole of it: the commit failed, or the batch
                // was not even looked at, and then no acknowledgement follows.
                isAnswered = isAnswered || message.sequence == last || message.sequence == batch.firstSequence
            }
        }
        if let first = failures.first { throw NetlinkConnection.error(first, failures) }
    }

    private func failure(
        _ answer: NetlinkAcknowledgement,
        _ index: Int?,
        _ transaction: Transaction,
        _ whole: Subject
    ) -> NetlinkError.StepFailure {
        let step = index.flatMap { transaction.steps.indices.contains($0) ? transaction.steps[$0] : nil }
        return NetlinkError.StepFailure(
            stepIndex: index,
            operation: step?.operation.verb ?? whole.operation,
            object: step?.object ?? whole.object,
            errorNumber: answer.errorNumber,
            kernelMessage: answer.text
        )
    }

    private static func error(
        _ first: NetlinkError.StepFailure,
        _ failures: [NetlinkError.StepFailure]
    ) -> NetlinkError {
        let subject = Subject(operation: first.operation, object: first.object)
        var error = NetlinkError(errorNumber: first.errorNumber, subject, first.kernelMessage)
        error.stepFailures = failures
        return error
    }
}
