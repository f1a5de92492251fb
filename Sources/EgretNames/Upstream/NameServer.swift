// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretPolicy

/// A server that questions are passed on to.
public struct NameServer: Hashable, Sendable {
    /// How it is asked.
    public enum Transport: Hashable, Sendable {
        /// By datagrams, and over TCP where an answer does not fit or the client came over TCP.
        case udp
        /// Over TCP alone.
        case tcp
        /// Over TLS alone (RFC 7858), with the strict profile of RFC 8310: its certificate must be for this name, or for its
        /// address where there is none. Otherwise it is not asked, and nobody else instead.
        case tls(name: DomainName?)
    }

    /// Where it is.
    public var address: SocketAddress
    /// How it is asked.
    public var transport: Transport

    /// Creates a server.
    public init(_ address: SocketAddress, _ transport: Transport = .udp) {
        self.address = address
        self.transport = transport
    }

    /// Creates a server on an address, by default on port 53.
    public init(_ address: IPAddress, port: UInt16 = 53, _ transport: Transport = .udp) {
        self.init(SocketAddress(address, port: port), transport)
    }

    /// Whether it is asked as a client would ask it: on port 53, without TLS.
    public var isPlain: Bool { transport == .udp && address.port == 53 }

    /// Whether it is asked over TLS.
    public var isEncrypted: Bool {
        if case .tls = transport { true } else { false }
    }
}

extension NameServer: LosslessStringConvertible {
    /// Reads a server as people write it: an address alone; `udp://`, `tcp://` or `tls://`, an address, and perhaps a port
    /// and, for TLS, the name in its certificate: `tls://9.9.9.9:853#dns.example.net`, `udp://[2001:db8::53]:5353`.
    ///
    /// Without a port it is 53, and 853 for TLS. `nil` if it is none of that.
    public init?(_ text: String) {
        guard let scheme = text.firstRange(of: "://") else {
            guard let address = IPAddress(text) else { return nil }
            self.init(address)
            return
        }
        let parts = text[scheme.upperBound...].split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let (address, port) = NameServer.place(first) else { return nil }
        switch (text[..<scheme.lowerBound], parts.dropFirst().first) {
        case ("udp", nil): self.init(address, port: port ?? 53, .udp)
        case ("tcp", nil): self.init(address, port: port ?? 53, .tcp)
        case ("tls", nil): self.init(address, port: port ?? 853, .tls(name: nil))
        case ("tls", let name?):
            guard let name = try? DomainName.parse(name) else { return nil }
            self.init(address, port: port ?? 853, .tls(name: name))
        default: return nil
        }
    }

    /// An address, perhaps in brackets, and perhaps a port.
    private static func place(_ text: Substring) -> (IPAddress, UInt16?)? {
        if let address = IPAddress(text) { return (address, nil) }
        guard let colon = text.lastIndex(of: ":") else { return bracketed(text).map { ($0, nil) } }
        let (host, rest) = (text[..<colon], text[text.index(after: colon)...])
        if let port = UInt16(rest), port > 0, rest.allSatisfy(\.isASCII), rest.first != "+" {
            if let address = bracketed(host) { return (address, port) }
            if let address = IPAddress(host), address.family == .ipv4 { return (address, port) }
        }
        return bracketed(text).map { ($0, nil) }
    }

    private static func bracketed(_ text: Substring) -> IPAddress? {
        guard text.first == "[", text.last == "]", text.count > 2 else { return nil }
        let address = IPAddress(text.dropFirst().dropLast())
        return address?.family == .ipv6 ? address : nil
    }

    /// The server as people write it.
    public var description: String {
        let host = address.isIPv6 ? "[\(address.address)]" : "\(address.address)"
        switch transport {
        case .udp: return isPlain ? "\(address.address)" : "udp://\(host):\(address.port)"
        case .tcp: return "tcp://\(host):\(address.port)"
        case .tls(let name): return "tls://\(host):\(address.port)" + (name.map { "#\($0.text)" } ?? "")
        }
    }
}

extension PolicySet {
    /// The servers that an endpoint of these policies may ask itself: those that its rules name, and those of the
    /// configured ones that are asked as it would.
    ///
    /// - Parameter servers: The configured servers.
    /// - Returns: Their addresses.
    public func trustedServers(besides servers: [NameServer]) -> Swift.Set<IPAddress> {
        Swift.Set(servers.filter(\.isPlain).map(\.address.address) + namedServers)
    }

    /// The servers that others may be asked instead of when they fail, though an endpoint of these policies has asked them
    /// itself: all that its rules do not name.
    ///
    /// - Parameter servers: The servers that a person has configured.
    /// - Returns: Their addresses.
    public func replaceableServers(among servers: [NameServer]) -> Swift.Set<IPAddress> {
        Swift.Set(servers.map(\.address.address)).subtracting(namedServers)
    }
}
