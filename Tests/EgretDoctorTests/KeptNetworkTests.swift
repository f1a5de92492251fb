// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDoctor
import Testing

@Suite("A finding and what is kept")
struct KeptNetworkTests {
    /// A diagnosis that ends at a step.
    private func diagnosis(_ end: Step, isNetworkFault: Bool = true) throws -> Diagnosis {
        var finding = Finding(end, "seen", "reason", commands: [["true"]])
        finding.isNetworkFault = isNetworkFault
        let lines = healthy.lines.prefix { $0.step != end }
        return Diagnosis(lines: lines + [Diagnosis.Line(step: end, judgment: .bad(finding))])
    }

    /// A walk to the end.
    private let healthy = Diagnosis(lines: Step.allCases.map { Diagnosis.Line(step: $0, judgment: .good("fine")) })

    @Test("a deviation explains only what can end by it", arguments: Step.allCases)
    func explanation(_ end: Step) throws {
        let steps: [(Deviation.Kind, [Step: Step])] = [
            (
                .link,
                Dictionary(uniqueKeysWithValues: early.map { ($0, .link) } + [(.wayBack, .link), (.policy, .link)])
            ),
            (
                .address,
                Dictionary(
                    uniqueKeysWithValues: early.dropFirst().map { ($0, .address) }
                        + [(.wayBack, .address), (.policy, .address)])
            ),
            (
                .gateway,
                [
                    .neighbour: .neighbour, .probe: .neighbour, .arrival: .neighbour, .forwarding: .forwarding,
                    .wayOut: .wayOut, .wayBack: .wayBack,
                ]
            ),
            (.rules, [.policy: .policy, .translation: .translation, .wayBack: .wayBack]),
        ]
        for (kind, expected) in steps {
            var found = try diagnosis(end)
            found.explain(by: [Deviation(kind, "gone")])
            let finding = try #require(found.finding)
            if let step = expected[end] {
                #expect(finding.step == step && finding.seen == "gone", "\(kind) at \(end)")
                #expect(finding.commands == [["egret", "network", "restore"]] && finding.isEgrets)
                #expect(found.lines.last?.step == step)
            } else {
                #expect(finding.step == end && finding.seen == "seen", "\(kind) at \(end)")
            }
        }
    }

    private let early: [Step] = [.link, .address, .route, .neighbour, .probe, .arrival]

    @Test("a closed port is nobody's deviation, and what is not Egret's has no command")
    func others() throws {
        var closed = try diagnosis(.arrival, isNetworkFault: false)
        closed.explain(by: [Deviation(.link, "gone")])
        #expect(closed.finding?.seen == "seen")
        var owners = try diagnosis(.neighbour)
        owners.explain(by: [Deviation(.link, "gone", isEgrets: false)])
        #expect(owners.finding?.seen == "gone" && owners.finding?.commands == [])
    }

    @Test("only what is outside all of an endpoint's networks is out of reach by isolation")
    func isolation() throws {
        func network(_ name: String, _ block: String, isIsolated: Bool) throws -> KeptNetwork {
            KeptNetwork(
                name: name, blocks: [try #require(IPPrefix(block))], interfaces: [name], isIsolated: isIsolated,
                isTranslated: true)
        }
        let closed = try network("a", "10.0.0.0/24", isIsolated: true)
        let open = try network("b", "10.0.1.0/24", isIsolated: false)
        let outside = try #require(IPAddress("8.8.8.8"))
        let inside = try #require(IPAddress("10.0.0.7"))
        for (networks, destination, step, expected) in [
            ([closed], outside, Step.route, true), ([closed], outside, .policy, true),
            ([closed], outside, .neighbour, false), ([closed], inside, .route, false),
            ([closed, open], outside, .route, false), ([], outside, .route, false),
        ] {
            var found = try diagnosis(step)
            #expect(found.respectIsolation(networks, to: destination) == expected)
            #expect(found.finding?.commands == (expected ? [] : [["true"]]))
        }
    }

    @Test("the policies' rule is told, and where the kernel says otherwise both are")
    func opinions() throws {
        func policyLine(_ found: Diagnosis) -> Judgment? { found.lines.first { $0.step == .policy }?.judgment }
        var fine = healthy
        fine.add(policy: "allowed by rule 1", isAllowed: true)
        #expect(policyLine(fine) == .good("allowed by rule 1"))
        var odd = healthy
        odd.add(policy: "denied by rule 2", isAllowed: false)
        #expect(policyLine(odd) == policyLine(healthy))
        var denied = try diagnosis(.policy)
        denied.add(policy: "denied by rule 2", isAllowed: false)
        #expect(denied.finding?.seen == "denied by rule 2")
        #expect(denied.finding?.reason == "In the kernel: seen. reason")
        var both = try diagnosis(.policy)
        both.add(policy: "allowed by rule 1", isAllowed: true)
        #expect(both.finding?.seen == "seen; the policies say: allowed by rule 1")
    }
}
