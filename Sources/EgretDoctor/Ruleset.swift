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
    /// The base chains of every table.
    func baseChains() throws -> [ChainPlace]
    /// A rule in words, or with no handle the owner of a chain.
    func words(of handle: UInt64?, in chain: String, of table: Table, interfaceNames: [UInt32: String]) throws
        -> RuleWords
}

/// Makes the access to a ruleset from a connection to it.
public typealias RulesetMaker = (NetlinkConnection) -> any Ruleset

/// A base chain and where it is.
public struct ChainPlace: Hashable, Sendable {
    /// The table.
    public var table: Table
    /// The chain's name.
    public var name: String
    /// How the kernel calls it.
    public var base: BaseChain

    /// Creates a place.
    public init(table: Table, name: String, base: BaseChain) {
        (self.table, self.name, self.base) = (table, name, base)
    }
}

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
