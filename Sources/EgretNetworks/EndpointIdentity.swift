// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Who an endpoint is to policies: what selectors choose it by.
public struct EndpointIdentity: Hashable, Sendable {
    /// A port that has a name.
    public struct Port: Hashable, Sendable {
        /// The name.
        public var name: String
        /// `tcp`, `udp` or `sctp`.
        public var transport: String
        /// The number.
        public var number: UInt16

        /// Notes a port.
        public init(name: String, transport: String, number: UInt16) {
            self.name = name
            self.transport = transport
            self.number = number
        }
    }

    /// The group that it is in, which Kubernetes' kinds call its namespace.
    public var group: String
    /// Its name in the group.
    public var name: String
    /// Its labels.
    public var labels: [String: String]
    /// Its ports that have names.
    public var ports: [Port]

    /// Notes who an endpoint is.
    public init(group: String, name: String, labels: [String: String], ports: [Port]) {
        self.group = group
        self.name = name
        self.labels = labels
        self.ports = ports
    }
}

extension NetworkRecord.Endpoint {
    /// Who it is, said or not: without an identity it is called as its namespace is, in the group `default`.
    public var who: EndpointIdentity {
        if let identity { return identity }
        let last = namespace.split(separator: "/").last.map(String.init) ?? namespace
        let name = last.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0.lowercased() : "-" }.joined()
        return EndpointIdentity(group: "default", name: name, labels: [:], ports: [])
    }
}
