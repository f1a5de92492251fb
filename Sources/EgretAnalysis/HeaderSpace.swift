// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretEvaluator
public import EgretPolicy

/// What a policy set does with every packet there can be: the evaluator's answers, all of them.
///
/// The addresses of each family are cut into pieces; throughout a piece every protocol, port and ICMP type meets the same
/// decision at every address. For each (address, service) the decision is the one that `PolicyEvaluator` gives.
///
/// Packets have a port where their protocol has ports, a type if it is ICMP or ICMPv6, or neither.
public struct HeaderSpace: Sendable {
    /// Addresses that behave alike, one after the other.
    public struct Piece: Hashable, Sendable {
        /// The first.
        public var first: IPAddress
        /// The last.
        public var last: IPAddress
        /// The services that may pass.
        public var allowed: ServiceSet
    }

    /// Services that one decision is about.
    public struct Case: Hashable, Sendable {
        /// The services.
        public var services: ServiceSet
        /// The decision.
        public var decision: Decision
    }

    /// The set that decides.
    public let policies: PolicySet
    /// Whether this is about packets that the host itself receives.
    public let isHost: Bool
    /// Every decision that is taken somewhere.
    let decisions: [Decision]
    /// The distinct behaviours.
    let programs: [ServiceProgram]
    /// What may pass by each of the programs.
    let allowed: [ServiceSet]
    /// Every rule's place, by the numbers that programs ask by.
    let clauses: [DecidingClause]
    let steps4: AddressSteps
    let steps6: AddressSteps

    /// Works out the space of a policy set.
    ///
    /// - Parameters:
    ///   - policies: The set.
    ///   - isHost: Whether the packets are those that the host itself receives.
    ///   - unixTime: When they are sent, in seconds since 1970-01-01T00:00Z; `nil` for a time that nobody knows, as
    ///     `PolicyEvaluator` takes it.
    /// - Complexity: O(*n* log *n* + *n* *r*) in the address ranges *n* of all rules, and the rules *r* that cover one
    ///   address.
    public init(_ policies: PolicySet, isHost: Bool = false, at unixTime: Int64? = nil) {
        self.init(PolicyEvaluator(policies: policies), isHost: isHost, at: unixTime)
    }

    /// Works out the space of an evaluator's policy set.
    public init(_ evaluator: PolicyEvaluator, isHost: Bool = false, at unixTime: Int64? = nil) {
        var builder = SpaceBuilder(evaluator, isHost: isHost, at: unixTime)
        steps4 = builder.steps(.ipv4)
        steps6 = builder.steps(.ipv6)
        policies = evaluator.policies
        self.isHost = isHost
        let decisions = builder.decisions
        self.decisions = decisions
        programs = builder.programs
        clauses = builder.clauses
        allowed = builder.programs.map { program in
            program.cases.filter { decisions[Int($0.decision)].verdict == .allow }
                .reduce(ServiceSet.nothing) { $0.union($1.services) }
        }
    }

    /// The pieces of one family, in order; neighbours may allow the same by different clauses.
    public func pieces(_ family: AddressFamily) -> [Piece] {
        let steps = steps(family)
        return steps.values.indices.map { index in
            Piece(
                first: IPAddress(family: family, rawValue: steps.starts[index]),
                last: IPAddress(family: family, rawValue: steps.end(of: index)),
                allowed: allowed[Int(steps.values[index])]
            )
        }
    }

    /// The services that may pass to, or in a set for ingress from, an address.
    public func allowed(at address: IPAddress) -> ServiceSet {
        allowed[Int(steps(address.family).value(at: address.rawValue))]
    }

    /// Every decision about an address, with the services that it is about: apart, and together everything.
    public func cases(at address: IPAddress) -> [Case] {
        programs[Int(steps(address.family).value(at: address.rawValue))].cases.map {
            Case(services: $0.services, decision: decisions[Int($0.decision)])
        }
    }

    /// The rules that decide about some packet, or pass one on.
    var askedClauses: Set<DecidingClause> {
        Set(programs.flatMap(\.asked).map { clauses[Int($0)] })
    }

    func steps(_ family: AddressFamily) -> AddressSteps { family == .ipv4 ? steps4 : steps6 }
}
