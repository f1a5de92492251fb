// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// How much traffic there may be in a time, what happens when it is used up, and what it costs.
public struct TrafficBudget: Hashable, Sendable {
    /// Whose traffic counts together.
    public enum Scope: Hashable, Sendable, CustomStringConvertible {
        /// Each endpoint has the amount for itself, under its name.
        case endpoint
        /// All endpoints that obey the policy share it.
        case policy
        /// Endpoints with the same value of a label share it; those without the label share one as well.
        case label(String)

        /// As it is written: `endpoint`, `policy`, `label:team`.
        public var description: String {
            switch self {
            case .endpoint: "endpoint"
            case .policy: "policy"
            case .label(let key): "label:\(key)"
            }
        }
    }

    /// Which packets count.
    public enum Direction: String, Hashable, Sendable, CaseIterable {
        /// What endpoints send.
        case egress
        /// What endpoints are sent.
        case ingress
        /// Both together.
        case both

        /// Whether packets of a direction count.
        public func covers(_ direction: TrafficDirection) -> Bool { self == .both || rawValue == direction.rawValue }
    }

    /// What happens when the amount is used up.
    public enum Exhaustion: Hashable, Sendable, CustomStringConvertible {
        /// No connection begins; those that are open go on, and still count.
        case deny
        /// Nothing passes any more, of connections that are open as well.
        case cut
        /// No more than so much in a second.
        case throttle(BitRate)
        /// It is told, and nothing else.
        case alert

        /// As it is written.
        public var description: String {
            switch self {
            case .deny: "deny"
            case .cut: "cut"
            case .throttle(let rate): "{ throttle: \(rate) }"
            case .alert: "alert"
            }
        }
    }

    /// The name, unique in its policy: with the policy's, what is counted under.
    public var name: String
    /// The far side's addresses. Any one suffices; empty, without ``domains``, means all.
    public var destinations: [Destination]
    /// The far side's names, beside ``destinations``: addresses that the endpoint has resolved them to.
    public var domains: [DomainPattern]
    /// The far side's protocols and ports. Any one suffices; empty means all.
    public var services: [Service]
    /// Which packets count.
    public var direction: Direction
    /// How much; `nil` only counts.
    public var amount: BudgetAmount?
    /// For which time.
    public var period: BudgetPeriod
    /// When it counts, and holds anything back; `nil` for always.
    public var schedule: Schedule?
    /// Whose traffic counts together.
    public var scope: Scope
    /// What happens when it is used up.
    public var onExhausted: Exhaustion
    /// The parts of the amount, in per cent, that are told of when they are reached; ascending.
    public var alertAt: [Int]
    /// What the traffic costs.
    public var price: TrafficPrice?
    /// Where it is written.
    public var location: SourceLocation?

    /// Creates a budget.
    public init(
        name: String, destinations: [Destination] = [], domains: [DomainPattern] = [], services: [Service] = [],
        direction: Direction = .egress, amount: BudgetAmount? = nil, period: BudgetPeriod = BudgetPeriod(.total),
        schedule: Schedule? = nil, scope: Scope = .endpoint, onExhausted: Exhaustion = .deny, alertAt: [Int] = [],
        price: TrafficPrice? = nil, location: SourceLocation? = nil
    ) {
        self.name = name
        self.destinations = destinations
        self.domains = domains
        self.services = services
        self.direction = direction
        self.amount = amount
        self.period = period
        self.schedule = schedule
        self.scope = scope
        self.onExhausted = onExhausted
        self.alertAt = alertAt
        self.price = price
        self.location = location
    }

    /// The names that it is about: its own, and those of the groups that it refers to.
    public func patterns(_ groups: [String: DestinationGroup]) -> [DomainPattern] {
        domains + PolicySet.patterns(ofGroupsIn: destinations, groups)
    }

    /// What is counted of it: bytes where it has no amount.
    public var unit: BudgetAmount.Unit { amount?.unit ?? .bytes }

    /// Whether it counts at a moment, in seconds since 1970.
    public func isOpen(at time: Int64) -> Bool { schedule?.isOpen(at: time) ?? true }

    /// The value that the traffic of an endpoint counts under.
    ///
    /// - Parameters:
    ///   - endpoint: The endpoint's name.
    ///   - labels: Its labels.
    /// - Returns: The endpoint's name, a label's value, or nothing where all endpoints share.
    public func account(of endpoint: String, labels: [String: String]) -> String {
        switch scope {
        case .endpoint: endpoint
        case .policy: ""
        case .label(let key): labels[key] ?? ""
        }
    }
}
