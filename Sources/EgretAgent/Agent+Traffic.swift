// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAgentAPI

extension Agent {
    /// The flows that the kernel has told of.
    public func flows(_ query: FlowQuery) -> FlowList { traffic.flows(query) }

    /// Reads the kernel's counters, and keeps what they say.
    func readCounters() throws {
        traffic.note(try enforcement.counters())
        try trafficStore?.save(traffic)
    }

    /// Counts as of now; those of the last reading if the kernel cannot be asked.
    func clauseTraffic() -> [String: [ClauseTraffic]] {
        if let counters = try? enforcement.counters() { traffic.note(counters) }
        return traffic.clauses()
    }
}

extension Agent {
    /// Keeps what was counted to the last.
    func keepCounts() {
        noting(traffic: "counters") { try readCounters() }
        countBudgets()
    }
}
