// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables
import EgretPolicy

extension BudgetPlan {
    /// The sets of the times at which budgets count, in the order of their names.
    ///
    /// - Parameter horizon: The first and last second, since 1970, for which they are worked out.
    /// - Returns: As they are in the program of a plan with this horizon; none where all budgets always count.
    public func times(within horizon: ClosedRange<Int64>) -> [EgretNftables.Set] {
        let schedules = Swift.Set(members.flatMap(\.meters).compactMap(\.clause.schedule))
        var sets: [String: EgretNftables.Set] = [:]
        for schedule in schedules {
            let set = schedule.timesOfHolding(within: horizon)
            sets[set.name] = set
        }
        return sets.values.sorted { $0.name < $1.name }
    }
}

extension TableProgram {
    /// Gives sets of times what others of their names hold.
    public mutating func setTimes(_ times: [EgretNftables.Set]) {
        for set in times {
            guard let place = sets.firstIndex(where: { $0.name == set.name }) else { continue }
            sets[place].contents = set.contents
        }
    }
}
