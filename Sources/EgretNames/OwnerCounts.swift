// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An endpoint, and which of those that have had its number it is.
struct NameOwner: Hashable, Sendable {
    /// The endpoint's number.
    var endpoint: Int
    /// Another for each endpoint that has the number, one after the other.
    var incarnation: UInt64
}

/// How much endpoints have of something of which there is so much in all, and for each.
///
/// What a former endpoint has still does not count for the one that has got its number.
///
/// The last quarter is for endpoints that have less than their share, which is the other three quarters divided by those that have
/// anything. So who has the most gets no more first; who has less than that is refused only when there is nothing left.
/// Nothing is taken from anybody.
struct OwnerCounts {
    private let most: Int
    private let mostEach: Int
    /// How much there is without the last quarter.
    private let ordinary: Int
    private var counts: [NameOwner: Int] = [:]
    /// How much all have.
    private(set) var total = 0

    init(most: Int, each: Int = .max) { (self.most, mostEach, ordinary) = (most, each, most - most / 4) }

    /// Whether an endpoint may have one more.
    func hasRoom(for owner: NameOwner) -> Bool {
        let count = counts[owner] ?? 0
        guard total < most, count < mostEach else { return false }
        if total < ordinary { return true }
        let owners = counts.count + (count == 0 ? 1 : 0)
        return count < max(1, ordinary / owners)
    }

    /// Gives an endpoint one more.
    mutating func add(_ owner: NameOwner) {
        counts[owner, default: 0] += 1
        total += 1
    }

    /// Takes one back.
    mutating func remove(_ owner: NameOwner) {
        guard let count = counts[owner] else { return }
        counts[owner] = count > 1 ? count - 1 : nil
        total -= 1
    }
}
