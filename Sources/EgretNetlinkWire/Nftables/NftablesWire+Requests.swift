// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

extension NftablesWire {
    /// Asks for all tables, of one family or of all.
    public static func tablesRequest(family: TableFamily? = nil, sequence: UInt32) throws(WireError) -> [UInt8] {
        try dump(NftMessage.getTable, family, sequence)
    }

    /// Asks for all chains, of one family or of all. The kernel cannot be asked for one table's.
    public static func chainsRequest(family: TableFamily? = nil, sequence: UInt32) throws(WireError) -> [UInt8] {
        try dump(NftMessage.getChain, family, sequence)
    }

    /// Asks for the rules of a table, or of one of its chains, in order.
    ///
    /// A table that does not exist has no rules: the kernel answers with an empty dump, not with `ENOENT`.
    public static func rulesRequest(in table: Table, chain: String? = nil, sequence: UInt32) throws(WireError)
        -> [UInt8]
    {
        try dump(NftMessage.getRule, table.family, sequence) { (writer) throws(WireError) in
            try writer.putName(Nfta.Rule.table, table.name)
            if let chain { try writer.putName(Nfta.Rule.chain, chain) }
        }
    }

    /// Asks for the sets and maps of a table, without their elements.
    public static func setsRequest(in table: Table, sequence: UInt32) throws(WireError) -> [UInt8] {
        try dump(NftMessage.getSet, table.family, sequence) { (writer) throws(WireError) in
            try writer.putName(Nfta.Set.table, table.name)
        }
    }

    /// Asks for the elements of a set or map.
    public static func elementsRequest(of set: String, in table: Table, sequence: UInt32) throws(WireError) -> [UInt8] {
        try dump(NftMessage.getElements, table.family, sequence) { (writer) throws(WireError) in
            try writer.putName(Nfta.ElementList.table, table.name)
            try writer.putName(Nfta.ElementList.set, set)
        }
    }

    /// Asks for the element of a set or map that a key is in: one answer, then an acknowledgement.
    ///
    /// - Parameters:
    ///   - key: The bytes of the key, as rules load them into registers; `nil` for the element that stands for all others.
    ///   - set: The set's name.
    ///   - table: Its table.
    ///   - sequence: The request's number.
    /// - Returns: The message.
    /// - Throws: ``WireError`` if a name is too long.
    public static func elementRequest(
        of key: [UInt8]?, in set: String, of table: Table, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.getElements),
            flags: NetlinkFlag.acknowledge,
            sequence: sequence,
            header: NfnetlinkHeader(family: table.family.number)
        ) { (writer) throws(WireError) in
            try writer.putName(Nfta.ElementList.table, table.name)
            try writer.putName(Nfta.ElementList.set, set)
            try writer.nest(Nfta.ElementList.elements) { (writer) throws(WireError) in
                try writer.nest(Nfta.listElement) { (writer) throws(WireError) in
                    guard let key else {
                        writer.putBigEndian(Nfta.Element.flags, NftValue.elementIsCatchAll)
                        return
                    }
                    try writer.nest(Nfta.Element.key) { (writer) throws(WireError) in
                        try writer.putBytes(Nfta.Data.value, key)
                    }
                }
            }
        }
        return writer.bytes
    }

    /// Asks for the named objects of a table, with the values of its counters.
    public static func objectsRequest(in table: Table, sequence: UInt32) throws(WireError) -> [UInt8] {
        try dump(NftMessage.getObject, table.family, sequence) { (writer) throws(WireError) in
            try writer.putName(Nfta.Object.table, table.name)
        }
    }

    /// A kind of named object that can be asked for by name.
    public enum ObjectKind: Hashable, Sendable {
        /// A counter.
        case counter
    }

    /// Asks for one named object: one answer, then an acknowledgement.
    public static func objectRequest(
        _ name: String, _ kind: ObjectKind, in table: Table, sequence: UInt32
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.getObject),
            flags: NetlinkFlag.acknowledge,
            sequence: sequence,
            header: NfnetlinkHeader(family: table.family.number)
        ) { (writer) throws(WireError) in
            try writer.putName(Nfta.Object.table, table.name)
            try writer.putName(Nfta.Object.name, name)
            switch kind {
            case .counter: writer.putBigEndian(Nfta.Object.type, NftValue.counterObject)
            }
        }
        return writer.bytes
    }

    /// Asks for the ruleset's generation: one answer, then an acknowledgement.
    public static func generationRequest(sequence: UInt32) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.getGeneration),
            flags: NetlinkFlag.acknowledge,
            sequence: sequence,
            header: NfnetlinkHeader(family: SocketFamily.unspecified)
        )
        return writer.bytes
    }

    private static func dump(
        _ message: UInt16,
        _ family: TableFamily?,
        _ sequence: UInt32,
        _ body: (inout NetlinkWriter) throws(WireError) -> Void = { (_) throws(WireError) in }
    ) throws(WireError) -> [UInt8] {
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(
            type: NftMessage.type(message),
            flags: NetlinkFlag.dump,
            sequence: sequence,
            header: NfnetlinkHeader(family: family?.number ?? SocketFamily.unspecified),
            body
        )
        return writer.bytes
    }
}
