// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// A table as the kernel reports it.
public struct TableRecord: Hashable, Sendable {
    /// The table.
    public var table: Table
    /// The kernel's number for it.
    public var handle: UInt64
    /// How many chains, sets and objects are in it.
    public var use: UInt32
    /// `NFT_TABLE_F_*`.
    public var flags: UInt32
    /// The port id of the socket that owns it, with `NFT_TABLE_F_OWNER`.
    public var owner: UInt32?

    /// `NFT_TABLE_F_DORMANT`: its chains see no packets.
    public static let isDormant: UInt32 = 1 << 0
    /// `NFT_TABLE_F_OWNER`: only its owner may change it.
    public static let isOwned: UInt32 = 1 << 1
    /// `NFT_TABLE_F_PERSIST`: it stays when its owner goes.
    public static let persists: UInt32 = 1 << 2

    /// Creates a record.
    public init(
        table: Table,
        handle: UInt64 = 0,
        use: UInt32 = 0,
        flags: UInt32 = 0,
        owner: UInt32? = nil
    ) {
        self.table = table
        self.handle = handle
        self.use = use
        self.flags = flags
        self.owner = owner
    }
}

/// A chain as the kernel reports it.
public struct ChainRecord: Hashable, Sendable {
    /// The table it is in.
    public var table: Table
    /// The chain. Its base is `nil` also for a base chain whose hook or type Egret has no word for.
    public var chain: Chain
    /// Whether it is a base chain.
    public var isBase: Bool
    /// The kernel's number for it.
    public var handle: UInt64
    /// How many rules and elements refer to it, its own rules included.
    public var use: UInt32

    /// Creates a record.
    public init(
        table: Table,
        chain: Chain,
        isBase: Bool,
        handle: UInt64 = 0,
        use: UInt32 = 0
    ) {
        self.table = table
        self.chain = chain
        self.isBase = isBase
        self.handle = handle
        self.use = use
    }
}

/// A rule as the kernel reports it.
public struct RuleRecord: Hashable, Sendable {
    /// The table it is in.
    public var table: Table
    /// The chain it is in.
    public var chain: String
    /// The kernel's number for it.
    public var handle: UInt64
    /// What it does. Equal to ``NftablesWire/lower(_:)`` of the statements it was made from.
    public var expressions: [KernelExpression]
    /// Words for a person.
    public var comment: String?

    /// Creates a record.
    public init(
        table: Table,
        chain: String,
        handle: UInt64 = 0,
        expressions: [KernelExpression],
        comment: String? = nil
    ) {
        self.table = table
        self.chain = chain
        self.handle = handle
        self.expressions = expressions
        self.comment = comment
    }
}

/// A set or map as the kernel reports it, without its elements.
public struct SetRecord: Hashable, Sendable {
    /// The table it is in.
    public var table: Table
    /// The name.
    public var name: String
    /// The type of its keys; `nil` if Egret has no word for it.
    public var keyType: DataType?
    /// The types of the further parts of a concatenated key.
    public var furtherKeyTypes: [DataType] = []
    /// The bytes of a key.
    public var keyLength: UInt32
    /// `NFT_SET_*`.
    public var flags: UInt32
    /// The type of its data, `NFT_DATA_VERDICT` for a verdict map; `nil` in a plain set.
    public var dataType: UInt32?
    /// The kernel's number for it.
    public var handle: UInt64

    /// Creates a record.
    public init(
        table: Table,
        name: String,
        keyType: DataType?,
        keyLength: UInt32,
        flags: UInt32 = 0,
        dataType: UInt32? = nil,
        handle: UInt64 = 0
    ) {
        self.table = table
        self.name = name
        self.keyType = keyType
        self.keyLength = keyLength
        self.flags = flags
        self.dataType = dataType
        self.handle = handle
    }

    /// Whether keys may be ranges.
    public var hasIntervals: Bool { flags & NftValue.setIsInterval != 0 }
    /// Whether elements may have a time to live.
    public var hasTimeouts: Bool { flags & NftValue.setHasTimeouts != 0 }
    /// Whether rules put elements in by themselves.
    public var isDynamic: Bool { flags & NftValue.setIsDynamic != 0 }
    /// Whether each key leads to a verdict.
    public var mapsToVerdict: Bool { flags & NftValue.setIsMap != 0 && dataType == NftValue.dataIsVerdict }
    /// Whether it is of the kind that ``NftablesWire/encode(_:firstSequence:)`` makes: nothing but keys or ranges
    /// of a known type, and verdicts.
    public var isPlain: Bool {
        let map = mapsToVerdict ? NftValue.setIsMap : 0
        return keyType != nil
            && flags & ~(NftValue.setIsInterval | NftValue.setHasTimeouts | NftValue.setIsDynamic) == map
    }
}

/// A named object as the kernel reports it.
public struct ObjectRecord: Hashable, Sendable {
    /// What the object is, and its state.
    public enum Kind: Hashable, Sendable {
        /// A counter, and what it has counted.
        case counter(packets: UInt64, bytes: UInt64)
        /// A limit; `unitSeconds` is the time that `rate` is for.
        case limit(rate: UInt64, unitSeconds: UInt64, burst: UInt32, type: UInt32, flags: UInt32)
        /// A quota, and how much of it is used: at most all of it, whatever has come by since.
        case quota(bytes: UInt64, used: UInt64, flags: UInt32)
        /// Another type: `NFT_OBJECT_*`.
        case other(UInt32)
    }

    /// The table it is in.
    public var table: Table
    /// The name.
    public var name: String
    /// What it is.
    public var kind: Kind
    /// How many rules refer to it.
    public var use: UInt32
    /// The kernel's number for it.
    public var handle: UInt64

    /// Creates a record.
    public init(
        table: Table,
        name: String,
        kind: Kind,
        use: UInt32 = 0,
        handle: UInt64 = 0
    ) {
        self.table = table
        self.name = name
        self.kind = kind
        self.use = use
        self.handle = handle
    }

    /// Whether the object is the limit that was asked for.
    public func isSame(as limit: RateLimit) -> Bool {
        name == limit.name
            && kind
                == .limit(
                    rate: limit.perSecond, unitSeconds: 1, burst: limit.burst, type: limit.unit.rawValue, flags: 0)
    }
}

/// The ruleset's generation: a number that grows with every committed batch of anybody.
public struct GenerationRecord: Hashable, Sendable {
    /// The number; it wraps.
    public var identifier: UInt32
    /// The process that committed the batch, or in an answer the process that asked.
    public var processID: UInt32?
    /// The name of its thread (`comm`), at most 15 bytes: not a proof of which program it is.
    public var processName: String?

    /// Creates a record.
    public init(
        identifier: UInt32,
        processID: UInt32? = nil,
        processName: String? = nil
    ) {
        self.identifier = identifier
        self.processID = processID
        self.processName = processName
    }
}

/// A notification of `NFNLGRP_NFTABLES`. Those of one batch end with ``generation(_:)``.
public enum NftablesEvent: Hashable, Sendable {
    /// A batch was committed.
    case generation(GenerationRecord)
    /// Something in a table, or the table itself, was added, changed or removed. `message` is `NFT_MSG_*`, `object` the
    /// name of the chain, set, or other object that it is about: of a rule its chain, of an element its set.
    case change(message: UInt16, table: Table, object: String?)
    /// A message about no table.
    case other(message: UInt16)
}

extension NftablesEvent {
    /// Whether something was removed.
    public var isRemoval: Bool {
        guard case .change(let message, _, _) = self else { return false }
        return [
            NftMessage.deleteTable, NftMessage.deleteChain, NftMessage.deleteRule, NftMessage.deleteSet,
            NftMessage.deleteElements, NftMessage.deleteObject,
        ].contains(message)
    }

    /// Whether elements of a set were added.
    public var isAddedElement: Bool {
        guard case .change(let message, _, _) = self else { return false }
        return message == NftMessage.newElements
    }
}
