// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretResolution

/// `egret-bench plan`: many policies for many endpoints, from values into the kernel, and then small changes of them.
struct PlanBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Hold links d0, d1 … of this network namespace to policies, and change one of them."
    )

    @Option(help: "Policies.") var policies = 10_000
    @Option(help: "Endpoints; each obeys one policy.") var endpoints = 10_000
    @Option(help: "Small changes of each kind to take the median of.") var changes = 20

    func run() throws {
        let dataplane = Dataplane(try NetlinkConnection.netfilter())
        var state = State(try links(), policies: policies)
        let before = Measurement.peakMemory()
        let (resolving, change) = Measurement.seconds { state.change() }
        var plan = HostPlan(logGroup: 1)
        let (planning, difference) = try Measurement.seconds { try plan.apply(change) }
        let (committing, _) = try Measurement.seconds { try apply(difference, to: dataplane) }
        let peak = Measurement.peakMemory()
        let onePolicy = try medians(&plan, dataplane) { number in
            state.catalog.egressPolicies[number % policies].rules[0].services = [
                .ports(.tcp, PortRange(UInt16(8_000 + number)))
            ]
            return state.change()
        }
        let oneEndpoint = try medians(&plan, dataplane) { number in
            state.relabel(number, "a-\((number + 1) % policies)")
        }
        Measurement.report([
            "resolve": resolving, "plan": planning, "commit": committing, "onePolicy": onePolicy.own + onePolicy.kernel,
            "oneEndpoint": oneEndpoint.own + oneEndpoint.kernel, "oneInKernel": onePolicy.kernel,
            "endpointInKernel": oneEndpoint.kernel, "inputKiB": Double(before), "peakKiB": Double(peak),
            "kernel": Measurement.kernelSeconds(),
        ])
    }

    /// The medians of working out a change and of the kernel's making it.
    private func medians(
        _ plan: inout HostPlan, _ dataplane: Dataplane, _ change: (Int) -> HostPlan.Change
    ) throws -> (own: Double, kernel: Double) {
        var (own, kernel): ([Double], [Double]) = ([], [])
        for number in 0..<changes {
            let (working, difference) = try Measurement.seconds { try plan.apply(change(number)) }
            own.append(working)
            kernel.append(try Measurement.seconds { try apply(difference, to: dataplane) }.0)
        }
        return (Measurement.median(own), Measurement.median(kernel))
    }

    private func apply(_ difference: HostDifference, to dataplane: Dataplane) throws {
        try dataplane.apply(
            arrival: difference.arrival, switching: difference.switching, departure: difference.departure)
    }

    private func links() throws -> [(name: InterfaceName, index: UInt32)] {
        try (0..<endpoints).map { number in
            let text = try File.readText("/sys/class/net/d\(number)/ifindex").split(separator: "\n").first ?? ""
            guard let name = InterfaceName("d\(number)"), let index = UInt32(text) else {
                throw ValidationError("there is no link d\(number)")
            }
            return (name, index)
        }
    }

    /// The policies and endpoints, and what follows from them for the kernel.
    private struct State {
        let links: [(name: InterfaceName, index: UInt32)]
        var catalog: PolicyCatalog
        private var live = LiveResolution()
        private var pending: [Int: EgretPolicy.Workload?] = [:]

        init(_ links: [(name: InterfaceName, index: UInt32)], policies: Int) {
            self.links = links
            catalog = PolicyCatalog(
                egressPolicies: (0..<policies).map { number in
                    let block = IPAddress(family: .ipv4, rawValue: 0xcb00_0000 + UInt128(number) << 8)
                    return EgressPolicy(
                        name: "p-\(number)",
                        selects: WorkloadSelector(labels: LabelSelector(matchLabels: ["app": "a-\(number)"])),
                        rules: [
                            EgressRule(
                                action: .allow,
                                destinations: IPPrefix(block, length: 24).map { [.block(AddressBlock($0))] } ?? [],
                                services: [.ports(.tcp, PortRange(443))])
                        ])
                }, networkDefault: .allow)
            for number in links.indices { pending[number] = workload(number, "a-\(number % policies)") }
        }

        func address(_ number: Int) -> IPAddress { IPAddress(family: .ipv4, rawValue: 0x0a00_0000 + UInt128(number)) }

        private func workload(_ number: Int, _ label: String) -> EgretPolicy.Workload {
            EgretPolicy.Workload(
                EgretPolicy.Workload.ID(name: "w-\(number)"), labels: ["app": label], addresses: [address(number)])
        }

        /// What follows from another label of an endpoint.
        mutating func relabel(_ number: Int, _ label: String) -> HostPlan.Change {
            pending[number] = workload(number, label)
            return change()
        }

        /// What follows from whatever has changed.
        mutating func change() -> HostPlan.Change {
            let found = live.update(to: catalog, workloads: pending, namespaces: [:])
            var change = HostPlan.Change()
            for (key, policies) in found.policies { change.policies[State.programKey(key)] = policies }
            for number in found.workloads.union(pending.keys) {
                change.endpoints.append(
                    HostEndpoint(
                        slot: number, attachment: .link(links[number].name, index: links[number].index),
                        hardwareAddress: MACAddress(locallyAdministered: UInt64(number)), addresses: [address(number)],
                        egress: live.key(of: number, .egress).map(State.programKey)))
            }
            pending = [:]
            return change
        }

        private static func programKey(_ key: LiveResolution.Key) -> ProgramKey {
            ProgramKey(key.direction, policies: key.policies, namedPorts: key.namedPorts)
        }
    }
}
