// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
import EgretNetlinkWire
public import EgretNftables

/// A rule in words, and whose it seems to be.
public struct RuleDescription: Hashable, Sendable {
    /// The rule in nft's words; what has no words stands as the expression's name in brackets. Empty for a policy.
    public var text: String
    /// The comment.
    public var comment: String?
    /// Who seems to have made it, as in ``NatRule/owner``.
    public var owner: String

    /// Creates a description.
    public init(text: String, comment: String? = nil, owner: String) {
        self.text = text
        self.comment = comment
        self.owner = owner
    }
}

extension Dataplane {
    /// Describes a rule by its handle, or with none the owner of a chain.
    ///
    /// - Parameters:
    ///   - handle: The kernel's number for the rule; `nil` for the chain's policy.
    ///   - chain: The chain.
    ///   - table: Its table.
    ///   - interfaceNames: The namespace's interfaces, for rules that name them by number.
    /// - Returns: The rule in words; with an empty text if it is gone.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func describe(
        handle: UInt64?,
        chain: String,
        of table: Table,
        interfaceNames: [UInt32: String] = [:]
    ) throws(NetlinkError) -> RuleDescription {
        let contents = SetContentsReader(sets: try sets(in: table)) { set in (try? self.elements(of: set)) ?? [] }
        let owners = NatOwner(table: table)
        func words(_ record: RuleRecord) -> NatRuleText {
            NatRuleText(record.expressions, family: table.family, contents, interfaceNames)
        }
        guard let handle, let record = try rules(in: table, chain: chain).first(where: { $0.handle == handle }) else {
            let nobody = RuleRecord(table: table, chain: chain, expressions: [])
            return RuleDescription(text: "", owner: owners.owner(of: nobody, words(nobody)))
        }
        let text = words(record)
        return RuleDescription(
            text: text.text, comment: record.comment ?? text.comment, owner: owners.owner(of: record, text))
    }

    /// Objects that assign connection tracking helpers (`ct helper`) and that some rule uses, of all tables.
    public func connectionHelpers() throws(NetlinkError) -> [(table: Table, name: String)] {
        var found: [(table: Table, name: String)] = []
        for table in try tables() {
            for object in try objects(in: table) where object.kind == .other(Dataplane.helperObject) && object.use > 0 {
                found.append((table, object.name))
            }
        }
        return found
    }

    /// Helpers that rules of iptables assign (`-j CT --helper`), of all tables, in the kernel's words.
    ///
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func assignedHelpers() throws(NetlinkError) -> [(table: Table, chain: String, helper: String)] {
        var found: [(table: Table, chain: String, helper: String)] = []
        // The target stands in the table raw alone.
        for table in try tables() where table.name == "raw" {
            for rule in try rules(in: table) {
                for case .other("target", let data) in rule.expressions {
                    guard let helper = XtHelper(data) else { continue }
                    found.append((table, rule.chain, helper.name))
                }
            }
        }
        return found
    }

    /// `NFT_OBJECT_CT_HELPER` in `linux/netfilter/nf_tables.h`.
    private static let helperObject: UInt32 = 3

    /// Every table, whoever made it.
    public func allTables() throws(NetlinkError) -> [Table] { try tables() }
}
