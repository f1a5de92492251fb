// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Finds the name that someone meant.
public enum Spelling {
    /// The candidate nearest to `text`, or `nil` if none is near enough to be a likely slip.
    ///
    /// Near enough is one edit per three letters, at least one: an insertion, a deletion, a substitution or a
    /// swap of neighbours. Letter case counts for nothing. Among equals the first candidate wins.
    public static func nearest(to text: some StringProtocol, among candidates: some Sequence<String>) -> String? {
        let wanted = Array(text.lowercased().unicodeScalars.prefix(64))
        guard !wanted.isEmpty else { return nil }
        var best: (name: String, distance: Int)?
        for candidate in candidates {
            let letters = Array(candidate.lowercased().unicodeScalars)
            let limit = max(1, max(wanted.count, letters.count) / 3)
            let distance = editDistance(wanted, letters)
            guard distance <= limit, distance < best?.distance ?? .max, distance < letters.count else { continue }
            best = (candidate, distance)
        }
        return best?.name
    }

    /// `write "priority"` if a candidate is near, otherwise `use one of a, b and c`.
    static func suggestion(for text: some StringProtocol, among candidates: [String], verb: String = "use") -> String {
        if let name = nearest(to: text, among: candidates) { return "did you mean \"\(name)\"?" }
        return "\(verb) \(list(candidates, conjunction: "or"))"
    }

    /// `a`, `a or b`, `a, b or c`.
    static func list(_ items: [String], conjunction: String) -> String {
        guard let last = items.last, items.count > 1 else { return items.first ?? "" }
        return items.dropLast().joined(separator: ", ") + " \(conjunction) \(last)"
    }

    /// Damerau's distance, restricted: no part of the text is edited twice.
    private static func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, leftScalar) in left.enumerated() {
            var current = [row + 1]
            for (column, rightScalar) in right.enumerated() {
                var cost = min(last[column + 1], current[column]) + 1
                cost = min(cost, last[column] + (leftScalar == rightScalar ? 0 : 1))
                if row > 0, column > 0, leftScalar == right[column - 1], left[row - 1] == rightScalar {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = last
            last = current
        }
        return last[right.count]
    }
}
