// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

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
}
