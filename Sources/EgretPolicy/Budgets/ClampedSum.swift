// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension UInt64 {
    /// The sum, or the largest number if it is larger: what is counted stops there, and does not begin anew.
    package func addingClamped(_ other: UInt64) -> UInt64 {
        let (sum, overflows) = addingReportingOverflow(other)
        return overflows ? .max : sum
    }
}
