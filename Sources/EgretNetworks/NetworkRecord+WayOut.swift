// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux

extension NetworkRecord.Endpoint {
    /// Whether two are links of one namespace: as far as the kernel can say so, or by what it is called.
    ///
    /// - Parameter other: An endpoint of any network.
    /// - Returns: Whether they are.
    public func sharesNamespace(with other: NetworkRecord.Endpoint) -> Bool {
        namespace == other.namespace || cookie != 0 && cookie == other.cookie
    }

    /// Whether the namespace of both was connected here before.
    ///
    /// - Parameter other: An endpoint of any network.
    /// - Returns: Whether it leaves by this link rather than by the other's, where both networks lead out.
    public func leads(before other: NetworkRecord.Endpoint) -> Bool {
        stage != .removing && sharesNamespace(with: other) && (order ?? 0) < (other.order ?? 0)
    }

    /// Opens the endpoint's namespace.
    ///
    /// - Returns: The namespace; `nil` if it is gone, also where another one has its name.
    /// - Throws: An error if the kernel does not tell which namespace it is.
    public func openNamespace() throws -> Namespace? {
        guard let present = try? NamespaceReference(namespace)?.open(),
            try NamespaceReference.cookie(of: present) == cookie
        else { return nil }
        return present
    }
}

extension NetworkRecord {
    /// The endpoint that a namespace has here, whatever the namespace was called when it was connected.
    ///
    /// - Parameters:
    ///   - reference: What somebody calls the namespace.
    ///   - cookie: The kernel's cookie of what is called so now; `nil` if nothing is.
    /// - Returns: The endpoint of this very namespace; if nothing can be opened by this name, or nobody knows yet which
    ///   namespace an endpoint has, the one that was connected by this name.
    public func endpoint(in reference: NamespaceReference, _ cookie: UInt64?) -> Endpoint? {
        if let cookie, cookie != 0, let found = endpoints.first(where: { $0.cookie == cookie }) { return found }
        return endpoints.first { $0.isCalled(reference) && (cookie == nil || $0.cookie == 0) }
    }
}

extension NetworkRecord.Endpoint {
    /// Whether its namespace was connected by this name: by this file, however that is written.
    ///
    /// - Parameter reference: What somebody calls a namespace.
    /// - Returns: Whether it was. By now somebody else's namespace may have the name.
    public func isCalled(_ reference: NamespaceReference) -> Bool {
        NamespaceReference(namespace)?.path == reference.path
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
            if network.endpoints.contains(where: { $0.leads(before: endpoint) }) {
                found.formUnion(network.subnets.map(\.block.family))
            }
        }
        return found
    }

    /// The place among all connections that the next one has.
    public var nextOrder: Int { (flatMap(\.endpoints).compactMap(\.order).max() ?? 0) + 1 }
}
