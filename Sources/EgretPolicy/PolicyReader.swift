// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Turns documents into validated policies and groups, and reports every mistake at once.
///
/// Nothing is guessed and nothing is dropped: a document with a mistake gives a diagnostic, and callers apply
/// nothing while ``Result/hasErrors``. What could be read is returned all the same, so that later checks can
/// report their own mistakes in the same go.
public struct PolicyReader {
    /// Which kinds of documents are read.
    public enum Scope: Hashable, Sendable {
        /// Egret's own: what a command's workload obeys. Any other document is a mistake.
        case own
        /// Those of Kubernetes too, policies and workloads. Documents of kinds that have nothing to say here are
        /// passed over.
        case manifests
    }

    /// What was read.
    public struct Result: Hashable, Sendable {
        /// The policies, in the order of the documents.
        public var policies: [EgressPolicy]
        /// The destination groups, in the order of the documents.
        public var groups: [DestinationGroup]
        /// The price lists, in the order of the documents.
        public var priceLists: [PriceList] = []
        /// The policies of `networking.k8s.io`, in the order of the documents.
        public var networkPolicies: [NetworkPolicy] = []
        /// The policies of `policy.networking.k8s.io`, in the order of the documents.
        public var clusterPolicies: [ClusterPolicy] = []
        /// The services, in the order of the documents.
        public var services: [ServiceObject] = []
        /// The workloads, namespaces and nodes.
        public var inventory = Inventory()
        /// How many documents of each kind were read.
        public var kinds: [String: Int] = [:]
        /// How many documents of each kind were passed over.
        public var passedOver: [String: Int] = [:]
        /// All mistakes and doubts, by file and position.
        public var diagnostics: [Diagnostic]
        /// Whether something could not be read at all: it may define any group.
        public var isIncomplete: Bool
        /// The names of groups whose documents have mistakes; rules that name them are right all the same.
        public var faultyGroupNames: Set<String> = []
        /// The names of groups that rules name, defined here or not.
        public var groupReferences: Set<String> = []

        /// Creates a result.
        public init(
            policies: [EgressPolicy] = [], groups: [DestinationGroup] = [], diagnostics: [Diagnostic] = [],
            isIncomplete: Bool = false
        ) {
            self.policies = policies
            self.groups = groups
            self.diagnostics = diagnostics
            self.isIncomplete = isIncomplete
        }

        /// Whether anything is wrong, so that nothing here may be used.
        public var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }

        /// Whether there is anything of Kubernetes.
        public var hasKubernetesKinds: Bool {
            !networkPolicies.isEmpty || !clusterPolicies.isEmpty || !inventory.workloads.isEmpty
                || !inventory.namespaces.isEmpty
        }

        /// Every policy.
        ///
        /// What nobody decides is allowed among Kubernetes' objects, as it is in a cluster, and denied otherwise.
        public var catalog: PolicyCatalog {
            PolicyCatalog(
                egressPolicies: policies, networkPolicies: networkPolicies, clusterPolicies: clusterPolicies,
                groups: groups, networkDefault: hasKubernetesKinds ? .allow : .deny, priceLists: priceLists
            )
        }
    }

    var result = Result()
    /// Places where rules name groups, for the check once every document has been read.
    var groupReferences: [(name: String, location: SourceLocation)] = []
    /// Names of groups whose document has mistakes: rules that name them are right all the same.
    var groupNames: [String: SourceLocation] = [:]
    var policyNames: [String: SourceLocation] = [:]
    var priceListNames: [String: SourceLocation] = [:]
    /// Names of objects of Kubernetes, as `kind/name` or `kind/namespace/name`.
    var objectNames: [String: SourceLocation] = [:]
    /// The objects that run something, before it is known which of them stand for the same.
    var manifestWorkloads: [ManifestWorkload] = []
    var namespaces: [String: [String: String]] = [:]
    var nodes: [Inventory.Node] = []
    private let scope: Scope

    let timeZones: TimeZoneDatabase
    /// The zones that rules have named so far, so that rules share their storage.
    var knownTimeZones: [String: TimeZoneRules] = [:]

    private init(_ scope: Scope, _ timeZones: TimeZoneDatabase) {
        self.scope = scope
        self.timeZones = timeZones
    }

    /// Whether documents of Kubernetes are read.
    var readsManifests: Bool { scope == .manifests }

    /// Reads documents, usually those of several files together: groups of one file serve policies of another.
    ///
    /// - Parameters:
    ///   - documents: The documents, in order.
    ///   - isIncomplete: Whether a document could not be parsed and is missing. Group names that are unknown
    ///     are then not reported: their definitions may be in the missing part. Pass `true` only beside other
    ///     errors.
    ///   - scope: Which kinds are read.
    ///   - timeZones: Where rules' time zones are looked up.
    /// - Returns: What was read, and every mistake.
    public static func read(
        _ documents: [DocumentNode], isIncomplete: Bool = false, scope: Scope = .own,
        timeZones: TimeZoneDatabase = .utcOnly
    ) -> Result {
        var reader = PolicyReader(scope, timeZones)
        for document in documents { reader.readDocument(document) }
        reader.result.inventory = Inventory(
            workloads: ManifestWorkload.merged(reader.manifestWorkloads), namespaces: reader.namespaces,
            nodes: reader.nodes
        )
        reader.result.isIncomplete = isIncomplete
        reader.result.faultyGroupNames = Set(reader.groupNames.keys).subtracting(reader.result.groups.map(\.name))
        reader.result.groupReferences = Set(reader.groupReferences.map(\.name))
        if !isIncomplete { reader.checkGroupReferences() }
        for policy in reader.result.policies { reader.result.diagnostics += RuleDoubts.oppositeTimes(in: policy) }
        reader.result.diagnostics += NameRuleProblems.find(
            in: reader.result.policies, groups: reader.result.groups)
        if !reader.result.hasErrors {
            for policy in reader.result.policies { reader.result.diagnostics += RuleDoubts.find(in: policy) }
        }
        reader.sortDiagnostics(fileOrder: documents.map(\.location.file))
        return reader.result
    }

    private mutating func checkGroupReferences() {
        let known = BuiltInGroup.allCases.map(\.rawValue) + [PolicyReader.clusterGroup] + groupNames.keys.sorted()
        for reference in groupReferences where groupNames[reference.name] == nil {
            error(
                DiagnosticCode.unknownGroup, at: reference.location, "no group is named \(quoted(reference.name))",
                Spelling.nearest(to: reference.name, among: known).map { "did you mean \"\($0)\"?" }
                    ?? "use one of \(known.joined(separator: ", ")), or define a DestinationGroup of this name"
            )
        }
    }

    /// Sorts by file in the order given, then by position; diagnostics of one place keep their order.
    private mutating func sortDiagnostics(fileOrder: [String]) {
        var ranks: [String: Int] = [:]
        for file in fileOrder where ranks[file] == nil { ranks[file] = ranks.count }
        let keyed = result.diagnostics.enumerated().map { offset, diagnostic in
            (
                key: (
                    diagnostic.location.flatMap { ranks[$0.file] } ?? .max, diagnostic.location?.line ?? 0,
                    diagnostic.location?.column ?? 0, offset
                ),
                diagnostic: diagnostic
            )
        }
        result.diagnostics = keyed.sorted { $0.key < $1.key }.map(\.diagnostic)
    }

    /// Reports a mistake.
    mutating func error(
        _ code: Diagnostic.Code, at location: SourceLocation, _ message: String, _ suggestion: String
    ) {
        result.diagnostics.append(Diagnostic(.error, code: code, at: location, message, suggestion: suggestion))
    }

    /// Reports a doubt.
    mutating func warning(
        _ code: Diagnostic.Code, at location: SourceLocation, _ message: String, _ suggestion: String
    ) {
        result.diagnostics.append(Diagnostic(.warning, code: code, at: location, message, suggestion: suggestion))
    }
}
