// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretGreetingWire
public import EgretLinux
public import EgretPolicy

/// A connection of an endpoint, and what its client has said on it.
public struct ConnectionAttempt: Hashable, Sendable {
    /// What the client has said.
    public enum Speech: Hashable, Sendable {
        /// A name; in HTTP there may be several, one after the other.
        case name(SpokenName)
        /// No name, and why.
        case nothing(Greeting.Absence)
    }

    /// Where it comes from.
    public var source: SocketAddress
    /// Where it goes.
    public var destination: SocketAddress
    /// What was said.
    public var speech: Speech
    /// The numbers of the rules that now reach the address by the name; by any name, if none was said.
    public var rules: [Int]
    /// Where no name was said: those by which rules held the address then, one for each rule.
    public var names: Swift.Set<DomainName>
    /// TCP; UDP for a QUIC connection, or other datagrams.
    public var transport: IPProtocol

    /// Creates an attempt.
    public init(
        source: SocketAddress, destination: SocketAddress, speech: Speech, rules: [Int],
        names: Swift.Set<DomainName> = [], transport: IPProtocol = .tcp
    ) {
        self.source = source
        self.destination = destination
        self.speech = speech
        self.rules = rules
        self.names = names
        self.transport = transport
    }

    /// The names that the endpoint had resolved to the address when the connection began, as far as its rules were about them.
    ///
    /// A name that was said where an address, and no name, let the connection out is none: anything can be said.
    public var heldNames: Swift.Set<DomainName> {
        guard case .name(let spoken) = speech else { return names }
        guard !rules.isEmpty, let name = DomainName(ascii: spoken.name) else { return [] }
        return [name]
    }
}

/// Something that whoever watches an endpoint's connections should know.
public enum ConnectionEvent: Hashable, Sendable {
    /// The name was allowed, or the caller did not want one.
    case relayed(ConnectionAttempt)
    /// The flow of datagrams was let through, and goes on without the proxy.
    case passed(ConnectionAttempt)
    /// The connection was refused because of what was said.
    case refused(ConnectionAttempt)
    /// The connection was refused before anything was said.
    case denied(SocketAddress)
    /// A connection that was allowed has ended; what it has moved, as the client's end saw it.
    case ended(ConnectionAttempt, InternetSocket.Volume?)
    /// No rule reaches the address by any name: nothing was read.
    case notHeld(SocketAddress)
    /// The other end could not be reached.
    case unreachable(SocketAddress, Errno)
    /// There are too many connections.
    case limited(SocketAddress)
}
