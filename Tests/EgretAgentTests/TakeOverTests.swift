// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

/// Take-overs when more than half of the numbers are in use.
@Suite("taking over with few numbers left", .serialized, .requiresRoot)
struct TakeOverTests {
    /// Five numbers for three programs: there is no room to put three beside three.
    private static let generations: ClosedRange<UInt16> = 0x8000...0x8004

    private func run(_ command: String) throws {
        let output = try RunningProgram(["sh", "-c", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
    }

    /// The numbers of the programs in the kernel.
    private func numbers() throws -> Set<UInt16> {
        KernelNames(try Dataplane(try NetlinkConnection.netfilter()).picture(of: HostPlan.tables).holdings).generations
    }

    private func take(_ state: DesiredState, at time: Int64, in directory: TemporaryDirectory) throws {
        let enforcement = try KernelEnforcement(
            directory: directory.path + "/bridges", routes: directory.path + "/routes",
            generations: TakeOverTests.generations, Dataplane(try NetlinkConnection.netfilter()))
        _ = try enforcement.take(to: state, at: time)
        #expect(try enforcement.drift() == [])
    }

    @Test("what is right keeps its numbers; what is not is replaced, and no number that a connection carries is given")
    func manyPrograms() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run("ip link set lo up; sysctl -qw net.ipv4.ip_forward=1")
            let endpoints = try (0..<3).map { number in
                try run("ip link add take\(number) type ifb")
                let address = try #require(IPAddress("10.9.0.\(number + 2)"))
                return AgentEndpoint(
                    workload: Workload(
                        Workload.ID(name: "w\(number)", kind: "Endpoint"), labels: ["app": "a\(number)"],
                        addresses: [address]),
                    network: "net0", namespace: "ns\(number)", interface: try #require(InterfaceName("take\(number)")),
                    interfaceIndex: UInt32(try #require(Interface.index(named: "take\(number)"))), bridge: nil,
                    hardwareAddress: MACAddress(locallyAdministered: UInt64(number)), addresses: [address])
            }
            let block = Destination.block(AddressBlock(try #require(IPPrefix("203.0.113.0/24"))))
            let policies = (0..<3).map { number in
                EgressPolicy(
                    name: "p\(number)",
                    selects: WorkloadSelector(labels: LabelSelector(matchLabels: ["app": "a\(number)"])),
                    rules: [
                        EgressRule(
                            action: .allow, destinations: [block],
                            services: [.ports(.tcp, PortRange(UInt16(80 + number)))])
                    ])
            }
            let state = DesiredState(
                catalog: PolicyCatalog(egressPolicies: policies, networkDefault: .allow), endpoints: endpoints)
            let directory = try TemporaryDirectory()
            let time: Int64 = 1_800_000_000
            try take(state, at: time, in: directory)
            let first = try numbers()
            #expect(first.count == 3)
            try take(state, at: time, in: directory)
            #expect(try numbers() == first, "what is right stays")
            let carried = try #require(first.min())
            try run(
                """
                for n in \(first.map { "\($0)" }.joined(separator: " ")); do
                    nft insert rule inet egret-policy g$n accept; done
                conntrack -I -p tcp -s 10.9.0.2 -d 203.0.113.9 --sport 1 --dport 80 -t 600 --state ESTABLISHED \\
                    --mark \(UInt32(carried) << 16) 2>/dev/null
                """)
            try take(state, at: time, in: directory)
            let last = try numbers()
            #expect(last.count == 3 && !last.contains(carried) && !last.isDisjoint(with: first))
            try run(
                "! nft list table inet egret-policy | grep -q '^\t\taccept$'; conntrack -L 2>/dev/null | grep -q 203.0.113.9"
            )
            try run("nft flush ruleset")
            try take(state, at: time, in: directory)
            #expect(try numbers().count == 3)
        }
    }
}
