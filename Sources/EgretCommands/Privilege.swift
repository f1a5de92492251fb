// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// What Egret itself must be allowed to do.
enum Privilege {
    /// What commands that make namespaces and links must be allowed to do.
    static let needed: CapabilitySet = [.networkAdministration, .systemAdministration, .setUser, .setGroup]

    /// What the agent must be allowed to do: it changes rules and switches of its own network namespace, and enters no other;
    /// which that is, and so which networks are its, it tells from the first process's.
    static let ofAgent: CapabilitySet = [.networkAdministration, .trace]

    /// Fails with advice where the kernel would refuse step after step.
    static func require(_ needed: CapabilitySet = needed, for purpose: String, advice: String) throws {
        guard try CapabilitySet.effective().isSuperset(of: needed) else {
            throw RunFailure(message: "\(purpose) takes root's privileges", advice: advice)
        }
    }
}
