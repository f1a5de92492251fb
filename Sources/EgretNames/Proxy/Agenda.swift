// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Questions and when something is due about them, where what comes later is due later.
struct Agenda {
    private var entries: [(at: UInt64, question: UInt64)] = []
    /// How many of them are over.
    private var done = 0

    /// When the next is due, in milliseconds; `nil` if there is none.
    var first: UInt64? { done < entries.count ? entries[done].at : nil }

    /// Notes a question that is due at a time, not before those that are noted.
    mutating func append(_ question: UInt64, at: UInt64) { entries.append((at, question)) }

    /// Takes the next question whose time has come; `nil` if there is none.
    mutating func next(dueBy now: UInt64) -> UInt64? {
        if let at = first, at <= now {
            defer { done += 1 }
            return entries[done].question
        }
        // Where half of them are over, the others are moved: each is once on the whole.
        if done > entries.count / 2 {
            entries.removeFirst(done)
            done = 0
        }
        return nil
    }
}
