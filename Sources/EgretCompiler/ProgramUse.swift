// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretNftables
public import EgretPolicy

/// What a compiled policy set is for.
public enum ProgramUse: Hashable, Sendable {
    /// What a run sends. Nobody begins a connection to a run; the program's accept is the hook's.
    case run
    /// What the endpoint of a network sends, or is sent. Both ends of a connection between two endpoints are asked, so
    /// the program's accept is a return.
    case endpoint(TrafficDirection)
}

extension ProgramUse {
    /// Whether several endpoints may share the program.
    var isOfEndpoints: Bool { self != .run }
}

extension IPProtocol {
    /// Whether connection tracking knows the ports of this protocol in every kernel that Egret runs on.
    var hasTrackedPorts: Bool { self == .tcp || self == .udp || self == .sctp }
}

extension Generation {
    /// The step that notes on a packet's connection that this generation has admitted it.
    var stamp: Statement { .setConnectionMark(mask: Generation.mask, value: mark) }
}
