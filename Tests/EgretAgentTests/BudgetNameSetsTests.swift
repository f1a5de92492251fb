// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDNSWire
import EgretDataplane
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretTesting
import Synchronization
import Testing

@testable import EgretAgent

/// What budgets for names know, in the kernel, while endpoints and tables come and go.
@Suite("sets of budgets for names", .serialized, .requiresRoot)
struct BudgetNameSetsTests {
    private static let own = [IPAddress.v4(IPv4Address(192, 0, 2, 10)), .v4(IPv4Address(192, 0, 2, 11))]

    private func addresses(in set: String) throws -> [String] {
        let output = try runProgram(["nft", "-j", "list", "set", "inet", "egret-budgets", set]).standardOutput
        return output.matches(of: /"val": "([0-9.]+)"/).map { "\($0.output.1)" }.sorted()
    }

    @Test("budgets for names know what their own endpoint has resolved, also when their table is made anew")
    func budgets() throws {
        try OwnThread.run { try keepBudgets() }
    }

    @Test("questions wait for the first look at a table that counts names already, and at no other")
    func waiting() throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            #expect(try runProgram(["ip", "link", "set", "lo", "up"]).succeeded)
            for (set, waits) in [("far-1", false), ("names4-4-1", true)] {
                let text = "add table inet egret-budgets; add set inet egret-budgets \(set) { type ipv4_addr; }"
                #expect(try runProgram(["nft", text]).succeeded)
                let directory = try TemporaryDirectory()
                let dataplane = Dataplane(try NetlinkConnection.netfilter())
                let service = try service(in: directory, dataplane)
                try service.start()
                defer { service.end() }
                let keeper = try BudgetKeeper(
                    dataplane, UsageStore(path: directory.path + "/usage.sqlite") { _ in }, kernel: "k", names: service)
                func isHeld() -> Bool? { service.proxies.withLock { $0?.questions.isHeld } }
                service.begin()
                #expect(isHeld() == waits)
                // Nobody has a budget any more: the table goes.
                try keeper.keep([], at: 1_774_738_800)
                #expect(isHeld() == false)
            }
        }
    }

    private func service(in directory: TemporaryDirectory, _ dataplane: Dataplane) throws -> NameService {
        NameService(
            NameService.Setting(
                path: "\(directory.path)/names", bootID: "one", servers: { [] }, budgets: dataplane.batchSender,
                now: { 0 }),
            by: Dataplane(try NetlinkConnection.netfilter()).batchSender,
            book: NameBook(traffic: TrafficBook(), now: { 0 }, log: { _ in }))
    }

    /// An endpoint with a budget for names, at a link that nobody needs.
    private func budgeted(_ place: Int, _ budget: TrafficBudget) throws -> EnforcedEndpoint {
        let address = BudgetNameSetsTests.own[place]
        let link = AgentEndpoint(
            workload: Workload(
                Workload.ID(namespace: "shop", name: "a\(place)", kind: "Endpoint"), addresses: [address]),
            network: "n", namespace: "ns", interface: try #require(InterfaceName("veth\(place)")),
            interfaceIndex: UInt32(place + 4), bridge: nil,
            hardwareAddress: MACAddress(locallyAdministered: UInt64(place)), addresses: [address])
        var endpoint = EnforcedEndpoint(
            endpoint: link, egress: ["p"], ingress: [],
            budgets: [
                EndpointBudget(
                    policy: "p", budget: budget, isEnforced: true, clause: BudgetPlan.Clause(budget, groups: [:]))
            ])
        endpoint.hasNames = true
        return endpoint
    }

    private func keepBudgets() throws {
        try Namespace.unshare([.network])
        #expect(try runProgram(["ip", "link", "set", "lo", "up"]).succeeded)
        let directory = try TemporaryDirectory()
        let dataplane = Dataplane(try NetlinkConnection.netfilter())
        let service = try service(in: directory, dataplane)
        try service.start()
        defer { service.end() }
        let keeper = try BudgetKeeper(
            dataplane, UsageStore(path: directory.path + "/usage.sqlite") { _ in }, kernel: "k", names: service)
        let budget = TrafficBudget(
            name: "b", domains: [try DomainPattern.parse("*.example.test")], amount: BudgetAmount(bytes: 1_000))
        let endpoints = [try budgeted(0, budget), try budgeted(1, budget)]
        let policies = PolicySet(
            policies: [EgressPolicy(name: "p", defaultAction: .allow, rules: [], budgets: [budget])])
        let generation = try #require(Generation(rawValue: 7))
        let members = endpoints.enumerated().map { place, endpoint in
            NameMember(
                slot: place, link: endpoint.endpoint.linkKey,
                addresses: [BudgetNameSetsTests.own[place]], generation: generation,
                policies: policies)
        }
        let sets = BudgetDemand(endpoints).plan.namedSets.map(\.set)
        let four = sets.filter { $0.family == .ipv4 }.map(\.name)
        try #require(four.count == 2)
        func held(_ place: Int) throws -> [String] { try addresses(in: four[place]) }
        let until = EgretLinux.BootClock.milliseconds + 60_000
        var resolved: [NameHolding] = []
        let answers: [(String, UInt8)] = [("a.example.test", 10), ("b.example.test", 11), ("c.example.test", 12)]
        for (name, last) in answers {
            resolved.append(
                NameHolding(
                    name: try #require(DNSName(name)), address: .v4(IPv4Address(203, 0, 113, last)), until: until,
                    isCounted: true))
        }
        let inherited = ["veth0#4": [resolved[0]], "veth1#5": [resolved[1]]]
        service.state.withLock { $0.inherited = inherited }
        service.change(NameChange(members: members)) { _ in }
        let time: Int64 = 1_774_738_800
        try keeper.keep(endpoints, at: time)
        #expect(try held(0) == ["203.0.113.10"])
        #expect(try held(1) == ["203.0.113.11"])
        let known = try #require(service.proxies.withLock { $0?.counted })
        try known.note([resolved[2]], link: "veth1#5")
        #expect(try held(1) == ["203.0.113.11", "203.0.113.12"])
        #expect(try held(0) == ["203.0.113.10"])
        // Who goes takes nothing of others', and has it again that has come back at the same link.
        try keeper.keep([endpoints[1]], at: time + 1)
        #expect(try held(1) == ["203.0.113.11", "203.0.113.12"])
        #expect(try held(0).isEmpty)
        try known.note([resolved[2]], link: "veth0#4")
        try keeper.keep(endpoints, at: time + 2)
        #expect(try held(0) == ["203.0.113.10"])
        #expect(try held(1) == ["203.0.113.11", "203.0.113.12"])
        // A set that takes nothing, here as it is not there, keeps nothing from another's, whichever comes first.
        let table = BudgetPlan.hostTable
        for place in [0, 1] {
            #expect(throws: (any Error).self) {
                try service.changeBudgets(to: BudgetDemand(endpoints).plan) {
                    try dataplane.removeTables([table])
                    let set = "add set inet \(table.name) \(four[place]) { type ipv4_addr; flags dynamic,timeout; }"
                    _ = try runProgram(["nft", "add table inet \(table.name); \(set)"])
                    return [table]
                }
            }
            #expect(try held(place) == ["203.0.113.1\(place)"])
        }
        // Gone, and changed by others: what answers have given is there again.
        try dataplane.removeTables([BudgetPlan.hostTable])
        #expect(throws: (any Error).self) { try known.note([resolved[2]], link: "veth1#5") }
        _ = try keeper.tick(at: time + 3)
        #expect(try held(0) == ["203.0.113.10"])
        #expect(try held(1) == ["203.0.113.11"])
        var change = Transaction()
        let chain = "used-from-" + BudgetPlan.name(of: ["endpoint", "shop/a0"])
        change.append(.flushChain(chain), in: BudgetPlan.hostTable)
        try dataplane.commit(change)
        let drift = try keeper.mend(at: time + 4)
        #expect(!drift.isEmpty)
        #expect(try held(0) == ["203.0.113.10"])
        #expect(try held(1) == ["203.0.113.11"])
        try keeper.keep([], at: time + 5)
        #expect(known.isEmpty)
    }
}
