// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What is used of a budget, by those whose traffic counts together.
public struct BudgetInfo: Codable, Hashable, Sendable {
    /// The policy's name.
    public var policy: String
    /// The budget's name.
    public var budget: String
    /// The endpoint's name or the label's value; empty where all endpoints of the policy share.
    public var account: String
    /// How many endpoints use it now.
    public var endpoints: Int
    /// What it is of: `bytes`, `packets` or `connections`.
    public var unit: String
    /// How much of that is used in the present period; bytes with IP headers.
    public var used: UInt64
    /// How much may be used in a period; `nil` for what is only counted.
    public var amount: UInt64?
    /// How much more may be used in this one.
    public var granted: UInt64
    /// The period: `month`, `{ rolling: 24h }`.
    public var period: String
    /// At which times it counts, and holds anything back: `mon-fri 09:00-17:00 (UTC)`; `nil` for always.
    public var when: String?
    /// Whether it is such a time now; `nil` where it always counts.
    public var isOpen: Bool?
    /// When the period ends, in seconds since 1970; `nil` for one without end.
    public var ends: Int?
    /// How much will have been used by then if it goes on as it did so far; `nil` for a period without end.
    public var forecast: UInt64?
    /// What the used bytes cost, in millionths of the currency's unit; `nil` without a price.
    public var cost: UInt64?
    /// What all will cost by the period's end, in millionths, if it goes on as it did so far; `nil` without either.
    public var costForecast: UInt64?
    /// The currency of the costs; `nil` without a price.
    public var currency: String?
    /// What happens when all is used.
    public var onExhausted: String
    /// Whether packets are held back now.
    public var isExhausted: Bool
    /// How many packets were held back; since the kernel's table was made.
    public var refused: UInt64

    /// Creates a state.
    public init(
        policy: String, budget: String, account: String, endpoints: Int, unit: String = "bytes", used: UInt64,
        amount: UInt64? = nil, granted: UInt64 = 0, period: String, when: String? = nil, isOpen: Bool? = nil,
        ends: Int? = nil, forecast: UInt64? = nil, cost: UInt64? = nil, costForecast: UInt64? = nil,
        currency: String? = nil, onExhausted: String, isExhausted: Bool, refused: UInt64
    ) {
        self.policy = policy
        self.budget = budget
        self.account = account
        self.endpoints = endpoints
        self.unit = unit
        self.used = used
        self.amount = amount
        self.granted = granted
        self.period = period
        self.when = when
        self.isOpen = isOpen
        self.ends = ends
        self.forecast = forecast
        self.cost = cost
        self.costForecast = costForecast
        self.currency = currency
        self.onExhausted = onExhausted
        self.isExhausted = isExhausted
        self.refused = refused
    }
}

extension BudgetInfo {
    /// Reads a state. An agent that knows of bytes alone does not say what it is of.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            policy: try values.decode(String.self, forKey: .policy),
            budget: try values.decode(String.self, forKey: .budget),
            account: try values.decode(String.self, forKey: .account),
            endpoints: try values.decode(Int.self, forKey: .endpoints),
            unit: try values.decodeIfPresent(String.self, forKey: .unit) ?? "bytes",
            used: try values.decode(UInt64.self, forKey: .used),
            amount: try values.decodeIfPresent(UInt64.self, forKey: .amount),
            granted: try values.decode(UInt64.self, forKey: .granted),
            period: try values.decode(String.self, forKey: .period),
            when: try values.decodeIfPresent(String.self, forKey: .when),
            isOpen: try values.decodeIfPresent(Bool.self, forKey: .isOpen),
            ends: try values.decodeIfPresent(Int.self, forKey: .ends),
            forecast: try values.decodeIfPresent(UInt64.self, forKey: .forecast),
            cost: try values.decodeIfPresent(UInt64.self, forKey: .cost),
            costForecast: try values.decodeIfPresent(UInt64.self, forKey: .costForecast),
            currency: try values.decodeIfPresent(String.self, forKey: .currency),
            onExhausted: try values.decode(String.self, forKey: .onExhausted),
            isExhausted: try values.decode(Bool.self, forKey: .isExhausted),
            refused: try values.decode(UInt64.self, forKey: .refused))
    }
}

/// A change of what may be used of budgets in the present period.
public struct BudgetChange: Codable, Hashable, Sendable {
    /// The policy's name.
    public var policy: String
    /// The budget's name.
    public var budget: String
    /// The endpoint's name or the label's value; `nil` for all.
    public var account: String?
    /// How much is granted; `nil` for the whole amount again.
    public var grant: UInt64?
    /// Of what: `packets` or `connections`, as the budget is; `nil` is bytes.
    public var unit: String?

    /// Creates a change.
    public init(
        policy: String, budget: String, account: String? = nil, grant: UInt64? = nil, unit: String? = nil
    ) {
        self.policy = policy
        self.budget = budget
        self.account = account
        self.grant = grant
        self.unit = unit
    }
}

/// What to sum usage by, and since when.
public struct UsageQuery: Hashable, Sendable {
    /// What usage can be summed by.
    public enum Key: String, Hashable, Sendable, CaseIterable {
        /// The endpoint that sent or was sent it.
        case endpoint
        /// The policy whose budget counted it.
        case policy
        /// The budget, which says where it went.
        case destination
        /// The day, by the clocks of the budget's zone.
        case day
    }

    /// By what; at least one.
    public var keys: [Key]
    /// The first day, `2026-11-01`, or a moment of the last 48 hours in seconds since 1970, whose hour counts whole; `nil` for
    /// all that is known.
    public var since: String?
    /// Whether what price lists have counted is asked for as well.
    public var hasPriceLists: Bool

    /// Creates a query.
    public init(by keys: [Key] = Key.allCases.dropLast(), since: String? = nil, hasPriceLists: Bool = false) {
        self.keys = keys
        self.since = since
        self.hasPriceLists = hasPriceLists
    }
}

/// Usage, summed.
public struct UsageRow: Codable, Hashable, Sendable {
    /// The endpoint, where it is summed by endpoints.
    public var endpoint: String?
    /// The policy, where it is summed by policies.
    public var policy: String?
    /// The price list that has counted it; `nil` for what budgets have counted.
    public var priceList: String?
    /// The name of the budget, or of the price, where it is summed by destinations.
    public var destination: String?
    /// The day, `2026-11-21`, where it is summed by days.
    public var day: String?
    /// Packets, as the host forwards them: several that were not yet cut up count as one.
    public var packets: UInt64
    /// Bytes of those, IP headers included.
    public var bytes: UInt64
    /// What they cost by the prices of the policies and price lists in force, in millionths, by currency.
    public var cost: [String: UInt64]

    /// Creates a row.
    public init(
        endpoint: String? = nil, policy: String? = nil, priceList: String? = nil, destination: String? = nil,
        day: String? = nil, packets: UInt64 = 0, bytes: UInt64 = 0, cost: [String: UInt64] = [:]
    ) {
        self.endpoint = endpoint
        self.policy = policy
        self.priceList = priceList
        self.destination = destination
        self.day = day
        self.packets = packets
        self.bytes = bytes
        self.cost = cost
    }
}

/// What the present month's traffic has come to by one price of a list.
public struct CostInfo: Codable, Hashable, Sendable {
    /// The price list's name.
    public var priceList: String
    /// The price's name, which says where the traffic goes.
    public var destination: String
    /// Bytes of all endpoints in the month, IP headers included.
    public var used: UInt64
    /// How many of a month's bytes cost nothing; `nil` where all cost something.
    public var free: UInt64?
    /// What the bytes cost, in millionths of the currency's unit.
    public var cost: UInt64
    /// The currency of the costs.
    public var currency: String
    /// When the month ends, in seconds since 1970.
    public var ends: Int
    /// Bytes that there will have been by then if it goes on as it did so far.
    public var forecast: UInt64
    /// What those will cost, in millionths.
    public var costForecast: UInt64

    /// Creates a description.
    public init(
        priceList: String, destination: String, used: UInt64, free: UInt64? = nil, cost: UInt64, currency: String,
        ends: Int, forecast: UInt64, costForecast: UInt64
    ) {
        self.priceList = priceList
        self.destination = destination
        self.used = used
        self.free = free
        self.cost = cost
        self.currency = currency
        self.ends = ends
        self.forecast = forecast
        self.costForecast = costForecast
    }
}
