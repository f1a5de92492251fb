// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Pure work on many values at once: a start with thousands of policies reads and compiles each of them.
enum AllProcessors {
    /// Works something out for each of many values. Returns when all is done.
    ///
    /// - Parameters:
    ///   - inputs: The values.
    ///   - portion: So many are worked on by one thread in turn; fewer in all are left to this one.
    ///   - body: What is worked out. It is called on threads that belong to no network namespace in particular: it may not
    ///     ask the kernel.
    /// - Returns: What came of each, in the inputs' order.
    static func map<Input: Sendable, Output: Sendable>(
        _ inputs: [Input], inPortionsOf portion: Int = 64, _ body: @Sendable (Input) -> Output
    ) -> [Output] {
        if inputs.count <= portion { return inputs.map(body) }
        let count = (inputs.count + portion - 1) / portion
        let done = Mutex<[Int: [Output]]>([:])
        DispatchQueue.concurrentPerform(iterations: count) { place in
            let first = place * portion
            let outputs = inputs[first..<min(first + portion, inputs.count)].map(body)
            done.withLock { $0[place] = outputs }
        }
        let found = done.withLock { $0 }
        var all: [Output] = []
        all.reserveCapacity(inputs.count)
        for place in 0..<count { all += found[place] ?? [] }
        return all
    }
}
