// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Reads addresses and CIDRs, and says what is wrong with those that are not.
enum AddressSyntax {
    /// Reads `ADDRESS` or `ADDRESS/LENGTH` without host bits.
    static func parse(_ text: Substring) throws(SyntaxProblem) -> IPPrefix {
        guard let slash = text.utf8.firstIndex(of: UInt8(ascii: "/")) else {
            guard let address = IPAddress(text) else { throw diagnose(text) }
            return IPPrefix(address)
        }
        guard let address = IPAddress(text[..<slash]) else { throw diagnose(text) }
        let digits = text[text.index(after: slash)...]
        guard let length = parseLength(digits), let prefix = IPPrefix(address, length: length) else {
            throw diagnoseLength(digits, of: address, whole: text)
        }
        guard prefix.address == address else {
            throw SyntaxProblem(
                DiagnosticCode.hostBits,
                "\(text) has address bits set beyond its prefix length",
                suggestion: "write \(prefix.address)/\(prefix.length) for the block, "
                    + "or \(address)/\(address.family.bitWidth) for the one address"
            )
        }
        return prefix
    }

    /// A length in decimal without leading zeros, as `IPPrefix` reads it.
    private static func parseLength(_ digits: Substring) -> Int? {
        guard (1...3).contains(digits.utf8.count),
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits == "0" || digits.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return Int(digits)
    }

    /// Whether the text is an attempt at an address, however mistaken, rather than at a name.
    static func looksNumeric(_ text: Substring) -> Bool {
        guard let first = text.utf8.first else { return false }
        if text.contains(":") || text.hasPrefix("[") { return true }
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return false }
        let digits = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "*"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        return digits || text.lowercased().hasPrefix("0x")
    }

    /// Whether the text could be a domain name or a pattern of them.
    static func looksLikeDomain(_ text: Substring) -> Bool {
        guard !looksNumeric(text), text.contains(".") || text.lowercased() == "localhost" else { return false }
        return text.unicodeScalars.allSatisfy { scalar in
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-._*".unicodeScalars.contains(scalar)
        }
    }

    private static func diagnose(_ text: Substring) -> SyntaxProblem {
        if text.isEmpty { return problem("an empty text is not an address", example) }
        let trimmed = text.filter { !$0.isWhitespace }
        if trimmed.count != text.count {
            return problem("\(quoted(text)) has white space in it", trimmed.isEmpty ? example : "write \(trimmed)")
        }
        if text.contains("://") {
            return problem(
                "\(quoted(text)) is a URL, not an address", "write the address alone, for example 203.0.113.10")
        }
        if text.contains("%") {
            let address = text.prefix { $0 != "%" }
            return problem(
                "\(quoted(text)) has a zone, which names an interface and not a destination", "write \(address)"
            )
        }
        if text.hasPrefix("[") { return diagnoseBrackets(text) }
        if looksLikeDomain(text) { return domainProblem(text) }
        if text.contains(":") { return diagnoseColon(text) }
        if looksNumeric(text) { return diagnoseIPv4(text) }
        return problem("\(quoted(text)) is not an address", example)
    }

    /// What to say about a domain name where an address belongs.
    static func domainProblem(_ text: Substring) -> SyntaxProblem {
        if text.lowercased() == "localhost" {
            return SyntaxProblem(
                DiagnosticCode.domainName, "\(quoted(text)) is a name, not an address",
                suggestion: "use the group host for the machine that runs the workload"
            )
        }
        return SyntaxProblem(
            DiagnosticCode.domainName, "\(quoted(text)) is a domain name, not an address",
            suggestion:
                "write it in to: [{ domains: [\(text.hasPrefix("*") ? "\"\(text)\"" : text)] }], or write an address or a block"
        )
    }

    private static let example = "write for example 203.0.113.0/24, 203.0.113.10 or 2001:db8::/32"

    private static func diagnoseBrackets(_ text: Substring) -> SyntaxProblem {
        let inner = text.dropFirst().prefix { $0 != "]" }
        guard IPPrefix(inner) != nil else { return problem("\(quoted(text)) is not an address", example) }
        return problem("brackets go around an IPv6 address only where a port follows", "write \(inner)")
    }

    private static func diagnoseColon(_ text: Substring) -> SyntaxProblem {
        let head = text.prefix { $0 != ":" }
        if head.contains("."), let prefix = IPPrefix(head) {
            return problem(
                "\(quoted(text)) has a port, and this is a place for addresses",
                "write \(prefix) here and the port in ports")
        }
        if text.contains(":::") { return problem("\(quoted(text)) has three colons in a row", "write one :: at most") }
        if text.ranges(of: "::").count > 1 {
            return problem("\(quoted(text)) has :: twice, so its length is open", "write :: once")
        }
        return problem("\(quoted(text)) is not an IPv6 address", "write for example 2001:db8::/32 or 2001:db8::10")
    }

    private static func diagnoseIPv4(_ text: Substring) -> SyntaxProblem {
        let address = text.prefix { $0 != "/" }
        if address.contains("-") {
            return problem(
                "\(quoted(text)) is a range, and ranges are written as CIDRs", "write for example 203.0.113.0/28")
        }
        let octets = address.split(separator: ".", omittingEmptySubsequences: false)
        if address.contains("*") {
            let fixed = octets.prefix { $0 != "*" }
            let filled = (fixed.map(String.init) + Array(repeating: "0", count: max(0, 4 - fixed.count))).prefix(4)
            let cidr = "\(filled.joined(separator: "."))/\(fixed.count * 8)"
            return problem("\(quoted(text)) has a wildcard", IPPrefix(cidr) == nil ? example : "write \(cidr)")
        }
        let length = text.dropFirst(address.count)
        let oddity =
            "programs read such spellings differently, so only four decimal numbers without leading zeros are read"
        if octets.count < 4, let block = IPPrefix(address + String(repeating: ".0", count: 4 - octets.count) + length),
            !length.isEmpty
        {
            return problem("\(quoted(text)) is not four decimal numbers: \(oddity)", "if you mean \(block), write that")
        }
        if octets.count != 4 || address.lowercased().contains("x") {
            return problem(
                "\(quoted(text)) is not an IPv4 address: \(oddity)",
                inetAton(octets).map { "if you mean \($0)\(length), write that" } ?? example
            )
        }
        if octets.contains(where: { $0.count > 1 && $0.first == "0" }) {
            let decimal = octets.map { octet in
                let significant = octet.drop { $0 == "0" }
                return significant.isEmpty ? "0" : String(significant)
            }
            return problem(
                "\(quoted(text)) has leading zeros: \(oddity)",
                "write \(decimal.joined(separator: "."))\(length) if the numbers are decimal")
        }
        if let large = octets.first(where: { (Int($0) ?? 256) > 255 }), !large.isEmpty {
            return problem("\(quoted(text)) is not an IPv4 address: \(large) is more than 255", example)
        }
        return problem("\(quoted(text)) is not an IPv4 address", example)
    }

    /// What `inet_aton(3)` would read, for the suggestion only.
    private static func inetAton(_ parts: [Substring]) -> IPv4Address? {
        guard (1...4).contains(parts.count) else { return nil }
        var value: UInt64 = 0
        for (offset, part) in parts.enumerated() {
            let lower = part.lowercased()
            let number =
                lower.hasPrefix("0x")
                ? UInt64(lower.dropFirst(2), radix: 16)
                : lower.count > 1 && lower.hasPrefix("0") ? UInt64(lower, radix: 8) : UInt64(lower)
            let isLast = offset == parts.count - 1
            let bits = UInt64(isLast ? 8 * (5 - parts.count) : 8)
            guard let number, number < UInt64(1) << bits else { return nil }
            value = value << bits | number
        }
        return IPv4Address(rawValue: UInt32(truncatingIfNeeded: value))
    }

    private static func diagnoseLength(_ text: Substring, of address: IPAddress, whole: Substring) -> SyntaxProblem {
        let width = address.family.bitWidth
        if let mask = IPv4Address(text), address.family == .ipv4 {
            let length = mask.rawValue.leadingZeroBitCount == 0 ? (~mask.rawValue).leadingZeroBitCount : 0
            let isMask = mask.rawValue == (length == 0 ? 0 : ~UInt32(0) << UInt32(32 - length))
            let suggestion =
                isMask && length > 0
                ? "write \(IPPrefix(address, length: length).map { "\($0.address)/\(length)" } ?? example)" : example
            return problem("\(quoted(whole)) has a netmask, and the length is written as a number of bits", suggestion)
        }
        let suggestion =
            text.isEmpty ? "write \(address) or for example \(address)/\(width)" : "write a length from 0 to \(width)"
        return problem("\(quoted(whole)) has no valid prefix length after the slash", suggestion)
    }

    private static func problem(_ message: String, _ suggestion: String) -> SyntaxProblem {
        SyntaxProblem(DiagnosticCode.address, message, suggestion: suggestion)
    }
}
