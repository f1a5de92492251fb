// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// Questions whether anybody on a link has addresses already, as frames, and what frames say about that.
///
/// IPv4 is asked about by ARP probes (RFC 5227, 2.1.1), IPv6 as by duplicate address detection (RFC 4862, 5.4.2). Both
/// come from nobody's IP address, so that they change nobody's neighbour table.
public struct AddressProbe: Sendable {
    /// Who asks: answers come to this hardware address.
    public let asker: MACAddress
    /// What is asked about.
    public let addresses: Set<IPAddress>

    /// Prepares questions.
    ///
    /// - Parameters:
    ///   - addresses: What is asked about.
    ///   - asker: The hardware address of the interface that asks.
    public init(for addresses: [IPAddress], from asker: MACAddress) {
        self.addresses = Set(addresses)
        self.asker = asker
    }

    /// The frames to send, with the type of each: one for each address.
    public var questions: [(etherType: UInt16, frame: [UInt8])] {
        addresses.sorted().map { address in
            switch address.family {
            case .ipv4: (AddressProbe.arp, arpProbe(address))
            case .ipv6: (AddressProbe.ipv6, solicitation(address))
            }
        }
    }

    /// `ETH_P_ARP`.
    public static let arp: UInt16 = 0x0806
    /// `ETH_P_IPV6`.
    public static let ipv6: UInt16 = 0x86dd

    /// Who has, or is just about to take, one of the addresses.
    ///
    /// - Parameter frame: An Ethernet frame that came in; any bytes will do.
    /// - Returns: The address and whose it is; `nil` if the frame says nothing about them.
    public func owner(in frame: [UInt8]) -> (address: IPAddress, hardware: MACAddress)? {
        guard frame.count >= 42 else { return nil }
        let sender = MACAddress(rawValue: AddressProbe.number(frame[6..<12]))
        let found: IPAddress?
        switch UInt16(frame[12]) << 8 | UInt16(frame[13]) {
        case AddressProbe.arp: found = arpSender(frame)
        case AddressProbe.ipv6: found = advertised(frame)
        default: found = nil
        }
        guard let found, sender != asker, addresses.contains(found) else { return nil }
        return (found, sender)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    static func bytes(_ number: UInt128, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: number >> UInt128(8 * (count - 1 - $0))) }
    }

    // MARK: - ARP

    /// Ethernet, IPv4, lengths 6 and 4, operation 1: a request.
    private static let arpHeader: [UInt8] = [0, 1, 8, 0, 6, 4, 0, 1]

    private func arpProbe(_ address: IPAddress) -> [UInt8] {
        Array(repeating: 0xff, count: 6) + asker.octets + [0x08, 0x06] + AddressProbe.arpHeader + asker.octets
            + [0, 0, 0, 0] + Array(repeating: 0, count: 6) + AddressProbe.bytes(address.rawValue, 4)
    }

    /// Whoever names the address as its own, or probes for it itself (RFC 5227, 2.1.1), will have it.
    private func arpSender(_ frame: [UInt8]) -> IPAddress? {
        guard frame[14..<20].elementsEqual(AddressProbe.arpHeader[0..<6]) else { return nil }
        let sender = AddressProbe.number(frame[28..<32])
        let value = sender == 0 && frame[21] == 1 ? AddressProbe.number(frame[38..<42]) : sender
        return IPAddress(family: .ipv4, rawValue: UInt128(value))
    }

    // MARK: - Neighbour discovery

    /// To the multicast address of the solicited node (RFC 4291, 2.7.1), from the unspecified address.
    private func solicitation(_ address: IPAddress) -> [UInt8] {
        let target = AddressProbe.bytes(address.rawValue, 16)
        let group = [0xff, 0x02] + Array(repeating: 0, count: 9) + [0x01, 0xff] + target.suffix(3)
        let source = [UInt8](repeating: 0, count: 16)
        var message: [UInt8] = [135, 0, 0, 0, 0, 0, 0, 0] + target
        let sum = AddressProbe.checksum(source + group + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58] + message)
        (message[2], message[3]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        return [0x33, 0x33, 0xff] + target.suffix(3) + asker.octets + [0x86, 0xdd, 0x60, 0, 0, 0]
            + [0, UInt8(message.count), 58, 255] + source + group + message
    }

    /// RFC 1071.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[place]) << 8 | (place + 1 < bytes.count ? UInt32(bytes[place + 1]) : 0)
        }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// The target of an advertisement, or of somebody else's duplicate address detection.
    private func advertised(_ frame: [UInt8]) -> IPAddress? {
        guard frame.count >= 78, frame[20] == 58, frame[21] == 255 else { return nil }
        let isProbe = frame[54] == 135 && frame[22..<38].allSatisfy { $0 == 0 }
        guard frame[54] == 136 || isProbe else { return nil }
        return IPAddress(family: .ipv6, rawValue: frame[62..<78].reduce(0) { $0 << 8 | UInt128($1) })
    }
}
