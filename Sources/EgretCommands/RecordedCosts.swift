// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretEvaluator
import EgretPolicy

/// What recorded traffic costs by price lists, and would under a policy that is proposed: as if it were all of a month's.
struct RecordedCosts: Encodable {
    /// The traffic that one price counts.
    struct Row: Encodable, Equatable {
        var priceList: String
        var destination: String
        var currency: String
        var bytes: UInt64
        /// In millionths of the currency's unit.
        var cost: UInt64
        /// What of the bytes the proposed policy lets pass; absent if none is proposed.
        var proposedBytes: UInt64?
        /// What those cost.
        var proposedCost: UInt64?
    }

    var prices: [Row] = []
    /// How many destinations that were reached the proposed policy refuses; absent if none is proposed.
    var wouldBeRefused: Int?
    /// How many destinations that a policy refused the proposed one lets out: what they would cost, nobody knows.
    var wouldBeReached: Int?

    /// Prices traffic.
    ///
    /// - Parameters:
    ///   - traffic: What was recorded.
    ///   - lists: The price lists.
    ///   - groups: The groups that they name.
    ///   - evaluator: Judges by the proposed policy; `nil` if none is proposed.
    ///   - time: When it judges, in seconds since 1970.
    init(
        _ traffic: [RecordedTraffic], _ lists: [PriceList], groups: [DestinationGroup],
        proposed evaluator: PolicyEvaluator?, at time: Int64
    ) {
        let named = Dictionary(
            groups.filter(\.isLoaded).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        var (before, after) = (Tally(lists), Tally(lists))
        if evaluator != nil { (wouldBeRefused, wouldBeReached) = (0, 0) }
        for line in traffic.flatMap(\.reached) {
            guard let flow = line.flow else { continue }
            let name = line.name.flatMap { try? DomainName.parse($0) }
            let passes = evaluator.map { line.passes($0, at: time) } ?? true
            if !passes { wouldBeRefused = (wouldBeRefused ?? 0) + 1 }
            for direction in TrafficDirection.allCases {
                let amount = direction == .egress ? line.sent : line.received
                let icmpType = flow.messageType(of: direction)
                for (place, list) in lists.enumerated() {
                    let found = list.entry(
                        for: flow.destination, flow.protocol, port: flow.destinationPort, icmpType: icmpType,
                        name: name, direction, groups: named)
                    guard let entry = found else { continue }
                    before.add(amount?.bytes ?? 0, to: entry, of: place)
                    if passes { after.add(amount?.bytes ?? 0, to: entry, of: place) }
                }
            }
        }
        if let evaluator {
            wouldBeReached = traffic.flatMap(\.refused).count { line in
                line.reason == "policy" && line.passes(evaluator, at: time)
            }
        }
        for (place, list) in lists.enumerated() {
            for (index, entry) in list.entries.enumerated() {
                let (bytes, proposed) = (before.bytes[place][index], after.bytes[place][index])
                prices.append(
                    Row(
                        priceList: list.name, destination: entry.name, currency: list.currency, bytes: bytes,
                        cost: entry.micros(of: bytes), proposedBytes: evaluator.map { _ in proposed },
                        proposedCost: evaluator.map { _ in entry.micros(of: proposed) }))
            }
        }
    }

    /// Bytes by list and entry.
    private struct Tally {
        private(set) var bytes: [[UInt64]]

        init(_ lists: [PriceList]) { bytes = lists.map { $0.entries.map { _ in 0 } } }

        mutating func add(_ count: UInt64, to entry: Int, of list: Int) {
            bytes[list][entry] = bytes[list][entry].addingClamped(count)
        }
    }

    // MARK: - For people

    /// The lists of groups that are not here: prices for these count nothing.
    static func notes(about groups: [DestinationGroup], in lists: [PriceList]) -> [String] {
        groups.filter { group in
            !group.isLoaded
                && lists.contains { $0.entries.contains { $0.destinations.contains(.group(group.name)) } }
        }.map { group in
            "egret: the list of the group \(group.name) is not here (\(group.feed?.source.description ?? "")): prices for it "
                + "count nothing"
        }.map(\.withVisibleControls)
    }

    /// What the figures do not say.
    func notes(about traffic: [RecordedTraffic]) -> [String] {
        func count(_ number: Int) -> String { "\(number) destination\(number == 1 ? "" : "s")" }
        var notes: [String] = []
        if traffic.contains(where: { $0.lostConnections || $0.omittedDestinations > 0 }) {
            notes.append("egret: a report lacks some connections: the costs are too low")
        }
        if let wouldBeRefused, wouldBeRefused > 0 {
            notes.append("egret: \(count(wouldBeRefused)) would be refused, and cost nothing")
        }
        if let wouldBeReached, wouldBeReached > 0 {
            let what = "of what was refused, \(count(wouldBeReached)) would be reached"
            notes.append("egret: \(what): what that would cost is not known")
        }
        return notes
    }

    /// The figures as a table; lists of several prices have a line with their sum.
    var lines: [String] {
        let isProposal = wouldBeRefused != nil
        var table = TextTable(
            indent: "",
            header: ["PRICE LIST", "DESTINATION", "BYTES", "COST"] + (isProposal ? ["PROPOSED", "WOULD COST"] : []),
            alignments: [.left, .left, .right, .right, .right, .right])
        var names: [String] = []
        for row in prices where !names.contains(row.priceList) { names.append(row.priceList) }
        for name in names {
            let rows = prices.filter { $0.priceList == name }
            for row in rows { table.append(RecordedCosts.cells(row)) }
            if rows.count > 1, let first = rows.first {
                table.append(RecordedCosts.cells(rows.dropFirst().reduce(first) { $0.with($1) }))
            }
        }
        return table.lines
    }

    private static func cells(_ row: Row) -> [String] {
        func money(_ micros: UInt64) -> String { TrafficPrice.text(ofMicros: micros, in: row.currency) }
        var cells = [row.priceList, row.destination, RoundedBytes.text(row.bytes), money(row.cost)]
        if let bytes = row.proposedBytes, let cost = row.proposedCost {
            cells += [RoundedBytes.text(bytes), money(cost)]
        }
        return cells.map(\.withVisibleControls)
    }
}

extension Flow {
    /// The ICMP type of what was sent, or of what came back: the kernel counts every packet by its own.
    fileprivate func messageType(of direction: TrafficDirection) -> UInt8? {
        guard direction == .ingress else { return icmpType }
        return icmpType.flatMap { ICMPTypeName.answer(to: $0, for: self.protocol) }
    }
}

extension RecordedCosts.Row {
    /// Both together.
    fileprivate func with(_ other: RecordedCosts.Row) -> RecordedCosts.Row {
        var both = self
        both.destination = "all"
        both.bytes = bytes.addingClamped(other.bytes)
        both.cost = cost.addingClamped(other.cost)
        if let bytes = proposedBytes { both.proposedBytes = bytes.addingClamped(other.proposedBytes ?? 0) }
        if let cost = proposedCost { both.proposedCost = cost.addingClamped(other.proposedCost ?? 0) }
        return both
    }
}
