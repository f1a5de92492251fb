// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNames
import EgretNetlink
import EgretNetworks
import EgretPolicy

extension KernelEnforcement {
    func preview(_ state: DesiredState, at time: Int64) throws -> EnforcementPreview {
        if isStale, hasBegun { throw NotInForce() }
        var (fresh, next) = (resolved, plan)
        // The proxies need not run for that.
        next.namePorts = next.namePorts ?? HostNames.Ports(questions: 1, checks: 1)
        let affected = try advance(&fresh, &next, to: state, at: time).affected
        let former = Dictionary(
            enforced.map { ($0.endpoint.workload.id, $0) }, uniquingKeysWith: { first, _ in first })
        let policies = fresh.policies
        var preview = EnforcementPreview(changed: [], cut: [:])
        var judges: [ProgramKey: PolicyEvaluator] = [:]
        let connections = try NetworkConnections(netfilter).open(ledLabel: HostNames.label)
        let byEnd: [Bool: [IPAddress: [NetworkConnections.Tracked]]] = [
            true: Dictionary(grouping: connections, by: \.source),
            false: Dictionary(grouping: connections, by: \.destination),
        ]
        for slot in fresh.slots where affected.contains(slot) {
            guard let enforced = enforcedEndpoint(slot, fresh, next) else { continue }
            let old = plan.endpoints[slot]
            let (egressKey, ingressKey) = (fresh.key(slot, .egress), fresh.key(slot, .ingress))
            let isOther = { (from: ProgramKey?, to: ProgramKey?) in
                from.flatMap { self.plan.program(of: $0)?.generation }
                    != to.flatMap { next.program(of: $0)?.generation }
            }
            let (egress, ingress) = (isOther(old?.egress, egressKey), isOther(old?.ingress, ingressKey))
            let id = enforced.endpoint.workload.id
            if former[id]?.routes != enforced.routes { preview.routes.insert(id) }
            if !enforced.isLimited(as: former[id]) { preview.limits.insert(id) }
            if !enforced.isBudgeted(as: former[id]) { preview.budgets.insert(id) }
            let isAnother = [preview.routes, preview.limits, preview.budgets].contains { $0.contains(id) }
            if !egress && !ingress && !isAnother { continue }
            preview.changed.append((enforced, egress, ingress))
            let own = Swift.Set(enforced.endpoint.workload.addresses)
            for (key, isChanged, isEgress) in [(egressKey, egress, true), (ingressKey, ingress, false)] {
                guard isChanged, let key, let policies = policies[key] else { continue }
                let named = isEgress ? names.map { ConnectionJudge(policies, registry: $0.registry) { time } } : nil
                let judge = judges[key] ?? PolicyEvaluator(policies: policies)
                judges[key] = judge
                let concerned = own.flatMap { byEnd[isEgress]?[$0] ?? [] }
                let refused = concerned.filter { connection in
                    if own.contains(isEgress ? connection.destination : connection.source) { return false }
                    if let names, let named, !named.evaluator.nameClauses.isEmpty {
                        return !names.canGoOn(slot, connection, under: named)
                    }
                    let flow = Flow(
                        to: isEgress ? connection.destination : connection.source, protocol: connection.transport,
                        port: connection.port, icmpType: connection.icmpType)
                    return judge.decide(flow, at: time).verdict != .allow
                }
                preview.cut[id, default: []] += refused.prefix(OpenConnection.limit).map {
                    OpenConnection(
                        source: $0.source, destination: $0.destination, protocol: $0.transport, port: $0.port)
                }
            }
        }
        return preview
    }
}
