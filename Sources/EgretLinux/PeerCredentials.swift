// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Who is at the other end of a unix socket, as the kernel noted it when the connection was made.
public struct PeerCredentials: Hashable, Sendable {
    /// The process; 0 if it is in a pid namespace outside ours.
    public var process: Int32
    /// Its effective user.
    public var user: UInt32
    /// Its effective group.
    public var group: UInt32
    /// Its other groups.
    public var groups: [UInt32]

    /// Puts credentials together.
    public init(process: Int32, user: UInt32, group: UInt32, groups: [UInt32] = []) {
        self.process = process
        self.user = user
        self.group = group
        self.groups = groups
    }

    /// Asks the kernel about a connected socket (`SO_PEERCRED`, `SO_PEERGROUPS`).
    public init(ofSocket descriptor: Int32) throws(LinuxError) {
        var peer = egret_peer()
        try check(unsafe egret_peer_credentials(descriptor, &peer), "ask who is at the other end of a socket")
        self.init(
            process: peer.process, user: peer.user, group: peer.group,
            groups: try PeerCredentials.groups(ofSocket: descriptor))
    }

    private static func groups(ofSocket descriptor: Int32) throws(LinuxError) -> [UInt32] {
        // The kernel allows 65,536 groups (NGROUPS_MAX).
        for room in [64, 65_536] {
            var groups = [UInt32](repeating: 0, count: room)
            let count = unsafe groups.withUnsafeMutableBufferPointer { buffer in
                unsafe egret_peer_groups(descriptor, buffer.baseAddress, UInt32(room))
            }
            if count == -egret_erange { continue }
            return Array(groups.prefix(Int(try check(count, "ask for the groups at the other end of a socket"))))
        }
        throw LinuxError(.range, operation: "ask for the groups at the other end of a socket")
    }

    /// Whether the other end is root, one of these users, or in the group.
    public func mayAct(as users: [UInt32], inGroup wanted: UInt32?) -> Bool {
        if user == 0 || users.contains(user) { return true }
        guard let wanted else { return false }
        return group == wanted || groups.contains(wanted)
    }

    /// The user, the process and its name: `uid 0, pid 4711 (egret)`.
    ///
    /// The name is the process's own claim. It is left out of a process that has ended.
    public var text: String {
        let name = try? File.readText("/proc/\(process)/comm", limit: 64).split(whereSeparator: \.isNewline).first
        return "uid \(user), pid \(process)" + (name.map { " (\($0))" } ?? "")
    }
}
