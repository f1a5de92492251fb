// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretPolicy

/// Says what `PolicyResolver` says, of policies and workloads that change: a change costs what it touches.
///
/// A policy that changes is looked up again, and so is one whose rules name a workload, a namespace or a group that changes;
/// all others keep what was found for them.
public struct LiveResolution: Sendable {
    /// Which policies decide: workloads with equal keys have the same policies.
    public struct Key: Hashable, Sendable {
        /// The direction.
        public var direction: TrafficDirection
        /// The names of the policies, in the order of asking.
        public var policies: [String]
        /// The workload's own ports by name, where a rule about its ingress may ask for them; empty otherwise.
        public var namedPorts: [Workload.NamedPort]
    }

    /// What a change comes to.
    public struct Change: Sendable {
        /// The workloads that other policies select than before, by place.
        public var workloads: Set<Int> = []
        /// The policies of keys that nobody had before, or that say something else than before.
        public var policies: [Key: PolicySet] = [:]
    }

    /// What a policy is looked up for: a direction, and the ports by name of whoever obeys it, if it asks for them.
    private struct Form: Hashable {
        var direction: TrafficDirection
        var namedPorts: [Workload.NamedPort]
    }

    /// What was found for a policy in a form.
    private struct Lowered {
        /// The key among whose policies it is, as long as anybody has that.
        var key: Key
        var asked: Set<WorkloadSelector>
        var groups: Set<String>
    }

    private var catalog: PolicyCatalog
    private var index = LiveIndex()
    private var sources: [String: Source] = [:]
    private var groups: [String: DestinationGroup] = [:]
    private var selecting: [TrafficDirection: [Int: SmallSet<String>]] = [.egress: [:], .ingress: [:]]
    private var keys: [TrafficDirection: [Int: Key]] = [.egress: [:], .ingress: [:]]
    private var users: [Key: SmallSet<Int>] = [:]
    private var keysOfPolicy: [String: SmallSet<Key>] = [:]
    private var sets: [Key: PolicySet] = [:]
    private var lowered: [String: [Form: Lowered]] = [:]
    private var policiesOfGroup: [String: SmallSet<String>] = [:]

    // What a change has touched so far.
    private var dirtyPolicies: Set<String> = []
    private var dirtyWorkloads: Set<Int> = []

    /// Creates the resolution of nothing.
    public init() { catalog = PolicyCatalog(networkDefault: .allow) }

    /// The key of a workload; `nil` if there is no such workload, or nothing says anything about it.
    public func key(of place: Int, _ direction: TrafficDirection) -> Key? { keys[direction]?[place] }

    /// The policies of a key that some workload has.
    public func policies(of key: Key) -> PolicySet? { sets[key] }

    /// The workloads that have a key.
    public func workloads(with key: Key) -> Set<Int> { Set(users[key] ?? SmallSet()) }

    /// Every key that some workload has, with its policies.
    public var allPolicies: [Key: PolicySet] { sets }

    /// Whether any policy selects any workload.
    public var isEmpty: Bool { users.isEmpty }

    // MARK: - Changing

    /// Brings everything to a new state.
    ///
    /// - Parameters:
    ///   - catalog: The policies from now on, and what happens to traffic that none of them decided.
    ///   - workloads: The workloads that come, go (`nil`) or are otherwise than before, by a number that each keeps. One
    ///     may come under several numbers: each obeys, and rules that name it mean it once.
    ///   - namespaces: The labels of namespaces from now on.
    ///   - nodes: The machines from now on.
    /// - Returns: What is otherwise than before.
    /// - Complexity: O(*n*) comparisons in the number of policies and namespaces, each by storage where that is shared; all
    ///   else goes with what is touched.
    public mutating func update(
        to catalog: PolicyCatalog, workloads: [Int: Workload?], namespaces: [String: [String: String]],
        nodes: [Inventory.Node] = []
    ) -> Change {
        dirtyPolicies = []
        dirtyWorkloads = []
        updateNamespaces(namespaces)
        updateNodes(nodes)
        for (place, workload) in workloads {
            for (entry, effect) in index.put(workload, at: place) { note(place, entry, effect) }
            // Its own ports are part of its keys.
            dirtyWorkloads.insert(place)
        }
        updateGroups(catalog.groups)
        updatePolicies(Difference(self.catalog.egressPolicies, catalog.egressPolicies).without(\.name)) { .egress($0) }
        updatePolicies(Difference(self.catalog.clusterPolicies, catalog.clusterPolicies).without(\.reference)) {
            .cluster($0)
        }
        updatePolicies(Difference(self.catalog.networkPolicies, catalog.networkPolicies).without(\.reference)) {
            .network($0)
        }
        let isOtherDefault = catalog.networkDefault != self.catalog.networkDefault
        self.catalog = catalog
        if isOtherDefault { dirtyWorkloads.formUnion(index.workloads.keys) }
        return settle(isOtherDefault ? users.keys.filter { $0.direction == .egress } : [])
    }

    private mutating func updateNamespaces(_ namespaces: [String: [String: String]]) {
        if namespaces == index.namespaces { return }
        let names = Set(namespaces.keys).union(index.namespaces.keys).filter { namespaces[$0] != index.namespaces[$0] }
        index.namespaces = namespaces
        for name in names {
            for (place, entry, effect) in index.judge(namespace: name) { note(place, entry, effect) }
        }
    }

    private mutating func updateNodes(_ nodes: [Inventory.Node]) {
        if nodes == index.nodes { return }
        index.nodes = nodes
        for (name, source) in sources where source.namesNodes { dirtyPolicies.insert(name) }
    }

    private mutating func note(_ place: Int, _ entry: LiveIndex.Entry, _ effect: LiveIndex.Effect) {
        dirtyPolicies.formUnion(entry.peers)
        if case .altered = effect { return }
        for name in entry.subjects {
            for direction in TrafficDirection.allCases where sources[name]?.concerns(direction) ?? false {
                if case .came = effect {
                    selecting[direction]?[place, default: SmallSet()].insert(name)
                } else {
                    selecting[direction]?[place]?.remove(name)
                }
            }
            dirtyWorkloads.insert(place)
        }
    }

    private mutating func updateGroups(_ new: [DestinationGroup]) {
        let difference = Difference(catalog.groups, new).without(\.name)
        for group in difference.gone { groups[group.name] = nil }
        for group in difference.new where group.isLoaded { groups[group.name] = group }
        for group in difference.gone + difference.new {
            dirtyPolicies.formUnion(policiesOfGroup[group.name] ?? SmallSet())
        }
    }

    private mutating func updatePolicies<Policy: Equatable>(
        _ difference: Difference<Policy>, _ source: (Policy) -> Source
    ) {
        for policy in difference.gone { select(source(policy), false) }
        for policy in difference.new { select(source(policy), true) }
    }

    /// Notes that a policy comes or goes.
    private mutating func select(_ source: Source, _ isComing: Bool) {
        let name = source.name
        dirtyPolicies.insert(name)
        if isComing {
            sources[name] = source
            index.use(source.selector, \.subjects, by: name)
        }
        for place in index.members(of: source.selector) {
            for direction in TrafficDirection.allCases where source.concerns(direction) {
                if isComing {
                    selecting[direction]?[place, default: SmallSet()].insert(name)
                } else {
                    selecting[direction]?[place]?.remove(name)
                }
            }
            dirtyWorkloads.insert(place)
        }
        if !isComing {
            sources[name] = nil
            index.release(source.selector, \.subjects, by: name)
        }
    }

    // MARK: - Looking up what was touched

    private mutating func settle(_ changed: [Key]) -> Change {
        for name in dirtyPolicies { forget(name) }
        var change = Change()
        var needed = Set(changed)
        for place in dirtyWorkloads {
            for direction in TrafficDirection.allCases {
                let (old, new) = (keys[direction]?[place], freshKey(of: place, direction))
                if old == new { continue }
                change.workloads.insert(place)
                keys[direction]?[place] = new
                if let old { release(old, place) }
                if let new, !(users[new]?.contains(place) ?? false) {
                    if users[new] == nil {
                        for name in new.policies { keysOfPolicy[name, default: SmallSet()].insert(new) }
                    }
                    users[new, default: SmallSet()].insert(place)
                    if sets[new] == nil { needed.insert(new) }
                }
            }
        }
        for name in dirtyPolicies { needed.formUnion(keysOfPolicy[name] ?? SmallSet()) }
        for key in needed where users[key] != nil {
            let policies = policySet(key)
            if sets[key] == policies { continue }
            sets[key] = policies
            change.policies[key] = policies
        }
        return change
    }

    private mutating func release(_ key: Key, _ place: Int) {
        users[key]?.remove(place)
        guard users[key]?.isEmpty ?? false else { return }
        users[key] = nil
        sets[key] = nil
        for name in key.policies {
            keysOfPolicy[name]?.remove(key)
            if keysOfPolicy[name]?.isEmpty ?? false {
                keysOfPolicy[name] = nil
                forget(name)
            }
        }
    }

    private func freshKey(of place: Int, _ direction: TrafficDirection) -> Key? {
        guard let workload = index.workloads[place] else { return nil }
        let sources = (selecting[direction]?[place] ?? SmallSet()).compactMap { self.sources[$0] }
        if sources.isEmpty && (direction == .ingress || catalog.networkDefault == .allow) { return nil }
        let asksForNames = direction == .ingress && sources.contains { $0.namesPorts(direction) }
        let names = sources.count == 1 ? [sources[0].name] : sources.sorted { $0.rank < $1.rank }.map(\.name)
        return Key(direction: direction, policies: names, namedPorts: asksForNames ? workload.namedPorts : [])
    }

    private mutating func policySet(_ key: Key) -> PolicySet {
        let policies = key.policies.compactMap { lower($0, key) }
        let named = Set(policies.flatMap { policy in policy.groupNames })
        return PolicySet(
            policies: policies, groups: named.sorted().compactMap { groups[$0] },
            networkDefault: key.direction == .ingress ? .allow : catalog.networkDefault)
    }

    /// The policy, looked up for a key. What another key has of it, this one shares.
    private mutating func lower(_ name: String, _ key: Key) -> EgressPolicy? {
        guard let source = sources[name] else { return nil }
        let form = Form(
            direction: key.direction, namedPorts: source.namesPorts(key.direction) ? key.namedPorts : [])
        if let known = lowered[name]?[form], let policies = sets[known.key]?.policies,
            let policy = policies.first(where: { $0.name == name })
        {
            return policy
        }
        index.asked = []
        var lowerer = RuleLowering(index: index, direction: key.direction, ownPorts: key.namedPorts)
        // Only one of the two holds the index, or it would be copied.
        index = LiveIndex()
        // A policy that only stands elsewhere says the same.
        let policy = lowerer.policy(source).withoutPlaces
        index = lowerer.index
        let found = Lowered(key: key, asked: index.asked, groups: policy.groupNames)
        for selector in found.asked { index.use(selector, \.peers, by: name) }
        for group in found.groups { policiesOfGroup[group, default: SmallSet()].insert(name) }
        lowered[name, default: [:]][form] = found
        return policy
    }

    /// Forgets what was found for a policy.
    private mutating func forget(_ name: String) {
        for found in (lowered.removeValue(forKey: name) ?? [:]).values {
            for selector in found.asked { index.release(selector, \.peers, by: name) }
            for group in found.groups { policiesOfGroup[group]?.remove(name) }
        }
    }
}

extension EgressPolicy {
    /// The policy without the places that its parts are written in.
    fileprivate var withoutPlaces: EgressPolicy {
        var policy = self
        policy.location = nil
        for place in policy.rules.indices { policy.rules[place].location = nil }
        for place in policy.limits.indices { policy.limits[place].location = nil }
        for place in policy.budgets.indices { policy.budgets[place].location = nil }
        for place in policy.routes.indices { policy.routes[place].location = nil }
        return policy
    }

    /// The groups that its rules, limits, budgets and routes name.
    fileprivate var groupNames: Set<String> {
        var names: Set<String> = []
        let all =
            rules.map(\.destinations) + limits.map(\.destinations) + budgets.map(\.destinations)
            + routes.map(\.destinations)
        for case .group(let name) in all.joined() { names.insert(name) }
        return names
    }
}
