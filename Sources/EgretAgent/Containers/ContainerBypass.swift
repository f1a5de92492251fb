// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A way in which what a container sends gets past its policies, or could.
public enum ContainerBypass: String, CaseIterable, Hashable, Sendable {
    /// It uses the host's network.
    case hostNetwork = "host-network"
    /// It has links that lead past the host, or where no policy can be in force: macvlan, ipvlan, overlay networks.
    case otherLinks = "other-links"
    /// It can get into the host's network by a capability, as privileged containers can.
    case privileged

    /// Why a container is not to run; `nil` if it may.
    ///
    /// - Parameters:
    ///   - found: The ways that it has, each in words.
    ///   - refused: The ways that none may have.
    /// - Returns: The ways of it that are refused, in words.
    static func refusal(_ found: [ContainerBypass: String], by refused: Swift.Set<ContainerBypass>) -> String? {
        let reasons = allCases.filter(refused.contains).compactMap { found[$0] }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }
}
