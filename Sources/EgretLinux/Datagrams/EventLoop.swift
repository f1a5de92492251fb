// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Waits for many descriptors at once, at a cost that does not depend on their number (epoll(7)).
///
/// One thread uses it; ``wake()`` alone may be called from others.
public final class EventLoop: Sendable {
    /// What a descriptor is ready for.
    public struct Events: OptionSet, Hashable, Sendable {
        /// The bits of epoll(7).
        public let rawValue: UInt32
        /// Wraps bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// There is something to read, or somebody to accept.
        public static let readable = Events(rawValue: UInt32(egret_epoll_in))
        /// There is room to write, or the connection is made.
        public static let writable = Events(rawValue: UInt32(egret_epoll_out))
        /// An error is pending.
        public static let error = Events(rawValue: UInt32(egret_epoll_err))
        /// The other end is gone.
        public static let hungUp = Events(rawValue: UInt32(egret_epoll_hup))
    }

    private let epoll: Descriptor
    private let alarm: Descriptor
    private static let alarmToken = UInt64.max

    /// Starts with nothing to wait for.
    public init() throws(LinuxError) {
        epoll = Descriptor(owning: try check(egret_epoll_create(), "open an epoll descriptor"))
        alarm = Descriptor(owning: try check(egret_eventfd(), "open an event descriptor"))
        try control(1, alarm, .readable, EventLoop.alarmToken)
    }

    /// Waits for a descriptor from now on.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor.
    ///   - events: What to wait for; errors and hang-ups are told in any case.
    ///   - token: What ``wait(milliseconds:_:)`` calls it; not `UInt64.max`.
    /// - Throws: ``LinuxError`` if it is waited for already, or cannot be.
    public func add(_ descriptor: Descriptor, _ events: Events, token: UInt64) throws(LinuxError) {
        try control(1, descriptor, events, token)
    }

    /// Waits for other events of a descriptor.
    public func change(_ descriptor: Descriptor, _ events: Events, token: UInt64) throws(LinuxError) {
        try control(3, descriptor, events, token)
    }

    /// Waits for a descriptor no longer. Closing its last copy does that too.
    public func remove(_ descriptor: Descriptor) {
        _ = egret_epoll_control(epoll.number, 2, descriptor.number, 0, 0)
    }

    private func control(_ operation: Int32, _ descriptor: Descriptor, _ events: Events, _ token: UInt64)
        throws(LinuxError)
    {
        let result = egret_epoll_control(epoll.number, operation, descriptor.number, events.rawValue, token)
        try check(result, "wait for descriptor", "\(descriptor.number)")
    }

    /// Waits until something is ready, the time is over or ``wake()`` is called.
    ///
    /// - Parameters:
    ///   - milliseconds: How long; negative is for ever.
    ///   - body: Is told each token that is ready, at most 64.
    /// - Throws: ``LinuxError`` for want of memory alone.
    public func wait(milliseconds: Int32, _ body: (UInt64, Events) -> Void) throws(LinuxError) {
        var ready = [egret_ready](repeating: egret_ready(token: 0, events: 0), count: 64)
        let count = unsafe ready.withUnsafeMutableBufferPointer { buffer in
            unsafe egret_epoll_wait(epoll.number, buffer.baseAddress, Int32(buffer.count), milliseconds)
        }
        try check(count, "wait")
        for entry in ready.prefix(Int(count)) {
            if entry.token == EventLoop.alarmToken {
                _ = try? alarm.read(upTo: 8)
            } else {
                body(entry.token, Events(rawValue: entry.events))
            }
        }
    }

    /// Waits in the same way, and collects what is ready.
    ///
    /// - Parameter milliseconds: How long; negative is for ever.
    /// - Returns: Each token that is ready, at most 64, and what for.
    /// - Throws: ``LinuxError`` for want of memory alone.
    public func happened(_ milliseconds: Int32) throws(LinuxError) -> [(UInt64, Events)] {
        var events: [(UInt64, Events)] = []
        try wait(milliseconds: milliseconds) { events.append(($0, $1)) }
        return events
    }

    /// Ends the wait that is going on, or the next one.
    public func wake() {
        try? alarm.write([1, 0, 0, 0, 0, 0, 0, 0])
    }
}

/// A thread with a name, with all signals blocked, for work that waits by itself.
public final class WorkThread: Sendable {
    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let thread: UInt64

    /// Starts the thread, in the namespaces of the calling one.
    ///
    /// - Parameters:
    ///   - name: At most 15 bytes.
    ///   - body: What it does. The thread ends with it.
    /// - Throws: ``LinuxError`` if there are too many threads.
    public init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(LinuxError) {
        let work = unsafe Unmanaged.passRetained(Work(body))
        var thread: UInt64 = 0
        let result = unsafe egret_start_thread(
            { context in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
            },
            work.toOpaque(), name, &thread)
        if result < 0 { unsafe work.release() }
        try check(result, "start a thread")
        self.thread = thread
    }

    /// Waits for the thread's end. To be called once.
    public func join() { _ = egret_join(thread) }
}

/// Time that passes while the machine sleeps, too.
public enum BootClock {
    /// Microseconds since the machine started.
    public static var microseconds: UInt64 { egret_boot_microseconds() }
    /// Milliseconds since the machine started.
    public static var milliseconds: UInt64 { egret_boot_microseconds() / 1_000 }
}

/// Random numbers of the kernel, fetched many at a time.
public struct RandomPool {
    private var numbers: [UInt64] = []

    /// Starts empty.
    public init() {}

    /// A number that nobody can guess.
    public mutating func next() -> UInt64 {
        if numbers.isEmpty {
            var fetched = [UInt64](repeating: 0, count: 256)
            let count = unsafe fetched.withUnsafeMutableBytes { unsafe egret_random_bytes($0.baseAddress, $0.count) }
            var system = SystemRandomNumberGenerator()
            numbers = count == 2_048 ? fetched : [system.next()]
        }
        return numbers.removeLast()
    }

    /// A number below a bound, which is not zero.
    public mutating func next(below bound: Int) -> Int {
        Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(max(bound, 1))).high)
    }
}
