// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension NftablesWire {
    /// Encodes a transaction as one batch.
    ///
    /// Long element lists take several messages. `add set` is `NFT_MSG_NEWSET` and then its elements.
    ///
    /// - Parameters:
    ///   - transaction: The changes, in order.
    ///   - firstSequence: The sequence number of `BATCH_BEGIN`; the others follow on, wrapping.
    /// - Returns: The batch, to be sent in one `sendmsg`.
    /// - Throws: ``WireError`` if a name, comment or value does not fit.
    /// - Complexity: O(*n*) in elements; 40 bytes for an IPv4 range, 64 for an IPv6 range.
    public static func encode(_ transaction: Transaction, firstSequence: UInt32) throws(WireError) -> EncodedBatch {
        var encoder = BatchEncoder(firstSequence: firstSequence)
        for step in transaction.steps { try encoder.append(step) }
        return try encoder.finish()
    }
}

/// Appends the messages of a batch, counting them.
struct BatchEncoder {
    var writer = NetlinkWriter(reservingCapacity: 4096)
    private let firstSequence: UInt32
    private var messageCount: UInt32 = 0
    private var stepStarts: [UInt32] = []
    private var lastMessage: Int?

    init(firstSequence: UInt32) {
        self.firstSequence = firstSequence
        appendFrame(NftMessage.batchBegin, sequence: firstSequence)
    }

    /// A number for a new set, unlike any other in the batch (`NFTA_SET_ID`). Rules name sets, so nothing refers to it.
    var nextSetIdentifier: UInt32 { messageCount &+ 1 }

    mutating func finish() throws(WireError) -> EncodedBatch {
        if let lastMessage { writer.addFlags(NetlinkFlag.acknowledge, toMessageAt: lastMessage) }
        appendFrame(NftMessage.batchEnd, sequence: firstSequence &+ messageCount &+ 1)
        return EncodedBatch(
            bytes: writer.bytes,
            firstSequence: firstSequence,
            messageCount: messageCount,
            stepStarts: stepStarts
        )
    }

    mutating func append(_ step: Transaction.Step) throws(WireError) {
        stepStarts.append(messageCount)
        let table = step.table
        switch step.operation {
        case .addTable:
            try message(NftMessage.newTable, NetlinkFlag.create, table) { (writer) throws(WireError) in
                writer.putBigEndian(Nfta.Table.flags, UInt32(0))
            }
        case .addOwnedTable:
            try message(NftMessage.newTable, NetlinkFlag.create, table) { (writer) throws(WireError) in
                writer.putBigEndian(Nfta.Table.flags, TableRecord.isOwned | TableRecord.persists)
            }
        case .deleteTable: try message(NftMessage.deleteTable, 0, table)
        case .addChain(let chain): try append(chain, NetlinkFlag.create, table)
        case .createChain(let chain): try append(chain, NetlinkFlag.create | NetlinkFlag.exclusive, table)
        case .flushChain(let name): try named(NftMessage.deleteRule, Nfta.Rule.chain, name, table)
        case .deleteChain(let name): try named(NftMessage.deleteChain, Nfta.Chain.name, name, table)
        case .addRule(let rule): try append(rule, table)
        case .deleteRule(let chain, let handle):
            try message(NftMessage.deleteRule, 0, table) { (writer) throws(WireError) in
                try writer.putName(Nfta.Rule.chain, chain)
                writer.putBigEndian(Nfta.Rule.handle, handle)
            }
        case .addSet(let set):
            try append(set, table)
            try appendElements(of: set, table, NftMessage.newElements, NetlinkFlag.create)
        case .addElements(let set):
            try appendElements(of: set, table, NftMessage.newElements, NetlinkFlag.create)
        case .deleteElements(let set): try appendElements(of: set, table, NftMessage.deleteElements, 0)
        case .deleteSet(let name): try named(NftMessage.deleteSet, Nfta.Set.name, name, table)
        case .addCounter(let counter): try append(counter, table)
        case .deleteCounter(let name): try deleteObject(name, NftValue.counterObject, table)
        case .addLimit(let limit): try append(limit, table)
        case .deleteLimit(let name): try deleteObject(name, NftValue.limitObject, table)
        case .addQuota(let quota): try append(quota, table)
        case .deleteQuota(let name): try deleteObject(name, NftValue.quotaObject, table)
        }
    }

    /// Begins a message of the batch, with the table's name, and returns its place in the writer.
    mutating func open(_ type: UInt16, _ flags: UInt16, _ table: Table) throws(WireError) -> Int {
        messageCount &+= 1
        let start = writer.openNfnetlinkMessage(
            type: NftMessage.type(type),
            flags: flags,
            sequence: firstSequence &+ messageCount,
            header: NfnetlinkHeader(family: table.family.number)
        )
        lastMessage = start
        try writer.putName(Nfta.Table.name, table.name)
        return start
    }

    /// Appends a message of the batch: the table's name, then what `body` appends.
    mutating func message(
        _ type: UInt16,
        _ flags: UInt16,
        _ table: Table,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void = { (_) throws(WireError) in }
    ) throws(WireError) {
        let start = try open(type, flags, table)
        try body(&writer)
        try writer.closeMessage(start)
    }

    private mutating func named(_ type: UInt16, _ attribute: UInt16, _ name: String, _ table: Table)
        throws(WireError)
    {
        try message(type, 0, table) { (writer) throws(WireError) in try writer.putName(attribute, name) }
    }

    private mutating func appendFrame(_ type: UInt16, sequence: UInt32) {
        writer.append(ByteOrder.hostBytes(UInt32(20), count: 4))
        writer.appendHost(type)
        writer.appendHost(NetlinkFlag.request)
        writer.appendHost(sequence)
        writer.appendHost(UInt32(0))
        writer.append([0, 0])
        writer.appendBigEndian(NfnetlinkSubsystem.nftables)
    }
}

extension TableFamily {
    /// `NFPROTO_*`.
    var number: UInt8 {
        switch self {
        case .inet: 1
        case .ip: 2
        case .arp: 3
        case .netdev: 5
        case .bridge: 7
        case .ip6: 10
        }
    }

    /// The family with this `NFPROTO_*` number.
    init(number: UInt8) throws(WireError) {
        guard let family = TableFamily.allCases.first(where: { $0.number == number }) else {
            throw WireError(.badValue, "table family \(number)")
        }
        self = family
    }
}

extension NetlinkWriter {
    /// Appends an object's name: 1 to 255 bytes (`NFT_NAME_MAXLEN` less the terminator).
    mutating func putName(_ type: UInt16, _ name: String) throws(WireError) {
        guard (1...255).contains(name.utf8.count) else { throw WireError(.tooLong, "name “\(name)”") }
        try putString(type, name)
    }
}
