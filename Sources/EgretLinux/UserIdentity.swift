// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Whom a command runs as.
public struct UserIdentity: Hashable, Sendable {
    /// The user number.
    public var user: UInt32
    /// The primary group number.
    public var group: UInt32
    /// The groups, primary included.
    public var groups: [UInt32]
    /// The name, or `nil` if the user database has no entry for the number.
    public var name: String?
    /// The home directory; `/` without an entry.
    public var home: String
    /// The login shell; `/bin/sh` without an entry.
    public var shell: String

    /// Puts an identity together.
    public init(
        user: UInt32,
        group: UInt32,
        groups: [UInt32],
        name: String? = nil,
        home: String = "/",
        shell: String = "/bin/sh"
    ) {
        self.user = user
        self.group = group
        self.groups = groups
        self.name = name
        self.home = home
        self.shell = shell
    }

    /// The effective user of this process.
    public static func current() throws(LinuxError) -> UserIdentity {
        try lookUp(number: egret_effective_user())
            ?? UserIdentity(
                user: egret_effective_user(),
                group: egret_effective_group(),
                groups: [egret_effective_group()]
            )
    }

    /// Looks up `name`, `number`, `name:group` or `number:group`, where a group is a name or a number.
    ///
    /// Names are asked of the system's name service. With a group given, that group is the only one; without, the
    /// user's own groups apply. A number that the database does not know is taken with the group of the same number.
    ///
    /// - Returns: `nil` if a name is unknown, or a number does not fit in 32 bits or is the reserved −1.
    public static func lookUp(_ text: String) throws(LinuxError) -> UserIdentity? {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let first = parts.first, !first.isEmpty, var identity = try lookUp(userText: first) else { return nil }
        if parts.count == 2 {
            guard let group = try groupNumber(parts[1]) else { return nil }
            identity.group = group
            identity.groups = [group]
        }
        return identity
    }

    private static func lookUp(userText: String) throws(LinuxError) -> UserIdentity? {
        if let found = try lookUp(name: userText) { return found }
        guard let number = UInt32(userText), number != .max else { return nil }
        return try lookUp(number: number) ?? UserIdentity(user: number, group: number, groups: [number])
    }

    /// Looks up a user by name.
    public static func lookUp(name: String) throws(LinuxError) -> UserIdentity? {
        try unsafe search("look up user \(name)") { entry, bytes, count in
            unsafe egret_user_by_name(name, entry, bytes, count)
        }
    }

    /// Looks up a user by number.
    public static func lookUp(number: UInt32) throws(LinuxError) -> UserIdentity? {
        try unsafe search("look up user \(number)") { entry, bytes, count in
            unsafe egret_user_by_number(number, entry, bytes, count)
        }
    }
}

extension UserIdentity {
    private typealias Query = (UnsafeMutablePointer<egret_user>, UnsafeMutablePointer<CChar>?, Int) -> Int32

    /// The largest entry of the databases that is read, in bytes: groups may list thousands of members.
    private static var largestEntry: Int { 1 << 20 }

    private static func search(_ operation: String, _ query: Query) throws(LinuxError) -> UserIdentity? {
        var size = 4096
        while true {
            var identity: UserIdentity?
            var buffer = [CChar](repeating: 0, count: size)
            let result = unsafe buffer.withUnsafeMutableBufferPointer { bytes in
                var entry = unsafe egret_user()
                let result = unsafe query(&entry, bytes.baseAddress, bytes.count)
                if result == 1 { identity = unsafe UserIdentity(copying: entry) }
                return result
            }
            if result == -egret_erange, size < largestEntry {
                size *= 4
                continue
            }
            try check(result, operation)
            guard let found = identity else { return nil }
            return found.withGroups()
        }
    }

    @unsafe
    private init(copying entry: egret_user) {
        func text(_ pointer: UnsafePointer<CChar>?, or other: String) -> String {
            guard let pointer = unsafe pointer else { return other }
            let text = unsafe String(cString: pointer)
            return text.isEmpty ? other : text
        }
        unsafe self.init(
            user: entry.user,
            group: entry.group,
            groups: [entry.group],
            name: text(entry.name, or: ""),
            home: text(entry.home, or: "/"),
            shell: text(entry.shell, or: "/bin/sh")
        )
    }

    private func withGroups() -> UserIdentity {
        guard let name else { return self }
        var room: Int32 = 64
        // The kernel allows 65,536 groups.
        while room <= 65_536 {
            var list = [UInt32](repeating: 0, count: Int(room))
            let found = unsafe list.withUnsafeMutableBufferPointer { buffer in
                unsafe egret_group_list(name, group, buffer.baseAddress, room)
            }
            if found <= room {
                var identity = self
                identity.groups = Array(list.prefix(Int(max(found, 0))))
                return identity
            }
            room = max(room * 2, found)
        }
        return self
    }

    /// The number of a group that is given by name or number.
    ///
    /// - Parameter text: A name of the system's name service, or a number, which need not be known there.
    /// - Returns: `nil` if a name is unknown, or a number does not fit in 32 bits or is the reserved −1.
    /// - Throws: `LinuxError` if the name service fails.
    public static func groupNumber(_ text: String) throws(LinuxError) -> UInt32? {
        var size = 4096
        while true {
            var number: UInt32 = 0
            var buffer = [CChar](repeating: 0, count: size)
            let result = unsafe buffer.withUnsafeMutableBufferPointer { bytes in
                unsafe egret_group_by_name(text, &number, bytes.baseAddress, bytes.count)
            }
            if result == -egret_erange, size < largestEntry {
                size *= 4
                continue
            }
            try check(result, "look up group \(text)")
            if result == 1 { return number }
            guard let number = UInt32(text), number != .max else { return nil }
            return number
        }
    }
}
