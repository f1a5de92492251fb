// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables

/// `egret-bench police`: puts an interface of this network namespace behind a policy, and leaves it there.
struct PoliceInterface: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "police",
        abstract: "Install a policy for the endpoint behind an interface."
    )

    @Option(help: "The interface.") var interface: String
    @Option(help: "The endpoint's hardware address.") var hardware: String
    @Option(help: "The endpoint's IPv4 address.") var address: String
    @Option(help: "The address that the policy's last rule allows besides its blocks.") var target: String
    @Option(help: "Blocks of addresses.") var entries = 10
    @Option(help: "Rules that share them.") var rules = 1

    func run() throws {
        guard let name = InterfaceName(interface), let index = Interface.index(named: interface),
            let hardware = UInt64(hardware.filter { $0 != ":" }, radix: 16), let address = IPAddress(address),
            let target = IPAddress(target)
        else { throw ValidationError("not an interface and its addresses") }
        let endpoint = Endpoint(
            interface: name,
            interfaceIndex: UInt32(index),
            hardwareAddress: MACAddress(rawValue: hardware),
            addresses: [address]
        )
        let policy = PolicyCompiler.compile(
            Workload.policies(entries: entries, rules: rules, target: target),
            generation: Workload.generation(1),
            logGroup: 1
        )
        let program = EndpointProgram(endpoint, obeying: policy, logGroup: 1)
        try Dataplane(try NetlinkConnection.netfilter())
            .install([policy.program, program.packets, program.frames], on: BaseProgram.program)
    }
}
