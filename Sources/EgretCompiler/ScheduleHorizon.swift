// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// For which times the kernel is given the windows of schedules: some days ahead, and others in their place when half of
/// these are over.
public enum ScheduleHorizon {
    /// For so many seconds the kernel is given the times of rules ahead.
    public static let aheadSeconds: Int64 = 14 * 86_400
    /// And for so many back: clocks are set.
    public static let formerSeconds: Int64 = 3_600

    /// The first and last second, since 1970, for which times are worked out at a moment.
    public static func seconds(at time: Int64) -> ClosedRange<Int64> {
        time - formerSeconds...time + aheadSeconds
    }

    /// Whether times are to be worked out anew: half of them is over, or somebody has set the clock.
    ///
    /// - Parameters:
    ///   - seconds: The first and last second for which they were worked out.
    ///   - time: Now, in seconds since 1970.
    /// - Returns: `true` if ``seconds(at:)`` is to take their place.
    public static func isDue(_ seconds: ClosedRange<Int64>, at time: Int64) -> Bool {
        !seconds.contains(time) || seconds.upperBound - time <= aheadSeconds / 2
    }

    /// Whether times are to be worked out anew that ``seconds(at:)`` has bounded before.
    ///
    /// - Parameters:
    ///   - last: The last second for which they were worked out.
    ///   - time: Now, in seconds since 1970.
    /// - Returns: As ``isDue(_:at:)``.
    public static func isDue(until last: Int64, at time: Int64) -> Bool {
        isDue(last - aheadSeconds - formerSeconds...last, at: time)
    }
}
