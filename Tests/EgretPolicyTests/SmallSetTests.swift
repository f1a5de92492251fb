// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy
import Testing

@Suite("Sets of one element most often")
struct SmallSetTests {
    @Test("whatever comes and goes, it has the elements that any other set has", arguments: 0..<50)
    func likeAnyOther(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var small = SmallSet<Int>()
        var other: Set<Int> = []
        for _ in 0..<100 {
            let element = Int.random(in: 0..<4, using: &random)
            if Bool.random(using: &random) {
                small.insert(element)
                other.insert(element)
            } else {
                small.remove(element)
                other.remove(element)
            }
            #expect(small.sorted() == other.sorted())
            #expect(small.count == other.count)
            #expect(small.isEmpty == other.isEmpty)
            let contained = (0..<4).filter { small.contains($0) }
            #expect(contained == other.sorted())
            let again = SmallSet(other)
            #expect(small == again)
            #expect(small.hashValue == again.hashValue)
        }
    }

    @Test("sets of other elements are others")
    func others() {
        #expect(SmallSet([1]) != SmallSet([2]))
        #expect(SmallSet([1]) != SmallSet([1, 2]))
        #expect(SmallSet([1, 2]) != SmallSet([1, 3]))
        #expect(SmallSet<Int>() != SmallSet([1]))
    }
}
