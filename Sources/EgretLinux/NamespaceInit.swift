// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The first process of new pid, network and mount namespaces, and handles on the three.
///
/// It does nothing but exist: while it lives, commands can be born into its namespaces, and when it dies the kernel
/// kills every one of them. It dies with the *thread* that made it, so that thread must be one that stays.
///
/// It starts as a copy of this process and keeps those pages that this process later changes: make it early.
public struct NamespaceInit: Sendable {
    /// The process.
    public let process: ChildProcess
    /// Its pid namespace.
    public let processes: Namespace
    /// Its network namespace, with nothing in it but a loopback that is down.
    public let network: Namespace
    /// Its mount namespace.
    public let mounts: Namespace

    /// Makes the namespaces and their init.
    ///
    /// - Parameter setUp: Steps inside the namespaces with the caller's privileges, such as mounts. The first should
    ///   make mount propagation private, or mounts reach the host.
    /// - Returns: The init, asleep.
    /// - Throws: ``LinuxError`` naming the step that failed. Nothing is left.
    public static func start(_ setUp: [ChildOperation]) throws(LinuxError) -> NamespaceInit {
        try begin(setUp).confirm()
    }

    /// Makes the namespaces and their init, and returns before the steps are done: they take their time while the
    /// caller does something else. ``StartedInit/confirm()`` waits for them.
    public static func begin(_ setUp: [ChildOperation]) throws(LinuxError) -> StartedInit {
        let (read, write) = try Descriptor.pipe()
        // The write end must go in the child, or it would wait on itself if this process died.
        let barrier: [ChildOperation] = [
            .closeDescriptors(UInt32(write.number)...UInt32(write.number)), .awaitByte(from: read),
        ]
        let started = try ChildProcess.start(
            in: [.process, .network, .mount],
            barrier + [.startSession] + setUp + [.becomeInit]
        )
        let child = started.child
        do throws(LinuxError) {
            // Once undumpable, it could be looked into with CAP_SYS_PTRACE only.
            let processes = try Namespace.open(.process, process: child.identifier)
            let network = try Namespace.open(.network, process: child.identifier)
            let mounts = try Namespace.open(.mount, process: child.identifier)
            try write.write([0])
            let namespaces = NamespaceInit(process: child, processes: processes, network: network, mounts: mounts)
            return StartedInit(namespaces: namespaces, started: started)
        } catch {
            try? child.signal(.kill)
            _ = try? child.waitForEnd()
            throw error
        }
    }

    /// The steps by which a child enters the network and mount namespaces. Its working directory becomes the root.
    public var join: [ChildOperation] { [.join(network), .join(mounts)] }

    /// Kills the init, and so everything in its pid namespace, and waits until all are gone.
    ///
    /// The kernel holds the init back until every process of the namespace has been waited for. Those that this
    /// process started there are its own to wait for, so they must be named here unless their end was seen before:
    /// else this waits for ever. Once ended, it may be ended again.
    public func end(waitingFor children: [ChildProcess] = []) throws(LinuxError) {
        try ignoringGone { () throws(LinuxError) in try process.signal(.kill) }
        for child in children {
            try ignoringGone { () throws(LinuxError) in try child.waitForEnd() }
        }
        try ignoringGone { () throws(LinuxError) in try process.waitForEnd() }
    }

    private func ignoringGone<Result>(_ body: () throws(LinuxError) -> Result) throws(LinuxError) {
        do throws(LinuxError) {
            _ = try body()
        } catch {
            guard error.errno == .noProcess || error.errno == .noChild else { throw error }
        }
    }
}

/// An init whose namespaces are there, while its steps may not be done yet.
public struct StartedInit: ~Copyable {
    /// The init. No command may be born into it before ``confirm()``.
    public let namespaces: NamespaceInit
    private let started: StartedChild

    fileprivate init(namespaces: NamespaceInit, started: consuming StartedChild) {
        self.namespaces = namespaces
        self.started = started
    }

    /// Waits until the steps are done.
    ///
    /// - Throws: ``LinuxError`` naming the step that failed. The init is gone then.
    public consuming func confirm() throws(LinuxError) -> NamespaceInit {
        let namespaces = namespaces
        do throws(LinuxError) {
            _ = try started.confirm()
        } catch {
            try? namespaces.end()
            throw error
        }
        return namespaces
    }
}
