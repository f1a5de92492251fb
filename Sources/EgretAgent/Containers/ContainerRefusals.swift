// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Which containers are not to run: the operator's word, given when the agent is started. Nothing that a container says of
/// itself, as a label, changes it.
public struct ContainerRefusals: Hashable, Sendable {
    /// The ways past policies that no container may have.
    public var ways: Swift.Set<ContainerBypass>
    /// The containers that may have them all the same.
    public var exceptions: [ContainerException]

    /// Names ways and exceptions.
    public init(_ ways: Swift.Set<ContainerBypass> = [], exceptions: [ContainerException] = []) {
        self.ways = ways
        self.exceptions = exceptions
    }

    /// Why a container is not to run; `nil` if it may.
    ///
    /// - Parameters:
    ///   - target: The container.
    ///   - found: The ways that it has, each in words.
    /// - Returns: The ways of it that are refused, in words.
    func reason(against target: AttachedTarget, _ found: [ContainerBypass: String]) -> String? {
        let reasons = ContainerBypass.allCases.filter(ways.contains).compactMap { found[$0] }
        if reasons.isEmpty || exceptions.contains(where: { $0.covers(target) }) { return nil }
        return reasons.joined(separator: "; ")
    }
}
