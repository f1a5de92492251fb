// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension NetworkNamespace {
    /// Whether every process of the machine can be seen: the calling process is in the first process namespace.
    public static var seesAllProcesses: Bool {
        // `PROC_PID_INIT_INO` in `linux/proc_ns.h`.
        (try? File.status("/proc/self/ns/pid"))?.inode == 0xefff_fffc
    }

    /// All network namespaces that processes are in, hold open, or have mounted, with their cookies.
    ///
    /// What is held by nothing but a socket is not among them: nobody can enter it any more. Of other process namespaces
    /// only what can be seen from here; see ``seesAllProcesses``.
    ///
    /// - Returns: The cookies.
    /// - Throws: ``LinuxError`` if the processes cannot be listed.
    public static func reachable() throws(LinuxError) -> [Namespace.Identity: UInt64] {
        var search = ReachableNamespaces()
        for name in try Directory.names(in: "/proc") where name.allSatisfy(\.isNumber) { search.look(at: name) }
        return search.cookies
    }
}

/// A walk through what processes hold. What vanishes meanwhile is passed over.
private struct ReachableNamespaces {
    private(set) var cookies: [Namespace.Identity: UInt64] = [:]
    private var known: Set<UInt64> = []
    private var mounts: Set<UInt64> = []

    mutating func look(at process: String) {
        let path = "/proc/\(process)"
        for thread in (try? Directory.names(in: path + "/task")) ?? [] { add(path + "/task/\(thread)/ns/net") }
        for number in (try? Directory.names(in: path + "/fd")) ?? [] {
            let file = path + "/fd/\(number)"
            // Of a namespace's file that was opened by its mount, the link is the mount's path.
            if let link = try? File.destination(ofLink: file), link.hasPrefix("net:[") || link.hasPrefix("/") {
                add(file)
            }
        }
        guard let space = try? File.status(path + "/ns/mnt").inode, mounts.insert(space).inserted,
            let table = try? File.readText(path + "/mountinfo")
        else { return }
        for mount in MountTable.parse(table) where mount.type == "nsfs" && mount.root.hasPrefix("net:") {
            add(path + "/root" + mount.target)
        }
    }

    private mutating func add(_ path: String) {
        guard let status = try? File.status(path), status.kind == .regular, status.device == Self.device,
            known.insert(status.inode).inserted, let namespace = try? Namespace.open(.network, path: path),
            let cookie = try? namespace.visit({ () throws(LinuxError) in try NetworkNamespace.currentCookie() })
        else { return }
        cookies[Namespace.Identity(device: status.device, inode: status.inode)] = cookie
    }

    /// The file system of namespaces.
    private static let device = (try? File.status("/proc/self/ns/net"))?.device
}
