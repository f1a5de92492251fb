// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// An `https` URL, in its parts (RFC 3986, RFC 9110 section 4.2.2).
struct FeedURL: Hashable, Sendable {
    /// The host's name or address, without brackets.
    var host: String
    /// The port.
    var port: Int
    /// The path and the query.
    var target: String

    /// Reads a URL. `nil` if it is not of https, has a name and password, or holds what a URL cannot.
    init?(_ text: String) {
        guard text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != 0x5c }) else { return nil }
        let scheme = "https://"
        guard text.prefix(scheme.count).lowercased() == scheme else { return nil }
        let rest = text.dropFirst(scheme.count)
        let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
        var authority = rest[..<end]
        guard !authority.contains("@") else { return nil }
        port = 443
        if authority.first == "[" {
            guard let close = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<close])
            guard case .v6? = IPAddress(host) else { return nil }
            authority = authority[authority.index(after: close)...]
        } else {
            let colon = authority.firstIndex(of: ":") ?? authority.endIndex
            host = String(authority[..<colon])
            authority = authority[colon...]
        }
        guard !host.isEmpty else { return nil }
        if !authority.isEmpty {
            guard authority.first == ":", let number = UInt16(authority.dropFirst()), number > 0 else { return nil }
            port = Int(number)
        }
        let path = rest[end...].prefix { $0 != "#" }
        target = path.hasPrefix("/") ? String(path) : "/" + path
    }

    /// Where a redirection leads. `nil` if it is not for a reader of feeds: another scheme, above all.
    func following(_ location: String) -> FeedURL? {
        if location.hasPrefix("/"), !location.hasPrefix("//") {
            return FeedURL("https://\(authority)\(location)")
        }
        return FeedURL(location)
    }

    /// The host and the port, as `Host` has them.
    var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == 443 ? name : "\(name):\(port)"
    }

    /// Whether the host is an address and no name.
    var isAddress: Bool { IPAddress(host) != nil }
}
