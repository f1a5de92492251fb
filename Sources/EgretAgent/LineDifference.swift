// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The difference of two texts in the unified form of diff(1), with three lines around each change.
struct LineDifference {
    private static let context = 3

    /// `@@ -1,4 +1,5 @@` and the lines after it, with a space, a minus or a plus before each.
    let lines: [String]

    /// Compares two texts, line by line.
    ///
    /// - Complexity: O(*n* *d*) in the lines *n* and those that differ, *d*.
    init(from old: [String], to new: [String]) {
        let difference = new.difference(from: old)
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in difference {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var all: [(mark: Character, text: String, old: Int, new: Int)] = []
        var (left, right) = (0, 0)
        while left < old.count || right < new.count {
            if left < old.count, removed.contains(left) {
                all.append(("-", old[left], left, right))
                left += 1
            } else if right < new.count, inserted.contains(right) {
                all.append(("+", new[right], left, right))
                right += 1
            } else {
                all.append((" ", old[left], left, right))
                left += 1
                right += 1
            }
        }
        var output: [String] = []
        var place = 0
        while let first = all[place...].firstIndex(where: { $0.mark != " " }) {
            let start = max(place, first - LineDifference.context)
            var end = first
            var next = first
            while next < all.count, next <= end + 2 * LineDifference.context + 1 {
                if all[next].mark != " " { end = next }
                next += 1
            }
            end = min(all.count, end + 1 + LineDifference.context)
            let part = all[start..<end]
            let (from, to) = (part.count { $0.mark != "+" }, part.count { $0.mark != "-" })
            let begin = all[start]
            output.append("@@ -\(begin.old + (from > 0 ? 1 : 0)),\(from) +\(begin.new + (to > 0 ? 1 : 0)),\(to) @@")
            output += part.map { "\($0.mark)\($0.text)" }
            place = end
        }
        lines = output
    }
}
