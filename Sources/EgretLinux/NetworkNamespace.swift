// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Network namespaces that have a name, as `ip netns` makes them.
public enum NetworkNamespace {
    /// The kernel's number for the network namespace that the calling thread is in. No other has had it since the
    /// machine was started (`SO_NETNS_COOKIE`, Linux 5.14).
    ///
    /// - Returns: The cookie; 1 for the first namespace.
    /// - Throws: ``LinuxError`` if the kernel has none.
    public static func currentCookie() throws(LinuxError) -> UInt64 {
        var cookie: UInt64 = 0
        try check(unsafe egret_network_cookie(&cookie), "ask for the network namespace's cookie")
        return cookie
    }

    /// Whether the calling thread is in the network namespace of process 1, which is there after every restart.
    ///
    /// `/proc/1/ns/net` needs the right to trace process 1 (namespaces(7)). Who may not is told by `/proc/1/net/dev`, which
    /// everybody may look at: a namespace's files there have numbers of their own.
    ///
    /// - Throws: ``LinuxError`` if neither can be read, as where `/proc` is not mounted or hides other users' processes.
    public static func isFirst() throws(LinuxError) -> Bool {
        do {
            return try Namespace.open(.network, process: 1).identity == Namespace.current(.network).identity
        } catch {
            return try isFirst(bySeenFilesOf: 1)
        }
    }

    /// Whether a process is in the caller's network namespace, by the numbers of its files.
    static func isFirst(bySeenFilesOf process: Int32) throws(LinuxError) -> Bool {
        let theirs = try File.status("/proc/\(process)/net/dev")
        let ours = try File.status("/proc/thread-self/net/dev")
        return theirs.device == ours.device && theirs.inode == ours.inode
    }

    /// Makes a network namespace and holds it by a file, as ip-netns(8) does.
    ///
    /// - Parameters:
    ///   - path: The file. It must not be there; its directory is made if it is missing, and its mounts are shared with
    ///     other mount namespaces.
    ///   - announce: Called with the namespace's cookie before it has its name: who notes it there knows the namespace
    ///     as their own, even if they are stopped in the next moment.
    /// - Throws: An error that names the step, or what `announce` throws. Nothing is left then.
    public static func create(at path: String, announce: (UInt64) throws -> Void = { _ in }) throws {
        let directory = path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        try Directory.make(directory)
        try share(directory)
        let file = try Descriptor.open(path, [.readOnly, .create, .exclusive], mode: 0)
        do {
            try OwnThread.run {
                try Namespace.unshare(.network)
                try announce(currentCookie())
                try check(
                    unsafe egret_mount("/proc/thread-self/ns/net", path, "none", egret_ms_bind, nil), "hold", path)
            }
        } catch {
            try? File.remove(path)
            throw error
        }
        withExtendedLifetime(file) {}
    }

    /// Lets go of a namespace that is held by a file. It ends when nothing else holds it.
    ///
    /// - Parameter path: The file; one that is not there will do.
    /// - Throws: ``LinuxError`` if the kernel refuses.
    public static func remove(at path: String) throws(LinuxError) {
        if !File.exists(path) { return }
        let result = unsafe egret_unmount(path, egret_mnt_detach)
        if result != -egret_einval { try check(result, "let go of", path) }
        try File.remove(path)
    }

    /// Removes the empty file that is left of a namespace whose making was stopped.
    ///
    /// - Parameter path: The file. Where there is none, where it is not empty, or where something is mounted on it, what is there
    ///   stays as it is.
    /// - Throws: ``LinuxError`` if the kernel refuses.
    public static func removeUnfinished(at path: String) throws(LinuxError) {
        guard let status = try? File.status(path, followingLinks: false) else { return }
        // The file of a namespace is regular and empty, too.
        guard status.kind == .regular, status.size == 0 else { return }
        do throws(LinuxError) {
            try File.remove(path)
        } catch {
            guard error.errno == .busy else { throw error }
        }
    }

    /// A name that is made in one mount namespace is there in all.
    private static func share(_ directory: String) throws(LinuxError) {
        let flags = egret_ms_shared | egret_ms_rec
        let result = unsafe egret_mount("", directory, "none", flags, nil)
        if result != -egret_einval {
            try check(result, "share the mounts of", directory)
            return
        }
        try check(
            unsafe egret_mount(directory, directory, "none", egret_ms_bind | egret_ms_rec, nil), "mount", directory)
        try check(unsafe egret_mount("", directory, "none", flags, nil), "share the mounts of", directory)
    }
}
