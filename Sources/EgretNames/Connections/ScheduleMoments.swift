// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Synchronization

/// When any of some rules begins or ceases to hold: each such moment is worked out once, however many connections ask.
final class ScheduleMoments: Sendable {
    /// So many are remembered.
    private static let most = 256

    private let schedules: [Schedule]
    /// The next moment, by the one behind which it comes.
    private let known = Mutex<[Int64: Int64?]>([:])

    /// Looks at the rules of policies.
    init(_ policies: PolicySet) { schedules = Array(policies.policies.schedules) }

    /// The first such moment after a time.
    ///
    /// - Parameter moment: The time, in seconds since 1970.
    /// - Returns: The moment; `nil` if nothing changes any more.
    func next(after moment: Int64) -> Int64? {
        if let next = known.withLock({ $0[moment] }) { return next }
        let next = schedules.compactMap { $0.nextChange(after: moment) }.min()
        known.withLock { moments in
            if moments.count >= ScheduleMoments.most { moments = [:] }
            moments.updateValue(next, forKey: moment)
        }
        return next
    }
}
