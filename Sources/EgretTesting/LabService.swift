// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Something that a host of the test internet answers on.
public struct LabService: Hashable, Sendable, CustomStringConvertible {
    /// What the service does with what it is sent.
    public enum Role: String, Hashable, Sendable, CaseIterable {
        /// HTTP/1.1 over TCP: `/` greets, `/bytes/N` answers N zero bytes, a request's body is counted.
        case http
        /// The same over TLS, with a certificate of the lab's authority.
        case https
        /// TCP: sends back what it receives.
        case echo
        /// UDP: sends back what it receives.
        case udpEcho = "udp-echo"
        /// TCP: sends a line every 50 ms for as long as the connection lives, whether or not it is asked to.
        case push
        /// TCP: writes what it receives into the host's log and answers with the count of bytes.
        case sink
        /// UDP: writes what it receives into the host's log and answers with the count of bytes.
        case udpSink = "udp-sink"
        /// DNS over UDP and TCP, served by dnsmasq.
        case dns
    }

    /// What it does.
    public var role: Role
    /// Where it listens, on every address of its host.
    public var port: UInt16

    /// Creates a service.
    public init(_ role: Role, _ port: UInt16) {
        self.role = role
        self.port = port
    }

    /// The role and the port: `https:443`.
    public var description: String { "\(role.rawValue):\(port)" }
}
