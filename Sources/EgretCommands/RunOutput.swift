// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretFlows
import EgretLinux
import EgretNames
import EgretPolicy

/// Where a run tells what it saw: the log file while it runs, the report at its end.
final class RunOutput {
    private let format: ReportFormat
    private let reportFile: OpenedFile?
    private let log: OpenedFile?
    private let user: UserIdentity
    private var unwrittenLines = 0
    private var warnings: [String] = []
    private let isRootByDefault: Bool

    /// Opens the files, so that one that cannot be written is known before anything runs.
    ///
    /// They are opened as the command's user: paths in that user's reach may lead anywhere.
    init(_ options: RunCommand, as user: UserIdentity) throws {
        self.user = user
        isRootByDefault = user.user == 0 && options.user == nil
        format = options.report
        reportFile = try options.reportFile.map { try OpenedFile($0, [.truncate], as: user) }
        log = try options.logFile.map { try OpenedFile($0, [.append], as: user) }
    }

    /// Tells of something that has happened while the command runs.
    func tell(_ events: [String]) {
        if format == .text { Console.error(events.map { "egret: \($0)" }) }
    }

    /// Tells what the user should know before the command starts.
    ///
    /// It stands where the report stands: on standard error, in the report file, in the JSON document, or nowhere.
    func warn(_ found: [String]) {
        if isRootByDefault {
            warnings.append("the command runs as root and can touch root's files; --user runs it as somebody else")
        }
        warnings += found
        if format == .text && reportFile == nil { Console.error(warningLines) }
    }

    private var warningLines: [String] {
        warnings.map { "egret: warning: \($0.withVisibleControls)" }
    }

    /// Whether there is a log file.
    var hasLog: Bool { log != nil }

    /// Writes the line of a refused question, or of a refused connection to a name.
    func log(_ entry: NameLogEntry) {
        guard let log else { return }
        do {
            try log.descriptor.write(NameLogLine(entry).text())
        } catch {
            unwrittenLines += 1
        }
    }

    /// Writes a packet's line.
    func log(_ record: KernelFlows.LogRecord, _ meaning: LogMeaning, _ clauses: ClauseText) {
        guard let log else { return }
        do {
            try log.descriptor.write(LogLine(record, meaning, clauses).text())
        } catch {
            unwrittenLines += 1
        }
    }

    /// What the log file lacks, as a sentence; `nil` if nothing.
    var logProblem: String? {
        guard let log, unwrittenLines > 0 else { return nil }
        let lines = unwrittenLines == 1 ? "1 line" : "\(unwrittenLines) lines"
        return "\(lines) could not be written to \(log.path.withVisibleControls)"
    }

    /// Writes the report.
    func finish(
        _ report: RunReport,
        names: NameReport?,
        budgets: [RunBudgets.Use],
        policies: PolicySet,
        command: [String],
        status: ChildProcess.Status,
        seconds: Double
    ) throws {
        let text: String
        switch format {
        case .none: return
        case .json:
            let ending = ReportDocument.Ending(status, seconds: seconds)
            text = try ReportDocument(
                report, names: names, budgets: budgets, policies: policies, command: command, ending: ending,
                warnings: warnings
            )
            .text()
        case .text:
            let style = reportFile == nil ? Console.errorStyle : Style(isColoured: false)
            let lines = ReportText(report, names: names, budgets: budgets, policies: policies, style: style)
                .lines(ending: status.sentence(about: command.first ?? "", seconds: seconds))
            text = ((reportFile == nil ? [] : warningLines) + lines).map { $0 + "\n" }.joined()
        }
        guard let reportFile else { return try Descriptor.standardError.write(text) }
        if !reportFile.isInPlace(for: user) {
            Console.error([
                "egret: warning: the report file \(reportFile.path.withVisibleControls) was replaced during the run; "
                    + "the report is:"
            ])
            try? Descriptor.standardError.write(text)
        }
        try reportFile.descriptor.write(text)
    }
}

/// A file for output, and the path it was opened by.
private struct OpenedFile {
    let path: String
    let descriptor: Descriptor

    init(_ path: String, _ flags: Descriptor.OpenFlags, as user: UserIdentity) throws {
        self.path = path
        descriptor = try user.openingForCommand {
            try Descriptor.open(path, flags.union([.writeOnly, .create]), mode: 0o644)
        }
    }

    /// Whether the path still leads to the file that was opened.
    func isInPlace(for user: UserIdentity) -> Bool {
        do {
            let named = try user.opening { try File.status(path) }
            let opened = try File.status("/proc/self/fd/\(descriptor.number)")
            return (named.device, named.inode) == (opened.device, opened.inode)
        } catch {
            return false
        }
    }
}

extension UserIdentity {
    /// ``opening(_:)``, which says whose rights did not suffice.
    func openingForCommand<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try opening(body)
        } catch let error as LinuxError {
            guard error.errno == .accessDenied, user != CurrentProcess.effectiveUser else { throw error }
            throw RunFailure(
                message: "\(error)",
                advice: "files are opened as the user the command runs as: \(name ?? "\(user)")"
            )
        }
    }
}

extension ReportDocument.Ending {
    init(_ status: ChildProcess.Status, seconds: Double) {
        exitCode = status.exitCodeOfShell
        if case .signaled(let signal, _) = status { self.signal = signal.rawValue }
        self.seconds = (seconds * 1000).rounded() / 1000
    }
}

extension ChildProcess.Status {
    /// `curl ended with exit code 7 after 1.2 s`.
    fileprivate func sentence(about command: String, seconds: Double) -> String {
        let time = seconds < 1 ? "after \(Int(seconds * 1000)) ms" : "after \((seconds * 10).rounded() / 10) s"
        let name = command.withVisibleControls
        return switch self {
        case .signaled(let signal, _): "\(name) was ended by \(signal) \(time)"
        case .exited(let code): "\(name) ended with exit code \(code) \(time)"
        case .stopped, .continued: "\(name) has not ended"
        }
    }
}
