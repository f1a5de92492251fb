// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

extension UserIdentity {
    /// Runs the body on this thread with this user's rights over files, and no others, then puts the caller's back.
    ///
    /// For root, who acts for a user on paths that the user may have prepared: what the body opens, looks at or
    /// creates is what the user could have. Only the calling thread changes. The body is synchronous, so nothing else
    /// can be scheduled here meanwhile, and it should only open what it needs and come back: descriptors keep the
    /// rights they were opened with. For user 0 in a process of user 0 the body is run as it is.
    ///
    /// If the caller's rights cannot be put back the process aborts with a message: a thread that does not know whose
    /// rights it has must not go on.
    ///
    /// - Parameter body: What to do as this user.
    /// - Returns: What the body returns.
    /// - Throws: ``LinuxError`` if this user's rights cannot be taken, or what the body throws.
    public func opening<Result>(_ body: () throws -> Result) throws -> Result {
        if user == 0 && CurrentProcess.isRoot { return try body() }
        let own = try FileRights.current()
        // The one step that fails for want of privilege: nothing is to be put back then, nor could it be.
        try check(unsafe egret_set_groups(groups, groups.count), "take the groups of", name ?? "\(user)")
        defer {
            if !own.putBack() { unsafe egret_abort("egret: cannot take back its own rights over files; giving up") }
        }
        try takeNumbers()
        return try body()
    }

    private func takeNumbers() throws(LinuxError) {
        let name = name ?? "\(user)"
        try check(egret_set_file_group(group), "open files with the group of", name)
        try check(egret_set_file_user(user), "open files as", name)
        // The kernel takes them away with user 0, unless a secure bit keeps it from that.
        guard try CapabilitySet.effective().isDisjoint(with: [.overrideFileRights, .readAllFiles, .actAsOwner]) else {
            throw LinuxError(.notPermitted, operation: "open files as", object: name)
        }
    }
}

/// What a thread's access to files is decided by.
private struct FileRights {
    let groups: [UInt32]
    let group: UInt32
    let user: UInt32
    // Changing the user clears both.
    let dumpable: Int32
    let parentDeathSignal: Int32

    static func current() throws(LinuxError) -> FileRights {
        let count = try check(egret_get_groups(nil, 0), "read the groups")
        var groups = [UInt32](repeating: 0, count: Int(count))
        let found = unsafe groups.withUnsafeMutableBufferPointer { buffer in
            unsafe egret_get_groups(buffer.baseAddress, count)
        }
        try check(found, "read the groups")
        return FileRights(
            groups: groups,
            group: egret_file_group(),
            user: egret_file_user(),
            dumpable: try check(egret_dumpable(), "read whether this process can be dumped"),
            parentDeathSignal: try check(egret_parent_death_signal(), "read the parent's death signal")
        )
    }

    func putBack() -> Bool {
        guard egret_set_file_user(user) == 0, egret_set_file_group(group) == 0,
            unsafe egret_set_groups(groups, groups.count) == 0,
            egret_set_parent_death_signal(parentDeathSignal) == 0
        else { return false }
        // 2 cannot be set; what is cleared then stays so, which is the safe side.
        return dumpable != 1 || egret_set_dumpable(dumpable) == 0
    }
}
