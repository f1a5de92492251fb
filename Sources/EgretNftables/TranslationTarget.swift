// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// The addresses and ports that a connection is translated to.
public struct TranslationTarget: Hashable, Sendable {
    /// The first address.
    public let first: IPAddress
    /// The last address; equal to the first for a single one.
    public let last: IPAddress
    /// The ports; `nil` leaves the port, or in source translation a free one close to it.
    public let ports: PortRange?
    /// Whether a client gets the same address for each of its connections (`NF_NAT_RANGE_PERSISTENT`).
    public let isPersistent: Bool

    /// Creates a target of one address.
    public init(_ address: IPAddress, ports: PortRange? = nil) {
        first = address
        last = address
        self.ports = ports
        isPersistent = false
    }

    /// Creates a target of a run of addresses, or `nil` if its ends are of different families or run backwards.
    public init?(_ first: IPAddress, _ last: IPAddress, ports: PortRange? = nil, isPersistent: Bool = false) {
        guard first.family == last.family, first.rawValue <= last.rawValue else { return nil }
        self.first = first
        self.last = last
        self.ports = ports
        self.isPersistent = isPersistent
    }

    /// The family of the addresses.
    public var family: AddressFamily { first.family }
}

/// Bits of `ct status` (`enum ip_conntrack_status` in `linux/netfilter/nf_conntrack_common.h`).
public struct ConnectionStatus: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel numbers them.
    public var rawValue: UInt32

    /// Creates a status from its bits.
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The connection's first packet has left (`IPS_CONFIRMED`).
    public static let confirmed = ConnectionStatus(rawValue: 8)
    /// The connection's source address is translated (`IPS_SRC_NAT`).
    public static let sourceTranslated = ConnectionStatus(rawValue: 0x10)
    /// The connection's destination address is translated (`IPS_DST_NAT`).
    public static let destinationTranslated = ConnectionStatus(rawValue: 0x20)
}
