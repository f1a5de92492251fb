// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI
import EgretPolicy
import EgretShaping

extension Agent {
    /// The flows that the kernel has told of.
    public func flows(_ query: FlowQuery) -> FlowList { traffic.flows(query) }

    /// To read so many counters takes much memory for a while.
    static let manyCounters = 1_000

    /// Reads the kernel's counters, and keeps what they say.
    func readCounters() throws {
        try noteCounters()
        try trafficStore?.save(traffic)
    }

    /// Counts as of now; those of the last reading if the kernel cannot be asked.
    func clauseTraffic() -> [String: [ClauseTraffic]] {
        try? noteCounters()
        return traffic.clauses()
    }

    private func noteCounters() throws {
        let counters = try enforcement.counters()
        if counters.count >= Agent.manyCounters { hasWorked = true }
        traffic.note(counters)
    }
}

extension Agent {
    /// What endpoints' own rates have let pass and dropped, by the index of the link that each is known by; nothing if the kernel
    /// cannot be asked.
    func rates() -> [UInt32: [RateInfo]] {
        let counts = (try? enforcement.rateCounts()) ?? []
        return Dictionary(grouping: counts, by: \.link).mapValues { counts in
            counts.map { count in
                RateInfo(
                    direction: count.direction.rawValue, packets: count.packets, bytes: count.bytes,
                    dropped: count.dropped, waiting: count.waitingBytes)
            }.sorted { $0.direction < $1.direction }
        }
    }

    /// What the rates that endpoints share have let pass and dropped; nothing if the kernel cannot be asked.
    func sharedRates() -> [SharedRate] { (try? enforcement.sharedRates()) ?? [] }

    /// Keeps what was counted to the last.
    func keepCounts() {
        noting(traffic: "counters") { try readCounters() }
        countBudgets()
    }
}
