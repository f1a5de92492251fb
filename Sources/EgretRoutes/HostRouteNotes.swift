// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// The numbers of a host's ways and which of them do not answer, as they outlive the process: connections carry the
/// numbers.
struct HostRouteNotes: Hashable {
    /// The ways by number.
    var ways: [Int: RouteWay] = [:]
    /// The numbers of ways that were given up.
    var silent: Swift.Set<Int> = []

    init() {}

    /// Reads what ``text`` has written; other lines are skipped.
    init(text: String) {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            let isPerConnection = fields.count == 6 && fields[5] == "connection"
            guard fields.count == 5 || isPerConnection, let number = Int(fields[0]) else { continue }
            let texts = fields[2..<5].map { $0 == "-" ? nil : $0 }
            let sources = texts[2].flatMap { RouteWay.sources($0) }
            let way = RouteWay(
                gateway: texts[0].flatMap { IPAddress($0) }, interface: texts[1].flatMap { InterfaceName($0) },
                sourceAddress: sources?.first, lastSourceAddress: sources?.last, isSourcePerConnection: isPerConnection)
            let isWhole = zip(texts, [way.gateway != nil, way.interface != nil, way.sourceAddress != nil])
                .allSatisfy { ($0 != nil) == $1 }
            guard isWhole, ways[number] == nil, !ways.values.contains(way) else { continue }
            ways[number] = way
            if fields[1] == "silent" { silent.insert(number) }
        }
    }

    /// A line for each way: number, health, gateway, interface and source address, and `connection` where each connection gets
    /// one of several.
    var text: String {
        ways.sorted { $0.key < $1.key }.map { number, way in
            let health = silent.contains(number) ? "silent" : "answers"
            let parts = [
                way.gateway.map { "\($0)" }, way.interface.map { "\($0)" }, way.sourceText,
            ].map { $0 ?? "-" }
            let use = way.isSourcePerConnection ? " connection" : ""
            return "\(number) \(health) \(parts.joined(separator: " "))\(use)\n"
        }.joined()
    }
}
