// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNftables

extension NftablesWire {
    /// A batch with a rule of one expression that has no attributes, to learn whether the kernel knows the expression.
    ///
    /// A kernel that does not answers the rule with `ENOENT`; one that does misses the attributes, `EINVAL`, or takes
    /// the rule. So this belongs into a namespace that is thrown away.
    ///
    /// - Parameters:
    ///   - name: The expression's kernel name, such as `queue`.
    ///   - firstSequence: The sequence number of `BATCH_BEGIN`; four others follow on.
    /// - Returns: The bytes, and the sequence number of the rule, which asks for an acknowledgement.
    /// - Throws: ``WireError`` if the name is too long.
    public static func trial(ofExpression name: String, firstSequence: UInt32) throws(WireError)
        -> (bytes: [UInt8], ruleSequence: UInt32)
    {
        let table = "egret-trial"
        let family = NfnetlinkHeader(family: TableFamily.inet.number)
        let batch = NfnetlinkHeader(family: SocketFamily.unspecified, resource: NfnetlinkSubsystem.nftables)
        var writer = NetlinkWriter()
        try writer.nfnetlinkMessage(type: NftMessage.batchBegin, flags: 0, sequence: firstSequence, header: batch)
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.newTable), flags: NetlinkFlag.create, sequence: firstSequence &+ 1,
            header: family
        ) { (writer) throws(WireError) in try writer.putName(Nfta.Table.name, table) }
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.newChain), flags: NetlinkFlag.create, sequence: firstSequence &+ 2,
            header: family
        ) { (writer) throws(WireError) in
            try writer.putName(Nfta.Chain.table, table)
            try writer.putName(Nfta.Chain.name, "trial")
        }
        try writer.nfnetlinkMessage(
            type: NftMessage.type(NftMessage.newRule),
            flags: NetlinkFlag.create | NetlinkFlag.append | NetlinkFlag.acknowledge,
            sequence: firstSequence &+ 3,
            header: family
        ) { (writer) throws(WireError) in
            try writer.putName(Nfta.Rule.table, table)
            try writer.putName(Nfta.Rule.chain, "trial")
            try writer.nest(Nfta.Rule.expressions) { (writer) throws(WireError) in
                try KernelExpression.other(name: name, data: []).encode(into: &writer)
            }
        }
        try writer.nfnetlinkMessage(
            type: NftMessage.batchEnd, flags: 0, sequence: firstSequence &+ 4, header: batch)
        return (writer.bytes, firstSequence &+ 3)
    }
}
