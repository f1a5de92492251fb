// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretNftables
public import EgretPolicy

/// The routes of all endpoints of a host's networks: which ways there are, who chooses among which, and what is known
/// of them now.
///
/// A way has one number on the host, whoever takes it, and keeps it as long as somebody may: a connection carries the
/// number, whatever becomes of the policies.
public struct HostRoutePlan: Hashable, Sendable {
    /// A way with the check that decides whether it may be chosen.
    public struct Candidate: Hashable, Sendable {
        /// The way's number.
        public var way: Int
        /// How its health is found out.
        public var check: RouteCheck?

        /// Creates the pair.
        public init(way: Int, check: RouteCheck?) {
            self.way = way
            self.check = check
        }
    }

    /// A clause and the ways it may lead to.
    public struct Clause: Hashable, Sendable {
        /// The clause.
        public var route: EgressRoute
        /// Its ways, the preferred one first.
        public var candidates: [Candidate]

        /// Creates the pair.
        public init(route: EgressRoute, candidates: [Candidate]) {
            self.route = route
            self.candidates = candidates
        }
    }

    /// The clauses that endpoints with the same routes share.
    public struct Group: Hashable, Sendable {
        /// Its number; it is never given to other clauses while these are in the kernel.
        public var number: Int
        /// The clauses, in the order in which they are asked.
        public var clauses: [Clause]
        /// The groups of destinations that clauses name.
        public var destinations: [String: DestinationGroup]

        /// Creates a group.
        public init(number: Int, clauses: [Clause], destinations: [String: DestinationGroup]) {
            self.number = number
            self.clauses = clauses
            self.destinations = destinations
        }
    }

    /// An endpoint whose connections are led.
    public struct Member: Hashable, Sendable {
        /// How the host knows its packets.
        public var attachment: HostEndpoint.Attachment
        /// Its addresses.
        public var addresses: [IPAddress]
        /// The number of its group.
        public var group: Int

        /// Creates a member.
        public init(attachment: HostEndpoint.Attachment, addresses: [IPAddress], group: Int) {
            self.attachment = attachment
            self.addresses = addresses
            self.group = group
        }
    }

    /// The ways by number, without their checks.
    public var ways: [Int: RouteWay] = [:]
    /// Ways that nobody may choose any more; what is still on them is dropped.
    public var leaving: Swift.Set<Int> = []
    /// Who shares which clauses.
    public var groups: [Group] = []
    /// Whose connections are led.
    public var members: [Member] = []
    /// The networks of this host: what goes there is on no way.
    public var localNetworks: [IPPrefix] = []
    /// The candidates that new connections may take.
    public var usable: Swift.Set<Candidate> = []
    /// The interface that packets of a way must leave by, by the way's number; none where only the source address is
    /// chosen, or where the interface is not there.
    public var outputs: [Int: UInt32] = [:]
    /// The addresses that the host has by each way, by the way's number.
    public var addresses: [Int: [IPAddress]] = [:]
    /// The interfaces that forward a family for the sake of ways only: nothing but answers comes in by them.
    public var opened: [AddressFamily: [UInt32]] = [:]

    /// Creates a plan without ways.
    public init() {}

    /// The table.
    public static let table = Table(family: .inet, name: "egret-routes")
    /// The counter of packets that were dropped because no way of their clause was usable.
    public static let droppedCounter = "dropped"
    /// The counter of packets that were dropped because they were about to leave by another way than their connection's.
    public static let strayedCounter = "strayed"
    /// The counter of answers of the host that were led back by the way whose packets they answer.
    public static let answeredCounter = "answered"

    /// The way that new connections of a clause take now; `nil` if none of that family is usable.
    public func choice(_ clause: Clause, _ family: AddressFamily) -> Candidate? {
        clause.candidates.first { usable.contains($0) && ways[$0.way]?.carries(family) ?? false }
    }
}

extension RouteWay {
    /// Whether packets take another path than the main table's, or only another source address.
    public var isPath: Bool { gateway != nil || interface != nil }

    /// What the rules end with that give connections its source address.
    func sourceTranslations(_ first: IPAddress) -> [[Statement]] {
        SourceSpread.translations(first, lastSourceAddress ?? first, isPerConnection: isSourcePerConnection)
    }
}
