// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlink
import EgretNetlinkWire

extension NetlinkConnection {
    /// A connection that hears what rules log to a group of nfnetlink_log; `EBUSY` if somebody else hears it.
    static func packetLog(group: UInt16, receiveBuffer: Int) throws(NetlinkError) -> NetlinkConnection {
        let logs = try netfilterEvents(receiveBuffer: receiveBuffer)
        try logs.request("take log group \(group)") { sequence throws(WireError) in
            try PacketLogWire.bindRequest(group: group, sequence: sequence)
        }
        try logs.request("configure log group \(group)") { sequence throws(WireError) in
            try PacketLogWire.configureRequest(group: group, copyRange: 128, queueThreshold: 1, sequence: sequence)
        }
        return logs
    }
}
