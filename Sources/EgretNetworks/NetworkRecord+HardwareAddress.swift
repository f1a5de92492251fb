// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNetlinkWire

extension NetworkRecord {
    /// The hardware address of who is to have some addresses here: the same for whoever has the first of them, so that the host
    /// and other endpoints, who remember for a while who had it last (`ip neigh`), reach the next one at once.
    ///
    /// - Parameters:
    ///   - addresses: The addresses, the first of which is nobody else's.
    ///   - machine: 40 bits that are this machine's own, so that another one on the same wire, which gives the same address, has
    ///     another hardware address for it; `nil` where nothing tells machines apart.
    /// - Returns: A locally administered address that no endpoint has.
    public func hardwareAddress(for addresses: [IPAddress], machine: UInt64?) -> MACAddress {
        guard let first = addresses.first?.rawValue else { return .random() }
        // All of an IPv4 address; of an IPv6 address whatever differs within a subnet that is not larger than a /96.
        let words = (0..<4).map { UInt32(truncatingIfNeeded: first >> (32 * UInt128($0))) }
        // Exclusive or, so that on one machine what differs stays different.
        let key = machine ?? 0x45_0000_0000
        let address = MACAddress(locallyAdministered: key ^ UInt64(words.reduce(0, ^)))
        return endpoints.contains { $0.hardwareAddress == address.description } ? .random() : address
    }

    /// What comes of it if an adopted bridge has the hardware address of an endpoint's link: nobody has given it one, and it takes
    /// the lowest of its ports' (`br_stp_recalculate_bridge_id`).
    ///
    /// - Parameter bridge: The network's bridge.
    /// - Returns: Words for its owner, with the command that ends it; `nil` if its address is no endpoint's.
    public func warning(ofBorrowedAddressOf bridge: LinkRecord) -> String? {
        guard isAdopted, let address = bridge.address,
            endpoints.contains(where: { $0.hostHardwareAddress == address.description })
        else { return nil }
        let own = MACAddress(locallyAdministered: address.rawValue)
        return "\(name) has an endpoint's hardware address, as nobody has given it one: when that one goes it gets "
            + "another, and the others do not reach it for a while; "
            + "that ends with: ip link set dev \(name) address \(own)"
    }
}
