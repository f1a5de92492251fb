// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretPolicy

/// What workloads are called in tables: `NAMESPACE/NAME`, and `KIND/NAMESPACE/NAME` where workloads of several kinds have
/// that name.
struct WorkloadNames {
    private let ambiguous: Set<Workload.ID>

    /// Creates the names of the workloads of some inventories, of which one is in several if kind and name are the same.
    init(_ inventories: Inventory...) {
        let ids = inventories.count == 1 ? inventories[0].workloads.map(\.id) : WorkloadNames.all(inventories)
        var ambiguous: Set<Workload.ID> = []
        for (left, right) in zip(ids, ids.dropFirst()) where left != right {
            if left.namespace == right.namespace && left.name == right.name {
                ambiguous.formUnion([left, right])
            }
        }
        self.ambiguous = ambiguous
    }

    private static func all(_ inventories: [Inventory]) -> [Workload.ID] {
        inventories.flatMap(\.workloads).map(\.id).sorted()
    }

    /// The name of one of the workloads.
    func text(of id: Workload.ID) -> String { ambiguous.contains(id) ? id.withKind : id.description }
}
