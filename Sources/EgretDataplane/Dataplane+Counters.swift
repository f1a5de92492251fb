// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

extension Dataplane {
    /// From so many counters on, asking for all of a table costs less than asking for each.
    private static let fewCounters = 256

    /// What some of a table's named counters have counted, by name. Those that are not there are passed over.
    ///
    /// - Parameters:
    ///   - names: Which.
    ///   - table: Their table.
    /// - Returns: At least these, where they are.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    /// - Complexity: O(*n*) requests of the kernel for few names, one that goes over all of the table's for many.
    public func counters(named names: [String], in table: Table) throws(NetlinkError) -> [String: CounterValue] {
        if names.isEmpty { return [:] }
        if names.count > Dataplane.fewCounters { return try counters(in: table) }
        var values: [String: CounterValue] = [:]
        for name in names {
            do throws(NetlinkError) {
                let message = try connection.get("read the counter \(name)") { sequence throws(WireError) in
                    try NftablesWire.objectRequest(name, .counter, in: table, sequence: sequence)
                }
                if let record = try? NftablesWire.decodeObject(message),
                    case .counter(let packets, let bytes) = record.kind
                {
                    values[name] = CounterValue(packets: packets, bytes: bytes)
                }
            } catch {
                if error.code != .notFound { throw error }
            }
        }
        return values
    }
}
