// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Says whether rules have begun or ceased to hold since somebody last asked: between such moments nothing that was let through
/// needs to be judged again. Once a minute it says so in any case: somebody may have set the clock forth and back.
public struct ScheduleChanges: Sendable {
    private let schedules: Swift.Set<Schedule>
    /// The seconds, since 1970, in which the same rules hold.
    private var same: Range<Int64>?

    /// After so many seconds it is said in any case.
    private static let longest: Int64 = 60

    /// Begins; the first answer is that there was a change.
    ///
    /// - Parameter policies: The policies whose rules have times.
    public init(of policies: PolicySet) {
        schedules = policies.policies.schedules
    }

    /// Asks.
    ///
    /// - Parameter now: The time, in seconds since 1970.
    /// - Returns: `false` if the same rules hold as when it last was `true`, less than a minute ago.
    public mutating func haveHappened(by now: Int64) -> Bool {
        if let same, same.contains(now) { return false }
        let next = schedules.compactMap { $0.nextChange(after: now) }.min() ?? .max
        same = now..<max(now + 1, min(next, now + ScheduleChanges.longest))
        return true
    }
}
