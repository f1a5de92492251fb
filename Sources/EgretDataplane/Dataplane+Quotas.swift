// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// What a quota is, and how much of it is used.
public struct QuotaValue: Hashable, Sendable {
    /// How many bytes pass before it is used up.
    public var bytes: UInt64
    /// How many of them are used; all of them, whatever has come by since, if it is used up.
    public var used: UInt64

    /// Creates a value.
    public init(bytes: UInt64, used: UInt64) {
        self.bytes = bytes
        self.used = used
    }

    /// How many bytes are left.
    public var left: UInt64 { bytes > used ? bytes - used : 0 }
}

extension Dataplane {
    /// What a table's counters and quotas show, read at once.
    ///
    /// - Parameter table: The table.
    /// - Returns: Its counters and quotas by name, and the number that the kernel gave the table when it was made, which it
    ///   gives no other; `nil` if it is not there.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func meters(
        in table: Table
    ) throws(NetlinkError) -> (handle: UInt64, counters: [String: CounterValue], quotas: [String: QuotaValue])? {
        guard let record = try tableRecords().first(where: { $0.table == table }) else { return nil }
        var counters: [String: CounterValue] = [:]
        var quotas: [String: QuotaValue] = [:]
        for record in try objects(in: table) {
            switch record.kind {
            case .counter(let packets, let bytes): counters[record.name] = CounterValue(packets: packets, bytes: bytes)
            case .quota(let bytes, let used, _): quotas[record.name] = QuotaValue(bytes: bytes, used: used)
            case .limit, .other: continue
            }
        }
        return (record.handle, counters, quotas)
    }
}
