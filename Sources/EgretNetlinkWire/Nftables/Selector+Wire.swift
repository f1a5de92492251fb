// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension Selector {
    /// How many bytes the selector's value takes in a register.
    var byteCount: Int {
        switch self {
        case .networkProtocol, .transportProtocol, .connectionDirection, .connectionProtocol, .tcpFlags, .icmpType,
            .icmpv6Type:
            1
        case .etherType, .sourcePort, .destinationPort, .connectionTargetPort, .originalDestinationPort, .arpOperation:
            2
        case .inputInterface, .outputInterface, .connectionMark, .packetMark, .connectionState, .ipv4Source,
            .ipv4Destination, .originalIPv4Destination, .arpSenderIPv4, .destinationAddressType, .answeringInterface,
            .evaluationNumber, .randomNumber, .connectionID:
            4
        case .etherSource, .arpSenderEther: 6
        case .etherSourceAndType, .time, .socketCgroup: 8
        case .ipv6Source, .ipv6Destination, .originalIPv6Destination, .neighbourTarget, .connectionLabel: 16
        case .inputName(let length), .outputName(let length): Int(min(length, 16))
        }
    }

    /// Whether the kernel keeps the value in the machine's byte order rather than the network's.
    var isHostOrder: Bool {
        switch self {
        case .inputInterface, .outputInterface, .connectionMark, .packetMark, .connectionLabel, .connectionState,
            .destinationAddressType, .answeringInterface, .socketCgroup, .randomNumber, .connectionID:
            true
        default: false
        }
    }

    /// The value's bytes as they stand in a register.
    func bytes(of value: UInt128) throws(WireError) -> [UInt8] {
        guard byteCount == 16 || value >> UInt128(8 * byteCount) == 0 else {
            throw WireError(.badValue, "value 0x\(String(value, radix: 16)) for \(self)")
        }
        return isHostOrder
            ? ByteOrder.hostBytes(value, count: byteCount) : ByteOrder.bigEndianBytes(value, count: byteCount)
    }

    /// The expressions that load the value into register 1.
    var loads: [KernelExpression] {
        switch self {
        case .inputInterface: [.meta(key: .inputInterface)]
        case .outputInterface: [.meta(key: .outputInterface)]
        case .inputName: [.meta(key: .inputName)]
        case .outputName: [.meta(key: .outputName)]
        case .networkProtocol: [.meta(key: .networkProtocol)]
        case .etherType: [.meta(key: .etherType)]
        case .transportProtocol: [.meta(key: .transportProtocol)]
        case .connectionMark(let mask):
            [
                .conntrack(key: .mark),
                .bitwise(mask: ByteOrder.hostBytes(mask, count: 4), xor: [0, 0, 0, 0]),
            ]
        case .packetMark(let mask):
            [
                .meta(key: .mark),
                .bitwise(mask: ByteOrder.hostBytes(mask, count: 4), xor: [0, 0, 0, 0]),
            ]
        case .connectionLabel(let bit):
            [
                .conntrack(key: .labels),
                .bitwise(
                    mask: ByteOrder.hostBytes(UInt128(1) << UInt128(bit), count: 16),
                    xor: [UInt8](repeating: 0, count: 16)
                ),
            ]
        case .connectionState: [.conntrack(key: .state)]
        case .connectionDirection: [.conntrack(key: .direction)]
        case .connectionID: [.conntrack(key: .identifier)]
        case .connectionProtocol: [.conntrack(key: .transportProtocol)]
        case .connectionTargetPort: [.connectionTuple(key: .sourcePort, isReply: true)]
        case .originalIPv4Destination: [.connectionTuple(key: .ipv4Destination, isReply: false)]
        case .originalIPv6Destination: [.connectionTuple(key: .ipv6Destination, isReply: false)]
        case .originalDestinationPort: [.connectionTuple(key: .destinationPort, isReply: false)]
        case .time: [.meta(key: .time), .byteOrder(length: 8, unit: 8)]
        case .ipv4Source: [.payload(.network, offset: 12, length: 4)]
        case .ipv4Destination: [.payload(.network, offset: 16, length: 4)]
        case .ipv6Source: [.payload(.network, offset: 8, length: 16)]
        case .ipv6Destination: [.payload(.network, offset: 24, length: 16)]
        case .sourcePort: [.payload(.transport, offset: 0, length: 2)]
        case .destinationPort: [.payload(.transport, offset: 2, length: 2)]
        case .tcpFlags(let mask): [.payload(.transport, offset: 13, length: 1), .bitwise(mask: [mask], xor: [0])]
        case .icmpType, .icmpv6Type: [.payload(.transport, offset: 0, length: 1)]
        case .etherSource: [.payload(.link, offset: 6, length: 6)]
        case .etherSourceAndType: [.payload(.link, offset: 6, length: 8)]
        case .arpOperation: [.payload(.network, offset: 6, length: 2)]
        case .arpSenderEther: [.payload(.network, offset: 8, length: 6)]
        case .arpSenderIPv4: [.payload(.network, offset: 14, length: 4)]
        case .neighbourTarget: [.payload(.transport, offset: 8, length: 16)]
        case .destinationAddressType: [.fib(result: 3, flags: 2)]
        case .answeringInterface: [.fib(result: 1, flags: 1 | 8)]
        case .socketCgroup(let level): [.socketCgroup(level: UInt32(level))]
        case .evaluationNumber:
            [.evaluationNumber(modulus: .max, offset: 1), .byteOrder(length: 4, unit: 4)]
        case .randomNumber(let limit): [.randomNumber(modulus: limit)]
        }
    }
}
