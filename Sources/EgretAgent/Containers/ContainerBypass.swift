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
}
