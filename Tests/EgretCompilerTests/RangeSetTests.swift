// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretCompiler

@Suite("Sets of address ranges")
struct RangeSetTests {
    typealias Ranges = RangeSet<UInt8>

    private func set(_ ranges: ClosedRange<UInt8>...) -> Ranges {
        Ranges(ranges.map { Ranges.Range(lower: $0.lowerBound, upper: $0.upperBound) })
    }

    @Test("ranges that overlap, touch or lie in each other become one")
    func union() {
        #expect(set(10...20, 21...30) == set(10...30))
        #expect(set(21...30, 10...20) == set(10...30))
        #expect(set(10...30, 12...13) == set(10...30))
        #expect(set(10...20, 22...30).ranges.count == 2)
        #expect(set(10...20).union(set(15...255)) == set(10...255))
    }

    @Test("the last address has no next one")
    func top() {
        #expect(set(255...255, 254...254) == set(254...255))
        #expect(set(0...255, 255...255) == .everything)
        #expect(set(0...127, 128...255).isEverything)
        #expect(!set(0...254).isEverything)
        #expect(set(200...255, 3...4) == set(3...4, 200...255))
    }

    @Test("nothing is left of a set less itself, and all of it less nothing")
    func trivialDifferences() {
        #expect(Ranges.everything.subtracting(.everything).isEmpty)
        #expect(Ranges.everything.subtracting(set()).isEverything)
        #expect(set().subtracting(.everything).isEmpty)
        #expect(set(3...3).subtracting(set(3...3)).isEmpty)
    }

    @Test("holes at both ends, in the middle and across ranges")
    func differences() {
        #expect(Ranges.everything.subtracting(set(0...0, 255...255)) == set(1...254))
        #expect(Ranges.everything.subtracting(set(128...128)) == set(0...127, 129...255))
        #expect(set(10...20, 30...40).subtracting(set(15...35)) == set(10...14, 36...40))
        #expect(set(10...20).subtracting(set(0...9, 21...255)) == set(10...20))
        #expect(set(0...10, 250...255).subtracting(set(5...252)) == set(0...4, 253...255))
    }

    @Test("set operations agree with asking for every single address")
    func everyAddress() {
        var state: UInt32 = 1
        func random() -> UInt8 {
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(truncatingIfNeeded: state >> 24)
        }
        func ranges() -> [Ranges.Range] {
            (0..<Int(random() % 6)).map { _ in
                let ends = (random(), random())
                return Ranges.Range(lower: min(ends.0, ends.1), upper: max(ends.0, ends.1))
            }
        }
        func contains(_ ranges: [Ranges.Range], _ address: UInt8) -> Bool {
            ranges.contains { $0.lower <= address && address <= $0.upper }
        }
        for _ in 0..<100 {
            let (left, right) = (ranges(), ranges())
            let (union, difference) = (Ranges(left + right), Ranges(left).subtracting(Ranges(right)))
            let wrong = (UInt8.min...UInt8.max).filter { address in
                let (isLeft, isRight) = (contains(left, address), contains(right, address))
                return contains(union.ranges, address) != (isLeft || isRight)
                    || contains(difference.ranges, address) != (isLeft && !isRight)
            }
            #expect(wrong == [], "\(left) and \(right)")
            for result in [union, difference] {
                for (one, next) in zip(result.ranges, result.ranges.dropFirst()) {
                    #expect(one.upper < 255 && one.upper + 1 < next.lower, "apart by at least one address")
                }
            }
        }
    }
}
