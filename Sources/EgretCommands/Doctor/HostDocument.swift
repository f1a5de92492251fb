// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDoctor

/// The check of the host for programs: `egret doctor -o json`.
struct HostDocument: Encodable {
    struct Line: Encodable {
        var name: String
        var good: Bool
        var needed: Bool
        var seen: String
        var commands: [String]

        init(_ line: HostCheck.Line) {
            name = line.name
            good = line.isGood
            needed = line.isNeeded
            seen = line.words
            commands = line.commands.map { $0.joined(separator: " ") }
        }
    }

    var version = 1
    var healthy: Bool
    var features: [Line]
    var conflicts: [Line]

    init(_ check: HostCheck) {
        healthy = check.isHealthy
        features = check.features.map(Line.init)
        conflicts = check.conflicts.map(Line.init)
    }
}

extension DoctorText {
    /// What the kernel can do, and what stands in the way.
    func text(_ check: HostCheck) -> String {
        let all = check.features + check.conflicts
        let width = all.map(\.name.count).max() ?? 0
        func line(_ line: HostCheck.Line) -> String {
            let mark = line.isGood ? style.green("✓") : line.isNeeded ? style.red("✗") : style.yellow("!")
            let name = line.name + String(repeating: " ", count: width - line.name.count)
            return "  \(mark) \(name)  \(line.words)"
        }
        var lines = ["This kernel:"] + check.features.map(line) + ["", "This host:"] + check.conflicts.map(line)
        let commands = all.filter { !$0.isGood }.flatMap(\.commands).map { $0.joined(separator: " ") }
        if !commands.isEmpty { lines += ["", "Mend it by:"] + commands.map { "  \($0)" } }
        return lines.map { $0 + "\n" }.joined()
    }
}
