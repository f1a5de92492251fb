// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretAddressing
public import EgretLinux

extension Sandbox {
    /// What name resolution in the sandbox came to.
    public struct NameResolution: Sendable {
        /// The resolvers that the command can ask.
        public var resolvers: [IPAddress]
        /// The resolvers that were left out.
        public var leftOut: [IPAddress]
        /// Whether the command sees the host's own files all the same: they cannot be replaced here.
        public var isUnchanged: Bool
    }

    /// Describes a sandbox on this host.
    ///
    /// - Parameters:
    ///   - resolvers: Resolvers that the user named; if none, the host's.
    ///   - exposedSockets: Control sockets that stay in the command's reach, by path.
    ///   - user: Who the command runs as.
    ///   - hasProxy: Whether every DNS query goes to a proxy on the host, which asks the resolvers itself.
    ///   - isAllowed: Whether the policy lets a DNS query to this address out.
    /// - Returns: The sandbox, and what became of name resolution in it.
    /// - Throws: `LinuxError` if a file of the host cannot be read.
    public static func onThisHost(
        resolvers: [IPAddress],
        exposedSockets: [String],
        user: UserIdentity,
        hasProxy: Bool = false,
        isAllowed: (IPAddress) -> Bool
    ) throws(LinuxError) -> (Sandbox, NameResolution) {
        let host = HostResolvers.text()
        let resolverFile =
            hasProxy
            ? ResolverFile(proxiedHost: host, chosen: resolvers)
            : ResolverFile(host: host, chosen: resolvers, isAllowed: isAllowed)
        var files: [File] = []
        let resolverPath = resolvedPath("/etc/resolv.conf")
        if let resolverPath { files.append(File(path: resolverPath, contents: resolverFile.text)) }
        if let path = resolvedPath("/etc/nsswitch.conf") {
            let host = (try? readHostText(path)) ?? ""
            files.append(File(path: path, contents: ResolverFile.nameServiceSwitch(host: host)))
        }
        let mounts = try MountTable.current()
        let exposed = exposedSockets.compactMap { path -> Exposed? in
            guard let path = resolvedPath(path), let kind = kind(path) else { return nil }
            return Exposed(path: path, isDirectory: kind == .directory)
        }
        let foreign = foreignMounts(mounts, user: user)
        let directories = (serviceDirectories(user: user) + foreign.filter { kind($0) == .directory })
            .filter { directory in !exposed.contains { isAt(directory, $0.path) } }
        let hidden = outermost(directories)
        let sandbox = Sandbox(
            stage: StateDirectory.root,
            files: files,
            user: user,
            exposed: exposed.filter { $0.path.hasPrefix("/run/") },
            links: links(),
            hiddenFiles: foreign.filter { path in
                kind(path) != .directory && !hidden.contains { isAt($0, path) }
            },
            hiddenDirectories: hidden,
            controlGroupMounts: mounts.map(\.target).filter { isAt("/sys/fs/cgroup", $0) },
            readOnlyPaths: ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"].filter(EgretLinux.File.exists)
        )
        let resolution = NameResolution(
            resolvers: resolverFile.resolvers,
            leftOut: resolverFile.leftOut,
            isUnchanged: resolverPath == nil
        )
        return (sandbox, resolution)
    }

    private static func readHostText(_ path: String) throws(LinuxError) -> String {
        try EgretLinux.File.readText(path, limit: 1 << 20)
    }

    /// The path with every symbolic link followed; `nil` if nothing is there.
    private static func resolvedPath(_ path: String) -> String? {
        var path = path
        for _ in 0..<8 {
            guard let status = try? EgretLinux.File.status(path, followingLinks: false) else { return nil }
            let names = path.split(separator: "/")
            let directory = "/" + names.dropLast().joined(separator: "/")
            if status.kind != .symbolicLink {
                guard let name = names.last, let opened = try? Descriptor.open(directory, .directory),
                    let place = try? EgretLinux.File.destination(ofLink: "/proc/self/fd/\(opened.number)")
                else { return nil }
                return (place == "/" ? "" : place) + "/" + name
            }
            guard let target = try? EgretLinux.File.destination(ofLink: path) else { return nil }
            path = target.hasPrefix("/") ? target : directory + "/" + target
        }
        return nil
    }

    private static func kind(_ path: String, followingLinks: Bool = true) -> EgretLinux.File.Kind? {
        try? EgretLinux.File.status(path, followingLinks: followingLinks).kind
    }

    /// Whether a path is the directory or below it.
    private static func isAt(_ directory: String, _ path: String) -> Bool {
        path == directory || path.hasPrefix(directory + "/")
    }

    /// The directories that are below no other: once that is covered, they are not there any more.
    private static func outermost(_ directories: [String]) -> [String] {
        var kept: [String] = []
        for directory in directories.sorted() where !kept.contains(where: { isAt($0, directory) }) {
            kept.append(directory)
        }
        return kept
    }

    /// Links in `/run` that lead to where programs are, on systems that keep them elsewhere than in `/usr`.
    private static func links() -> [File] {
        ["/run/current-system", "/run/booted-system", "/run/opengl-driver"].compactMap { path in
            guard let target = try? EgretLinux.File.destination(ofLink: path) else { return nil }
            return File(path: path, contents: target)
        }
    }

    /// Where services listen, outside `/run`, that would send, resolve or start something on the command's behalf, and
    /// where terminal multiplexers do: who can talk to those can type into a shell of the host.
    private static func serviceDirectories(user: UserIdentity) -> [String] {
        let services = ["/var/lib/sss/pipes", "/var/snap/lxd/common/lxd", "/var/lib/incus", "/var/lib/lxd"]
            .compactMap(resolvedPath)
        // Anybody may make a link in /tmp.
        let multiplexers = ["/tmp/tmux-\(user.user)", "/tmp/screens"]
            .filter { kind($0, followingLinks: false) == .directory }
        // A link to /run on nearly every system.
        let oldRun = resolvedPath("/var/run").flatMap { $0 == "/run" ? nil : $0 }
        return (services + multiplexers + (oldRun.map { [$0] } ?? []))
            .filter { kind($0) == .directory && !isAt("/run", $0) }
    }

    /// Other mounts of what the command has its own of: processes, devices and `/run` of the host, as in the root
    /// directories of chroot environments.
    private static func foreignMounts(_ mounts: [MountEntry], user: UserIdentity) -> [String] {
        let run = mounts.filter { $0.type == "tmpfs" && ["/run", "/run/user/\(user.user)"].contains($0.target) }
            .compactMap { try? EgretLinux.File.status($0.target).device }
        let own = ["/proc", "/sys", "/run"]
        return mounts.filter { mount in
            if own.contains(where: { isAt($0, mount.target) }) { return false }
            // No other is looked at: a network filesystem may not answer.
            guard mount.target != "/", ["proc", "sysfs", "tmpfs"].contains(mount.type),
                let status = try? EgretLinux.File.status(mount.target)
            else { return false }
            return mount.type != "tmpfs" || status.kind == .directory && run.contains(status.device)
        }
        .map(\.target)
    }
}
