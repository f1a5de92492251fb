// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation

extension DemoClaim {
    /// The command ended with this exit code.
    static func exits(_ code: Int32, _ meaning: String) -> DemoClaim {
        DemoClaim(text: "\(meaning) (exit code \(code))") { output, _ in output.status == code && !output.timedOut }
    }

    /// The command ended with an exit code that is not zero.
    static func fails(_ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in output.status != 0 && !output.timedOut }
    }

    /// Standard output contains a text.
    static func prints(_ text: String) -> DemoClaim {
        DemoClaim(text: "standard output says “\(text)”") { output, _ in output.standardOutput.contains(text) }
    }

    /// Standard output or standard error contains a text.
    static func says(_ text: String, _ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in (output.standardOutput + output.standardError).contains(text) }
    }

    /// The report has a flag, ready to paste, that would have let the refused traffic through.
    static func suggests(_ flag: String) -> DemoClaim {
        .says(flag, "the report suggests \(flag)")
    }

    /// It took less time than this.
    static func within(_ limit: Duration, _ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in output.duration < limit }
    }

    /// Standard output is empty.
    static func printsNothing(_ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in output.standardOutput.isEmpty && output.succeeded }
    }

    /// A text that only the command would print is not there.
    static func doesNotPrint(_ text: String, _ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in !output.standardOutput.contains(text) }
    }

    /// The attacker's servers got this from the command.
    static func attackerHears(_ text: String) -> DemoClaim {
        DemoClaim(text: "the attacker has it: “\(text)”") { _, log in log.contains(text) }
    }

    /// Not one connection or datagram reached the attacker's servers.
    static let attackerHearsNothing = DemoClaim(text: "the attacker heard nothing") { _, log in log.isEmpty }

    /// Standard error, from its first brace on, is one JSON object that mentions all the texts.
    static func reportsJSON(mentioning texts: [String]) -> DemoClaim {
        DemoClaim(text: "the report is JSON and has \(texts.joined(separator: " and "))") { output, _ in
            guard let start = output.standardError.firstIndex(of: "{") else { return false }
            let report = output.standardError[start...]
            let parsed = try? JSONSerialization.jsonObject(with: Data(report.utf8))
            return parsed is [String: Any] && texts.allSatisfy(report.contains)
        }
    }

    /// The links of `ip -br link` are these and no others.
    static func linksAre(_ names: Set<String>, _ meaning: String) -> DemoClaim {
        DemoClaim(text: meaning) { output, _ in
            let links = output.standardOutput.split(separator: "\n").compactMap { line in
                line.split(separator: " ").first?.split(separator: "@").first.map(String.init)
            }
            return Set(links) == names
        }
    }
}
