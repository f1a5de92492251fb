// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretRun
import Testing

struct RunRecordTests {
    @Test("a record is read back as it was stored")
    func stored() {
        let record = RunRecord(
            slot: 199, generation: 65535, addresses: ["10.213.128.1", "fd65::1"].compactMap { IPAddress($0) })
        #expect(RunRecord(text: record.text) == record)
    }

    @Test(
        "anything else is no record",
        arguments: [
            "", "slot 1", "slot 1\ngeneration 0", "slot 16384\ngeneration 1", "slot x\ngeneration 1",
            "slot 1\ngeneration 1\naddresses 10.0.0.x",
        ])
    func refused(text: String) {
        #expect(RunRecord(text: text) == nil)
    }

    @Test("the last slot's interface name and log group fit")
    func lastSlot() {
        let record = RunRecord(slot: AddressPlanner.slotCount - 1, generation: 1, addresses: [])
        #expect(InterfaceName(record.interface) != nil)
        #expect(record.logGroup < 65535)
        #expect(record.hostHardwareAddress != record.endpointHardwareAddress)
    }
}
