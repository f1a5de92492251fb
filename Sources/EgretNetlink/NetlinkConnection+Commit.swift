// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlinkWire
public import EgretNftables
import Synchronization

extension NetlinkConnection {
    /// Commits a transaction: all of it, or nothing and an error. An empty transaction is not sent.
    ///
    /// Returns once the kernel has committed: every packet after that meets the new state.
    ///
    /// - Parameters:
    ///   - transaction: The changes.
    ///   - operation: What they are for, as a phrase for error messages.
    /// - Throws: ``NetlinkError`` that names the first step refused and lists them all. With `.overrun`, and no step
    ///   listed, it is not known whether the kernel committed.
    public func commit(_ transaction: Transaction, _ operation: String) throws(NetlinkError) {
        try gate.withLock { (_) throws(NetlinkError) in try commitAlone(transaction, operation) }
    }

    private func commitAlone(_ transaction: Transaction, _ operation: String) throws(NetlinkError) {
        let batch = try reserveSequences { (first) throws(NetlinkError) in
            do throws(WireError) {
                let batch = try NftablesWire.encode(transaction, firstSequence: first)
                return (batch, batch.lastSequence)
            } catch {
                throw NetlinkError(error, operation: operation)
            }
        }
        guard !batch.isEmpty else { return }
        // Where somebody counts, only what has moved the ruleset's number counts: one too many would leave room for a transaction of
        // somebody else's that nobody sees.
        let isEchoed = committed != nil
        var hasChanged = !isEchoed
        try send(isEchoed ? batch.echoedBytes : batch.bytes, operation)
        var refused: [NetlinkError.RefusedStep] = []
        var isAnswered = false
        while !isAnswered {
            let messages: [NetlinkMessage]
            do {
                messages = try receive(operation)
            } catch {
                // Every answer to a batch waits before `send` returns, so what is lost now stays lost.
                guard error.code == .overrun else { throw error }
                for message in try drain(operation) {
                    _ = try take(message, of: batch, transaction, operation, into: &refused)
                }
                throw NetlinkError(refused: refused, operation: operation) ?? error
            }
            for message in messages {
                if batch.contains(sequence: message.sequence), (try? NftablesWire.decodeGeneration(message)) != nil {
                    hasChanged = true
                }
                if try take(message, of: batch, transaction, operation, into: &refused) { isAnswered = true }
            }
        }
        if let error = NetlinkError(refused: refused, operation: operation) { throw error }
        if hasChanged { countCommit() }
    }

    /// Whether the kernel knows an nf_tables expression, by trying: for a namespace that is thrown away.
    ///
    /// - Parameter name: The expression's kernel name, such as `queue`.
    /// - Returns: `false` if the kernel says that there is none.
    /// - Throws: ``NetlinkError`` if it cannot be asked.
    public func knowsExpression(_ name: String) throws(NetlinkError) -> Bool {
        let operation = "try the expression \(name)"
        let trial = try reserveSequences { (first) throws(NetlinkError) in
            do throws(WireError) {
                let trial = try NftablesWire.trial(ofExpression: name, firstSequence: first)
                return (trial, trial.ruleSequence &+ 1)
            } catch {
                throw NetlinkError(error, operation: operation)
            }
        }
        try send(trial.bytes, operation)
        while true {
            for message in try receive(operation) where message.type == NetlinkControl.error {
                guard message.sequence == trial.ruleSequence else { continue }
                let answer = try decode(message, operation)
                return answer.isSuccess || Errno(rawValue: answer.errorNumber) != .noEntry
            }
        }
    }

    /// Notes what a message refuses, and returns whether it is the last answer to the batch: the acknowledgement, or
    /// an error about the batch as a whole, behind which none need follow.
    private func take(
        _ message: NetlinkMessage,
        of batch: EncodedBatch,
        _ transaction: Transaction,
        _ operation: String,
        into refused: inout [NetlinkError.RefusedStep]
    ) throws(NetlinkError) -> Bool {
        guard message.type == NetlinkControl.error, batch.contains(sequence: message.sequence) else { return false }
        let answer = try decode(message, operation)
        if !answer.isSuccess {
            let index = batch.stepIndex(forSequence: message.sequence)
            refused.append(
                NetlinkError.RefusedStep(
                    index: index,
                    phrase: index.map { transaction.steps[$0].phrase } ?? "",
                    errno: Errno(rawValue: answer.errorNumber),
                    kernelMessage: answer.text
                )
            )
        }
        return message.sequence == batch.acknowledgedSequence || message.sequence == batch.firstSequence
    }
}
