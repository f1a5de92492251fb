// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

extension Namespace {
    /// Runs the body on this thread inside the namespace, then returns home.
    ///
    /// For network namespaces, and for threads on which no Swift concurrency runs: the body is synchronous, so
    /// nothing else can be scheduled here meanwhile, and it should only open what it needs and come back. The home
    /// namespace is opened before leaving.
    ///
    /// If the way home fails the process aborts with a message: a thread that does not know which network it is in
    /// must not go on.
    ///
    /// - Throws: ``LinuxError`` if the namespace cannot be entered, or what the body throws.
    public func visit<Result>(_ body: () throws -> Result) throws -> Result {
        let home = try Namespace.current(kind)
        try enter()
        defer {
            if egret_setns(home.descriptor.number, kind.bit.rawValue) < 0 {
                unsafe egret_abort("egret: cannot return to the home \(kind.rawValue) namespace; giving up")
            }
        }
        return try body()
    }

    /// Runs the body inside the namespace on a thread of its own and waits for it.
    ///
    /// The thread ends with the body and never runs anything else, so the namespace may be of any kind that one
    /// thread can enter, and the caller may be a test on the cooperative pool (which it blocks).
    public func onOwnThread<Result>(_ body: () throws -> Result) throws -> Result {
        try OwnThread.run {
            try enter()
            return try body()
        }
    }
}

/// A thread that exists for one call.
public enum OwnThread {
    private final class Work {
        var body: (() -> Void)?
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// Runs the body on a new thread and waits for its end.
    ///
    /// Use it where the thread itself matters: namespaces, and ``ChildOperation/dieWithParent(_:)``, which fires
    /// when the *thread* that made the child ends.
    public static func run<Result>(_ body: () throws -> Result) throws -> Result {
        var outcome: Swift.Result<Result, any Error>?
        let started = withoutActuallyEscaping({ outcome = Swift.Result(catching: body) }) { escapable in
            let work = Work(escapable)
            let started = unsafe egret_run_on_thread(
                { context in
                    guard let context = unsafe context else { return }
                    unsafe Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().body?()
                },
                Unmanaged.passUnretained(work).toOpaque()
            )
            work.body = nil
            return started
        }
        try check(started, "start a thread")
        guard let outcome else { throw LinuxError(.again, operation: "run on a thread of its own") }
        return try outcome.get()
    }
}
