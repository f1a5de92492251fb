// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A timer that can be waited for with others in ``Poll`` (timerfd).
public struct Timer: Sendable {
    /// Becomes readable when the time is over.
    public let descriptor: Descriptor

    /// Makes a timer that does not run.
    public init() throws(LinuxError) {
        descriptor = Descriptor(owning: try check(egret_timer(), "make a timer"))
    }

    /// Lets it expire once, after this time; what it was set to before is forgotten.
    public func set(after duration: Duration) throws(LinuxError) {
        // Zero would stop it.
        let nanoseconds = max(1, duration.wholeMicroseconds.multipliedReportingOverflow(by: 1000).partialValue)
        try check(egret_timer_set(descriptor.number, nanoseconds), "set a timer")
    }
}
