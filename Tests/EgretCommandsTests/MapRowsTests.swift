// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy
import Testing

@testable import EgretCommands

@Suite("Maps as rows")
struct MapRowsTests {
    private static let v4 = IPPrefix(.v4(IPv4Address(rawValue: 0)), length: 0)

    private func map(_ addresses: [String], to destinations: [Destination]) -> ReachabilityMap {
        let policy = EgressPolicy(name: "p", rules: [EgressRule(action: .allow, destinations: destinations)])
        let workload = Workload(.init(name: "a"), addresses: addresses.compactMap { IPAddress($0) })
        return ReachabilityMap(PolicyCatalog(egressPolicies: [policy]), inventory: Inventory(workloads: [workload]))
    }

    private func text(_ map: ReachabilityMap, _ format: MapFormat = .table) throws -> String {
        try MapRows(map, of: nil).text(format, map)
    }

    @Test("the outside of one family is not the outside to a workload that speaks both")
    func families() throws {
        let block = try #require(Self.v4)
        let one = try text(map(["10.0.0.1"], to: [.block(AddressBlock(block))]), .csv)
        #expect(one.contains("default/a,outside,,all\r\n"))
        let both = try text(map(["10.0.0.1", "fd00::1"], to: [.block(AddressBlock(block))]), .csv)
        #expect(both.contains("default/a,0.0.0.0/0,,all\r\n") && !both.contains(",outside,"))
        #expect(both.contains("default/a,host 0.0.0.0/0,,all\r\n") && !both.contains(",host,"))
        let everything = try text(map(["10.0.0.1", "fd00::1"], to: []))
        #expect(everything.contains("outside") && everything.contains("host") && !everything.contains("/0"))
    }

    @Test(
        "more pairs than anybody reads are refused in words; those of one workload, or what is allowed alone, are not")
    func manyPairs() throws {
        let workloads = (0..<30).map { Workload(.init(name: "w\($0)"), labels: ["app": "a\($0)"]) }
        let policies = (0..<30).map { number in
            NetworkPolicy(
                name: "p\(number)", podSelector: LabelSelector(matchLabels: ["app": "a\(number)"]),
                directions: [.ingress],
                ingress: [.init(peers: [.pods(namespaces: nil, pods: LabelSelector(matchLabels: ["app": "a0"]))])])
        }
        let map = ReachabilityMap(
            PolicyCatalog(networkPolicies: policies, networkDefault: .allow), inventory: Inventory(workloads: workloads)
        )
        let failure = #expect(throws: PolicyMistakes.self) { try MapRows(map, of: nil, limit: 100) }
        #expect(failure?.lines.first == "egret: 30 workloads have more than 100 pairs to list")
        let one = try MapRows(map, of: [Workload.ID(name: "w7")], limit: 100)
        #expect(
            one.rows.count { if case (.workload, .workload) = ($0.source, $0.target) { true } else { false } } == 58)
        let allowed = try MapRows(map, of: nil, withNothing: false, limit: 100)
        let pairs = allowed.rows.filter {
            if case (.workload, .workload) = ($0.source, $0.target) { true } else { false }
        }
        #expect(pairs.count == 29 && pairs.allSatisfy { $0.source == .workload(Workload.ID(name: "w0")) })
    }

    @Test("workloads of one name are told apart by their kinds, there and only there")
    func kinds() throws {
        let ids = [("a", "Pod"), ("a", "Deployment"), ("b", "Pod")].map {
            Workload.ID(namespace: "x", name: $0.0, kind: $0.1)
        }
        let inventory = Inventory(workloads: ids.map { Workload($0) })
        let map = ReachabilityMap(PolicyCatalog(networkDefault: .allow), inventory: inventory)
        let table = try text(map, .csv)
        #expect(table.contains("deployment/x/a,pod/x/a,,all\r\n") && table.contains("x/b,deployment/x/a,,all\r\n"))
        #expect(!table.contains("pod/x/b"))
        #expect(try text(map, .dot).contains("\"pod/x/a\" -> \"x/b\""))
        let json = try text(map, .json)
        #expect(json.contains("\"fromKind\" : \"Deployment\"") && json.contains("\"toKind\" : \"Pod\""))
        #expect(json.contains("\"from\" : \"x\\/a\"") || json.contains("\"from\" : \"x/a\""))
        let closed = ReachabilityMap(PolicyCatalog(networkDefault: .deny), inventory: inventory)
        let rows = DifferenceRows(
            ReachabilityDifference(from: closed, to: map), of: nil,
            names: WorkloadNames(closed.inventory, map.inventory))
        #expect(try rows.text(.csv).contains("pod/x/a,deployment/x/a,,all,\r\n"))
        let alone = ReachabilityMap(PolicyCatalog(), inventory: Inventory(workloads: [Workload(ids[0])]))
        let added = DifferenceRows(
            ReachabilityDifference(from: alone, to: map), of: nil, names: WorkloadNames(alone.inventory, map.inventory))
        #expect(try added.text(.table).contains("new workload: deployment/x/a\nnew workload: x/b\n"))
    }

    @Test("a difference lists what the machine offers")
    func host() throws {
        let before = map(["10.0.0.1"], to: [.builtIn(.internet)])
        let after = map(["10.0.0.1"], to: [.builtIn(.internet), .builtIn(.host)])
        let rows = DifferenceRows(ReachabilityDifference(from: before, to: after), of: nil)
        #expect(!rows.isEmpty)
        #expect(try rows.text(.csv).contains("default/a,host 0.0.0.0/0,,all,\r\n"))
        let json = try rows.text(.json)
        #expect(json.contains("\"host\"") && json.contains("\"0.0.0.0/0\""))
    }
}
