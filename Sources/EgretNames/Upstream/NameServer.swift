// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux
public import EgretPolicy

/// A server that questions are passed on to.
public struct NameServer: Hashable, Sendable {
    /// How it is asked. Over TLS it is with the strict profile of RFC 8310: where the certificate is for another name, the server
    /// is not asked, and nobody else instead. By datagrams it is asked over TCP also where the client came over TCP.
    public typealias Transport = DNSServer.Transport

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

    /// Creates a server that somebody has chosen.
    public init(_ server: DNSServer) {
        self.init(server.address, port: server.port, server.transport)
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
        guard let server = DNSServer(text) else { return nil }
        self.init(server)
    }

    /// The server as people write it.
    public var description: String {
        DNSServer(address.address, port: address.port, transport).description
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
