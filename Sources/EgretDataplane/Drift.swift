// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables

/// A difference between a program and what the kernel holds.
public struct Drift: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong with the object.
    public enum Kind: String, Hashable, Sendable {
        /// The kernel does not have it.
        case missing
        /// The kernel has it, but not as the program says.
        case changed
    }

    /// What is wrong.
    public var kind: Kind
    /// The object, in nft's words: `chain inet egret from-egret0`.
    public var object: String

    /// `chain inet egret from-egret0 is missing`.
    public var description: String { "\(object) \(kind == .missing ? "is missing" : "has changed")" }
}

extension [RuleRecord] {
    /// Whether these are the rules, in this order.
    func hold(_ rules: [Rule]) -> Bool {
        map { NftablesWire.normalised($0.expressions) } == rules.map { try? NftablesWire.lower($0.statements) }
    }
}

extension Set {
    /// The contents as elements, by key.
    var sortedElements: [SetElement] {
        let elements: [SetElement] =
            switch contents {
            case .elements(let elements): elements
            case .ipv4Intervals(let intervals, let verdicts):
                intervals.map { interval in
                    SetElement(
                        UInt128(interval.lowerBound),
                        UInt128(interval.upperBound),
                        verdict: verdicts.isEmpty ? nil : verdicts[Int(interval.verdictIndex)]
                    )
                }
            case .ipv6Intervals(let intervals, let verdicts):
                intervals.map { interval in
                    SetElement(
                        interval.lowerBound,
                        interval.upperBound,
                        verdict: verdicts.isEmpty ? nil : verdicts[Int(interval.verdictIndex)]
                    )
                }
            }
        return elements.sorted()
    }
}
