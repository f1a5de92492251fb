// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

/// Traffic with one other end, by one clause.
struct FlowPlace: Hashable, Sendable {
    var endpoint: String
    var clause: TrafficClause
    var peer: IPAddress
    var `protocol`: IPProtocol
    var port: UInt16?
    var icmpType: UInt8?
    /// The name that was asked of a server, or said on a connection.
    var name: String?
}

/// What was seen at one place.
struct FlowAccount: Hashable, Sendable {
    var amount = TrafficAmount()
    var first: Int64
    var last: Int64
    /// The number of the latest sighting of all, when it was this.
    var sequence: UInt64
}

/// Flows by place, those that were not seen for longest making room for others.
struct FlowTable: Sendable {
    /// So many places are known at once.
    static let limit = 10_000

    private(set) var accounts: [FlowPlace: FlowAccount] = [:]
    /// Places that have changed since they were last written.
    private(set) var unwritten: Swift.Set<FlowPlace> = []
    /// How many places had to make room.
    private(set) var forgotten: UInt64 = 0

    /// Notes a packet or a connection.
    mutating func note(_ place: FlowPlace, _ amount: TrafficAmount, at time: Int64, sequence: UInt64) {
        if accounts[place] == nil, accounts.count >= FlowTable.limit { makeRoom() }
        var account = accounts[place] ?? FlowAccount(first: time, last: time, sequence: sequence)
        account.amount += amount
        account.last = max(account.last, time)
        account.sequence = sequence
        accounts[place] = account
        unwritten.insert(place)
    }

    /// Puts in what was kept.
    mutating func restore(_ place: FlowPlace, _ account: FlowAccount) { accounts[place] = account }

    /// Forgets a tenth, so that it need not be done for each newcomer.
    private mutating func makeRoom() {
        let oldest = accounts.sorted { $0.value.sequence < $1.value.sequence }.prefix(FlowTable.limit / 10)
        for (place, _) in oldest {
            accounts[place] = nil
            unwritten.remove(place)
        }
        forgotten += UInt64(oldest.count)
    }

    /// Forgets what is not to be told any more.
    mutating func remove(where isGone: (FlowPlace) -> Bool) {
        for place in accounts.keys where isGone(place) {
            accounts[place] = nil
            unwritten.remove(place)
        }
    }

    mutating func markWritten() { unwritten = [] }
}
