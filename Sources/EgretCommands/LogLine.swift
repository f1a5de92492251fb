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

/// What a log record says happened.
enum LogMeaning {
    case audited(DecidingClause)
    case refused(RefusalReason)
}

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
        time = LogLine.text(of: .now)
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
    func text() throws -> String { try LogLine.text(of: self) }

    fileprivate static func text(of line: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(line), as: UTF8.self) + "\n"
    }

    fileprivate static func text(of time: WallTime) -> String {
        let date = Date(timeIntervalSince1970: Double(time.seconds) + Double(time.nanoseconds) / 1e9)
        return date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }
}

/// Something about a name that was refused, and when.
struct NameLogEntry: Sendable {
    var time = WallTime.now
    /// The name that was asked for, or said; `nil` if none was said.
    var name: String?
    /// The type of the records that were asked for; `nil` of a connection.
    var type: String?
    /// Where the connection went; `nil` of a question.
    var destination: IPAddress?
    var port: UInt16?
    /// What the port is of.
    var transport = IPProtocol.tcp
    var reason: String
}

/// A refused question, or a refused connection to a name, as a line of JSON. `docs/report.md` describes it.
struct NameLogLine: Encodable {
    var time: String
    var verdict = "deny"
    var reason: String
    var name: String?
    var recordType: String?
    var destination: String?
    var service: String?

    init(_ entry: NameLogEntry) {
        time = LogLine.text(of: entry.time)
        reason = entry.reason
        name = entry.name
        recordType = entry.type
        destination = entry.destination?.description
        service = entry.port.map { "\($0)/\(entry.transport)" }
    }

    /// The line, with its line feed.
    func text() throws -> String { try LogLine.text(of: self) }
}
