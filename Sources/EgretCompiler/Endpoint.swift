// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A workload behind one interface of the host, as the compiler needs to know it.
public struct Endpoint: Hashable, Sendable {
    /// The name its chains carry: the host's interface name.
    public var interface: InterfaceName
    /// The index of the host's interface. Packets are known by it, never by an address alone.
    public var interfaceIndex: UInt32
    /// The hardware address of the workload's end: the only source that its frames may carry.
    public var hardwareAddress: MACAddress
    /// The workload's addresses: the only sources that its packets may carry. At most one of each family.
    public var addresses: [IPAddress]
    /// The index of the interface that its frames wait in, where its rate is limited: they go on from there.
    public var queueIndex: UInt32?

    /// Creates an endpoint.
    public init(
        interface: InterfaceName,
        interfaceIndex: UInt32,
        hardwareAddress: MACAddress,
        addresses: [IPAddress],
        queueIndex: UInt32? = nil
    ) {
        self.queueIndex = queueIndex
        self.interface = interface
        self.interfaceIndex = interfaceIndex
        self.hardwareAddress = hardwareAddress
        self.addresses = addresses
    }

    var ipv4: IPv4Address? {
        for case .v4(let address) in addresses { return address }
        return nil
    }

    var ipv6: IPv6Address? {
        for case .v6(let address) in addresses { return address }
        return nil
    }
}

/// The number that connections admitted by one state of a policy carry in their mark.
///
/// It takes the upper half of the 32-bit connection mark, so that other tools keep the lower half. 0 is no
/// generation: a connection that nobody stamped.
public struct Generation: Hashable, Sendable, RawRepresentable {
    /// 1 to 65535.
    public let rawValue: UInt16

    /// Creates a generation, or `nil` for 0.
    public init?(rawValue: UInt16) {
        guard rawValue != 0 else { return nil }
        self.rawValue = rawValue
    }

    /// The bits of the connection mark that hold the generation.
    public static let mask: UInt32 = 0xffff_0000

    /// The generation's value in those bits.
    public var mark: UInt32 { UInt32(rawValue) << 16 }
}
