// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A `Service` of Kubernetes: a name in front of pods.
///
/// No policy speaks of services: traffic is judged by where it is delivered, which is a pod and its port
/// (Kubernetes documentation, "Network Policies"). Egret keeps them to answer questions that name one.
public struct ServiceObject: Hashable, Sendable {
    /// A port of the service.
    public struct Port: Hashable, Sendable {
        /// Where at the pod the traffic goes.
        public enum Target: Hashable, Sendable {
            /// To this port.
            case number(UInt16)
            /// To the pod's port of this name.
            case name(String)
        }

        /// Its name, if it has one.
        public var name: String?
        /// The protocol.
        public var `protocol`: IPProtocol
        /// The number that clients use.
        public var number: UInt16
        /// Where at the pod the traffic goes.
        public var target: Target

        /// Creates a port.
        public init(name: String? = nil, _ protocol: IPProtocol = .tcp, _ number: UInt16, target: Target? = nil) {
            self.name = name
            self.protocol = `protocol`
            self.number = number
            self.target = target ?? .number(number)
        }
    }

    /// The namespace.
    public var namespace: String
    /// The name.
    public var name: String
    /// The labels of its pods; `nil` for a service whose endpoints somebody else keeps.
    public var selector: [String: String]?
    /// Its ports.
    public var ports: [Port]
    /// Whether clients reach the pods directly, each by its own address and ports.
    public var isHeadless: Bool
    /// Its cluster addresses.
    public var addresses: [IPAddress]
    /// Where it is written.
    public var location: SourceLocation?

    /// Creates a service.
    public init(
        namespace: String = "default", name: String, selector: [String: String]? = nil, ports: [Port] = [],
        isHeadless: Bool = false, addresses: [IPAddress] = [], location: SourceLocation? = nil
    ) {
        self.namespace = namespace
        self.name = name
        self.selector = selector
        self.ports = ports
        self.isHeadless = isHeadless
        self.addresses = addresses
        self.location = location
    }

    /// The places in the inventory of the workloads behind the service; those in the host's network included.
    public func workloads(in inventory: Inventory) -> [Int] {
        guard let selector, !selector.isEmpty else { return [] }
        let labels = LabelSelector(matchLabels: selector)
        return inventory.workloads.indices.filter { place in
            let workload = inventory.workloads[place]
            return workload.id.namespace == namespace && labels.matches(workload.labels)
        }
    }
}
