// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretRun
import Testing

struct AddressPlannerTests {
    private func prefixes(_ texts: String...) -> [IPPrefix] {
        texts.compactMap { IPPrefix($0) }
    }

    @Test("two slots never share an address, whichever pools they find")
    func slotsAreApart() throws {
        var seen: Set<IPAddress> = []
        for slot in [0, 1, 2, 199, AddressPlanner.slotCount - 1] {
            for occupied in [[], prefixes("10.213.0.0/16", "fd65:6772:6574::/64")] {
                let plan = try #require(
                    AddressPlanner.plan(slot: slot, occupied: occupied, mentioned: [], withIPv6: true)
                )
                for link in plan.links {
                    #expect(link.block.contains(link.host) && link.block.contains(link.endpoint))
                    #expect(seen.insert(link.host).inserted && seen.insert(link.endpoint).inserted)
                }
            }
        }
    }

    @Test(
        "a pool that a route or an address of the host overlaps is not used",
        arguments: [
            "10.213.200.7", "10.213.128.0/24", "10.0.0.0/9", "10.128.0.0/9", "fd65:6772::/32",
        ])
    func occupiedPoolsAreAvoided(text: String) throws {
        let occupied = prefixes(text)
        let plan = try #require(AddressPlanner.plan(slot: 3, occupied: occupied, mentioned: [], withIPv6: true))
        for link in plan.links { #expect(!occupied.contains { $0.overlaps(link.block) }) }
    }

    @Test("a pool that the policy names is avoided while another is free, and used when none is")
    func mentionedPoolsAreAvoided() throws {
        let ten = prefixes("10.0.0.0/8")
        let plan = try #require(AddressPlanner.plan(slot: 3, occupied: [], mentioned: ten, withIPv6: false))
        #expect(!plan.ipv4.block.overlaps(ten[0]))
        let all = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
        #expect(AddressPlanner.plan(slot: 3, occupied: [], mentioned: all, withIPv6: false) != nil)
        let last = AddressPlanner.plan(slot: 3, occupied: all, mentioned: [], withIPv6: false)
        #expect(last?.ipv4.block == prefixes("198.18.128.6/31").first)
        let everything = all + prefixes("198.18.0.0/15")
        #expect(AddressPlanner.plan(slot: 3, occupied: everything, mentioned: [], withIPv6: false) == nil)
    }

    @Test("a block as wide as the internet is not taken as naming every pool")
    func widePrefixesNameNothing() throws {
        let plain = AddressPlanner.plan(slot: 0, occupied: [], mentioned: [], withIPv6: true)
        let wide = prefixes("0.0.0.0/0", "::/0")
        #expect(AddressPlanner.plan(slot: 0, occupied: [], mentioned: wide, withIPv6: true) == plain)
    }

    @Test("a slot out of range has no plan")
    func slotRange() {
        for slot in [-1, AddressPlanner.slotCount] {
            #expect(AddressPlanner.plan(slot: slot, occupied: [], mentioned: [], withIPv6: false) == nil)
        }
    }
}
