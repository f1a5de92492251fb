// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy

/// A map as rows: who may ask whom for what.
struct MapRows {
    /// One end of a row: a workload, the host, or addresses outside.
    enum End: Hashable {
        case workload(Workload.ID)
        /// The workload's machine by some addresses, or by every one of the families that the workload speaks.
        case host([IPPrefix], isWhole: Bool = false)
        /// Addresses outside, or every one of the families that the workload speaks.
        case outside([IPPrefix], isWhole: Bool = false)
        /// Names.
        case names([DomainPattern])
    }

    struct Row {
        var source: End
        var target: End
        /// Where the two families differ.
        var family: AddressFamily?
        var services: ServiceSet
    }

    private(set) var rows: [Row] = []
    private let names: WorkloadNames

    /// More pairs are not listed: they would need gigabytes, and nobody reads them.
    static let limit = 2_000_000

    /// - Parameters:
    ///   - map: The map.
    ///   - named: The workloads that are listed with all others; `nil` for every pair.
    ///   - withNothing: Whether pairs that nothing is allowed to are rows as well.
    ///   - limit: So many pairs at most.
    /// - Throws: ``PolicyMistakes`` if there are more.
    init(
        _ map: ReachabilityMap, of named: Set<Workload.ID>?, withNothing: Bool = true, limit: Int = MapRows.limit
    ) throws {
        names = WorkloadNames(map.inventory)
        let ids = map.inventory.workloads.map(\.id)
        let isListed = ids.map { named?.contains($0) ?? true }
        let listed = named.map { _ in Set(ids.indices.filter { isListed[$0] }) }
        try map.forEachPair(about: listed, withNothing: withNothing) { source, target, pair in
            if rows.count >= limit { throw MapRows.tooMany(ids.count, limit, withNothing: withNothing) }
            if pair.isUniform {
                guard let services = pair.ipv4 ?? pair.ipv6 else { return }
                append(.workload(ids[source]), .workload(ids[target]), nil, services)
            } else {
                for family in AddressFamily.allCases {
                    guard let services = pair[family] else { continue }
                    append(.workload(ids[source]), .workload(ids[target]), family, services)
                }
            }
        }
        for place in ids.indices where isListed[place] {
            let workload = End.workload(ids[place])
            let families = map.families(of: place).count
            func isWhole(_ prefixes: [IPPrefix]) -> Bool {
                prefixes.count == families && prefixes.allSatisfy { $0.length == 0 }
            }
            for (services, prefixes) in MapRows.grouped(map.outside(of: place, .egress)) {
                append(workload, .outside(prefixes, isWhole: isWhole(prefixes)), nil, services)
            }
            if let names = map.names(of: place) {
                for (services, patterns) in MapRows.grouped(names) {
                    append(.workload(ids[place]), .names(patterns), nil, services)
                }
            }
            for (services, prefixes) in MapRows.grouped(map.host(of: place)) {
                append(workload, .host(prefixes, isWhole: isWhole(prefixes)), nil, services)
            }
            for (services, prefixes) in MapRows.grouped(map.outside(of: place, .ingress)) {
                append(.outside(prefixes, isWhole: isWhole(prefixes)), workload, nil, services)
            }
        }
    }

    private static func tooMany(_ workloads: Int, _ limit: Int, withNothing: Bool) -> PolicyMistakes {
        let failure = RunFailure(
            message: "\(workloads) workloads have more than \(limit) pairs to list",
            advice: withNothing
                ? "list those of one, --endpoint, or only what is allowed, -o table"
                : "list those of one, --endpoint, or ask what you want to know, egret prove")
        return PolicyMistakes(lines: failure.lines)
    }

    private mutating func append(_ source: End, _ target: End, _ family: AddressFamily?, _ services: ServiceSet) {
        rows.append(Row(source: source, target: target, family: family, services: services))
    }

    /// The names of each service set, in the order of their rules.
    private static func grouped(_ names: NameReach) -> [(ServiceSet, [DomainPattern])] {
        var order: [ServiceSet] = []
        var patterns: [ServiceSet: [DomainPattern]] = [:]
        for pattern in names.patterns {
            let services = names.services(of: pattern)
            if patterns[services] == nil { order.append(services) }
            patterns[services, default: []].append(pattern)
        }
        return order.map { ($0, patterns[$0] ?? []) }
    }

    /// The blocks of each service set, in the order of their first blocks.
    private static func grouped(_ ranges: [ReachabilityMap.OutsideRange]) -> [(ServiceSet, [IPPrefix])] {
        var order: [ServiceSet] = []
        var blocks: [ServiceSet: [IPPrefix]] = [:]
        for range in ranges {
            if blocks[range.services] == nil { order.append(range.services) }
            blocks[range.services, default: []].append(range.prefix)
        }
        return order.map { ($0, blocks[$0] ?? []) }
    }

    /// The map in a format.
    func text(_ format: MapFormat, _ map: ReachabilityMap) throws -> String {
        switch format {
        case .table: table(isWide: false)
        case .wide: table(isWide: true)
        case .dot: dot
        case .csv: csv
        case .json, .yaml: try format.common?.text(of: MapDocument(self, map)) ?? ""
        }
    }

    private func table(isWide: Bool) -> String {
        var table = TextTable(
            indent: "", header: ["FROM", "TO", "FAMILY", "SERVICES"], alignments: [.left, .left, .left, .left])
        for row in rows where isWide || !row.services.isEmpty {
            let sources = row.source.texts(names, isWide: isWide)
            for target in row.target.texts(names, isWide: isWide) {
                for source in sources {
                    table.append(
                        [source, target, row.family?.label ?? "-", row.services.description].map(\.withVisibleControls))
                }
            }
        }
        return table.lines.map { $0 + "\n" }.joined()
    }

    /// RFC 4180, a row for each block.
    private var csv: String {
        var text = "from,to,family,services\r\n"
        for row in rows where !row.services.isEmpty {
            for source in row.source.texts(names, isWide: true) {
                for target in row.target.texts(names, isWide: true) {
                    let cells = [source, target, row.family?.label ?? "", row.services.entries.joined(separator: " ")]
                    text += cells.map(CommaSeparated.quoted).joined(separator: ",") + "\r\n"
                }
            }
        }
        return text
    }

    /// The language of Graphviz.
    private var dot: String {
        var text = "digraph egret {\n  rankdir=LR;\n  node [shape=box];\n"
        for row in rows where !row.services.isEmpty {
            let ends = [row.source, row.target].map {
                MapRows.dotQuoted($0.texts(names, isWide: false).joined(separator: "\n"))
            }
            let family = row.family.map { " (\($0.label))" } ?? ""
            let label = MapRows.dotQuoted(row.services.description + family)
            text += "  \(ends[0]) -> \(ends[1]) [label=\(label)];\n"
        }
        return text + "}\n"
    }

    private static func dotQuoted(_ text: String) -> String {
        let escaped = text.withVisibleControls.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(escaped)\""
    }
}

extension MapRows.End {
    /// The end in words: all blocks each by itself, or the first few in one text.
    func texts(_ names: WorkloadNames, isWide: Bool) -> [String] {
        switch self {
        case .workload(let id): return [names.text(of: id)]
        case .host(let prefixes, let isWhole):
            if isWhole || MapRows.End.isEverything(prefixes) { return ["host"] }
            return isWide ? prefixes.map { "host \($0)" } : ["host " + MapRows.End.short(prefixes)]
        case .names(let patterns): return patterns.map(\.description)
        case .outside(let prefixes, let isWhole):
            if isWhole || MapRows.End.isEverything(prefixes) { return ["outside"] }
            return isWide ? prefixes.map(\.description) : [MapRows.End.short(prefixes)]
        }
    }

    /// Groups that a list of blocks may be the same as.
    private static let groups = BuiltInGroup.allCases.filter { $0 != .host }.map {
        (name: $0.rawValue, addresses: AddressRangeSet($0.blocks))
    }

    /// Whether it is all of both families.
    private static func isEverything(_ prefixes: [IPPrefix]) -> Bool {
        prefixes.count == 2 && prefixes.allSatisfy { $0.length == 0 }
    }

    private static func short(_ prefixes: [IPPrefix]) -> String {
        let set = AddressRangeSet(prefixes.map { AddressBlock($0) })
        if let group = groups.first(where: { $0.addresses == set }) { return "group:\(group.name)" }
        let shown = prefixes.prefix(3).map(\.description).joined(separator: ", ")
        return prefixes.count > 3 ? "\(shown) and \(prefixes.count - 3) more" : shown
    }
}

extension AddressFamily {
    /// `IPv4` or `IPv6`.
    var label: String { self == .ipv4 ? "IPv4" : "IPv6" }
}

/// Comma-separated values (RFC 4180).
enum CommaSeparated {
    /// The cell, in quotes where it needs them.
    static func quoted(_ cell: String) -> String {
        // A cell that begins so is a formula to a spreadsheet.
        let text = "=+-@".contains(cell.first ?? " ") ? "'" + cell : cell
        guard text.contains(where: { ",\"\r\n".contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
