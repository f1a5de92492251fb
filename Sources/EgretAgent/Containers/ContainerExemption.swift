// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// An exception, and the ways past policies that it is for, as the operator writes them.
public struct ContainerExemption: Hashable, Sendable, CustomStringConvertible {
    /// The containers that it is about.
    public var container: ContainerException
    /// The ways that they may have; `nil` for all.
    public var ways: Swift.Set<ContainerBypass>?

    /// Reads an exception; `nil` if it is none.
    ///
    /// - Parameter text: What ``ContainerException`` reads, for all ways; or with ways in front of it:
    ///   `privileged=docker/monitor`, `host-network,privileged=image:monitor`.
    public init?(_ text: String) {
        // What an image is called may have such a sign as well, behind its `image:`.
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if parts.count == 2, let ways = ContainerExemption.ways(parts[0]) {
            guard let container = ContainerException(parts[1]) else { return nil }
            self.container = container
            self.ways = ways
        } else {
            guard let container = ContainerException(text) else { return nil }
            self.container = container
        }
    }

    private static func ways(_ text: String) -> Swift.Set<ContainerBypass>? {
        let words = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let ways = words.compactMap(ContainerBypass.init(rawValue:))
        return ways.count == words.count ? Swift.Set(ways) : nil
    }

    /// As it is written.
    public var description: String {
        guard let ways else { return container.description }
        let words = ContainerBypass.allCases.filter(ways.contains).map(\.rawValue)
        return "\(words.joined(separator: ","))=\(container)"
    }
}
