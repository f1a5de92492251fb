// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

extension RandomPolicies {
    /// Times at which clocks change somewhere, a leap day, the end of a year, and a day on which nothing happens.
    private static let occasions: [Int64] = [
        1_774_746_000,  // 2026-03-29T01:00Z
        1_792_890_000,  // 2026-10-25T01:00Z
        1_772_953_200,  // 2026-03-08T07:00Z
        1_793_512_800,  // 2026-11-01T06:00Z
        1_791_041_400,  // 2026-10-03T15:30Z
        1_806_764_400,  // 2027-04-03T15:00Z
        1_835_438_400,  // 2028-02-29T12:00Z
        1_798_761_540,  // 2026-12-31T23:59Z
        1_813_060_800,  // 2027-06-15T12:00Z
    ]

    /// A time within two days of one that is special: seconds since 1970.
    public mutating func moment() -> Int64 {
        (RandomPolicies.occasions.randomElement(using: &generator) ?? 0)
            + Int64.random(in: -172_800...172_800, using: &generator)
    }

    /// For each rule with a time, when it next begins or ceases to hold after a moment; in order.
    public static func changes(after moment: Int64, in policies: [EgressPolicy]) -> [Int64] {
        policies.flatMap(\.rules).compactMap { $0.schedule?.nextChange(after: moment) }.sorted()
    }

    /// A set some of whose rules hold at some times only, and some of whose policies are only audited.
    ///
    /// - Parameter moment: A time that the rules' hours, days and bounds are likely to be about.
    /// - Returns: The set.
    public mutating func timedPolicySet(around moment: Int64) -> PolicySet {
        let set = policySet()
        return PolicySet(
            policies: timed(set.policies, around: moment), groups: Array(set.groups.values),
            networkDefault: set.networkDefault)
    }

    /// A set some of whose rules are about names, some of which hold at some times only; those without names may be only
    /// audited.
    public mutating func timedNamingPolicySet(around moment: Int64) -> PolicySet {
        let set = namingPolicySet()
        let policies = timed(set.policies, around: moment).map { policy in
            var policy = policy
            if policy.rules.contains(where: { !set.patterns(of: $0).isEmpty }) { policy.mode = .enforce }
            return policy
        }
        return PolicySet(policies: policies, groups: Array(set.groups.values), networkDefault: set.networkDefault)
    }

    /// The policies with times, and some in audit mode.
    mutating func timed(_ policies: [EgressPolicy], around moment: Int64) -> [EgressPolicy] {
        policies.map { policy in
            var policy = policy
            if chance(of: 3) { policy.mode = .audit }
            for place in policy.rules.indices where chance(of: 2) {
                policy.rules[place].schedule = schedule(around: moment)
            }
            return policy
        }
    }

    private mutating func schedule(around moment: Int64) -> Schedule {
        let zone = RandomPolicies.zones.randomElement(using: &generator) ?? .utc
        let local = moment + zone.offset(at: moment)
        let days = chance(of: 2) ? [] : Weekday.allCases.filter { _ in chance(of: 2) }
        return Schedule(
            days: days,
            hours: (0..<Int.random(in: 0...2, using: &generator)).compactMap { _ in hours(around: local / 60 % 1_440) },
            from: chance(of: 4) ? day(near: local) : nil, until: chance(of: 4) ? day(near: local) : nil, zone: zone,
            onClose: Schedule.ClosingAction.allCases.randomElement(using: &generator) ?? .cut)
    }

    /// Half of them begin within an hour of a minute of the day; many cross midnight.
    private mutating func hours(around minute: Int64) -> Schedule.Hours? {
        let near = (minute + Int64.random(in: -60...60, using: &generator) + 1_440) % 1_440
        let start = chance(of: 2) ? near : Int64.random(in: 0..<1_440, using: &generator)
        let end = (start + Int64.random(in: 1..<1_440, using: &generator)) % 1_440
        return Schedule.Hours(start: start, end: end == 0 ? 1_440 : end)
    }

    private mutating func day(near local: Int64) -> Schedule.LocalTime {
        Schedule.LocalTime(
            CivilDate(dayNumber: local / 86_400 + Int64.random(in: -2...2, using: &generator)),
            minute: chance(of: 2) ? nil : Int64.random(in: 0..<1_440, using: &generator))
    }

    private mutating func chance(of count: Int) -> Bool {
        Int.random(in: 1...count, using: &generator) == 1
    }
}

extension RandomCatalogs {
    /// A time that is special, or near one that is: seconds since 1970.
    public mutating func moment() -> Int64 { policies.moment() }

    /// A catalog some of whose rules hold at some times only, and some of whose policies are only audited.
    public mutating func timedCatalog(around moment: Int64) -> PolicyCatalog {
        var catalog = catalog()
        catalog.egressPolicies = policies.timed(catalog.egressPolicies, around: moment)
        return catalog
    }
}
