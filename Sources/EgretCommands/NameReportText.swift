// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNames
import EgretPolicy

/// What became of names, for people.
struct NameReportText {
    private let report: NameReport
    private let lineLimit: Int
    private let style: Style

    init(_ report: NameReport, lineLimit: Int, style: Style) {
        self.report = report
        self.lineLimit = lineLimit
        self.style = style
    }

    /// The lines; none if every question was answered and every connection passed.
    var lines: [String] { refusedNames + refusedConnections + notes }

    private var refusedNames: [String] {
        let names = report.deniedNames.map { ($0.key, "no rule allows it", $0.count) }
        let types = report.deniedTypes.map { ($0.key.name, "no rule allows \($0.key.type) records of it", $0.count) }
        let rows = names + types
        if rows.isEmpty { return [] }
        var table = TextTable(header: ["NAME", "WHY", "TIMES"], alignments: [.left, .left, .right])
        for (name, reason, count) in rows.prefix(lineLimit) {
            table.append([name.withVisibleControls, reason, "\(count)"])
        }
        return [style.red("names not resolved")] + table.lines + more(than: rows.count)
    }

    private var refusedConnections: [String] {
        let rows = report.refusedConnections + report.unreachable
        if rows.isEmpty { return [] }
        var table = TextTable(
            header: ["DESTINATION", "PORT", "NAME SAID", "WHY", "TIMES"],
            alignments: [.left, .left, .left, .left, .right])
        for row in rows.prefix(lineLimit) {
            table.append([
                row.key.address.description, "\(row.key.port)/\(row.key.transport)",
                (row.key.name ?? "-").withVisibleControls, row.key.words, "\(row.count)",
            ])
        }
        return [style.red("connections to names ended")] + table.lines + more(than: rows.count)
    }

    private func more(than count: Int) -> [String] {
        count > lineLimit ? ["  … and \(count - lineLimit) more; --report json has them all"] : []
    }

    private var notes: [String] {
        var lines: [String] = []
        func add<Key>(_ counted: [NameJournal.Counted<Key>], _ words: (Key) -> String) {
            for item in counted.prefix(5) {
                lines.append("  \(words(item.key))\(item.count > 1 ? ", \(item.count) times" : "")")
            }
            if counted.count > 5 { lines.append("  … and \(counted.count - 5) more of these") }
        }
        add(report.removedAddresses) {
            "an answer for \($0.name) held \($0.address), which is not public: it was removed"
        }
        add(report.limitsReached) { "a limit was reached: \($0)" }
        add(report.deniedServers) { "the server \($0.address) may not be asked" }
        add(report.silentServers) { "the server \($0.address) did not answer in time" }
        add(report.badAnswers) { "an answer was not used: \($0)" }
        add(report.failedCommits) { "an answer was kept back: \($0)" }
        if report.unverified > 0 {
            let connections = report.unverified == 1 ? "1 connection" : "\(report.unverified) connections"
            lines.append("  \(connections) passed without a name that could be read")
        }
        if report.omitted > 0 { lines.append("  \(report.omitted) further refusals of names are not listed") }
        return lines.map { style.yellow($0.withVisibleControls) }
    }
}

extension NameJournal.Connection {
    /// Why the connection ended, in words.
    var words: String {
        switch reason {
        case .name: "no rule allows this name there"
        case .nothingRead(let absence): absence
        case .address: "refused by address"
        case .notHeld: "no allowed name has this address"
        case .limit: "too many connections"
        }
    }
}

extension ReportDocument {
    /// What became of names. Every list has the most frequent first.
    struct Names: Encodable {
        struct Name: Encodable {
            var name: String
            var type: String?
            var times: UInt64
        }

        struct Connection: Encodable {
            var destination: String
            var port: UInt16
            /// `nil` for TCP.
            var transport: String?
            var name: String?
            var reason: String
            var times: UInt64

            init(_ counted: NameJournal.Counted<NameJournal.Connection>) {
                destination = counted.key.address.description
                port = counted.key.port
                transport = counted.key.transport == .tcp ? nil : "\(counted.key.transport)"
                name = counted.key.name
                reason = counted.key.words
                times = counted.count
            }
        }

        struct RemovedAddress: Encodable {
            var name: String
            var address: String
            var times: UInt64
        }

        struct Event: Encodable {
            var text: String
            var times: UInt64
        }

        var resolved: [Name]
        var denied: [Name]
        var refusedConnections: [Connection]
        var unreachable: [Connection]
        var removedAddresses: [RemovedAddress]
        var limitsReached: [Event]
        var deniedServers: [Event]
        var silentServers: [Event]
        var badAnswers: [Event]
        var failedCommits: [Event]
        var unverifiedConnections: UInt64
        var omitted: UInt64

        init(_ report: NameReport) {
            resolved = report.resolvedNames.map { Name(name: $0.key, times: $0.count) }
            denied =
                report.deniedNames.map { Name(name: $0.key, times: $0.count) }
                + report.deniedTypes.map { Name(name: $0.key.name, type: $0.key.type, times: $0.count) }
            refusedConnections = report.refusedConnections.map { Connection($0) }
            unreachable = report.unreachable.map { Connection($0) }
            removedAddresses = report.removedAddresses.map {
                RemovedAddress(name: $0.key.name, address: $0.key.address.description, times: $0.count)
            }
            limitsReached = report.limitsReached.map { Event(text: $0.key, times: $0.count) }
            deniedServers = report.deniedServers.map { Event(text: $0.key.address.description, times: $0.count) }
            silentServers = report.silentServers.map { Event(text: $0.key.address.description, times: $0.count) }
            badAnswers = report.badAnswers.map { Event(text: $0.key, times: $0.count) }
            failedCommits = report.failedCommits.map { Event(text: $0.key, times: $0.count) }
            unverifiedConnections = report.unverified
            omitted = report.omitted
        }
    }
}
