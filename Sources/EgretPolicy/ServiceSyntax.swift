// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// The grammar of one entry of `ports`.
///
///     PORT            443               = 443/tcp
///     PORT-PORT       8000-9000         = 8000-9000/tcp
///     PORT/PROTO      443/tcp           PROTO: tcp, udp, sctp, dccp, udplite
///     PORT-PORT/PROTO 8000-9000/udp
///     PROTO           gre, tcp, icmp    the whole protocol
///     protocol/N      protocol/47       the whole protocol, by number
///     icmp/TYPE       icmp/echo-request TYPE: a name of nft(8) or a number; the same with icmpv6
///
/// A bare port is TCP, as Kubernetes and container engines read it. Names are in lower case, numbers decimal
/// without leading zeros. There is no shorthand for "every port of every protocol": that is no `ports` at all.
enum ServiceSyntax {
    /// Reads one entry.
    static func parse(_ text: Substring) throws(SyntaxProblem) -> Service {
        try refuseCommonSlips(text)
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return try parseWithoutSlash(text)
        case 2: return try parse(parts[0], parts[1], whole: text)
        default:
            if parts[0] == "icmp" || parts[0] == "icmpv6" {
                throw problem(
                    "\(quoted(text)) names a code, and a rule matches every code of a type",
                    "write \(parts[0])/\(parts[1])")
            }
            throw problem("\(quoted(text)) has more than one \"/\"", example)
        }
    }

    private static let example = "write for example 443/tcp, 8000-9000/udp, icmp/echo-request or gre"

    private static func parseWithoutSlash(_ text: Substring) throws(SyntaxProblem) -> Service {
        if startsWithDigit(text) || text.hasPrefix("-") { return .ports(.tcp, try parsePorts(text)) }
        if let proto = IPProtocol(name: text) { return .any(proto) }
        if let port = wellKnownPorts.first(where: { $0.name == text.lowercased() }) {
            throw problem("\(quoted(text)) is the name of a port, and ports are numbers here", "write \(port.text)")
        }
        if isEverything(text.lowercased()) {
            throw problem("\(quoted(text)) is not a protocol", "leave ports out: that is every protocol and port")
        }
        throw unknownProtocol(text)
    }

    private static func parse(
        _ left: Substring, _ right: Substring, whole: Substring
    ) throws(SyntaxProblem) -> Service {
        if left == "protocol" { return .any(try parseProtocolNumber(right, whole: whole)) }
        if startsWithDigit(left) {
            guard let proto = IPProtocol(name: right) else { throw unknownProtocol(right, ports: left) }
            guard proto.hasPorts else {
                throw problem("\(quoted(whole)) names ports, but \(proto) has none", "write \(proto)")
            }
            return .ports(proto, try parsePorts(left, proto: proto))
        }
        guard let proto = IPProtocol(name: left) else { throw unknownProtocol(left) }
        if proto == .icmp || proto == .icmpv6 { return .icmp(proto, type: try parseType(right, of: proto)) }
        if startsWithDigit(right), proto.hasPorts {
            throw problem("\(quoted(whole)) has the protocol first", "write \(right)/\(proto)")
        }
        let expected =
            proto.hasPorts ? "write for example 443/\(proto), or \(proto) for the whole protocol" : "write \(proto)"
        throw problem("\(quoted(whole)): \(quoted(right)) is not a part of \(proto)", expected)
    }

    private static func parsePorts(
        _ text: Substring, proto: IPProtocol = .tcp
    ) throws(SyntaxProblem) -> PortRange {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard let first = ends.first, let last = ends.last, ends.count <= 2 else {
            throw problem("\(quoted(text)) is not a port or a range", "write for example 8000-9000/\(proto)")
        }
        if ends.count == 2, first.isEmpty || last.isEmpty {
            let whole = "\(first.isEmpty ? "1" : first)-\(last.isEmpty ? "65535" : last)"
            throw problem("the range \(quoted(text)) has one end only", "write both, for example \(whole)/\(proto)")
        }
        let lower = try parsePort(first)
        let upper = try parsePort(last)
        guard let range = PortRange(lower, upper) else {
            throw problem("the range \(text) runs backwards", "write \(upper)-\(lower)/\(proto)")
        }
        return range
    }

    private static func parsePort(_ text: Substring) throws(SyntaxProblem) -> UInt16 {
        guard !text.isEmpty, text.utf8.allSatisfy(isDigit) else {
            throw problem("\(quoted(text)) is not a port number", "write a number from 1 to 65535")
        }
        let significant = text.drop { $0 == "0" }
        if significant.isEmpty {
            throw problem("port 0 is not a port that traffic can go to", "write a number from 1 to 65535")
        }
        if significant.count != text.count {
            throw problem("the port \(text) has leading zeros", "write \(significant)")
        }
        guard let port = UInt16(text) else {
            throw problem("the port \(text) is out of range", "write a number from 1 to 65535")
        }
        return port
    }

    private static func parseProtocolNumber(
        _ text: Substring, whole: Substring
    ) throws(SyntaxProblem) -> IPProtocol {
        if let number = byte(text) { return IPProtocol(rawValue: number) }
        if let proto = IPProtocol(name: text) {
            throw problem("\(quoted(whole)) wants a number", "write \(proto) or protocol/\(proto.rawValue)")
        }
        throw problem("\(quoted(whole)): a protocol number is 0 to 255", "write for example protocol/47")
    }

    private static func parseType(_ text: Substring, of proto: IPProtocol) throws(SyntaxProblem) -> UInt8 {
        if let type = ICMPTypeName.type(named: text, for: proto) { return type }
        if let type = byte(text) { return type }
        if startsWithDigit(text) {
            throw problem(
                "\(quoted(text)) is not an \(proto) type: types are 0 to 255 without leading zeros",
                "write for example \(proto)/echo-request"
            )
        }
        if text == "ping" || text == "echo" {
            throw problem("\(proto) has no type \(quoted(text))", "write \(proto)/echo-request")
        }
        let names = ICMPTypeName.names(for: proto).map(\.name)
        let other = proto == .icmp ? IPProtocol.icmpv6 : .icmp
        if ICMPTypeName.type(named: text, for: other) != nil {
            throw problem("\(text) is a type of \(other), not of \(proto)", "write \(other)/\(text)")
        }
        if let name = Spelling.nearest(to: text, among: names) {
            throw problem("\(proto) has no type \(quoted(text))", "did you mean \(proto)/\(name)?")
        }
        throw problem(
            "\(proto) has no type \(quoted(text))", "write one of \(names.joined(separator: ", ")), or a number")
    }

    private static func refuseCommonSlips(_ text: Substring) throws(SyntaxProblem) {
        if text.isEmpty { throw problem("an empty text is not a port", example) }
        let trimmed = String(text.filter { !$0.isWhitespace })
        if trimmed.count != text.count {
            throw problem(
                "\(quoted(text)) has white space in it", trimmed.isEmpty ? example : "write \(trimmed)"
            )
        }
        if text.contains(",") {
            let items = text.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ", ")
            throw problem("\(quoted(text)) is several entries in one text", "write a list: [\(items)]")
        }
        if text.contains(":") {
            let range = text.replacing(":", with: "-")
            throw problem("\(quoted(text)) has a colon", startsWithDigit(text) ? "write a range as \(range)" : example)
        }
    }

    private static func unknownProtocol(_ text: Substring, ports: Substring? = nil) -> SyntaxProblem {
        let prefix = ports.map { "\($0)/" } ?? ""
        let names = IPProtocol.names.filter { ports == nil || $0.protocol.hasPorts }.map(\.name)
        let known = otherSpellings.first { $0.key == text.lowercased() }?.value
        if let name = known ?? Spelling.nearest(to: text, among: names) {
            return problem("unknown protocol \(quoted(text))", "did you mean \(prefix)\(name)?")
        }
        let list = Spelling.list(ports == nil ? names + ["protocol/N"] : names, conjunction: "or")
        return problem("unknown protocol \(quoted(text))", "use \(list)")
    }

    private static let otherSpellings = [
        "icmp6": "icmpv6", "ipv6-icmp": "icmpv6", "icmp-v6": "icmpv6", "ping": "icmp/echo-request",
        "ipencap": "ipip", "ipip6": "ipv6", "udp-lite": "udplite", "ipsec": "esp", "ipsec-esp": "esp",
        "quic": "udp",
    ]

    private static let wellKnownPorts: [(name: String, text: String)] = [
        ("http", "80/tcp"), ("https", "443/tcp"), ("ssh", "22/tcp"), ("dns", "53/udp and 53/tcp"),
        ("domain", "53/udp and 53/tcp"), ("ntp", "123/udp"), ("smtp", "25/tcp"), ("submission", "587/tcp"),
        ("imaps", "993/tcp"), ("postgres", "5432/tcp"), ("postgresql", "5432/tcp"), ("mysql", "3306/tcp"),
        ("redis", "6379/tcp"), ("git", "9418/tcp"), ("quic", "443/udp"), ("http3", "443/udp"),
    ]

    /// What to write for a service that everybody knows: `80/tcp` for `http`.
    static func number(ofPortNamed name: String) -> String? {
        wellKnownPorts.first { $0.name == name.lowercased() }?.text
    }

    /// Whether a word is another tool's for every protocol and port.
    static func isEverything(_ word: String) -> Bool { ["any", "all", "*"].contains(word) }

    /// The protocol that a word is a misspelling, or another tool's spelling, of.
    static func slip(for word: String) -> String? {
        otherSpellings[word] ?? Spelling.nearest(to: word, among: IPProtocol.names.map(\.name))
    }

    private static func problem(_ message: String, _ suggestion: String) -> SyntaxProblem {
        SyntaxProblem(DiagnosticCode.service, message, suggestion: suggestion)
    }

    private static func byte(_ text: Substring) -> UInt8? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy(isDigit), text == "0" || text.first != "0"
        else { return nil }
        return UInt8(text)
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func startsWithDigit(_ text: Substring) -> Bool {
        text.utf8.first.map(isDigit) ?? false
    }
}
