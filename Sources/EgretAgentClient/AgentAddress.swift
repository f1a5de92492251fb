// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI

/// Where the agent listens.
public struct AgentAddress: Hashable, Sendable {
    /// The path of its unix socket.
    public var socketPath: String
    /// Where it listens on the network; the socket is not asked then.
    public var remote: Remote?

    /// An agent on the network, and what both show each other. Files are in PEM.
    public struct Remote: Hashable, Sendable {
        /// Its host's name or address.
        public var host: String
        /// Its port.
        public var port: Int
        /// The authorities that its certificate may be of; `nil` for the system's.
        public var authorities: String?
        /// The client's certificate.
        public var certificate: String
        /// The key of the certificate.
        public var key: String

        /// Names an agent.
        public init(host: String, port: Int, authorities: String? = nil, certificate: String, key: String) {
            self.host = host
            self.port = port
            self.authorities = authorities
            self.certificate = certificate
            self.key = key
        }
    }

    /// Names the agent's socket.
    ///
    /// - Parameter chosen: The path that `AgentAPI.socketVariable` names, if it does; empty is as if it did not.
    public init(chosen: String? = nil) {
        socketPath = chosen.flatMap { $0.isEmpty ? nil : $0 } ?? AgentAPI.socketPath
    }
}
