// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import EgretAgent

@Suite("work on many values at once")
struct AllProcessorsTests {
    @Test(
        "every value is worked on once, and what comes of it stands in its place",
        arguments: [0, 1, 7, 8, 9, 10_000])
    func order(count: Int) {
        let inputs = Array(0..<count)
        #expect(AllProcessors.map(inputs, inPortionsOf: 8) { $0 * 3 } == inputs.map { $0 * 3 })
    }
}
