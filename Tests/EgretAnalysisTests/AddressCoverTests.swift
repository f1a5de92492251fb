// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretTesting
import Testing

@testable import EgretAnalysis

@Suite("Address covers")
struct AddressCoverTests {
    /// The fewest blocks that a prefix can be cut into, by definition: one if its addresses of interest have one value, none
    /// if it has no such address, and otherwise those of its halves.
    private func fewest(_ range: Range<Int>, _ values: [Int32?]) -> Int {
        let present = Set(values[range].compactMap(\.self))
        if present.count <= 1 { return present.count }
        let middle = range.lowerBound + range.count / 2
        return fewest(range.lowerBound..<middle, values) + fewest(middle..<range.upperBound, values)
    }

    @Test(
        "blocks hold every address of interest once, with its value, and there are no more than need be",
        arguments: 0..<200)
    func random(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let size = 64
        let changes = Int.random(in: 0..<12, using: &random)
        var steps = AddressSteps(.ipv4, 0)
        for start in (0..<changes).map({ _ in Int.random(in: 1..<size, using: &random) }).sorted() {
            steps.append(from: UInt128(start), Int32.random(in: 0..<3, using: &random))
        }
        // What lies behind is one block by itself and no part of the question.
        steps.append(from: UInt128(size), 9)
        let density = Int.random(in: 0...10, using: &random)
        let ignored = (0..<size).filter { _ in Int.random(in: 0..<10, using: &random) < density }.map { UInt128($0) }
        let values: [Int32?] = (0..<size).map { ignored.contains(UInt128($0)) ? nil : steps.value(at: UInt128($0)) }
        let blocks = AddressCover(steps, ignoring: ignored).blocks.filter { $0.prefix.upperBound < UInt128(size) }
        for (address, value) in values.enumerated() {
            let found = blocks.filter { $0.prefix.contains(IPAddress(family: .ipv4, rawValue: UInt128(address))) }
            #expect(found.count <= 1)
            if let value { #expect(found.map(\.value) == [value], "\(address)") }
        }
        if Set(values.compactMap(\.self)).isEmpty { return }
        #expect(blocks.count == fewest(0..<size, values), "\(blocks) \(ignored)")
    }

    @Test("a family whose addresses are all of no interest, but one, is one block")
    func nothingElse() {
        let steps = AddressSteps(.ipv6, 4)
        #expect(AddressCover(steps, ignoring: []).blocks.map(\.prefix.length) == [0])
        #expect(AddressCover(steps, ignoring: [0, 1, .max]).blocks.map(\.value) == [4])
    }
}
