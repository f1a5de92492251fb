// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy

/// What `egret map --diff` says.
struct DifferenceRows {
    /// For programs.
    struct Document: Encodable {
        struct Pair: Encodable {
            var from: String
            var fromKind: String
            var to: String
            var toKind: String
            /// Where the two families differ.
            var family: String?
            var gained: [String]
            var lost: [String]
        }

        struct Outside: Encodable {
            var workload: String
            var kind: String
            /// `egress`: the workload begins. `ingress`: the outside does.
            var direction: String
            var cidrs: [String]
            var gained: [String]
            var lost: [String]
        }

        struct Host: Encodable {
            var workload: String
            var kind: String
            var cidrs: [String]
            var gained: [String]
            var lost: [String]
        }

        struct Names: Encodable {
            var workload: String
            var kind: String
            var domain: String
            var gained: [String]
            var lost: [String]
        }

        var added: [String]
        /// The kinds of these, in the same order.
        var addedKinds: [String]
        var removed: [String]
        var removedKinds: [String]
        var pairs: [Pair] = []
        var outside: [Outside] = []
        var host: [Host] = []
        /// Absent where nothing changes for a name.
        var names: [Names]?
    }

    private struct Row {
        var source: MapRows.End
        var target: MapRows.End
        var family: AddressFamily?
        var change: ReachabilityDifference.Change
    }

    /// Blocks of one workload and direction that change alike.
    private struct Group: Hashable {
        var workload: Workload.ID
        /// Who begins with the outside; `nil` for the workload with its machine.
        var direction: TrafficDirection?
        var change: ReachabilityDifference.Change
    }

    private var document: Document
    private var rows: [Row] = []
    private let names: WorkloadNames
    private let added: [Workload.ID]
    private let removed: [Workload.ID]

    /// Whether nothing changes.
    var isEmpty: Bool { document.added.isEmpty && document.removed.isEmpty && rows.isEmpty }

    /// - Parameters:
    ///   - difference: What changes.
    ///   - named: The workloads whose changes are listed; `nil` for all.
    ///   - names: What workloads are called.
    init(_ difference: ReachabilityDifference, of named: Set<Workload.ID>?, names: WorkloadNames = WorkloadNames()) {
        self.names = names
        func isListed(_ ids: Workload.ID...) -> Bool {
            guard let named else { return true }
            return ids.contains(where: named.contains)
        }
        added = difference.added.filter { isListed($0) }
        removed = difference.removed.filter { isListed($0) }
        document = Document(
            added: added.map(\.description), addedKinds: added.map(\.kind), removed: removed.map(\.description),
            removedKinds: removed.map(\.kind))
        for pair in difference.pairs where isListed(pair.source, pair.target) { append(pair) }
        let outside = difference.outside.map {
            (Group(workload: $0.workload, direction: $0.direction, change: $0.change), $0.prefix)
        }
        let host = difference.host.map {
            (Group(workload: $0.workload, direction: nil, change: $0.change), $0.prefix)
        }
        var order: [Group] = []
        var prefixes: [Group: [IPPrefix]] = [:]
        for (group, prefix) in outside + host where isListed(group.workload) {
            if prefixes[group] == nil { order.append(group) }
            prefixes[group, default: []].append(prefix)
        }
        for group in order { append(group, prefixes[group] ?? []) }
        for names in difference.names where isListed(names.workload) { append(names) }
    }

    private mutating func append(_ pair: ReachabilityDifference.Pair) {
        rows.append(
            Row(
                source: .workload(pair.source), target: .workload(pair.target), family: pair.family, change: pair.change
            ))
        document.pairs.append(
            Document.Pair(
                from: pair.source.description, fromKind: pair.source.kind, to: pair.target.description,
                toKind: pair.target.kind, family: pair.family?.label,
                gained: pair.change.gained.texts, lost: pair.change.lost.texts))
    }

    private mutating func append(_ group: Group, _ prefixes: [IPPrefix]) {
        let workload = MapRows.End.workload(group.workload)
        guard let direction = group.direction else {
            rows.append(Row(source: workload, target: .host(prefixes), change: group.change))
            document.host.append(
                Document.Host(
                    workload: group.workload.description, kind: group.workload.kind, cidrs: prefixes.map(\.description),
                    gained: group.change.gained.texts, lost: group.change.lost.texts))
            return
        }
        let outside = MapRows.End.outside(prefixes)
        let isEgress = direction == .egress
        rows.append(
            Row(source: isEgress ? workload : outside, target: isEgress ? outside : workload, change: group.change))
        document.outside.append(
            Document.Outside(
                workload: group.workload.description, kind: group.workload.kind, direction: direction.rawValue,
                cidrs: prefixes.map(\.description), gained: group.change.gained.texts, lost: group.change.lost.texts))
    }

    private mutating func append(_ names: ReachabilityDifference.Names) {
        rows.append(
            Row(source: .workload(names.workload), target: .names([names.pattern]), change: names.change))
        document.names =
            (document.names ?? []) + [
                Document.Names(
                    workload: names.workload.description, kind: names.workload.kind,
                    domain: names.pattern.description,
                    gained: names.change.gained.texts, lost: names.change.lost.texts)
            ]
    }

    /// The difference in a format.
    func text(_ format: MapFormat) throws -> String {
        switch format {
        case .table, .dot: table(isWide: false)
        case .wide: table(isWide: true)
        case .csv: csv
        case .json, .yaml: try format.common?.text(of: document) ?? ""
        }
    }

    private func table(isWide: Bool) -> String {
        if isEmpty { return "nothing changes\n" }
        var lines =
            added.map { "new workload: \(names.text(of: $0))" }
            + removed.map { "workload gone: \(names.text(of: $0))" }
        if !rows.isEmpty {
            if !lines.isEmpty { lines.append("") }
            var table = TextTable(
                indent: "", header: ["FROM", "TO", "FAMILY", "GAINS", "LOSES"],
                alignments: Array(repeating: .left, count: 5))
            for row in rows {
                for cells in cells(row, isWide: isWide, none: "-", separator: ", ") { table.append(cells) }
            }
            lines += table.lines
        }
        return lines.map { $0.withVisibleControls + "\n" }.joined()
    }

    /// RFC 4180, a row for each block.
    private var csv: String {
        let lines = rows.flatMap { cells($0, isWide: true, none: "", separator: " ") }
            .map { $0.map(CommaSeparated.quoted).joined(separator: ",") }
        return (["from,to,family,gained,lost"] + lines).map { $0 + "\r\n" }.joined()
    }

    private func cells(_ row: Row, isWide: Bool, none: String, separator: String) -> [[String]] {
        func list(_ services: ServiceSet) -> String {
            services.isEmpty ? none : services.entries.joined(separator: separator)
        }
        return row.source.texts(names, isWide: isWide).flatMap { source in
            row.target.texts(names, isWide: isWide).map { target in
                [source, target, row.family?.label ?? none, list(row.change.gained), list(row.change.lost)]
            }
        }
    }
}

extension ServiceSet {
    /// The services, or an empty list for none.
    fileprivate var texts: [String] { isEmpty ? [] : entries }
}
