// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What clocks in one time zone show: every change of its offset from UTC, past and to come.
///
/// The changes are those of a TZif file (RFC 8536); after the last of them its footer says how the changes go on, for
/// ever. Copies share their storage.
public struct TimeZoneRules: Hashable, Sendable, CustomStringConvertible {
    private final class Storage: Sendable {
        let name: String
        let transitions: [Int64]
        let offsets: [Int32]
        let firstOffset: Int32
        let footer: RecurringOffsets?

        init(name: String, transitions: [Int64], offsets: [Int32], firstOffset: Int32, footer: RecurringOffsets?) {
            self.name = name
            self.transitions = transitions
            self.offsets = offsets
            self.firstOffset = firstOffset
            self.footer = footer
        }
    }

    /// Times are held between these, some 36 billion years apart, so that sums of them do not overflow.
    static let earliest = -(Int64(1) << 59)
    static let latest = Int64(1) << 59

    /// Coordinated universal time: no changes.
    public static let utc = TimeZoneRules(name: "UTC", transitions: [], offsets: [], firstOffset: 0, footer: nil)

    private let storage: Storage

    /// Creates the rules.
    ///
    /// - Parameters:
    ///   - name: The zone's name.
    ///   - transitions: When the offset changes, in seconds since 1970-01-01T00:00Z, strictly ascending.
    ///   - offsets: For each transition the seconds east of UTC from then on.
    ///   - firstOffset: The offset before the first transition.
    ///   - footer: What holds after the last transition.
    init(name: String, transitions: [Int64], offsets: [Int32], firstOffset: Int32, footer: RecurringOffsets?) {
        storage = Storage(
            name: name, transitions: transitions, offsets: offsets, firstOffset: firstOffset, footer: footer)
    }

    /// The zone's name, for example `Europe/Zurich`.
    public var name: String { storage.name }

    /// The zone's name.
    public var description: String { name }

    /// Seconds east of UTC that clocks are set to at a time.
    ///
    /// - Parameter unixTime: Seconds since 1970-01-01T00:00Z, as the kernel counts them (without leap seconds).
    /// - Returns: The distance, negative west of Greenwich.
    /// - Complexity: O(log *n*) in the number of recorded changes.
    public func offset(at unixTime: Int64) -> Int64 {
        segment(at: unixTime).offset
    }

    /// The stretch of time around a moment in which the offset does not change.
    ///
    /// - Returns: The offset, when it began and the first moment after it; both ends at most 2^59 seconds from 1970.
    ///   Neighbouring stretches may have equal offsets.
    func segment(at unixTime: Int64) -> (range: Range<Int64>, offset: Int64) {
        let time = min(max(unixTime, TimeZoneRules.earliest), TimeZoneRules.latest - 1)
        let next = firstTransition(after: time)
        let start = next == 0 ? TimeZoneRules.earliest : storage.transitions[next - 1]
        if next == storage.transitions.count, let footer = storage.footer {
            let recurring = footer.segment(at: time)
            let lower = max(start, recurring.range.lowerBound)
            return (lower..<max(lower + 1, recurring.range.upperBound), Int64(recurring.offset))
        }
        let end = next == storage.transitions.count ? TimeZoneRules.latest : storage.transitions[next]
        return (start..<end, Int64(next == 0 ? storage.firstOffset : storage.offsets[next - 1]))
    }

    /// The first moment at which clocks show a local time or a later one.
    ///
    /// A local time that clocks skip becomes the moment of the skip; one that they show twice is the first of the two.
    ///
    /// - Parameter localTime: Seconds from 1970-01-01T00:00 by the zone's clocks.
    /// - Returns: Seconds since 1970-01-01T00:00Z.
    public func firstMoment(ofLocalTime localTime: Int64) -> Int64 {
        let wanted = min(max(localTime, TimeZoneRules.earliest), TimeZoneRules.latest)
        // No zone is a week from UTC: before that the clocks show earlier times throughout.
        var moment = wanted - 604_800
        while true {
            let (range, offset) = segment(at: moment)
            if moment + offset >= wanted { return moment }
            if wanted - offset < range.upperBound || range.upperBound >= TimeZoneRules.latest { return wanted - offset }
            moment = range.upperBound
        }
    }

    /// The place of the first transition later than the time, or their number.
    private func firstTransition(after time: Int64) -> Int {
        var low = 0
        var high = storage.transitions.count
        while low < high {
            let middle = (low + high) / 2
            if storage.transitions[middle] <= time { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Whether both have the name and the rules in common.
    public static func == (left: TimeZoneRules, right: TimeZoneRules) -> Bool {
        if left.storage === right.storage { return true }
        return left.storage.name == right.storage.name && left.storage.transitions == right.storage.transitions
            && left.storage.offsets == right.storage.offsets && left.storage.firstOffset == right.storage.firstOffset
            && left.storage.footer == right.storage.footer
    }

    /// Hashes the name; two versions of one zone are rarely in one set.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(storage.name)
    }
}
