// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// Where a tagged packet was seen.
struct Passage: Equatable {
    var outside = false
    var host = false

    static let none = Passage()
    static let outside = Passage(outside: true)
    static let host = Passage(host: true)
}

extension KernelBench {
    /// Sends frames and tells where the tag came out.
    func passage(of frames: [[UInt8]], tag: [UInt8], from endpoint: BenchEndpoint? = nil) throws -> Passage {
        let endpoint = endpoint ?? self.endpoint
        for frame in frames { try endpoint.socket.send(frame) }
        return try passage(of: tag)
    }

    /// Tells where the tag came out since somebody looked last.
    func passage(of tag: [UInt8]) throws -> Passage {
        try settle()
        return Passage(
            outside: try departures().contains { $0.holds(tag) },
            host: try arrivals().contains { $0.holds(tag) }
        )
    }

    /// Sends one packet and tells where it came out.
    func passage(
        to destination: IPAddress,
        _ number: IPProtocol = .udp,
        port: UInt16 = 9999,
        icmpType: UInt8? = nil,
        source: IPAddress? = nil,
        hardware: MACAddress? = nil,
        from endpoint: BenchEndpoint? = nil
    ) throws -> Passage {
        let endpoint = endpoint ?? self.endpoint
        let tag = newTag()
        let packet = try #require(
            PacketBuilder.packet(
                from: source ?? endpoint.address(destination.family), to: destination, protocol: number,
                sourcePort: newPort(), destinationPort: port,
                icmpType: icmpType ?? (destination.family == .ipv4 ? 8 : 128), tag: tag))
        let frame = PacketBuilder.frame(
            from: hardware ?? endpoint.value.hardwareAddress, to: endpoint.gatewayHardware, packet: packet)
        return try passage(of: [frame], tag: tag, from: endpoint)
    }

    /// The steps of a counter during `body`.
    func count(_ name: String, in table: Table = BaseProgram.table, _ body: () throws -> Void) throws -> UInt64 {
        let before = try dataplane.counters(in: table)[name]?.packets ?? 0
        try body()
        try settle()
        return (try dataplane.counters(in: table)[name]?.packets ?? 0) - before
    }

    /// Builds a bench whose first endpoint obeys policies.
    convenience init(_ policies: PolicySet, endpoints count: Int = 1) throws {
        try self.init(endpoints: count)
        for (number, endpoint) in endpoints.enumerated() {
            let programs = try BenchPrograms(policies, endpoint, generation: UInt16(number + 1))
            try install(programs)
            if number == 0 { current = programs.policy.program }
        }
    }
}

extension PolicySet {
    /// One workload policy.
    static func rules(_ rules: EgressRule..., otherwise: DefaultAction = .deny) -> PolicySet {
        PolicySet(policies: [EgressPolicy(name: "only", defaultAction: otherwise, rules: rules)])
    }

    static let allowAll = PolicySet.rules(otherwise: .allow)
    static let denyAll = PolicySet.rules(otherwise: .deny)
}

extension Destination {
    static func prefix(_ text: String, except: String...) -> Destination {
        guard let prefix = IPPrefix(text) else { preconditionFailure("\(text) is no prefix") }
        return .block(AddressBlock(prefix, except: except.compactMap { IPPrefix($0) }))
    }
}

/// An address that a test has written.
func address(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("\(text) is no address") }
    return address
}
