// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The two directions in which a workload's traffic is policed.
public enum TrafficDirection: String, Hashable, Sendable, CaseIterable {
    /// Connections that the workload begins.
    case egress
    /// Connections that others begin to the workload.
    case ingress
}
