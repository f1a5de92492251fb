// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

/// The cases that the evaluator is held to, with packets: every pod has a namespace, and between two steps only what the
/// endpoints obey is changed.
@Suite(.serialized, .requiresRoot)
struct ConformanceKernelTests {
    private static let directory =
        #filePath.split(separator: "/").dropLast(2).map { "/" + $0 }.joined() + "/ConformanceTests"

    @Test("packets reach whom every case says, and nobody else", arguments: PodBench.Layout.allCases)
    func packets(layout: PodBench.Layout) throws {
        let cases = try ConformanceFile.readAll(in: Self.directory)
        #expect(cases.count > 200)
        let world = ConformanceWorld(cases)
        let pods = try PodBench(layout, addresses: world.addresses, hostAddresses: [])
        let start = ContinuousClock.now
        var count: [AddressFamily: Int] = [:]
        for testCase in cases {
            for step in testCase.steps {
                let place = "\(testCase.name) (\(step.location))"
                try pods.enforce(step.catalog, step.inventory) { world.pod(of: $0) }
                try pods.forgetConnections()
                var wrong: [String] = []
                for probe in step.probes {
                    count[probe.family, default: 0] += 1
                    if let mistake = try world.mistake(about: probe, in: step, pods) { wrong.append(mistake) }
                }
                #expect(wrong == [], "\(place)")
            }
            #expect(try pods.drift() == [], "\(testCase.name)")
        }
        #expect(count[.ipv4, default: 0] > 10_000)
        #expect(count[.ipv6, default: 0] > 10_000)
        print("conformance, \(layout): \(cases.count) cases, \(count) connections, \(ContinuousClock.now - start)")
    }

    @Test("without its policies the kernel fails a case")
    func control() throws {
        let cases = try ConformanceFile.readAll(in: Self.directory)
        let first = try #require(cases.first { $0.steps.contains { $0.probes.contains { !$0.isAllowed } } })
        let world = ConformanceWorld([first])
        let pods = try PodBench(.routed, addresses: world.addresses, hostAddresses: [])
        for step in first.steps {
            var nothing = PolicyCatalog()
            nothing.networkDefault = .allow
            try pods.enforce(nothing, step.inventory) { world.pod(of: $0) }
            let denied = step.probes.filter { !$0.isAllowed }
            #expect(try denied.filter { try world.mistake(about: $0, in: step, pods) == nil } == [])
        }
    }
}
