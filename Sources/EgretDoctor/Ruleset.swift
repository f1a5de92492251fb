// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNetlink
public import EgretNftables

/// What the doctor needs of a namespace's nf_tables; who builds the doctor brings it.
public protocol Ruleset {
    /// Makes a table that is not there.
    func install(_ program: TableProgram) throws
    /// Deletes tables; those that are not there will do.
    func remove(_ tables: [Table]) throws
    /// Every table, whoever made it.
    func allTables() throws -> [Table]
    /// A rule in words, or with no handle the owner of a chain.
    func words(of handle: UInt64?, in chain: String, of table: Table, interfaceNames: [UInt32: String]) throws
        -> RuleWords
    /// Chains of others that would end the first packet of a connection which a new network sends on.
    func forwardObstacles() throws -> [ChainEnd]
    /// Objects that assign connection tracking helpers (`ct helper`), and that some rule uses.
    func connectionHelpers() throws -> [(table: Table, name: String)]
    /// Whether tables can be made that nobody but their maker can change.
    func canOwnTables() throws -> Bool
    /// The tables that hold endpoints to policies, and whether an agent owns them now.
    func policyTables() throws -> [(table: Table, isOwned: Bool)]
    /// Helpers that rules of iptables assign (`-j CT --helper`).
    func assignedHelpers() throws -> [(table: Table, chain: String, helper: String)]
}

/// A chain that ends packets which Egret lets pass.
public struct ChainEnd: Hashable, Sendable {
    /// The table.
    public var table: Table
    /// The chain.
    public var chain: String
    /// Who seems to have made it.
    public var owner: String
    /// Whether packets end by its policy; otherwise by a rule.
    public var isByPolicy: Bool

    /// Creates a description.
    public init(table: Table, chain: String, owner: String, isByPolicy: Bool) {
        (self.table, self.chain, self.owner, self.isByPolicy) = (table, chain, owner, isByPolicy)
    }
}

/// Makes the access to a ruleset from a connection to it.
public typealias RulesetMaker = (NetlinkConnection) -> any Ruleset

/// A rule in words.
public struct RuleWords: Hashable, Sendable {
    /// The rule in nft's words; empty for a policy.
    public var text: String
    /// The comment.
    public var comment: String?
    /// Who seems to have made it.
    public var owner: String

    /// Creates a description.
    public init(text: String, comment: String?, owner: String) {
        (self.text, self.comment, self.owner) = (text, comment, owner)
    }
}
