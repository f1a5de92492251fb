// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// A set of services: of every protocol all, nothing, or some ports or ICMP types.
///
/// The space is all that a packet can ask for: 256 protocols; a port of 0 to 65535 or none for those that have ports;
/// a type of 0 to 255 or none for ICMP and ICMPv6. Two sets with the same services are equal.
public struct ServiceSet: Hashable, Sendable {
    /// Every service.
    public static let everything = ServiceSet(whole: .everything, parts: [])
    /// No service.
    public static let nothing = ServiceSet(whole: ProtocolSet(), parts: [])

    /// A protocol of which some packets are in the set and some are not.
    struct Part: Hashable, Sendable {
        var `protocol`: IPProtocol
        var numbers: NumberSet
    }

    /// The protocols that are in the set with all their packets.
    let whole: ProtocolSet
    /// The others that are in it, by number.
    let parts: [Part]

    private init(whole: ProtocolSet, parts: [Part]) {
        self.whole = whole
        self.parts = parts
    }

    /// Creates the set of what a rule's services cover; none at all means every service.
    public init(_ services: [Service]) {
        if services.isEmpty {
            self = .everything
            return
        }
        var numbers: [IPProtocol: NumberSet] = [:]
        for service in services {
            guard let (number, part) = ServiceSet.part(service) else { continue }
            numbers[number] = numbers[number]?.union(part) ?? part
        }
        self = ServiceSet.make(
            whole: ProtocolSet(), numbers.sorted { $0.key < $1.key }.map { Part(protocol: $0, numbers: $1) })
    }

    /// Whether nothing is in the set.
    public var isEmpty: Bool { parts.isEmpty && whole.isEmpty }

    /// Whether the service is in the set; for protocols without ports and types, both are passed over.
    public func contains(_ number: IPProtocol, port: UInt16? = nil, icmpType: UInt8? = nil) -> Bool {
        if whole.contains(number) { return true }
        guard let part = parts.first(where: { $0.protocol == number }) else { return false }
        return part.numbers.contains(number.hasPorts ? port : icmpType.map(UInt16.init))
    }

    /// Whether the service is in the set.
    public func contains(_ service: ConnectionService) -> Bool {
        contains(service.protocol, port: service.port, icmpType: service.icmpType)
    }

    /// What is in either set.
    public func union(_ other: ServiceSet) -> ServiceSet {
        if isEmpty { return other }
        if other.isEmpty { return self }
        return ServiceSet.make(whole: whole.union(other.whole), combined(with: other) { $0.union($1) })
    }

    /// What is in both sets.
    public func intersection(_ other: ServiceSet) -> ServiceSet {
        if parts.isEmpty && other.parts.isEmpty {
            return ServiceSet(whole: whole.intersection(other.whole), parts: [])
        }
        return ServiceSet.make(whole: whole.intersection(other.whole), combined(with: other) { $0.intersection($1) })
    }

    /// What is in this set and not in the other.
    public func subtracting(_ other: ServiceSet) -> ServiceSet {
        if other.isEmpty { return self }
        return ServiceSet.make(whole: whole.subtracting(other.whole), combined(with: other) { $0.subtracting($1) })
    }

    /// Whether all of the other set is in this one.
    public func isSuperset(of other: ServiceSet) -> Bool {
        other.subtracting(self).isEmpty
    }

    /// Whether the sets have anything in common.
    public func overlaps(_ other: ServiceSet) -> Bool {
        !intersection(other).isEmpty
    }

    /// One service of the set: the one that is easiest to try with a family of addresses; `nil` if the set is empty.
    public func example(preferring family: AddressFamily = .ipv4) -> ConnectionService? {
        let echo =
            family == .ipv4 ? ConnectionService(.icmp, icmpType: 8) : ConnectionService(.icmpv6, icmpType: 128)
        let known: [ConnectionService] = [
            .init(.tcp, port: 443), .init(.tcp, port: 80), .init(.udp, port: 53), .init(.tcp, port: 22), echo,
        ]
        if let service = known.first(where: contains) { return service }
        // A port before a packet without one, and what is whole last: it is rarely meant.
        let part = parts.first { !$0.numbers.ranges.isEmpty } ?? parts.first
        if let part {
            let number = part.numbers.ranges.first.map { max($0.lowerBound, min(1, $0.upperBound)) }
            return part.protocol.hasPorts
                ? ConnectionService(part.protocol, port: number)
                : ConnectionService(part.protocol, icmpType: number.map { UInt8(truncatingIfNeeded: $0) })
        }
        return whole.members.first.map { ConnectionService($0, port: $0.hasPorts ? 1 : nil) }
    }

    // MARK: - Normal form

    /// Puts parts that are all or nothing of their protocol where they belong. The parts stand by number.
    private static func make(whole: ProtocolSet, _ parts: [Part]) -> ServiceSet {
        var whole = whole
        var kept: [Part] = []
        for part in parts {
            whole.remove(part.protocol)
            if part.numbers.isEmpty { continue }
            if part.numbers == .everything(of: part.protocol) {
                whole.insert(part.protocol)
            } else {
                kept.append(part)
            }
        }
        return ServiceSet(whole: whole, parts: kept)
    }

    /// The protocols that one of the sets has a part of, with what the operation makes of them.
    private func combined(with other: ServiceSet, _ operation: (NumberSet, NumberSet) -> NumberSet) -> [Part] {
        var result: [Part] = []
        result.reserveCapacity(parts.count + other.parts.count)
        var left = 0
        var right = 0
        while left < parts.count || right < other.parts.count {
            let mine = left < parts.count ? parts[left] : nil
            let its = right < other.parts.count ? other.parts[right] : nil
            guard let number = [mine?.protocol, its?.protocol].compactMap({ $0 }).min() else { break }
            let one = mine?.protocol == number ? mine : nil
            let two = its?.protocol == number ? its : nil
            if one != nil { left += 1 }
            if two != nil { right += 1 }
            result.append(
                Part(
                    protocol: number,
                    numbers: operation(
                        one?.numbers ?? wholeNumbers(of: number), two?.numbers ?? other.wholeNumbers(of: number))))
        }
        return result
    }

    /// What the set has of a protocol that it has no part of: all, or nothing.
    private func wholeNumbers(of number: IPProtocol) -> NumberSet {
        whole.contains(number) ? .everything(of: number) : NumberSet()
    }

    /// What a service covers of its protocol; `nil` if no packet can be that.
    private static func part(_ service: Service) -> (IPProtocol, NumberSet)? {
        switch service {
        case .any(let number): (number, .everything(of: number))
        case .ports(let number, let ports): number.hasPorts ? (number, NumberSet(sorted: [ports])) : nil
        case .icmp(let number, let type):
            number.numbers != nil && !number.hasPorts
                ? (number, NumberSet(sorted: [PortRange(UInt16(type))])) : nil
        }
    }
}
