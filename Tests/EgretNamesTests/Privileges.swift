// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import Testing

/// What tests may do on this machine.
enum Privileges {
    static let isRoot = CurrentProcess.isRoot
    static let hasNamespaces =
        (try? CapabilitySet.effective().isSuperset(of: [.systemAdministration, .networkAdministration])) == true
    /// In CI nothing may be skipped: a test that cannot run there must fail.
    static let mustRun = Environment.current["CI"] != nil
}

extension Trait where Self == ConditionTrait {
    /// Needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` over this host.
    static var requiresRoot: ConditionTrait {
        .enabled(if: Privileges.mustRun || (Privileges.isRoot && Privileges.hasNamespaces), "needs root")
    }
}
