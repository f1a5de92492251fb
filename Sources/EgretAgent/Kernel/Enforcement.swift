// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretPolicy
import EgretRoutes
import EgretShaping

/// What is to be in force.
struct DesiredState: Sendable {
    /// The policies of every kind.
    var catalog: PolicyCatalog
    /// The endpoints.
    var endpoints: [AgentEndpoint]
    /// The labels of groups (which Kubernetes' kinds call namespaces).
    var namespaces: [String: [String: String]] = [:]
    /// The machines of the cluster.
    var nodes: [Inventory.Node] = []
    /// The bridges, besides those that the agent was told of, that are closed to all but what endpoints send and are sent.
    var quarantine: Swift.Set<BridgePattern> = []
    /// Whether limits that do not go together are an error, as for whoever writes them. Otherwise the slowest holds.
    var refusesConflicts = false
}

/// What is in force for one endpoint, or would be.
struct EnforcedEndpoint: Hashable, Sendable {
    /// Which endpoint.
    var endpoint: AgentEndpoint
    /// The policies about what it begins, in the order of asking.
    var egress: [String]
    /// The policies about what others begin to it, in the order of asking.
    var ingress: [String]
    /// The generation of the egress program; `nil` if there is none.
    var egressGeneration: UInt16?
    /// The generation of the ingress program; `nil` if there is none.
    var ingressGeneration: UInt16?

    /// The routes of its policies, in the order of asking; `nil` if there are none.
    var routes: HostRouteClauses?
    /// The limits of its policies: all hold.
    var limits: [TrafficLimit] = []
    /// The budgets of its policies: all hold.
    var budgets: [EndpointBudget] = []
    /// Whether its policies have rules about names, or, where it has a link, limits or budgets for some.
    var hasNames = false

    /// Those generations that are: egress, then ingress.
    var generations: [Int] { [egressGeneration, ingressGeneration].compactMap { $0.map(Int.init) } }
}

/// What a change would come to.
struct EnforcementPreview: Sendable {
    /// The endpoints whose policies would be others, as they would be.
    var changed: [(endpoint: EnforcedEndpoint, egress: Bool, ingress: Bool)]
    /// The endpoints whose routes or limits would be others.
    var routes: Set<Workload.ID> = []
    var limits: Set<Workload.ID> = []
    /// The endpoints whose budgets would be others.
    var budgets: Set<Workload.ID> = []
    /// The open connections that would be refused, by the endpoint whose policies refuse.
    var cut: [Workload.ID: [OpenConnection]]
}

/// What holds the kernel to a state.
///
/// A change is all or nothing: an error means that the state before is in force.
protocol Enforcement: AnyObject {
    /// Takes over a kernel in whatever state it is, and brings it to a state without a gap. Also mends it.
    func take(to state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint]
    /// Brings the kernel from the state that it was last given to another.
    func apply(_ state: DesiredState, at time: Int64) throws -> [EnforcedEndpoint]
    /// Says what a change would come to, and changes nothing.
    func preview(_ state: DesiredState, at time: Int64) throws -> EnforcementPreview
    /// What the kernel holds otherwise than it was last given, in nft's words.
    func drift() throws -> [String]
    /// What others had changed while no agent ran, in words, as far as what a former one has noted tells.
    var alterations: [String] { get }
    /// How often whole tables were read and compared with what they are to hold, which takes much memory for a while.
    var comparisons: Int { get }
    /// How many transactions have given the kernel's ruleset another number; `nil` if nobody counts them.
    var commits: Int? { get }
    /// Whether somebody else has changed queues or filters of links since this was last asked.
    func hearsOfQueues() throws -> Bool
    /// Whether the kernel holds policies, whoever has put them there.
    func holdsPolicies() throws -> Bool
    /// What the counters of programs show, by name.
    func counters() throws -> [String: CounterValue]
    /// Whether counters are read by ``take(to:at:)`` as far as they may be about to go: nobody need read all of them before.
    var readsCountersThatGo: Bool { get }
    /// What has become of the traffic of endpoints with rates of their own.
    func rateCounts() throws -> [RateCounts]
    /// What has become of the traffic that waits for rates that endpoints share.
    func sharedRates() throws -> [SharedRate]
    /// Frees what rests until no open connection needs it.
    func tidy() throws
    /// What the routes of an endpoint's policies lead to now.
    func choices(of clauses: HostRouteClauses) -> [HostRouteChoice]
    /// Until when the kernel has what rules with times need, in seconds since 1970; `nil` if no rule has.
    var timesHoldUntil: Int64? { get }
}

extension Enforcement {
    /// Nobody counts.
    var commits: Int? { nil }

    /// Nothing is noted.
    var alterations: [String] { [] }

    /// Nothing is read by the way.
    var readsCountersThatGo: Bool { false }

    /// Never, for what keeps no queues.
    func hearsOfQueues() throws -> Bool { false }

    /// None, for what keeps no queues.
    func rateCounts() throws -> [RateCounts] { [] }

    /// None, for what keeps no queues.
    func sharedRates() throws -> [SharedRate] { [] }

    /// None, for what keeps no routes.
    func choices(of clauses: HostRouteClauses) -> [HostRouteChoice] { [] }
}

/// A rate that endpoints share, and what has become of the traffic that waits for it.
struct SharedRate: Hashable, Sendable {
    /// The rate, and whose it is.
    var share: RateTree.Share
    /// What the kernel has counted.
    var counts: SharedCounts
}

/// A connection that is open.
struct OpenConnection: Hashable, Sendable, CustomStringConvertible {
    /// Who began it.
    var source: IPAddress
    /// Whom it reached, after any translation by the host.
    var destination: IPAddress
    /// Its protocol.
    var `protocol`: IPProtocol
    /// The destination's port.
    var port: UInt16?

    /// So many of an endpoint's are told.
    static let limit = 100

    /// `10.9.0.2 → 203.0.113.10 443/tcp`.
    var description: String {
        let service = port.map { "\(Service.ports(`protocol`, PortRange($0)))" } ?? "\(Service.any(`protocol`))"
        return "\(source) → \(destination) \(service)"
    }
}
