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
        var counts = OwnerCounts(most: 8, each: 3)
        for _ in 0..<3 {
            #expect(counts.hasRoom(for: owner(1)))
            counts.add(owner(1))
        }
        #expect(!counts.hasRoom(for: owner(1)))
        for number in 2...6 { counts.add(owner(number)) }
        #expect(counts.total == 8 && !counts.hasRoom(for: owner(2)) && !counts.hasRoom(for: owner(7)))
        for _ in 0..<3 { counts.remove(owner(1)) }
        #expect(counts.total == 5 && counts.hasRoom(for: owner(1)) && counts.hasRoom(for: owner(7)))
        // Who has nothing gives nothing back.
        counts.remove(owner(7))
        #expect(counts.total == 5)
    }

    @Test("when most is taken, who has more than its share gets no more, and the others do until all is")
    func shares() {
        var counts = OwnerCounts(most: 400)
        func fill(_ endpoint: Int) -> Int {
            var added = 0
            while counts.hasRoom(for: owner(endpoint)) {
                counts.add(owner(endpoint))
                added += 1
            }
            return added
        }
        // One alone leaves a quarter to others.
        #expect(fill(1) == 300)
        #expect([2, 3, 4].map { fill($0) } == [100, 0, 0])
        // 1 has 200 of its 150, and 2 has 100. Between three a share is 100.
        for _ in 0..<100 { counts.remove(owner(1)) }
        #expect([1, 2, 3, 4].map { fill($0) } == [0, 50, 50, 0])
        // 1 has 140, 2 has 150, and between four a share is 75.
        for _ in 0..<60 { counts.remove(owner(1)) }
        #expect([1, 2, 4].map { fill($0) } == [0, 0, 60])
        // Below three quarters it is anybody's again.
        for _ in 0..<150 { counts.remove(owner(2)) }
        #expect(counts.total == 250)
        #expect([1, 3].map { fill($0) } == [50, 50])
    }

    @Test("however many there are, each may have one as long as there is any")
    func crowds() {
        var counts = OwnerCounts(most: 40)
        for endpoint in 0..<40 {
            #expect(counts.hasRoom(for: owner(endpoint)))
            counts.add(owner(endpoint))
        }
        #expect(counts.total == 40 && !counts.hasRoom(for: owner(40)))
    }

    @Test("who gets a number begins with nothing, and what the former one gives back is not its own")
    func incarnations() {
        var counts = OwnerCounts(most: 100, each: 2)
        counts.add(owner(1, 4))
        counts.add(owner(1, 4))
        #expect(!counts.hasRoom(for: owner(1, 4)) && counts.hasRoom(for: owner(1, 7)))
        counts.add(owner(1, 7))
        counts.remove(owner(1, 4))
        counts.add(owner(1, 7))
        #expect(!counts.hasRoom(for: owner(1, 7)) && counts.hasRoom(for: owner(1, 4)))
    }
}
