// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDoctor

/// A diagnosis for programs: `egret doctor ENDPOINT -o json`.
struct DiagnosisDocument: Encodable {
    struct Line: Encodable {
        var step: String
        /// `good`, `unknown`, `not-needed` or `bad`.
        var state: String
        var seen: String
    }

    struct Fault: Encodable {
        var step: String
        var seen: String
        var reason: String
        var commands: [String]
        /// Whether `--fix` runs the commands.
        var fixable: Bool
        /// Whether the network is at fault, rather than who was asked.
        var network: Bool
    }

    var version = 1
    var endpoint: String
    var probe: String
    var healthy: Bool
    var steps: [Line]
    var finding: Fault?
    /// The commands that `--fix` has run.
    var repairs: [String]

    init(_ diagnosis: Diagnosis, endpoint: String, probe: Probe, repairs: [String]) {
        self.endpoint = endpoint
        self.probe = probe.description
        self.repairs = repairs
        healthy = diagnosis.finding == nil
        steps = diagnosis.lines.map { line in
            let (state, seen) = line.judgment.words
            return Line(step: line.step.rawValue, state: state, seen: seen)
        }
        finding = diagnosis.finding.map { finding in
            Fault(
                step: finding.step.rawValue,
                seen: finding.seen,
                reason: finding.reason,
                commands: finding.commandLines,
                fixable: finding.isEgrets,
                network: finding.isNetworkFault
            )
        }
    }
}

extension Judgment {
    /// The judgment as a word, and what was seen.
    fileprivate var words: (state: String, seen: String) {
        switch self {
        case .good(let seen): ("good", seen)
        case .unknown(let seen): ("unknown", seen)
        case .notNeeded(let seen): ("not-needed", seen)
        case .bad(let finding): ("bad", finding.seen)
        }
    }
}
