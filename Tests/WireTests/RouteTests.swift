// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@Suite("rtnetlink")
struct RouteTests {
    private let link: UInt32 = 3
    private let first = MACAddress(rawValue: 0x0200_0000_0001)
    private let second = MACAddress(rawValue: 0x0200_0000_0002)

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

    private func expectSame(
        _ ours: [UInt8], _ theirs: [UInt8], headerSize: Int, leavingOut: [UInt16] = [],
        _ location: Testing.SourceLocation = #_sourceLocation
    ) throws {
        let (ours, theirs) = (try NetlinkMessage.parse(ours)[0], try NetlinkMessage.parse(theirs)[0])
        let mine = try MessageTree(ours, headerSize: headerSize, leavingOut: leavingOut)
        let other = try MessageTree(theirs, headerSize: headerSize, leavingOut: leavingOut)
        #expect(mine == other, sourceLocation: location)
        #expect(ours.flags == theirs.flags, sourceLocation: location)
    }

    @Test("a veth pair is asked for as ip(8) asks, which does not mark its nests")
    func createVeth() throws {
        let ours = try RouteWire.createVeth(
            VethEnd(name: try #require(InterfaceName("ega")), address: first),
            peer: VethEnd(name: try #require(InterfaceName("egb")), address: second),
            peerNamespace: 5, mtu: 1400, queueLength: 100, sequence: 1
        )
        let mine = try NetlinkMessage.parse(ours)[0]
        let theirs = try NetlinkMessage.parse(RouteCapture.createVeth)[0]
        #expect(mine.flags == theirs.flags && mine.payload.prefix(16) == theirs.payload.prefix(16))
        let flat: (NetlinkMessage) throws -> [UInt16: [UInt8]] = { message in
            var found: [UInt16: [UInt8]] = [:]
            for attribute in try NetlinkAttribute.parse(message.payload.dropFirst(16)) where attribute.type != 18 {
                found[attribute.type] = Array(attribute.payload)
            }
            return found
        }
        #expect(try flat(mine) == flat(theirs))
        let (peer, theirPeer) = (try peerAttributes(mine), try peerAttributes(theirs))
        for type in [1, 3, 4, 13] as [UInt16] { #expect(peer[type] == theirPeer[type], "attribute \(type)") }
        #expect(peer[28] == [5, 0, 0, 0] || peer[28] == [0, 0, 0, 5])
    }

    private func peerAttributes(_ message: NetlinkMessage) throws -> [UInt16: [UInt8]] {
        let info = try #require(try NetlinkAttribute.parse(message.payload.dropFirst(16)).first { $0.type == 18 })
        let kind = try #require(try info.attributes().first { $0.type == 1 })
        #expect(kind.string() == "veth")
        let data = try #require(try info.attributes().first { $0.type == 2 })
        let peer = try #require(try data.attributes().first { $0.type == 1 })
        var found: [UInt16: [UInt8]] = [:]
        for attribute in try NetlinkAttribute.parse(peer.payload.dropFirst(16)) {
            found[attribute.type] = Array(attribute.payload)
        }
        return found
    }

    @Test("a link goes up and is deleted as ip(8) does it")
    func setLink() throws {
        try expectSame(RouteWire.setLink(link, up: true, sequence: 1), RouteCapture.linkUp, headerSize: 16)
        try expectSame(RouteWire.deleteLink(link, sequence: 1), RouteCapture.deleteLink, headerSize: 16)
    }

    @Test("a bridge is made and gets a port as ip(8) does it, which does not mark its nests")
    func bridge() throws {
        let name = try #require(InterfaceName("br0"))
        let ours = try RouteWire.createBridge(name, address: first, mtu: 1400, sequence: 1)
        try expectSame(ours, RouteCapture.createBridge, headerSize: 16, leavingOut: [18])
        let kind: ([UInt8]) throws -> [String] = { bytes in
            let message = try NetlinkMessage.parse(bytes)[0]
            return try NetlinkAttribute.parse(message.payload.dropFirst(16)).filter { $0.type == 18 }
                .flatMap { try $0.attributes() }.map { "\($0.type) \($0.string())" }
        }
        #expect(try kind(ours) == ["1 bridge"] && kind(RouteCapture.createBridge) == ["1 bridge"])
        try expectSame(RouteWire.setLink(link, master: 4, sequence: 1), RouteCapture.setMaster, headerSize: 16)
    }

    @Test("a bridge's own switches for what it passes on")
    func bridgeFilters() throws {
        let record = try RouteWire.decodeLink(NetlinkMessage.parse(RouteCapture.bridge)[0])
        #expect(record.name == "br0" && record.kind == "bridge" && record.address == first)
        #expect(record.bridgeFilters == BridgeFilters(ipv4: true, ipv6: false, arp: true))
        let others = try NetlinkMessage.parse(RouteCapture.links).map { try RouteWire.decodeLink($0) }
        #expect(others.allSatisfy { $0.bridgeFilters == nil })
    }

    @Test("a port's hairpin mode is set as ip(8) does it, which names the port's kind where a link's is named")
    func hairpin() throws {
        let ours = try NetlinkMessage.parse(RouteWire.setHairpin(port: link, sequence: 1))[0]
        let theirs = try NetlinkMessage.parse(RouteCapture.setHairpin)[0]
        // IFLA_LINKINFO, and in it IFLA_INFO_SLAVE_DATA.
        let settings: (NetlinkMessage) throws -> [UInt16: [UInt8]] = { message in
            let info = try NetlinkAttribute.parse(message.payload.dropFirst(16)).first { $0.type == 18 }
            let data = try info?.attributes().first { $0.type == 5 }
            return Dictionary(
                try data?.attributes().map { ($0.type, Array($0.payload)) } ?? [],
                uniquingKeysWith: { first, _ in first })
        }
        #expect(try settings(ours) == [4: [1]] && settings(theirs) == [4: [1]])
        #expect(ours.payload.prefix(16) == theirs.payload.prefix(16) && ours.flags == theirs.flags)
    }

    @Test("automatic IPv6 addresses are turned off as ip(8) does it")
    func addressGeneration() throws {
        let ours = try RouteWire.disableAddressGeneration(link: link, sequence: 1)
        let mine = try NetlinkMessage.parse(ours)[0]
        let theirs = try NetlinkMessage.parse(RouteCapture.noAddressGeneration)[0]
        let mode: (NetlinkMessage) throws -> ArraySlice<UInt8>? = { message in
            let list = try NetlinkAttribute.parse(message.payload.dropFirst(16))
            let family = try list.first { $0.type == 26 }?.attributes().first { $0.type == 10 }
            return try family?.attributes().first { $0.type == 8 }?.payload
        }
        #expect(try mode(mine) == [1] && mode(theirs) == [1])
        #expect(mine.payload.prefix(16) == theirs.payload.prefix(16))
    }

    @Test("links, with their peers")
    func links() throws {
        let links = try NetlinkMessage.parse(RouteCapture.links).map { try RouteWire.decodeLink($0) }
        #expect(links.map(\.name) == ["lo", "egb", "ega"])
        let ega = links[2]
        #expect(ega.address == first && ega.kind == "veth" && ega.isUp && ega.mtu == 1400)
        #expect(ega.peerIndex == links[1].index && links[1].peerIndex == ega.index && ega.peerNamespaceID == nil)
        #expect(links[0].kind == nil && !links[0].isUp && !links[1].isUp)
    }

    @Test("bridges' ports are asked for by the family alone")
    func bridgePorts() throws {
        let messages = try NetlinkMessage.parse(RouteWire.bridgePortsRequest(sequence: 3))
        let message = try #require(messages.first)
        // RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, AF_BRIDGE.
        #expect(messages.count == 1 && message.type == 18 && message.flags == 0x301 && message.sequence == 3)
        #expect(Array(message.payload) == [7] + [UInt8](repeating: 0, count: 15))
    }

    @Test("addresses are added as ip(8) adds them")
    func addAddress() throws {
        let four = try RouteWire.addAddress(
            address("10.9.8.1"), prefixLength: 32, peer: address("10.9.8.2"), flags: .noPrefixRoute, link: link,
            sequence: 1
        )
        let six = try RouteWire.addAddress(
            address("fd00::1"), prefixLength: 64, flags: [.noDuplicateDetection, .noPrefixRoute], link: link,
            sequence: 1
        )
        // The low eight flags also stand in the header of ours; the kernel takes the attribute.
        for (ours, theirs) in [(four, RouteCapture.addAddress), (six, RouteCapture.addAddress6)] {
            let (mine, other) = (try NetlinkMessage.parse(ours)[0], try NetlinkMessage.parse(theirs)[0])
            #expect(
                try MessageTree(mine, headerSize: 8).attributes == MessageTree(other, headerSize: 8).attributes
            )
            #expect(mine.payload.prefix(2) == other.payload.prefix(2) && mine.flags == other.flags)
            #expect(mine.payload.dropFirst(4).prefix(4) == other.payload.dropFirst(4).prefix(4))
        }
        #expect(throws: WireError.self) {
            try RouteWire.addAddress(address("10.0.0.1"), prefixLength: 33, link: link, sequence: 1)
        }
    }

    @Test("addresses")
    func addresses() throws {
        let records = try NetlinkMessage.parse(RouteCapture.addresses).compactMap { try RouteWire.decodeAddress($0) }
        let four = try #require(try records.first { try $0.address == address("10.9.8.1") })
        #expect(try four.peer == address("10.9.8.2") && four.prefixLength == 32 && four.linkIndex == link)
        #expect(four.flags == [.permanent, .noPrefixRoute])
        let six = try #require(try records.first { try $0.address == address("fd00::1") })
        #expect(six.peer == nil && six.prefixLength == 64)
        #expect(six.flags == [.permanent, .noPrefixRoute, .noDuplicateDetection])
        #expect(try records.contains { try $0.address == address("127.0.0.1") })
    }

    @Test("routes are added as ip(8) adds them")
    func addRoute() throws {
        var four = RouteRecord(
            to: try prefix("0.0.0.0/0"), gateway: try address("10.9.8.2"), link: link, isOnLink: true)
        four.preferredSource = try address("10.9.8.1")
        var six = RouteRecord(to: try prefix("fd01::/16"), link: link)
        six.table = 1000
        six.metric = 77
        // 15: ip(8) repeats a table number only if it does not fit the header.
        try expectSame(
            RouteWire.addRoute(four, sequence: 1), RouteCapture.addRoute, headerSize: 12, leavingOut: [15]
        )
        try expectSame(RouteWire.addRoute(six, sequence: 1), RouteCapture.addRoute6, headerSize: 12)
    }

    @Test("routes of every table, with several next hops and with none")
    func routes() throws {
        let routes = try NetlinkMessage.parse(RouteCapture.routes).compactMap { try RouteWire.decodeRoute($0) }
        let standard = try #require(routes.first { $0.isDefault && $0.table == 254 })
        #expect(try standard.gateway == address("10.9.8.2") && standard.outputIndices == [3] && standard.isOnLink)
        #expect(try standard.preferredSource == address("10.9.8.1") && standard.protocolNumber == 4)
        let multipath = try #require(try routes.first { try $0.destination == prefix("192.0.2.0/24") })
        #expect(multipath.outputIndices == [3, 2] && multipath.gateway == nil)
        let hole = try #require(try routes.first { try $0.destination == prefix("203.0.113.0/24") })
        #expect(hole.kind == .blackhole && hole.outputIndices.isEmpty)
        let six = try #require(try routes.first { try $0.destination == prefix("fd01::/16") && $0.table == 1000 })
        #expect(six.metric == 77)
        #expect(routes.contains { $0.kind == .local && $0.table == 255 })
    }

    @Test("a route is asked for, and found")
    func routeGet() throws {
        let request = try RouteWire.routeRequest(to: address("198.51.100.7"), sequence: 1)
        let mine = try NetlinkMessage.parse(request)[0]
        let theirs = try NetlinkMessage.parse(RouteCapture.routeGetRequest)[0]
        let left: [UInt16] = []
        #expect(
            try MessageTree(mine, headerSize: 12, leavingOut: left).attributes
                == MessageTree(theirs, headerSize: 12, leavingOut: left).attributes
        )
        let answer = try #require(try NetlinkMessage.parse(RouteCapture.routeGet).first)
        let route = try #require(try RouteWire.decodeRoute(answer))
        #expect(try route.gateway == address("10.9.8.2") && route.outputIndices == [3])
        #expect(try route.destination == prefix("198.51.100.7/32"))
    }

    @Test("neighbours are set as ip(8) sets them, and found")
    func neighbours() throws {
        let request = try RouteWire.setPermanentNeighbour(
            address("10.9.8.2"), hardwareAddress: second, link: link, sequence: 1
        )
        try expectSame(request, RouteCapture.addNeighbour, headerSize: 12)
        let records = try NetlinkMessage.parse(RouteCapture.neighbours).filter { $0.type == 28 }
            .compactMap { try RouteWire.decodeNeighbour($0) }
        for text in ["10.9.8.2", "fd00::2"] {
            let record = try #require(try records.first { try $0.address == address(text) })
            #expect(record.isPermanent && record.hardwareAddress == second && record.linkIndex == link)
        }
    }
}
