// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension BatchEncoder {
    mutating func append(_ chain: Chain, _ flags: UInt16, _ table: Table) throws(WireError) {
        try message(NftMessage.newChain, flags, table) { (writer) throws(WireError) in
            try writer.putName(Nfta.Chain.name, chain.name)
            guard let base = chain.base else { return }
            let hook = try base.hook.number(in: table.family)
            try writer.nest(Nfta.Chain.hook) { (writer) throws(WireError) in
                writer.putBigEndian(Nfta.Hook.number, hook)
                writer.putBigEndian(Nfta.Hook.priority, base.priority)
                if let device = base.device { try writer.putString(Nfta.Hook.device, device) }
            }
            writer.putBigEndian(Nfta.Chain.policy, UInt32(base.policy == .accept ? 1 : 0))
            try writer.putString(Nfta.Chain.type, base.kind.rawValue)
        }
    }

    mutating func append(_ rule: Rule, _ table: Table) throws(WireError) {
        let expressions = try NftablesWire.lower(rule.statements)
        let flags = NetlinkFlag.create | NetlinkFlag.append
        try message(NftMessage.newRule, flags, table) { (writer) throws(WireError) in
            try writer.putName(Nfta.Rule.chain, rule.chain)
            try writer.nest(Nfta.Rule.expressions) { (writer) throws(WireError) in
                for expression in expressions { try expression.encode(into: &writer) }
            }
            if let comment = rule.comment {
                try writer.putBytes(Nfta.Rule.userData, try UserData.comment(comment))
            }
        }
    }

    mutating func append(_ set: Set, _ table: Table) throws(WireError) {
        guard !(set.hasIntervals && set.keyType.isHostOrder) else {
            throw WireError(.unsupported, "ranges of \(set.keyType) in set “\(set.name)”")
        }
        guard set.furtherKeyTypes.isEmpty || !set.hasIntervals, set.furtherKeyTypes.count < 5 else {
            throw WireError(.unsupported, "concatenated ranges, or more than five parts, in set “\(set.name)”")
        }
        let keyTypes = [set.keyType] + set.furtherKeyTypes
        guard keyTypes.count == 1 || !keyTypes.contains(where: \.isDeclaredByExpression) else {
            throw WireError(.unsupported, "numbers or times among the parts of keys in set “\(set.name)”")
        }
        let identifier = nextSetIdentifier
        try message(NftMessage.newSet, NetlinkFlag.create, table) { (writer) throws(WireError) in
            try writer.putName(Nfta.Set.name, set.name)
            let interval = set.hasIntervals ? NftValue.setIsInterval : 0
            let timeout = set.hasTimeouts ? NftValue.setHasTimeouts : 0
            let dynamic = set.isDynamic ? NftValue.setIsDynamic : 0
            writer.putBigEndian(
                Nfta.Set.flags, interval | timeout | dynamic | (set.mapsToVerdict ? NftValue.setIsMap : 0))
            writer.putBigEndian(Nfta.Set.keyType, DataType.number(concatenating: keyTypes))
            writer.putBigEndian(Nfta.Set.keyLength, UInt32(set.keyByteCount))
            if set.mapsToVerdict { writer.putBigEndian(Nfta.Set.dataType, NftValue.dataIsVerdict) }
            writer.putBigEndian(Nfta.Set.identifier, identifier)
            if let size = set.size {
                try writer.nest(Nfta.Set.description) { (writer) throws(WireError) in writer.putBigEndian(1, size) }
            }
            try writer.putBytes(Nfta.Set.userData, UserData.about(set))
        }
    }

    mutating func append(_ counter: Counter, _ table: Table) throws(WireError) {
        try addObject(counter.name, NftValue.counterObject, table) { (writer) throws(WireError) in
            writer.putBigEndian(1, UInt64(0))
            writer.putBigEndian(2, UInt64(0))
        }
    }

    mutating func append(_ limit: RateLimit, _ table: Table) throws(WireError) {
        try addObject(limit.name, NftValue.limitObject, table) { (writer) throws(WireError) in
            writer.putBigEndian(1, limit.perSecond)
            writer.putBigEndian(2, UInt64(1))
            writer.putBigEndian(3, limit.burst)
            writer.putBigEndian(4, limit.unit.rawValue)
            writer.putBigEndian(5, UInt32(0))
        }
    }

    mutating func append(_ quota: Quota, _ table: Table) throws(WireError) {
        try addObject(quota.name, NftValue.quotaObject, table) { (writer) throws(WireError) in
            writer.putBigEndian(1, quota.bytes)
            writer.putBigEndian(2, NftValue.quotaIsInverted)
            writer.putBigEndian(4, quota.used)
        }
    }

    mutating func deleteObject(_ name: String, _ type: UInt32, _ table: Table) throws(WireError) {
        try message(NftMessage.deleteObject, 0, table) { (writer) throws(WireError) in
            try writer.putName(Nfta.Object.name, name)
            writer.putBigEndian(Nfta.Object.type, type)
        }
    }

    private mutating func addObject(
        _ name: String,
        _ type: UInt32,
        _ table: Table,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void
    ) throws(WireError) {
        try message(NftMessage.newObject, NetlinkFlag.create, table) { (writer) throws(WireError) in
            try writer.putName(Nfta.Object.name, name)
            writer.putBigEndian(Nfta.Object.type, type)
            try writer.nest(Nfta.Object.data, body)
        }
    }
}

extension Hook {
    /// The hook's number in a family: `enum nf_inet_hooks`, `enum nf_dev_hooks` for `netdev`, `NF_ARP_*` for `arp`.
    func number(in family: TableFamily) throws(WireError) -> UInt32 {
        switch (family, self) {
        case (.netdev, .ingress): 0
        case (.netdev, _): throw WireError(.unsupported, "hook \(self) in family netdev")
        case (.arp, .input): 0
        case (.arp, .output): 1
        case (.arp, _): throw WireError(.unsupported, "hook \(self) in family arp")
        case (_, .prerouting): 0
        case (_, .input): 1
        case (_, .forward): 2
        case (_, .output): 3
        case (_, .postrouting): 4
        case (_, .ingress): 5
        }
    }

    /// The hook with this number in a family; `nil` for hooks that Egret has no word for.
    init?(number: UInt32, in family: TableFamily) {
        guard let hook = Hook.allCases.first(where: { (try? $0.number(in: family)) == number }) else { return nil }
        self = hook
    }
}

extension Set {
    /// The number of bytes of a key; the parts of a concatenated one are padded to four bytes each.
    var keyByteCount: Int {
        furtherKeyTypes.isEmpty
            ? keyType.byteCount : ([keyType] + furtherKeyTypes).reduce(0) { $0 + DataType.padded($1.byteCount) }
    }
}

extension DataType {
    /// Whether keys of this type stand in the machine's byte order.
    var isHostOrder: Bool { [.mark, .interfaceIndex, .cgroup].contains(self) }

    /// Whether nft takes no declaration of a set by the type's name, and needs an expression of it (`typeof`): it has no
    /// length for `integer`, and by `time` it means another type, of how long something takes.
    var isDeclaredByExpression: Bool { self == .integer || self == .time }
}
