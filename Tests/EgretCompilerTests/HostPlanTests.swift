// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import EgretPolicy
import EgretTesting
import Testing

@Suite("What the kernel should hold for a host, and what a change of it costs")
struct HostPlanTests {
    private static let egress = ["a", "b", "c"].map { ProgramKey(.egress, policies: [$0]) }
    private static let ingress = ["a", "b"].map { ProgramKey(.ingress, policies: [$0]) }

    private func endpoint(
        _ slot: Int, _ egress: Int? = 0, _ ingress: Int? = nil, bridge: Bool = false
    ) throws -> HostEndpoint {
        let name = try #require(InterfaceName("pod\(slot)"))
        let index = UInt32(slot + 10)
        return HostEndpoint(
            slot: slot, attachment: bridge ? .port(name, index: index, bridgeIndex: 5) : .link(name, index: index),
            hardwareAddress: MACAddress(rawValue: UInt64(slot + 1)),
            addresses: [
                IPAddress(family: .ipv4, rawValue: 0x0a00_0000 + UInt128(slot)),
                IPAddress(family: .ipv6, rawValue: 0xfd << 120 | UInt128(slot)),
            ],
            egress: egress.map { HostPlanTests.egress[$0] }, ingress: ingress.map { HostPlanTests.ingress[$0] })
    }

    private func policies(_ port: UInt16) -> PolicySet {
        PolicySet(policies: [
            EgressPolicy(name: "p", rules: [EgressRule(action: .allow, services: [.ports(.tcp, PortRange(port))])])
        ])
    }

    private func named(_ port: UInt16) throws -> PolicySet {
        let rule = EgressRule(
            action: .allow, domains: [try DomainPattern.parse("*.example.org")],
            services: [.ports(.tcp, PortRange(port))])
        return PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
    }

    private func change(_ endpoints: [HostEndpoint] = [], removing: [Int] = []) -> HostPlan.Change {
        var change = HostPlan.Change()
        change.endpoints = endpoints
        change.removed = removing
        for (index, key) in (HostPlanTests.egress + HostPlanTests.ingress).enumerated() {
            change.policies[key] = policies(UInt16(80 + index))
        }
        return change
    }

    @Test("while tables are made anew, all packets of endpoints wait")
    func hold() throws {
        var plan = HostPlan(logGroup: 5)
        let processes = HostEndpoint(
            slot: 2, attachment: .cgroup(id: 77, level: 3), hardwareAddress: MACAddress(rawValue: 0), addresses: [],
            egress: HostPlanTests.egress[0], ingress: nil)
        let difference = try plan.apply(change([try endpoint(0), try endpoint(1, bridge: true), processes]))
        let hold = HostHold.program(for: difference.switching)
        #expect(hold.table == HostBase.table)
        #expect(hold.chains.compactMap(\.base?.hook) == [.forward, .input, .output])
        #expect(hold.chains.allSatisfy { $0.base?.priority == -8 })
        // Maps and ranges are what fails meanwhile.
        #expect(hold.sets.allSatisfy { !$0.mapsToVerdict && !$0.hasIntervals })
        let held = Dictionary(uniqueKeysWithValues: hold.sets.map { ($0.name, $0.contents) })
        // The link, and the bridge and its port.
        #expect(held["hold-from"] == .elements([SetElement(5), SetElement(10), SetElement(11)]))
        #expect(held["hold-to"] == held["hold-from"])
        #expect(held["hold-cgroups3"] == .elements([SetElement(77)]))
        #expect(
            hold.rules.map { NftText.render($0) } == [
                "meta iif @hold-from drop", "meta iif @hold-from drop", "meta oif @hold-to drop",
                "socket cgroupv2 level 3 @hold-cgroups3 drop",
            ])
        #expect(HostHold.program(for: Transaction()).installation.isEmpty)
    }

    @Test("an endpoint that shares its policies with others is some elements and the checks at its interface")
    func oneMore() throws {
        var plan = HostPlan(logGroup: 5)
        _ = try plan.apply(change((0..<50).map { try endpoint($0) }))
        #expect(plan.outlines.count == 1)
        let difference = try plan.apply(change([try endpoint(50)]))
        #expect(difference.arrival.isEmpty && difference.departure.isEmpty)
        let packets = difference.switching.steps.filter { $0.table == HostBase.table }
        // from, to, and members and self of either family.
        #expect(packets.count == 6)
        #expect(difference.switching.steps.count < 40)
    }

    @Test("the hook for control groups comes with the first, and each is one element of its level's map")
    func controlGroups() throws {
        func group(_ slot: Int, _ level: UInt8) -> HostEndpoint {
            HostEndpoint(
                slot: slot, attachment: .cgroup(id: UInt64(slot), level: level),
                hardwareAddress: MACAddress(rawValue: 0), addresses: [], egress: HostPlanTests.egress[0])
        }
        var plan = HostPlan(logGroup: 5)
        #expect(try !plan.apply(change([endpoint(1)])).arrival.contains(HostOutput.program))
        #expect(try plan.apply(change([group(2, 3)])).arrival == [HostOutput.program])
        let difference = try plan.apply(change([group(3, 1)]))
        #expect(difference.arrival.isEmpty && difference.switching.steps.count == 1)
        guard case .addElements(let set)? = difference.switching.steps.first?.operation else {
            Issue.record("no element comes")
            return
        }
        #expect(set.name == "cgroups1" && set.contents.count == 1)
        let gone = try plan.apply(change(removing: [2, 3]))
        #expect(gone.departure.allSatisfy { $0.chains.isEmpty } && gone.switching.steps.count == 2)
        var fresh = HostPlan(logGroup: 5)
        _ = try fresh.apply(change([endpoint(1), group(2, 3)]))
        #expect(fresh.tablePrograms.contains(HostOutput.program))
    }

    @Test("a policy that all share costs a program and two chains, whatever the number of endpoints")
    func sharedPolicy() throws {
        var plan = HostPlan(logGroup: 5)
        _ = try plan.apply(change((0..<500).map { try endpoint($0, 0, 0) }))
        var edit = HostPlan.Change()
        edit.policies[HostPlanTests.egress[0]] = policies(8080)
        let difference = try plan.apply(edit)
        #expect(difference.arrival.count == 1 && difference.departure.count == 1)
        #expect(difference.switching.steps.count < 40)
        #expect(difference.switching.steps.allSatisfy { $0.table == HostBase.table })
        #expect(try plan.apply(edit).isEmpty, "the same again is no change")
    }

    @Test("endpoints that change their policies all together take their chains along")
    func sharedMove() throws {
        var plan = HostPlan(logGroup: 5)
        _ = try plan.apply(change((0..<500).map { try endpoint($0, 0, 0) }))
        let difference = try plan.apply(change((0..<500).map { try endpoint($0, 1, 0) }))
        #expect(difference.switching.steps.count < 40)
        #expect(plan.outlines.count == 2)
    }

    @Test("a random sequence of changes leads where building anew does, but for numbers", arguments: 0..<20)
    func sequences(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var plan = HostPlan(logGroup: 5)
        var kernel = ModelKernel()
        var present: [Int: HostEndpoint] = [:]
        var version: UInt16 = 1_000
        for step in 0..<40 {
            let before = plan
            var next = change()
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let slot = Int.random(in: 0..<12, using: &random)
                if present[slot] != nil && Bool.random(using: &random) {
                    next.removed.append(slot)
                    next.endpoints.removeAll { $0.slot == slot }
                    present[slot] = nil
                } else if !next.removed.contains(slot) {
                    let value = try endpoint(
                        slot, [nil, 0, 1, 2].randomElement(using: &random) ?? nil,
                        [nil, 0, 1].randomElement(using: &random) ?? nil, bridge: slot % 3 == 0)
                    next.endpoints.removeAll { $0.slot == slot }
                    next.endpoints.append(value)
                    present[slot] = value
                }
            }
            if Int.random(in: 0..<3, using: &random) == 0 { version += 1 }
            next.policies[HostPlanTests.egress[0]] = policies(version)
            // Sooner or later, or never, a policy is about names.
            plan.namePorts = HostNames.Ports(questions: 5_053, checks: 5_443)
            if step >= seed * 3 { next.policies[HostPlanTests.egress[1]] = try named(version) }
            let difference = try plan.apply(next)
            kernel.apply(difference)
            #expect(plan.endpoints == present)
            #expect(kernel.state == ModelKernel(plan.tablePrograms).state, "seed \(seed), step \(step)")
            // The whole of both plans, compared, says the same.
            var other = ModelKernel(before.tablePrograms)
            other.apply(plan.difference(from: before))
            #expect(other.state == kernel.state, "seed \(seed), step \(step)")
            let generations = plan.outlines.values.map(\.generation.rawValue)
            #expect(Swift.Set(generations).count == generations.count)
        }
    }

    @Test("as the times of rules move on and policies change, a plan goes on saying what the kernel was given")
    func horizons() throws {
        let start: Int64 = 1_800_000_000
        var plan = HostPlan(logGroup: 5, horizon: start...start + 86_400)
        var kernel = ModelKernel()
        let office = Schedule(hours: [try #require(Schedule.Hours(start: 540, end: 1_020))])
        func timed(_ port: UInt16) -> PolicySet {
            let rule = EgressRule(action: .allow, services: [.ports(.tcp, PortRange(port))], schedule: office)
            return PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
        }
        var times: Swift.Set<[EgretNftables.Set]> = []
        for step in 0..<12 {
            var next = change([try endpoint(step % 4, step % 3)])
            next.policies[HostPlanTests.egress[0]] = timed(443)
            next.policies[HostPlanTests.egress[1]] = timed(8_000 + UInt16(step / 5))
            if step % 2 == 1 {
                let moment = start + Int64(step) * 86_400
                next.horizon = moment...moment + 86_400
            }
            kernel.apply(try plan.apply(next))
            #expect(kernel.state == ModelKernel(plan.tablePrograms).state, "step \(step)")
            times.insert(plan.program(of: HostPlanTests.egress[0])?.program.sets ?? [])
        }
        #expect(times.count > 6)
    }

    @Test("a plan has the programs that the kernel was given, and keeps of them the names of objects, and long lists")
    func outlines() throws {
        var plan = HostPlan(logGroup: 5)
        var first = change([try endpoint(0), try endpoint(1, 1, 0)])
        let blocks = (0..<5_000).compactMap { number in
            IPPrefix(IPAddress(family: .ipv4, rawValue: UInt128(0x0a00_0000 + 2 * number)), length: 32)
        }
        let rule = EgressRule(action: .allow, destinations: blocks.map { .block(AddressBlock($0)) })
        let long = HostPlanTests.egress[1]
        first.policies[long] = PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
        let given = try plan.apply(first).arrival
        #expect(plan.outlines.count == 3)
        for key in plan.outlines.keys {
            let program = try #require(plan.program(of: key))
            #expect(given.contains(program.program))
            let outline = try #require(plan.outline(of: key))
            #expect(outline.program.rules.isEmpty == (key != long))
            #expect(outline.program.removal == program.program.removal)
            #expect(outline.clauses == program.clauses && outline.generation == program.generation)
        }
        #expect(plan.tableOutlines.count == plan.tablePrograms.count)
    }

    @Test("an endpoint with rules about names is one element more on a link, one for each address on a bridge")
    func names() throws {
        var plan = HostPlan(logGroup: 5)
        var first = change([try endpoint(0)])
        first.policies[HostPlanTests.egress[0]] = try named(443)
        #expect(throws: HostPlan.NoProxies.self) { try plan.apply(first) }
        plan.namePorts = HostNames.Ports(questions: 5_053, checks: 5_443)
        _ = try plan.apply(first)
        for (slot, isBridge, count) in [(1, false, 1), (2, true, 2)] {
            var next = change([try endpoint(slot, bridge: isBridge)])
            next.policies[HostPlanTests.egress[0]] = try named(443)
            let added = try plan.apply(next).switching.steps
            let named = added.flatMap { step -> [SetElement] in
                guard case .addElements(let set) = step.operation, set.name.hasPrefix("named"),
                    case .elements(let elements) = set.contents
                else { return [] }
                return elements
            }
            #expect(named.count == count && named.allSatisfy { $0.verdict == .jump("names-0") })
        }
        let programs = plan.outlines.keys.compactMap { plan.program(of: $0) }
        let rules = programs.flatMap(\.program.rules).filter { $0.chain.hasSuffix("-names") }.map { NftText.render($0) }
        let asking = plan.tablePrograms.flatMap(\.rules).filter { $0.chain == "names-ask" }.map { NftText.render($0) }
        #expect(asking.count == 4)
        let sent = plan.tablePrograms.flatMap(\.rules).filter { $0.chain == "names-sent" }.map { NftText.render($0) }
        let byWay = "meta mark & 0x60ff3fff == 0x40400000"
        #expect(sent.count == 5)
        #expect(sent.first == "\(byWay) ct label & 32 != 32 counter name \"names-strayed\" drop")
        #expect(sent.filter { $0.hasPrefix("\(byWay) meta nfproto") }.count == 2)
        // Whatever kube-proxy has added (bits 14 and 15).
        #expect(sent.filter { $0.hasPrefix("meta mark & 0xffff3fff == 0x00400000 meta nfproto") }.count == 2)
        for (rule, family) in [(1, "ipv4"), (2, "ipv6")] {
            let (digit, source) = (family.suffix(1), family == "ipv4" ? "ip" : "ip6")
            #expect(
                asking[rule].hasPrefix(
                    "meta nfproto == \(family) update @names-asking\(digit) { meta iif . \(source) saddr timeout 60s "
                        + "limit rate 2000/second burst 4000 packets } limit name \"names-questions\" ct label set 31 ")
            )
        }
        #expect(rules.first == "ct direction == reply return")
        #expect(
            rules.last == "meta nfproto == ipv6 meta l4proto == tcp ip6 saddr . ip6 daddr @g1-d0-ipv6 th dport == 443 "
                + "goto g1-names-check")
    }

    @Test("where limits alone are about names questions go to the proxy, and further limits for names compile nothing")
    func limitedNames() throws {
        let key = HostPlanTests.egress[0]
        func step(_ names: String...) throws -> HostPlan.Change {
            var step = change([try endpoint(0)])
            let limits = try names.map { TrafficLimit(domains: [try DomainPattern.parse($0)], connections: 1) }
            let policy = EgressPolicy(name: "p", rules: [EgressRule(action: .allow)], limits: limits)
            step.policies[key] = PolicySet(policies: [policy])
            return step
        }
        var plan = HostPlan(logGroup: 5)
        _ = try plan.apply(step())
        #expect(throws: HostPlan.NoProxies.self) { try plan.apply(step("example.org")) }
        plan.namePorts = HostNames.Ports(questions: 5_053, checks: 5_443)
        let same = try plan.apply(step())
        #expect(same.arrival.isEmpty && !plan.hasNames)
        let coming = try plan.apply(step("example.org"))
        #expect(plan.hasNames && coming.retired.count == 1)
        let program = try #require(plan.program(of: key))
        let leading = try #require(program.leadingChain)
        let rules = program.program.rules.filter { $0.chain == leading }.map { NftText.render($0) }
        #expect(program.names.isEmpty && rules.filter { $0.contains("th dport == 53 goto \(leading)-ask") }.count == 2)
        let naming = plan.tablePrograms.flatMap(\.rules).filter { $0.chain == "names-0" }.map { NftText.render($0) }
        #expect(naming == ["goto \(leading)"])
        let further = try plan.apply(step("example.org", "example.com"))
        #expect(further.arrival.isEmpty)
        #expect(plan.outline(of: key)?.generation == program.generation)
        _ = try plan.apply(step())
        #expect(plan.outline(of: key)?.leadingChain == nil)
    }

    @Test("where budgets alone are about names questions go to the proxy, too")
    func budgetedNames() throws {
        let key = HostPlanTests.egress[0]
        func step(_ budgets: [TrafficBudget]) throws -> HostPlan.Change {
            var step = change([try endpoint(0)])
            let policy = EgressPolicy(name: "p", rules: [EgressRule(action: .allow)], budgets: budgets)
            step.policies[key] = PolicySet(policies: [policy])
            return step
        }
        let budget = TrafficBudget(name: "b", domains: [try DomainPattern.parse("example.org")])
        var plan = HostPlan(logGroup: 5)
        _ = try plan.apply(step([TrafficBudget(name: "b")]))
        #expect(throws: HostPlan.NoProxies.self) { try plan.apply(step([budget])) }
        plan.namePorts = HostNames.Ports(questions: 5_053, checks: 5_443)
        let coming = try plan.apply(step([budget]))
        #expect(plan.hasNames && coming.retired.count == 1 && plan.outline(of: key)?.leadingChain != nil)
        _ = try plan.apply(step([]))
        #expect(plan.outline(of: key)?.leadingChain == nil)
    }

    @Test("where names in QUIC are read, a flow's first datagrams are copied and dropped until it may pass")
    func datagrams() throws {
        var plan = HostPlan(logGroup: 5)
        plan.namePorts = HostNames.Ports(questions: 5_053, checks: 5_443)
        let rule = EgressRule(
            action: .allow, domains: [try DomainPattern.parse("*.example.org")], naming: NameOptions(quic: .check),
            services: [.ports(.tcp, PortRange(443)), .ports(.tcp, PortRange(8_443))])
        var first = change([try endpoint(0), try endpoint(1, 1)])
        first.policies[HostPlanTests.egress[0]] = PolicySet(policies: [EgressPolicy(name: "p", rules: [rule])])
        first.policies[HostPlanTests.egress[1]] = try named(443)
        _ = try plan.apply(first)
        let programs = plan.outlines.keys.compactMap { plan.program(of: $0) }
        func rules(_ program: PolicyProgram) -> [String] {
            program.program.rules.filter { $0.chain.hasSuffix("-names") }.map { NftText.render($0) }
        }
        let reading = try #require(programs.first { $0.names.contains { !$0.traffic.checkedDatagrams.isEmpty } })
        let name = "g\(reading.generation.rawValue)"
        let (four, six) = ("meta nfproto == ipv4 meta l4proto == ", "meta nfproto == ipv6 meta l4proto == ")
        #expect(
            rules(reading).suffix(6) == [
                "\(four)udp ip saddr . th sport . ip daddr . th dport @\(name)-names-passed-ipv4 return",
                "\(six)udp ip6 saddr . th sport . ip6 daddr . th dport @\(name)-names-passed-ipv6 return",
                "\(four)udp ip saddr . ip daddr @\(name)-d0-ipv4 th dport @\(name)-names-u0 goto names-read",
                "\(six)udp ip6 saddr . ip6 daddr @\(name)-d0-ipv6 th dport @\(name)-names-u0 goto names-read",
                "\(four)tcp ip saddr . ip daddr @\(name)-d0-ipv4 th dport @\(name)-names-p0 goto \(name)-names-check",
                "\(six)tcp ip6 saddr . ip6 daddr @\(name)-d0-ipv6 th dport @\(name)-names-p0 goto \(name)-names-check",
            ])
        // Flows of all endpoints that obey the program have room in its sets.
        let flows = reading.program.sets.filter { $0.name.contains("-q0-") || $0.name.contains("-passed-") }
        #expect(flows.count == 4 && flows.allSatisfy { $0.hasTimeouts && $0.size == CompiledNameRule.sharedSetSize })
        // A program that reads none asks nothing more.
        for program in programs where program.generation != reading.generation {
            #expect(!rules(program).contains { $0.contains("udp ip") })
        }
        let read = plan.tablePrograms.flatMap(\.rules).filter { $0.chain == "names-read" }.map { NftText.render($0) }
        #expect(
            read.first == "meta nfproto == ipv4 update @names-reading4 { meta iif . ip saddr timeout 60s "
                + "limit rate 500/second burst 1000 packets } limit name \"names-datagrams\" "
                + "log prefix \"names-read\" group 40958 snaplen 65535 queue-threshold 1 drop")
        #expect(read.count == 3 && read.last == "counter name \"names-flooded\" drop")
    }

    @Test("a number that a program has had is not given again before it is released, and running out is an error")
    func generations() throws {
        var allocator = GenerationAllocator(range: 1...4, resting: [2])
        let first = try allocator.take()
        #expect(first.rawValue == 1)
        #expect(try allocator.take().rawValue == 3)
        allocator.retire(first)
        #expect(try allocator.take().rawValue == 4)
        #expect(allocator.available == 0)
        let error = #expect(throws: GenerationAllocator.Exhausted.self) { try allocator.take() }
        #expect(error?.description.contains("2 are in use, and 2 may still be noted") == true)
        allocator.release([1])
        #expect(try allocator.take().rawValue == 1)
        var plan = HostPlan(logGroup: 5, generations: GenerationAllocator(range: 1...1))
        let before = plan
        #expect(throws: GenerationAllocator.Exhausted.self) { try plan.apply(change([try endpoint(0, 0, 0)])) }
        #expect(plan == before)
        #expect(throws: HostPlan.UnknownPolicies.self) {
            var change = HostPlan.Change()
            change.endpoints = [try endpoint(0)]
            _ = try plan.apply(change)
        }
        #expect(plan == before)
    }
}

/// A kernel that does as it is told, and stops the test at what a real one would refuse.
struct ModelKernel {
    private(set) var state: [String: Swift.Set<String>] = [:]

    init(_ programs: [TableProgram] = []) {
        for program in programs {
            for operation in program.installation { run(operation, program.table, isWhole: true) }
        }
    }

    mutating func apply(_ difference: HostDifference) {
        for program in difference.arrival {
            for operation in program.installation { run(operation, program.table) }
        }
        for step in difference.switching.steps { run(step.operation, step.table) }
        for program in difference.departure.reversed() {
            for operation in program.removal { run(operation, program.table) }
        }
    }

    private mutating func run(_ operation: EgretNftables.Operation, _ table: Table, isWhole: Bool = false) {
        func make(_ name: String) {
            #expect(state["\(table) \(name)"] == nil, "\(name) is there already")
            state["\(table) \(name)"] = []
        }
        func end(_ name: String) {
            #expect(state.removeValue(forKey: "\(table) \(name)") != nil, "\(name) is not there")
        }
        switch operation {
        case .createChain(let chain), .addChain(let chain): make("chain \(chain.name)")
        case .flushChain(let name):
            #expect(state["\(table) chain \(name)"] != nil, "\(name) is not there")
            state["\(table) chain \(name)"] = []
        case .deleteChain(let name): end("chain \(name)")
        case .addRule(let rule):
            // The order matters.
            let place = state["\(table) chain \(rule.chain)"]?.count ?? -1
            #expect(place >= 0, "\(rule.chain) is not there")
            state["\(table) chain \(rule.chain)"]?.insert("\(place) \(NftText.render(rule))")
        case .addSet(let set):
            make("set \(set.name)")
            add(set, table)
        case .addElements(let set): add(set, table)
        case .deleteElements(let set):
            for element in ModelKernel.elements(of: set) {
                let gone = state["\(table) set \(set.name)"]?.remove(element)
                #expect(gone != nil, "\(element) is not in \(set.name)")
            }
        case .deleteSet(let name): end("set \(name)")
        case .addCounter(let counter): make("counter \(counter.name)")
        case .deleteCounter(let name): end("counter \(name)")
        case .addLimit(let limit): make("limit \(limit.name)")
        case .deleteLimit(let name): end("limit \(name)")
        case .addQuota(let quota): make("quota \(quota.name)")
        case .deleteQuota(let name): end("quota \(name)")
        case .addTable, .addOwnedTable, .deleteTable, .deleteRule: break
        }
    }

    private static func elements(of set: EgretNftables.Set) -> [String] {
        guard case .elements(let elements) = set.contents else { return ["\(set.contents)"] }
        return elements.map {
            "\([$0.lowerBound, $0.upperBound] + $0.furtherKeys) \($0.verdict.map(NftText.render) ?? "")"
        }
    }

    private mutating func add(_ set: EgretNftables.Set, _ table: Table) {
        #expect(state["\(table) set \(set.name)"] != nil, "\(set.name) is not there")
        for element in ModelKernel.elements(of: set) {
            #expect(state["\(table) set \(set.name)"]?.insert(element).inserted == true, "\(element) is there already")
        }
    }
}
