// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Bytes of an nf_tables batch that puts addresses into sets, each for a time (`NFT_MSG_NEWSETELEM`).
///
/// Made for speed: one pass, no values in between. One message for each set.
struct ElementBatch {
    /// What happens to the elements of a message.
    enum Verb: UInt16 {
        /// `NFT_MSG_NEWSETELEM`
        case add = 12
        /// `NFT_MSG_GETSETELEM`
        case get = 13
        /// `NFT_MSG_DELSETELEM`
        case delete = 14
    }

    /// An address, and for how long.
    struct Element {
        /// Whose it is, where the set's keys begin with an endpoint's own address.
        var own: IPAddress?
        var address: IPAddress
        /// The ports behind the two addresses, where the set's keys are flows.
        var ports: (own: UInt16, far: UInt16)?
        var milliseconds: UInt64
    }

    private(set) var bytes: [UInt8] = []
    private let table: String
    /// The table's family: `NFPROTO_INET`, or `NFPROTO_NETDEV`.
    private let family: UInt8
    private let firstSequence: UInt32
    private(set) var lastSequence: UInt32
    /// Where the flags of the last message are.
    private var flagsPlace: Int?
    /// Whether the sender is told if the batch has changed anything.
    private let isEchoed: Bool

    init(table: String, isOfFrames: Bool = false, firstSequence: UInt32, isEchoed: Bool = false) {
        self.isEchoed = isEchoed
        self.table = table
        family = isOfFrames ? 5 : 1
        self.firstSequence = firstSequence
        lastSequence = firstSequence
        bytes.reserveCapacity(1_024)
        // NFNL_MSG_BATCH_BEGIN, of the subsystem nf_tables.
        control(16)
    }

    /// A question for one element: it is answered with the element, and then an acknowledgement.
    static func question(
        _ element: Element, in set: String, of table: String, isOfFrames: Bool = false, sequence: UInt32
    ) -> [UInt8] {
        var message = ElementBatch(table: table, isOfFrames: isOfFrames, firstSequence: sequence)
        message.bytes.removeAll()
        message.lastSequence = sequence
        message.append(.get, set: set, [element])
        return message.bytes
    }

    /// Appends a message for one set.
    mutating func append(_ verb: Verb, set: String, _ elements: [Element]) {
        // NLM_F_REQUEST, with NLM_F_CREATE or NLM_F_ACK.
        var flags: UInt16 = verb == .add ? 0x401 : verb == .get ? 0x005 : 0x001
        // NLM_F_ECHO: for the word of the ruleset's number, the kernel looks at the first message behind the batch's beginning.
        if isEchoed, flagsPlace == nil { flags |= 0x008 }
        let start = open(type: 10 << 8 | verb.rawValue, flags: flags, family: family, resource: 0)
        flagsPlace = start + 6
        // NFTA_SET_ELEM_LIST_TABLE, _SET, _ELEMENTS.
        string(1, table)
        string(2, set)
        let list = nest(3)
        for element in elements {
            // NFTA_LIST_ELEM, NFTA_SET_ELEM_KEY, NFTA_DATA_VALUE.
            let item = nest(1)
            let key = nest(1)
            let data = bytes.count
            host(UInt16(0))
            host(UInt16(1))
            if let own = element.own { part(own, element.ports?.own) }
            part(element.address, element.ports?.far)
            patch(UInt16(truncatingIfNeeded: bytes.count - data), at: data)
            close(key)
            if verb == .add {
                // NFTA_SET_ELEM_TIMEOUT, and _EXPIRATION: without it the kernel does not renew an element whose time is
                // the same as before.
                milliseconds(4, element.milliseconds)
                milliseconds(5, element.milliseconds)
            }
            close(item)
        }
        close(list)
        close32(start)
    }

    /// Ends the batch: its last message is acknowledged.
    mutating func finish() -> [UInt8] {
        if let flagsPlace { bytes[flagsPlace] |= 0x04 }
        // NFNL_MSG_BATCH_END.
        control(17)
        return bytes
    }

    /// The sequence number of the message that is acknowledged, once the batch is finished.
    var acknowledgedSequence: UInt32 { lastSequence &- 2 }

    /// Whether a message with this number answers the batch.
    func contains(_ sequence: UInt32) -> Bool { sequence &- firstSequence < lastSequence &- firstSequence }

    private mutating func control(_ type: UInt16) {
        close32(open(type: type, flags: 0x001, family: 0, resource: 10))
    }

    private mutating func open(type: UInt16, flags: UInt16, family: UInt8, resource: UInt16) -> Int {
        let start = bytes.count
        host(UInt32(0))
        host(type)
        host(flags)
        host(lastSequence)
        lastSequence &+= 1
        host(UInt32(0))
        bytes += [family, 0, UInt8(truncatingIfNeeded: resource >> 8), UInt8(truncatingIfNeeded: resource)]
        return start
    }

    /// An address, and a port behind it in four bytes, as each part of a key that has several begins at a fourth byte.
    private mutating func part(_ address: IPAddress, _ port: UInt16?) {
        for shift in stride(from: address.family.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: address.rawValue >> UInt128(shift)))
        }
        if let port { bytes += [UInt8(truncatingIfNeeded: port >> 8), UInt8(truncatingIfNeeded: port), 0, 0] }
    }

    private mutating func string(_ type: UInt16, _ text: String) {
        host(UInt16(truncatingIfNeeded: 4 + text.utf8.count + 1))
        host(type)
        bytes += text.utf8
        bytes.append(0)
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func milliseconds(_ type: UInt16, _ value: UInt64) {
        host(UInt16(12))
        host(type)
        for shift in stride(from: 56, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift)))
        }
    }

    private mutating func nest(_ type: UInt16) -> Int {
        let start = bytes.count
        host(UInt16(0))
        host(type | 0x8000)
        return start
    }

    private mutating func close(_ start: Int) {
        patch(UInt16(truncatingIfNeeded: bytes.count - start), at: start)
    }

    private mutating func close32(_ start: Int) {
        patch(UInt32(truncatingIfNeeded: bytes.count - start), at: start)
    }

    private mutating func host(_ value: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func patch(_ value: some FixedWidthInteger, at place: Int) {
        unsafe withUnsafeBytes(of: value) { raw in
            for unsafe(offset, byte) in unsafe raw.enumerated() { bytes[place + offset] = byte }
        }
    }
}
