// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy

/// Why a command could not be run, in words for the user.
struct RunFailure: Error {
    var message: String
    /// What to do about it.
    var advice: String?
    /// `env(1)`'s and `docker run`'s: 125 for Egret's own failures.
    var exitCode: Int32 = 125

    /// The message and the advice, ready to be printed.
    var lines: [String] {
        ["egret: \(message)"] + (advice.map { ["       \($0)"] } ?? [])
    }
}

extension RunFailure: CustomStringConvertible {
    var description: String { message }
}

extension RunFailure {
    /// A command that could not be executed, in a shell's words.
    ///
    /// - Parameters:
    ///   - command: The command as it was typed.
    ///   - error: What the kernel said.
    /// - Returns: The failure, with the exit code that a shell gives it.
    static func cannotExecute(_ command: String, _ error: LinuxError) -> RunFailure {
        let hasPath = command.contains("/")
        let reason: String
        var advice: String?
        switch error.errno {
        case .noEntry where !hasPath: reason = "command not found"
        case .noEntry where File.exists(command):
            reason = "the program that is to interpret it does not exist"
            advice = "its first line, or its ELF header, names a program that is not here"
        case .accessDenied where (try? File.status(command).kind) == .directory: reason = "Is a directory"
        default: reason = error.errno.text
        }
        return RunFailure(
            message: "\(command): \(reason)".withVisibleControls, advice: advice, exitCode: error.exitCodeOfShell)
    }

    /// An option that `egret run` does not have.
    static func unknownOption(_ option: String) -> RunFailure {
        let meant = UnknownWord.option(meantBy: option, of: RunCommand.self).map { "; did you mean \($0)?" } ?? ""
        return RunFailure(
            message: "unknown option \(option)\(meant)".withVisibleControls,
            advice: "see egret run --help; the command to run comes after --"
        )
    }
}
