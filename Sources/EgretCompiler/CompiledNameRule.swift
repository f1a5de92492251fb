// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
import EgretNftables
public import EgretPolicy

/// A rule about names, as whoever answers questions about names and reads names on connections needs it.
///
/// Of a rule that allows, the program looks addresses up in two sets of its own, which are empty when it is loaded: an
/// address is put there, with a timeout, when the endpoint has resolved one of the rule's names to it; where endpoints
/// share the program, as a pair of the endpoint's own address and this one. By these sets pass
/// what the rule's ``traffic`` has as pinned. Connections to checked ports do not pass by them: nobody but the proxy that
/// reads the name lets them out, by the evaluator's decision. QUIC to checked ports passes by a set of flows, where that
/// proxy puts those that it has let through.
///
/// A rule that denies has no sets. Its names are not resolved, and not to be said on a connection; packets to addresses
/// are decided by the other rules.
public struct CompiledNameRule: Hashable, Sendable {
    /// What a rule does with names that it covers.
    public enum Effect: Hashable, Sendable {
        /// They may be asked, and their addresses go to the rule's sets.
        case allow
        /// They may not be asked, whatever later rules say.
        case deny
    }

    /// Its number, unique in the program: the place among the rules about names, in the order in which they are asked.
    public var number: Int
    /// The clause that it is of, as decisions name it.
    public var clause: DecidingClause
    /// The names that it covers.
    public var patterns: [DomainPattern]
    /// What it does with them.
    public var effect: Effect
    /// Types of records that may be asked besides those that lead to addresses.
    public var furtherTypes: [NameRecordType]
    /// Addresses that are not public, and that its names may have all the same.
    public var permittedAddresses: AddressRangeSet
    /// What passes by address alone, and on which ports a name is read.
    public var traffic: NamedTraffic
    /// What its author says about names.
    public var options: NameOptions
    /// The set of its IPv4 addresses; `nil` for a rule that denies.
    public var ipv4Set: String?
    /// The set of its IPv6 addresses; `nil` for a rule that denies.
    public var ipv6Set: String?

    /// How many addresses one set of a run has room for.
    public static let setSize: UInt32 = 65_536
    /// How many pairs of an endpoint's address and another have room in one set that endpoints share.
    public static let sharedSetSize: UInt32 = 1 << 20

    /// The name of a rule's set for a family, by the rule's number, in the program with a generation.
    public static func set(_ number: Int, _ family: AddressFamily, of generation: Generation) -> String {
        "g\(generation.rawValue)-d\(number)-\(family)"
    }

    /// The name of the set of flows that the name check has let through for a rule, by the rule's number, in the program
    /// with a generation: the client's address and port, and the server's. Only rules have one by which the name in QUIC's
    /// first packets is read (`NamedTraffic.checkedDatagrams`).
    public static func flowSet(_ number: Int, _ family: AddressFamily, of generation: Generation) -> String {
        "g\(generation.rawValue)-q\(number)-\(family)"
    }

    /// A set of flows of datagrams that the name check has let through: the client's address and port, and the server's.
    static func flows(_ name: String, _ family: AddressFamily) -> EgretNftables.Set {
        var set = EgretNftables.Set(name, keyType: family.dataType, size: setSize)
        set.furtherKeyTypes = [.inetService, family.dataType, .inetService]
        set.hasTimeouts = true
        return set
    }

    /// The name of its set for a family.
    public func set(_ family: AddressFamily) -> String? {
        family == .ipv4 ? ipv4Set : ipv6Set
    }
}
