// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlink
import EgretNetlinkWire
import Testing

@testable import EgretNetworks

struct NetworkLinksTests {
    @Test("where a driver keeps the kernel from listing bridges' ports, all links are listed")
    func refusedPorts() throws {
        let port = LinkRecord(index: 3, name: "egn0", masterIndex: 2, mtu: 1500)
        let other = LinkRecord(index: 1, name: "lo")
        let refusal = NetlinkError(malformed: "the driver says so", operation: "list ports of bridges")
        let refused: () throws -> [LinkRecord] = { throw refusal }
        let instead = try NetworkLinks.ports(refused, orAll: { [other, port] })
        #expect(instead == [other, port])
        // Nobody lists all of them for nothing.
        let listed = try NetworkLinks.ports({ [port] }, orAll: refused)
        #expect(listed == [port])
        #expect(throws: refusal) { try NetworkLinks.ports(refused, orAll: refused) }
    }
}
