// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretFlows
import EgretLinux
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// One refused or audited packet as a line of JSON. `docs/report.md` describes it.
struct LogLine: Encodable {
    var time: String
    var verdict: String
    var reason: String
    var rule: String?
    var location: String?
    var source: String
    var sourcePort: UInt16?
    var destination: String
    var service: String
    var bytes: UInt64

    init(_ record: KernelFlows.LogRecord, _ meaning: LogMeaning, _ clauses: ClauseText) {
        let now = WallTime.now
        let date = Date(timeIntervalSince1970: Double(now.seconds) + Double(now.nanoseconds) / 1e9)
        time = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let clause: DecidingClause?
        switch meaning {
        case .audited(let audited):
            (verdict, reason, clause) = ("allow", "audit", audited)
        case .refused(let refusal):
            (verdict, reason, clause) = (refusal.words.verdict, refusal.words.reason, refusal.clause)
        }
        rule = clause.map(clauses.short)
        location = clause.flatMap(clauses.location)?.description
        source = record.source.description
        sourcePort = record.sourcePort
        destination = record.key.destination.description
        service = record.key.serviceText
        bytes = record.bytes
    }

    /// The line, with its line feed.
    func text() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}
