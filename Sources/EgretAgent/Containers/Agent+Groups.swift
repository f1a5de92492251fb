// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy

extension Agent {
    /// Holds the processes of a control group to policies. On return the kernel does.
    ///
    /// - Throws: `APIError` if there is no such group, if its policies cannot be put in force, or if they ask for what the
    ///   hook cannot do. Nothing is changed then.
    func attachGroup(_ request: AttachRequest) throws -> [EndpointInfo] {
        guard let groups = source.groups else { throw APIError("failed", "this agent attaches no endpoints") }
        let name = "\(request.group)/\(request.name)"
        if source.attached?.record(name) != nil || endpointsPresent.contains(where: { $0.isAnother(than: name) }) {
            throw APIError("conflict", "\(name) is another endpoint", advice: "give it another name: --name")
        }
        let former = groups.record(name)
        let record = try groups.attach(request)
        do {
            try refresh()
            let state = enforced.first { $0.endpoint.workload.id.description == name }
            if let state, let obstacle = state.endpoint.obstacle(state) {
                throw APIError(
                    "conflict", "the policies of \(name) cannot be in force: \(obstacle)",
                    advice: "have other policies select it, or put its processes into a network namespace: egret run")
            }
        } catch {
            _ = try groups.detach(record.id)
            if let former { try groups.restore(former) }
            endpointsPresent.removeAll { $0.workload.id.description == name }
            noting("detaching") { try refresh() }
            throw (error as? APIError) ?? Agent.failure(error)
        }
        log("\(name) is attached: \(record.target)")
        return endpoints(named: name)
    }

    /// Lets go of a control group. Returns `false` if there is none under that name.
    func detachGroup(_ name: String) throws -> Bool {
        guard let groups = source.groups, try groups.detach(name) else { return false }
        endpointsPresent.removeAll { $0.workload.id.description == name }
        try refresh()
        log("\(name) is detached")
        return true
    }

    /// Attached units that do not run.
    var idleGroups: [EndpointInfo] {
        let present = Swift.Set(endpointsPresent.map(\.workload.id.description))
        return (source.groups?.all ?? []).filter { !present.contains($0.id) }.map { record in
            EndpointInfo(
                name: record.id, network: "-", namespace: record.target, addresses: [], labels: record.labels,
                egress: [], ingress: [], generations: [],
                conditions: [Condition(.enforced, false, reason: "it does not run")])
        }
    }
}

extension AgentEndpoint {
    /// Whether it has the name and is no control group.
    fileprivate func isAnother(than name: String) -> Bool {
        self.control == nil && self.workload.id.description == name
    }
}
