// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretCompiler
import EgretPolicy

extension PriceList {
    private static let kind = "PriceList/"

    /// What its usage is kept under, in the place of a policy's name, which has no slash.
    var account: String { PriceList.kind + name }

    /// The name of the list whose usage is kept under this; `nil` for a policy's.
    static func name(ofAccount policy: String) -> String? {
        policy.hasPrefix(kind) ? String(policy.dropFirst(kind.count)) : nil
    }

    /// The month of prices, as a budget's period.
    var period: BudgetPeriod { BudgetPeriod(.month, zone: zone) }

    /// An entry, as a budget that only counts, for each endpoint.
    func budget(_ entry: Entry) -> TrafficBudget {
        TrafficBudget(
            name: entry.name, destinations: entry.destinations, domains: entry.domains, services: entry.services,
            direction: entry.direction, period: period, location: entry.location)
    }
}

extension BudgetAccount {
    /// Whether it is a price list's: it counts, and is no budget.
    var isOfPriceList: Bool { PriceList.name(ofAccount: policy) != nil }
}

extension EndpointBudget {
    /// What price lists count of every endpoint's traffic. A group whose list has not come matches nothing.
    static func all(of lists: [PriceList], groups: [DestinationGroup]) -> [EndpointBudget] {
        if lists.isEmpty { return [] }
        let groups = Dictionary(
            groups.filter(\.isLoaded).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return lists.flatMap { list in
            let isInOrder = list.mustBeAskedInOrder(groups)
            return list.entries.enumerated().map { index, entry -> EndpointBudget in
                let clause =
                    isInOrder
                    ? BudgetPlan.Clause(entry, of: list.account, groups: groups)
                    : BudgetPlan.Clause(entry, after: Array(list.entries[..<index]), groups: groups)
                return EndpointBudget(
                    policy: list.account, budget: list.budget(entry), isEnforced: false, clause: clause)
            }
        }
    }
}

/// What usage costs by price lists: by the month, for all endpoints together.
struct PricedUsage {
    /// An entry's traffic in a month.
    private struct Place: Hashable {
        var name: BudgetName
        var month: CivilDate

        init(_ key: UsageKey) {
            name = BudgetName(policy: key.policy, budget: key.budget)
            month = PriceList.month(of: CivilDate(dayNumber: key.day))
        }

        init(_ list: PriceList, _ entry: PriceList.Entry, _ month: CivilDate) {
            name = BudgetName(policy: list.account, budget: entry.name)
            self.month = month
        }
    }

    private let usage: [UsageKey: TrafficAmount]
    private let lists: [PriceList]
    private let months: [Place: [UsageKey]]

    /// Takes usage, of whole months if what it costs is to be right.
    init(_ usage: [UsageKey: TrafficAmount], _ lists: [PriceList]) {
        self.usage = usage
        self.lists = lists
        months = Dictionary(grouping: lists.isEmpty ? [] : Array(usage.keys)) { Place($0) }
    }

    /// What each part of usage costs, in millionths; together exactly what months cost.
    func costs() -> [UsageKey: (micros: UInt64, currency: String)] {
        var costs: [UsageKey: (micros: UInt64, currency: String)] = [:]
        let entries = Dictionary(
            lists.flatMap { list -> [(BudgetName, (PriceList.Entry, String))] in
                list.entries.map { (BudgetName(policy: list.account, budget: $0.name), ($0, list.currency)) }
            },
            uniquingKeysWith: { first, _ in first })
        for (place, keys) in months {
            guard let (entry, currency) = entries[place.name] else { continue }
            let days = Dictionary(grouping: keys, by: \.day).sorted { $0.key < $1.key }.map { day in
                day.value.sorted { $0.endpoint < $1.endpoint }
            }
            let shares = entry.shares(of: days.map { day in day.map { usage[$0]?.bytes ?? 0 } })
            for (keys, shares) in zip(days, shares) {
                for (key, share) in zip(keys, shares) { costs[key] = (micros: share, currency: currency) }
            }
        }
        return costs
    }

    /// What the months that a moment is in have come to, and what they will.
    ///
    /// - Parameters:
    ///   - time: The moment.
    ///   - firstDays: The days on which lists first counted anything, by their names: of days before, nothing is known.
    /// - Returns: One for each price, in the order of the lists.
    func present(at time: Int64, firstDays: [String: Int64] = [:]) -> [CostInfo] {
        lists.flatMap { list -> [CostInfo] in
            let period = list.period
            let begin = firstDays[list.name].map { period.zone.firstMoment(ofLocalTime: $0 * 86_400) } ?? 0
            let month = PriceList.month(of: period.day(at: time))
            return list.entries.map { entry in
                let keys = months[Place(list, entry, month)] ?? []
                let used = keys.reduce(into: TrafficAmount()) { $0 += usage[$1] ?? TrafficAmount() }.bytes
                let forecast = period.forecast(of: used, at: time, since: begin)
                return CostInfo(
                    priceList: list.name, destination: entry.name, used: used, free: entry.free?.bytes,
                    cost: entry.micros(of: used), currency: list.currency,
                    ends: Int(period.stretch(at: time).upperBound), forecast: forecast,
                    costForecast: entry.micros(of: forecast))
            }
        }
    }
}
