// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// The `resolv.conf` and `nsswitch.conf` that a command sees (resolv.conf(5), nsswitch.conf(5)).
///
/// Names must resolve by packets that the policy has let out, never by a service of the host that asks on the
/// command's behalf over a local socket.
public struct ResolverFile: Hashable, Sendable {
    /// What the command finds in `/etc/resolv.conf`.
    public var text: String
    /// The resolvers in it.
    public var resolvers: [IPAddress]
    /// Resolvers of the host that were left out: the policy refuses them, or they listen on the host's loopback.
    public var leftOut: [IPAddress]

    /// Makes the file from the host's.
    ///
    /// - Parameters:
    ///   - host: The host's `resolv.conf`.
    ///   - chosen: Resolvers that the user named; where there are any, the host's are not used.
    ///   - isAllowed: Whether the policy lets a query through to the resolver.
    public init(host: String, chosen: [IPAddress], isAllowed: (IPAddress) -> Bool) {
        let lines = host.split(separator: "\n").map { $0.trimmingSpaces }
        let candidates = chosen.isEmpty ? ResolverFile.nameservers(in: host) : chosen
        resolvers = candidates.filter { !$0.isLoopback && isAllowed($0) }
        leftOut = candidates.filter { $0.isLoopback || !isAllowed($0) }
        let kept = lines.filter { line in
            ["search", "domain", "options", "sortlist"].contains {
                line.hasPrefix($0 + " ") || line.hasPrefix($0 + "\t")
            }
        }
        text = "# Written by Egret: the resolvers that the policy lets this command ask.\n"
        if resolvers.isEmpty { text += "# There are none: names do not resolve.\n" }
        text += resolvers.map { "nameserver \($0)\n" }.joined()
        text += kept.map { "\($0)\n" }.joined()
    }

    /// The address that stands for a proxy to which every question goes, whatever server it is for: the dummy address of
    /// RFC 7600, which is no host's and leaves no host.
    public static let standIn = IPv4Address(rawValue: 0xc000_0008)

    /// Makes the file for a command whose questions all go to a proxy on the host.
    ///
    /// It names the host's resolvers, as far as a question to them leaves the command's namespace in any case; else one
    /// that stands for the proxy. ``leftOut`` is empty, and ``resolvers`` are those that the proxy is to ask.
    ///
    /// - Parameters:
    ///   - host: The host's `resolv.conf`.
    ///   - chosen: Resolvers that the user named; where there are any, the host's are not used.
    public init(proxiedHost host: String, chosen: [IPAddress]) {
        let servers = chosen.isEmpty ? ResolverFile.nameservers(in: host) : chosen
        self.init(host: host, chosen: servers) { $0.family == .ipv4 }
        if resolvers.isEmpty { self.init(host: host, chosen: [.v4(ResolverFile.standIn)]) { _ in true } }
        resolvers = servers
        leftOut = []
    }

    /// The resolvers that a `resolv.conf` names; zones are dropped with their link-local addresses.
    public static func nameservers(in text: String) -> [IPAddress] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == "\r" })
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            return IPAddress(words[1])
        }
    }

    /// `nsswitch.conf` with host names looked up in files and by DNS only.
    ///
    /// Every other source (`resolve`, `mdns4_minimal`, `nis`, `sss`, `libvirt`…) asks a service of the host.
    public static func nameServiceSwitch(host: String) -> String {
        let kept = host.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
            !line.trimmingSpaces.hasPrefix("hosts:")
        }
        let end = host.isEmpty || host.hasSuffix("\n") ? "" : "\n"
        return kept.joined(separator: "\n") + end + "hosts: files dns\n"
    }
}

extension IPAddress {
    /// 127.0.0.0/8 or ::1.
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4(let address): address.rawValue >> 24 == 127
        case .v6(let address): address.rawValue == 1
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
        guard let first = firstIndex(where: { !isSpace($0) }), let last = lastIndex(where: { !isSpace($0) }) else {
            return ""
        }
        return self[first...last]
    }
}
