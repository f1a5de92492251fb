// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire

extension NetlinkConnection {
    /// A connection that hears what rules log to a group of nfnetlink_log.
    ///
    /// - Parameters:
    ///   - group: The group.
    ///   - copyRange: How many bytes of each packet are copied; a rule may want fewer. The kernel copies 65,531 at most.
    ///   - receiveBuffer: How many bytes of copies may wait to be read.
    /// - Returns: The connection, for ``pendingEvents(upTo:)``.
    /// - Throws: ``NetlinkError`` if the kernel refuses: `EBUSY` if somebody else hears the group.
    public static func packetLog(
        group: UInt16, copyRange: UInt32 = 128, receiveBuffer: Int
    ) throws(NetlinkError) -> NetlinkConnection {
        let logs = try netfilterEvents(receiveBuffer: receiveBuffer)
        try logs.request("take log group \(group)") { sequence throws(WireError) in
            try PacketLogWire.bindRequest(group: group, sequence: sequence)
        }
        try logs.request("configure log group \(group)") { sequence throws(WireError) in
            try PacketLogWire.configureRequest(
                group: group, copyRange: copyRange, queueThreshold: 1, sequence: sequence)
        }
        return logs
    }
}
