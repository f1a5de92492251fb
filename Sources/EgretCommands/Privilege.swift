// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux

/// What Egret itself must be allowed to do.
enum Privilege {
    private static let needed: CapabilitySet = [.networkAdministration, .systemAdministration, .setUser, .setGroup]

    /// Fails with advice where the kernel would refuse step after step.
    static func require(for purpose: String, advice: String) throws {
        guard try CapabilitySet.effective().isSuperset(of: needed) else {
            throw RunFailure(message: "\(purpose) takes root's privileges", advice: advice)
        }
    }
}
