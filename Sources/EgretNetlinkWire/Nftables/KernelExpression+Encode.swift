// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension KernelExpression {
    /// Register 1 (`NFT_REG_1`), 16 bytes.
    static let register: UInt32 = 1
    /// `NFT_SOCKET_CGROUPV2`.
    static let socketCgroupKey: UInt32 = 3

    /// The name that the kernel knows the expression by.
    public var kernelName: String {
        switch self {
        case .meta, .setMeta: "meta"
        case .payload, .writePayload: "payload"
        case .conntrack, .connectionTuple, .setConntrack: "ct"
        case .byteOrder: "byteorder"
        case .fib: "fib"
        case .socketCgroup: "socket"
        case .bitwise: "bitwise"
        case .compare: "cmp"
        case .immediate, .verdict: "immediate"
        case .lookup, .verdictMap: "lookup"
        case .object: "objref"
        case .counter: "counter"
        case .log: "log"
        case .limit: "limit"
        case .connectionLimit: "connlimit"
        case .each, .addElement, .keepElement, .removeElement: "dynset"
        case .evaluationNumber, .randomNumber: "numgen"
        case .reject: "reject"
        case .masquerade: "masq"
        case .forward: "fwd"
        case .transparentProxy: "tproxy"
        case .translate: "nat"
        case .into(_, let load): load.kernelName
        case .other(let name, _): name
        }
    }

    /// Appends the expression as one `NFTA_LIST_ELEM`.
    func encode(into writer: inout NetlinkWriter) throws(WireError) {
        try writer.nest(Nfta.listElement) { (writer) throws(WireError) in
            try writer.putString(1, kernelName)
            if case .other(_, let data) = self {
                try writer.putBytes(2, data)
            } else {
                try writer.nest(2) { (writer) throws(WireError) in
                    if case .into(let register, let load) = self {
                        try load.encodeData(into: &writer, register: register)
                    } else {
                        try encodeData(into: &writer, register: KernelExpression.register)
                    }
                }
            }
        }
    }

    private func encodeData(into writer: inout NetlinkWriter, register: UInt32) throws(WireError) {
        switch self {
        case .meta(let key):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, key.rawValue)
        case .setMeta(let key):
            writer.putBigEndian(2, key.rawValue)
            writer.putBigEndian(3, KernelExpression.register)
        case .payload(let base, let offset, let length):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, base.rawValue)
            writer.putBigEndian(3, offset)
            writer.putBigEndian(4, length)
        case .conntrack(let key):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, key.rawValue)
        case .connectionTuple(let key, let isReply):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, key.rawValue)
            writer.putUInt8(3, isReply ? 1 : 0)
        case .byteOrder(let length, let unit):
            writer.putBigEndian(1, KernelExpression.register)
            writer.putBigEndian(2, KernelExpression.register)
            writer.putBigEndian(3, UInt32(1))
            writer.putBigEndian(4, length)
            writer.putBigEndian(5, unit)
        case .setConntrack(let key):
            writer.putBigEndian(2, key.rawValue)
            writer.putBigEndian(4, KernelExpression.register)
        case .fib(let result, let flags):
            writer.putBigEndian(1, KernelExpression.register)
            writer.putBigEndian(2, result)
            writer.putBigEndian(3, flags)
        case .socketCgroup(let level):
            writer.putBigEndian(1, KernelExpression.socketCgroupKey)
            writer.putBigEndian(2, KernelExpression.register)
            writer.putBigEndian(3, level)
        case .evaluationNumber(let modulus, let offset):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, modulus)
            writer.putBigEndian(3, UInt32(0))
            writer.putBigEndian(4, offset)
        case .randomNumber(let modulus):
            writer.putBigEndian(1, register)
            writer.putBigEndian(2, modulus)
            writer.putBigEndian(3, UInt32(1))
            writer.putBigEndian(4, UInt32(0))
        case .immediate(let data):
            writer.putBigEndian(1, register)
            try writer.putData(2, data)
        case .bitwise, .compare, .verdict, .lookup, .verdictMap:
            try encodeRegisterData(into: &writer)
        default:
            try encodeAction(into: &writer)
        }
    }

    private func encodeRegisterData(into writer: inout NetlinkWriter) throws(WireError) {
        switch self {
        case .bitwise(let mask, let xor):
            writer.putBigEndian(1, KernelExpression.register)
            writer.putBigEndian(2, KernelExpression.register)
            writer.putBigEndian(3, UInt32(truncatingIfNeeded: mask.count))
            try writer.putData(4, mask)
            try writer.putData(5, xor)
        case .compare(let isEqual, let data):
            writer.putBigEndian(1, KernelExpression.register)
            writer.putBigEndian(2, UInt32(isEqual ? 0 : 1))
            try writer.putData(3, data)
        case .verdict(let verdict):
            writer.putBigEndian(1, UInt32(0))
            try writer.nest(2) { (writer) throws(WireError) in try verdict.encode(into: &writer) }
        case .lookup(let set, let isInverted):
            try writer.putString(1, set)
            writer.putBigEndian(2, KernelExpression.register)
            if isInverted { writer.putBigEndian(5, UInt32(1)) }
        case .verdictMap(let map):
            try writer.putString(1, map)
            writer.putBigEndian(2, KernelExpression.register)
            writer.putBigEndian(3, UInt32(0))
        default:
            break
        }
    }

    private func encodeAction(into writer: inout NetlinkWriter) throws(WireError) {
        switch self {
        case .object(let type, let name):
            writer.putBigEndian(1, type)
            try writer.putString(2, name)
        case .counter(let packets, let bytes):
            writer.putBigEndian(1, bytes)
            writer.putBigEndian(2, packets)
        case .limit(let rate, let unit, let burst, let type, let flags):
            writer.putBigEndian(1, rate)
            writer.putBigEndian(2, unit)
            writer.putBigEndian(3, burst)
            writer.putBigEndian(4, type)
            writer.putBigEndian(5, flags)
        case .each(let set, let milliseconds, let own):
            try writer.putString(1, set)
            writer.putBigEndian(3, UInt32(milliseconds == 0 ? 0 : 1))
            writer.putBigEndian(4, KernelExpression.register)
            if milliseconds != 0 { writer.putBigEndian(6, milliseconds) }
            try writer.nest(7) { (writer) throws(WireError) in
                try writer.putString(1, own.kernelName)
                try writer.nest(2) { (writer) throws(WireError) in try own.encodeAction(into: &writer) }
            }
        case .addElement(let set):
            try writer.putString(1, set)
            writer.putBigEndian(3, UInt32(0))
            writer.putBigEndian(4, KernelExpression.register)
        case .keepElement(let set, let milliseconds):
            try writer.putString(1, set)
            writer.putBigEndian(3, UInt32(1))
            writer.putBigEndian(4, KernelExpression.register)
            writer.putBigEndian(6, milliseconds)
        case .removeElement(let set):
            try writer.putString(1, set)
            writer.putBigEndian(3, UInt32(2))
            writer.putBigEndian(4, KernelExpression.register)
        case .connectionLimit(let count, let flags):
            writer.putBigEndian(1, count)
            writer.putBigEndian(2, flags)
        case .writePayload(let base, let offset, let length, let checksumType, let checksumOffset):
            writer.putBigEndian(2, base.rawValue)
            writer.putBigEndian(3, offset)
            writer.putBigEndian(4, length)
            writer.putBigEndian(5, KernelExpression.register)
            writer.putBigEndian(6, checksumType)
            writer.putBigEndian(7, checksumOffset)
        case .log(let group, let prefix, let snapLength, let queueThreshold):
            writer.putBigEndian(1, group)
            if !prefix.isEmpty { try writer.putString(2, prefix) }
            if snapLength != 0 { writer.putBigEndian(3, snapLength) }
            if queueThreshold != 0 { writer.putBigEndian(4, queueThreshold) }
        case .reject(let type, let code):
            writer.putBigEndian(1, type)
            writer.putUInt8(2, code)
        case .masquerade(let flags):
            if flags != 0 { writer.putBigEndian(1, flags) }
        case .forward: writer.putBigEndian(1, KernelExpression.register)
        case .transparentProxy:
            writer.putBigEndian(1, UInt32(0))
            writer.putBigEndian(3, KernelExpression.register)
        case .translate(let translation):
            writer.putBigEndian(1, translation.kind.rawValue)
            writer.putBigEndian(2, translation.family)
            if let addresses = translation.addresses {
                writer.putBigEndian(3, addresses.first)
                writer.putBigEndian(4, addresses.last)
            }
            if let ports = translation.ports {
                writer.putBigEndian(5, ports.first)
                writer.putBigEndian(6, ports.last)
            }
            if translation.flags != 0 { writer.putBigEndian(7, translation.flags) }
        default:
            break
        }
    }
}

extension NetlinkWriter {
    /// Appends `NFTA_DATA_VALUE` inside an attribute.
    fileprivate mutating func putData(_ type: UInt16, _ data: [UInt8]) throws(WireError) {
        try nest(type) { (writer) throws(WireError) in try writer.putBytes(Nfta.Data.value, data) }
    }
}
