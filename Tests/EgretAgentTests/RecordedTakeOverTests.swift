// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNames
import EgretNetlink
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@testable import EgretAgent

/// An agent believes what a former one has noted of the kernel as long as nobody has changed anything, and reads it back
/// otherwise.
@Suite("taking over by the record of what the kernel holds", .serialized, .requiresRoot)
struct RecordedTakeOverTests {
    private static let time: Int64 = 1_800_000_000
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    @discardableResult
    private func run(_ command: String) throws -> String {
        let output = try RunningProgram(["sh", "-c", command]).wait()
        #expect(output.succeeded, "\(command): \(output.standardError)")
        return output.standardOutput
    }

    private func withLinks(_ body: ([AgentEndpoint]) throws -> Void) throws {
        try OwnThread.run {
            try Namespace.unshare([.network])
            try run("ip link set lo up; for n in 0 1 2; do ip link add noted$n type ifb; done")
            try body(try (0..<3).map(endpoint))
        }
    }

    private func endpoint(_ number: Int) throws -> AgentEndpoint {
        let address = try #require(IPAddress("10.9.0.\(number + 2)"))
        return AgentEndpoint(
            workload: Workload(
                Workload.ID(name: "w\(number)", kind: "Endpoint"), labels: ["app": "a\(number)"],
                addresses: [address]),
            network: "net0", namespace: "ns\(number)", interface: try #require(InterfaceName("noted\(number)")),
            interfaceIndex: UInt32(try #require(Interface.index(named: "noted\(number)"))), bridge: nil,
            hardwareAddress: MACAddress(locallyAdministered: UInt64(number)), addresses: [address])
    }

    /// A policy for each endpoint; `others` may reach another port.
    private func state(
        _ endpoints: [AgentEndpoint], others: Swift.Set<Int> = [], schedule: Schedule? = nil
    ) throws -> DesiredState {
        let block = Destination.block(AddressBlock(try #require(IPPrefix("203.0.113.0/24"))))
        let policies = (0..<3).map { number in
            EgressPolicy(
                name: "p\(number)",
                selects: WorkloadSelector(labels: LabelSelector(matchLabels: ["app": "a\(number)"])),
                rules: [
                    EgressRule(
                        action: .allow, destinations: [block],
                        services: [.ports(.tcp, PortRange(others.contains(number) ? 443 : 80))], schedule: schedule)
                ])
        }
        return DesiredState(
            catalog: PolicyCatalog(egressPolicies: policies, networkDefault: .allow), endpoints: endpoints)
    }

    private func agent(
        _ identity: String = "build 1", _ dataplane: Dataplane? = nil, budgets: BatchSender? = nil
    ) throws -> KernelEnforcement {
        let names = budgets.map { sender in
            (
                setting: NameService.Setting(
                    path: directory.path + "/names", bootID: "one", servers: { [] }, budgets: sender, now: { 0 }),
                book: NameBook(traffic: TrafficBook(), now: { 0 }, log: { _ in })
            )
        }
        return try KernelEnforcement(
            directory: directory.path + "/bridges", routes: directory.path + "/routes", names: names,
            record: KernelRecord(path: directory.path + "/ruleset", identity: identity),
            dataplane ?? Dataplane(try NetlinkConnection.netfilter()))
    }

    /// An agent from its start to its end, which takes over, and by what it knew what the kernel held.
    private func takeOver(
        _ state: DesiredState, at time: Int64 = RecordedTakeOverTests.time, _ identity: String = "build 1",
        budgets: BatchSender? = nil, during body: (KernelEnforcement) throws -> Void = { _ in }
    ) throws -> KernelEnforcement.Evidence {
        let agent = try agent(identity, budgets: budgets)
        let enforced = try agent.take(to: state, at: time)
        #expect(enforced.count == state.endpoints.count)
        #expect(try isRight(state, at: time))
        try body(agent)
        return agent.evidence
    }

    /// Whether the kernel, read back, holds a state to the last rule and nothing that leads elsewhere.
    private func isRight(_ state: DesiredState, at time: Int64) throws -> Bool {
        let picture = try Dataplane(try NetlinkConnection.netfilter()).picture(of: HostPlan.tables)
        var plan = HostPlan(logGroup: KernelEnforcement.logGroup, horizon: ScheduleHorizon.seconds(at: time))
        var found = FoundState(picture)
        var resolved = ResolvedState(nextSlot: 10_000, known: found.slots(of: state.endpoints))
        _ = resolved.update(to: state)
        return try found.adopt(into: &plan, resolved) && plan.endpoints.count == state.endpoints.count
            && found.clearance.isEmpty
    }

    /// The numbers of the programs in the kernel.
    private func numbers() throws -> Swift.Set<UInt16> {
        KernelNames(try Dataplane(try NetlinkConnection.netfilter()).picture(of: HostPlan.tables).holdings).generations
    }

    /// All objects with the numbers that the kernel has given them: nothing was made anew where these are the same.
    private func ruleset() throws -> String {
        try run("nft -a list ruleset | grep -vE '^table|^.flags'")
    }

    @Test("what nobody has changed is not read back, and stays as it is")
    func unchanged() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            #expect(try takeOver(state) == .comparison)
            let before = try ruleset()
            for _ in 0..<3 {
                let evidence = try takeOver(state) { agent in
                    let found = try agent.drift()
                    #expect(found == [])
                    #expect(agent.comparisons == 0, "it is known to be sound")
                }
                #expect(evidence == .record(isWhole: true))
                let found = try ruleset()
                #expect(found == before)
            }
        }
    }

    @Test("changes of a running agent are in the record, those that endpoints and policies come and go by too")
    func changed() throws {
        try withLinks { endpoints in
            let states = [
                try state(endpoints, others: [1]), try state([endpoints[0], endpoints[2]], others: [1]),
                try state(endpoints, others: [0, 1]), try state([]), try state([endpoints[1]]), try state(endpoints),
            ]
            _ = try takeOver(try state(endpoints)) { agent in
                for state in states { _ = try agent.apply(state, at: RecordedTakeOverTests.time) }
            }
            #expect(try takeOver(states[5]) == .record(isWhole: true))
            for state in states where !state.endpoints.isEmpty {
                _ = try takeOver(state) { agent in _ = try agent.apply(states[0], at: RecordedTakeOverTests.time) }
                let found = try takeOver(states[0])
                #expect(found == .record(isWhole: true))
            }
        }
    }

    @Test("a policy that is another by now, and an endpoint that is gone or has come, are all that changes")
    func otherState() throws {
        try withLinks { endpoints in
            _ = try takeOver(try state(endpoints))
            let first = try numbers()
            #expect(try takeOver(try state(endpoints, others: [2])) == .record(isWhole: false))
            let second = try numbers()
            #expect(second.count == 3 && first.intersection(second).count == 2)
            #expect(try takeOver(try state([endpoints[0]], others: [2])) == .record(isWhole: false))
            #expect(try numbers().count == 1)
            #expect(try numbers().isSubset(of: first))
            #expect(try takeOver(try state([endpoints[0]], others: [2])) == .record(isWhole: true))
            // Who comes besides leaves all that is there.
            #expect(try takeOver(try state([endpoints[0], endpoints[1]])) == .record(isWhole: true))
            #expect(try numbers().count == 2)
            #expect(try !numbers().isDisjoint(with: first))
            #expect(try takeOver(try state(endpoints)) == .record(isWhole: true))
        }
    }

    @Test("a rule that somebody has changed while no agent ran is found and mended")
    func foreignRule() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            _ = try takeOver(state)
            let number = try #require(try numbers().min())
            try run("nft insert rule inet egret-policy g\(number) accept")
            let altered = try takeOver(state) { agent in
                #expect(agent.alterations.count == 1)
                #expect(agent.alterations.first?.hasSuffix(" are otherwise") == true, "\(agent.alterations)")
            }
            #expect(altered == .comparison)
            #expect(try !ruleset().contains("\t\taccept #"))
            #expect(try takeOver(state) == .record(isWhole: true))
            try run("nft flush ruleset")
            let flushed = try takeOver(state) { agent in
                let tables = ["inet", "netdev"].map { "table \($0) egret-policy is missing" }
                #expect(agent.alterations == tables)
            }
            #expect(flushed == .comparison)
            let chain = try #require(try ruleset().firstMatch(of: #/chain (from-\d+) /#)?.output.1)
            try run("nft flush chain inet egret-policy \(chain)")
            _ = try takeOver(state) { agent in #expect(agent.alterations.count == 1, "\(agent.alterations)") }
            try run("nft flush chain inet egret-policy forward")
            _ = try takeOver(state) { agent in
                #expect(agent.alterations == ["what all endpoints share is otherwise"])
            }
        }
    }

    @Test("what is meant otherwise by now, and what others do elsewhere, is nobody's change")
    func noAlteration() throws {
        try withLinks { endpoints in
            _ = try takeOver(try state(endpoints))
            try run("nft add table inet others")
            let states = [
                try state(endpoints, others: [2]), try state([endpoints[0]], others: [2]), try state(endpoints),
            ]
            for (number, state) in states.enumerated() {
                let evidence = try takeOver(state) { agent in
                    #expect(agent.alterations == [], "state \(number)")
                    try run("nft add chain inet others c\(number)")
                }
                #expect(evidence == .comparison)
            }
        }
    }

    @Test("a change of somebody's own table has all compared, and nothing is lost by it")
    func foreignTable() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            _ = try takeOver(state)
            let first = try numbers()
            try run("nft add table inet others")
            let second = try takeOver(state) { _ in try run("nft add chain inet others c") }
            #expect(second == .comparison)
            // A running agent compares, and vouches again.
            let evidence = try takeOver(state) { agent in
                try run("nft add chain inet others d")
                let found = try agent.drift()
                #expect(found == [])
                #expect(agent.comparisons == 1)
            }
            #expect(evidence == .comparison)
            #expect(try takeOver(state) == .record(isWhole: true))
            #expect(try numbers() == first)
        }
    }

    @Test("what somebody has put into the agent's tables, and a running agent has left there, goes with the next start")
    func foreignObject() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            // A table that others have made stays theirs to change, as all are on kernels before 6.9.
            try run("nft add table inet egret-policy")
            let evidence = try takeOver(state) { agent in
                try run("nft add chain inet egret-policy stray")
                let found = try agent.drift()
                #expect(found == [])
            }
            #expect(evidence == .comparison)
            #expect(try takeOver(state) == .record(isWhole: false))
            #expect(try !ruleset().contains("stray"))
            #expect(try takeOver(state) == .record(isWhole: true))
        }
    }

    @Test("what somebody has put into the agent's tables may be called like what a next start would make")
    func foreignNumber() throws {
        try withLinks { endpoints in
            let (few, all) = (try state(Array(endpoints.prefix(2))), try state(endpoints))
            try run("nft add table netdev egret-policy")
            _ = try takeOver(few) { agent in
                try run("nft add chain netdev egret-policy endpoint-2")
                let found = try agent.drift()
                #expect(found == [])
            }
            #expect(try takeOver(all) == .record(isWhole: false))
            #expect(try !ruleset().contains("chain endpoint-2 "))
            #expect(try takeOver(all) == .record(isWhole: true))
        }
    }

    /// An agent that loses what the kernel answers in the middle of a change, and ends. On return its socket is closed: its
    /// tables are nobody's.
    ///
    /// - Parameters:
    ///   - calls: So many answers come before.
    ///   - old: What is in force.
    ///   - new: What is to be.
    /// - Returns: Whether the change failed, and whether an answer was lost.
    /// - Throws: An error if the old state cannot be taken over.
    private func breakOff(
        after calls: Int, from old: DesiredState, to new: DesiredState
    ) throws -> (change: Bool, socket: Bool) {
        let socket = try FailingSocket()
        let agent = try agent("build 1", Dataplane(NetlinkConnection(socket)))
        _ = try agent.take(to: old, at: RecordedTakeOverTests.time)
        socket.fail(.receiveInterrupted, after: calls)
        do {
            _ = try agent.apply(new, at: RecordedTakeOverTests.time)
            return (false, socket.hasFailed)
        } catch {
            return (true, socket.hasFailed)
        }
    }

    @Test("an agent that is killed in the middle of a change leaves nothing to be believed")
    func killed() throws {
        try withLinks { endpoints in
            let (old, new) = (try state(endpoints), try state(endpoints, others: [0, 1, 2]))
            var failures = 0
            _ = try takeOver(old)
            for calls in 0..<40 {
                let failed = try breakOff(after: calls, from: old, to: new)
                let left = KernelRecord(path: directory.path + "/ruleset", identity: "build 1").takeLeft()
                let ruleset = try Dataplane(try NetlinkConnection.netfilter()).rulesetGeneration()
                if failed.change {
                    failures += 1
                    #expect(left == nil, "\(calls)")
                } else if let left, left.ruleset == ruleset {
                    let isSo = try isRight(new, at: RecordedTakeOverTests.time)
                    #expect(isSo, "\(calls)")
                }
                let evidence = try takeOver(new)
                if failed.change { #expect(evidence == .comparison, "\(calls)") }
                _ = try takeOver(old)
                if !failed.socket { break }
            }
            #expect(failures > 3)
        }
    }

    @Test("another build compares everything")
    func otherBuild() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            _ = try takeOver(state)
            #expect(try takeOver(state, "build 2") == .comparison)
            #expect(try takeOver(state, "build 2") == .record(isWhole: true))
        }
    }

    @Test("an interface that was made anew, which takes its chain along unseen, gets its checks")
    func otherLink() throws {
        try withLinks { endpoints in
            _ = try takeOver(try state(endpoints))
            try run("ip link del noted1; ip link add noted1 type ifb")
            var others = endpoints
            others[1] = try endpoint(1)
            #expect(others[1] != endpoints[1])
            _ = try takeOver(try state(others))
            #expect(try takeOver(try state(others)) == .record(isWhole: true))
            // With the very number that it had.
            try run("ip link del noted2; ip link add noted2 index \(others[2].interfaceIndex) type ifb")
            #expect(try endpoint(2) == others[2])
            _ = try takeOver(try state(others))
        }
    }

    @Test("times go on from those that were noted")
    func times() throws {
        try withLinks { endpoints in
            let day: Int64 = 86_400
            let time: Int64 = 1_795_392_000
            let office = Schedule(
                days: [.mon, .tue, .wed, .thu, .fri],
                hours: [try #require(Schedule.Hours(start: 540, end: 1_020))])
            let state = try state(endpoints, schedule: office)
            _ = try takeOver(state, at: time)
            let first = try numbers()
            do {
                let second = try agent()
                _ = try second.take(to: state, at: time + day)
                #expect(second.evidence == .record(isWhole: true))
                #expect(second.timesHoldUntil == time + 14 * day, "they are not due yet")
                _ = try second.apply(state, at: time + 8 * day)
                #expect(second.timesHoldUntil == time + 22 * day)
            }
            do {
                let third = try agent()
                _ = try third.take(to: state, at: time + 8 * day)
                #expect(third.evidence == .record(isWhole: true))
                let isSo = try isRight(state, at: time + 8 * day)
                #expect(isSo)
            }
            do {
                let last = try agent()
                _ = try last.take(to: state, at: time + 40 * day)
                #expect(last.evidence == .record(isWhole: true))
                #expect(last.timesHoldUntil == time + 54 * day)
                let found = try last.drift()
                #expect(found == [])
                let isSo = try isRight(state, at: time + 40 * day)
                #expect(isSo)
            }
            #expect(try numbers() == first)
        }
    }

    @Test("a transaction that adds only what is there is not counted: it would hide one of somebody else's")
    func nothingNew() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            try run("nft add table inet others")
            _ = try takeOver(state)
            let evidence = try takeOver(state) { agent in
                let (ruleset, commits) = (try agent.dataplane.foreignGeneration(), agent.commits)
                let table = Table(family: .inet, name: "others")
                try agent.dataplane.commit(Transaction([Transaction.Step(.addTable, in: table)]))
                let found = try agent.dataplane.foreignGeneration()
                #expect(found == ruleset)
                #expect(commits != nil && agent.commits == commits)
            }
            #expect(evidence == .record(isWhole: true))
            try run("nft add table inet strangers")
            let last = try takeOver(state)
            #expect(last == .comparison)
        }
    }

    @Test("addresses that names add are counted as the agent's own, whether they are there already or not")
    func addresses() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            try run("nft 'table inet names { set four { type ipv4_addr; flags timeout; }; }'")
            _ = try takeOver(state)
            let evidence = try takeOver(state) { agent in
                let sets = try NameSets(addressesIn: "names", isOfFrames: false, by: agent.dataplane.batchSender)
                let ruleset = try agent.dataplane.foreignGeneration()
                for _ in 0..<3 {
                    try sets.put(["four": [.v4(IPv4Address(192, 0, 2, 1))]], for: 60_000)
                    // It is there: a kernel that renews nothing gives the ruleset no other number.
                    try sets.add(["four": [.v4(IPv4Address(192, 0, 2, 1))]], for: 60_000)
                    let found = try agent.dataplane.foreignGeneration()
                    #expect(found == ruleset)
                }
                #expect(throws: (any Error).self) {
                    try sets.put(["five": [.v4(IPv4Address(192, 0, 2, 1))]], for: 60_000)
                }
                let found = try agent.dataplane.foreignGeneration()
                #expect(found == ruleset)
            }
            #expect(evidence == .record(isWhole: true))
            #expect(try takeOver(state) == .record(isWhole: true))
        }
    }

    @Test("addresses that names add to the table of budgets, by its own socket, are no reason to compare anything")
    func addressesOfBudgets() throws {
        try withLinks { endpoints in
            let state = try state(endpoints)
            try run("nft 'table inet names { set four { type ipv4_addr; flags timeout; }; }'")
            let budgets = Dataplane(try NetlinkConnection.netfilter())
            _ = try takeOver(state)
            let evidence = try takeOver(state, budgets: budgets.batchSender) { agent in
                let sets = try NameSets(addressesIn: "names", isOfFrames: false, by: budgets.batchSender)
                let (ruleset, comparisons) = (try agent.foreignGeneration(), agent.comparisons)
                for _ in 0..<3 {
                    try sets.put(["four": [.v4(IPv4Address(192, 0, 2, 1))]], for: 60_000)
                    try sets.add(["four": [.v4(IPv4Address(192, 0, 2, 1))]], for: 60_000)
                    #expect(try agent.foreignGeneration() == ruleset)
                }
                #expect(try agent.drift() == [])
                #expect(agent.comparisons == comparisons)
            }
            #expect(evidence == .record(isWhole: true))
            // So it is for one that finds some counted already, and for its successor.
            #expect(try takeOver(state, budgets: budgets.batchSender) == .record(isWhole: true))
            #expect(try takeOver(state) == .record(isWhole: true))
            // What else comes by that socket is as if somebody else had changed it.
            let next = try takeOver(state, budgets: budgets.batchSender) { agent in
                let ruleset = try agent.foreignGeneration()
                try budgets.removeTables([Table(family: .inet, name: "names")])
                #expect(try agent.foreignGeneration() != ruleset)
            }
            #expect(next == .record(isWhole: true))
            #expect(try takeOver(state) == .comparison)
        }
    }
}
