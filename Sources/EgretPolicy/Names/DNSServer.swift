// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A server of the DNS that somebody has chosen, and how it is asked.
public struct DNSServer: Hashable, Sendable {
    /// How it is asked.
    public enum Transport: Hashable, Sendable {
        /// By datagrams, and over TCP where an answer does not fit.
        case udp
        /// Over TCP alone.
        case tcp
        /// Over TLS alone (RFC 7858): its certificate must be for this name, or for its address where there is none.
        case tls(name: DomainName?)
    }

    /// Where it is.
    public var address: IPAddress
    /// The port.
    public var port: UInt16
    /// How it is asked.
    public var transport: Transport

    /// Creates a server on an address, by default on port 53.
    public init(_ address: IPAddress, port: UInt16 = 53, _ transport: Transport = .udp) {
        self.address = address
        self.port = port
        self.transport = transport
    }
}

extension DNSServer: LosslessStringConvertible {
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
        guard let first = parts.first, let (address, port) = DNSServer.place(first) else { return nil }
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
        let host = address.family == .ipv6 ? "[\(address)]" : "\(address)"
        switch transport {
        case .udp: return port == 53 ? "\(address)" : "udp://\(host):\(port)"
        case .tcp: return "tcp://\(host):\(port)"
        case .tls(let name): return "tls://\(host):\(port)" + (name.map { "#\($0.text)" } ?? "")
        }
    }
}
