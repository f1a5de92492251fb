// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What came of a program that was run to its end.
public struct ProgramRun: Hashable, Sendable {
    /// How it ended; `nil` if it was killed because its time was over.
    public var status: ChildProcess.Status?
    /// What it wrote to standard output and standard error, in the order in which it came, at most
    /// ``outputLimit`` bytes of it.
    public var output: String

    /// The most output that is kept, in bytes.
    public static let outputLimit = 1 << 16

    /// Whether it ended by itself with code 0.
    public var succeeded: Bool { status == .exited(0) }

    /// Runs a program without a shell, and waits for its end.
    ///
    /// It reads nothing, and gets default signals and a session of its own: it cannot ask at the terminal.
    ///
    /// - Parameters:
    ///   - command: The program.
    ///   - limit: How long it may take; whatever is left of it then is killed, with the processes of its group.
    /// - Returns: What came of it.
    /// - Throws: ``LinuxError`` with ``Errno/noEntry`` if there is no such program, or what else kept it from starting.
    public static func run(_ command: Command, limit: Duration) throws(LinuxError) -> ProgramRun {
        let end = ContinuousClock.now + limit
        let (child, output) = try start(command)
        let bytes = try collect(output, until: end)
        var poll = Poll()
        poll.add(child.descriptor)
        if bytes.isComplete {
            while ContinuousClock.now < end {
                let ready = try poll.wait(timeout: ContinuousClock.now.duration(to: end))
                if !ready.isEmpty { break }
            }
        }
        let status = try child.wait(.noHang)
        if status == nil {
            try? child.signalGroup(.kill)
            try child.waitForEnd()
        }
        return ProgramRun(status: status, output: String(decoding: bytes.all, as: UTF8.self))
    }

    private static func start(_ command: Command) throws(LinuxError) -> (ChildProcess, output: Descriptor) {
        let pipe = try Descriptor.pipe()
        let child = try ChildProcess.spawn([
            .startSession, .open("/dev/null", as: 0), .duplicate(pipe.write, onto: 1), .duplicate(pipe.write, onto: 2),
            .closeOnExecute(3...UInt32.max), .resetSignals(), .execute(command),
        ])
        return (child, pipe.read)
    }

    private static func collect(
        _ pipe: Descriptor,
        until end: ContinuousClock.Instant
    ) throws(LinuxError) -> (all: [UInt8], isComplete: Bool) {
        var all: [UInt8] = []
        var poll = Poll()
        poll.add(pipe)
        while ContinuousClock.now < end {
            let ready = try poll.wait(timeout: ContinuousClock.now.duration(to: end))
            if ready.isEmpty { continue }
            let bytes = try pipe.read(upTo: 4096)
            if bytes.isEmpty { return (all, true) }
            all += bytes.prefix(outputLimit - all.count)
        }
        return (all, false)
    }
}
