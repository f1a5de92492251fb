// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension KernelExpression {
    /// Decodes the payload of `NFTA_RULE_EXPRESSIONS`.
    static func decodeList(_ payload: ArraySlice<UInt8>) throws(WireError) -> [KernelExpression] {
        var expressions: [KernelExpression] = []
        try NetlinkAttribute.forEach(in: payload) { (attribute) throws(WireError) in
            if attribute.type == Nfta.listElement { expressions.append(try KernelExpression(attribute.payload)) }
        }
        return expressions
    }

    /// Decodes one `NFTA_LIST_ELEM`.
    init(_ payload: ArraySlice<UInt8>) throws(WireError) {
        var name: String?
        var data: ArraySlice<UInt8> = []
        try NetlinkAttribute.forEach(in: payload) { (attribute) throws(WireError) in
            switch attribute.type {
            case 1: name = attribute.string()
            case 2: data = attribute.payload
            default: break
            }
        }
        guard let name else { throw WireError(.missing, "expression name") }
        let fields = try ExpressionFields(data)
        // Another tool's rule, or a later kernel's, may lack what ours always have: that is no form of ours either.
        self = (try? KernelExpression.known(name, fields)) ?? .other(name: name, data: Array(data))
    }

    /// The expression, or `nil` if it is one that Egret has no form for.
    private static func known(_ name: String, _ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        switch name {
        case "meta":
            let key = MetaKey(rawValue: try fields.uint32(2))
            if fields.has(only: [2, 3]), try fields.isRegister(3) { return .setMeta(key: key) }
            guard fields.has(1), fields.has(only: [1, 2]) else { return nil }
            return try loading(.meta(key: key), fields)
        case "payload" where fields.has(5):
            guard try fields.isRegister(5), let base = PayloadBase(rawValue: try fields.uint32(2)),
                try fields.uint32(8, default: 0) == 0
            else { return nil }
            return .writePayload(
                base, offset: try fields.uint32(3), length: try fields.uint32(4),
                checksumType: try fields.uint32(6, default: 0), checksumOffset: try fields.uint32(7, default: 0))
        case "payload":
            guard fields.has(1), fields.has(only: [1, 2, 3, 4]),
                let base = PayloadBase(rawValue: try fields.uint32(2))
            else { return nil }
            return try loading(.payload(base, offset: try fields.uint32(3), length: try fields.uint32(4)), fields)
        case "ct": return try connection(fields)
        case "fib":
            guard try fields.isRegister(1) else { return nil }
            return .fib(result: try fields.uint32(2), flags: try fields.uint32(3))
        case "socket":
            guard fields.has(only: [1, 2, 3]), try fields.uint32(1) == KernelExpression.socketCgroupKey,
                try fields.isRegister(2)
            else { return nil }
            return .socketCgroup(level: try fields.uint32(3))
        case "bitwise":
            guard try fields.isRegister(1), try fields.isRegister(2), try fields.uint32(6, default: 0) == 0,
                let mask = try fields.value(4), let xor = try fields.value(5)
            else { return nil }
            return .bitwise(mask: mask, xor: xor)
        case "cmp":
            let comparison = try fields.uint32(2)
            guard try fields.isRegister(1), comparison <= 1, let value = try fields.value(3) else { return nil }
            return .compare(isEqual: comparison == 0, value)
        case "numgen":
            guard fields.has(only: [1, 2, 3, 4]) else { return nil }
            let modulus = try fields.uint32(2)
            let offset = try fields.uint32(4, default: 0)
            switch try fields.uint32(3) {
            case 0: return try loading(.evaluationNumber(modulus: modulus, offset: offset), fields)
            case 1 where offset == 0: return try loading(.randomNumber(modulus: modulus), fields)
            default: return nil
            }
        case "byteorder":
            guard try fields.isRegister(1), try fields.isRegister(2), try fields.uint32(3) == 1 else { return nil }
            return .byteOrder(length: try fields.uint32(4), unit: try fields.uint32(5))
        case "immediate": return try immediate(fields)
        case "lookup": return try lookup(fields)
        default: return try action(name, fields)
        }
    }

    private static func connection(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        let key = ConntrackKey(rawValue: try fields.uint32(2))
        if fields.has(only: [1, 2]), fields.has(1) { return try loading(.conntrack(key: key), fields) }
        if fields.has(only: [1, 2, 3]), try fields.isRegister(1) {
            return .connectionTuple(key: key, isReply: try fields.uint8(3, default: 0) == 1)
        }
        if fields.has(only: [2, 4]), try fields.isRegister(4) { return .setConntrack(key: key) }
        return nil
    }

    private static func immediate(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        guard try fields.uint32(1) != 0 else { return try fields.verdict(2).map { .verdict($0) } }
        guard let value = try fields.value(2) else { return nil }
        return try loading(.immediate(value), fields)
    }

    /// A load into the register that attribute 1 names.
    private static func loading(_ load: KernelExpression, _ fields: ExpressionFields) throws(WireError)
        -> KernelExpression
    {
        let register = try fields.uint32(1)
        return register == KernelExpression.register ? load : .into(register: register, load)
    }

    private static func translation(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        guard fields.has(only: [1, 2, 3, 4, 5, 6, 7]), let kind = Translation.Kind(rawValue: try fields.uint32(1))
        else { return nil }
        func registers(_ type: UInt16) throws(WireError) -> Translation.Registers? {
            guard fields.has(type) else { return nil }
            let first = try fields.uint32(type)
            return .init(first: first, last: try fields.uint32(type + 1, default: first))
        }
        return .translate(
            Translation(
                kind: kind,
                family: try fields.uint32(2),
                addresses: try registers(3),
                ports: try registers(5),
                flags: try fields.uint32(7, default: 0)
            )
        )
    }

    private static func lookup(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        guard try fields.isRegister(2) else { return nil }
        let flags = try fields.uint32(5, default: 0)
        let set = try fields.string(1)
        guard fields.has(3) else { return flags <= 1 ? .lookup(set: set, isInverted: flags == 1) : nil }
        guard try fields.uint32(3) == 0, flags == 0 else { return nil }
        return .verdictMap(set)
    }

    private static func keptInSet(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        guard fields.has(only: [1, 3, 4, 6, 7, 9]), try fields.isRegister(4),
            try fields.uint32(9, default: 0) == 0, let own = try fields.expression(7)
        else { return nil }
        // The kernel says a time of 0 where there is none.
        let milliseconds = try fields.uint64(6, default: 0)
        switch (try fields.uint32(3), own) {
        case (0, .connectionLimit) where milliseconds == 0: break
        case (1, .limit) where milliseconds != 0: break
        default: return nil
        }
        return .each(set: try fields.string(1), milliseconds: milliseconds, own)
    }

    private static func element(_ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        guard fields.has(only: [1, 3, 4, 6, 9]), try fields.isRegister(4), try fields.uint32(9, default: 0) == 0 else {
            return nil
        }
        // The kernel always tells of a time to live, and none is 0.
        let milliseconds = try fields.uint64(6, default: 0)
        let operation = try fields.uint32(3)
        if operation == 0, milliseconds == 0 { return .addElement(set: try fields.string(1)) }
        if operation == 1, milliseconds != 0 {
            return .keepElement(set: try fields.string(1), milliseconds: milliseconds)
        }
        if operation == 2, milliseconds == 0 { return .removeElement(set: try fields.string(1)) }
        return nil
    }

    private static func action(_ name: String, _ fields: ExpressionFields) throws(WireError) -> KernelExpression? {
        switch name {
        case "objref":
            guard fields.has(1), fields.has(2) else { return nil }
            return .object(type: try fields.uint32(1), name: try fields.string(2))
        case "counter":
            return .counter(packets: try fields.uint64(2), bytes: try fields.uint64(1))
        case "log":
            guard fields.has(1) else { return nil }
            return .log(
                group: try fields.uint16(1, default: 0),
                prefix: fields.has(2) ? try fields.string(2) : "",
                snapLength: try fields.uint32(3, default: 0),
                queueThreshold: try fields.uint16(4, default: 0)
            )
        case "limit":
            return .limit(
                rate: try fields.uint64(1), unit: try fields.uint64(2), burst: try fields.uint32(3, default: 0),
                type: try fields.uint32(4, default: 0), flags: try fields.uint32(5, default: 0))
        case "dynset": return try fields.has(7) ? keptInSet(fields) : element(fields)
        case "connlimit":
            return .connectionLimit(count: try fields.uint32(1), flags: try fields.uint32(2, default: 0))
        case "reject":
            return .reject(type: try fields.uint32(1), code: try fields.uint8(2, default: 0))
        case "masq":
            guard fields.has(only: [1]) else { return nil }
            return .masquerade(flags: try fields.uint32(1, default: 0))
        case "fwd":
            // A second address or family is of another form (`fwd ip to`), which Egret does not write.
            guard fields.has(only: [1]), try fields.isRegister(1) else { return nil }
            return .forward
        case "tproxy":
            // One family alone, or an address too, is of another form, which Egret does not write.
            guard fields.has(only: [1, 3]), try fields.uint32(1) == 0, try fields.isRegister(3) else { return nil }
            return .transparentProxy
        case "nat": return try translation(fields)
        default:
            return nil
        }
    }
}

/// The attributes of one expression, looked up by type.
private struct ExpressionFields {
    private let attributes: [NetlinkAttribute]

    init(_ payload: ArraySlice<UInt8>) throws(WireError) {
        attributes = try NetlinkAttribute.parse(payload)
    }

    func has(_ type: UInt16) -> Bool {
        attributes.contains { $0.type == type }
    }

    func has(only types: [UInt16]) -> Bool {
        attributes.allSatisfy { types.contains($0.type) }
    }

    func isRegister(_ type: UInt16) throws(WireError) -> Bool {
        guard let attribute = find(type) else { return false }
        return try attribute.bigEndian(UInt32.self) == KernelExpression.register
    }

    func uint8(_ type: UInt16, default value: UInt8) throws(WireError) -> UInt8 {
        guard let attribute = find(type) else { return value }
        return try attribute.uint8()
    }

    func uint16(_ type: UInt16, default value: UInt16) throws(WireError) -> UInt16 {
        guard let attribute = find(type) else { return value }
        return try attribute.bigEndian(UInt16.self)
    }

    func uint32(_ type: UInt16) throws(WireError) -> UInt32 {
        try require(type).bigEndian(UInt32.self)
    }

    func uint32(_ type: UInt16, default value: UInt32) throws(WireError) -> UInt32 {
        guard let attribute = find(type) else { return value }
        return try attribute.bigEndian(UInt32.self)
    }

    func uint64(_ type: UInt16) throws(WireError) -> UInt64 {
        try require(type).bigEndian(UInt64.self)
    }

    func uint64(_ type: UInt16, default value: UInt64) throws(WireError) -> UInt64 {
        guard let attribute = find(type) else { return value }
        return try attribute.bigEndian(UInt64.self)
    }

    func string(_ type: UInt16) throws(WireError) -> String {
        try require(type).string()
    }

    func value(_ type: UInt16) throws(WireError) -> [UInt8]? {
        guard let attribute = find(type) else { return nil }
        return try attribute.attributes().first { $0.type == Nfta.Data.value }.map { Array($0.payload) }
    }

    func expression(_ type: UInt16) throws(WireError) -> KernelExpression? {
        guard let attribute = find(type) else { return nil }
        return try KernelExpression(attribute.payload)
    }

    func verdict(_ type: UInt16) throws(WireError) -> Verdict? {
        guard let data = try require(type).attributes().first(where: { $0.type == Nfta.Data.verdict }) else {
            return nil
        }
        return try Verdict.decode(data.payload)
    }

    private func find(_ type: UInt16) -> NetlinkAttribute? {
        attributes.first { $0.type == type }
    }

    private func require(_ type: UInt16) throws(WireError) -> NetlinkAttribute {
        guard let attribute = find(type) else { throw WireError(.missing, "expression attribute \(type)") }
        return attribute
    }
}
