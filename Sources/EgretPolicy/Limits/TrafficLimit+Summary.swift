// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension TrafficLimit {
    /// What it says, in a line: `internet 443/tcp: 5Mbit, 20 connections per policy only mon-fri (UTC)`.
    public var summary: String {
        let match = (domains.map(\.description) + destinations.map(\.description) + services.map(\.description))
            .joined(separator: " ")
        let amounts = [
            rate.map { "\($0)" }, guarantee.map { "at least \($0)" }, connections.map { "\($0) connections" },
            newConnections.map { "\($0) new connections" }, packets.map { "\($0) packets" }, dscp.map { "dscp \($0)" },
        ]
        .compactMap(\.self).joined(separator: ", ")
        let times = schedule.map { " only \($0)" } ?? ""
        return (match.isEmpty ? "" : "\(match): ") + amounts + (scope == .endpoint ? "" : " per \(scope.rawValue)")
            + times
    }
}
