// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A child of this process.
public struct ChildProcess: Sendable {
    /// Its number, as this process's pid namespace counts.
    public let identifier: Int32
    /// Its pidfd: readable once it has ended, and never another process.
    public let descriptor: Descriptor

    /// How a child changed state.
    public enum Status: Hashable, Sendable {
        /// It ended by itself.
        case exited(Int32)
        /// A signal ended it.
        case signaled(Signal, coreDumped: Bool)
        /// A signal stopped it.
        case stopped(Signal)
        /// It went on after a stop.
        case continued

        /// Whether the child is gone and its number free for others.
        public var isEnd: Bool {
            switch self {
            case .exited, .signaled: true
            case .stopped, .continued: false
            }
        }

        /// What a shell shows as `$?`: the code, or 128 and the signal.
        public var exitCodeOfShell: Int32 {
            switch self {
            case .exited(let code): code
            case .signaled(let signal, _), .stopped(let signal): 128 + signal.rawValue
            case .continued: 0
            }
        }
    }

    /// What to wait for beside the end.
    public struct WaitOptions: OptionSet, Hashable, Sendable {
        /// The bits of the shim.
        public let rawValue: Int32
        /// Wraps bits of the shim.
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// Report stops: `WUNTRACED`.
        public static let untraced = WaitOptions(rawValue: egret_wait_untraced)
        /// Report continuations: `WCONTINUED`.
        public static let continued = WaitOptions(rawValue: egret_wait_continued)
        /// Return `nil` at once if nothing has happened: `WNOHANG`.
        public static let noHang = WaitOptions(rawValue: egret_wait_no_hang)
    }

    /// Waits until the child changes state.
    ///
    /// - Returns: `nil` only with ``WaitOptions/noHang``, if nothing has happened since the last call.
    /// - Throws: ``LinuxError`` with ``Errno/noChild`` if its end was waited for before.
    public func wait(_ options: WaitOptions) throws(LinuxError) -> Status? {
        var found = egret_child_status()
        try check(unsafe egret_wait(identifier, options.rawValue, &found), "wait for process", "\(identifier)")
        guard found.process != 0 else { return nil }
        switch egret_status_kind(rawValue: UInt32(found.kind)) {
        case EGRET_STATUS_EXITED: return .exited(found.value)
        case EGRET_STATUS_SIGNALED: return .signaled(Signal(rawValue: found.value), coreDumped: false)
        case EGRET_STATUS_DUMPED: return .signaled(Signal(rawValue: found.value), coreDumped: true)
        case EGRET_STATUS_STOPPED: return .stopped(Signal(rawValue: found.value))
        default: return .continued
        }
    }

    /// Waits for the end of the child.
    @discardableResult
    public func waitForEnd() throws(LinuxError) -> Status {
        while true {
            if let status = try wait([]), status.isEnd { return status }
        }
    }

    /// Sends it a signal, through its pidfd.
    public func signal(_ signal: Signal) throws(LinuxError) {
        try check(
            egret_signal_process_descriptor(descriptor.number, signal.rawValue), "send \(signal) to process",
            "\(identifier)")
    }

    /// Sends a signal to the process group that bears its number.
    ///
    /// Only while the child has not been waited for: afterwards the number may be another group's.
    public func signalGroup(_ signal: Signal) throws(LinuxError) {
        try check(egret_kill(-identifier, signal.rawValue), "send \(signal) to process group", "\(identifier)")
    }
}
