// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension NftText {
    /// A set's elements, each as nft text.
    static func elements(of set: Set) -> [String] {
        switch set.contents {
        case .elements(let elements):
            elements.map { element in
                line(set, element)
            }
        case .ipv4Intervals(let intervals, let verdicts):
            intervals.map { interval in
                let verdict = NftText.verdict(interval.verdictIndex, of: verdicts)
                return line(set.keyType, UInt128(interval.lowerBound), UInt128(interval.upperBound), verdict)
            }
        case .ipv6Intervals(let intervals, let verdicts):
            intervals.map { interval in
                let verdict = NftText.verdict(interval.verdictIndex, of: verdicts)
                return line(set.keyType, interval.lowerBound, interval.upperBound, verdict)
            }
        }
    }

    /// A value of a type: an address, a mark in hexadecimal, a port or number in decimal, a moment in seconds.
    static func value(_ value: UInt128, _ type: DataType) -> String {
        switch type {
        case .ipv4Address: IPAddress(family: .ipv4, rawValue: value).description
        case .ipv6Address: IPAddress(family: .ipv6, rawValue: value).description
        case .etherAddress: MACAddress(rawValue: UInt64(truncatingIfNeeded: value)).description
        case .mark: hexadecimal(value, digits: 8)
        case .time: String(value / 1_000_000_000)
        case .cgroup: String(value)
        case .integer, .inetProtocol, .inetService, .icmpType, .icmpv6Type, .interfaceIndex: String(value)
        }
    }

    /// A number as `0x` and at least this many digits.
    static func hexadecimal(_ value: UInt128, digits: Int) -> String {
        let text = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    private static func line(_ set: Set, _ element: SetElement) -> String {
        guard !set.furtherKeyTypes.isEmpty else {
            return line(set.keyType, element.lowerBound, element.upperBound, element.verdict)
        }
        let types = [set.keyType] + set.furtherKeyTypes
        let parts = zip([element.lowerBound] + element.furtherKeys, types).map(value)
        let key = parts.joined(separator: " . ")
        return element.verdict.map { "\(key) : \(render($0))" } ?? key
    }

    private static func line(_ type: DataType, _ lower: UInt128, _ upper: UInt128, _ verdict: Verdict?) -> String {
        let first = value(lower, type)
        let key = lower == upper ? first : "\(first)-\(value(upper, type))"
        return verdict.map { "\(key) : \(render($0))" } ?? key
    }

    private static func verdict(_ index: UInt32, of verdicts: [Verdict]) -> Verdict? {
        verdicts.indices.contains(Int(index)) ? verdicts[Int(index)] : nil
    }
}

extension DataType {
    /// What declares a set with keys of the type: its name or, where nft takes none, an expression of the type.
    var nftDeclaration: String {
        switch self {
        case .integer: "typeof \(NftText.render(Selector.evaluationNumber))"
        case .time: "typeof \(NftText.render(Selector.time))"
        default: "type \(nftName)"
        }
    }

    /// nft's word for the type.
    var nftName: String {
        switch self {
        case .integer: "integer"
        case .ipv4Address: "ipv4_addr"
        case .ipv6Address: "ipv6_addr"
        case .etherAddress: "ether_addr"
        case .inetProtocol: "inet_proto"
        case .inetService: "inet_service"
        case .icmpType: "icmp_type"
        case .mark: "mark"
        case .interfaceIndex: "iface_index"
        case .icmpv6Type: "icmpv6_type"
        case .time: "time"
        case .cgroup: "cgroupsv2"
        }
    }
}
