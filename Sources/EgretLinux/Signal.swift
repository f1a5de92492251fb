// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A signal by its number, which is the same on every machine Egret runs on.
public struct Signal: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number, 1 to 64.
    public var rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// `SIGHUP`
    public static let hangup = Signal(rawValue: 1)
    /// `SIGINT`
    public static let interrupt = Signal(rawValue: 2)
    /// `SIGQUIT`
    public static let quit = Signal(rawValue: 3)
    /// `SIGABRT`
    public static let abort = Signal(rawValue: 6)
    /// `SIGKILL`
    public static let kill = Signal(rawValue: 9)
    /// `SIGUSR1`
    public static let user1 = Signal(rawValue: 10)
    /// `SIGUSR2`
    public static let user2 = Signal(rawValue: 12)
    /// `SIGPIPE`
    public static let brokenPipe = Signal(rawValue: 13)
    /// `SIGALRM`
    public static let alarm = Signal(rawValue: 14)
    /// `SIGTERM`
    public static let terminate = Signal(rawValue: 15)
    /// `SIGCHLD`
    public static let child = Signal(rawValue: 17)
    /// `SIGCONT`
    public static let `continue` = Signal(rawValue: 18)
    /// `SIGSTOP`
    public static let stop = Signal(rawValue: 19)
    /// `SIGTSTP`
    public static let terminalStop = Signal(rawValue: 20)
    /// `SIGTTIN`
    public static let terminalInput = Signal(rawValue: 21)
    /// `SIGTTOU`
    public static let terminalOutput = Signal(rawValue: 22)
    /// `SIGWINCH`
    public static let windowChange = Signal(rawValue: 28)

    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]

    /// The name, such as `SIGTERM`; `signal 40` for one without.
    public var description: String {
        (1...Int32(Self.names.count)).contains(rawValue) ? "SIG" + Self.names[Int(rawValue) - 1] : "signal \(rawValue)"
    }
}

/// A set of signals.
public struct SignalSet: OptionSet, Hashable, Sendable {
    /// Bit 0 stands for signal 1.
    public let rawValue: UInt64

    /// Wraps a mask whose bit 0 stands for signal 1.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The set of these signals; numbers outside 1 to 64 are left out.
    public init(_ signals: [Signal]) {
        rawValue = signals.reduce(0) { mask, signal in
            (1...64).contains(signal.rawValue) ? mask | 1 << UInt64(signal.rawValue - 1) : mask
        }
    }

    /// Every signal.
    public static let all = SignalSet(rawValue: .max)

    /// Whether the signal is in the set.
    public func contains(_ signal: Signal) -> Bool {
        (1...64).contains(signal.rawValue) && rawValue >> UInt64(signal.rawValue - 1) & 1 == 1
    }
}
