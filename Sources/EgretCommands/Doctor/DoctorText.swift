// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDoctor

/// What the doctor says, for people.
struct DoctorText {
    let style: Style

    /// The steps, the finding, and what mends it.
    func text(_ document: DiagnosisDocument) -> String {
        var lines = ["\(document.endpoint) → \(document.probe)"]
        let width = document.steps.map(\.step.count).max() ?? 0
        for line in document.steps {
            let name = line.step + String(repeating: " ", count: width - line.step.count)
            lines.append("  \(mark(line.state)) \(name)  \(line.seen)")
        }
        lines.append("")
        if !document.repairs.isEmpty {
            lines.append("Repaired by:")
            lines += document.repairs.map { "  \($0)" } + [""]
        }
        if let finding = document.finding {
            lines.append(style.bold("\(finding.step): \(finding.seen)."))
            lines.append("  \(finding.reason)")
            if !finding.commands.isEmpty {
                lines.append(finding.fixable ? "Mend it with --fix, or by:" : "Mend it by:")
                lines += finding.commands.map { "  \($0)" }
            }
        } else {
            let isSure = document.steps.allSatisfy { $0.state != "unknown" }
            lines.append(
                isSure ? "Nothing is in the way." : "Nothing was found in the way; see what is marked with “?”.")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func mark(_ state: String) -> String {
        switch state {
        case "good": style.green("✓")
        case "bad": style.red("✗")
        case "unknown": style.yellow("?")
        default: style.dim("·")
        }
    }
}
