// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A child that was forked and has not yet reported that all its steps were done.
public struct StartedChild: ~Copyable {
    /// The child.
    public let child: ChildProcess
    private let report: Descriptor
    private let operations: [ChildOperation]

    fileprivate init(child: ChildProcess, report: Descriptor, operations: [ChildOperation]) {
        self.child = child
        self.report = report
        self.operations = operations
    }

    /// Waits until the child executes its program (or has become an init, or has ended).
    ///
    /// - Throws: ``LinuxError`` naming the step that failed; the child is then gone and waited for.
    public consuming func confirm() throws(LinuxError) -> ChildProcess {
        let bytes = try readReport()
        guard bytes.count == MemoryLayout<egret_step_failure>.size else { return child }
        let failure = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: egret_step_failure.self) }
        try child.waitForEnd()
        let errno = Errno(rawValue: failure.error)
        guard operations.indices.contains(Int(failure.index)) else {
            throw LinuxError(errno, operation: "start process", object: "\(child.identifier)")
        }
        let phrase = operations[Int(failure.index)].phrase
        throw LinuxError(errno, operation: phrase.operation, object: phrase.object)
    }

    private func readReport() throws(LinuxError) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < MemoryLayout<egret_step_failure>.size {
            let more = try report.read(upTo: MemoryLayout<egret_step_failure>.size - bytes.count)
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }
}

extension ChildProcess {
    /// Makes a child that runs the operations, and returns once it executes its program.
    ///
    /// The child starts as a copy of the calling thread, in the new namespaces named, with every signal blocked. It is
    /// the caller's own child in every case, also when it is born into another pid namespace, so
    /// ``wait(_:)`` with ``WaitOptions/untraced`` sees its stops.
    ///
    /// - Parameters:
    ///   - namespaces: New namespaces for the child.
    ///   - processNamespace: An existing pid namespace for the child to be born into. The calling thread's own
    ///     namespace for children is put back before this returns; if that fails, the process aborts.
    ///   - operations: The steps; see ``ChildOperation``. Do not use ``ChildOperation/awaitByte(from:)`` here if the
    ///     byte comes from the caller: use ``start(in:joining:_:)``.
    /// - Returns: The child, which now executes its program.
    /// - Throws: ``LinuxError`` naming the operation that failed. Nothing is left running.
    public static func spawn(
        in namespaces: NamespaceKinds = [],
        joining processNamespace: Namespace? = nil,
        _ operations: [ChildOperation]
    ) throws(LinuxError) -> ChildProcess {
        try start(in: namespaces, joining: processNamespace, operations).confirm()
    }

    /// Makes a child as ``spawn(in:joining:_:)`` does, and returns as soon as it is forked.
    public static func start(
        in namespaces: NamespaceKinds = [],
        joining processNamespace: Namespace? = nil,
        _ operations: [ChildOperation]
    ) throws(LinuxError) -> StartedChild {
        try refuseUnusable(operations)
        let program = try ChildProgram(operations)
        var made = egret_child()
        let result = try withProcessNamespace(processNamespace) { () -> Int32 in
            var steps = program.steps
            return unsafe steps.withUnsafeMutableBufferPointer { buffer in
                unsafe egret_start_child(UInt64(namespaces.rawValue), buffer.baseAddress, buffer.count, &made)
            }
        }
        // The descriptors that the steps name must stay open until the fork.
        withExtendedLifetime((program, operations)) {}
        try check(result, "start a process")
        let child = ChildProcess(identifier: made.process, descriptor: Descriptor(owning: made.process_descriptor))
        return StartedChild(child: child, report: Descriptor(owning: made.report_descriptor), operations: operations)
    }

    private static func withProcessNamespace(
        _ namespace: Namespace?,
        _ body: () -> Int32
    ) throws(LinuxError) -> Int32 {
        guard let namespace else { return body() }
        let home = try Namespace.open(.process, path: "/proc/thread-self/ns/pid")
        try namespace.enter()
        defer {
            if egret_setns(home.descriptor.number, egret_clone_newpid) < 0 {
                unsafe egret_abort("egret: cannot return to the home pid namespace; giving up")
            }
        }
        return body()
    }

    /// A program without candidates has nothing to report, so it is refused before the fork; likewise a filter longer
    /// than the kernel's 4,096 instructions, whose count would not fit.
    private static func refuseUnusable(_ operations: [ChildOperation]) throws(LinuxError) {
        for operation in operations {
            switch operation {
            case .execute(let command) where command.candidates.isEmpty:
                throw LinuxError(.noEntry, operation: "run", object: "an empty name")
            case .execute(let command) where command.arguments.isEmpty:
                throw LinuxError(.invalid, operation: "run", object: "\(command.program) without its own name")
            case .installFilter(let instructions) where instructions.count > 4_096:
                throw LinuxError(.argumentsTooLong, operation: "install the seccomp filter")
            default:
                continue
            }
        }
    }
}
