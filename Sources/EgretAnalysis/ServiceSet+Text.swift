// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension ServiceSet: CustomStringConvertible {
    /// The services as policies write them, joined by commas: `53/udp, 80/tcp`, `all`, `none`.
    public var description: String {
        if self == .everything { return "all" }
        return isEmpty ? "none" : entries.joined(separator: ", ")
    }

    /// The services as policies write them, by protocol number: `80/tcp`, `8000-9000/udp`, `icmp/8`, `gre`.
    ///
    /// Beyond the language there are `protocol/7-16` for a run of protocols, port 0, and `tcp/no-port` for packets that
    /// have no port (later fragments), where some of a protocol's ports are in the set.
    public var entries: [String] {
        if self == .everything { return ["all"] }
        var texts: [(number: UInt8, text: String)] = parts.flatMap { part in
            ServiceSet.texts(part).map { (part.protocol.rawValue, $0) }
        }
        var members = whole.members[...]
        while let first = members.popFirst() {
            var last = first
            while let next = members.first, next.rawValue == last.rawValue &+ 1 {
                last = next
                members.removeFirst()
            }
            if last.rawValue - first.rawValue < 2 {
                for number in first.rawValue...last.rawValue {
                    texts.append((number, IPProtocol(rawValue: number).description))
                }
            } else {
                texts.append((first.rawValue, "protocol/\(first.rawValue)-\(last.rawValue)"))
            }
        }
        return texts.sorted { $0.number < $1.number }.map(\.text)
    }

    private static func texts(_ part: Part) -> [String] {
        let number = part.protocol
        let ranges = part.numbers.ranges.map { number.hasPorts ? "\($0)/\(number)" : "\(number)/\($0)" }
        let none = number.hasPorts ? "\(number)/no-port" : "\(number)/no-type"
        return ranges + (part.numbers.includesNone ? [none] : [])
    }
}
