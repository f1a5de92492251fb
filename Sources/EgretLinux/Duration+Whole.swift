// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Whole microseconds, rounded up, at least zero; very long ones are cut to what a kernel timer can hold.
    var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        guard seconds < 1 << 40 else { return (1 << 40) * 1_000_000 }
        let rest = (attoseconds + 999_999_999_999) / 1_000_000_000_000
        return max(0, seconds * 1_000_000 + rest)
    }

    /// Whole milliseconds, rounded up, at least zero, at most what poll(2) takes.
    var wholeMilliseconds: Int32 {
        Int32(clamping: (wholeMicroseconds + 999) / 1_000)
    }
}
