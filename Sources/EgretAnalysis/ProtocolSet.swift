// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// A set of IP protocols, a bit each.
struct ProtocolSet: Hashable, Sendable {
    static let everything = ProtocolSet(words: (.max, .max, .max, .max))

    private var first: UInt64
    private var second: UInt64
    private var third: UInt64
    private var fourth: UInt64

    private init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (first, second, third, fourth) = words
    }

    init() {
        self.init(words: (0, 0, 0, 0))
    }

    var isEmpty: Bool { first | second | third | fourth == 0 }

    func contains(_ number: IPProtocol) -> Bool {
        word(number.rawValue >> 6) >> UInt64(number.rawValue & 63) & 1 == 1
    }

    mutating func insert(_ number: IPProtocol) {
        let bit: UInt64 = 1 << UInt64(number.rawValue & 63)
        switch number.rawValue >> 6 {
        case 0: first |= bit
        case 1: second |= bit
        case 2: third |= bit
        default: fourth |= bit
        }
    }

    mutating func remove(_ number: IPProtocol) {
        var bit = ProtocolSet()
        bit.insert(number)
        self = subtracting(bit)
    }

    func union(_ other: ProtocolSet) -> ProtocolSet {
        ProtocolSet(words: (first | other.first, second | other.second, third | other.third, fourth | other.fourth))
    }

    func intersection(_ other: ProtocolSet) -> ProtocolSet {
        ProtocolSet(words: (first & other.first, second & other.second, third & other.third, fourth & other.fourth))
    }

    func subtracting(_ other: ProtocolSet) -> ProtocolSet {
        ProtocolSet(
            words: (first & ~other.first, second & ~other.second, third & ~other.third, fourth & ~other.fourth))
    }

    /// The protocols, by number.
    var members: [IPProtocol] {
        (0...UInt8.max).map { IPProtocol(rawValue: $0) }.filter(contains)
    }

    private func word(_ index: UInt8) -> UInt64 {
        switch index {
        case 0: first
        case 1: second
        case 2: third
        default: fourth
        }
    }
}
