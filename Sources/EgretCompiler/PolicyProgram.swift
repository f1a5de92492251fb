// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretNftables

/// A policy set as nftables objects, to be shared by every endpoint that obeys the set.
///
/// A packet of a new connection costs two to four look-ups here, whatever the number of rules and prefixes: by
/// address, by protocol, and by port or ICMP type.
public struct PolicyProgram: Hashable, Sendable {
    /// The generation that admitted connections are stamped with.
    public var generation: Generation
    /// The objects: all of them named after the generation.
    public var program: TableProgram
    /// The chain that decides about packets an endpoint sends.
    public var egressChain: String
    /// The chain that decides about packets that answer an endpoint.
    public var replyChain: String
    /// Every clause that can decide, with the names that its counter and log records carry.
    public var clauses: [CompiledClause]
    /// The rules about names, in the order in which they are asked; empty if no rule is about names.
    public var names: [CompiledNameRule] = []
    /// The chain that leads questions, and connections to names, to the proxies that police them; `nil` if no rule or limit is
    /// about names, and in the program of a run, which has chains of its own for that.
    public var leadingChain: String?

    /// The clause whose counter or log prefix this is.
    public func clause(named name: String) -> CompiledClause? {
        clauses.first { $0.name == name }
    }
}
