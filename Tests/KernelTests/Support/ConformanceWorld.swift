// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy
import EgretTesting
import Testing

/// The pods of all cases, as endpoints of one bench.
///
/// Pods in their machines' network are not among them: the machines are others than the bench's host, so they speak from
/// outside.
struct ConformanceWorld {
    /// The addresses of each endpoint.
    let addresses: [[IPAddress]]
    private let numbers: [[IPAddress]: Int]

    init(_ cases: [ConformanceCase]) {
        let workloads = cases.flatMap(\.steps).flatMap(\.inventory.workloads).filter { !$0.usesHostNetwork }
        addresses = Set(workloads.map(\.addresses)).sorted { ($0.first?.rawValue ?? 0) < ($1.first?.rawValue ?? 0) }
        numbers = Dictionary(uniqueKeysWithValues: zip(addresses, addresses.indices))
    }

    /// The endpoint that stands for a pod; `nil` for one in its machine's network.
    func pod(of workload: Workload) -> Int? { workload.usesHostNetwork ? nil : numbers[workload.addresses] }

    /// Tries a connection.
    ///
    /// - Returns: What is wrong with its end, if anything is.
    func mistake(
        about probe: ConformanceCase.Probe, in step: ConformanceCase.Step, _ pods: PodBench
    ) throws -> String? {
        let source = try #require(end(probe.source, probe.family, step.inventory))
        let target = try #require(end(probe.target, probe.family, step.inventory))
        let number = probe.service.protocol
        if probe.service.port == nil && ![.icmp, .icmpv6].contains(number) {
            // Tracking knows these by their two addresses: whoever spoke first would have begun.
            try pods.forgetConnections()
        }
        let (arrives, isAnswered) = try pods.attempt(from: source, to: target, probe.service, probe.family)
        if arrives == probe.isAllowed && isAnswered != false { return nil }
        let service = probe.service.port.map { "\($0)/\(number)" } ?? "\(number)"
        let outcome = arrives ? isAnswered == false ? "arrives without an answer" : "arrives" : "does not arrive"
        return "\(source) -> \(target) \(service) over \(probe.family) \(outcome)"
    }

    private func end(_ end: ConnectionEnd, _ family: AddressFamily, _ inventory: Inventory) -> PodBench.End? {
        switch end {
        case .address(let address): return .outside(address)
        case .workload(let place):
            let workload = inventory.workloads[place]
            if let number = pod(of: workload) { return .pod(number) }
            return workload.addresses.first { $0.family == family }.map { .outside($0) }
        }
    }
}
