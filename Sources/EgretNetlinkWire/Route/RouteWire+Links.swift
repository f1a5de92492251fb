// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// One end of a veth pair to be made.
public struct VethEnd: Hashable, Sendable {
    /// The name.
    public var name: InterfaceName
    /// The hardware address.
    public var address: MACAddress

    /// Creates a description of an end.
    public init(name: InterfaceName, address: MACAddress) {
        self.name = name
        self.address = address
    }
}

extension RouteWire {
    /// Makes a veth pair. Both ends are down.
    ///
    /// - Parameters:
    ///   - end: The end that stays in the socket's namespace.
    ///   - peer: The other end.
    ///   - peerNamespace: A descriptor of the namespace that the other end goes to (`IFLA_NET_NS_FD`); `nil` for
    ///     the same one.
    ///   - mtu: In bytes, of both ends; `nil` for the kernel's choice.
    ///   - queueLength: In packets, of both ends; `nil` for the kernel's choice.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func createVeth(
        _ end: VethEnd,
        peer: VethEnd,
        peerNamespace: Int32? = nil,
        mtu: UInt32? = nil,
        queueLength: UInt32? = nil,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        func put(_ end: VethEnd, _ writer: inout NetlinkWriter) throws(WireError) {
            try writer.putString(Ifla.name, end.name.rawValue)
            try writer.putBytes(Ifla.address, end.address.octets)
            if let mtu { writer.putHost(Ifla.mtu, mtu) }
            if let queueLength { writer.putHost(Ifla.queueLength, queueLength) }
        }
        return try request(RouteMessage.newLink, create, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader()
            try put(end, &writer)
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoKind, "veth")
                try writer.nest(Ifla.infoData) { (writer) throws(WireError) in
                    try writer.nest(Ifla.vethPeer) { (writer) throws(WireError) in
                        writer.appendLinkHeader()
                        try put(peer, &writer)
                        if let peerNamespace { writer.putHost(Ifla.namespaceDescriptor, peerNamespace) }
                    }
                }
            }
        }
    }

    /// Makes a bridge, which is down.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - address: Its hardware address. Without one of its own, a bridge takes that of a port, and changes it as
    ///     ports come and go.
    ///   - mtu: In bytes; `nil` for the kernel's choice.
    ///   - sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a value does not fit.
    public static func createBridge(
        _ name: InterfaceName,
        address: MACAddress,
        mtu: UInt32? = nil,
        sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, create, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader()
            try writer.putString(Ifla.name, name.rawValue)
            try writer.putBytes(Ifla.address, address.octets)
            if let mtu { writer.putHost(Ifla.mtu, mtu) }
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoKind, "bridge")
            }
        }
    }

    /// Makes a link a port of a bridge.
    public static func setLink(_ index: UInt32, master: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            writer.putHost(Ifla.master, master)
        }
    }

    /// Lets a bridge send a frame out by the port that it came in by (`IFLA_BRPORT_MODE`), which it does not by itself:
    /// an endpoint then reaches its own published ports where bridged packets are filtered as routed ones are.
    public static func setHairpin(port index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoSlaveKind, "bridge")
                try writer.nest(Ifla.infoSlaveData) { (writer) throws(WireError) in
                    writer.putUInt8(Ifla.bridgePortMode, 1)
                }
            }
        }
    }

    /// Keeps a bridge from passing frames between this port and others of its kind, or lets it again
    /// (`IFLA_BRPORT_ISOLATED`).
    public static func setPort(_ index: UInt32, isIsolated: Bool, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoSlaveKind, "bridge")
                try writer.nest(Ifla.infoSlaveData) { (writer) throws(WireError) in
                    writer.putUInt8(Ifla.bridgePortIsolated, isIsolated ? 1 : 0)
                }
            }
        }
    }

    /// Keeps the kernel from giving a link an IPv6 link-local address of its own when it goes up
    /// (`IN6_ADDR_GEN_MODE_NONE`).
    ///
    /// The kernel refuses this in the request that makes a link (`EAFNOSUPPORT`), so send it after that and before
    /// the link goes up, for each end of a veth pair from within its namespace.
    public static func disableAddressGeneration(link index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            try writer.nest(Ifla.familySpecific) { (writer) throws(WireError) in
                try writer.nest(UInt16(SocketFamily.inet6)) { (writer) throws(WireError) in
                    writer.putUInt8(Ifla.addressGenerationMode, 1)
                }
            }
        }
    }

    /// Sets a link up or down (`IFF_UP`).
    public static func setLink(_ index: UInt32, up: Bool, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index, flags: up ? 1 : 0, change: 1)
        }
    }

    /// Gives a link another hardware address.
    public static func setLink(_ index: UInt32, address: MACAddress, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            try writer.putBytes(Ifla.address, address.octets)
        }
    }

    /// Renames a link, which must be down.
    public static func setLink(_ index: UInt32, name: InterfaceName, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            try writer.putString(Ifla.name, name.rawValue)
        }
    }

    /// Deletes a link; of a veth pair, both ends.
    public static func deleteLink(_ index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.deleteLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
        }
    }

    /// Deletes a link by name; of a veth pair, both ends.
    public static func deleteLink(named name: InterfaceName, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.deleteLink, change, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader()
            try writer.putString(Ifla.name, name.rawValue)
        }
    }

    /// Asks for one link by name: the link, then an acknowledgement.
    public static func linkRequest(named name: InterfaceName, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getLink, NetlinkFlag.acknowledge, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader()
            try writer.putString(Ifla.name, name.rawValue)
            writer.putHost(Ifla.extensionMask, Ifla.skipStatistics)
        }
    }

    /// Asks for one link by index: the link, then an acknowledgement.
    public static func linkRequest(index: UInt32, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getLink, NetlinkFlag.acknowledge, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(index: index)
            writer.putHost(Ifla.extensionMask, Ifla.skipStatistics)
        }
    }

    /// Asks for all links.
    public static func linksRequest(sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getLink, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader()
            writer.putHost(Ifla.extensionMask, Ifla.skipStatistics)
        }
    }

    /// Asks for the ports of all bridges (`RTM_GETLINK` of the family `AF_BRIDGE`).
    ///
    /// The answers are links with index, name, flags, hardware address, packet size, bridge, and the other end's index.
    /// What kind of link it is, and in which namespace its other end is, the kernel does not say, nor look for.
    ///
    /// - Parameter sequence: The request's sequence number.
    /// - Returns: The message.
    /// - Throws: `WireError` if it cannot be built.
    public static func bridgePortsRequest(sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.getLink, NetlinkFlag.dump, sequence) { (writer) throws(WireError) in
            writer.appendLinkHeader(family: SocketFamily.bridge)
        }
    }
}

/// Attribute types of links (`IFLA_*` in `linux/if_link.h`).
enum Ifla {
    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    static let link: UInt16 = 5
    static let master: UInt16 = 10
    static let queueLength: UInt16 = 13
    static let operationalState: UInt16 = 16
    static let info: UInt16 = 18
    static let familySpecific: UInt16 = 26
    static let namespaceDescriptor: UInt16 = 28
    static let extensionMask: UInt16 = 29
    static let carrier: UInt16 = 33
    static let linkNamespace: UInt16 = 37
    /// `IFLA_INET6_ADDR_GEN_MODE`.
    static let addressGenerationMode: UInt16 = 8
    /// `IFLA_INFO_KIND`.
    static let infoKind: UInt16 = 1
    /// `IFLA_INFO_DATA`.
    static let infoData: UInt16 = 2
    /// `IFLA_INFO_SLAVE_KIND`.
    static let infoSlaveKind: UInt16 = 4
    /// `IFLA_INFO_SLAVE_DATA`.
    static let infoSlaveData: UInt16 = 5
    /// `IFLA_BRPORT_STATE`.
    static let bridgePortState: UInt16 = 1
    /// `IFLA_BRPORT_MODE`.
    static let bridgePortMode: UInt16 = 4
    /// `IFLA_BR_NF_CALL_IPTABLES`.
    static let bridgeCallsIptables: UInt16 = 36
    /// `IFLA_BR_NF_CALL_IP6TABLES`.
    static let bridgeCallsIp6tables: UInt16 = 37
    /// `IFLA_BR_NF_CALL_ARPTABLES`.
    static let bridgeCallsArptables: UInt16 = 38
    /// `IFLA_BRPORT_ISOLATED`
    static let bridgePortIsolated: UInt16 = 33
    /// `VETH_INFO_PEER` in `linux/veth.h`.
    static let vethPeer: UInt16 = 1
    /// `RTEXT_FILTER_SKIP_STATS` in `linux/rtnetlink.h`.
    static let skipStatistics: UInt32 = 8
}

extension NetlinkWriter {
    /// `struct ifinfomsg`: family, padding, type, index, flags, change mask.
    fileprivate mutating func appendLinkHeader(
        family: UInt8 = SocketFamily.unspecified, index: UInt32 = 0, flags: UInt32 = 0, change: UInt32 = 0
    ) {
        append([family, 0, 0, 0])
        appendHost(index)
        appendHost(flags)
        appendHost(change)
    }
}
