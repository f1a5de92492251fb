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

/// Limits that count each far address by itself, in the kernel.
@Suite("limits for each destination", .serialized, .requiresRoot)
struct DestinationLimitTests {
    private static let far = KernelBench.addresses(
        "198.51.100.10", "198.51.100.11", "198.51.100.12", "2001:db8:51::10", "2001:db8:51::11", "2001:db8:51::12")

    /// Limits every endpoint of a bench that has no policies.
    private func install(
        _ limit: TrafficLimit, on bench: KernelBench, mostDestinations: UInt32? = nil, isLed: Bool = false
    ) throws -> LimitProgram {
        let members = bench.endpoints.enumerated().map { number, endpoint in
            LimitProgram.Member(
                number: number,
                attachment: .link(endpoint.value.interface, index: endpoint.value.interfaceIndex),
                addresses: endpoint.value.addresses, network: "n", limits: [limit], groups: [:], isLed: isLed)
        }
        let program = LimitProgram(members, logGroup: KernelBench.logGroup, mostDestinations: mostDestinations)
        for table in program.programs { try bench.dataplane.install([], on: table) }
        return program
    }

    /// Sends so many datagrams, each from a port of its own; a 1 for each that came out.
    private func sent(
        _ count: Int, to destination: IPAddress, on bench: KernelBench, from endpoint: Int = 0,
        at place: Passage = .outside
    ) throws -> String {
        var seen = ""
        for _ in 0..<count {
            let passage = try bench.passage(to: destination, from: bench.endpoints[endpoint])
            seen += passage == place ? "1" : "0"
        }
        return seen
    }

    /// Leads the first endpoint's datagrams to the host itself, as connections by name are led to its proxies.
    private func lead(on bench: KernelBench) throws {
        let isLed = Statement.equal(.connectionLabel(HostNames.label), UInt128(1) << UInt128(HostNames.label))
        var program = TableProgram(table: Table(family: .inet, name: "lead"))
        program.chains = [
            Chain("label", base: BaseChain(kind: .filter, hook: .prerouting, priority: -150)),
            Chain("translate", base: BaseChain(kind: .nat, hook: .prerouting, priority: -115)),
        ]
        program.rules = [
            Rule(
                in: "label",
                [
                    .equal(.inputInterface, UInt128(bench.endpoint.value.interfaceIndex)),
                    .equal(.transportProtocol, 17), .addConnectionLabel(HostNames.label),
                ])
        ]
        program.rules += KernelBench.uplinkAddresses.map { address in
            Rule(
                in: "translate",
                [
                    isLed, .equal(.networkProtocol, address.family == .ipv4 ? 2 : 10), .equal(.transportProtocol, 17),
                    .destinationTranslation(TranslationTarget(address, ports: PortRange(7_777))),
                ])
        }
        try bench.dataplane.install([program], on: TableProgram(table: program.table))
    }

    private func check(_ program: LimitProgram, on bench: KernelBench, refused: UInt64) throws {
        // What rules have put into the sets is no difference.
        #expect(try bench.dataplane.drift(of: program.programs, areAll: true).isEmpty)
        #expect(try bench.dataplane.holds(program.programs))
        let counters = try bench.dataplane.counters(in: LimitProgram.table)
        #expect(program.refusals.keys.compactMap { counters[$0]?.packets }.reduce(0, +) == refused)
    }

    @Test("so many connections to one address and no more, while every other address, and endpoint, has as many")
    func connections() throws {
        let bench = try KernelBench(endpoints: 2)
        let program = try install(
            TrafficLimit(direction: .egress, scope: .destination, connections: 2, policy: "p"), on: bench)
        for destination in DestinationLimitTests.far {
            #expect(try sent(4, to: destination, on: bench) == "1100", "\(destination)")
            #expect(try sent(3, to: destination, on: bench, from: 1) == "110", "\(destination)")
        }
        try check(program, on: bench, refused: UInt64(3 * DestinationLimitTests.far.count))
    }

    @Test("connections and packets in a time are counted for each address")
    func rates() throws {
        let twice = EventRate(count: 2, unit: .hour)
        var bench = try KernelBench()
        var program = try install(
            TrafficLimit(direction: .egress, scope: .destination, newConnections: twice, policy: "p"), on: bench)
        for destination in DestinationLimitTests.far {
            #expect(try sent(3, to: destination, on: bench) == "110", "\(destination)")
        }
        try check(program, on: bench, refused: UInt64(DestinationLimitTests.far.count))
        bench = try KernelBench()
        program = try install(
            TrafficLimit(direction: .egress, scope: .destination, packets: twice, policy: "p"), on: bench)
        for destination in DestinationLimitTests.far {
            #expect(try sent(12, to: destination, on: bench) == "111111111100", "\(destination)")
        }
        try check(program, on: bench, refused: UInt64(2 * DestinationLimitTests.far.count))
    }

    @Test("what is led to the host counts for the address that it was going to, in one count with what is not")
    func led() throws {
        let bench = try KernelBench()
        let program = try install(
            TrafficLimit(direction: .egress, scope: .destination, connections: 2, policy: "p"), on: bench, isLed: true)
        let far = DestinationLimitTests.far
        let known = [far[0], far[3]]
        for destination in known { #expect(try sent(1, to: destination, on: bench) == "1", "\(destination)") }
        try lead(on: bench)
        for destination in far {
            let seen = try sent(3, to: destination, on: bench, at: .host)
            #expect(seen == (known.contains(destination) ? "100" : "110"), "\(destination)")
        }
        try check(program, on: bench, refused: 8)
    }

    @Test("a limit for a part of the traffic counts what is led to the host by where it was going")
    func ledPart() throws {
        let bench = try KernelBench()
        let far = DestinationLimitTests.far
        let program = try install(
            TrafficLimit(
                direction: .egress, destinations: [far[0], far[3]].map { .block(AddressBlock(IPPrefix($0))) },
                services: [.ports(.udp, PortRange(9_999))], newConnections: EventRate(count: 2, unit: .hour),
                policy: "p"), on: bench, isLed: true)
        try lead(on: bench)
        for (destination, expected) in zip(far, ["110", "111", "111", "000", "111", "111"]) {
            let seen = try sent(3, to: destination, on: bench, at: .host)
            #expect(seen == expected, "\(destination)")
        }
        try check(program, on: bench, refused: 4)
    }

    @Test("of connections that others begin, each one's are counted")
    func ingress() throws {
        let bench = try KernelBench()
        let program = try install(
            TrafficLimit(direction: .ingress, scope: .destination, connections: 2, policy: "p"), on: bench)
        for source in DestinationLimitTests.far {
            var seen = ""
            for _ in 0..<3 {
                let tag = bench.newTag()
                let packet = try #require(
                    PacketBuilder.packet(
                        from: source, to: bench.endpoint.address(source.family), protocol: .udp,
                        sourcePort: bench.newPort(), destinationPort: 9_999, tag: tag))
                try bench.sendFromOutside(packet)
                try bench.settle()
                let frames = try bench.endpoint.socket.drain()
                seen += frames.contains { $0.holds(tag) } ? "1" : "0"
            }
            #expect(seen == "110", "\(source)")
        }
        try check(program, on: bench, refused: UInt64(DestinationLimitTests.far.count))
    }

    @Test("a full set refuses new addresses, and an address without connections makes room")
    func full() throws {
        let bench = try KernelBench()
        let limit = TrafficLimit(direction: .egress, scope: .destination, connections: 5, policy: "p")
        let program = try install(limit, on: bench, mostDestinations: 2)
        for family in AddressFamily.allCases {
            let far = DestinationLimitTests.far.filter { $0.family == family }
            let seen = try far.map { try sent(2, to: $0, on: bench) }
            #expect(seen == ["11", "11", "00"])
            // Who is in the set already goes on.
            #expect(try sent(1, to: far[0], on: bench) == "1")
        }
        try check(program, on: bench, refused: 4)
        try bench.forgetConnections()
        var poll = Poll()
        for family in AddressFamily.allCases {
            let last = try #require(DestinationLimitTests.far.last { $0.family == family })
            var seen = ""
            // The kernel looks once a second.
            for _ in 0..<100 where seen != "1" {
                seen = try sent(1, to: last, on: bench)
                if seen != "1" { _ = try poll.wait(timeout: .milliseconds(100)) }
            }
            #expect(seen == "1")
        }
        let often = TrafficLimit(
            direction: .egress, scope: .destination, newConnections: EventRate(count: 5, unit: .hour), policy: "p")
        let other = try KernelBench()
        let timed = try install(often, on: other, mostDestinations: 2)
        for family in AddressFamily.allCases {
            let far = DestinationLimitTests.far.filter { $0.family == family }
            let seen = try far.map { try sent(2, to: $0, on: other) }
            #expect(seen == ["11", "11", "00"])
        }
        try check(timed, on: other, refused: 4)
    }
}
