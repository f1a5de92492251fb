// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAnalysis
import EgretPolicy

/// A map, for programs. What is not listed is not allowed.
struct MapDocument: Encodable {
    struct WorkloadEntry: Encodable {
        var name: String
        var namespace: String
        var kind: String
        /// Empty where a manifest alone tells of it.
        var addresses: [String]
        var labels: [String: String]
    }

    struct Pair: Encodable {
        var from: String
        var fromKind: String
        var to: String
        var toKind: String
        /// Where the two families differ.
        var family: String?
        var services: [String]
    }

    struct Outside: Encodable {
        var workload: String
        var kind: String
        /// `egress`: the workload begins. `ingress`: the outside does.
        var direction: String
        var cidrs: [String]
        var services: [String]
    }

    struct Host: Encodable {
        var workload: String
        var kind: String
        var cidrs: [String]
        var services: [String]
    }

    struct Names: Encodable {
        var workload: String
        var kind: String
        var domains: [String]
        var services: [String]
    }

    var workloads: [WorkloadEntry]
    var pairs: [Pair] = []
    var outside: [Outside] = []
    var host: [Host] = []
    /// While the names lead to public addresses that no narrower rule is about; absent where no rule is about names.
    var names: [Names]?

    init(_ rows: MapRows, _ map: ReachabilityMap) {
        workloads = map.inventory.workloads.enumerated().map { place, workload in
            WorkloadEntry(
                name: workload.id.name, namespace: workload.id.namespace, kind: workload.id.kind,
                addresses: map.placeholders[place] == nil ? workload.addresses.map(\.description) : [],
                labels: workload.labels)
        }
        for row in rows.rows where !row.services.isEmpty {
            let services = row.services.entries
            switch (row.source, row.target) {
            case (.workload(let source), .workload(let target)):
                pairs.append(
                    Pair(
                        from: source.description, fromKind: source.kind, to: target.description, toKind: target.kind,
                        family: row.family?.label, services: services))
            case (.workload(let source), .outside(let prefixes, _)):
                outside.append(
                    Outside(
                        workload: source.description, kind: source.kind, direction: "egress",
                        cidrs: prefixes.map(\.description), services: services))
            case (.outside(let prefixes, _), .workload(let target)):
                outside.append(
                    Outside(
                        workload: target.description, kind: target.kind, direction: "ingress",
                        cidrs: prefixes.map(\.description), services: services))
            case (.workload(let source), .names(let patterns)):
                names =
                    (names ?? []) + [
                        Names(
                            workload: source.description, kind: source.kind, domains: patterns.map(\.description),
                            services: services)
                    ]
            case (.workload(let source), .host(let prefixes, _)):
                host.append(
                    Host(
                        workload: source.description, kind: source.kind, cidrs: prefixes.map(\.description),
                        services: services))
            default: continue
            }
        }
    }
}
