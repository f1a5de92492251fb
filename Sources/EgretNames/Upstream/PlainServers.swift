// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The servers that do not know EDNS (RFC 6891), of so many at most: they are asked without it for a while, so that not every
/// question goes to them twice.
struct PlainServers {
    /// A policy may let the client name the servers. Of those beyond it is not remembered.
    static let limit = 256

    /// How long it is remembered, in milliseconds: the server may have been replaced since.
    private let memory: UInt64
    private var ends: [NameServer: UInt64] = [:]

    init(memory milliseconds: UInt64 = 300_000) { memory = milliseconds }

    /// Whether a server is known not to know EDNS.
    func contains(_ server: NameServer, now: UInt64) -> Bool { ends[server].map { now < $0 } ?? false }

    /// Notes that a server has answered without EDNS what it has not with it.
    mutating func note(_ server: NameServer, now: UInt64) {
        if ends[server] == nil, ends.count >= PlainServers.limit {
            ends = ends.filter { now < $0.value }
            guard ends.count < PlainServers.limit else { return }
        }
        ends[server] = now + memory
    }
}
