// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretNames

@Suite("What endpoints have of what all share")
struct OwnerCountsTests {
    private func owner(_ endpoint: Int, _ incarnation: UInt64 = 1) -> NameOwner {
        NameOwner(endpoint: endpoint, incarnation: incarnation)
    }

    @Test("each has so much, all together so much, and what is given back may be had again")
    func bounds() {
        var counts = OwnerCounts(most: 5, each: 3)
        for _ in 0..<3 {
            #expect(counts.hasRoom(for: owner(1)))
            counts.add(owner(1))
        }
        #expect(!counts.hasRoom(for: owner(1)))
        for _ in 0..<2 { counts.add(owner(2)) }
        #expect(counts.total == 5 && !counts.hasRoom(for: owner(2)) && !counts.hasRoom(for: owner(3)))
        counts.remove(owner(1))
        #expect(counts.total == 4 && counts.hasRoom(for: owner(1)) && counts.hasRoom(for: owner(3)))
        // Who has nothing gives nothing back.
        counts.remove(owner(3))
        #expect(counts.total == 4)
    }

    @Test("who gets a number begins with nothing, and what the former one gives back is not its own")
    func incarnations() {
        var counts = OwnerCounts(most: 10, each: 2)
        counts.add(owner(1, 4))
        counts.add(owner(1, 4))
        #expect(!counts.hasRoom(for: owner(1, 4)) && counts.hasRoom(for: owner(1, 7)))
        counts.add(owner(1, 7))
        counts.remove(owner(1, 4))
        counts.add(owner(1, 7))
        #expect(!counts.hasRoom(for: owner(1, 7)) && counts.hasRoom(for: owner(1, 4)))
    }
}
