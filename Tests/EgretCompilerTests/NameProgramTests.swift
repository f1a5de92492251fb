// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretNftables
import Testing

@Suite("programs that lead to the name proxies")
struct NameProgramTests {
    private func program(_ doors: [NameProgram.Door], datagramsPort: UInt16? = nil) throws -> NameProgram {
        let endpoint = Endpoint(
            interface: try #require(InterfaceName("egret3")),
            interfaceIndex: 7,
            hardwareAddress: MACAddress(locallyAdministered: 1),
            addresses: [try #require(IPAddress("10.213.128.7")), try #require(IPAddress("fd00::7"))]
        )
        let hosts = try ["10.213.128.6", "fd00::6"].map { try #require(IPAddress($0)) }
        return NameProgram(
            doors, for: endpoint,
            to: NameProgram.Proxies(
                addresses: hosts, namesPort: 5_053, checksPort: 5_443, datagramsPort: datagramsPort),
            generation: try #require(Generation(rawValue: 0x1234)), slot: 3)
    }

    private func lines(_ program: NameProgram, in chain: String) -> [String] {
        program.program.rules.filter { $0.chain == chain }.map { NftText.render($0) }
    }

    private static let door = NameProgram.Door(
        sets: [.ipv4: "g1-d0-ipv4", .ipv6: "g1-d0-ipv6"], checkedPorts: [PortRange(443)])

    @Test("new TCP to an address of a name, on a port where one is said, is led to the check; the rest is not")
    func leading() throws {
        #expect(
            try lines(program([NameProgramTests.door]), in: "egret3-lead").suffix(6) == [
                "ct direction == reply accept", "ct label & 30 == 30 goto egret3-check",
                "ct state invalid,established,related,untracked accept", "fib daddr type == 2 accept",
                "meta nfproto == ipv4 meta l4proto == tcp ip daddr @g1-d0-ipv4 th dport == 443 "
                    + "goto egret3-check",
                "meta nfproto == ipv6 meta l4proto == tcp ip6 daddr @g1-d0-ipv6 th dport == 443 "
                    + "goto egret3-check",
            ])
    }

    @Test("a rule that wants no name leads nowhere; all ports need no set, and several are one")
    func ports() throws {
        var silent = NameProgramTests.door
        silent.checkedPorts = []
        #expect(try lines(program([silent]), in: "egret3-lead").last == "fib daddr type == 2 accept")
        var all = NameProgramTests.door
        all.checkedPorts = [.all]
        #expect(try program([all]).program.sets.isEmpty)
        var several = NameProgramTests.door
        several.checkedPorts = [PortRange(80), PortRange(443)]
        let program = try program([silent, several])
        #expect(program.program.sets.map(\.name) == ["egret3-ports-1"] && program.program.sets[0].contents.count == 2)
    }

    @Test("the first datagrams to an address of a name are led to a check of their own, but for flows that have passed")
    func datagrams() throws {
        var door = NameProgramTests.door
        door.checkedDatagrams = [PortRange(443)]
        let program = try program([door], datagramsPort: 5_444)
        #expect(program.program.sets.map(\.name) == ["egret3-passed-ipv4", "egret3-passed-ipv6"])
        #expect(program.program.sets.allSatisfy { $0.hasTimeouts && $0.size != nil })
        let four = "ip saddr . th sport . ip daddr . th dport @egret3-passed-ipv4"
        let six = "ip6 saddr . th sport . ip6 daddr . th dport @egret3-passed-ipv6"
        #expect(
            lines(program, in: "egret3-lead").suffix(6) == [
                "meta nfproto == ipv4 meta l4proto == udp \(four) accept",
                "meta nfproto == ipv6 meta l4proto == udp \(six) accept",
                "meta nfproto == ipv4 meta l4proto == tcp ip daddr @g1-d0-ipv4 th dport == 443 goto egret3-check",
                "meta nfproto == ipv6 meta l4proto == tcp ip6 daddr @g1-d0-ipv6 th dport == 443 goto egret3-check",
                "meta nfproto == ipv4 meta l4proto == udp ip daddr @g1-d0-ipv4 th dport == 443 goto egret3-check",
                "meta nfproto == ipv6 meta l4proto == udp ip6 daddr @g1-d0-ipv6 th dport == 443 goto egret3-check",
            ])
        let check = lines(program, in: "egret3-check")
        #expect(check.count == 4)
        #expect(
            check[0].hasPrefix(
                "meta l4proto == udp limit name \"egret3-first\" tproxy to :5444 ct label set 30 "))
        #expect(program.program.limits.map(\.name) == ["egret3-questions", "egret3-first"])
        #expect(check[1] == "meta l4proto == udp counter name \"egret3-unheard\" drop")
        #expect(check[2].hasPrefix("tproxy to :5443 "))
        // Without a proxy there is nowhere to lead them to, and the policy's rules refuse them.
        #expect(try self.program([door]).program.sets.isEmpty)
        #expect(lines(try self.program([door]), in: "egret3-check").count == 2)
    }

    @Test("what nobody takes is dropped, and nothing that was led is forwarded")
    func closed() throws {
        let program = try program([NameProgramTests.door])
        #expect(
            lines(program, in: "egret3-check") == [
                "tproxy to :5443 ct label set 30 ct mark set ct mark & 0x0000ffff | 0x12340000 "
                    + "meta mark set meta mark & 0x3fffc000 | 0x80000003 accept",
                "counter name \"egret3-unheard\" drop",
            ])
        // Its label is no endpoint's and no way's.
        #expect(!([HostNames.label] + HostRouteMark.ways.map { HostRouteMark.label(way: $0) }).contains(30))
        #expect(lines(program, in: "egret3-guard").count == 3)
        #expect(lines(program, in: "egret3-guard").allSatisfy { $0.hasSuffix("counter name \"egret3-strayed\" drop") })
    }

    @Test("what comes to the proxies' ports by another link than the endpoint's is dropped")
    func uninvited() throws {
        var door = NameProgramTests.door
        let first = ["udp th dport == 5053", "tcp th dport == 5053", "tcp th dport == 5443"]
        func expected(_ places: [String]) -> [String] {
            places.map { "meta iif != 7 meta l4proto == \($0) counter drop" }
        }
        #expect(try lines(program([door]), in: "egret3-arrive") == expected(first))
        door.checkedDatagrams = [PortRange(443)]
        #expect(
            try lines(program([door], datagramsPort: 5_444), in: "egret3-arrive")
                == expected(first + ["udp th dport == 5444"]))
        let chain = try program([door]).program.chains.first { $0.name == "egret3-arrive" }
        #expect(chain?.base?.hook == .input)
    }

    @Test("questions of both families and protocols go to the proxy, and are limited before")
    func questions() throws {
        let program = try program([])
        let resolve = lines(program, in: "egret3-resolve")
        #expect(resolve.count == 4 && resolve.allSatisfy { $0.contains("th dport == 53 ct mark set") })
        #expect(resolve[0].hasSuffix("dnat ip to 10.213.128.6:5053"))
        #expect(resolve[3].hasSuffix("dnat ip6 to [fd00::6]:5053"))
        #expect(
            lines(program, in: "egret3-lead").prefix(2) == [
                "meta l4proto == udp th dport == 53 limit name \"egret3-questions\" accept",
                "meta l4proto == udp th dport == 53 counter name \"egret3-flooded\" drop",
            ])
    }

    @Test("every object bears the interface's name, so that whoever cleans up finds it")
    func names() throws {
        let program = try program([NameProgramTests.door]).program
        let names =
            program.chains.map(\.name) + program.sets.map(\.name) + program.counters.map(\.name)
            + program.limits.map(\.name)
        #expect(names.allSatisfy { $0.hasPrefix("egret3-") } && Swift.Set(names).count == names.count)
    }
}
