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
struct OwnerCounts {
    private let most: Int
    private let mostEach: Int
    private var counts: [NameOwner: Int] = [:]
    /// How much all have.
    private(set) var total = 0

    init(most: Int, each: Int) { (self.most, mostEach) = (most, each) }

    /// Whether an endpoint may have one more.
    func hasRoom(for owner: NameOwner) -> Bool { total < most && counts[owner, default: 0] < mostEach }

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
