// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What two lists have otherwise, apart from how they begin and end.
struct Difference<Element: Equatable> {
    /// What the old list has in between.
    var gone: [Element] = []
    /// What the new list has in between.
    var new: [Element] = []

    /// Compares two lists. Elements that only change their place may be in both parts.
    init(_ old: [Element], _ fresh: [Element]) {
        if old == fresh { return }
        let (front, back) = old.commonEnds(with: fresh)
        gone = Array(old[front..<(old.count - back)])
        new = Array(fresh[front..<(fresh.count - back)])
    }

    /// The difference without what only changes its place; names are unique in each list.
    func without(_ name: (Element) -> String) -> Difference {
        if gone.isEmpty || new.isEmpty { return self }
        let former = Dictionary(gone.map { (name($0), $0) }, uniquingKeysWith: { first, _ in first })
        let kept = Set(new.compactMap { element in former[name(element)] == element ? name(element) : nil })
        var rest = self
        rest.gone.removeAll { kept.contains(name($0)) }
        rest.new.removeAll { kept.contains(name($0)) }
        return rest
    }
}

extension Array where Element: Equatable {
    /// How many elements two lists have in common at their beginning, and how many of the others at their end.
    package func commonEnds(with other: [Element]) -> (front: Int, back: Int) {
        let shorter = Swift.min(count, other.count)
        var front = 0
        while front < shorter, self[front] == other[front] { front += 1 }
        var back = 0
        while back < shorter - front, self[count - 1 - back] == other[other.count - 1 - back] { back += 1 }
        return (front, back)
    }
}
