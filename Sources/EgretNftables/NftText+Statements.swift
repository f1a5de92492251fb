// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension NftText {
    /// A statement as nft text.
    public static func render(_ statement: Statement) -> String {
        switch statement {
        case .equal(let selector, let value): "\(render(selector)) == \(NftText.value(value, of: selector))"
        case .notEqual(let selector, let value): "\(render(selector)) != \(NftText.value(value, of: selector))"
        case .connectionState(let states): "ct state \(names(states).joined(separator: ","))"
        case .connectionStatus(let status): "ct status \(names(status).joined(separator: ","))"
        case .notConnectionStatus(let status): "ct status ! \(names(status).joined(separator: ","))"
        case .inPrefix(let selector, let prefix): "\(render(selector)) \(prefix)"
        case .notInPrefix(let selector, let prefix): "\(render(selector)) != \(prefix)"
        case .inSet(let selector, let set): "\(render(selector)) @\(set)"
        case .notInSet(let selector, let set): "\(render(selector)) != @\(set)"
        case .verdictMap(let selector, let map): "\(render(selector)) vmap @\(map)"
        case .blockVerdictMap(let selector, let prefixLength, let map):
            "\(render(selector)) & \(mask(prefixLength, of: selector)) vmap @\(map)"
        case .inConcatenatedSet(let selectors, let set): "\(selectors.map(render).joined(separator: " . ")) @\(set)"
        case .concatenatedVerdictMap(let selectors, let map):
            "\(selectors.map(render).joined(separator: " . ")) vmap @\(map)"
        case .anonymousCounter: "counter"
        case .counter(let name): "counter name \(quoted(name))"
        case .limit(let name): "limit name \(quoted(name))"
        case .within(let count, let seconds, let burst): limit("", count, seconds, burst)
        case .beyond(let count, let seconds, let burst): limit("over ", count, seconds, burst)
        case .connectionsOver(let count): "ct count over \(count)"
        case .withinEach(let selectors, let set, let count, let burst):
            "update @\(set) { \(selectors.map(render).joined(separator: " . ")) timeout \(Statement.keySeconds)s "
                + limit("", count, 1, burst) + " }"
        case .beyondEach(let selector, let set, let count, let seconds, let burst):
            "update @\(set) { \(render(selector)) timeout "
                + "\(Statement.rememberedSeconds(count, seconds: seconds, burst: burst))s "
                + limit("over ", count, seconds, burst) + " }"
        case .connectionsOverEach(let selector, let set, let count):
            "add @\(set) { \(render(selector)) ct count over \(count) }"
        case .addToSet(let selector, let set): "add @\(set) { \(render(selector)) }"
        case .keepInSet(let selector, let set):
            "update @\(set) { \(render(selector)) timeout \(Statement.keptSeconds)s }"
        case .removeFromSet(let selector, let set): "delete @\(set) { \(render(selector)) }"
        case .setPriority(let value):
            "meta priority set \(String(value >> 16, radix: 16)):\(String(value & 0xffff, radix: 16))"
        case .setTrafficClass(let family, let value):
            "\(family == .ipv4 ? "ip" : "ip6") dscp set \(hexadecimal(UInt128(value), digits: 2))"
        case .quota(let name): "quota name \(quoted(name))"
        case .log(let group, let prefix, let snapLength, let queueThreshold):
            log(group, prefix, snapLength, queueThreshold)
        case .setConnectionMark(let mask, let value):
            "ct mark set ct mark & \(hexadecimal(UInt128(~mask), digits: 8)) | "
                + hexadecimal(UInt128(value & mask), digits: 8)
        case .addConnectionLabel(let bit): "ct label set \(bit)"
        case .setPacketMark(let mask, let value):
            "meta mark set meta mark & \(hexadecimal(UInt128(~mask), digits: 8)) | "
                + hexadecimal(UInt128(value & mask), digits: 8)
        case .trace: "meta nftrace set 1"
        case .masquerade: "masquerade"
        case .sourceTranslation(let target): "snat \(render(target))"
        case .destinationTranslation(let target): "dnat \(render(target))"
        case .transparentProxy(let port): "tproxy to :\(port)"
        case .forward(let index): "fwd to \(index)"
        case .rejectWithTCPReset: "reject with tcp reset"
        case .rejectAdministratively: "reject with icmpx admin-prohibited"
        case .verdict(let verdict): render(verdict)
        }
    }

    /// The address whose first bits, as many, are set.
    private static func mask(_ prefixLength: Int, of selector: Selector) -> String {
        let width = selector == .ipv4Source || selector == .ipv4Destination ? 32 : 128
        let all = UInt128.max >> UInt128(128 - width)
        return value(all ^ (all >> UInt128(max(0, min(prefixLength, width)))), of: selector)
    }

    /// A selector as nft text.
    static func render(_ selector: Selector) -> String {
        switch selector {
        case .inputInterface: "meta iif"
        case .outputInterface: "meta oif"
        case .inputName: "meta iifname"
        case .outputName: "meta oifname"
        case .networkProtocol: "meta nfproto"
        case .etherType: "meta protocol"
        case .transportProtocol: "meta l4proto"
        case .connectionMark(let mask): "ct mark & \(hexadecimal(UInt128(mask), digits: 8))"
        case .connectionLabel(let bit): "ct label & \(bit)"
        case .packetMark(let mask): "meta mark & \(hexadecimal(UInt128(mask), digits: 8))"
        case .connectionState: "ct state"
        case .connectionDirection: "ct direction"
        case .connectionID: "ct id"
        case .connectionProtocol: "ct protocol"
        case .connectionTargetPort: "ct reply proto-src"
        case .originalIPv4Destination: "ct original ip daddr"
        case .originalIPv6Destination: "ct original ip6 daddr"
        case .originalDestinationPort: "ct original proto-dst"
        case .time: "meta time"
        case .ipv4Source: "ip saddr"
        case .ipv4Destination: "ip daddr"
        case .ipv6Source: "ip6 saddr"
        case .ipv6Destination: "ip6 daddr"
        case .sourcePort: "th sport"
        case .destinationPort: "th dport"
        case .tcpFlags(let mask): "tcp flags & \(hexadecimal(UInt128(mask), digits: 2))"
        case .icmpType: "icmp type"
        case .icmpv6Type: "icmpv6 type"
        case .etherSource: "ether saddr"
        case .etherSourceAndType: "@ll,48,64"
        case .arpOperation: "arp operation"
        case .arpSenderEther: "arp saddr ether"
        case .arpSenderIPv4: "arp saddr ip"
        case .neighbourTarget: "@th,64,128"
        case .destinationAddressType: "fib daddr type"
        case .answeringInterface: "fib saddr . iif oif"
        case .socketCgroup(let level): "socket cgroupv2 level \(level)"
        case .evaluationNumber: "numgen inc mod \(UInt32.max) offset 1"
        case .randomNumber(let limit): "numgen random mod \(limit)"
        }
    }

    /// A value that a selector is compared to.
    static func value(_ value: UInt128, of selector: Selector) -> String {
        switch selector {
        case .ipv4Source, .ipv4Destination, .originalIPv4Destination, .arpSenderIPv4:
            NftText.value(value, .ipv4Address)
        case .ipv6Source, .ipv6Destination, .originalIPv6Destination: NftText.value(value, .ipv6Address)
        case .etherSource, .arpSenderEther: NftText.value(value, .etherAddress)
        case .connectionMark, .packetMark, .connectionID: NftText.value(value, .mark)
        case .connectionLabel(let bit): String(bit)
        case .networkProtocol: value == 2 ? "ipv4" : value == 10 ? "ipv6" : String(value)
        case .tcpFlags: hexadecimal(value, digits: 2)
        case .etherType: hexadecimal(value, digits: 4)
        case .etherSourceAndType: hexadecimal(value, digits: 16)
        case .neighbourTarget: hexadecimal(value, digits: 32)
        case .connectionDirection: value == 0 ? "original" : value == 1 ? "reply" : String(value)
        case .connectionState: hexadecimal(value, digits: 1)
        case .transportProtocol, .connectionProtocol: protocolName(value)
        case .time: NftText.value(value, .time)
        case .inputName(let length), .outputName(let length): name(value, length)
        case .inputInterface, .outputInterface, .sourcePort, .destinationPort, .connectionTargetPort,
            .originalDestinationPort, .icmpType, .icmpv6Type, .arpOperation, .destinationAddressType,
            .answeringInterface, .socketCgroup, .evaluationNumber, .randomNumber:
            String(value)
        }
    }

    /// A name, or the beginning of one, from its bytes.
    private static func name(_ value: UInt128, _ length: UInt8) -> String {
        let count = Int(min(length, 16))
        let bytes = (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> UInt128(8 * $0)) }
        return "\"\(String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))\(count < 16 ? "*" : "")\""
    }

    private static func limit(_ over: String, _ count: UInt64, _ seconds: UInt64, _ burst: UInt32) -> String {
        let units: [UInt64: String] = [1: "second", 60: "minute", 3_600: "hour"]
        return "limit rate \(over)\(count)/\(units[seconds] ?? "\(seconds)s") burst \(burst) packets"
    }

    /// The names that nft and `/etc/protocols` agree on; the number for every other protocol.
    private static func protocolName(_ value: UInt128) -> String {
        switch value {
        case 1: "icmp"
        case 6: "tcp"
        case 17: "udp"
        case 132: "sctp"
        default: String(value)
        }
    }

    private static func names(_ states: ConnectionState) -> [String] {
        let known: [(ConnectionState, String)] = [
            (.invalid, "invalid"), (.established, "established"), (.related, "related"), (.new, "new"),
            (.untracked, "untracked"),
        ]
        var names = known.filter { states.contains($0.0) }.map(\.1)
        let rest = known.reduce(states) { $0.subtracting($1.0) }
        if !rest.isEmpty || names.isEmpty { names.append(hexadecimal(UInt128(rest.rawValue), digits: 1)) }
        return names
    }

    private static func names(_ status: ConnectionStatus) -> [String] {
        let known: [(ConnectionStatus, String)] = [
            (.confirmed, "confirmed"), (.sourceTranslated, "snat"), (.destinationTranslated, "dnat"),
        ]
        var names = known.filter { status.contains($0.0) }.map(\.1)
        let rest = known.reduce(status) { $0.subtracting($1.0) }
        if !rest.isEmpty || names.isEmpty { names.append(hexadecimal(UInt128(rest.rawValue), digits: 1)) }
        return names
    }

    /// `ip to 192.0.2.1-192.0.2.4:1024-2047 persistent`; IPv6 addresses in brackets where ports follow.
    private static func render(_ target: TranslationTarget) -> String {
        let isBracketed = target.family == .ipv6 && target.ports != nil
        func text(_ address: IPAddress) -> String { isBracketed ? "[\(address)]" : "\(address)" }
        var result = target.family == .ipv4 ? "ip to " : "ip6 to "
        result += text(target.first)
        if target.last != target.first { result += "-" + text(target.last) }
        if let ports = target.ports { result += ":\(ports)" }
        if target.isPersistent { result += " persistent" }
        return result
    }

    private static func log(_ group: UInt16, _ prefix: String, _ snapLength: UInt32, _ queueThreshold: UInt16)
        -> String
    {
        var text = "log"
        if !prefix.isEmpty { text += " prefix \(quoted(prefix))" }
        text += " group \(group)"
        if snapLength != 0 { text += " snaplen \(snapLength)" }
        if queueThreshold != 0 { text += " queue-threshold \(queueThreshold)" }
        return text
    }
}
