// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What the kernel has turned out not to have, so that it is not asked again for each link.
public final class KernelQueues: Sendable {
    /// What is known of the kernel that this process runs on.
    public static let ofThisKernel = KernelQueues()

    private let isWithoutFairQueues = Mutex(false)

    /// Knows nothing yet.
    public init() {}

    /// Whether the kernel does not know `fq_codel`: then what waits does so in the plain queues of its buckets.
    public var lacksFairQueues: Bool { isWithoutFairQueues.withLock { $0 } }

    /// Takes note of that.
    func noteNoFairQueues() { isWithoutFairQueues.withLock { $0 = true } }
}
