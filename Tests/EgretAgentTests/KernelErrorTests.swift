// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

/// The real kernel, and errors on the way to it and back.
@Suite("errors of the kernel's", .serialized, .requiresRoot)
struct KernelErrorTests {
    private static let names = ["kerr0", "kerr1", "kerr2"]

    /// Runs the body in a network namespace with a few links.
    private func withLinks(_ body: ([AgentEndpoint]) throws -> Void) throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            let endpoints = try KernelErrorTests.names.enumerated().map { number, name in
                let output = try RunningProgram(["ip", "link", "add", name, "type", "ifb"]).wait()
                #expect(output.succeeded, "\(output.standardError)")
                let index = UInt32(try #require(Interface.index(named: name)))
                return AgentEndpoint(
                    workload: Workload(
                        Workload.ID(name: "w\(number)", kind: "Endpoint"), labels: ["app": "a\(number)"],
                        addresses: [try #require(IPAddress("10.9.0.\(number + 2)"))]),
                    network: "net0", namespace: "ns\(number)", interface: try #require(InterfaceName(name)),
                    interfaceIndex: index, bridge: nil,
                    hardwareAddress: MACAddress(locallyAdministered: UInt64(number)),
                    addresses: [try #require(IPAddress("10.9.0.\(number + 2)"))])
            }
            try body(endpoints)
        }
    }

    /// A policy for each endpoint, to a block of its own.
    private func state(_ endpoints: [AgentEndpoint], _ variant: Int) throws -> DesiredState {
        let policies = try endpoints.indices.map { number in
            EgressPolicy(
                name: "p\(number)",
                selects: WorkloadSelector(labels: LabelSelector(matchLabels: ["app": "a\((number + variant) % 3)"])),
                rules: [
                    EgressRule(
                        action: .allow,
                        destinations: [.block(AddressBlock(try #require(IPPrefix("203.0.\(variant).0/24"))))])
                ])
        }
        return DesiredState(
            catalog: PolicyCatalog(egressPolicies: policies, networkDefault: .allow), endpoints: endpoints)
    }

    /// Whether the kernel holds a state to the last rule, whatever else it holds.
    private func holds(_ state: DesiredState, at time: Int64) throws -> Bool {
        let picture = try Dataplane(try NetlinkConnection.netfilter()).picture(of: HostPlan.tables)
        var plan = HostPlan(logGroup: KernelEnforcement.logGroup)
        var found = FoundState(picture)
        var resolved = ResolvedState(nextSlot: 10_000, known: found.slots(of: state.endpoints))
        _ = resolved.update(to: state)
        return try found.adopt(into: &plan, resolved) && plan.endpoints.count == state.endpoints.count
            && found.clearance.isEmpty
    }

    @Test(
        "whichever call fails, the kernel is at the old state or the new one, and the next attempt gets there",
        arguments: FailingSocket.Failure.allCases)
    func everyCall(failure: FailingSocket.Failure) throws {
        let directory = try TemporaryDirectory()
        try withLinks { endpoints in
            let socket = try FailingSocket()
            let path = "\(directory.path)/ruleset"
            let enforcement = try KernelEnforcement(
                directory: "\(directory.path)/bridges", routes: "\(directory.path)/routes",
                record: KernelRecord(path: path, identity: ""), Dataplane(NetlinkConnection(socket)))
            let time: Int64 = 1_800_000_000
            var old = try state(endpoints, 0)
            _ = try enforcement.take(to: old, at: time)
            var (failed, variant) = (0, 0)
            for isTaking in [false, true] {
                for calls in 0..<60 {
                    variant += 1
                    let new = try state(endpoints, variant % 200)
                    socket.fail(failure, after: calls)
                    do {
                        _ = try isTaking ? enforcement.take(to: new, at: time) : enforcement.apply(new, at: time)
                        socket.behave()
                        #expect(try holds(new, at: time), "\(failure) \(calls)")
                    } catch {
                        failed += 1
                        #expect(KernelRecord(path: path, identity: "").takeLeft() == nil, "\(failure) \(calls)")
                        socket.behave()
                        let (isOld, isNew) = (try holds(old, at: time), try holds(new, at: time))
                        #expect(isOld != isNew, "\(failure) \(calls): \(error)")
                        _ = try enforcement.apply(new, at: time)
                        #expect(try holds(new, at: time), "\(failure) \(calls): \(error)")
                    }
                    #expect(try enforcement.drift() == [], "\(failure) \(calls)")
                    old = new
                    if !socket.hasFailed { break }
                }
            }
            #expect(failed > 10, "\(failed) failures")
            let picture = try Dataplane(try NetlinkConnection.netfilter()).picture(of: HostPlan.tables)
            let programs = Swift.Set(
                picture.holdings.values.flatMap(\.chains).filter { $0.hasPrefix("g") }.map {
                    $0.split(separator: "-")[0]
                })
            #expect(programs.count == 3, "nothing of failed attempts is left")
        }
    }
}
