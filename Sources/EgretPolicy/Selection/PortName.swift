// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

/// A port by name, as a rule writes it: which number that is, the workload at the connection's far end says.
public struct PortName: Hashable, Sendable {
    /// The name.
    public var name: String
    /// The protocol that the workload's port must have; `nil` for any.
    public var `protocol`: IPProtocol?

    /// Creates a named port.
    public init(_ name: String, _ protocol: IPProtocol? = nil) {
        self.name = name
        self.protocol = `protocol`
    }
}
