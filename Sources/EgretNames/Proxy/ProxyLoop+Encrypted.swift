// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire
import EgretLinux

/// Questions to servers over TLS. There is no way back from it to another: a server that cannot show who it is gets none.
extension ProxyLoop {
    /// Sends a question over TLS.
    func startEncrypted(_ question: inout PendingQuestion, _ id: UInt64, _ server: NameServer) -> Bool {
        if let reason = prepareEncrypted() {
            question.failure = reason
            return false
        }
        guard let encrypted else { return false }
        question.sentID = UInt16(truncatingIfNeeded: random.next())
        question.upstream = 0
        encrypted.ask(
            server, question.query(isPadded: true),
            EncryptedServers.Asked(question: id, attempt: question.attempt))
        return true
    }

    /// Takes what has come over TLS.
    func takeEncrypted() {
        for (asked, outcome) in encrypted?.takeOutcomes() ?? [] {
            guard var question = pending[asked.question], question.attempt == asked.attempt else { continue }
            switch outcome {
            case .answer(let bytes):
                if !take(bytes, asked.question, isOverStream: true) { nextAttempt(asked.question) }
            case .failure(let reason):
                question.failure = reason
                pending[asked.question] = question
                nextAttempt(asked.question)
            }
        }
    }
}
