// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// The moments at which rules began or ceased to hold while an endpoint was obeying them: at each other moment since the
/// beginning, the same rules held as at one of these.
struct RuleTimes: Sendable {
    private let schedules: Set<Schedule>
    /// Rising.
    private var moments: [Int64]
    /// Until when they are known.
    private var last: Int64

    /// So many are asked about, the latest.
    static let limit = 128

    /// Begins.
    ///
    /// - Parameters:
    ///   - policies: The policies.
    ///   - start: Since when they are obeyed, in seconds since 1970.
    init(_ policies: PolicySet, since start: Int64) {
        schedules = policies.policies.schedules
        moments = [start]
        last = start
    }

    /// The moments until now, the latest first: now itself, and then those at which something changed.
    mutating func moments(until now: Int64) -> [Int64] {
        if now > last {
            moments = Array((moments + schedules.changes(after: last, through: now)).suffix(RuleTimes.limit))
            last = now
        }
        return [now] + moments.reversed()
    }
}
