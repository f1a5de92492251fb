// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The agent's documents: what its API takes and gives, as JSON. `docs/openapi.yaml` describes the same.
public enum AgentAPI {
    /// Where the agent listens, unless `EGRET_AGENT_SOCKET` names another path.
    public static let socketPath = "/run/egret/agent.sock"
    /// The environment variable that names another path.
    public static let socketVariable = "EGRET_AGENT_SOCKET"
    /// The largest body of a request, in bytes.
    public static let bodyLimit = 1 << 28
    /// The kinds of objects that the agent keeps. What runs something is not among them: the agent's workloads are endpoints.
    public static let kinds = [
        "EgressPolicy", "DestinationGroup", "PriceList", "NetworkPolicy", "ClusterNetworkPolicy", "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy", "Namespace", "Node",
    ]
}

/// A file of documents, as it is written.
public struct SourceFile: Codable, Hashable, Sendable {
    /// Its name, for places in messages.
    public var name: String
    /// Its text.
    public var text: String

    /// Creates a file.
    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }
}

/// A change that is asked for.
public struct ApplyRequest: Codable, Hashable, Sendable {
    /// The documents that come, or take the place of those with the same kind and name.
    public var files: [SourceFile]
    /// Whether objects go that came from the same files, or from files below the same directories, and are in none of them
    /// now.
    public var prune: Bool?
    /// The directories that were named, for `prune`.
    public var directories: [String]?
    /// Objects that go: `EgressPolicy/name`, `NetworkPolicy/namespace/name`.
    public var delete: [String]?
    /// After so many seconds everything is as before, unless the change is confirmed.
    public var confirmWithin: Int?
    /// Why, for the history.
    public var message: String?

    /// Creates a request.
    public init(
        files: [SourceFile] = [], prune: Bool? = nil, directories: [String]? = nil, delete: [String]? = nil,
        confirmWithin: Int? = nil, message: String? = nil
    ) {
        self.files = files
        self.prune = prune
        self.directories = directories
        self.delete = delete
        self.confirmWithin = confirmWithin
        self.message = message
    }
}

/// What a change does, or has done.
public struct ChangeReport: Codable, Hashable, Sendable {
    /// What becomes of one object.
    public struct ObjectChange: Codable, Hashable, Sendable {
        /// Its kind and name.
        public var object: String
        /// `added`, `changed` or `removed`.
        public var change: String

        /// Creates a change.
        public init(object: String, change: String) {
            self.object = object
            self.change = change
        }
    }

    /// What becomes of one endpoint.
    public struct EndpointChange: Codable, Hashable, Sendable {
        /// `group/name`.
        public var endpoint: String
        /// Whether other policies than before decide about what it begins.
        public var egress: Bool
        /// Whether other policies than before decide about what others begin to it.
        public var ingress: Bool
        /// Whether the policies have other routes than before.
        public var routes: Bool?
        /// Whether the policies have other limits than before.
        public var limits: Bool?
        /// Whether the policies have other budgets than before.
        public var budgets: Bool?
        /// The generations in force, once they are.
        public var generations: [Int]?
        /// Its open connections that the new policies refuse: `10.9.0.2 → 203.0.113.10 443/tcp`; up to 100 of each direction,
        /// and worked out for plans only.
        public var cut: [String]

        /// Creates a change.
        public init(
            endpoint: String, egress: Bool, ingress: Bool, routes: Bool? = nil, limits: Bool? = nil,
            budgets: Bool? = nil, generations: [Int]? = nil, cut: [String] = []
        ) {
            self.routes = routes
            self.limits = limits
            self.budgets = budgets
            self.endpoint = endpoint
            self.egress = egress
            self.ingress = ingress
            self.generations = generations
            self.cut = cut
        }
    }

    /// The revision that it made; `nil` for a plan.
    public var revision: Int?
    /// The objects that change.
    public var objects: [ObjectChange]
    /// The endpoints that change.
    public var endpoints: [EndpointChange]
    /// What the author should know.
    public var warnings: [String]
    /// The time, in seconds since 1970, by which it must be confirmed.
    public var confirmBy: Int?

    /// Creates a report.
    public init(
        revision: Int? = nil, objects: [ObjectChange] = [], endpoints: [EndpointChange] = [], warnings: [String] = [],
        confirmBy: Int? = nil
    ) {
        self.revision = revision
        self.objects = objects
        self.endpoints = endpoints
        self.warnings = warnings
        self.confirmBy = confirmBy
    }
}

/// A state of all objects.
public struct RevisionInfo: Codable, Hashable, Sendable {
    /// Its number.
    public var number: Int
    /// When, in seconds since 1970.
    public var time: Int
    /// Who asked for it: user and process.
    public var author: String
    /// Why.
    public var message: String?
    /// `current`, `unconfirmed`, `superseded`, `rolled-back` or `failed`.
    public var state: String
    /// Why it failed, or was rolled back.
    public var reason: String?
    /// How many objects it holds.
    public var objects: Int
    /// The time by which it must be confirmed.
    public var confirmBy: Int?

    /// Creates a revision's description.
    public init(
        number: Int, time: Int, author: String, message: String? = nil, state: String, reason: String? = nil,
        objects: Int,
        confirmBy: Int? = nil
    ) {
        self.number = number
        self.time = time
        self.author = author
        self.message = message
        self.state = state
        self.reason = reason
        self.objects = objects
        self.confirmBy = confirmBy
    }
}

/// Something that is true of an object, or is not.
public struct Condition: Codable, Hashable, Sendable {
    /// What a condition is about.
    public enum Kind: String, Sendable, CaseIterable {
        /// A policy or group: it is one of the current revision.
        case accepted = "Accepted"
        /// The kernel holds all concerned to it.
        case enforced = "Enforced"
        /// A policy: the groups with feeds that it names have their lists.
        case feedsLoaded = "FeedsLoaded"
        /// A group with a feed: what it has is what its source has, as far as anybody knows.
        case fresh = "Fresh"
        /// A policy or group: the latest change that somebody asked for came about.
        case lastChange = "LastChange"
        /// A group with a feed: its list has come at least once.
        case loaded = "Loaded"
        /// An endpoint: its questions for names are answered.
        case namesResolved = "NamesResolved"
        /// An endpoint: an agent that begins anew knows it.
        case recorded = "Recorded"
        /// An endpoint: its engine runs it.
        case running = "Running"
        /// A policy: the source addresses that its routes name are this host's.
        case sourcesPresent = "SourcesPresent"
    }

    /// One of ``Kind``, or one that a newer agent tells of.
    public var type: String
    /// Whether it is true.
    public var status: Bool
    /// Why not.
    public var reason: String?

    /// What it is about, if this version knows.
    public var kind: Kind? { Kind(rawValue: type) }

    /// Creates a condition.
    public init(_ kind: Kind, _ status: Bool, reason: String? = nil) {
        type = kind.rawValue
        self.status = status
        self.reason = reason
    }
}

/// A policy or group of the current revision.
public struct PolicyInfo: Codable, Hashable, Sendable {
    /// Its kind and name.
    public var object: String
    /// The tier, for policies.
    public var tier: String?
    /// `enforce` or `audit`, for policies.
    public var mode: String?
    /// Where it was written: `file:line`.
    public var source: String
    /// How many endpoints obey it, for policies.
    public var endpoints: Int?
    /// What its clauses have decided about, for policies.
    public var traffic: [ClauseTraffic]?
    /// What is true of it.
    public var conditions: [Condition]

    /// Creates a description.
    public init(
        object: String, tier: String? = nil, mode: String? = nil, source: String, endpoints: Int? = nil,
        traffic: [ClauseTraffic]? = nil, conditions: [Condition]
    ) {
        self.object = object
        self.tier = tier
        self.mode = mode
        self.source = source
        self.endpoints = endpoints
        self.traffic = traffic
        self.conditions = conditions
    }
}

/// An endpoint of a network.
public struct EndpointInfo: Codable, Hashable, Sendable {
    /// `group/name`.
    public var name: String
    /// Its network.
    public var network: String
    /// Its namespace, as it was connected.
    public var namespace: String
    /// Its addresses.
    public var addresses: [String]
    /// The blocks that it reaches by this link without a gateway; `nil` where the agent does not know.
    public var subnets: [String]?
    /// The families of which it leaves by this link, `ipv4` and `ipv6`, if it has several; `nil` otherwise, and where the
    /// agent does not know.
    public var leads: [String]?
    /// Its labels.
    public var labels: [String: String]
    /// Its ports that have names: `http=8080/tcp`.
    public var ports: [String]?
    /// The policies about what it begins, in the order of asking; empty: the network's default.
    public var egress: [String]
    /// What becomes of what it begins where no policy is about that: `allow`, `audit`, `deny` or `reject`; `nil` where one is.
    public var networkDefault: String?
    /// The policies about what others begin to it; empty: everything is let through.
    public var ingress: [String]
    /// The routes of its policies, in the order of asking, and what each leads to now; `nil` if there are none.
    public var routes: [String]?
    /// The limits that its policies set; `nil` if there are none.
    public var limits: [String]?
    /// What its own rates have let pass and dropped, at the link that it is known by; `nil` if it has none there, and in the
    /// answer to an attachment.
    public var rates: [RateInfo]?
    /// What it has resolved and may reach by name now; `nil` if no policy of its has rules about names.
    public var names: HeldNames?
    /// The generations in force: egress, then ingress.
    public var generations: [Int]
    /// Its packets, and those for it, that were refused and logged; more may have been refused.
    public var refused: UInt64?
    /// What is true of it.
    public var conditions: [Condition]

    /// Creates a description.
    public init(
        name: String, network: String, namespace: String, addresses: [String], subnets: [String]? = nil,
        leads: [String]? = nil, labels: [String: String], ports: [String]? = nil, egress: [String],
        networkDefault: String? = nil, ingress: [String], routes: [String]? = nil, limits: [String]? = nil,
        rates: [RateInfo]? = nil, names: HeldNames? = nil, generations: [Int], refused: UInt64? = nil,
        conditions: [Condition]
    ) {
        self.subnets = subnets
        self.leads = leads
        self.networkDefault = networkDefault
        self.routes = routes
        self.names = names
        self.limits = limits
        self.rates = rates
        self.ports = ports
        self.refused = refused
        self.name = name
        self.network = network
        self.namespace = namespace
        self.addresses = addresses
        self.labels = labels
        self.egress = egress
        self.ingress = ingress
        self.generations = generations
        self.conditions = conditions
    }
}

/// What an endpoint has resolved and may reach by name for some time yet.
public struct HeldNames: Codable, Hashable, Sendable {
    /// How many names.
    public var names: Int
    /// How many addresses, counted once for each rule that opens them.
    public var addresses: Int

    /// Creates a description.
    public init(names: Int, addresses: Int) {
        self.names = names
        self.addresses = addresses
    }
}

/// How the agent is.
public struct AgentStatus: Codable, Hashable, Sendable {
    /// Its process.
    public var process: Int
    /// The kernel's cookie of the network namespace whose endpoints it holds to policies.
    public var networkNamespace: UInt64
    /// The revision in force.
    public var revision: Int
    /// How many policies.
    public var policies: Int
    /// How many endpoints.
    public var endpoints: Int
    /// How often the kernel was found changed by others and mended.
    public var repairs: Int
    /// What is wrong; `nil` if nothing is.
    public var problem: String?
    /// What becomes of what endpoints begin that no policy is about: `allow`, `audit`, `deny` or `reject`.
    ///
    /// `nil` from an agent that does not say.
    public var networkDefault: String?
    /// How many connections to names another process holds, so that they go on when the agent ends.
    ///
    /// `nil` from an agent that does not say.
    public var heldConnections: Int?
    /// How many transactions of the agent's own have given the kernel's ruleset another number while it did what this answers.
    /// What it keeps budgets and routes with is not among them.
    ///
    /// `nil` where nothing was to be done, and from an agent that does not say.
    public var rulesetChanges: Int?

    /// Creates a status.
    public init(
        process: Int, networkNamespace: UInt64, revision: Int, policies: Int, endpoints: Int, repairs: Int,
        problem: String?, networkDefault: String? = nil, heldConnections: Int? = nil, rulesetChanges: Int? = nil
    ) {
        self.process = process
        self.networkNamespace = networkNamespace
        self.revision = revision
        self.policies = policies
        self.endpoints = endpoints
        self.repairs = repairs
        self.problem = problem
        self.networkDefault = networkDefault
        self.heldConnections = heldConnections
        self.rulesetChanges = rulesetChanges
    }
}

/// Why a request was refused.
public struct APIError: Codable, Error, Hashable, Sendable, CustomStringConvertible {
    /// `invalid`, `conflict`, `notFound`, `forbidden`, `tooLarge` or `failed`.
    public var code: String
    /// What is wrong.
    public var message: String
    /// What to do.
    public var advice: String?
    /// The mistakes of documents, ready to be printed.
    public var diagnostics: [String]?

    /// Creates an error.
    public init(_ code: String, _ message: String, advice: String? = nil, diagnostics: [String]? = nil) {
        self.code = code
        self.message = message
        self.advice = advice
        self.diagnostics = diagnostics
    }

    /// The message.
    public var description: String { message }
}

/// The difference of two revisions.
public struct RevisionDifference: Codable, Hashable, Sendable {
    /// The objects that differ.
    public var objects: [ChangeReport.ObjectChange]
    /// The texts, as a unified diff.
    public var text: String

    /// Creates a difference.
    public init(objects: [ChangeReport.ObjectChange], text: String) {
        self.objects = objects
        self.text = text
    }
}
