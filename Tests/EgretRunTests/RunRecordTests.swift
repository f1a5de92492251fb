// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretRun
import Testing

struct RunRecordTests {
    @Test("a record is read back as it was stored")
    func stored() {
        let record = RunRecord(slot: 199, generation: 65535)
        #expect(RunRecord(text: record.text) == record)
    }

    @Test("anything else is no record", arguments: ["", "slot 1", "slot 1\ngeneration 0", "slot 16384\ngeneration 1", "slot x\ngeneration 1"])
    func refused(text: String) {
        #expect(RunRecord(text: text) == nil)
    }

    @Test("the last slot's interface name and log group fit")
    func lastSlot() {
        let record = RunRecord(slot: AddressPlanner.slotCount - 1, generation: 1)
        #expect(record.interfaceName != nil)
        #expect(record.logGroup < 65535)
        #expect(record.hostHardwareAddress != record.endpointHardwareAddress)
    }
}
