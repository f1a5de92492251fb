// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Waits until one of several descriptors is ready.
public struct Poll {
    /// What a descriptor can be ready for.
    public struct Events: OptionSet, Hashable, Sendable {
        /// The bits of poll(2).
        public let rawValue: Int16
        /// Wraps bits of poll(2).
        public init(rawValue: Int16) { self.rawValue = rawValue }

        /// There is something to read, or a process has ended (pidfd): `POLLIN`.
        public static let readable = Events(rawValue: egret_poll_in)
        /// There is room to write: `POLLOUT`.
        public static let writable = Events(rawValue: egret_poll_out)
        /// An error is pending, such as lost netlink messages: `POLLERR`.
        public static let error = Events(rawValue: egret_poll_err)
        /// The other end is gone: `POLLHUP`.
        public static let hungUp = Events(rawValue: egret_poll_hup)
    }

    /// What came of waiting.
    public struct Ready: Sendable {
        fileprivate var events: [Int32: Events] = [:]
        /// Whether a signal handler ran and ended the wait early.
        public fileprivate(set) var wasInterrupted = false

        /// Whether nothing was ready in time.
        public var isEmpty: Bool { events.isEmpty }

        /// What the descriptor is ready for; empty if for nothing.
        public subscript(descriptor: Descriptor) -> Events { events[descriptor.number] ?? [] }
    }

    private var entries: [egret_poll_entry] = []
    private var descriptors: [Descriptor] = []

    /// Starts with nothing to wait for.
    public init() {}

    /// Adds a descriptor to wait for, and keeps it open. Errors and hang-ups are always reported.
    public mutating func add(_ descriptor: Descriptor, for events: Events = .readable) {
        entries.append(egret_poll_entry(descriptor: descriptor.number, requested: events.rawValue, returned: 0))
        descriptors.append(descriptor)
    }

    /// Stops waiting for a descriptor.
    public mutating func remove(_ descriptor: Descriptor) {
        entries.removeAll { $0.descriptor == descriptor.number }
        descriptors.removeAll { $0.number == descriptor.number }
    }

    /// Waits until a descriptor is ready or the time is over; `nil` is for ever. Rounded up to milliseconds.
    public mutating func wait(timeout: Duration? = nil) throws(LinuxError) -> Ready {
        let milliseconds = timeout?.wholeMilliseconds ?? -1
        let count = unsafe entries.withUnsafeMutableBufferPointer { buffer in
            unsafe egret_poll(buffer.baseAddress, buffer.count, milliseconds)
        }
        var ready = Ready()
        if count == -egret_eintr {
            ready.wasInterrupted = true
            return ready
        }
        try check(count, "poll")
        for entry in entries where entry.returned != 0 {
            ready.events[entry.descriptor, default: []].formUnion(Events(rawValue: entry.returned))
        }
        return ready
    }
}
