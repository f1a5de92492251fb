// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretEvaluator
import EgretPolicy

/// What `egret prove` says about an assertion.
struct ProofText {
    let proof: Proof
    private let inventory: Inventory

    init(_ proof: Proof, _ inventory: Inventory) {
        self.proof = proof
        self.inventory = inventory
    }

    private var place: String? {
        proof.assertion.location.file.hasPrefix("assertion") ? nil : proof.assertion.location.description
    }

    /// The sentences of `-o table`.
    func text(_ style: Style) -> String {
        let verdict = proof.holds ? style.green("holds") : style.red("fails")
        let claim = proof.assertion.text + (place.map { " (\($0))" } ?? "")
        var lines = ["\(verdict): \(claim.withVisibleControls)"]
        if let flow = proof.flow, !proof.holds || proof.assertion.claim == .some {
            lines.append("  \(title(flow)): \(flow.isAllowed ? "allowed" : "refused")".withVisibleControls)
            for opinion in flow.opinions {
                let end = opinion.direction == .egress ? flow.source : flow.target
                lines.append("    \(opinion.direction.rawValue) of \(name(end)): \(opinion.reason)".withVisibleControls)
            }
            if flow.opinions.isEmpty { lines.append("    no policy decides about either end") }
        }
        if let note = proof.note { lines.append("  \(note)".withVisibleControls) }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The table of `-o wide`: a line each.
    static func table(_ proofs: [ProofText]) -> String {
        var table = TextTable(
            indent: "", header: ["VERDICT", "ASSERTION", "FLOW", "EGRESS", "INGRESS"],
            alignments: Array(repeating: .left, count: 5))
        for proof in proofs {
            func reason(_ direction: TrafficDirection) -> String {
                proof.proof.flow?.opinions.first { $0.direction == direction }?.reason ?? "-"
            }
            table.append(
                [
                    proof.proof.holds ? "holds" : "fails", proof.proof.assertion.text,
                    proof.proof.flow.map { proof.title($0) } ?? proof.proof.note ?? "-", reason(.egress),
                    reason(.ingress),
                ].map(\.withVisibleControls))
        }
        return table.lines.map { $0 + "\n" }.joined()
    }

    private func title(_ flow: ProofFlow) -> String {
        let target = flow.targetIsHost ? "the host (\(flow.target.address.map(\.description) ?? ""))" : end(flow.target)
        let time = flow.timeText.map { " at \($0)" } ?? ""
        return "\(end(flow.source)) -> \(target) \(service(flow))\(time)"
    }

    private func name(_ end: ProofFlow.End) -> String {
        end.workload.map { WorkloadNames(inventory).text(of: inventory.workloads[$0].id) }
            ?? end.address.map(\.description) ?? "outside"
    }

    private func end(_ end: ProofFlow.End) -> String {
        guard end.workload != nil, let address = end.address else { return name(end) }
        return "\(name(end)) (\(address))"
    }

    private func service(_ flow: ProofFlow) -> String {
        let service = flow.service
        if let port = service.port { return "\(port)/\(service.protocol)" }
        return service.icmpType.map { "\(service.protocol)/\($0)" } ?? service.protocol.description
    }

    var document: Document { Document(self) }

    /// The answer, for programs.
    struct Document: Encodable {
        struct End: Encodable {
            var workload: String?
            var kind: String?
            var address: String?
        }

        struct Opinion: Encodable {
            var direction: String
            var verdict: String
            var reason: String
            var location: String?
        }

        struct FlowEntry: Encodable {
            var from: End
            var to: End
            var toHost: Bool
            var service: String
            var time: String?
            var allowed: Bool
            var decisions: [Opinion]
        }

        var assertion: String
        var location: String?
        var holds: Bool
        var flow: FlowEntry?
        var note: String?

        init(_ text: ProofText) {
            assertion = text.proof.assertion.text
            location = text.place
            holds = text.proof.holds
            note = text.proof.note
            flow = text.proof.flow.map { flow in
                func end(_ end: ProofFlow.End) -> End {
                    End(
                        workload: end.workload.map { text.inventory.workloads[$0].id.description },
                        kind: end.workload.map { text.inventory.workloads[$0].id.kind },
                        address: end.address?.description)
                }
                return FlowEntry(
                    from: end(flow.source), to: end(flow.target), toHost: flow.targetIsHost,
                    service: text.service(flow), time: flow.timeText, allowed: flow.isAllowed,
                    decisions: flow.opinions.map { opinion in
                        Opinion(
                            direction: opinion.direction.rawValue, verdict: opinion.decision.verdict.rawValue,
                            reason: opinion.reason, location: opinion.location?.description)
                    })
            }
        }
    }
}
