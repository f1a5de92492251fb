// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretRun
import Testing

struct SwitchLedgerTests {
    private let forwarding = HostSwitch("net/ipv4/conf/eth0/forwarding", needed: "1")

    @Test("a switch that has to move is noted once, with its first position")
    func notedOnce() {
        var ledger = SwitchLedger()
        #expect(ledger.prepare([forwarding]) { _ in "0" } == [forwarding])
        #expect(ledger.prepare([forwarding]) { _ in "1" }.isEmpty)
        #expect(ledger.prepare([forwarding]) { _ in "0" } == [forwarding])
        #expect(ledger.text == "\(forwarding.path) 0 1\n")
    }

    @Test("a switch that stands right, or that the kernel lacks, is left alone")
    func leftAlone() {
        var ledger = SwitchLedger()
        #expect(ledger.prepare([forwarding]) { _ in "1" }.isEmpty)
        #expect(ledger.prepare([forwarding]) { _ in nil }.isEmpty)
        #expect(ledger.entries.isEmpty)
    }

    @Test("a switch is put back, last moved first, unless somebody else has moved it since")
    func restoration() {
        var ledger = SwitchLedger()
        let other = HostSwitch("net/ipv4/conf/eth1/forwarding", needed: "1")
        _ = ledger.prepare([forwarding, other]) { _ in "0" }
        #expect(ledger.restoration { _ in "1" }.map(\.path) == [other.path, forwarding.path])
        #expect(ledger.restoration { $0 == other.path ? "2" : "1" } == [HostSwitch(forwarding.path, needed: "0")])
    }

    @Test("a ledger is read back as it was stored; lines that are none are skipped")
    func stored() {
        var ledger = SwitchLedger()
        _ = ledger.prepare([forwarding]) { _ in "0" }
        #expect(SwitchLedger(text: ledger.text) == ledger)
        #expect(SwitchLedger(text: "half a li\n" + ledger.text + "net/x") == ledger)
    }

    @Test("an interface that is gone takes its switches along; another one with a longer name keeps its own")
    func goneInterface() {
        var ledger = SwitchLedger()
        let others = ["net/ipv4/conf/eth01/forwarding", "net/ipv4/neigh/eth0/gc_stale_time"]
        _ = ledger.prepare([forwarding, HostSwitch("net/ipv6/conf/eth0/accept_ra", needed: "0")]) { _ in "2" }
        _ = ledger.prepare(others.map { HostSwitch($0, needed: "1") }) { _ in "0" }
        let wasThere = ledger.forget(interface: "eth0")
        #expect(wasThere && ledger.entries.map(\.path) == others)
        let isThere = ledger.forget(interface: "eth0")
        #expect(!isThere)
    }

    @Test("a switch that nobody needs any more is put back, unless somebody else has moved it")
    func released() {
        var ledger = SwitchLedger()
        _ = ledger.prepare([forwarding]) { _ in "0" }
        var other = ledger
        let move = ledger.release(forwarding.path) { _ in "1" }
        #expect(move == HostSwitch(forwarding.path, needed: "0"))
        let theirs = other.release(forwarding.path) { _ in "2" }
        #expect(theirs == nil && ledger.entries.isEmpty && other.entries.isEmpty)
    }
}
