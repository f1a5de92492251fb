// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a container runtime calls one interface of one container (CNI specification 1.1.0, section "Attachment").
public struct ContainerAttachment: Hashable, Sendable {
    /// The name of the runtime's network configuration.
    public var network: String
    /// The container's number.
    public var container: String
    /// The name of the interface in the container.
    public var interface: String

    /// Names an attachment.
    public init(network: String, container: String, interface: String) {
        self.network = network
        self.container = container
        self.interface = interface
    }
}

/// How fast the traffic of one endpoint may be in one direction.
public struct EndpointRate: Hashable, Sendable {
    /// Whether it is about what the endpoint sends, rather than what it is sent.
    public var isEgress: Bool
    /// Bits in a second, link-layer headers included.
    public var bitsPerSecond: UInt64
    /// How many bytes may pass at once after a pause; `nil` for what the rate carries in 10 ms.
    public var burstBytes: UInt64?

    /// Creates a rate.
    public init(isEgress: Bool, bitsPerSecond: UInt64, burstBytes: UInt64? = nil) {
        self.isEgress = isEgress
        self.bitsPerSecond = bitsPerSecond
        self.burstBytes = burstBytes
    }
}
