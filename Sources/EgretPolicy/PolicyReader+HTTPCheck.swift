// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    /// Reads the URL of an HTTP check: an address, not a name, which would have to be resolved by the very way.
    mutating func readHTTP(_ node: DocumentNode) -> RouteCheck.Probe? {
        guard let text = string(node, "http", expected: "a URL") else { return nil }
        let scheme = "http://"
        guard text.lowercased().hasPrefix(scheme) else {
            error(
                DiagnosticCode.unknownValue, at: node.location, "\(quoted(text)) is not an http URL",
                text.lowercased().hasPrefix("https:")
                    ? "checks use no TLS: write http://…, or tcp: ADDRESS:443"
                    : "write for example http://192.0.2.1/health"
            )
            return nil
        }
        let rest = text.dropFirst(scheme.count)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        guard let (address, port) = PolicyReader.authority(rest[..<end]) else {
            error(
                DiagnosticCode.address, at: node.location, "\(quoted(rest[..<end])) is not an address",
                "write an address and not a name, for example http://192.0.2.1/health or \"http://[2001:db8::1]:8080/\""
            )
            return nil
        }
        let target = rest[end...]
        // A fragment is the reader's own; anything else would end the request line.
        let isPlain = target.utf8.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "#") }
        guard isPlain, target.utf8.count <= 1024 else {
            error(
                DiagnosticCode.unknownValue, at: node.location, "the path of the URL cannot be asked for",
                "write ASCII characters without spaces and #, 1,024 at most; %20 stands for a space"
            )
            return nil
        }
        return .http(address, port: port, path: target.hasPrefix("/") ? String(target) : "/" + target)
    }

    /// `192.0.2.1`, `192.0.2.1:8080`, `[2001:db8::1]:8080`.
    private static func authority(_ text: Substring) -> (IPAddress, UInt16)? {
        if let address = bareAddress(text) { return (address, 80) }
        guard let colon = text.lastIndex(of: ":"), let address = bareAddress(text[..<colon]) else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.allSatisfy({ ("0"..."9").contains($0) }), let port = UInt16(digits), port > 0 else { return nil }
        return (address, port)
    }

    /// An IPv4 address, or an IPv6 address in brackets.
    private static func bareAddress(_ text: Substring) -> IPAddress? {
        let isBracketed = text.first == "[" && text.last == "]"
        guard let address = IPAddress(isBracketed ? text.dropFirst().dropLast() : text) else { return nil }
        return isBracketed == (address.family == .ipv6) ? address : nil
    }
}
