// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNetlinkWire
import EgretNftables

/// A match that iptables has kept in its own form inside an nf_tables rule (`NFTA_MATCH_*`).
struct XtMatch {
    /// In nft's words; the name in brackets if there are none.
    let text: String
    /// The comment, if that is all that it is.
    let comment: String?

    init(_ fields: [NetlinkAttribute], _ context: PacketContext) {
        let name = fields.first(where: { $0.type == 1 }).map { $0.string() } ?? "match"
        let info = Array(fields.first { $0.type == 3 }?.payload ?? [])
        comment = name == "comment" ? String(decoding: info.prefix { $0 != 0 }, as: UTF8.self) : nil
        text = (try? XtMatch.words(name, ByteReader(info))) ?? "[\(name)]"
    }

    private static func words(_ name: String, _ reader: ByteReader) throws(WireError) -> String? {
        var reader = reader
        switch name {
        case "addrtype": return try addressTypes(&reader)
        case "tcp", "udp": return try ports(name, &reader)
        case "multiport": return try manyPorts(&reader)
        default: return nil
        }
    }

    /// `struct xt_addrtype_info_v1`: bit masks of `RTN_*`.
    private static func addressTypes(_ reader: inout ByteReader) throws(WireError) -> String? {
        let source = try reader.readHost(UInt16.self, "addrtype")
        let destination = try reader.readHost(UInt16.self, "addrtype")
        let flags = try reader.readHost(UInt32.self, "addrtype")
        func text(_ word: String, _ mask: UInt16, _ invert: UInt32) -> String? {
            guard mask != 0 else { return nil }
            let names = (0..<9).filter { mask & 1 << $0 != 0 }.compactMap { RegisterLoad.addressTypes[$0] }
            let set = names.count == 1 ? names.joined() : "{ \(names.joined(separator: ", ")) }"
            return "fib \(word) type \(flags & invert != 0 ? "!= " : "")\(set)"
        }
        let words = [text("saddr", source, 1), text("daddr", destination, 2)].compactMap { $0 }
        return words.isEmpty ? nil : words.joined(separator: " ")
    }

    /// `struct xt_tcp` and `struct xt_udp`: ranges of source and destination ports.
    private static func ports(_ name: String, _ reader: inout ByteReader) throws(WireError) -> String {
        var ports: [UInt16] = []
        for _ in 0..<4 { ports.append(try reader.readHost(UInt16.self, "ports")) }
        if name == "tcp" { _ = try reader.readBytes(3, "TCP flags") }
        let inversion = try reader.readUInt8("inversion")
        var words: [String] = []
        for (index, word) in ["sport", "dport"].enumerated() where ports[2 * index] != 0 || ports[2 * index + 1] != .max
        {
            let (first, last) = (ports[2 * index], ports[2 * index + 1])
            let sign = inversion & UInt8(1 << index) != 0 ? "!= " : ""
            words.append("\(name) \(word) \(sign)\(first == last ? "\(first)" : "\(first)-\(last)")")
        }
        return words.isEmpty ? "meta l4proto \(name)" : words.joined(separator: " ")
    }

    /// `struct xt_multiport_v1`.
    private static func manyPorts(_ reader: inout ByteReader) throws(WireError) -> String? {
        let which = try reader.readUInt8("multiport")
        let count = Int(try reader.readUInt8("multiport"))
        var ports: [UInt16] = []
        for _ in 0..<15 { ports.append(try reader.readHost(UInt16.self, "multiport")) }
        let continues = Array(try reader.readBytes(15, "multiport"))
        let isInverted = try reader.readUInt8("multiport") != 0
        var texts: [String] = []
        for (index, port) in ports.prefix(count).enumerated() {
            // A port that begins a range is marked; the next one ends it.
            if index > 0, continues[index - 1] != 0, let last = texts.popLast() {
                texts.append("\(last)-\(port)")
            } else {
                texts.append("\(port)")
            }
        }
        guard let word = [0: "th sport", 1: "th dport", 2: "th port"][which] else { return nil }
        return "\(word) \(isInverted ? "!= " : ""){ \(texts.joined(separator: ", ")) }"
    }
}

/// A target that iptables has kept in its own form inside an nf_tables rule (`NFTA_TARGET_*`).
struct XtTarget {
    /// In nft's words; the name in brackets if there are none.
    let text: String

    init(_ fields: [NetlinkAttribute], _ family: TableFamily) {
        let name = fields.first(where: { $0.type == 1 }).map { $0.string() } ?? "target"
        let revision = fields.first { $0.type == 2 }.flatMap { try? $0.bigEndian(UInt32.self) } ?? 0
        let info = Array(fields.first { $0.type == 3 }?.payload ?? [])
        // Revision 0 for IPv4 is `struct nf_nat_ipv4_multi_range_compat`; all others begin as `struct nf_nat_range`.
        let isOld = revision == 0 && family == .ip
        let range = try? isOld ? XtRange(compatible: ByteReader(info)) : XtRange(ByteReader(info), family)
        guard let range else {
            text = "[\(name)]"
            return
        }
        let target = range.text.isEmpty ? "" : " to \(range.text)"
        switch name {
        case "SNAT": text = "snat" + target
        case "DNAT": text = "dnat" + target
        case "REDIRECT": text = "redirect" + target
        case "MASQUERADE": text = "masquerade" + target + (target.isEmpty ? XtRange.flagWords(range.flags) : "")
        default: text = "[\(name)]"
        }
    }
}

/// A range of addresses and ports to translate to.
struct XtRange {
    /// `NF_NAT_RANGE_*`.
    let flags: UInt32
    private let addresses: ([UInt8], [UInt8])?
    private let ports: ([UInt8], [UInt8])?

    init(flags: UInt32, addresses: ([UInt8], [UInt8])?, ports: ([UInt8], [UInt8])?) {
        self.flags = flags
        self.addresses = addresses
        self.ports = ports
    }

    /// `struct nf_nat_ipv4_multi_range_compat`: the number of ranges, and one.
    init(compatible reader: ByteReader) throws(WireError) {
        var reader = reader
        _ = try reader.readHost(UInt32.self, "range")
        try self.init(&reader, addressSize: 4, storage: 4)
    }

    /// `struct nf_nat_range`, of which `struct nf_nat_range2` is a continuation.
    init(_ reader: ByteReader, _ family: TableFamily) throws(WireError) {
        var reader = reader
        try self.init(&reader, addressSize: family == .ip ? 4 : 16, storage: 16)
    }

    private init(_ reader: inout ByteReader, addressSize: Int, storage: Int) throws(WireError) {
        let flags = try reader.readHost(UInt32.self, "range")
        let first = Array(try reader.readBytes(storage, "range").prefix(addressSize))
        let last = Array(try reader.readBytes(storage, "range").prefix(addressSize))
        let low = Array(try reader.readBytes(2, "range"))
        let high = Array(try reader.readBytes(2, "range"))
        self.init(
            flags: flags,
            addresses: flags & 1 != 0 ? (first, last) : nil,
            ports: flags & 2 != 0 ? (low, high) : nil
        )
    }

    /// `192.0.2.1-192.0.2.4:80 persistent`; empty if it says nothing.
    var text: String {
        var result = ""
        if let addresses {
            let isBracketed = addresses.0.count == 16 && ports != nil
            func text(_ bytes: [UInt8]) -> String {
                let family: AddressFamily = bytes.count == 16 ? .ipv6 : .ipv4
                let raw = bytes.prefix(16).reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
                let address = IPAddress(family: family, rawValue: raw)
                return isBracketed ? "[\(address)]" : "\(address)"
            }
            result = text(addresses.0)
            if addresses.1 != addresses.0 { result += "-" + text(addresses.1) }
        }
        if let ports {
            let (first, last) = (RegisterLoad.number(ports.0), RegisterLoad.number(ports.1))
            result += first == last ? ":\(first)" : ":\(first)-\(last)"
        }
        return result.isEmpty ? "" : result + XtRange.flagWords(flags)
    }

    /// The flags that nft has words for, each behind a space.
    static func flagWords(_ flags: UInt32) -> String {
        [(4, "random"), (16, "fully-random"), (8, "persistent")]
            .filter { flags & UInt32($0.0) != 0 }.map { " " + $0.1 }.joined()
    }
}
