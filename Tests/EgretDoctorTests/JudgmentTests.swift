// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDoctor
import EgretLinux
import EgretNetlinkWire
import EgretNftables
import Testing

/// What is judged from plain observations, without a kernel.
@Suite("the doctor's judgment")
struct JudgmentTests {
    /// A probe that was answered through a bridge and a host that masquerades.
    private func healthy() throws -> Observation {
        let (source, far) = (try address("192.168.0.2"), try address("8.8.8.8"))
        let own = try address("203.0.113.2")
        var endpoint = Surroundings(.name("ns0"))
        endpoint.links = [LinkRecord(index: 2, name: "eth0", flags: 1, kind: "veth", peerIndex: 5)]
        endpoint.addresses = [AddressRecord(linkIndex: 2, address: source, prefixLength: 16)]
        var host = Surroundings(.host)
        host.links = [
            LinkRecord(index: 4, name: "br0", flags: 1, kind: "bridge"),
            LinkRecord(index: 5, name: "veth0", flags: 1, kind: "veth", peerIndex: 2, masterIndex: 4),
            LinkRecord(index: 6, name: "up0", flags: 1),
        ]
        host.addresses = [
            AddressRecord(linkIndex: 4, address: try address("192.168.0.1"), prefixLength: 16),
            AddressRecord(linkIndex: 6, address: own, prefixLength: 24),
        ]
        host.switches = ["net/ipv4/conf/br0/forwarding": "1", "net/ipv4/conf/up0/forwarding": "1"]
        let everything = try #require(IPPrefix("0.0.0.0/0"))
        let route = RouteRecord(to: everything, gateway: try address("192.168.0.1"), link: 2)
        var seen = Observation(Probe(to: far, .echo), endpoint: endpoint, host: host, route: .route(route))
        seen.interface = endpoint.links[0]
        seen.hostEnd = host.links[1]
        seen.source = source
        seen.outcome = .answered(after: .milliseconds(3))
        seen.outward.sightings = [
            (Hook.prerouting, source), (.forward, source), (.postrouting, source),
        ].flatMap { hook, from in
            [false, true].map {
                Passage.Sighting(
                    .init(hook, isLast: $0), from: hook == .postrouting && $0 ? own : from, to: far,
                    inputInterface: 4, outputInterface: 6)
            }
        }
        seen.hostRoute = .route(RouteRecord(to: everything, gateway: try address("203.0.113.1"), link: 6))
        seen.size = .passes(1500)
        return seen
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test("every step of a healthy way is looked at, and none is bad")
    func healthyWay() throws {
        let diagnosis = Diagnosis(try healthy())
        #expect(diagnosis.finding == nil)
        #expect(diagnosis.lines.map(\.step) == Step.allCases)
    }

    @Test("the first step that fails is the finding, and later ones are not guessed")
    func first() throws {
        var seen = try healthy()
        seen.hostEnd?.flags = 0
        seen.host.switches = [:]
        seen.outcome = .silent(after: .milliseconds(800))
        let diagnosis = Diagnosis(seen)
        #expect(diagnosis.lines.map(\.step) == [.link])
        #expect(diagnosis.finding?.commandLines == ["ip link set veth0 up"])
    }

    @Test("forwarding that is off is no finding as long as answers come")
    func whatTheKernelDid() throws {
        var seen = try healthy()
        seen.host.switches = [:]
        #expect(Diagnosis(seen).finding == nil)
        seen.outcome = .silent(after: .milliseconds(800))
        seen.outward.sightings.removeLast(4)
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .forwarding)
        #expect(
            finding.commandLines == [
                "sysctl -w net/ipv4/conf/br0/forwarding=1", "sysctl -w net/ipv4/conf/up0/forwarding=1",
            ])
    }

    @Test("a route that refuses is not taken for a strict rp_filter, which wants the source elsewhere")
    func refusalOfARoute() throws {
        var seen = try healthy()
        seen.outcome = .silent(after: .milliseconds(800))
        seen.outward.sightings.removeLast(4)
        seen.host.switches["net/ipv4/conf/br0/rp_filter"] = "1"
        let block = try #require(IPPrefix("8.8.8.0/24"))
        var blackhole = RouteRecord(to: block)
        blackhole.kind = .blackhole
        seen.host.routes = [blackhole]
        seen.hostRoute = .refused(.invalid)
        let own = try #require(IPPrefix("192.168.0.0/16"))
        seen.sourceRoute = .route(RouteRecord(to: own, link: 4))
        let route = try #require(Diagnosis(seen).finding)
        #expect(route.step == .wayOut)
        #expect(route.commandLines == ["ip route del blackhole 8.8.8.0/24"])
        seen.host.routes = []
        seen.sourceRoute = .route(RouteRecord(to: own, link: 6))
        let filter = try #require(Diagnosis(seen).finding)
        #expect(filter.step == .forwarding && filter.seen.hasPrefix("rp_filter: "))
    }

    @Test("a packet that the kernel hands from port to port is told from one that vanishes")
    func backIntoBridge() throws {
        var seen = try healthy()
        seen.outcome = .silent(after: .milliseconds(800))
        seen.outward.sightings.removeLast(4)
        seen.outward.sightings[1].destination = try address("192.168.0.3")
        seen.hostRoute = .route(RouteRecord(to: try #require(IPPrefix("192.168.0.0/16")), link: 4))
        #expect(Diagnosis(seen).finding?.seen.contains("vanishes") == true)
        seen.host.switches["net/bridge/bridge-nf-call-iptables"] = "0"
        #expect(Diagnosis(seen).finding?.seen.contains("vanishes") == true)
        seen.host.switches["net/bridge/bridge-nf-call-iptables"] = "1"
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .wayOut && finding.commands.isEmpty)
        #expect(finding.seen == "8.8.8.8 is 192.168.0.3 here, whose port on br0 it does not get to")
        seen.outward.sightings[1].destination = try address("203.0.113.9")
        #expect(Diagnosis(seen).finding?.seen.contains("vanishes") == true)
    }

    @Test("a private address that leaves untranslated is found, a public one is not")
    func translation() throws {
        var seen = try healthy()
        seen.outcome = .silent(after: .milliseconds(800))
        let last = seen.outward.sightings.count - 1
        seen.outward.sightings[last].source = try address("192.168.0.2")
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .translation && finding.isEgrets)
        #expect(finding.commandLines == ["egret network create br0 --adopt --subnet 192.168.0.0/16"])
        seen.source = try address("198.51.100.7")
        seen.outward.sightings[last].source = try address("198.51.100.7")
        #expect(Diagnosis(seen).finding?.step == .answer)
    }

    @Test("a refusal by the far end is told apart from a refusal by a rule of the host")
    func refusal() throws {
        var seen = try healthy()
        seen.outcome = .refused(after: .milliseconds(3))
        let far = try #require(Diagnosis(seen).finding)
        #expect(far.step == .answer && !far.isNetworkFault)
        seen.outward.sightings.removeLast(3)
        var drop = Passage.Drop(table: Table(family: .inet, name: "other"), chain: "forward", handle: 4)
        (drop.hook, drop.source, drop.text, drop.owner) = (.forward, seen.source, "reject", "nft table other")
        seen.outward.drop = drop
        let near = try #require(Diagnosis(seen).finding)
        #expect(near.step == .rules && near.isNetworkFault)
        #expect(near.commandLines.first == "nft insert rule inet other forward ip saddr 192.168.0.2 accept")
    }

    @Test("a rule of Egret's own is named, and no command undoes it")
    func policy() throws {
        var seen = try healthy()
        seen.outcome = .silent(after: .milliseconds(800))
        seen.outward.sightings.removeLast(3)
        var drop = Passage.Drop(table: Table(family: .inet, name: "egret"), chain: "forward", handle: 4)
        (drop.hook, drop.source, drop.owner) = (.forward, seen.source, "egret")
        seen.outward.drop = drop
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .policy && finding.commands == [] && finding.reason.contains("--allow 8.8.8.8:icmp"))
    }

    @Test("a UDP service that says nothing is no fault")
    func silence() throws {
        var seen = try healthy()
        seen.probe.service = .udp(5000)
        seen.outcome = .silent(after: .milliseconds(800))
        #expect(Diagnosis(seen).finding == nil)
    }

    /// A probe that went to a gateway on the host's bridge, and was not answered.
    private func through(_ gateway: String, hardwareAddress: MACAddress? = nil) throws -> Observation {
        var seen = try healthy()
        let everything = try #require(IPPrefix("0.0.0.0/0"))
        seen.host.links[0].address = hosts
        seen.route = .route(RouteRecord(to: everything, gateway: try address(gateway), link: 2))
        seen.endpoint.neighbours = [
            NeighbourRecord(
                linkIndex: 2, address: try address(gateway), hardwareAddress: hardwareAddress,
                state: hardwareAddress == nil ? 0x20 : 0x02)
        ]
        seen.outcome = .silent(after: .milliseconds(800))
        seen.outward = Passage()
        return seen
    }

    private let hosts = MACAddress(locallyAdministered: 1)
    private let strangers = MACAddress(locallyAdministered: 2)

    @Test("a gateway that another machine on the bridge has is not the host: nothing of the host's is held against it")
    func strangeGateway() throws {
        var seen = try through("192.168.0.254", hardwareAddress: strangers)
        seen.host.switches = [:]
        let silent = Diagnosis(seen)
        #expect(silent.finding?.step == .answer && silent.finding?.commands == [])
        #expect(silent.finding?.reason.contains("192.168.0.254 has got the packet") == true)
        let steps: [Step] = [.arrival, .policy, .forwarding, .rules, .wayOut, .translation]
        for line in silent.lines where steps.contains(line.step) {
            guard case .notNeeded = line.judgment else {
                Issue.record("\(line)")
                continue
            }
        }
        seen.outcome = .answered(after: .milliseconds(3))
        #expect(Diagnosis(seen).finding == nil)
    }

    @Test("a wrong hardware address of the host's is found also where the bridge's packets meet the rules for IP")
    func wrongHardwareAddress() throws {
        var seen = try through("192.168.0.1", hardwareAddress: strangers)
        let (source, far) = (try address("192.168.0.2"), try address("8.8.8.8"))
        func sightings(leavingBy index: UInt32) -> [Passage.Sighting] {
            let hooks: [Hook] = [.prerouting, .forward, .postrouting]
            return hooks.flatMap { hook in
                [false, true].map { isLast in
                    Passage.Sighting(
                        .init(hook, isLast: isLast), from: source, to: far, inputInterface: 4,
                        outputInterface: hook == .prerouting ? nil : index)
                }
            }
        }
        seen.outward.sightings = sightings(leavingBy: 4)
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .neighbour)
        #expect(finding.commandLines == ["ip -n ns0 neighbour del 192.168.0.1 dev eth0"])
        // The host has taken it all the same.
        seen.outward.sightings = sightings(leavingBy: 6)
        #expect(Diagnosis(seen).finding?.step != .neighbour)
    }

    @Test("a rule of the bridge that drops a packet to such a gateway is named")
    func strangeGatewayBehindRule() throws {
        var seen = try through("192.168.0.254", hardwareAddress: strangers)
        var drop = Passage.Drop(table: Table(family: .bridge, name: "other"), chain: "forward", handle: 4)
        (drop.hook, drop.source, drop.owner) = (.forward, seen.source, "nft table other")
        seen.outward.drop = drop
        #expect(Diagnosis(seen).finding?.step == .arrival)
    }

    @Test("the host is the gateway by its own address, and where it answers for another's")
    func hostsGateway() throws {
        for gateway in ["192.168.0.1", "169.254.1.1"] {
            let seen = try through(gateway, hardwareAddress: hosts)
            #expect(Diagnosis(seen).finding?.step == .arrival, "\(gateway)")
        }
    }

    @Test("a network's own gateway that is silent and not the host is its owner's, any other is to be replaced")
    func silentGateway() throws {
        var seen = try through("192.168.0.254")
        #expect(
            Diagnosis(seen).finding?.commandLines == [
                "ip -n ns0 route replace default via 192.168.0.1 dev eth0"
            ])
        let block = try #require(IPPrefix("192.168.0.0/16"))
        seen.networks = [
            KeptNetwork(
                name: "br0", blocks: [block], gateways: [try address("192.168.0.254")], isAdopted: true,
                interfaces: ["br0"], isIsolated: false, isTranslated: true)
        ]
        let finding = try #require(Diagnosis(seen).finding)
        #expect(finding.step == .neighbour && finding.commands == [])
        #expect(finding.reason.contains("no address of this host"))
    }

    @Test("commands are written so that a shell reads them back")
    func quoting() {
        let finding = Finding(.link, "", "", commands: [["nft", "add", "{ a ; }", "it's"], ["ip", "-n", "ns0", ""]])
        #expect(finding.commandLines == [#"nft add '{ a ; }' 'it'\''s'"#, "ip -n ns0 ''"])
    }
}
