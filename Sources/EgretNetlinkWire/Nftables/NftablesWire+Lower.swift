// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables

extension NftablesWire {
    /// An address compared to a prefix. A single address is compared as it is, as nft does.
    static func lower(_ prefix: IPPrefix, isEqual: Bool, _ selector: Selector) throws(WireError) -> [KernelExpression] {
        let count = prefix.family.bitWidth / 8
        guard selector.byteCount == count, !selector.isHostOrder else {
            throw WireError(.badValue, "prefix \(prefix) for \(selector)")
        }
        let first = ByteOrder.bigEndianBytes(prefix.lowerBound, count: count)
        if prefix.isSingleAddress { return selector.loads + [.compare(isEqual: isEqual, first)] }
        let mask = ByteOrder.bigEndianBytes(~(prefix.lowerBound ^ prefix.upperBound), count: count)
        let zero = [UInt8](repeating: 0, count: count)
        return selector.loads + [.bitwise(mask: mask, xor: zero), .compare(isEqual: isEqual, first)]
    }

    /// Loads selectors' values one behind the other, each from a 4-byte boundary.
    static func lower(concatenating selectors: [Selector]) throws(WireError) -> [KernelExpression] {
        var offset = 0
        var expressions: [KernelExpression] = []
        for selector in selectors {
            guard let load = selector.loads.first, selector.loads.count == 1, offset + selector.byteCount <= 64 else {
                throw WireError(.unsupported, "\(selector) in a concatenated key")
            }
            let register = KernelExpression.register(at: offset)
            expressions.append(register == KernelExpression.register ? load : .into(register: register, load))
            offset += DataType.padded(selector.byteCount)
        }
        return expressions
    }

    /// The code point is the upper six bits of the second byte of an IPv4 header (RFC 791), and stands between the version
    /// and the flow label of an IPv6 one (RFC 8200 section 3). Two bytes are written, as nft does: a checksum counts so.
    static func lower(trafficClass value: UInt8, _ family: AddressFamily) throws(WireError) -> [KernelExpression] {
        guard value < 64 else { throw WireError(.badValue, "code point \(value)") }
        let shift: UInt16 = family == .ipv4 ? 2 : 6
        let mask = ByteOrder.bigEndianBytes(~(UInt16(63) << shift), count: 2)
        let bits = ByteOrder.bigEndianBytes(UInt16(value) << shift, count: 2)
        return [
            .payload(.network, offset: 0, length: 2), .bitwise(mask: mask, xor: bits),
            .writePayload(
                .network, offset: 0, length: 2, checksumType: family == .ipv4 ? 1 : 0,
                checksumOffset: family == .ipv4 ? 10 : 0),
        ]
    }

    /// Addresses and ports in registers, and the translation to them.
    static func lower(_ target: TranslationTarget, _ kind: KernelExpression.Translation.Kind) -> [KernelExpression] {
        var expressions: [KernelExpression] = []
        var register = KernelExpression.register
        func load(_ bytes: [UInt8]) -> UInt32 {
            defer { register += 1 }
            let load = KernelExpression.immediate(bytes)
            expressions.append(register == KernelExpression.register ? load : .into(register: register, load))
            return register
        }
        func load(_ first: [UInt8], _ last: [UInt8]) -> KernelExpression.Translation.Registers {
            let place = load(first)
            return .init(first: place, last: first == last ? place : load(last))
        }
        let count = target.family.bitWidth / 8
        let addresses = load(
            ByteOrder.bigEndianBytes(target.first.rawValue, count: count),
            ByteOrder.bigEndianBytes(target.last.rawValue, count: count)
        )
        let ports = target.ports.map { ports in
            load(
                ByteOrder.bigEndianBytes(ports.lowerBound, count: 2),
                ByteOrder.bigEndianBytes(ports.upperBound, count: 2)
            )
        }
        // The kernel reports the first two flags itself.
        var flags = NftValue.translatesAddress
        if ports != nil { flags |= NftValue.translatesPort }
        if target.isPersistent { flags |= NftValue.isPersistent }
        let family = target.family == .ipv4 ? TableFamily.ip : .ip6
        return expressions + [
            .translate(
                .init(kind: kind, family: UInt32(family.number), addresses: addresses, ports: ports, flags: flags))
        ]
    }
}

extension KernelExpression {
    /// The register at a place, as the kernel reports it: `NFT_REG_1` to `NFT_REG_4` of 16 bytes each where they
    /// begin, `NFT_REG32_*` of 4 bytes everywhere else.
    static func register(at byteOffset: Int) -> UInt32 {
        let offset = UInt32(truncatingIfNeeded: byteOffset)
        return offset % 16 == 0 ? 1 + offset / 16 : 8 + offset / 4
    }
}

extension DataType {
    /// The number of bytes that a value takes in a concatenated key.
    static func padded(_ byteCount: Int) -> Int { (byteCount + 3) / 4 * 4 }

    /// nft's number for a concatenation: six bits for each part.
    static func number(concatenating types: [DataType]) -> UInt32 {
        types.reduce(0) { $0 << 6 | $1.rawValue }
    }

    /// The parts of nft's number for a concatenation; `nil` if one of them has no word here.
    static func parts(of number: UInt32) -> [DataType]? {
        var parts: [DataType] = []
        var rest = number
        while rest != 0 {
            guard let type = DataType(rawValue: rest & 0x3f) else { return nil }
            parts.insert(type, at: 0)
            rest >>= 6
        }
        return parts.isEmpty ? nil : parts
    }
}
