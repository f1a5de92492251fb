// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// What happens to each protocol, port and ICMP type of traffic to addresses that one list of rules covers.
struct ServiceProgram: Hashable, Sendable {
    /// What happens to the packets of one protocol.
    struct ProtocolProgram: Hashable, Sendable {
        /// A run of ports, or one ICMP type, and its ruling.
        struct Case: Hashable, Sendable {
            var lower: UInt16
            var upper: UInt16
            var ruling: Ruling
        }

        /// What differs from `otherwise`: sorted, apart.
        var cases: [Case]
        /// The ruling on the rest of the protocol.
        var otherwise: Ruling
    }

    /// The protocols that differ from `otherwise`, by number.
    var protocols: [IPProtocol: ProtocolProgram]
    /// The ruling on every other protocol.
    var otherwise: Ruling

    /// The single outcome, if everything meets the same.
    var uniform: Ruling? { protocols.isEmpty ? otherwise : nil }

    /// - Parameters:
    ///   - active: The places in `rules.entries` of the rules that cover the addresses, rising.
    ///   - isForwarded: Whether the packets pass through: names lead to other machines only.
    ///   - rules: The rules.
    init(active: [Int], isForwarded: Bool = true, in rules: RuleSequence) {
        var services = active.flatMap { rules.entries[$0].rule.services }
        if isForwarded { services += rules.nameUses.flatMap(\.traffic.services) }
        let otherwise = rules.ruling(active: active, isForwarded: isForwarded, .otherProtocols)
        self.otherwise = otherwise
        protocols = [:]
        for number in Swift.Set(services.map(\.protocol)) {
            let program = ServiceProgram.program(for: number, services, active, isForwarded, rules)
            if !program.cases.isEmpty || program.otherwise != otherwise { protocols[number] = program }
        }
    }

    private static func program(
        for number: IPProtocol, _ services: [Service], _ active: [Int], _ isForwarded: Bool, _ rules: RuleSequence
    ) -> ProtocolProgram {
        let relevant = active.filter { index in
            let services = rules.entries[index].rule.services
            return services.isEmpty || services.contains { $0.protocol == number }
        }
        let otherwise = rules.ruling(active: relevant, isForwarded: isForwarded, .otherNumbers(number))
        let largest = number.hasPorts ? UInt32(UInt16.max) : UInt32(UInt8.max)
        let pieces = services.compactMap { $0.piece(of: number) }
        let starts = Swift.Set(pieces.flatMap { [UInt32($0.lowerBound), UInt32($0.upperBound) + 1] })
            .filter { $0 <= largest }.sorted()
        var cases: [ProtocolProgram.Case] = []
        for (offset, start) in starts.enumerated() {
            let end = offset + 1 < starts.count ? starts[offset + 1] - 1 : largest
            let lower = UInt16(truncatingIfNeeded: start)
            let ruling = rules.ruling(active: relevant, isForwarded: isForwarded, .number(number, lower))
            if ruling == otherwise { continue }
            if let last = cases.last, last.ruling == ruling, UInt32(last.upper) + 1 == start {
                cases[cases.count - 1].upper = UInt16(truncatingIfNeeded: end)
            } else {
                cases.append(.init(lower: lower, upper: UInt16(truncatingIfNeeded: end), ruling: ruling))
            }
        }
        return ProtocolProgram(cases: cases, otherwise: otherwise)
    }
}

/// Packets that no service tells apart.
enum ServiceKey: Hashable, Sendable {
    /// Of protocols that no service names.
    case otherProtocols
    /// Of a protocol, to ports or of types that no service names.
    case otherNumbers(IPProtocol)
    /// Of a protocol, to a port or of a type.
    case number(IPProtocol, UInt16)

    /// Whether one of the services covers them.
    func isCovered(by services: [Service]) -> Bool {
        switch self {
        case .otherProtocols: false
        case .otherNumbers(let number): services.contains(.any(number))
        case .number(let number, let value): services.contains { $0.covers(number, value) }
        }
    }

    /// Whether the name in their first packets decides.
    func isChecked(by traffic: NamedTraffic) -> Bool {
        guard case .number(.udp, let port) = self else { return false }
        return traffic.checksDatagrams(port)
    }

    /// Whether a refusal of them is to be answered.
    func isAnswered(by traffic: NamedTraffic) -> Bool {
        guard case .number(.udp, let port) = self else { return false }
        return traffic.answered.contains { $0.contains(port) }
    }
}

extension NamedTraffic {
    /// What an address in the rule's set makes a difference to.
    fileprivate var services: [Service] { pinned + answered.map { .ports(.udp, $0) } }
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
