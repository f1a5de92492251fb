// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables

/// What a rule has already made sure of, so that headers' bytes have names.
struct PacketContext {
    let family: TableFamily
    /// `ip` or `ip6`, once it is known.
    private(set) var network: TableFamily?
    /// The transport protocol, once it is known.
    private(set) var transport: UInt8?

    init(family: TableFamily) {
        self.family = family
        network = family == .inet ? nil : family
    }

    /// Takes in a comparison.
    ///
    /// - Returns: The words for it, if it is about the family or the protocol.
    mutating func learn(_ load: RegisterLoad, _ bytes: [UInt8], isEqual: Bool) -> String? {
        guard bytes.count == 1, case .meta(let key) = load.source, let value = bytes.first else { return nil }
        switch key {
        case .networkProtocol:
            if isEqual { network = value == 2 ? .ip : value == 10 ? .ip6 : nil }
            return "meta nfproto \(isEqual ? "" : "!= ")\(value == 2 ? "ipv4" : value == 10 ? "ipv6" : "\(value)")"
        case .transportProtocol:
            if isEqual { transport = value }
            return "meta l4proto \(isEqual ? "" : "!= ")\(IPProtocol(rawValue: value))"
        default: return nil
        }
    }
}

extension PacketContext {
    /// What the beginnings of words say without saying it.
    static let implications: [(selector: String, implied: String)] =
        ["tcp", "udp", "sctp", "dccp", "udplite"].flatMap { name in
            ["\(name) sport ", "\(name) dport "].map { ($0, "meta l4proto \(name)") }
        }
        + [("ip ", "meta nfproto ipv4"), ("ip6 ", "meta nfproto ipv6")]
}

/// A value that a rule has loaded.
struct RegisterLoad {
    let source: KernelExpression
    private let family: TableFamily?
    private var mask: [UInt8]?

    init(_ source: KernelExpression, _ context: PacketContext) {
        self.source = source
        family = context.network
    }

    mutating func mask(_ mask: [UInt8], _ xor: [UInt8]) {
        self.mask = mask
    }

    var isInterfaceName: Bool {
        if case .meta(let key) = source { return key.rawValue == 6 || key.rawValue == 7 }
        return false
    }

    /// The selector.
    func text(_ context: PacketContext) -> String {
        switch source {
        case .meta(let key): RegisterLoad.metaNames[key.rawValue] ?? "[meta \(key.rawValue)]"
        case .conntrack(let key): RegisterLoad.connectionNames[key.rawValue] ?? "[ct \(key.rawValue)]"
        case .fib(let result, let flags):
            RegisterLoad.routing(result, flags)
        case .randomNumber(let modulus): "numgen random mod \(modulus)"
        case .payload(.network, let offset, let length): networkName(offset, length)
        case .payload(.transport, 0, 2): "\(transportName(context)) sport"
        case .payload(.transport, 2, 2): "\(transportName(context)) dport"
        case .payload(let base, let offset, let length): "[\(base) \(offset) \(length)]"
        default: "[\(source.kernelName)]"
        }
    }

    /// `enum nft_fib_result` and `enum nft_fib_flags` in nft's words.
    private static func routing(_ result: UInt32, _ flags: UInt32) -> String {
        let keys = ["saddr", "daddr", "mark", "iif", "oif"].enumerated().filter { flags & 1 << $0.offset != 0 }
        let results: [UInt32: String] = [1: "oif", 2: "oifname", 3: "type"]
        return "fib \(keys.map(\.element).joined(separator: " . ")) \(results[result] ?? "[\(result)]")"
    }

    private func transportName(_ context: PacketContext) -> String {
        context.transport.map { IPProtocol(rawValue: $0) }.map { $0.hasPorts ? "\($0)" : "th" } ?? "th"
    }

    private func networkName(_ offset: UInt32, _ length: UInt32) -> String {
        switch addressPlace(offset, length) {
        case .some(let name): name
        case nil where family == .ip && offset == 9 && length == 1: "ip protocol"
        case nil where family == .ip6 && offset == 6 && length == 1: "ip6 nexthdr"
        case nil: "[network \(offset) \(length)]"
        }
    }

    /// The address that the bytes begin, if they do.
    private func addressPlace(_ offset: UInt32, _ length: UInt32) -> String? {
        switch (offset, length) {
        case (12, 1...4) where family != .ip6: "ip saddr"
        case (16, 1...4) where family != .ip6: "ip daddr"
        case (8, 1...16) where family != .ip: "ip6 saddr"
        case (24, 1...16) where family != .ip: "ip6 daddr"
        default: nil
        }
    }

    /// The bytes that it is compared to.
    func value(_ bytes: [UInt8], _ interfaceNames: [UInt32: String]) -> String {
        switch source {
        case .payload(.network, let offset, let length) where addressPlace(offset, length) != nil:
            return address(bytes, size: addressPlace(offset, length)?.hasPrefix("ip6") == true ? 16 : 4)
        case .payload(.network, 9, 1), .payload(.network, 6, 1):
            return bytes.first.map { "\(IPProtocol(rawValue: $0))" } ?? ""
        case .payload(.transport, _, 2), .payload(.transport, _, 1): return "\(RegisterLoad.number(bytes))"
        case .meta(let key) where key.rawValue == 6 || key.rawValue == 7:
            let name = String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            return bytes.contains(0) ? name : name + "*"
        case .meta(.inputInterface), .meta(.outputInterface):
            let index = UInt32(truncatingIfNeeded: RegisterLoad.hostNumber(bytes))
            return interfaceNames[index] ?? "\(index)"
        case .meta(.networkProtocol): return bytes == [2] ? "ipv4" : bytes == [10] ? "ipv6" : "\(bytes)"
        case .meta(.transportProtocol): return bytes.first.map { "\(IPProtocol(rawValue: $0))" } ?? ""
        case .fib(1, _):
            let index = UInt32(truncatingIfNeeded: RegisterLoad.hostNumber(bytes))
            return interfaceNames[index] ?? "\(index)"
        case .fib:
            return RegisterLoad.addressTypes[Int(truncatingIfNeeded: RegisterLoad.hostNumber(bytes))] ?? "\(bytes)"
        case .conntrack(.state): return bits(RegisterLoad.stateNames, bytes)
        case .conntrack(.status): return bits(RegisterLoad.statusNames, bytes)
        case .randomNumber: return "\(RegisterLoad.hostNumber(bytes))"
        case .conntrack(.direction): return bytes == [0] ? "original" : "reply"
        default: return maskText + "0x" + String(RegisterLoad.hostNumber(bytes), radix: 16)
        }
    }

    /// Whether comparing to these bytes asks for bits that are set or not: under a mask, to nothing.
    func isBitTest(_ bytes: [UInt8]) -> Bool {
        guard mask != nil, bytes.allSatisfy({ $0 == 0 }), case .conntrack(let key) = source else { return false }
        return key == .state || key == .status
    }

    private var maskText: String {
        mask.map { "& 0x\(String(RegisterLoad.hostNumber($0), radix: 16)) == " } ?? ""
    }

    /// Bits that were tested by a mask and a comparison to 0.
    private func bits(_ names: [(UInt64, String)], _ bytes: [UInt8]) -> String {
        let value = RegisterLoad.hostNumber(mask ?? bytes)
        let known = names.filter { value & $0.0 != 0 }.map(\.1)
        return known.isEmpty ? "0x" + String(value, radix: 16) : known.joined(separator: ",")
    }

    /// An address, or a prefix: of which only some bytes were loaded, or all of them under a mask.
    private func address(_ bytes: [UInt8], size: Int) -> String {
        guard bytes.count <= size else { return "\(bytes)" }
        let raw = (bytes + [UInt8](repeating: 0, count: size - bytes.count)).reduce(UInt128(0)) {
            $0 << 8 | UInt128($1)
        }
        let address = IPAddress(family: size == 4 ? .ipv4 : .ipv6, rawValue: raw)
        let length = mask.map { $0.reduce(0) { $0 + $1.nonzeroBitCount } } ?? 8 * bytes.count
        return length == 8 * size ? "\(address)" : "\(address)/\(length)"
    }

    /// A key of a set.
    static func value(_ value: UInt128, _ type: DataType) -> String {
        switch type {
        case .ipv4Address: IPAddress(family: .ipv4, rawValue: value).description
        case .ipv6Address: IPAddress(family: .ipv6, rawValue: value).description
        case .inetProtocol: "\(IPProtocol(rawValue: UInt8(truncatingIfNeeded: value)))"
        case .etherAddress: MACAddress(rawValue: UInt64(truncatingIfNeeded: value)).description
        case .integer, .inetService, .icmpType, .icmpv6Type, .mark, .interfaceIndex, .time, .cgroup: "\(value)"
        }
    }

    static func number(_ bytes: some Collection<UInt8>) -> UInt64 {
        bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    static func hostNumber(_ bytes: [UInt8]) -> UInt64 {
        UInt16(1).littleEndian == 1 ? number(bytes.prefix(8).reversed()) : number(bytes)
    }

    private static let metaNames: [UInt32: String] = [
        1: "meta protocol", 3: "meta mark", 4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 10: "meta skuid",
        15: "meta nfproto", 16: "meta l4proto", 17: "iifgroup", 18: "oifgroup",
    ]
    private static let connectionNames: [UInt32: String] = [
        0: "ct state", 1: "ct direction", 2: "ct status", 3: "ct mark",
    ]
    private static let stateNames: [(UInt64, String)] = [
        (1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked"),
    ]
    private static let statusNames: [(UInt64, String)] = [(0x10, "snat"), (0x20, "dnat")]
    /// `RTN_*` in `linux/rtnetlink.h`.
    static let addressTypes: [Int: String] = [
        0: "unspec", 1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole",
        7: "unreachable", 8: "prohibit",
    ]
}
