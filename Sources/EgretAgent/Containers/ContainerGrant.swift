// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// What a container was given when it was started, as its engine tells: what its first process has given up or left since, others
/// of its processes may have still.
struct ContainerGrant: Codable, Hashable, Sendable {
    /// Whether it was started in the host's network.
    var usesHostNetwork = false
    /// The number or the name of the container whose network it was started in.
    var networkOwner: String?
    /// Its capabilities, of those that ``HostCapability`` has: a bit for each.
    var capabilities: UInt64 = 0
    /// Whether it was started among the host's processes.
    var seesHostProcesses = false
    /// Whether the host's user namespace is its own; `nil` if the engine has not said whose users its containers have.
    var hasHostUsers: Bool?

    /// The capabilities that an engine gives.
    ///
    /// - Parameters:
    ///   - isPrivileged: Whether the container has all of them.
    ///   - added: The names of those that it is given besides the usual ones, or `ALL`.
    ///   - dropped: The names of those that it is not given, or `ALL`. Of that one what is added is the exception, and of
    ///     `ALL` that is added what is dropped.
    /// - Returns: A bit for each of those that ``HostCapability`` has, of which none is usual.
    static func capabilities(isPrivileged: Bool, added: [String], dropped: [String]) -> UInt64 {
        let added = Swift.Set(added.map(plain))
        let dropped = Swift.Set(dropped.map(plain))
        return HostCapability.allCases.reduce(0) { bits, capability in
            let name = capability.name
            let isAdded = added.contains("ALL") ? !dropped.contains(name) : added.contains(name)
            return isPrivileged || isAdded ? bits | capability.bit : bits
        }
    }

    /// A capability's name as it is written here: engines write `CAP_NET_ADMIN` or `NET_ADMIN`.
    private static func plain(_ name: String) -> String {
        let name = name.uppercased()
        return name.hasPrefix("CAP_") ? String(name.dropFirst("CAP_".count)) : name
    }
}

/// Whose users an engine's containers have.
enum ContainerUsers: Hashable, Sendable {
    /// The host's, unless a container is started otherwise.
    case host
    /// Others (`userns-remap`), unless a container is started otherwise.
    case remapped
    /// Others, as the engine itself has.
    case rootless

    /// Whether the host's user namespace is a container's own.
    ///
    /// - Parameters:
    ///   - mode: What the container was started with: `host`, whose they are (`container:…`, `ns:…`), or another word for some of
    ///     its own.
    ///   - users: What its engine does; `nil` if that is not known.
    /// - Returns: `nil` if that cannot be said. Another container's, and a file's, may be the host's.
    static func areHosts(_ mode: String?, of users: ContainerUsers?) -> Bool? {
        let mode = mode ?? ""
        if users == .rootless { return false }
        if mode.hasPrefix("container:") || mode.hasPrefix("ns:") { return nil }
        if !["", "host"].contains(mode) { return false }
        return users.map { $0 == .host || mode == "host" }
    }
}
