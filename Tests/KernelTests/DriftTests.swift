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

/// What is in the kernel is what was put there, and nothing of it stays.
@Suite(.serialized, .requiresRoot)
struct DriftTests {
    private static let policies = PolicySet.rules(
        EgressRule(
            action: .allow,
            destinations: [.prefix("203.0.113.0/24", except: "203.0.113.66/32"), .prefix("2001:db8::/32")],
            services: [.ports(.tcp, PortRange(443)), .ports(.udp, PortRange(53)), .icmp(.icmp, type: 8)]),
        EgressRule(action: .reject, destinations: [.builtIn(.private)]),
        EgressRule(action: .audit, destinations: [.builtIn(.internet)])
    )

    @Test("the kernel gives back what was installed, whatever the policy", arguments: 0..<10)
    func faithful(seed: UInt64) throws {
        let bench = try KernelBench()
        var random = RandomPolicies(seed: seed)
        for generation in 1...10 {
            let programs = try BenchPrograms(
                random.policySet(),
                bench.endpoint,
                generation: UInt16(generation),
                tableThreshold: generation % 2 == 0 ? 1 : 1_024
            )
            try bench.install(programs)
            let drift = try bench.dataplane.drift(of: [programs.base] + programs.all)
            #expect(drift.isEmpty, "seed \(seed), generation \(generation)")
            try bench.dataplane.remove(programs.all)
        }
        #expect(try bench.dataplane.drift(of: [BaseProgram.program]).isEmpty)
    }

    @Test("whatever somebody else changes is named")
    func tampering() throws {
        let bench = try KernelBench()
        let programs = try BenchPrograms(DriftTests.policies, bench.endpoint, generation: 7)
        let set = try #require(programs.policy.program.sets.first { $0.name == "g7-ipv4" })
        let element = "203.0.113.66"
        let leaf = try #require(programs.policy.program.chains.first { $0.name.hasPrefix("g7-p") }?.name)
        let cases: [(String, String)] = [
            ("flush chain inet egret from-egret0", "chain inet egret from-egret0 has changed"),
            ("flush chain inet egret forward", "chain inet egret forward has changed"),
            ("insert rule inet egret from-egret0 accept", "chain inet egret from-egret0 has changed"),
            ("add rule inet egret \(leaf) accept", "chain inet egret \(leaf) has changed"),
            ("delete rule inet egret to-egret0 handle HANDLE", "chain inet egret to-egret0 has changed"),
            ("delete rule netdev egret egret0 handle HANDLE", "chain netdev egret egret0 has changed"),
            ("flush chain netdev egret egret0", "chain netdev egret egret0 has changed"),
            ("add chain inet egret forward { policy drop; }", "chain inet egret forward has changed"),
            ("delete element inet egret g7-ipv4 { \(element) }", "set inet egret g7-ipv4 has changed"),
            ("flush map inet egret g7-ipv6", "set inet egret g7-ipv6 has changed"),
            ("add element inet egret g7-ipv4 { 198.18.0.1 : accept }", "set inet egret g7-ipv4 has changed"),
            ("flush map inet egret from", "element of inet egret from is missing"),
            ("flush set inet egret sources4", "element of inet egret sources4 is missing"),
            ("add table inet egret { flags dormant; }", "table inet egret has changed"),
            ("add table netdev egret { flags dormant; }", "table netdev egret has changed"),
            ("delete table inet egret", "table inet egret is missing"),
            ("delete table netdev egret", "table netdev egret is missing"),
            ("flush ruleset", "table inet egret is missing"),
        ]
        #expect(set.contents.count > 2)
        for (command, expected) in cases {
            try bench.install(programs)
            #expect(try bench.dataplane.drift(of: [programs.base] + programs.all).isEmpty)
            try bench.nft(command)
            let drift = try bench.dataplane.drift(of: [programs.base] + programs.all).map(\.description)
            #expect(drift.contains(expected), "after \(command): \(drift)")
            try bench.removeTables()
        }
    }

    @Test("a time that somebody gives a rule that never holds is named")
    func times() throws {
        let bench = try KernelBench()
        let over = Schedule(until: Schedule.LocalTime(CivilDate(dayNumber: 1)))
        let policies = PolicySet.rules(EgressRule(action: .allow, schedule: over))
        let programs = try BenchPrograms(
            policies, bench.endpoint, generation: 7, horizon: 1_800_000_000...1_800_003_600)
        try bench.install(programs)
        #expect(try bench.dataplane.drift(of: [programs.base] + programs.all).isEmpty)
        var set = try #require(programs.policy.program.sets.first { $0.keyType == .time })
        #expect(set.contents.count == 0)
        set.contents = .elements([SetElement(0, UInt128(Int64.max) - 1)])
        try bench.dataplane.commit(Transaction([Transaction.Step(.addElements(set), in: BaseProgram.table)]))
        let drift = try bench.dataplane.drift(of: [programs.base] + programs.all).map(\.description)
        #expect(drift == ["set inet egret \(set.name) has changed"])
    }

    @Test("fifty endpoints come and go one by one, and the tables are empty at the end")
    func manyEndpoints() throws {
        let bench = try KernelBench(endpoints: 50)
        var all: [BenchPrograms] = []
        for (number, endpoint) in bench.endpoints.enumerated() {
            let programs = try BenchPrograms(DriftTests.policies, endpoint, generation: UInt16(number + 1))
            try bench.install(programs)
            all.append(programs)
        }
        let web = address("203.0.113.10")
        for endpoint in bench.endpoints {
            #expect(try bench.passage(to: web, .tcp, port: 443, from: endpoint) == .outside)
        }
        for (number, programs) in all.enumerated() {
            let endpoint = bench.endpoints[number]
            if number.isMultiple(of: 10) {
                #expect(try bench.dataplane.drift(of: [programs.base] + programs.all).isEmpty)
            }
            #expect(try bench.passage(to: address("10.9.9.9"), .tcp, port: 443, from: endpoint) == .none)
            try bench.dataplane.remove(programs.all)
            if let next = bench.endpoints.dropFirst(number + 1).first {
                #expect(try bench.passage(to: web, .tcp, port: 443, from: next) == .outside)
            }
        }
        #expect(try bench.dataplane.drift(of: [BaseProgram.program]).isEmpty)
        #expect(try bench.nft("list table inet egret").contains("elements") == false)
        #expect(try bench.dataplane.counters(in: BaseProgram.table).isEmpty)
        #expect(try bench.dataplane.counters(in: BaseProgram.frameTable).isEmpty)
        try bench.removeTables()
        #expect(try bench.nft("list tables") == "table inet probe\n")
    }

    @Test("what one dead run left is removed, and nothing of the others")
    func remains() throws {
        let bench = try KernelBench(endpoints: 12)
        // Numbers that begin alike, to see that names are not mixed up: 1 and 11, g1 and g12.
        let programs = try bench.endpoints.enumerated().map { number, endpoint in
            try BenchPrograms(DriftTests.policies, endpoint, generation: UInt16(number + 1))
        }
        for item in programs { try bench.install(item) }
        let gone = bench.endpoints[1]
        try bench.dataplane.removeRemains(
            prefixes: ["egret1", "from-egret1", "to-egret1", "g2"],
            addresses: gone.value.addresses,
            in: [BaseProgram.table, BaseProgram.frameTable]
        )
        for (number, item) in programs.enumerated() {
            let drift = try bench.dataplane.drift(of: item.all)
            if number == 1 {
                let count = item.all.map { $0.chains.count + $0.counters.count + $0.limits.count }.reduce(0, +)
                #expect(drift.filter { $0.kind == .missing }.count >= count)
            } else {
                #expect(drift.isEmpty, "\(number)")
            }
        }
        #expect(try !bench.nft("list ruleset").contains("egret1-"))
    }

    @Test("an installation that the kernel refuses changes nothing")
    func atomic() throws {
        let bench = try KernelBench(DriftTests.policies)
        let before = try bench.nft("list ruleset")
        var broken = try BenchPrograms(DriftTests.policies, bench.endpoint, generation: 9)
        broken.policy.program.rules.append(Rule(in: "g9", [.verdict(.goto("nowhere"))]))
        #expect(throws: NetlinkError.self) { try bench.dataplane.install([broken.policy.program], on: broken.base) }
        #expect(try bench.nft("list ruleset") == before)
    }

    @Test("a bench leaves no namespace and no descriptor behind")
    func nothingLeft() throws {
        var identities: [Namespace.Identity] = []
        do {
            let bench = try KernelBench(DriftTests.policies, endpoints: 2)
            identities = try [bench.host.identity, bench.outside.identity, bench.endpoint.namespace.identity]
        }
        let links = try runProgram([
            "/bin/sh", "-c",
            "readlink /proc/\(CurrentProcess.identifier)/fd/* /proc/\(CurrentProcess.identifier)/task/*/ns/net",
        ])
        for identity in identities { #expect(!links.standardOutput.contains("net:[\(identity.inode)]")) }
    }
}

extension KernelBench {
    /// Runs nft(8) in the host's namespace, as another tool would. `HANDLE` becomes that of the first rule of the
    /// chain that the command names.
    @discardableResult
    func nft(_ command: String) throws -> String {
        try host.onOwnThread {
            var command = command
            if command.hasSuffix("HANDLE") {
                let words = command.split(separator: " ")
                let list = try runProgram(["nft", "-a", "list", "chain"] + words[2..<5].map(String.init))
                let rules = list.standardOutput.split(separator: "\n").dropFirst(2)
                let handle = rules.compactMap { line in
                    line.contains("hook") ? nil : line.split(separator: " ").last.flatMap { Int($0) }
                }.first
                command = command.replacing("HANDLE", with: "\(try #require(handle))")
            }
            let output = try runProgram(["nft"] + command.split(separator: " ").map(String.init))
            #expect(output.succeeded, "\(command): \(output.standardError)")
            return output.standardOutput
        }
    }
}
