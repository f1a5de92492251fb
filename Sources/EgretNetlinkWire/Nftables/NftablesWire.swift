// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// nf_tables: transactions into bytes, dumps and notifications into values.
///
/// Attributes are big endian; keys and data are as the packet has them, except marks and interface indices, which
/// stand in the machine's byte order (see `DataType` of EgretNftables).
public enum NftablesWire {
    /// Turns statements into the expressions that the kernel runs, in order.
    ///
    /// Equal statements give equal expressions, and the kernel gives the same expressions back, so comparing a
    /// rule read from the kernel to `lower(rule.statements)` tells whether it is the rule that was meant.
    ///
    /// - Throws: ``WireError`` if a value does not fit its selector, or a log prefix is longer than 127 bytes.
    public static func lower(_ statements: [Statement]) throws(WireError) -> [KernelExpression] {
        var expressions: [KernelExpression] = []
        for statement in statements { expressions += try lower(statement) }
        return expressions
    }

    /// The expressions with what the kernel counts set to zero, for comparing.
    public static func normalised(_ expressions: [KernelExpression]) -> [KernelExpression] {
        expressions.map { expression in
            if case .counter = expression { return .counter(packets: 0, bytes: 0) }
            return expression
        }
    }

    private static func lower(_ statement: Statement) throws(WireError) -> [KernelExpression] {
        switch statement {
        case .equal(let selector, let value):
            return selector.loads + [.compare(isEqual: true, try selector.bytes(of: value))]
        case .notEqual(let selector, let value):
            return selector.loads + [.compare(isEqual: false, try selector.bytes(of: value))]
        case .connectionState(let states):
            return [
                .conntrack(key: .state),
                .bitwise(mask: ByteOrder.hostBytes(states.rawValue, count: 4), xor: [0, 0, 0, 0]),
                .compare(isEqual: false, [0, 0, 0, 0]),
            ]
        case .connectionStatus(let status):
            return [
                .conntrack(key: .status),
                .bitwise(mask: ByteOrder.hostBytes(status.rawValue, count: 4), xor: [0, 0, 0, 0]),
                .compare(isEqual: false, [0, 0, 0, 0]),
            ]
        case .notConnectionStatus(let status):
            return [
                .conntrack(key: .status),
                .bitwise(mask: ByteOrder.hostBytes(status.rawValue, count: 4), xor: [0, 0, 0, 0]),
                .compare(isEqual: true, [0, 0, 0, 0]),
            ]
        case .inPrefix(let selector, let prefix): return try lower(prefix, isEqual: true, selector)
        case .notInPrefix(let selector, let prefix): return try lower(prefix, isEqual: false, selector)
        case .inSet(let selector, let set): return selector.loads + [.lookup(set: set, isInverted: false)]
        case .notInSet(let selector, let set): return selector.loads + [.lookup(set: set, isInverted: true)]
        case .verdictMap(let selector, let map): return selector.loads + [.verdictMap(map)]
        case .blockVerdictMap(let selector, let prefixLength, let map):
            let count = selector.byteCount
            guard (0...8 * count).contains(prefixLength) else {
                throw WireError(.badValue, "prefix length \(prefixLength) for \(selector)")
            }
            let mask = (0..<count).map { byte in
                UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, prefixLength - 8 * byte)))
            }
            return selector.loads
                + [.bitwise(mask: mask, xor: [UInt8](repeating: 0, count: count)), .verdictMap(map)]
        case .inConcatenatedSet(let selectors, let set):
            return try lower(concatenating: selectors) + [.lookup(set: set, isInverted: false)]
        case .concatenatedVerdictMap(let selectors, let map):
            return try lower(concatenating: selectors) + [.verdictMap(map)]
        case .anonymousCounter: return [.counter(packets: 0, bytes: 0)]
        case .counter(let name): return [.object(type: NftValue.counterObject, name: name)]
        case .limit(let name): return [.object(type: NftValue.limitObject, name: name)]
        case .within(let count, let seconds, let burst):
            return [.limit(rate: count, unit: seconds, burst: burst, type: 0, flags: 0)]
        case .beyond(let count, let seconds, let burst):
            return [.limit(rate: count, unit: seconds, burst: burst, type: 0, flags: 1)]
        case .connectionsOver(let count): return [.connectionLimit(count: count, flags: 1)]
        case .withinEach(let selectors, let set, let count, let burst):
            let limit = KernelExpression.limit(rate: count, unit: 1, burst: burst, type: 0, flags: 0)
            return try lower(concatenating: selectors) + [
                .each(set: set, milliseconds: Statement.keySeconds * 1_000, limit)
            ]
        case .beyondEach(let selector, let set, let count, let seconds, let burst):
            let remembered = Statement.rememberedSeconds(count, seconds: seconds, burst: burst)
            let limit = KernelExpression.limit(rate: count, unit: seconds, burst: burst, type: 0, flags: 1)
            return selector.loads + [.each(set: set, milliseconds: remembered * 1_000, limit)]
        case .connectionsOverEach(let selector, let set, let count):
            return selector.loads + [.each(set: set, milliseconds: 0, .connectionLimit(count: count, flags: 1))]
        case .addToSet(let selector, let set): return selector.loads + [.addElement(set: set)]
        case .keepInSet(let selector, let set):
            return selector.loads + [.keepElement(set: set, milliseconds: Statement.keptSeconds * 1_000)]
        case .removeFromSet(let selector, let set): return selector.loads + [.removeElement(set: set)]
        case .setPriority(let value):
            return [.immediate(ByteOrder.hostBytes(value, count: 4)), .setMeta(key: .priority)]
        case .setTrafficClass(let family, let value): return try lower(trafficClass: value, family)
        case .quota(let name): return [.object(type: NftValue.quotaObject, name: name)]
        case .log(let group, let prefix, let snapLength, let queueThreshold):
            guard prefix.utf8.count < 128 else { throw WireError(.tooLong, "log prefix") }
            return [.log(group: group, prefix: prefix, snapLength: snapLength, queueThreshold: queueThreshold)]
        case .setConnectionMark(let mask, let value):
            return [
                .conntrack(key: .mark),
                .bitwise(
                    mask: ByteOrder.hostBytes(~mask, count: 4),
                    xor: ByteOrder.hostBytes(value & mask, count: 4)
                ),
                .setConntrack(key: .mark),
            ]
        case .addConnectionLabel(let bit):
            guard bit < 128 else { throw WireError(.badValue, "connection label \(bit)") }
            return [
                .immediate(ByteOrder.hostBytes(UInt128(1) << UInt128(bit), count: 16)), .setConntrack(key: .labels),
            ]
        case .setPacketMark(let mask, let value):
            return [
                .meta(key: .mark),
                .bitwise(
                    mask: ByteOrder.hostBytes(~mask, count: 4),
                    xor: ByteOrder.hostBytes(value & mask, count: 4)
                ),
                .setMeta(key: .mark),
            ]
        case .trace: return [.immediate([1]), .setMeta(key: .trace)]
        case .masquerade: return [.masquerade(flags: 0)]
        case .sourceTranslation(let target): return lower(target, .source)
        case .destinationTranslation(let target): return lower(target, .destination)
        case .transparentProxy(let port):
            return [.immediate(ByteOrder.bigEndianBytes(port, count: 2)), .transparentProxy]
        case .forward(let index): return [.immediate(ByteOrder.hostBytes(index, count: 4)), .forward]
        case .rejectWithTCPReset: return [.reject(type: 1, code: 0)]
        case .rejectAdministratively: return [.reject(type: 2, code: 3)]
        case .verdict(let verdict): return [.verdict(verdict)]
        }
    }
}
