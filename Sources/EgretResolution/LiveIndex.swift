// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretPolicy

/// Workloads that come and go, and the selectors that somebody asks about, with which chooses which.
///
/// A workload that changes is compared with the selectors that it can concern only: each is filed by one thing that
/// every workload it chooses must have.
struct LiveIndex: WorkloadLookup {
    /// One thing that a workload has.
    enum Trait: Hashable {
        case label(key: String, value: String)
        case namespace(String)
        case name(String)
        /// What every workload has.
        case anything
    }

    /// A selector that somebody asks about.
    struct Entry {
        var selector: WorkloadSelector
        /// The workloads that it chooses.
        var members = SmallSet<Int>()
        /// The policies that are about those workloads.
        var subjects = SmallSet<String>()
        /// The policies whose rules name them as the other end.
        var peers = SmallSet<String>()
    }

    /// The machines of the cluster.
    var nodes: [Inventory.Node] = []
    /// None: what is enforced has addresses.
    var placeholders: [IPPrefix] { [] }
    /// The workloads by place.
    private(set) var workloads: [Int: Workload] = [:]
    /// The labels of namespaces, as they were given.
    var namespaces: [String: [String: String]] = [:]
    /// The selectors that have been asked about since ``asked`` was last emptied.
    var asked: Set<WorkloadSelector> = []

    private(set) var entries: [Int: Entry] = [:]
    private var numbers: [WorkloadSelector: Int] = [:]
    private var nextNumber = 0
    private var selectorsByTrait: [Trait: SmallSet<Int>] = [:]
    private var workloadsByTrait: [Trait: SmallSet<Int>] = [:]

    // MARK: - Looking up

    func workload(at place: Int) -> Workload { workloads[place] ?? Workload(Workload.ID(name: "")) }

    func precedes(_ left: Int, _ right: Int) -> Bool {
        guard let first = workloads[left]?.id, let second = workloads[right]?.id, first != second else {
            return left < right
        }
        return first < second
    }

    mutating func everyWorkload() -> [Int] { workloads(chosenBy: .everything) }

    mutating func workloads(chosenBy selector: WorkloadSelector) -> [Int] {
        asked.insert(selector)
        return members(of: selector).sorted(by: precedes)
    }

    /// The workloads that a selector chooses.
    func members(of selector: WorkloadSelector) -> SmallSet<Int> {
        if let number = numbers[selector], let entry = entries[number] { return entry.members }
        let candidates = traits(of: selector).compactMap { workloadsByTrait[$0] }.joined()
        return SmallSet(candidates.filter { place in workloads[place].map { chooses(selector, $0) } ?? false })
    }

    private func chooses(_ selector: WorkloadSelector, _ workload: Workload) -> Bool {
        if workload.usesHostNetwork { return false }
        let id = workload.id
        return selector.isNamed(id)
            && (selector.namespaces.isEmpty || selector.namespaces.contains(id.namespace))
            && selector.labels.matches(workload.labels)
            && (selector.namespaceLabels.requirements.isEmpty
                || selector.namespaceLabels.matches(labels(ofNamespace: id.namespace)))
    }

    private func labels(ofNamespace name: String) -> [String: String] {
        var labels = namespaces[name] ?? [:]
        labels[Inventory.nameLabel] = name
        return labels
    }

    // MARK: - Selectors

    /// Keeps the members of a selector at hand, for a policy.
    mutating func use(
        _ selector: WorkloadSelector, _ use: WritableKeyPath<Entry, SmallSet<String>>, by policy: String
    ) {
        if let number = numbers[selector] {
            entries[number]?[keyPath: use].insert(policy)
            return
        }
        var entry = Entry(selector: selector, members: members(of: selector))
        entry[keyPath: use].insert(policy)
        entries[nextNumber] = entry
        numbers[selector] = nextNumber
        for trait in traits(of: selector) { selectorsByTrait[trait, default: SmallSet()].insert(nextNumber) }
        nextNumber += 1
    }

    /// Takes a use back.
    mutating func release(
        _ selector: WorkloadSelector, _ use: WritableKeyPath<Entry, SmallSet<String>>, by policy: String
    ) {
        guard let number = numbers[selector] else { return }
        entries[number]?[keyPath: use].remove(policy)
        guard let entry = entries[number], entry.subjects.isEmpty, entry.peers.isEmpty else { return }
        entries[number] = nil
        numbers[selector] = nil
        for trait in traits(of: selector) { LiveIndex.remove(number, trait, from: &selectorsByTrait) }
    }

    /// Traits of which every workload that the selector chooses has at least one.
    private func traits(of selector: WorkloadSelector) -> [Trait] {
        if let wanted = selector.labels.requirements.first(where: { $0.operation == .isIn }) {
            return Set(wanted.values).map { .label(key: wanted.key, value: $0) }
        }
        if !selector.names.isEmpty {
            return Set(selector.names.map { $0.split(separator: "/").last.map(String.init) ?? $0 }).map { .name($0) }
        }
        if !selector.namespaces.isEmpty { return Set(selector.namespaces).map { .namespace($0) } }
        return [.anything]
    }

    // MARK: - Workloads

    /// What a changed workload means for a selector.
    enum Effect {
        /// It is chosen now, and was not.
        case came
        /// It was chosen, and is not now.
        case went
        /// It is chosen as before, and has other addresses or ports.
        case altered
    }

    /// Puts a workload in a place, or takes it away. Returns the selectors for which that makes a difference.
    mutating func put(_ new: Workload?, at place: Int) -> [(entry: Entry, effect: Effect)] {
        let old = workloads[place]
        workloads[place] = new
        let (before, after) = (old.map(LiveIndex.traits) ?? [], new.map(LiveIndex.traits) ?? [])
        for trait in before.subtracting(after) { LiveIndex.remove(place, trait, from: &workloadsByTrait) }
        for trait in after.subtracting(before) { workloadsByTrait[trait, default: SmallSet()].insert(place) }
        let isAltered = old?.addresses != new?.addresses || old?.namedPorts != new?.namedPorts || old?.id != new?.id
        return judge(place, before.union(after), isAltered: isAltered)
    }

    /// Has the workloads of a namespace judged anew. Returns what is otherwise.
    mutating func judge(namespace: String) -> [(place: Int, entry: Entry, effect: Effect)] {
        let places = workloadsByTrait[.namespace(namespace)] ?? SmallSet()
        return places.flatMap { place -> [(place: Int, entry: Entry, effect: Effect)] in
            guard let workload = workloads[place] else { return [] }
            return judge(place, LiveIndex.traits(workload), isAltered: false).map { (place, $0.entry, $0.effect) }
        }
    }

    private mutating func judge(
        _ place: Int, _ traits: Set<Trait>, isAltered: Bool
    ) -> [(entry: Entry, effect: Effect)] {
        var found: [(entry: Entry, effect: Effect)] = []
        for number in traits.reduce(into: Set<Int>(), { $0.formUnion(selectorsByTrait[$1] ?? SmallSet()) }) {
            guard let entry = entries[number] else { continue }
            let isMember = workloads[place].map { chooses(entry.selector, $0) } ?? false
            switch (entry.members.contains(place), isMember) {
            case (false, true):
                entries[number]?.members.insert(place)
                found.append((entry, .came))
            case (true, false):
                entries[number]?.members.remove(place)
                found.append((entry, .went))
            case (true, true) where isAltered: found.append((entry, .altered))
            default: continue
            }
        }
        return found
    }

    private static func traits(_ workload: Workload) -> Set<Trait> {
        if workload.usesHostNetwork { return [] }
        var traits: Set<Trait> = [.anything, .namespace(workload.id.namespace), .name(workload.id.name)]
        for (key, value) in workload.labels { traits.insert(.label(key: key, value: value)) }
        return traits
    }

    private static func remove(_ number: Int, _ trait: Trait, from index: inout [Trait: SmallSet<Int>]) {
        index[trait]?.remove(number)
        if index[trait]?.isEmpty ?? false { index[trait] = nil }
    }
}
