// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy

/// From when on usage is asked for.
enum UsageStart: Hashable, Sendable {
    /// A whole day by the clocks of each budget's zone.
    case day(CivilDate)
    /// A whole hour, in hours since 1970-01-01T00:00Z.
    case hour(Int64)

    /// Reads what a query says.
    ///
    /// - Parameters:
    ///   - text: `2026-11-01`, or seconds since 1970-01-01T00:00Z.
    ///   - time: Now.
    /// - Throws: `APIError` for any other text, and for hours that are not kept any more.
    init(_ text: String, at time: Int64) throws(APIError) {
        if let date = CivilDate(text) {
            self = .day(date)
            return
        }
        guard let moment = Int64(text), moment >= 0 else {
            throw APIError(
                "invalid", "“\(text)” is neither a day nor a moment",
                advice: "write a day, as 2026-11-01, or seconds since 1970-01-01T00:00Z")
        }
        guard moment / 3_600 >= time / 3_600 - BudgetBook.hours else {
            let day = CivilDate(dayNumber: moment / 86_400)
            throw APIError(
                "invalid", "usage is kept by the hour for \(BudgetBook.hours) hours, and by whole days for longer",
                advice: "write the first day: \(day)")
        }
        self = .hour(moment / 3_600)
    }
}
