// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDataplane
import EgretNftables
import EgretRoutes

/// nf_tables as routes need it, by way of the data plane.
struct KernelRouteRules: RouteRules {
    let dataplane: Dataplane

    func install(_ program: TableProgram) throws { try dataplane.install([], on: program) }

    func commit(_ transaction: Transaction) throws { try dataplane.commit(transaction) }

    func remove(_ table: Table) throws { try dataplane.removeTables([table]) }
}
