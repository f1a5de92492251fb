// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Carries the work to its thread, which is the only one to touch it from then on.
final class CarriedWork<Work>: @unchecked Sendable {
    let work: Work
    init(_ work: Work) { self.work = work }
}
