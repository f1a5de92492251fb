// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

/// Limits for names, in the kernel: what is limited is what somebody has put into their sets.
@Suite("limits for names in the kernel", .serialized, .requiresRoot)
struct NamedLimitTests {
    @Test("only addresses that were put in are limited, of both families, and their packets keep them in")
    func kept() throws {
        let bench = try KernelBench()
        let endpoint = bench.endpoint.value
        let limit = TrafficLimit(
            direction: .egress, domains: [try DomainPattern.parse("example.org")],
            packets: EventRate(count: 1, unit: .hour), policy: "p")
        let member = LimitProgram.Member(
            number: 0, attachment: .link(endpoint.interface, index: endpoint.interfaceIndex),
            addresses: endpoint.addresses, network: "n", limits: [limit], groups: [:])
        let program = LimitProgram([member], logGroup: KernelBench.logGroup)
        for table in program.programs { try bench.dataplane.install([], on: table) }
        let (four, six) = (try #require(IPAddress("198.51.100.10")), try #require(IPAddress("2001:db8:51::10")))
        let other = try #require(IPAddress("198.51.100.11"))
        func passing(_ destination: IPAddress) throws -> Int {
            try (0..<12).filter { _ in
                try bench.passage(to: destination, from: bench.endpoints[0]) == .outside
            }.count
        }
        for address in [four, six, other] {
            let passed = try passing(address)
            #expect(passed == 12, "\(address)")
        }
        for (_, named) in program.namedSets {
            let address = named.family == .ipv4 ? four : six
            try bench.nft("add element inet egret-limits \(named.name) { \(address) timeout 60s }")
        }
        // Both families count together: ten at once in an hour.
        for (address, expected) in [(four, 10), (six, 0), (other, 12)] {
            let passed = try passing(address)
            #expect(passed == expected, "\(address)")
        }
        for (_, named) in program.namedSets {
            let listing = try bench.nft("list set inet egret-limits \(named.name)")
            #expect(listing.contains("expires 2h"), "\(listing)")
        }
        let drift = try bench.dataplane.drift(of: program.programs, areAll: true)
        #expect(drift.isEmpty, "\(drift)")
    }
}
