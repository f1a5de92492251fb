// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy
import EgretResolution
import Testing

@Suite("Reading assertions")
struct AssertionReaderTests {
    private let reader = AssertionReader(
        PolicyCatalog(groups: [DestinationGroup(name: "partners", blocks: [])]),
        inventory: Inventory(workloads: [
            Workload(.init(namespace: "shop", name: "cart"), labels: ["app": "cart", "tier": "front"]),
            Workload(.init(namespace: "shop", name: "db"), labels: ["app": "db", "tier": "back"]),
            Workload(.init(namespace: "kube", name: "proxy"), usesHostNetwork: true),
        ]))

    private func read(_ text: String) -> (assertion: Assertion?, diagnostic: Diagnostic?) {
        reader.read(text, at: SourceLocation(file: "a", line: 1, column: 1))
    }

    @Test("every form is read")
    func forms() throws {
        let none = try #require(read("no app=cart,tier!=back reaches group:metadata").assertion)
        #expect(none.claim == .none && none.target == .builtIn(.metadata))
        #expect(
            none.source
                == .workloads(
                    WorkloadSelector(
                        labels: LabelSelector([.init("app", .isIn, ["cart"]), .init("tier", .isNotIn, ["back"])]))))
        #expect(read("any never reaches outside").assertion?.claim == Assertion.Claim.none)
        #expect(read("app=cart only reaches shop/db on 5432/tcp").assertion?.claim == .nothingElse)
        #expect(read("any reaches group:cluster").assertion?.target == .workloads(.everything))
        let only = try #require(
            read("only namespace:shop reaches shop/db on 5432/tcp, 53/udp at 2026-12-24T18:00+01:00").assertion)
        #expect(only.claim == .only)
        #expect(only.source == .workloads(WorkloadSelector(namespaces: ["shop"])))
        #expect(only.target == .workloads(WorkloadSelector(names: ["shop/db"])))
        #expect(only.services == [.ports(.tcp, PortRange(5_432)), .ports(.udp, PortRange(53))])
        #expect(only.time == 1_798_131_600)
        #expect(read("outside reaches any").assertion?.source == .outside)
        #expect(read("every any reaches 2001:db8::/32").assertion?.target == .block(Brute.prefix("2001:db8::/32")))
        #expect(read("any reaches group:partners").assertion?.target == .group("partners"))
    }

    @Test(
        "a mistake is told with its place and what was meant",
        arguments: [
            ("", 1, "write for example"), ("no", 3, "app=build"), ("no any", 7, "reaches"),
            ("no any reach any", 8, "reaches"), ("no any reaches", 15, "app=db"),
            ("any reaches grup:x", 13, "group:NAME"),
            ("any reaches group:metdata", 19, "metadata"), ("any reaches group:partner", 19, "partners"),
            ("any reaches app=crt", 17, "cart"), ("any reaches ap=cart", 13, "app"),
            ("any reaches tier!=bak", 19, "back"), ("any reaches shop/dv", 13, "shop/db"),
            ("any reaches namespace:shp", 23, "shop"), ("any reaches db", 13, "shop/db"),
            ("any reaches shop", 13, "namespace:shop"),
            ("any reaches metadata", 13, "group:metadata"), ("any reaches 10.0.0.1/8", 13, "10.0.0.0/8"),
            ("any reaches 10.0.0.0/99", 13, "10.0.0.0/32"), ("any reaches any on", 17, "443/tcp"),
            ("any reaches any on 443/tpc", 20, "443/tcp"), ("any reaches any 443/tcp", 17, "on 443/tcp"),
            ("any reaches any at noon", 20, "2026-12-24T18:00Z"), ("outside reaches group:internet", 17, "any"),
            ("no any never reaches any", 8, "leave one"), ("only any only reaches any", 10, "leave one"),
            ("any reaches kube/proxy", 13, "addresses"),
            ("any reaches app=cart,app!=cart", 13, "name workloads"), ("reaches any", 1, "app=build"),
        ])
    func mistakes(_ text: String, _ column: Int, _ suggestion: String) throws {
        let diagnostic = try #require(read(text).diagnostic)
        #expect(diagnostic.location?.column == column, "\(diagnostic)")
        #expect(diagnostic.suggestion?.contains(suggestion) == true, "\(diagnostic)")
        #expect(diagnostic.code == DiagnosticCode.assertion)
    }

    @Test("a name that workloads of several kinds have is refused, and the kind says which is meant")
    func ambiguousNames() throws {
        let ids = ["Pod", "Deployment", "StatefulSet"].map { Workload.ID(namespace: "x", name: "a", kind: $0) }
        let inventory = Inventory(workloads: ids.map { Workload($0) })
        let reader = AssertionReader(PolicyCatalog(), inventory: inventory)
        func read(_ text: String) -> (assertion: Assertion?, diagnostic: Diagnostic?) {
            reader.read(text, at: SourceLocation(file: "a", line: 1, column: 1))
        }
        let refused = try #require(read("no x/a reaches outside").diagnostic)
        #expect(refused.message.contains("names 3 workloads") && refused.location?.column == 4)
        #expect(refused.suggestion == "write deployment/x/a or pod/x/a or statefulset/x/a")
        for text in ["no deployment/x/a reaches outside", "no Deployment/x/a reaches outside"] {
            guard case .workloads(let selector)? = read(text).assertion?.source else {
                Issue.record("\(text) is not read")
                continue
            }
            let chosen = inventory.workloads.filter { selector.matches($0, in: inventory) }
            #expect(chosen.map(\.id.kind) == ["Deployment"])
            var resolver = PolicyResolver(PolicyCatalog(), inventory: inventory)
            #expect(resolver.workloads(chosenBy: selector).map { inventory.workloads[$0].id.kind } == ["Deployment"])
        }
        #expect(read("no job/x/a reaches outside").diagnostic?.message.contains("no workload has the name") == true)
    }

    @Test("a file has an assertion a line, and comments")
    func files() {
        let text =
            "# all of it\nno any reaches group:metadata # and why\n\n  any reaches outsid\r\nany reaches outside\n"
        let read = reader.read(file: "f", text: text)
        #expect(read.assertions.map(\.location.line) == [2, 5])
        #expect(read.assertions.map(\.text) == ["no any reaches group:metadata", "any reaches outside"])
        #expect(read.diagnostics.map { $0.location?.description } == ["f:4:15"])
    }
}
