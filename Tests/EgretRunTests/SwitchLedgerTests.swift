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
}
