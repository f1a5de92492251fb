// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A link as the kernel reports it.
public struct LinkRecord: Hashable, Sendable {
    /// The index, unique in its namespace.
    public var index: UInt32
    /// The name.
    public var name: String
    /// `IFF_*`.
    public var flags: UInt32
    /// The hardware address, if it is an EUI-48.
    public var address: MACAddress?
    /// What made it, such as `veth`; `nil` for hardware and the loopback.
    public var kind: String?
    /// For a veth, the other end's index in its own namespace.
    public var peerIndex: UInt32?
    /// The kernel's number for the namespace that ``peerIndex`` is in; `nil` if it is the link's own.
    public var peerNamespaceID: Int32?
    /// The bridge or bond whose port it is.
    public var masterIndex: UInt32?
    /// In bytes.
    public var mtu: UInt32
    /// `IF_OPER_*`; 6 is up.
    public var operationalState: UInt8

    /// Of a bridge's port, what the bridge does with its frames: `BR_STATE_*`; 3 is forwarding.
    public var bridgePortState: UInt8?
    /// Of a bridge, whether what it passes on meets the rules for IP; `nil` if the kernel has no such switches.
    public var bridgeFilters: BridgeFilters?
    /// Of a bridge's port, whether the bridge keeps its frames from other isolated ports (`IFLA_BRPORT_ISOLATED`).
    public var isIsolatedPort: Bool?
    /// Whether the medium is there (`IFLA_CARRIER`): of a veth, whether the other end is up.
    public var hasCarrier: Bool?

    /// Creates a record.
    public init(
        index: UInt32,
        name: String,
        flags: UInt32 = 0,
        address: MACAddress? = nil,
        kind: String? = nil,
        peerIndex: UInt32? = nil,
        peerNamespaceID: Int32? = nil,
        masterIndex: UInt32? = nil,
        mtu: UInt32 = 0,
        operationalState: UInt8 = 0
    ) {
        self.index = index
        self.name = name
        self.flags = flags
        self.address = address
        self.kind = kind
        self.peerIndex = peerIndex
        self.peerNamespaceID = peerNamespaceID
        self.masterIndex = masterIndex
        self.mtu = mtu
        self.operationalState = operationalState
    }

    /// Whether it is administratively up (`IFF_UP`).
    public var isUp: Bool { flags & 1 != 0 }
}

/// A bridge's own switches for the rules that frames meet which it passes on, beside those for all bridges
/// (`net.bridge.bridge-nf-call-*`). Frames meet them if either switch is on and br_netfilter is there.
public struct BridgeFilters: Hashable, Sendable {
    /// IPv4 meets the rules for routed packets (`IFLA_BR_NF_CALL_IPTABLES`).
    public var ipv4: Bool
    /// IPv6 (`IFLA_BR_NF_CALL_IP6TABLES`).
    public var ipv6: Bool
    /// ARP meets those for the host's own (`IFLA_BR_NF_CALL_ARPTABLES`).
    public var arp: Bool

    /// Notes the positions of the switches.
    public init(ipv4: Bool, ipv6: Bool, arp: Bool) {
        (self.ipv4, self.ipv6, self.arp) = (ipv4, ipv6, arp)
    }

    init?(_ data: [NetlinkAttribute]) throws(WireError) {
        func position(_ type: UInt16) throws(WireError) -> Bool {
            guard let attribute = data.first(where: { $0.type == type }) else { return false }
            return try attribute.uint8() != 0
        }
        guard data.contains(where: { $0.type == Ifla.bridgeCallsIptables }) else { return nil }
        self.init(
            ipv4: try position(Ifla.bridgeCallsIptables),
            ipv6: try position(Ifla.bridgeCallsIp6tables),
            arp: try position(Ifla.bridgeCallsArptables)
        )
    }
}

extension RouteWire {
    /// Decodes `RTM_NEWLINK` or `RTM_DELLINK`.
    public static func decodeLink(_ message: NetlinkMessage) throws(WireError) -> LinkRecord {
        guard message.type == RouteMessage.newLink || message.type == RouteMessage.deleteLink else {
            throw WireError(.badValue, "message type \(message.type) is not a link")
        }
        var (header, attributes) = try message.headerAndAttributes(16, "link header")
        _ = try header.readHost(UInt32.self, "link header")
        let index = try header.readHost(UInt32.self, "link header")
        let flags = try header.readHost(UInt32.self, "link header")
        var name: String?
        var record = LinkRecord(index: index, name: "", flags: flags, mtu: 0, operationalState: 0)
        for attribute in attributes {
            switch attribute.type {
            case Ifla.name: name = attribute.string()
            case Ifla.address: record.address = MACAddress(networkBytes: attribute.payload)
            case Ifla.mtu: record.mtu = try attribute.host(UInt32.self)
            case Ifla.master: record.masterIndex = try attribute.host(UInt32.self)
            case Ifla.link: record.peerIndex = try attribute.host(UInt32.self)
            case Ifla.linkNamespace: record.peerNamespaceID = try attribute.host(Int32.self)
            case Ifla.operationalState: record.operationalState = try attribute.uint8()
            case Ifla.carrier: record.hasCarrier = try attribute.uint8() != 0
            case Ifla.info: try decodeInformation(attribute, into: &record)
            default: break
            }
        }
        guard let name else { throw WireError(.missing, "link name") }
        record.name = name
        return record
    }

    /// The index of the link that an event is about; `nil` if it is about something else.
    ///
    /// Of a link's event nothing else can be relied on: what bridges and wireless drivers send has not all attributes, and
    /// `RTM_DELLINK` of a bridge is about a port that is a port no more.
    public static func link(ofEvent message: NetlinkMessage) throws(WireError) -> UInt32? {
        guard message.type == RouteMessage.newLink || message.type == RouteMessage.deleteLink else { return nil }
        var reader = ByteReader(message.payload)
        _ = try reader.readHost(UInt32.self, "link header")
        return try reader.readHost(UInt32.self, "link header")
    }

    /// Decodes `IFLA_LINKINFO`: what the link is, and what it is as a port of another.
    private static func decodeInformation(_ information: NetlinkAttribute, into record: inout LinkRecord)
        throws(WireError)
    {
        let parts = try information.attributes()
        record.kind = parts.first { $0.type == Ifla.infoKind }?.string()
        if record.kind == "bridge", let bridge = parts.first(where: { $0.type == Ifla.infoData }) {
            record.bridgeFilters = try BridgeFilters(bridge.attributes())
        }
        guard parts.first(where: { $0.type == Ifla.infoSlaveKind })?.string() == "bridge",
            let port = parts.first(where: { $0.type == Ifla.infoSlaveData })
        else { return }
        for attribute in try port.attributes() {
            switch attribute.type {
            case Ifla.bridgePortState: record.bridgePortState = try attribute.uint8()
            case Ifla.bridgePortIsolated: record.isIsolatedPort = try attribute.uint8() != 0
            default: break
            }
        }
    }
}
