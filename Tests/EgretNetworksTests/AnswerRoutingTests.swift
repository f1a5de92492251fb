// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@testable import EgretNetworks

@Suite("By which link an endpoint of several networks answers")
struct AnswerRoutingTests {
    /// An endpoint with eth1, number 3 in its namespace, and the main table's routes by that; eth0 is another link's.
    private struct Scene {
        var network: NetworkRecord
        var host = NamespaceState()
        var inside = NamespaceState()
        var led: Set<AddressFamily> = [.ipv4]

        var faults: [NetworkFault] {
            network.endpoints.flatMap { network.faults(of: $0, host: host, inside: inside, led: led) }
        }
    }

    /// 0x67000000, and the link's number.
    private let table: UInt32 = 1_728_053_251

    private func makeScene(_ mode: NetworkSpec.Mode = .bridge, isIsolated: Bool = false) throws -> Scene {
        let block = try #require(IPPrefix("10.8.0.0/24"))
        let (own, gateway) = (try address("10.8.0.2"), try address("10.8.0.1"))
        let record = NetworkRecord(
            NetworkSpec(name: "br1", mode: mode, subnets: [Subnet(block)], isIsolated: isIsolated), bootID: "")
        var scene = Scene(network: record)
        scene.network.endpoints = [
            NetworkRecord.Endpoint(
                namespace: "a", cookie: 7, isCreated: false, interface: "eth1", hostInterface: "egn1", hostIndex: 5,
                hardwareAddress: "02:00:00:00:00:01", hostHardwareAddress: "fe:ff:00:00:00:01", addresses: [own],
                sourceAddresses: [], order: 2, stage: .ready)
        ]
        scene.network.bridgeIndex = mode == .bridge ? 4 : nil
        scene.host.links = [
            LinkRecord(
                index: 5, name: "egn1", flags: 1, address: MACAddress(text: "fe:ff:00:00:00:01"), kind: "veth",
                peerIndex: 3, masterIndex: scene.network.bridgeIndex),
            LinkRecord(index: 4, name: "br1", flags: 1, kind: "bridge"),
        ]
        scene.inside.links = [
            LinkRecord(
                index: 3, name: "eth1", flags: 1, address: MACAddress(text: "02:00:00:00:00:01"), kind: "veth",
                peerIndex: 5)
        ]
        scene.inside.addresses = [
            AddressRecord(linkIndex: 3, address: own, prefixLength: mode == .bridge ? 24 : 32)
        ]
        if mode == .bridge {
            scene.inside.routes = [RouteRecord(to: block, link: 3)]
        } else {
            scene.host.addresses = [AddressRecord(linkIndex: 5, address: gateway, prefixLength: 32)]
            scene.host.routes = [RouteRecord(to: IPPrefix(own), link: 5)]
            scene.inside.routes = [
                RouteRecord(to: IPPrefix(gateway), link: 3), RouteRecord(to: block, gateway: gateway, link: 3),
            ]
        }
        scene.inside.rules = [.ipv4: []]
        return scene
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func everywhere(by link: UInt32, via gateway: String = "10.8.0.1") throws -> RouteRecord {
        RouteRecord(to: try #require(IPPrefix("0.0.0.0/0")), gateway: try address(gateway), link: link)
    }

    private func rule(
        from source: String = "10.8.0.2", table: UInt32, protocolNumber: UInt8 = 101, isPermanent: Bool = false
    ) throws -> RoutingRuleRecord {
        RoutingRuleRecord(
            family: .ipv4, priority: 32_765, source: IPPrefix(try address(source)), table: table,
            protocolNumber: protocolNumber, isPermanent: isPermanent)
    }

    /// What the namespace has where nothing is missing.
    private func lead(_ scene: inout Scene) throws {
        scene.inside.rules = [.ipv4: [try rule(table: table)]]
        scene.inside.answerRoutes = (scene.inside.routes + [try everywhere(by: 3)]).map { route in
            var route = route
            route.table = table
            return route
        }
    }

    private let lostRule = "a has lost its routing rule for what it sends from 10.8.0.2"
    private let oldRule = "a has an old routing rule for what it sends from 10.8.0.2"
    private let lostDefault = "a has lost the default route by eth1 of what it sends from 10.8.0.2"

    @Test("where an earlier connection leads out, there is a rule for its address, and a table with its routes")
    func needed() throws {
        var scene = try makeScene()
        #expect(
            scene.faults.map(\.words) == [
                lostRule, "a has lost the route to 10.8.0.0/24 by eth1 of what it sends from 10.8.0.2", lostDefault,
            ])
        #expect(scene.faults.allSatisfy { $0.part == .route && $0.isAboutAnswers && !$0.isWayOut })
        try lead(&scene)
        #expect(scene.faults == [])
        scene.inside.answerRoutes.removeLast()
        #expect(scene.faults.map(\.words) == [lostDefault])
    }

    @Test("the table of a routed link has the way to its gateway first")
    func routed() throws {
        var scene = try makeScene(.routed)
        #expect(
            scene.faults.map(\.words) == [
                lostRule, "a has lost the route to 10.8.0.1 by eth1 of what it sends from 10.8.0.2",
                "a has lost the route to 10.8.0.0/24 by eth1 of what it sends from 10.8.0.2", lostDefault,
            ])
        try lead(&scene)
        #expect(scene.faults == [])
    }

    @Test("who leaves by this link anyway needs no rule, and gives up the one that it had")
    func leader() throws {
        var scene = try makeScene()
        scene.led = []
        scene.inside.routes.append(try everywhere(by: 3))
        #expect(scene.faults == [])
        scene.inside.rules = [.ipv4: [try rule(table: table)]]
        #expect(scene.faults.map(\.words) == [oldRule])
        scene.inside.routes.removeLast()
        #expect(scene.faults.map(\.isWayOut) == [true, false], "the way out comes first")
        #expect(scene.faults.map(\.isAboutAnswers) == [false, true])
    }

    @Test("somebody else's default route by another link counts as an earlier connection, a refusal does not")
    func strangers() throws {
        var scene = try makeScene()
        scene.led = []
        scene.inside.routes.append(try everywhere(by: 2, via: "10.77.0.1"))
        #expect(scene.faults.map(\.words).first == lostRule)
        try lead(&scene)
        scene.inside.routes[1].kind = .unreachable
        #expect(scene.faults.map(\.words) == [oldRule])
    }

    @Test("a link that was made again has another table; rules of others are theirs")
    func tables() throws {
        var scene = try makeScene()
        try lead(&scene)
        scene.inside.rules[.ipv4]?.append(try rule(table: 1_728_053_252))
        #expect(scene.faults.map(\.words) == [oldRule])
        scene.inside.rules[.ipv4]?.removeFirst()
        #expect(scene.faults.map(\.words) == [oldRule, lostRule])
        try lead(&scene)
        scene.inside.rules[.ipv4]? += [
            try rule(table: 77), try rule(table: 1_728_053_252, protocolNumber: 4),
            try rule(from: "10.8.0.3", table: 1_728_053_252),
        ]
        #expect(scene.faults == [])
    }

    @Test("a rule that nobody can remove is told of and is no fault; one that leads as Egret's does will do")
    func lasting() throws {
        var scene = try makeScene()
        try lead(&scene)
        let endpoint = try #require(scene.network.endpoints.first)
        scene.inside.rules[.ipv4]?.insert(try rule(table: 1_728_053_401, isPermanent: true), at: 0)
        #expect(scene.faults == [])
        let said = scene.network.lastingRules(of: endpoint, inside: scene.inside)
        let made = "from 10.8.0.2 lookup 1728053401, priority 32765; "
        #expect(said.map { $0.hasPrefix("a has made a routing rule that nobody can remove: " + made) } == [true])
        scene.inside.rules[.ipv4]?.removeLast()
        #expect(scene.faults.map(\.words) == [lostRule], "what is missing besides is put right")
        for (maker, isPermanent) in [(101, true), (4, true), (4, false)] as [(UInt8, Bool)] {
            scene.inside.rules = [.ipv4: [try rule(table: table, protocolNumber: maker, isPermanent: isPermanent)]]
            #expect(scene.faults == [])
            #expect(scene.network.lastingRules(of: endpoint, inside: scene.inside) == [])
        }
    }

    @Test("with a rule that is not needed any more go Egret's routes of its table; others' are theirs")
    func routesOfOthers() throws {
        var scene = try makeScene()
        scene.led = []
        scene.inside.routes.append(try everywhere(by: 3))
        try lead(&scene)
        scene.inside.answerRoutes[0].protocolNumber = 101
        let old = NetworkFault.Mend.unlead(try rule(table: table), [scene.inside.answerRoutes[0]])
        #expect(scene.faults.map(\.mend) == [old])
    }

    @Test("an isolated network's endpoint answers nobody outside, and a kernel without rules has none that are missing")
    func exceptions() throws {
        #expect(try makeScene(isIsolated: true).faults == [])
        var scene = try makeScene()
        scene.inside.rules = [:]
        #expect(scene.faults == [])
    }
}
