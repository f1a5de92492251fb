// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension NftablesWire {
    /// Decodes `NFT_MSG_NEWTABLE` or `NFT_MSG_DELTABLE`.
    public static func decodeTable(_ message: NetlinkMessage) throws(WireError) -> TableRecord {
        let body = try NftablesBody(message, [NftMessage.newTable, NftMessage.deleteTable])
        return TableRecord(
            table: Table(family: body.family, name: try body.string(Nfta.Table.name)),
            handle: try body.uint64(Nfta.Table.handle) ?? 0,
            use: try body.uint32(Nfta.Table.use) ?? 0,
            flags: try body.uint32(Nfta.Table.flags) ?? 0,
            owner: try body.uint32(Nfta.Table.owner)
        )
    }

    /// Decodes `NFT_MSG_NEWCHAIN` or `NFT_MSG_DELCHAIN`.
    public static func decodeChain(_ message: NetlinkMessage) throws(WireError) -> ChainRecord {
        let body = try NftablesBody(message, [NftMessage.newChain, NftMessage.deleteChain])
        let hook = body.find(Nfta.Chain.hook)
        return ChainRecord(
            table: Table(family: body.family, name: try body.string(Nfta.Chain.table)),
            chain: Chain(
                try body.string(Nfta.Chain.name),
                base: try hook.flatMap { (hook) throws(WireError) in
                    try decodeBase(hook, body)
                }),
            isBase: hook != nil,
            handle: try body.uint64(Nfta.Chain.handle) ?? 0,
            use: try body.uint32(Nfta.Chain.use) ?? 0
        )
    }

    /// Decodes `NFT_MSG_NEWRULE` or `NFT_MSG_DELRULE`.
    public static func decodeRule(_ message: NetlinkMessage) throws(WireError) -> RuleRecord {
        let body = try NftablesBody(message, [NftMessage.newRule, NftMessage.deleteRule])
        return RuleRecord(
            table: Table(family: body.family, name: try body.string(Nfta.Rule.table)),
            chain: try body.string(Nfta.Rule.chain),
            handle: try body.uint64(Nfta.Rule.handle) ?? 0,
            expressions: try KernelExpression.decodeList(body.find(Nfta.Rule.expressions)?.payload ?? []),
            comment: try UserData.comment(in: body.find(Nfta.Rule.userData)?.payload ?? [])
        )
    }

    /// Decodes `NFT_MSG_NEWSET` or `NFT_MSG_DELSET`.
    public static func decodeSet(_ message: NetlinkMessage) throws(WireError) -> SetRecord {
        let body = try NftablesBody(message, [NftMessage.newSet, NftMessage.deleteSet])
        var keyTypes = DataType.parts(of: try body.uint32(Nfta.Set.keyType) ?? 0) ?? []
        // Others' integers are of any length.
        let keyLength = try body.uint32(Nfta.Set.keyLength) ?? 0
        if keyTypes.contains(.integer), keyTypes.count > 1 || keyLength != 4 { keyTypes = [] }
        var record = SetRecord(
            table: Table(family: body.family, name: try body.string(Nfta.Set.table)),
            name: try body.string(Nfta.Set.name),
            keyType: keyTypes.first,
            keyLength: keyLength,
            flags: try body.uint32(Nfta.Set.flags) ?? 0,
            dataType: try body.uint32(Nfta.Set.dataType),
            handle: try body.uint64(Nfta.Set.handle) ?? 0
        )
        record.furtherKeyTypes = Array(keyTypes.dropFirst())
        return record
    }

    /// Decodes `NFT_MSG_NEWOBJ` or `NFT_MSG_DELOBJ`.
    public static func decodeObject(_ message: NetlinkMessage) throws(WireError) -> ObjectRecord {
        let body = try NftablesBody(message, [NftMessage.newObject, NftMessage.deleteObject])
        return ObjectRecord(
            table: Table(family: body.family, name: try body.string(Nfta.Object.table)),
            name: try body.string(Nfta.Object.name),
            kind: try decodeObjectKind(body),
            use: try body.uint32(Nfta.Object.use) ?? 0,
            handle: try body.uint64(Nfta.Object.handle) ?? 0
        )
    }

    /// Decodes `NFT_MSG_NEWGEN`.
    public static func decodeGeneration(_ message: NetlinkMessage) throws(WireError) -> GenerationRecord {
        let (_, attributes) = try message.nfnetlink(NfnetlinkSubsystem.nftables, "nf_tables generation")
        guard message.type == NftMessage.type(NftMessage.newGeneration) else {
            throw WireError(.badValue, "message type \(message.type) is not a generation")
        }
        var identifier: UInt32?
        var record = GenerationRecord(identifier: 0, processID: nil, processName: nil)
        for attribute in attributes {
            switch attribute.type {
            case Nfta.Generation.identifier: identifier = try attribute.bigEndian(UInt32.self)
            case Nfta.Generation.processID: record.processID = try attribute.bigEndian(UInt32.self)
            case Nfta.Generation.processName: record.processName = attribute.string()
            default: break
            }
        }
        guard let identifier else { throw WireError(.missing, "generation") }
        record.identifier = identifier
        return record
    }

    /// Decodes any message of `NFNLGRP_NFTABLES`.
    public static func decodeEvent(_ message: NetlinkMessage) throws(WireError) -> NftablesEvent {
        if message.type == NftMessage.type(NftMessage.newGeneration) {
            return .generation(try decodeGeneration(message))
        }
        let (header, attributes) = try message.nfnetlink(NfnetlinkSubsystem.nftables, "nf_tables notification")
        // Every kind of object names its table in attribute 1 and, but for chains, itself or what it is in, in 2.
        guard let family = try? TableFamily(number: header.family),
            let table = attributes.first(where: { $0.type == 1 })
        else { return .other(message: message.type & 0xff) }
        let kind = message.type & 0xff
        let isChain = kind == NftMessage.newChain || kind == NftMessage.deleteChain
        let isTable = kind == NftMessage.newTable || kind == NftMessage.deleteTable
        let name = isTable ? nil : attributes.first { $0.type == (isChain ? Nfta.Chain.name : 2) }
        return .change(
            message: kind, table: Table(family: family, name: table.string()), object: name.map { $0.string() })
    }

    private static func decodeBase(_ hook: NetlinkAttribute, _ body: NftablesBody) throws(WireError) -> BaseChain? {
        var number: UInt32?
        var priority: Int32 = 0
        var device: String?
        try NetlinkAttribute.forEach(in: hook.payload) { (attribute) throws(WireError) in
            switch attribute.type {
            case Nfta.Hook.number: number = try attribute.bigEndian(UInt32.self)
            case Nfta.Hook.priority: priority = try attribute.bigEndian(Int32.self)
            case Nfta.Hook.device: device = attribute.string()
            default: break
            }
        }
        guard let number else { throw WireError(.missing, "hook number") }
        guard let hook = Hook(number: number, in: body.family),
            let kind = BaseChain.Kind(rawValue: try body.string(Nfta.Chain.type))
        else { return nil }
        let policy: BaseChain.Policy = try body.uint32(Nfta.Chain.policy) == 0 ? .drop : .accept
        return BaseChain(kind: kind, hook: hook, priority: priority, device: device, policy: policy)
    }

    private static func decodeObjectKind(_ body: NftablesBody) throws(WireError) -> ObjectRecord.Kind {
        let data = try body.find(Nfta.Object.data)?.attributes() ?? []
        func number<Value: FixedWidthInteger>(_ type: UInt16, _ value: Value.Type) throws(WireError) -> Value {
            guard let attribute = data.first(where: { $0.type == type }) else { return 0 }
            return try attribute.bigEndian(value)
        }
        switch try body.uint32(Nfta.Object.type) {
        case nil: throw WireError(.missing, "object type")
        case NftValue.counterObject:
            return .counter(packets: try number(2, UInt64.self), bytes: try number(1, UInt64.self))
        case NftValue.limitObject:
            return .limit(
                rate: try number(1, UInt64.self),
                unitSeconds: try number(2, UInt64.self),
                burst: try number(3, UInt32.self),
                type: try number(4, UInt32.self),
                flags: try number(5, UInt32.self)
            )
        case NftValue.quotaObject:
            return .quota(
                bytes: try number(1, UInt64.self), used: try number(4, UInt64.self), flags: try number(2, UInt32.self))
        case let type?: return .other(type)
        }
    }
}

/// The family and attributes of one nf_tables message.
struct NftablesBody {
    let family: TableFamily
    private let attributes: [NetlinkAttribute]

    init(_ message: NetlinkMessage, _ types: [UInt16]) throws(WireError) {
        let (header, attributes) = try message.nfnetlink(NfnetlinkSubsystem.nftables, "nf_tables message")
        guard types.contains(message.type & 0xff) else {
            throw WireError(.badValue, "nf_tables message \(message.type & 0xff), expected one of \(types)")
        }
        family = try TableFamily(number: header.family)
        self.attributes = attributes
    }

    func find(_ type: UInt16) -> NetlinkAttribute? {
        attributes.first { $0.type == type }
    }

    func string(_ type: UInt16) throws(WireError) -> String {
        guard let attribute = find(type) else { throw WireError(.missing, "nf_tables attribute \(type)") }
        return attribute.string()
    }

    func uint32(_ type: UInt16) throws(WireError) -> UInt32? {
        guard let attribute = find(type) else { return nil }
        return try attribute.bigEndian(UInt32.self)
    }

    func uint64(_ type: UInt16) throws(WireError) -> UInt64? {
        guard let attribute = find(type) else { return nil }
        return try attribute.bigEndian(UInt64.self)
    }
}
