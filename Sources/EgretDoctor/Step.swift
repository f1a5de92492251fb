// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A part of a packet's way, in the order in which it is walked.
public enum Step: String, Hashable, Sendable, CaseIterable {
    /// The endpoint's interface and the host's end of it.
    case link
    /// An address of the destination's family.
    case address
    /// The endpoint's route to the destination.
    case route
    /// The next hop's hardware address.
    case neighbour
    /// A packet leaves the endpoint.
    case probe
    /// It comes to the host's end.
    case arrival
    /// Egret's rules on the host.
    case policy
    /// The host's switches for forwarding.
    case forwarding
    /// Everybody else's rules on the host.
    case rules
    /// The host's route to the destination.
    case wayOut = "way out"
    /// The source address that the world sees.
    case translation
    /// Something comes back to the host.
    case answer
    /// It comes back to the endpoint.
    case wayBack = "way back"
    /// A packet of full size passes.
    case size
}
