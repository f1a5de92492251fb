// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretCompiler
import EgretDataplane
import EgretLinux

/// Whether what polices a run is still in the kernel as it was put there.
///
/// Objects of the run's own, chains and sets of its policy and its endpoint, are nobody else's to touch: any word of a
/// change there is enough. What runs share changes as others come and go: there the rules are read and compared.
final class RunPolicing {
    /// Becomes readable when somebody has changed the ruleset.
    var descriptor: Descriptor { watch.descriptor }

    private let dataplane: Dataplane
    private let policy: PolicyProgram
    private let endpoint: EndpointProgram
    private let ownNames: [String]
    private let watch: TableWatch

    /// Begins to listen.
    ///
    /// - Throws: An error if the kernel gives no notifications.
    init(_ policy: PolicyProgram, _ endpoint: EndpointProgram, on interface: String, _ dataplane: Dataplane) throws {
        self.dataplane = dataplane
        self.policy = policy
        self.endpoint = endpoint
        ownNames = [policy.egressChain, interface, "from-\(interface)", "to-\(interface)"]
        watch = try TableWatch([BaseProgram.table, BaseProgram.frameTable])
    }

    /// Whether the shared objects, and those of the endpoint, are as they were meant.
    func isThere() throws -> Bool {
        try dataplane.holds([BaseProgram.program, endpoint.packets, endpoint.frames])
    }

    /// Whether anything of what polices the run has been changed or removed since it was put there.
    ///
    /// - Throws: An error if the kernel cannot be asked.
    func isBroken() throws -> Bool {
        let pending = try watch.pending()
        if pending.changes.contains(where: { isOwn($0.object) }) { return true }
        if pending.someWereLost {
            return try !isThere() || !dataplane.drift(of: [policy.program]).isEmpty
        }
        // An element that comes into a shared map is another run's; it cannot take the place of one that is there.
        return try pending.changes.contains { !$0.isAddedElement } && !isThere()
    }

    private func isOwn(_ object: String?) -> Bool {
        guard let object else { return false }
        return ownNames.contains { object == $0 || object.hasPrefix($0 + "-") }
    }
}
