// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What will have been used at the end of the period around a moment, for whatever was used until then: the period's times are looked
/// at once.
public struct BudgetForecast: Sendable {
    private let stretch: Range<Int64>
    private let time: Int64
    /// The times of the period at which anything is used, in order, each with what is open before it; `nil` for all.
    private let windows: [(range: Range<Int64>, before: Int64)]?

    /// Looks at a period.
    ///
    /// - Parameters:
    ///   - period: The period.
    ///   - time: Now.
    ///   - schedule: The times at which anything is used; `nil` for all.
    /// - Complexity: O(*d*) in the days of the period if there is a schedule with days or hours; otherwise O(1).
    public init(_ period: BudgetPeriod, at time: Int64, during schedule: Schedule? = nil) {
        let stretch = period.stretch(at: time)
        self.stretch = stretch
        self.time = time
        guard let schedule else {
            windows = nil
            return
        }
        var found: [(range: Range<Int64>, before: Int64)] = []
        var sum: Int64 = 0
        for range in schedule.windows(from: stretch.lowerBound, through: stretch.upperBound - 1) {
            found.append((range: range, before: sum))
            sum += Int64(range.count)
        }
        windows = found
    }

    /// What will have been used at the period's end if it goes on as it did until now.
    ///
    /// - Parameters:
    ///   - used: What is used so far.
    ///   - begin: When counting began: of what came before in the period, nothing is known. One that is still to come is none.
    /// - Returns: As many of whatever is used; those used so far where no time has gone.
    /// - Complexity: O(log *w*) in the times of the period at which anything is used.
    public func amount(of used: UInt64, since begin: Int64 = 0) -> UInt64 {
        let first = begin <= time ? max(stretch.lowerBound, begin) : stretch.lowerBound
        // In the first minute there is nothing to go by.
        let gone = UInt64(clamping: max(60, open(before: time) - open(before: first)))
        let whole = UInt64(clamping: open(before: stretch.upperBound) - open(before: first))
        let (high, low) = used.multipliedFullWidth(by: max(whole, gone))
        return high < gone ? gone.dividingFullWidth((high, low)).quotient : .max
    }

    /// How many seconds from the period's beginning to a moment of it anything is used in.
    private func open(before moment: Int64) -> Int64 {
        guard let windows else { return moment - stretch.lowerBound }
        var (low, high) = (0, windows.count)
        while low < high {
            let middle = (low + high) / 2
            if windows[middle].range.lowerBound < moment { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return 0 }
        let last = windows[low - 1]
        return last.before + min(moment, last.range.upperBound) - last.range.lowerBound
    }
}
