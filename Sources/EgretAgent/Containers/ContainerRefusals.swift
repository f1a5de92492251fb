// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Which containers are not to run: the operator's word, given when the agent is started. Nothing that a container says of
/// itself, as a label, changes it.
public struct ContainerRefusals: Hashable, Sendable {
    /// The ways past policies that no container may have.
    public var ways: Swift.Set<ContainerBypass>
    /// The containers that may have them all the same, by way.
    public var exceptions: [ContainerBypass: [ContainerException]] = [:]

    /// Names ways, and exceptions from all of them.
    public init(_ ways: Swift.Set<ContainerBypass> = [], exceptions: [ContainerException] = []) {
        self.init(ways, exemptions: [])
        for way in ContainerBypass.allCases { self.exceptions[way] = exceptions }
    }

    /// Names ways, and exceptions with what they are for.
    public init(_ ways: Swift.Set<ContainerBypass>, exemptions: [ContainerExemption]) {
        self.ways = ways
        for exemption in exemptions {
            for way in exemption.ways ?? Swift.Set(ContainerBypass.allCases) {
                exceptions[way, default: []].append(exemption.container)
            }
        }
    }

    /// Why a container is not to run; `nil` if it may.
    ///
    /// - Parameters:
    ///   - target: The container.
    ///   - found: The ways that it has, each in words.
    /// - Returns: The ways of it that are refused, and that it is not excepted from, in words.
    func reason(against target: AttachedTarget, _ found: [ContainerBypass: String]) -> String? {
        let refused = ContainerBypass.allCases.filter { way in
            ways.contains(way) && !(exceptions[way] ?? []).contains { $0.covers(target) }
        }
        let reasons = refused.compactMap { found[$0] }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }
}
