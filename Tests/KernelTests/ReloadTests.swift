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

/// What nft(8) lists of Egret's tables it takes again: an administrator keeps the ruleset so, and restores it.
@Suite(.serialized, .requiresRoot)
struct ReloadTests {
    private static let table = Table(family: .inet, name: "egret-kinds")

    /// A set or map of every kind that Egret makes, and maps of numbers and moments. The map of control groups is empty:
    /// nft reads only paths of groups that are there.
    private static var sets: [Set] {
        let second: UInt128 = 1_000_000_000
        let block: UInt128 = 0x2001_0db8 << 96
        let moments = [
            SetElement(0, 1_700_000_000 * second - 1),
            SetElement(1_800_000_000 * second, 1_800_003_600 * second - 1),
            SetElement(1_900_000_000 * second, UInt128(Int64.max) / second * second - 1),
        ]
        func leading(_ elements: [SetElement]) -> SetContents {
            .elements(
                elements.map { element in
                    var element = element
                    element.verdict = .goto("there")
                    return element
                })
        }
        func elements(_ keys: UInt128...) -> SetContents { .elements(keys.map { SetElement($0) }) }
        var closed = Set("closed", keyType: .mark, size: 1, contents: elements(0))
        closed.isDynamic = true
        var asking = Set("asking", keyType: .interfaceIndex, size: 65_536)
        asking.furtherKeyTypes = [.ipv4Address]
        asking.isDynamic = true
        asking.hasTimeouts = true
        var resolved = Set("resolved", keyType: .ipv6Address, size: 65_536)
        resolved.furtherKeyTypes = [.ipv6Address]
        resolved.hasTimeouts = true
        return [
            Set("numbers", keyType: .integer, hasIntervals: true, contents: .elements([SetElement(0, 25)])),
            Set("moments", keyType: .time, hasIntervals: true, contents: .elements(moments)),
            Set(
                "number-map", keyType: .integer, hasIntervals: true, mapsToVerdict: true,
                contents: leading([SetElement(1, 0xffff_fffe)])),
            Set("moment-map", keyType: .time, hasIntervals: true, mapsToVerdict: true, contents: leading(moments)),
            closed, asking, resolved,
            Set("units", keyType: .cgroup, mapsToVerdict: true),
            Set(
                "links", keyType: .interfaceIndex, mapsToVerdict: true, size: 16_384,
                contents: leading([SetElement(1), SetElement(77)])),
            Set("addresses", keyType: .ipv4Address, contents: elements(0xcb00_710a)),
            Set(
                "blocks", keyType: .ipv6Address, hasIntervals: true, mapsToVerdict: true,
                contents: leading([SetElement(block, block | 0xffff)])),
            Set("stations", keyType: .etherAddress, contents: elements(0x0200_0000_0001)),
            Set(
                "protocols", keyType: .inetProtocol, hasIntervals: true, mapsToVerdict: true,
                contents: leading([SetElement(6), SetElement(200, 255)])),
            Set(
                "ports", keyType: .inetService, hasIntervals: true,
                contents: .elements([SetElement(80), SetElement(60_000, 65_535)])),
            Set("types", keyType: .icmpType, mapsToVerdict: true, contents: leading([SetElement(8), SetElement(32)])),
            Set("types6", keyType: .icmpv6Type, mapsToVerdict: true, contents: leading([SetElement(128)])),
            Set(
                "published", concatenating: .ipv4Address, [.inetProtocol, .inetService],
                contents: [SetElement(0xc000_0201, [6, 80], verdict: .goto("there"))]),
            Set(
                "members", concatenating: .interfaceIndex, [.ipv6Address],
                contents: [SetElement(1, [1], verdict: .goto("there"))]),
        ]
    }

    private static var program: TableProgram {
        var program = TableProgram(table: table)
        program.chains = [Chain("there"), Chain("asked")]
        program.sets = sets
        program.rules = [
            Rule(in: "asked", [.inSet(.packetMark(mask: 0), "closed"), .verdict(.goto("there"))]),
            Rule(in: "asked", [.inSet(.evaluationNumber, "numbers"), .verdict(.return)]),
            Rule(in: "asked", [.addToSet(.packetMark(mask: 0), "closed")]),
            Rule(in: "asked", [.inSet(.time, "moments"), .verdict(.goto("there"))]),
            Rule(in: "asked", [.verdictMap(.evaluationNumber, "number-map")]),
            Rule(in: "asked", [.verdictMap(.time, "moment-map")]),
        ]
        return program
    }

    /// Lists the ruleset of a namespace, without what counters have counted, empties it, loads what was listed, and lists again.
    private func reload(_ namespace: Namespace) throws -> (before: String, after: String) {
        func nft(_ arguments: String..., reading text: String = "") throws -> String {
            let output = try namespace.onOwnThread { try runProgram(["nft"] + arguments, standardInput: text) }
            try #require(output.succeeded, "nft \(arguments): \(output.standardError)\n\(text)")
            return output.standardOutput
        }
        let before = try nft("-s", "list", "ruleset")
        _ = try nft("flush", "ruleset")
        _ = try nft("-f", "-", reading: before)
        return (before, try nft("-s", "list", "ruleset"))
    }

    @Test("sets and maps of every kind are listed in words that nft takes, and are the same afterwards")
    func kinds() throws {
        let types = ReloadTests.sets.flatMap { [$0.keyType] + $0.furtherKeyTypes }
        #expect(DataType.allCases.allSatisfy { types.contains($0) })
        let namespace = try KernelBench.newNamespace()
        let dataplane = Dataplane(try namespace.onOwnThread { try NetlinkConnection.netfilter() })
        let program = ReloadTests.program
        try dataplane.install([], on: program)
        #expect(try dataplane.drift(of: [program]).isEmpty)
        let (before, after) = try reload(namespace)
        #expect(before == after)
        for declaration in [
            "typeof meta time\n", "typeof meta time : verdict\n", "typeof numgen inc mod 4294967295 offset 1\n",
            "typeof numgen inc mod 4294967295 offset 1 : verdict\n", "elements = { 0-25 }",
        ] { #expect(before.contains(declaration), "\(declaration) in\n\(before)") }
        // nft says moments in whole seconds: the last one of each range is lost. All else is as it was.
        let drift = try dataplane.drift(of: [program]).map(\.description)
        #expect(
            drift == ["moments", "moment-map"].map { "set \(ReloadTests.table) \($0) has changed" }, "\(drift)")
    }

    @Test("the whole ruleset of a run whose policy has times is loaded as it was listed")
    func run() throws {
        let bench = try KernelBench()
        let always = Schedule(from: Schedule.LocalTime(CivilDate(dayNumber: 0)))
        let policies = PolicySet.rules(
            EgressRule(
                action: .allow, destinations: [.prefix("203.0.113.0/24", except: "203.0.113.66/32")],
                services: [.ports(.tcp, PortRange(443)), .icmp(.icmp, type: 8)], schedule: always),
            EgressRule(action: .reject, destinations: [.builtIn(.private)], schedule: always))
        let programs = try BenchPrograms(
            policies, bench.endpoint, generation: 7, horizon: 1_800_000_000...1_800_003_600)
        try bench.install(programs)
        let (before, after) = try reload(bench.host)
        #expect(before == after)
        #expect(before.contains("typeof meta time"))
        try bench.removeTables()
    }
}
