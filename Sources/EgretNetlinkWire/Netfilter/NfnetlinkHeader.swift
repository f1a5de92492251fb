// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The header that every nfnetlink message begins with: `struct nfgenmsg` in `linux/netfilter/nfnetlink.h`.
///
/// ```
///  +--------+---------+----------------------+
///  | family | version | resource, big endian |
///  +--------+---------+----------------------+
/// ```
public struct NfnetlinkHeader: Hashable, Sendable {
    /// `NFPROTO_*`.
    public var family: UInt8
    /// `NFNETLINK_V0`.
    public var version: UInt8
    /// The subsystem, for batches; the group, for logs; the low bits of the generation, in answers of nf_tables.
    public var resource: UInt16

    static let size = 4

    init(family: UInt8, resource: UInt16 = 0) {
        self.family = family
        version = 0
        self.resource = resource
    }

    init(_ reader: ByteReader) throws(WireError) {
        var reader = reader
        family = try reader.readUInt8("nfnetlink header")
        version = try reader.readUInt8("nfnetlink header")
        resource = try reader.readBigEndian(UInt16.self, "nfnetlink header")
    }
}

/// nfnetlink's subsystems, the high byte of a message type (`linux/netfilter/nfnetlink.h`).
enum NfnetlinkSubsystem {
    /// `NFNL_SUBSYS_CTNETLINK`.
    static let conntrack: UInt16 = 1
    /// `NFNL_SUBSYS_ULOG`.
    static let log: UInt16 = 4
    /// `NFNL_SUBSYS_NFTABLES`.
    static let nftables: UInt16 = 10
}

/// nfnetlink's multicast groups (`enum nfnetlink_groups`).
public enum NfnetlinkGroup {
    /// `NFNLGRP_CONNTRACK_NEW`.
    public static let conntrackNew: UInt32 = 1
    /// `NFNLGRP_CONNTRACK_UPDATE`.
    public static let conntrackUpdate: UInt32 = 2
    /// `NFNLGRP_CONNTRACK_DESTROY`.
    public static let conntrackDestroy: UInt32 = 3
    /// `NFNLGRP_NFTABLES`.
    public static let nftables: UInt32 = 7
    /// `NFNLGRP_NFTRACE`.
    public static let nftablesTrace: UInt32 = 9
}

extension NetlinkWriter {
    /// Appends an nfnetlink message.
    mutating func nfnetlinkMessage(
        type: UInt16,
        flags: UInt16,
        sequence: UInt32,
        header: NfnetlinkHeader,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void = { (_) throws(WireError) in }
    ) throws(WireError) {
        let start = openNfnetlinkMessage(type: type, flags: flags, sequence: sequence, header: header)
        try body(&self)
        try closeMessage(start)
    }

    /// Begins an nfnetlink message and returns its place.
    mutating func openNfnetlinkMessage(
        type: UInt16,
        flags: UInt16,
        sequence: UInt32,
        header: NfnetlinkHeader
    ) -> Int {
        let start = openMessage(type: type, flags: flags | NetlinkFlag.request, sequence: sequence)
        append([header.family, header.version])
        appendBigEndian(header.resource)
        return start
    }
}

extension NetlinkMessage {
    /// The nfnetlink header and the attributes after it, of a message of one subsystem.
    func nfnetlink(_ subsystem: UInt16, _ context: String) throws(WireError) -> (NfnetlinkHeader, [NetlinkAttribute]) {
        guard type >> 8 == subsystem else {
            throw WireError(.badValue, "message type \(type) is not of nfnetlink subsystem \(subsystem)")
        }
        let (reader, attributes) = try headerAndAttributes(NfnetlinkHeader.size, context)
        return (try NfnetlinkHeader(reader), attributes)
    }
}
