// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Glibc

/// One command of the demo, and what it must come to.
struct DemoStep: Sendable {
    /// What the audience is told first.
    var narration: String
    /// The command, run on `home`.
    var command: [String]
    /// What must be true afterwards.
    var claims: [DemoClaim]
}

/// Something that must be true of a command's outcome.
struct DemoClaim: Sendable {
    /// The claim, as the audience reads it.
    var text: String
    /// Whether it holds, given the outcome and what the attacker's servers wrote down meanwhile.
    var holds: @Sendable (ProgramOutput, _ attackerLog: String) -> Bool
}

/// Prints and runs the steps, and counts the claims that did not hold.
final class DemoStage {
    private let lab: TestInternet
    private let path: String
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let pace: Double
    private var claims = 0
    private(set) var failures = 0

    init(lab: TestInternet, path: String, pace: Double?) {
        self.lab = lab
        self.path = path
        self.pace = pace ?? (isTerminal ? 0.4 : 0)
    }

    func say(_ text: String) {
        emit("\n" + styled(text, "1"))
    }

    func perform(_ step: DemoStep) throws {
        say(step.narration)
        emit(styled("home# " + step.command.map(quoted).joined(separator: " "), "36"))
        let heard = lab.log(of: .attacker).count
        let output = try lab.run(in: .home, step.command, environment: ["PATH": path], timeout: .seconds(20))
        show(output.standardOutput + output.standardError)
        let news = String(lab.log(of: .attacker).dropFirst(heard))
        for claim in step.claims { check(claim.text, claim.holds(output, news)) }
        Thread.sleep(forTimeInterval: pace)
    }

    func check(_ text: String, _ holds: Bool) {
        claims += 1
        failures += holds ? 0 : 1
        emit(holds ? styled("  ✓ \(text)", "32") : styled("  ✗ \(text)", "1;31"))
    }

    func conclude() {
        let text = failures == 0 ? "All \(claims) claims held." : "\(failures) of \(claims) claims did not hold."
        emit("\n" + styled(text, failures == 0 ? "1;32" : "1;31"))
    }

    private func show(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let trimmed = lines.last == "" ? lines.dropLast() : lines[...]
        for line in trimmed.prefix(40) { emit("  " + line) }
        if trimmed.count > 40 { emit("  … \(trimmed.count - 40) more lines") }
    }

    /// Unbuffered, so that a pipe sees each line when the audience does.
    private func emit(_ line: String) {
        FileHandle.standardOutput.write(Data((line + "\n").utf8))
    }

    private func styled(_ text: String, _ style: String) -> String {
        isTerminal ? "\u{1b}[\(style)m\(text)\u{1b}[0m" : text
    }

    private func quoted(_ word: String) -> String {
        let plain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "-_./:=@%,[]".contains($0) }
        return plain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
