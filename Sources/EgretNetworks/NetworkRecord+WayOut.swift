// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing

extension NetworkRecord.Endpoint {
    /// Whether two are links of one namespace: as far as the kernel can say so, or by what it is called.
    ///
    /// - Parameter other: An endpoint of any network.
    /// - Returns: Whether they are.
    public func sharesNamespace(with other: NetworkRecord.Endpoint) -> Bool {
        namespace == other.namespace || cookie != 0 && cookie == other.cookie
    }
}

extension Sequence where Element == NetworkRecord {
    /// The families whose default routes are an earlier connection's to have: a namespace of several networks leaves by
    /// the one that it was connected to first, whatever the networks are called and in which order they are made again.
    ///
    /// - Parameter endpoint: One of a network's.
    /// - Returns: The families that earlier connections of its namespace lead out by; an isolated network leads nobody
    ///   out.
    public func families(leadingBefore endpoint: NetworkRecord.Endpoint) -> Set<AddressFamily> {
        var found: Set<AddressFamily> = []
        for network in self where !network.isIsolated {
            let leads = network.endpoints.contains { other in
                other.stage != .removing && other.sharesNamespace(with: endpoint)
                    && (other.order ?? 0) < (endpoint.order ?? 0)
            }
            if leads { found.formUnion(network.subnets.map(\.block.family)) }
        }
        return found
    }

    /// The place among all connections that the next one has.
    public var nextOrder: Int { (flatMap(\.endpoints).compactMap(\.order).max() ?? 0) + 1 }
}
