// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDNSWire
import EgretLinux

extension ProxyLoop {
    /// Takes an answer to a question.
    ///
    /// - Returns: `false` if these bytes are no answer to it, and it goes on waiting.
    func take(_ bytes: [UInt8], _ id: UInt64, isOverStream: Bool) -> Bool {
        guard let question = pending[id], let (message, layout) = try? DNSMessage.read(bytes) else { return false }
        switch check(message, question, isOverStream: isOverStream) {
        case .no: return false
        case .otherCase:
            // A server that does not keep letters' case, or somebody who guesses: a connection tells them apart.
            pending[id] = nil
            detach(question)
            var again = question
            again.isOverStream = true
            start(again, id)
            return true
        case .yes: break
        }
        pending[id] = nil
        detach(question)
        if question.servers.count > 1 { silentServers.noteAnswer(of: question.server, now: now) }
        if !asksPlainly(message, question, id, isOverStream: isOverStream), !passesOn(message, question, id) {
            judge(message, layout, bytes, question)
        }
        return true
    }

    /// Asks the same server again, once, without EDNS where it may not know that: then it answers FORMERR, or NOTIMP, and without
    /// EDNS too (RFC 6891, sections 6.2.2 and 7).
    ///
    /// A datagram that does not even repeat the question has nothing but the id to be known by. What it says is good for this
    /// question: whoever guesses one must not take EDNS, and with it signatures, from everybody's.
    private func asksPlainly(
        _ message: DNSMessage, _ question: PendingQuestion, _ id: UInt64, isOverStream: Bool
    ) -> Bool {
        let code = message.responseCode
        if question.plainServer == question.server {
            // It is the question that such a server does not understand, if it fails again.
            let isAnswer = code == .noError || code == .nameError
            if isAnswer, question.isPlainCertain { plainServers.note(question.server, now: now) }
            return false
        }
        guard question.isExtended, code == .formatError || code == .notImplemented, message.extended == nil,
            now < question.end, isCurrent(question)
        else { return false }
        var next = question
        next.plainServer = question.server
        next.isPlainCertain = isOverStream || !message.questions.isEmpty
        start(next, id)
        return true
    }

    /// Asks another server where this one says that it cannot answer, if there is one that has not said so.
    private func passesOn(_ message: DNSMessage, _ question: PendingQuestion, _ id: UInt64) -> Bool {
        guard message.isLeftToOthers, isCurrent(question) else { return false }
        var next = question
        next.failed.insert(question.server)
        guard next.passOn(now: now) else { return false }
        let reason = "\(question.server) answered \(message.responseCode), and another was asked"
        hooks.event(question.endpoint, .badAnswer(question.question.name, reason))
        start(next, id)
        return true
    }

    private enum Match {
        case yes
        case no
        case otherCase
    }

    /// Whether a message answers a question: id and question as they went out, letter by letter.
    private func check(_ message: DNSMessage, _ question: PendingQuestion, isOverStream: Bool) -> Match {
        guard message.id == question.sentID, message.flags.isResponse, message.flags.operation == 0 else { return .no }
        guard let echo = message.questions.first else {
            // Some servers answer what they do not understand without a question, and then without records.
            let code = message.flags.responseCode
            let isFailure = code != .noError && code != .nameError
            return isFailure && message.answers.isEmpty ? .yes : .no
        }
        guard message.questions.count == 1, echo.type == question.question.type,
            echo.recordClass == question.question.recordClass, echo.name == question.sentName
        else { return .no }
        return isOverStream || echo.name.isIdentical(to: question.sentName) ? .yes : .otherCase
    }

    private func judge(_ message: DNSMessage, _ layout: DNSLayout, _ bytes: [UInt8], _ question: PendingQuestion) {
        if message.flags.isTruncated, case .datagram = question.client {
            // What was cut is not used; the client asks again over TCP.
            return deliver(question.truncatedAnswer(), question)
        }
        guard !message.questions.isEmpty else { return refuse(question, message.flags.responseCode) }
        let judgment = registry.update(question.endpoint) { entry -> NameTable.AnswerJudgment? in
            guard entry.generation == question.generation else { return nil }
            return entry.table.answer(message, to: question.permission, now: now)
        }
        switch judgment ?? nil {
        case nil:
            // The rules have changed since: the client may ask again, under the new ones.
            refuse(question, .serverFailure)
        case .refuse(let code, let event):
            hooks.event(question.endpoint, event)
            if code == .refused {
                hooks.refusal(question.endpoint, event, question.destination, question.client.isStream)
            }
            refuse(question, code)
        case .pass(let passage):
            var answer: [UInt8]
            if var changed = passage.changed {
                changed.id = question.clientID
                changed.questions = [question.question]
                answer = (try? changed.encoded()) ?? question.answer(.serverFailure)
                if passage.longestLifetime < .max, let (_, layout) = try? DNSMessage.read(answer) {
                    DNSPatch.limitLifetimes(passage.longestLifetime, layout, in: &answer)
                }
            } else {
                answer = bytes
                DNSPatch.setID(question.clientID, in: &answer)
                DNSPatch.setQuestionName(question.question.name, in: &answer)
                DNSPatch.limitLifetimes(passage.longestLifetime, layout, in: &answer)
            }
            let gifts = AnswerGifts(grants: passage.grants, notes: passage.notes)
            ready.append(Ready(question: question, bytes: answer, gifts: gifts, events: passage.events))
        }
    }
}

extension DNSMessage {
    /// Whether the server says that it cannot answer, or not to this client, so that another might.
    ///
    /// Not if it says why no other should (RFC 8914): the signatures are wrong (6 to 12), or the name is blocked (15 to 17).
    fileprivate var isLeftToOthers: Bool {
        guard responseCode == .serverFailure || responseCode == .refused else { return false }
        return !(extended?.errors ?? []).contains { (6...12).contains($0) || (15...17).contains($0) }
    }
}
