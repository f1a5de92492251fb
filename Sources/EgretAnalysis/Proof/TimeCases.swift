// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Moments that stand for all time: at every other moment the same rules hold as at one of these.
public enum TimeCases {
    /// How far weekly hours are followed: through every daylight-saving change of a year, and some days more.
    static let horizon: Int64 = 400 * 86_400

    /// Finds the moments.
    ///
    /// - Parameters:
    ///   - catalog: The policies.
    ///   - first: Where time begins, in seconds since 1970-01-01T00:00Z: what was before is of no interest.
    /// - Returns: A moment for each distinct choice of rules that hold together at some time from `first` on, the
    ///   earliest each, rising; `nil` alone if no rule depends on the time. Weekly hours are followed for 400 days, and for
    ///   400 days around every date that a rule names.
    public static func moments(of catalog: PolicyCatalog, from first: Int64) -> [Int64?] {
        moments(of: catalog.egressPolicies, from: first)
    }

    /// Finds the moments of policies; ``moments(of:from:)`` of a catalog says which these are.
    ///
    /// - Parameters:
    ///   - policies: The policies.
    ///   - first: Where time begins, in seconds since 1970-01-01T00:00Z.
    /// - Returns: The moments, rising; `nil` alone if no rule depends on the time.
    public static func moments(of policies: [EgressPolicy], from first: Int64) -> [Int64?] {
        let schedules = Array(policies.schedules)
        if schedules.isEmpty { return [nil] }
        var seen: Set<[Bool]> = []
        var moments: [Int64] = []
        for span in spans(schedules, from: first) {
            let times = [span.lowerBound] + schedules.changes(after: span.lowerBound, through: span.upperBound)
            for moment in times where seen.insert(schedules.map { $0.isOpen(at: moment) }).inserted {
                moments.append(moment)
            }
        }
        return moments
    }

    /// Times to be followed: from the first moment, and from and to every date that a schedule names.
    private static func spans(_ schedules: [Schedule], from first: Int64) -> [ClosedRange<Int64>] {
        var ends = [first]
        for schedule in schedules {
            if schedule.from != nil { ends.append(schedule.bounds.lowerBound) }
            if schedule.until != nil { ends.append(schedule.bounds.upperBound) }
        }
        var spans: [ClosedRange<Int64>] = []
        for end in ends.filter({ $0 >= first }).sorted() {
            let span = max(first, end - horizon)...(end + horizon)
            if let last = spans.last, last.upperBound >= span.lowerBound {
                spans[spans.count - 1] = last.lowerBound...span.upperBound
            } else {
                spans.append(span)
            }
        }
        return spans
    }
}
