// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

/// How connections get source addresses of a run.
enum SourceSpread {
    /// The most rules that choose by chance. A larger run is cut into so many, within which the kernel chooses by the
    /// endpoint's address and the destination's.
    static let mostRules: UInt128 = 64

    /// What the rules end with that give connections a source address, one rule behind the other.
    ///
    /// An endpoint keeps its address as long as the run is the same: what it talks to may care. So it has that one's ports
    /// and no more, unless each connection has one by chance.
    static func translations(_ first: IPAddress, _ last: IPAddress, isPerConnection: Bool) -> [[Statement]] {
        guard first != last else { return [[.anonymousCounter, .sourceTranslation(TranslationTarget(first))]] }
        guard isPerConnection else {
            return [[.anonymousCounter, .sourceTranslation(target(first, last, isPersistent: true))]]
        }
        let parts = parts(first, last)
        return parts.enumerated().map { index, part in
            // Of those that are left, each has the same chance; the last one takes what comes to it.
            let left = UInt32(parts.count - index)
            let chance: [Statement] = left == 1 ? [] : [.equal(.randomNumber(below: left), 0)]
            return chance + [.anonymousCounter, .sourceTranslation(part)]
        }
    }

    /// Single addresses, or runs of about the same size.
    private static func parts(_ first: IPAddress, _ last: IPAddress) -> [TranslationTarget] {
        let distance = last.rawValue - first.rawValue
        let count = min(distance, mostRules - 1) + 1
        let (size, rest) = distance.quotientAndRemainder(dividingBy: count)
        return (0..<Int(count)).map { place in
            let number = UInt128(place)
            let lower = first.rawValue + number * size + min(number, rest + 1)
            let upper = lower + size - (number <= rest ? 0 : 1)
            return target(
                IPAddress(family: first.family, rawValue: lower), IPAddress(family: first.family, rawValue: upper),
                isPersistent: false)
        }
    }

    private static func target(_ first: IPAddress, _ last: IPAddress, isPersistent: Bool) -> TranslationTarget {
        guard first != last, let run = TranslationTarget(first, last, isPersistent: isPersistent) else {
            return TranslationTarget(first)
        }
        return run
    }
}
