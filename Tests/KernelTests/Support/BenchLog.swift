// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetlink
import EgretNetlinkWire

/// What the rules of a bench's policies log.
final class BenchLog {
    private let records: NetlinkConnection

    init(_ bench: KernelBench) throws {
        records = try bench.host.onOwnThread { try NetlinkConnection.netfilterEvents(receiveBuffer: 4 << 20) }
        try records.request("take the policies' log group") { sequence throws(WireError) in
            try PacketLogWire.bindRequest(group: KernelBench.logGroup, sequence: sequence)
        }
        try records.request("configure the policies' log group") { sequence throws(WireError) in
            try PacketLogWire.configureRequest(
                group: KernelBench.logGroup, copyRange: 2_048, queueThreshold: 1, sequence: sequence)
        }
    }

    /// The prefixes of the records since the last call, by the tag of their packet.
    func drain() throws -> [[UInt8]: [String]] {
        var found: [[UInt8]: [String]] = [:]
        for message in try records.pendingEvents().messages {
            guard let record = try? PacketLogWire.decode(message), let tag = record.payload.tag else { continue }
            found[tag, default: []].append(record.prefix)
        }
        return found
    }
}
