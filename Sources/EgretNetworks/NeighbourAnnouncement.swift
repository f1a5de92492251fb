// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretLinux
import EgretNetlinkWire

/// Tells endpoints of a bridge that an address is reached by way of the host now, so that none of them goes on with what it
/// has remembered: until it asked again, what it sends would be lost.
public struct NeighbourAnnouncement: Hashable, Sendable {
    /// The address.
    public var address: IPAddress
    /// The hardware address that it is reached by: the bridge's.
    public var hardware: MACAddress
    /// Who is told.
    public var receiver: MACAddress
    /// The receiver's port, by its index: a bridge does not know where those are that have said nothing for a while, and
    /// sends what is for them to all.
    public var port: UInt32

    /// So many are sent at once; more would take longer than endpoints need to ask by themselves.
    public static let limit = 10_000

    /// Prepares an announcement.
    public init(_ address: IPAddress, at hardware: MACAddress, to receiver: MACAddress, through port: UInt32) {
        self.port = port
        self.address = address
        self.hardware = hardware
        self.receiver = receiver
    }

    /// The frame: a gratuitous ARP request (RFC 5227, 3), or an unsolicited neighbour advertisement that overrides
    /// (RFC 4861, 7.2.6). Both go to the receiver alone, so that the address's owner does not take them for a conflict.
    public var frame: [UInt8] {
        let start = receiver.octets + hardware.octets
        switch address.family {
        case .ipv4:
            let own = AddressProbe.bytes(address.rawValue, 4)
            return start + [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1] + hardware.octets + own + [0, 0, 0, 0, 0, 0] + own
        case .ipv6:
            let own = AddressProbe.bytes(address.rawValue, 16)
            let everyone: [UInt8] = [0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
            var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0] + own + [2, 1] + hardware.octets
            let sum = AddressProbe.checksum(own + everyone + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58] + message)
            (message[2], message[3]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
            return start + [0x86, 0xdd, 0x60, 0, 0, 0, 0, UInt8(message.count), 58, 255] + own + everyone + message
        }
    }

}

/// Sends announcements, from the network namespace in which it sends the first of them.
///
/// It keeps its socket: the kernel lets nobody close one before all processors have seen that it is gone, which takes 10 ms and
/// more.
public final class NeighbourAnnouncer {
    private var sender: FrameSender?

    /// Opens nothing yet.
    public init() {}

    /// Sends announcements.
    ///
    /// Needs `CAP_NET_RAW`. What cannot be sent is passed over: endpoints ask again by themselves.
    ///
    /// - Parameter announcements: Up to ``NeighbourAnnouncement/limit`` of them.
    public func send(_ announcements: [NeighbourAnnouncement]) {
        if sender == nil { sender = try? FrameSender() }
        for announcement in announcements.prefix(NeighbourAnnouncement.limit) {
            try? sender?.send(announcement.frame, on: announcement.port)
        }
    }
}
