// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
import EgretPolicy

/// One number of a limit, as the kernel counts to it: in the rule itself, or in a set for each far address by itself.
enum LimitCount: Hashable, Sendable {
    /// So many connections may be open.
    case open(UInt32)
    /// So many connections may begin.
    case beginning(EventRate)
    /// So many packets may pass.
    case passing(EventRate)

    /// Goes on with what is beyond the number.
    var statement: Statement {
        switch self {
        case .open(let count): .connectionsOver(count)
        case .beginning(let rate): .beyond(UInt64(rate.count), seconds: rate.unit.seconds, burst: rate.count)
        case .passing(let rate): .beyond(UInt64(rate.count), seconds: rate.unit.seconds, burst: rate.burst)
        }
    }

    /// Goes on with what is beyond the number for one address.
    private func statement(each address: Selector, in set: String) -> Statement {
        switch self {
        case .open(let count): .connectionsOverEach(address, set: set, count)
        case .beginning(let rate):
            .beyondEach(address, set: set, UInt64(rate.count), seconds: rate.unit.seconds, burst: rate.count)
        case .passing(let rate):
            .beyondEach(address, set: set, UInt64(rate.count), seconds: rate.unit.seconds, burst: rate.burst)
        }
    }

    /// What goes on with what is beyond the number for each far address of a family by itself.
    ///
    /// - Parameters:
    ///   - end: Where packets have the far address.
    ///   - family: The family.
    ///   - owner: What tells this count from every other of its kind.
    ///   - size: How many addresses there are at most; `nil` for as many as the kernel allows.
    /// - Returns: The set that the addresses are kept in, and the conditions. The second one holds for a new address
    ///   when the set is full: what cannot be counted is beyond every number.
    func each(_ end: LimitMatch.FarEnd, _ family: AddressFamily, of owner: String, size: UInt32?)
        -> (set: EgretNftables.Set, conditions: [[Statement]])
    {
        let address = end.address(family)
        var set = EgretNftables.Set("\(word)\(family == .ipv4 ? 4 : 6)-\(owner)", keyType: family.dataType, size: size)
        set.isDynamic = true
        set.hasTimeouts = isForATime
        return (
            set,
            [
                [family.isPackets, statement(each: address, in: set.name)],
                [family.isPackets, .notInSet(address, set.name)],
            ]
        )
    }

    /// Whether an address is forgotten after a time. One whose connections are counted the kernel forgets when it has none
    /// any more, and it does so only in sets without times.
    private var isForATime: Bool {
        switch self {
        case .open: false
        case .beginning, .passing: true
        }
    }

    private var word: String {
        switch self {
        case .open: "open"
        case .beginning: "begun"
        case .passing: "passed"
        }
    }
}

extension TrafficLimit {
    /// What is counted of connections that begin.
    var connectionCounts: [LimitCount] {
        (connections.map { [LimitCount.open($0)] } ?? []) + (newConnections.map { [LimitCount.beginning($0)] } ?? [])
    }
}

extension EventRate {
    /// How many packets may come at once: a tenth of a second's, and at least a handful.
    fileprivate var burst: UInt32 { max(10, UInt32(clamping: UInt64(count) / unit.seconds / 10)) }
}
