// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretNetworks
import EgretPolicy

extension KernelEnforcement {
    func preview(_ state: DesiredState, at time: Int64) throws -> EnforcementPreview {
        if isStale, hasBegun { throw NotInForce() }
        var (fresh, next) = (resolved, plan)
        // The proxies need not run for that.
        next.namePorts = next.namePorts ?? HostNames.Ports(questions: 1, checks: 1)
        let affected = try advance(&fresh, &next, to: state, at: time).affected
        let links = Dictionary(
            enforced.map { (ResolvedState.Link($0.endpoint), $0) }, uniquingKeysWith: { first, _ in first })
        let workloads = Dictionary(
            enforced.map { ($0.endpoint.workload.id, $0) }, uniquingKeysWith: { first, _ in first })
        var preview = EnforcementPreview(changed: [], cut: [:])
        var connections = CutConnections(
            try NetworkConnections(netfilter).open(ledLabel: HostNames.label), names: names, at: time)
        // A workload has one entry, however many links it has.
        var places: [Workload.ID: Int] = [:]
        var told: [Workload.ID: [TrafficDirection: Int]] = [:]
        for slot in fresh.slots where affected.contains(slot) {
            guard let enforced = enforcedEndpoint(slot, fresh, next) else { continue }
            let old = plan.endpoints[slot]
            let isOther = { (from: ProgramKey?, to: ProgramKey?) in
                from.flatMap { self.plan.outline(of: $0)?.generation }
                    != to.flatMap { next.outline(of: $0)?.generation }
            }
            let egress = isOther(old?.egress, fresh.key(slot, .egress))
            let ingress = isOther(old?.ingress, fresh.key(slot, .ingress))
            let id = enforced.endpoint.workload.id
            let former = links[ResolvedState.Link(enforced.endpoint)] ?? workloads[id]
            if former?.routes != enforced.routes { preview.routes.insert(id) }
            if !enforced.isLimited(as: former) { preview.limits.insert(id) }
            if !enforced.isBudgeted(as: former) { preview.budgets.insert(id) }
            let isAnother = [preview.routes, preview.limits, preview.budgets].contains { $0.contains(id) }
            if !egress && !ingress && !isAnother { continue }
            if let place = places[id] {
                if egress { preview.changed[place].egress = true }
                if ingress { preview.changed[place].ingress = true }
            } else {
                places[id] = preview.changed.count
                preview.changed.append((enforced, egress, ingress))
            }
            for direction in TrafficDirection.allCases where (direction == .egress ? egress : ingress) {
                guard let new = fresh.obeyed(slot, direction) else { continue }
                let refused = connections.refused(
                    slot, enforced.endpoint, direction, under: new, insteadOf: resolved.obeyed(slot, direction))
                let room = OpenConnection.limit - (told[id]?[direction] ?? 0)
                let part = refused.prefix(room).map {
                    OpenConnection(
                        source: $0.source, destination: $0.destination, protocol: $0.transport, port: $0.port)
                }
                told[id, default: [:]][direction, default: 0] += part.count
                preview.cut[id, default: []] += part
            }
        }
        return preview
    }
}

extension ResolvedState {
    /// What a link obeys in one direction; `nil` if it is free.
    fileprivate func obeyed(_ slot: Int, _ direction: TrafficDirection) -> CutConnections.Obeyed? {
        guard let key = self.key(slot, direction), let policies = self.policies(slot, direction) else { return nil }
        return CutConnections.Obeyed(key: key, policies: policies)
    }
}
