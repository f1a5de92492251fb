// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A network namespace that somebody else has connected, and that is to be held to policies.
public struct AttachRequest: Codable, Hashable, Sendable {
    /// The file of the namespace: `/run/netns/web`, `/proc/4711/ns/net`; or `cgroup:PATH`, or `unit:NAME`, for processes
    /// of the host's own network.
    public var namespace: String
    /// Its group, which Kubernetes' kinds call its namespace.
    public var group: String
    /// Its name in the group.
    public var name: String
    /// Its labels.
    public var labels: [String: String]
    /// The number that its engine gave the container: when the agent hears of it from the engine, it is the same endpoint.
    public var container: String?
    /// The key of a label that a policy has to select it by: if there is no such policy, nothing is attached.
    public var selectedBy: String?

    /// Creates a request.
    public init(
        namespace: String, group: String, name: String, labels: [String: String], container: String? = nil,
        selectedBy: String? = nil
    ) {
        self.container = container
        self.selectedBy = selectedBy
        self.namespace = namespace
        self.group = group
        self.name = name
        self.labels = labels
    }

    /// Whether an endpoint's group, or its name in the group, can be called so: letters, digits, hyphens, dots and underscores
    /// of ASCII, with a letter or a digit in front, at most 253.
    public static func isName(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        return (1...253).contains(text.utf8.count) && text.utf8.first.map(isAlphanumeric) ?? false
            && text.utf8.allSatisfy { isAlphanumeric($0) || [0x2d, 0x2e, 0x5f].contains($0) }
    }
}
