// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretFlows
import EgretPolicy
import EgretResolution

/// Answers questions about connections among the workloads of some manifests.
struct ConnectionExplainer {
    private var evaluator: ConnectionEvaluator
    private let time: Int64
    /// The workloads of which nobody knows the address, if there are rules that may be about it or not.
    private let uncertain: Set<Int>

    private var inventory: Inventory { evaluator.inventory }

    init(_ catalog: PolicyCatalog, _ inventory: Inventory, at time: Int64) {
        self.time = time
        // What a manifest alone tells of speaks both families.
        let (inventory, placeholders) = inventory.withPlaceholders()
        let hasBlocks = !placeholders.isEmpty && !catalog.actionsAtUncertainBlocks.isEmpty
        // Of a workload that uses the host's network the address is a machine's.
        let hasNodes = catalog.clusterPolicies.contains { $0.namesNodes }
        uncertain = Set(
            placeholders.keys.filter { hasBlocks || hasNodes && inventory.workloads[$0].usesHostNetwork })
        evaluator = ConnectionEvaluator(PolicyResolver(catalog, inventory: inventory))
    }

    /// The answers to a question: one, or where they differ one for each family of addresses that is asked about.
    mutating func answers(_ question: ConnectionQuestion) throws(ExplainProblem) -> [ConnectionAnswer] {
        let isReturned = question.source == question.target && !isTemplate(question.source)
        if isReturned, !question.isByService {
            var answer = blank(question)
            answer.remarks = ["a connection to itself does not leave the workload, and nobody decides about it"]
            return [answer]
        }
        if case .address = question.source, case .address = question.target {
            throw ExplainProblem(
                message: "neither \(name(question.source)) nor \(name(question.target)) is a workload of the files",
                suggestion: "name one with --from or --to: NAMESPACE/NAME")
        }
        var answers: [ConnectionAnswer] = []
        for family in try families(question) {
            var answer = blank(question)
            answer.family = family
            answer.egress = side(.egress, question, family, isReturned)
            answer.ingress = side(.ingress, question, family, isReturned)
            answer.remarks = remarks(question, isReturned)
            if let first = answers.first, first.isEqual(to: answer) {
                answers[0].family = nil
            } else {
                answers.append(answer)
            }
        }
        if answers.count == 1 { answers[0].family = question.family }
        if answers.count > 1, let named = question.namedFamilies.first { answers.removeAll { $0.family != named } }
        return answers
    }

    /// The answer to a question about a name: what the egress of a workload decides about a connection to it.
    mutating func answer(
        from place: Int, to name: DomainName, _ service: Service, _ text: String
    ) throws(ExplainProblem) -> ConnectionAnswer {
        let source = self.name(.workload(place))
        var answer = ConnectionAnswer(source: source, target: name.description, service: text)
        if inventory.workloads[place].usesHostNetwork {
            answer.remarks = ["\(source) uses the host's network: no policy is about it, and no selector chooses it"]
            return answer
        }
        let evaluator = evaluator.evaluator(of: place, .egress)
        let explained = try ExplainedName(name, service, text, evaluator: evaluator, at: time)
        if let port = explained.flow.destinationPort { answer.service = "\(port)/\(explained.flow.protocol)" }
        answer.egress = ConnectionAnswer.Side(
            name: source, decision: explained.decision, otherwise: explained.otherwise, policies: evaluator.policies,
            time: time, dependsOnTime: evaluator.dependsOnTime)
        answer.remarks = explained.remarks
        return answer
    }

    private func blank(_ question: ConnectionQuestion) -> ConnectionAnswer {
        let service = question.service
        let text =
            service.port.map { "\($0)/\(service.protocol)" } ?? service.icmpType.map { "\(service.protocol)/\($0)" }
            ?? service.protocol.description
        return ConnectionAnswer(
            source: name(question.source), target: name(question.target), service: text, via: question.via,
            sourceLink: question.sourceLink, targetLink: question.targetLink)
    }

    private func name(_ end: ConnectionEnd) -> String {
        switch end {
        case .workload(let place): inventory.workloads[place].id.description
        case .address(let address): address.description
        }
    }

    /// The families in which the two can talk.
    private func families(_ question: ConnectionQuestion) throws(ExplainProblem) -> [AddressFamily] {
        var families = AddressFamily.allCases
        if question.service.protocol == .icmp { families = [.ipv4] }
        if question.service.protocol == .icmpv6 { families = [.ipv6] }
        if let family = question.family { families = families.filter { $0 == family } }
        let ends = [question.source, question.target]
        let literals = ends.compactMap { end -> AddressFamily? in
            if case .address(let address) = end { return address.family }
            return nil
        }
        if let literal = literals.first {
            families = families.filter { $0 == literal }
        } else {
            families = families.filter { family in ends.allSatisfy { address(of: $0, family) != nil } }
        }
        let named = question.namedFamilies
        if !families.isEmpty, named.count < 2, named.isSubset(of: families) { return families }
        throw ExplainProblem(
            message: "\(name(question.source)) and \(name(question.target)) have no family of addresses in common "
                + "that \(question.service.protocol) is part of",
            suggestion: "ask with another port, or give manifests with the addresses of both")
    }

    /// Whether the end stands for all pods of one template.
    private func isTemplate(_ end: ConnectionEnd) -> Bool {
        if case .workload(let place) = end { return !["Pod", "Endpoint"].contains(inventory.workloads[place].id.kind) }
        return false
    }

    /// An end's address of a family; `nil` if it speaks only the other.
    private func address(of end: ConnectionEnd, _ family: AddressFamily) -> IPAddress? {
        switch end {
        case .workload(let place): inventory.workloads[place].addresses.first { $0.family == family }
        case .address(let address): address.family == family ? address : nil
        }
    }

    private mutating func side(
        _ direction: TrafficDirection, _ question: ConnectionQuestion, _ family: AddressFamily, _ isReturned: Bool
    ) -> ConnectionAnswer.Side? {
        let isEgress = direction == .egress
        let end = isEgress ? question.source : question.target
        let peer = isEgress ? question.target : question.source
        let service = question.service
        guard case .workload(let place) = end, !inventory.workloads[place].usesHostNetwork,
            let address = address(of: peer, family)
        else { return nil }
        let evaluator = evaluator.evaluator(of: place, direction, isReturned: isReturned)
        let flow = Flow(to: address, protocol: service.protocol, port: service.port, icmpType: service.icmpType)
        let decision = evaluator.decide(flow, at: time)
        return ConnectionAnswer.Side(
            name: name(end), decision: decision,
            otherwise: evaluator.decide(flow, at: time, ignoring: [decision.clause]), policies: evaluator.policies,
            time: time, dependsOnTime: evaluator.dependsOnTime
        )
    }

    private func remarks(_ question: ConnectionQuestion, _ isReturned: Bool) -> [String] {
        // Both ends are the same: what is said of one is said.
        let ends = isReturned ? [question.source] : [question.source, question.target]
        var remarks = ends.compactMap { end -> String? in
            switch end {
            case .workload(let place) where inventory.workloads[place].usesHostNetwork:
                return "\(name(end)) uses the host's network: no policy is about it, and no selector chooses it"
            case .address(let address): return "\(address) is no workload of the files: what it decides is not known"
            case .workload: return nil
            }
        }
        for case .workload(let place) in ends where uncertain.contains(place) {
            let remark =
                "no file tells the address of \(name(.workload(place))): a rule about a block "
                + (inventory.workloads[place].usesHostNetwork ? "or nodes " : "") + "is taken not to be about it"
            if !remarks.contains(remark) { remarks.append(remark) }
        }
        if isReturned {
            remarks.append(
                "the service leads back to the workload itself: policies of the cluster decide about that, and what a "
                    + "NetworkPolicy says of it is not defined")
        } else if question.source == question.target {
            remarks.append("from one of its pods to another")
        }
        return remarks
    }
}
