// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretFlows
import EgretLinux
import EgretPolicy

/// Where a run tells what it saw: the log file while it runs, the report at its end.
final class RunOutput {
    private let format: ReportFormat
    private let reportFile: Descriptor?
    private let log: Descriptor?

    /// Opens the files, so that one that cannot be written is known before anything runs.
    init(_ options: RunCommand) throws {
        format = options.report
        reportFile = try options.reportFile.map {
            try Descriptor.open($0, [.writeOnly, .create, .truncate], mode: 0o644)
        }
        log = try options.logFile.map { try Descriptor.open($0, [.writeOnly, .create, .append], mode: 0o644) }
    }

    /// Writes a packet's line.
    func log(_ record: KernelFlows.LogRecord, _ meaning: LogMeaning, _ clauses: ClauseText) {
        guard let log else { return }
        let line = LogLine(record, meaning, clauses)
        try? log.write((try? line.text()) ?? "")
    }

    /// Writes the report.
    func finish(
        _ report: RunReport,
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
            text = try ReportDocument(report, policies: policies, command: command, ending: ending).text()
        case .text:
            let style = reportFile == nil ? Console.errorStyle : Style(isColoured: false)
            let lines = ReportText(report, policies: policies, style: style)
                .lines(ending: status.sentence(about: command.first ?? "", seconds: seconds))
            text = lines.map { $0 + "\n" }.joined()
        }
        try (reportFile ?? .standardError).write(text)
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
