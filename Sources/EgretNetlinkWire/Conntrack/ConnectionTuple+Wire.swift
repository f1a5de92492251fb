// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension ConnectionTuple {
    /// Appends `CTA_TUPLE_IP` and `CTA_TUPLE_PROTO`.
    func encode(into writer: inout NetlinkWriter) throws(WireError) {
        let isIPv4 = source.family == .ipv4
        try writer.nest(1) { (writer) throws(WireError) in
            try writer.putBytes(isIPv4 ? 1 : 3, source.networkBytes)
            try writer.putBytes(isIPv4 ? 2 : 4, destination.networkBytes)
        }
        try writer.nest(2) { (writer) throws(WireError) in
            writer.putUInt8(1, transport.rawValue)
            if let sourcePort { writer.putBigEndian(2, sourcePort) }
            if let destinationPort { writer.putBigEndian(3, destinationPort) }
            let icmp: UInt16 = transport == .icmpv6 ? 7 : 4
            if let icmpIdentifier { writer.putBigEndian(icmp, icmpIdentifier) }
            if let icmpType { writer.putUInt8(icmp + 1, icmpType) }
            if let icmpCode { writer.putUInt8(icmp + 2, icmpCode) }
        }
    }

    /// Decodes the payload of `CTA_TUPLE_ORIG` or `CTA_TUPLE_REPLY`.
    init(_ payload: ArraySlice<UInt8>) throws(WireError) {
        let parts = try NetlinkAttribute.parse(payload)
        guard let addresses = try parts.first(where: { $0.type == 1 })?.attributes(),
            let transport = try parts.first(where: { $0.type == 2 })?.attributes(),
            let source = addresses.first(where: { $0.type == 1 || $0.type == 3 }),
            let destination = addresses.first(where: { $0.type == 2 || $0.type == 4 }),
            let number = try transport.first(where: { $0.type == 1 })?.uint8()
        else { throw WireError(.missing, "connection tuple") }
        self.init(
            source: try IPAddress(networkBytes: source.payload),
            destination: try IPAddress(networkBytes: destination.payload),
            transport: IPProtocol(rawValue: number)
        )
        for attribute in transport {
            switch attribute.type {
            case 2: sourcePort = try attribute.bigEndian(UInt16.self)
            case 3: destinationPort = try attribute.bigEndian(UInt16.self)
            case 4, 7: icmpIdentifier = try attribute.bigEndian(UInt16.self)
            case 5, 8: icmpType = try attribute.uint8()
            case 6, 9: icmpCode = try attribute.uint8()
            default: break
            }
        }
    }
}

extension ConnectionCounters {
    /// Decodes the payload of `CTA_COUNTERS_ORIG` or `CTA_COUNTERS_REPLY`.
    init(_ payload: ArraySlice<UInt8>) throws(WireError) {
        var counters = ConnectionCounters(packets: 0, bytes: 0)
        try NetlinkAttribute.forEach(in: payload) { (attribute) throws(WireError) in
            switch attribute.type {
            case 1: counters.packets = try attribute.bigEndian(UInt64.self)
            case 2: counters.bytes = try attribute.bigEndian(UInt64.self)
            default: break
            }
        }
        self = counters
    }
}
