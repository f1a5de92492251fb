// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A program started in the background, with its output collected in unlinked files.
///
/// Files instead of pipes: a program that writes much and is not read does not stand still, and a daemon that
/// inherits the descriptors does not keep anybody waiting. The child starts with an empty signal mask and default
/// handlers whatever thread starts it, in a process group of its own.
///
/// Belongs to one thread at a time. Whoever starts a program must ``wait(timeout:)`` for it.
public final class RunningProgram {
    /// The process that was started, also the number of its process group.
    public let processIdentifier: Int32
    private let outputFile: CollectingFile
    private let errorFile: CollectingFile
    private let started = ContinuousClock.now
    private var finished: ProgramOutput?

    /// Starts a program found on `PATH`.
    ///
    /// - Parameters:
    ///   - arguments: The program and its arguments; not empty.
    ///   - standardInput: What it reads before it meets the end of its input.
    ///   - environment: Its whole environment; `nil` passes on the caller's.
    /// - Throws: ``LabError`` when the program could not be started.
    public init(
        _ arguments: [String],
        standardInput: String = "",
        environment: [String: String]? = nil
    ) throws(LabError) {
        outputFile = try CollectingFile()
        errorFile = try CollectingFile()
        let input = try CollectingFile(containing: standardInput)
        processIdentifier = try spawn(
            arguments,
            environment: environment,
            descriptors: [input.descriptor, outputFile.descriptor, errorFile.descriptor]
        )
    }

    /// What the program has written to standard output so far.
    public var outputSoFar: String { outputFile.contents }

    /// Sends a signal to the program's whole process group; a group that has ended is left alone.
    public func send(signal: Int32) {
        guard finished == nil else { return }
        _ = kill(-processIdentifier, signal)
    }

    /// Waits for the program to end, and kills its process group when the time is up.
    ///
    /// Called again, it answers the same without waiting. The time counts from the call: tests that run beside each other
    /// may not come to it for long.
    public func wait(timeout: Duration = .seconds(240)) -> ProgramOutput {
        if let finished { return finished }
        let deadline = ContinuousClock.now + timeout
        var status: Int32 = 0
        var timedOut = false
        while true {
            let result = unsafe waitpid(processIdentifier, &status, timedOut ? 0 : WNOHANG)
            if result == processIdentifier || (result < 0 && errno != EINTR) { break }
            if ContinuousClock.now >= deadline {
                timedOut = true
                _ = kill(-processIdentifier, SIGKILL)
            } else {
                usleep(1000)
            }
        }
        let output = ProgramOutput(
            status: status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f),
            standardOutput: outputFile.contents,
            standardError: errorFile.contents,
            timedOut: timedOut,
            duration: ContinuousClock.now - started
        )
        finished = output
        return output
    }
}

/// Runs a program to its end; see ``RunningProgram`` for what the parameters mean.
///
/// - Throws: ``LabError`` when the program could not be started. A program that fails is not an error here.
public func runProgram(
    _ arguments: [String],
    standardInput: String = "",
    environment: [String: String]? = nil,
    timeout: Duration = .seconds(30)
) throws(LabError) -> ProgramOutput {
    try RunningProgram(arguments, standardInput: standardInput, environment: environment).wait(timeout: timeout)
}
