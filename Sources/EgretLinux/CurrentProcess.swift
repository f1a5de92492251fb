// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// What this process knows and does about itself.
public enum CurrentProcess {
    /// Its number.
    public static var identifier: Int32 { egret_process() }
    /// Its parent's number; 0 if that is in a pid namespace outside.
    public static var parent: Int32 { egret_parent_process() }
    /// Its process group.
    public static var group: Int32 { egret_process_group() }
    /// Its session.
    public static var session: Int32 { egret_session() }
    /// The calling thread's number.
    public static var thread: Int32 { egret_thread_id() }
    /// Allows itself as many open files as it may have at all (`RLIMIT_NOFILE`).
    public static func raiseOpenFileLimit() throws(LinuxError) {
        try check(egret_raise_limit(egret_rlimit_nofile), "raise the limit of open files")
    }

    /// How many files it may have open (`RLIMIT_NOFILE`).
    ///
    /// - Throws: ``LinuxError`` if the kernel does not say.
    public static var openFileLimit: Int {
        get throws(LinuxError) { Int(try check(egret_limit(egret_rlimit_nofile), "ask for the limit of open files")) }
    }

    /// Whether its effective user is 0.
    public static var isRoot: Bool { egret_effective_user() == 0 }
    /// The user that started it.
    public static var realUser: UInt32 { egret_real_user() }
    /// The user whose rights it has.
    public static var effectiveUser: UInt32 { egret_effective_user() }

    /// Ends the process, as a return from its main function would.
    ///
    /// - Parameter code: Its exit code, 0 to 255.
    public static func end(with code: Int32) -> Never { egret_exit(code) }

    /// Confines this process with all its threads, for good: no program that it executes has more privileges than it has, and a
    /// filter decides about its system calls, besides those that do already. The strictest answer holds.
    ///
    /// - Parameter filter: The filter.
    /// - Throws: ``LinuxError`` if the kernel does not take it.
    public static func confine(by filter: SeccompFilter) throws(LinuxError) {
        try check(egret_process_control(egret_pr_set_no_new_privs, 1), "forbid new privileges")
        let program = filter.program().map { instruction in
            egret_bpf_instruction(
                code: instruction.code, jump_true: instruction.jumpTrue, jump_false: instruction.jumpFalse,
                value: instruction.value)
        }
        let result = unsafe program.withUnsafeBufferPointer { buffer in
            unsafe egret_install_filter(buffer.baseAddress, buffer.count)
        }
        try check(result, "install the seccomp filter")
    }

    /// Gives memory that is free back to the kernel, also what lies between memory in use: the C library keeps that.
    public static func returnFreeMemory() { egret_return_free_memory() }

    /// Has the threads share a few heaps: the C library gives each thread one of its own, up to eight for each processor, and what
    /// is free in one is of no use to another. To be called before there are threads.
    ///
    /// - Parameter count: How many heaps there are at most.
    public static func limitHeaps(to count: Int32) { egret_limit_arenas(count) }

    /// What the linker has put into this process's program to know it by (`NT_GNU_BUILD_ID`); `nil` if there is nothing.
    ///
    /// Usually that is a digest of the contents: copies of a program have the same one, stripped or not, and so have builds that come
    /// out equal; others have another. Where the linker was told what to put in (`--build-id=0x…`), all that it made so have the same one.
    public static var buildID: [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe egret_build_id(buffer.baseAddress, buffer.count)
        }
        return count > 0 ? Array(bytes.prefix(Int(count))) : nil
    }

    /// The working directory.
    public static func workingDirectory() throws(LinuxError) -> NativeString {
        var bytes = [CChar](repeating: 0, count: 4_096)
        let result = unsafe bytes.withUnsafeMutableBufferPointer {
            unsafe egret_current_directory($0.baseAddress, $0.count)
        }
        try check(result, "find the working directory")
        return NativeString(bytes: bytes.map { UInt8(bitPattern: $0) })
    }

    /// Puts a process into a process group; 0 stands for this process, and for a group of its own.
    public static func setGroup(of process: Int32 = 0, to group: Int32 = 0) throws(LinuxError) {
        try check(egret_set_process_group(process, group), "put process \(process) into group", "\(group)")
    }

    /// Sends a signal to a process by number, to group `-number` if negative.
    public static func send(_ signal: Signal, to process: Int32) throws(LinuxError) {
        try check(egret_kill(process, signal.rawValue), "send \(signal) to", "\(process)")
    }

    /// Sends a signal to one thread of this process.
    public static func sendToThread(_ signal: Signal, _ thread: Int32) throws(LinuxError) {
        try check(egret_signal_thread(thread, signal.rawValue), "send \(signal) to thread", "\(thread)")
    }

    /// Gives this process the signal with its default effect, so that its parent sees what a command saw.
    ///
    /// For a signal that ends the process, this does not return. For one that stops it, it returns once the process
    /// is continued.
    public static func succumb(to signal: Signal) throws(LinuxError) {
        try check(egret_die_by_signal(signal.rawValue), "die by", "\(signal)")
    }
}

/// An instant of `CLOCK_MONOTONIC`, which no one sets.
public struct MonotonicInstant: Hashable, Comparable, Sendable {
    /// Nanoseconds since some point before the start of the system.
    public var nanoseconds: UInt64

    /// Wraps a reading of the clock.
    public init(nanoseconds: UInt64) {
        self.nanoseconds = nanoseconds
    }

    /// The instant of the call.
    public static var now: MonotonicInstant { MonotonicInstant(nanoseconds: egret_monotonic_nanoseconds()) }

    /// How long before `other` this was; negative if after it.
    public func duration(to other: MonotonicInstant) -> Duration {
        .nanoseconds(Int64(clamping: other.nanoseconds)) - .nanoseconds(Int64(clamping: nanoseconds))
    }

    /// The earlier first.
    public static func < (left: MonotonicInstant, right: MonotonicInstant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }
}

/// The time since the system's start, asleep or awake (`CLOCK_BOOTTIME`), which no one sets.
public struct BootTime: Hashable, Sendable {
    /// Whole seconds.
    public var seconds: Int64

    /// The time of the call.
    public static var now: BootTime { BootTime(seconds: egret_boottime_seconds()) }
}

/// The time of day by the system's clock, which may jump.
public struct WallTime: Hashable, Sendable {
    /// Seconds since the start of 1970, UTC.
    public var seconds: Int64
    /// Nanoseconds past them.
    public var nanoseconds: Int64

    /// The time of the call.
    public static var now: WallTime {
        var nanoseconds: Int64 = 0
        let seconds = unsafe egret_realtime(&nanoseconds)
        return WallTime(seconds: seconds, nanoseconds: nanoseconds)
    }
}
