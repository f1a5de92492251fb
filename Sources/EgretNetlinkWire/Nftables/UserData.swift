// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

/// What nft keeps beside objects for its own use, unread by the kernel: type, length, value, as in libnftnl's
/// `udata.h`. Numbers have 32 bits and stand in the machine's byte order.
///
/// A rule's comment is read back. What is kept about a set is not: it follows from the types of its keys and data, which the
/// kernel has, and a set that another tool has made with the same types is the same set.
enum UserData {
    // MARK: - Rules

    /// A rule's comment (`NFTNL_UDATA_RULE_COMMENT`), with its terminator.
    static func comment(_ comment: String) throws(WireError) -> [UInt8] {
        let text = Array(comment.utf8)
        guard text.count <= 127 else { throw WireError(.tooLong, "rule comment") }
        guard !text.contains(0) else { throw WireError(.badValue, "rule comment with a NUL") }
        return record(0, text + [0])
    }

    /// The comment in a rule's user data, if there is one.
    static func comment(in data: ArraySlice<UInt8>) throws(WireError) -> String? {
        var reader = ByteReader(data)
        while reader.count > 0 {
            let type = try reader.readUInt8("user data")
            let length = try reader.readUInt8("user data")
            let value = try reader.readBytes(Int(length), "user data")
            if type == 0 { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return nil
    }

    // MARK: - Sets

    /// What nft keeps about a set or map, so that it lists it in words that it reads again.
    ///
    /// That is the byte order of the keys, without which nft prints ranges wrongly, and, where nft has no name for their type
    /// that it would read, an expression of the type (`typeof`). nft takes the byte order from the expression then, and
    /// turns the keys of a set of ranges round by itself.
    static func about(_ set: Set) -> [UInt8] {
        guard set.furtherKeyTypes.isEmpty, set.keyType.byteCount > 1 else { return withoutOrder }
        return switch set.keyType {
        case .integer: set.mapsToVerdict ? numberMap : numberSet
        case .time: set.mapsToVerdict ? momentMap : momentSet
        default: set.keyType.isHostOrder ? hostOrder : bigEndian
        }
    }

    /// `enum nftnl_udata_set_types`.
    private enum SetType {
        static let keyByteOrder: UInt8 = 0
        static let dataByteOrder: UInt8 = 1
        static let keyTypeof: UInt8 = 3
        static let dataTypeof: UInt8 = 4
        static let dataInterval: UInt8 = 6
    }

    /// nft's numbers of kinds of expressions: `enum expr_types` in its `include/expression.h`.
    private enum ExpressionType {
        static let verdict: UInt32 = 1
        static let meta: UInt32 = 9
        static let numberGenerator: UInt32 = 23
    }

    /// For keys of one byte, and of several parts.
    private static let withoutOrder = number(SetType.keyByteOrder, 0)
    private static let hostOrder = number(SetType.keyByteOrder, 1)
    private static let bigEndian = number(SetType.keyByteOrder, 2)

    /// `typeof numgen inc mod 4294967295 offset 1`: kind, modulus and offset of what
    /// `Selector.evaluationNumber` loads.
    private static let numbers = typeof(
        SetType.keyTypeof, ExpressionType.numberGenerator, number(0, 0) + number(1, .max) + number(2, 1))
    /// `typeof meta time`.
    private static let moments = typeof(
        SetType.keyTypeof, ExpressionType.meta, number(0, KernelExpression.MetaKey.time.rawValue))
    /// Behind `typeof`, `: verdict`: nft passes over an expression of the keys where the data have none.
    private static let toVerdict =
        typeof(SetType.dataTypeof, ExpressionType.verdict, []) + number(SetType.dataInterval, 0)

    private static let numberSet = hostOrder + numbers
    private static let momentSet = hostOrder + moments
    private static let numberMap = hostOrder + number(SetType.dataByteOrder, 0) + numbers + toVerdict
    private static let momentMap = hostOrder + number(SetType.dataByteOrder, 0) + moments + toVerdict

    /// An expression: its kind (`NFTNL_UDATA_SET_TYPEOF_EXPR`), and what it looks at (`NFTNL_UDATA_SET_TYPEOF_DATA`).
    private static func typeof(_ type: UInt8, _ expression: UInt32, _ parameters: [UInt8]) -> [UInt8] {
        record(type, number(0, expression) + record(1, parameters))
    }

    private static func number(_ type: UInt8, _ value: UInt32) -> [UInt8] {
        record(type, ByteOrder.hostBytes(value, count: 4))
    }

    /// A record; no value here is longer than 255 bytes.
    private static func record(_ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        [type, UInt8(value.count)] + value
    }
}
