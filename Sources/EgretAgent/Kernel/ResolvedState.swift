// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretPolicy
import EgretResolution

/// Endpoints with everything looked up: which programs decide about each, and what they say. A change costs what it touches.
struct ResolvedState {
    /// What an endpoint keeps its number for: an interface is made anew with another index.
    struct Link: Hashable {
        var interface: InterfaceName
        var index: UInt32

        init(_ endpoint: AgentEndpoint) {
            interface = endpoint.interface
            index = endpoint.interfaceIndex
        }
    }

    /// What a change comes to.
    struct Change {
        /// The numbers of endpoints that come, are otherwise, or obey other policies.
        var touched: Set<Int> = []
        /// The numbers of endpoints that go.
        var removed: [Int] = []
        /// The policies of keys that nobody had before, or that say something else than before.
        var policies: [ProgramKey: PolicySet] = [:]
        /// The keys whose policies say something else, or are new.
        var keys: [LiveResolution.Key] = []
    }

    /// The endpoints.
    private(set) var endpoints: [AgentEndpoint] = []
    /// The number of each endpoint, by its place.
    private(set) var slots: [Int] = []
    private var endpointOfSlot: [Int: AgentEndpoint] = [:]
    private var live = LiveResolution()
    private var nextSlot: Int
    /// Numbers that a kernel holds for links.
    private var known: [Link: Int]

    /// Creates the state without endpoints and policies.
    ///
    /// - Parameters:
    ///   - nextSlot: Above the numbers that are taken.
    ///   - known: The numbers that links have already.
    init(nextSlot: Int = 0, known: [Link: Int] = [:]) {
        self.nextSlot = nextSlot
        self.known = known
    }

    /// Whether any policy is about any endpoint, or the network's default holds any back.
    var isPoliced: Bool { !live.isEmpty }

    /// The policies of every key that an endpoint has.
    var policies: [ProgramKey: PolicySet] {
        Dictionary(uniqueKeysWithValues: live.allPolicies.map { (ProgramKey($0), $1) })
    }

    func endpoint(_ slot: Int) -> AgentEndpoint? { endpointOfSlot[slot] }

    func key(_ slot: Int, _ direction: TrafficDirection) -> ProgramKey? {
        live.key(of: slot, direction).map { ProgramKey($0) }
    }

    /// The numbers of the endpoints that obey a key's policies.
    func slots(with key: LiveResolution.Key) -> Set<Int> { live.workloads(with: key) }

    /// The names of the policies about an endpoint, in the order of asking.
    func policyNames(_ slot: Int, _ direction: TrafficDirection) -> [String] {
        live.key(of: slot, direction)?.policies ?? []
    }

    /// The policies about an endpoint; `nil` if it has no program for the direction.
    func policies(_ slot: Int, _ direction: TrafficDirection) -> PolicySet? {
        live.key(of: slot, direction).flatMap { live.policies(of: $0) }
    }

    /// The endpoint as the kernel's plan knows it; `queueIndex` says where its frames wait if its rate is limited.
    func hostEndpoint(_ slot: Int, queueIndex: (AgentEndpoint) -> UInt32? = { _ in nil }) -> HostEndpoint? {
        endpointOfSlot[slot].map { endpoint in
            HostEndpoint(
                slot: slot, attachment: endpoint.attachment, hardwareAddress: endpoint.hardwareAddress,
                addresses: endpoint.addresses, egress: key(slot, .egress),
                ingress: endpoint.control == nil ? key(slot, .ingress) : nil,
                queueIndex: queueIndex(endpoint))
        }
    }

    /// Brings everything to a new state.
    mutating func update(to state: DesiredState) -> Change {
        var change = Change()
        var workloads: [Int: Workload?] = [:]
        if endpoints != state.endpoints { place(state.endpoints, &change, &workloads) }
        let found = live.update(
            to: state.catalog, workloads: workloads, namespaces: state.namespaces, nodes: state.nodes)
        change.touched.formUnion(found.workloads.filter { endpointOfSlot[$0] != nil })
        for (key, policies) in found.policies {
            change.policies[ProgramKey(key)] = policies
            change.keys.append(key)
        }
        return change
    }

    /// Gives endpoints their numbers.
    private mutating func place(
        _ new: [AgentEndpoint], _ change: inout Change, _ workloads: inout [Int: Workload?]
    ) {
        let (front, back) = endpoints.commonEnds(with: new)
        let between = front..<(endpoints.count - back)
        var former = Dictionary(
            between.map { (Link(endpoints[$0]), slots[$0]) }, uniquingKeysWith: { first, _ in first })
        let fresh = new[front..<(new.count - back)].map { endpoint -> Int in
            let link = Link(endpoint)
            if let slot = former.removeValue(forKey: link) ?? known.removeValue(forKey: link) { return slot }
            nextSlot += 1
            return nextSlot - 1
        }
        // What it once held would keep its room.
        if known.isEmpty { known = [:] }
        for slot in Set(slots[between]).subtracting(fresh) {
            endpointOfSlot[slot] = nil
            workloads.updateValue(nil, forKey: slot)
            change.removed.append(slot)
        }
        for (slot, endpoint) in zip(fresh, new[front...]) where endpointOfSlot[slot] != endpoint {
            if endpointOfSlot[slot]?.workload != endpoint.workload {
                workloads.updateValue(endpoint.workload, forKey: slot)
            }
            endpointOfSlot[slot] = endpoint
            change.touched.insert(slot)
        }
        slots.replaceSubrange(between, with: fresh)
        endpoints = new
    }
}

extension ProgramKey {
    init(_ key: LiveResolution.Key) {
        self.init(key.direction, policies: key.policies, namedPorts: key.namedPorts)
    }
}
