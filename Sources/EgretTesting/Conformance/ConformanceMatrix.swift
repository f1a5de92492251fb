// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretEvaluator
import EgretPolicy

/// Who reaches whom.
struct ConformanceMatrix {
    private struct Pair: Hashable {
        var source: ConnectionEnd
        var target: ConnectionEnd
    }

    private let inventory: Inventory
    private var order: [Pair] = []
    private var isAllowed: [Pair: Bool] = [:]

    /// Everybody reaches everybody else.
    init(_ inventory: Inventory) {
        self.inventory = inventory
        for source in ends(matching: "*") {
            for target in ends(matching: "*") { set(source, target, true) }
        }
    }

    /// Applies a line: `SOURCE -> TARGET allowed|denied`.
    mutating func apply(_ line: String, _ location: SourceLocation) throws {
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 4, words[1] == "->", words[3] == "allowed" || words[3] == "denied" else {
            throw ConformanceError(location, "\(line) is not SOURCE -> TARGET allowed|denied")
        }
        let sources = ends(matching: words[0])
        let targets = ends(matching: words[2])
        if sources.isEmpty || targets.isEmpty { throw ConformanceError(location, "\(line) is about nobody") }
        for source in sources {
            for target in targets { set(source, target, words[3] == "allowed") }
        }
    }

    /// A probe for every pair and each family that both ends have.
    func probes(_ service: ConnectionService) -> [ConformanceCase.Probe] {
        order.flatMap { pair in
            AddressFamily.allCases.compactMap { family in
                guard has(pair.source, family), has(pair.target, family) else { return nil }
                if service.protocol == .icmp && family == .ipv6 || service.protocol == .icmpv6 && family == .ipv4 {
                    return nil
                }
                return ConformanceCase.Probe(
                    source: pair.source, target: pair.target, service: service, family: family,
                    isAllowed: isAllowed[pair] ?? true
                )
            }
        }
    }

    private mutating func set(_ source: ConnectionEnd, _ target: ConnectionEnd, _ value: Bool) {
        // A connection to oneself is nobody's business.
        if source == target { return }
        let pair = Pair(source: source, target: target)
        if isAllowed.updateValue(value, forKey: pair) == nil { order.append(pair) }
    }

    private func has(_ end: ConnectionEnd, _ family: AddressFamily) -> Bool {
        switch end {
        case .workload(let place): inventory.workloads[place].addresses.contains { $0.family == family }
        case .address(let address): address.family == family
        }
    }

    private func ends(matching pattern: String) -> [ConnectionEnd] {
        if let address = IPAddress(pattern) { return [.address(address)] }
        let parts = pattern.split(separator: "/").map(String.init)
        return inventory.workloads.indices.filter { place in
            let workload = inventory.workloads[place]
            if parts.first == "*" && workload.usesHostNetwork { return false }
            let names = [workload.id.namespace, workload.id.name]
            return zip(parts, names).allSatisfy { $0 == "*" || $0 == $1 }
        }.map { .workload($0) }
    }
}
