// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What connection tracking of a network namespace has counted on one processor, as far as it is about connections that
/// were refused.
public struct ConntrackStatistics: Hashable, Sendable {
    /// Connections that could not be entered: another has the same addresses and ports after translation.
    public var insertFailed: UInt32
    /// Packets that were dropped because their connection could not be entered, or had no room.
    public var dropped: UInt32

    /// Creates statistics.
    public init(insertFailed: UInt32 = 0, dropped: UInt32 = 0) {
        (self.insertFailed, self.dropped) = (insertFailed, dropped)
    }
}

extension ConntrackWire {
    /// Asks for the statistics: a message for each processor (`IPCTNL_MSG_CT_GET_STATS_CPU`).
    public static func statisticsRequest(sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(getStatistics, NetlinkFlag.dump, SocketFamily.unspecified, sequence) { (_) throws(WireError) in }
    }

    /// Decodes the statistics of one processor (`enum ctattr_stats_cpu`).
    public static func decodeStatistics(_ message: NetlinkMessage) throws(WireError) -> ConntrackStatistics {
        let (_, attributes) = try message.nfnetlink(NfnetlinkSubsystem.conntrack, "conntrack statistics")
        guard message.type & 0xff == getStatistics else {
            throw WireError(.badValue, "message type \(message.type) is not statistics")
        }
        var statistics = ConntrackStatistics()
        for attribute in attributes {
            switch attribute.type {
            case 9: statistics.insertFailed = try attribute.bigEndian(UInt32.self)
            case 10: statistics.dropped = try attribute.bigEndian(UInt32.self)
            default: break
            }
        }
        return statistics
    }

    private static let getStatistics: UInt16 = 4
}
