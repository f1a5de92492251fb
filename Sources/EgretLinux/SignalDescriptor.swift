// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Receives signals as readable records in place of interrupting the process.
///
/// The signals stay blocked for this thread from ``init(_:)`` on, so they must be unblocked for children:
/// ``ChildOperation/resetSignals(ignoring:blocking:)`` does it. Make it before any other thread starts.
public struct SignalDescriptor: Sendable {
    /// One signal received.
    public struct Record: Hashable, Sendable {
        /// Which.
        public var signal: Signal
        /// Why, as `si_code`: 0 for kill(2), positive for the kernel.
        public var code: Int32
        /// The sender's process, 0 if it is the kernel or in a pid namespace outside ours.
        public var sender: UInt32
        /// The sender's user.
        public var senderUser: UInt32
    }

    /// For ``Poll``; reads do not block.
    public let descriptor: Descriptor
    /// The signals it receives.
    public let signals: SignalSet

    /// Blocks the signals and receives them from now on.
    public init(_ signals: SignalSet) throws(LinuxError) {
        let mask = try SignalSet.blocked()
        try SignalSet.setBlocked(mask.union(signals))
        descriptor = Descriptor(
            owning: try check(egret_signal_descriptor(signals.rawValue), "open a signal descriptor"))
        self.signals = signals
    }

    /// The next pending signal; `nil` if there is none.
    ///
    /// Equal signals that were sent while one was pending are one record: on `SIGCHLD`, wait for children until none
    /// has news.
    public func next() throws(LinuxError) -> Record? {
        var found = egret_signal_record()
        guard try check(unsafe egret_read_signal(descriptor.number, &found), "read a signal") == 1 else { return nil }
        return Record(
            signal: Signal(rawValue: Int32(clamping: found.number)),
            code: found.code,
            sender: found.sender,
            senderUser: found.sender_user
        )
    }
}

extension SignalSet {
    /// The signals blocked for the calling thread.
    public static func blocked() throws(LinuxError) -> SignalSet {
        var mask: UInt64 = 0
        try check(unsafe egret_get_mask(&mask), "read the signal mask")
        return SignalSet(rawValue: mask)
    }

    /// Sets the signals blocked for the calling thread.
    public static func setBlocked(_ signals: SignalSet) throws(LinuxError) {
        try check(egret_set_mask(signals.rawValue), "set the signal mask")
    }

    /// The signals this process ignores, such as `SIGHUP` under nohup: a command should go on ignoring them.
    public static func ignored() -> SignalSet {
        SignalSet(rawValue: egret_ignored_signals())
    }
}

extension Signal {
    /// Ignores this signal, or goes back to its default.
    public func setIgnored(_ isIgnored: Bool) throws(LinuxError) {
        try check(egret_ignore_signal(rawValue, isIgnored ? 1 : 0), "change the disposition of", "\(self)")
    }
}
