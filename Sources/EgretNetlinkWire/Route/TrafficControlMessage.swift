// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Message types of traffic control (`RTM_*QDISC`, `RTM_*TCLASS`, `RTM_*TFILTER`).
enum TrafficControlMessage {
    static let newDiscipline: UInt16 = 36
    static let deleteDiscipline: UInt16 = 37
    static let getDiscipline: UInt16 = 38
    static let newClass: UInt16 = 40
    static let deleteClass: UInt16 = 41
    static let getClass: UInt16 = 42
    static let newFilter: UInt16 = 44
    static let deleteFilter: UInt16 = 45
    static let getFilter: UInt16 = 46
}

extension NetlinkWriter {
    /// `struct tcmsg`: family, padding, index, handle, parent (`TC_H_ROOT` unless another is given), information.
    mutating func appendTrafficHeader(
        link index: UInt32, handle: UInt32, parent: UInt32 = UInt32.max, information: UInt32 = 0
    ) {
        append([0, 0, 0, 0])
        for word in [index, handle, parent, information] { appendHost(word) }
    }

    /// `struct tc_ratespec`: cell_log, linklayer (TC_LINKLAYER_ETHERNET), overhead, cell_align, mpu, rate.
    static func rateSpecification(_ bytesPerSecond: UInt64) -> [UInt8] {
        [0, 1, 0, 0, 0, 0, 0, 0] + ByteOrder.hostBytes(UInt32(clamping: bytesPerSecond), count: 4)
    }
}
