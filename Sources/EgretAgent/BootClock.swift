// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretNetworks

/// The time since the machine's start, asleep or awake (`CLOCK_BOOTTIME`): nobody sets it.
struct BootClock: Sendable {
    /// Which start of the machine (random(4)).
    var bootID: String
    /// Seconds since then.
    var uptime: @Sendable () -> Int64

    /// The machine's.
    static func system() throws -> BootClock {
        BootClock(bootID: try NetworkStore.currentBootID()) { BootTime.now.seconds }
    }
}

/// Until when a change must be confirmed, whatever the calendar says meanwhile.
///
/// A machine that has been started again since has gone past it: somebody may have done that to get back in.
struct ConfirmationDeadline: Hashable, Sendable {
    /// The start of the machine that it was set in.
    var bootID: String
    /// Seconds after that start.
    var uptime: Int64

    init(bootID: String, uptime: Int64) {
        self.bootID = bootID
        self.uptime = uptime
    }

    init(in seconds: Int, by clock: BootClock) {
        self.init(bootID: clock.bootID, uptime: clock.uptime() + Int64(seconds))
    }

    /// How many seconds are left; none or less if it is over.
    func remaining(by clock: BootClock) -> Int64 { clock.bootID == bootID ? uptime - clock.uptime() : 0 }
}
