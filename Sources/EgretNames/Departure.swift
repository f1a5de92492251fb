// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// By which way something leaves that a proxy sends for an endpoint.
public enum Departure: Hashable, Sendable {
    /// By the host's main routing table.
    case main
    /// By the way whose packets have this mark (`SO_MARK`); it takes the place of the proxy's own.
    case marked(UInt32)
    /// By none that may be taken: it is not sent.
    case nowhere
}
