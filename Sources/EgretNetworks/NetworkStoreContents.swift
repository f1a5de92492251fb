// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a store holds: networks, and files that are none.
public struct NetworkStoreContents: Sendable {
    /// The networks that can be read, by name.
    public var networks: [NetworkRecord] = []
    /// Why others cannot be read, by the names that their files give them.
    public var unreadable: [String: NetworkProblem] = [:]

    /// Nothing.
    init() {}

    /// The networks, for whoever needs one of them.
    ///
    /// - Parameter name: The network that is needed; that there is none by that name is no problem.
    /// - Returns: All networks that can be read.
    /// - Throws: ``NetworkProblem`` if that one cannot.
    public func networks(needing name: String) throws(NetworkProblem) -> [NetworkRecord] {
        if let problem = unreadable[name] { throw problem }
        return networks
    }
}
