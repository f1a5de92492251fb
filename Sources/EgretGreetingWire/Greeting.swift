// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a client says first on a connection, as far as it concerns names.
public enum Greeting {
    /// Why there is no name.
    public enum Absence: String, Hashable, Sendable, CaseIterable {
        /// These are no bytes of a protocol in which a client says a name.
        case otherProtocol = "another protocol"
        /// The message is not well formed.
        case malformed = "a malformed greeting"
        /// The message is longer than is read of it.
        case tooLong = "a greeting that is too long"
        /// The message is sound and has no name.
        case nameless = "no name"
        /// An address is written where the name should be.
        case address = "an address instead of a name"
        /// There are several names, and they differ, or the protocol allows just one.
        case severalNames = "several names"
        /// The client asks for a tunnel to somewhere else, or for another protocol on the connection, in which nothing
        /// could be checked any more.
        case tunnel = "a tunnel"
        /// The client has said nothing for too long, or ended before it had said a name.
        case silent = "nothing said"
    }
}

/// A name that a client has said, and in which protocol.
public struct SpokenName: Hashable, Sendable {
    /// The protocol.
    public var version: GreetingProtocol
    /// The name as it was written, without port and without a dot at the end: ASCII, not empty, and no address.
    public var name: String
    /// Whether the client also says a name that cannot be read (ECH, RFC 9849): then this one is the outer name. Clients
    /// without ECH may pretend so (GREASE).
    public var hasEncryptedName: Bool

    /// Creates a name.
    public init(_ name: String, _ version: GreetingProtocol, hasEncryptedName: Bool = false) {
        self.name = name
        self.version = version
        self.hasEncryptedName = hasEncryptedName
    }
}

/// A protocol in which a client says the name that it wants.
public enum GreetingProtocol: String, Hashable, Sendable, CaseIterable {
    /// TLS, by the server name of the ClientHello.
    case tls = "TLS"
    /// HTTP/1.0 or 1.1 without TLS, by the field Host.
    case http1 = "HTTP/1"
    /// HTTP/2 without TLS and without an upgrade, by `:authority`.
    case http2 = "HTTP/2"
}
