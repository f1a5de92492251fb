// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import Testing

@testable import EgretRoutes

@Suite("Looking for the interfaces of ways")
struct HostWayTests {
    private let uplink = LinkRecord(index: 2, name: "eth0")
    private let tunnel = LinkRecord(index: 7, name: "tun0")

    /// The names of the links that are found where these are there, and whether all had to be listed.
    private func found(
        _ ways: [(interface: InterfaceName?, last: String?)], present: [LinkRecord]
    ) throws -> (names: [String], areAll: Bool) {
        var areAll = false
        let links = try HostWay.links(
            for: ways, named: { name in present.first { $0.name == name.rawValue } },
            orAll: {
                areAll = true
                return present
            })
        return (links.map(\.name).sorted(), areAll)
    }

    @Test("interfaces that are known are asked for by name, those of others not at all")
    func known() throws {
        let name = try #require(InterfaceName("eth0"))
        let others = (3...6).map { LinkRecord(index: $0, name: "egn\($0)") }
        let both = try found([(name, nil), (name, "eth0"), (nil, "tun0")], present: others + [uplink, tunnel])
        #expect(both.names == ["eth0", "tun0"] && !both.areAll)
        let one = try found([(name, nil), (nil, "tun0")], present: [tunnel])
        #expect(one.names == ["tun0"] && !one.areAll)
        let none = try found([], present: others)
        #expect(none.names.isEmpty && !none.areAll)
    }

    @Test("for a gateway that may be anywhere all are listed")
    func unknown() throws {
        let never = try found([(nil, nil)], present: [uplink])
        #expect(never.names == ["eth0"] && never.areAll)
        let gone = try found([(nil, "tun0")], present: [uplink])
        #expect(gone.names == ["eth0"] && gone.areAll)
    }
}
