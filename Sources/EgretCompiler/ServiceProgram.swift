// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// What happens to each protocol, port and ICMP type of traffic to addresses that one list of rules covers.
struct ServiceProgram: Hashable, Sendable {
    /// What happens to the packets of one protocol.
    struct ProtocolProgram: Hashable, Sendable {
        /// A run of ports, or one ICMP type, and its effect.
        struct Case: Hashable, Sendable {
            var lower: UInt16
            var upper: UInt16
            var effect: Int
        }

        /// What differs from `otherwise`: sorted, apart.
        var cases: [Case]
        /// The effect on the rest of the protocol.
        var otherwise: Int
    }

    /// The protocols that differ from `otherwise`, by number.
    var protocols: [IPProtocol: ProtocolProgram]
    /// The effect on every other protocol.
    var otherwise: Int

    /// The single effect, if everything meets the same.
    var uniform: Int? { protocols.isEmpty ? otherwise : nil }

    /// - Parameters:
    ///   - active: The places in `rules.entries` of the rules that cover the addresses, rising.
    ///   - rules: The rules.
    init(active: [Int], in rules: RuleSequence) {
        let services = active.flatMap { rules.entries[$0].rule.services }
        let otherwise = rules.effect(active: active) { $0.services.isEmpty }
        self.otherwise = otherwise
        protocols = [:]
        for number in Swift.Set(services.map(\.protocol)) {
            let program = ServiceProgram.program(for: number, active: active, in: rules)
            if !program.cases.isEmpty || program.otherwise != otherwise { protocols[number] = program }
        }
    }

    private static func program(for number: IPProtocol, active: [Int], in rules: RuleSequence) -> ProtocolProgram {
        let relevant = active.filter { index in
            let services = rules.entries[index].rule.services
            return services.isEmpty || services.contains { $0.protocol == number }
        }
        let otherwise = rules.effect(active: relevant) { rule in
            rule.services.isEmpty || rule.services.contains(.any(number))
        }
        let largest = number.hasPorts ? UInt32(UInt16.max) : UInt32(UInt8.max)
        let pieces = relevant.flatMap { rules.entries[$0].rule.services }.compactMap { $0.piece(of: number) }
        let starts = Swift.Set(pieces.flatMap { [UInt32($0.lowerBound), UInt32($0.upperBound) + 1] })
            .filter { $0 <= largest }.sorted()
        var cases: [ProtocolProgram.Case] = []
        for (offset, start) in starts.enumerated() {
            let end = offset + 1 < starts.count ? starts[offset + 1] - 1 : largest
            let lower = UInt16(truncatingIfNeeded: start)
            let effect = rules.effect(active: relevant) { rule in
                rule.services.isEmpty || rule.services.contains { $0.covers(number, lower) }
            }
            if effect == otherwise { continue }
            if let last = cases.last, last.effect == effect, UInt32(last.upper) + 1 == start {
                cases[cases.count - 1].upper = UInt16(truncatingIfNeeded: end)
            } else {
                cases.append(.init(lower: lower, upper: UInt16(truncatingIfNeeded: end), effect: effect))
            }
        }
        return ProtocolProgram(cases: cases, otherwise: otherwise)
    }
}

extension Service {
    var `protocol`: IPProtocol {
        switch self {
        case .any(let number), .ports(let number, _), .icmp(let number, _): number
        }
    }

    /// The ports or the type that this entry singles out of the protocol; `nil` if it covers all of it or none.
    fileprivate func piece(of number: IPProtocol) -> PortRange? {
        switch self {
        case .ports(number, let ports): ports
        case .icmp(number, let type): PortRange(UInt16(type))
        default: nil
        }
    }

    /// Whether this entry covers the port or type.
    fileprivate func covers(_ number: IPProtocol, _ portOrType: UInt16) -> Bool {
        switch self {
        case .any(let other): other == number
        case .ports(let other, let ports): other == number && ports.contains(portOrType)
        case .icmp(let other, let type): other == number && UInt16(type) == portOrType
        }
    }
}
