// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretNames
import EgretNetworks
import EgretPolicy

/// Says which open connections a change would cut: those that new policies refuse, and the policies in force do not.
struct CutConnections {
    /// The policies about a link in one direction.
    struct Obeyed {
        /// Links with equal keys obey the same.
        var key: ProgramKey
        /// What they say.
        var policies: PolicySet
    }

    /// What decides.
    private enum Judge {
        case policies(PolicyEvaluator)
        case names(ConnectionJudge, NameService)
    }

    private let byEnd: [TrafficDirection: [IPAddress: [NetworkConnections.Tracked]]]
    private let names: NameService?
    private let time: Int64
    private var judges: [ProgramKey: Judge] = [:]
    /// What decides now; `nil` where the connection alone does not tell what became of it.
    private var former: [ProgramKey: PolicyEvaluator?] = [:]

    /// Takes the connections that are open.
    ///
    /// - Parameters:
    ///   - connections: The connections.
    ///   - names: What rules about names ask; `nil` where they are not to be had.
    ///   - time: Now, in seconds since 1970.
    init(_ connections: [NetworkConnections.Tracked], names: NameService?, at time: Int64) {
        byEnd = [
            .egress: Dictionary(grouping: connections, by: \.source),
            .ingress: Dictionary(grouping: connections, by: \.destination),
        ]
        self.names = names
        self.time = time
    }

    /// The connections of a link that a change would cut, in no order.
    ///
    /// - Parameters:
    ///   - slot: The link's number.
    ///   - endpoint: The link, and the workload that it is of.
    ///   - direction: Whether those that the endpoint begins, or those that others begin to it.
    ///   - new: What the link would obey.
    ///   - old: What it obeys; `nil` if it is free.
    /// - Returns: The connections; without those between two addresses of the workload.
    mutating func refused(
        _ slot: Int, _ endpoint: AgentEndpoint, _ direction: TrafficDirection, under new: Obeyed, insteadOf old: Obeyed?
    ) -> [NetworkConnections.Tracked] {
        let concerned = endpoint.addresses.flatMap { byEnd[direction]?[$0] ?? [] }
        if concerned.isEmpty { return [] }
        let own = Swift.Set(endpoint.workload.addresses)
        let judge = self.judge(new)
        var before: PolicyEvaluator?
        if let old { before = evaluator(of: old) }
        let (decisive, time) = (before, self.time)
        return concerned.filter { connection in
            let other = direction == .egress ? connection.destination : connection.source
            if own.contains(other) { return false }
            let flow = Flow(
                to: other, protocol: connection.transport, port: connection.port, icmpType: connection.icmpType)
            // The kernel tracks what was refused long ago for as long as it would have lived.
            if let decisive, decisive.decide(flow, at: time).verdict != .allow { return false }
            return switch judge {
            case .policies(let evaluator): evaluator.decide(flow, at: time).verdict != .allow
            case .names(let named, let names): !names.canGoOn(slot, connection, under: named)
            }
        }
    }

    private mutating func judge(_ obeyed: Obeyed) -> Judge {
        if let known = judges[obeyed.key] { return known }
        let evaluator = PolicyEvaluator(policies: obeyed.policies)
        var judge = Judge.policies(evaluator)
        if obeyed.key.direction == .egress, let names, obeyed.policies.dependsOnNames {
            judge = .names(ConnectionJudge(obeyed.policies, registry: names.registry) { [time] in time }, names)
        }
        judges[obeyed.key] = judge
        return judge
    }

    private mutating func evaluator(of obeyed: Obeyed) -> PolicyEvaluator? {
        if let known = former[obeyed.key] { return known }
        let evaluator = PolicyEvaluator(policies: obeyed.policies)
        // What was open at another time, or by a name, may go on.
        let isPlain = !evaluator.dependsOnTime && evaluator.nameClauses.isEmpty
        former.updateValue(isPlain ? evaluator : nil, forKey: obeyed.key)
        return isPlain ? evaluator : nil
    }
}
