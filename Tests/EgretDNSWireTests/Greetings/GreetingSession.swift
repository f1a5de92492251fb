// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire

/// A reader with a caller as it should be: what has passed, which names were said, and how it ended.
struct GreetingSession {
    var reader = SpokenNameReader()
    /// A slice, as in the caller: its first place is not zero.
    var pending: ArraySlice<UInt8> = []
    var passed: [UInt8] = []
    var names: [SpokenName] = []
    var isOpaque = false
    var absence: Greeting.Absence?

    init(_ allowed: Set<GreetingProtocol> = Set(GreetingProtocol.allCases)) { reader = SpokenNameReader(allowed) }

    /// Feeds bytes in pieces, and lets pass whatever the names.
    init(_ bytes: [UInt8], pieces: Int = .max) {
        self.init()
        feed(bytes, pieces: pieces)
    }

    mutating func feed(_ bytes: [UInt8], pieces: Int = .max) {
        var rest = bytes[...]
        while !rest.isEmpty {
            pending += rest.prefix(pieces)
            rest = rest.dropFirst(pieces)
            settle()
        }
    }

    mutating func settle() {
        while absence == nil {
            switch reader.next(pending) {
            case .needsMore, .awaitsServer: return
            case .name(let name, let count, _):
                names.append(name)
                pass(count)
            case .pass(let count): pass(count)
            case .opaque:
                isOpaque = true
                return pass(pending.count)
            case .none(let absence): self.absence = absence
            }
        }
    }

    mutating func answer(_ bytes: [UInt8]) {
        reader.serverAnswered(with: bytes)
        settle()
    }

    private mutating func pass(_ count: Int) {
        passed += pending.prefix(count)
        pending.removeFirst(count)
    }

    /// The names alone.
    var spoken: [String] { names.map(\.name) }
}
