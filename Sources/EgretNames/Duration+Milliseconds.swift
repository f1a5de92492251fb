// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// The whole milliseconds of it, none of what is negative; `BootClock` counts in them.
    var milliseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        // More than a hundred thousand years are as good as that.
        return UInt64(min(seconds, 1 << 42)) * 1_000 + UInt64(attoseconds) / 1_000_000_000_000_000
    }
}
