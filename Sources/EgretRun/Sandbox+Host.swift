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
    ///   - isAllowed: Whether the policy lets a DNS query to this address out.
    /// - Returns: The sandbox, and what became of name resolution in it.
    /// - Throws: `LinuxError` if a file of the host cannot be read.
    public static func onThisHost(
        resolvers: [IPAddress],
        exposedSockets: [String],
        user: UserIdentity,
        isAllowed: (IPAddress) -> Bool
    ) throws(LinuxError) -> (Sandbox, NameResolution) {
        let resolverFile = ResolverFile(host: hostResolverText(), chosen: resolvers, isAllowed: isAllowed)
        var files: [File] = []
        let resolverPath = resolvedPath("/etc/resolv.conf")
        if let resolverPath { files.append(File(path: resolverPath, contents: resolverFile.text)) }
        if let path = resolvedPath("/etc/nsswitch.conf") {
            let host = (try? readHostText(path)) ?? ""
            files.append(File(path: path, contents: ResolverFile.nameServiceSwitch(host: host)))
        }
        let sandbox = Sandbox(
            stage: StateDirectory.root,
            files: files,
            hiddenPaths: hiddenPaths(user: user).filter { !exposedSockets.contains($0) },
            hiddenDirectories: hiddenDirectories(user: user).filter { !exposedSockets.contains($0) },
            controlGroupMounts: try controlGroupMounts(),
            readOnlyPaths: ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"].filter(EgretLinux.File.exists)
        )
        let resolution = NameResolution(
            resolvers: resolverFile.resolvers,
            leftOut: resolverFile.leftOut,
            isUnchanged: resolverPath == nil
        )
        return (sandbox, resolution)
    }

    /// The host's resolvers; behind systemd-resolved's stub, the servers that it asks itself.
    private static func hostResolverText() -> String {
        let text = (try? readHostText("/etc/resolv.conf")) ?? ""
        let stub = ResolverFile.nameservers(in: text)
        guard stub == [IPAddress("127.0.0.53")].compactMap(\.self) else { return text }
        return (try? readHostText("/run/systemd/resolve/resolv.conf")) ?? text
    }

    private static func readHostText(_ path: String) throws(LinuxError) -> String {
        try EgretLinux.File.readText(path, limit: 1 << 20)
    }

    /// The path with its last links followed; `nil` if nothing is there.
    private static func resolvedPath(_ path: String) -> String? {
        var path = path
        for _ in 0..<8 {
            guard let status = try? EgretLinux.File.status(path, followingLinks: false) else { return nil }
            guard status.kind == .symbolicLink, let target = try? EgretLinux.File.destination(ofLink: path) else {
                return path
            }
            let directory = path.split(separator: "/").dropLast().joined(separator: "/")
            path = target.hasPrefix("/") ? target : "/\(directory)/\(target)"
        }
        return nil
    }

    private static func controlGroupMounts() throws(LinuxError) -> [String] {
        let root = "/sys/fs/cgroup"
        return try MountTable.current().map(\.target).filter { $0 == root || $0.hasPrefix(root + "/") }
    }

    /// Sockets of services that would send, resolve or start something outside on the command's behalf.
    private static func hiddenPaths(user: UserIdentity) -> [String] {
        let runtime = "/run/user/\(user.user)"
        let candidates = [
            "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock", "/run/crio/crio.sock",
            "/run/buildkit/buildkitd.sock", "/run/libvirt/libvirt-sock", "/run/snapd.socket",
            "/run/dbus/system_bus_socket", "/run/systemd/private", "/run/systemd/notify",
            "/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket",
            "/var/lib/sss/pipes/nss", "/run/lxd.socket", "/var/snap/lxd/common/lxd/unix.socket",
            "/var/lib/incus/unix.socket",
            "\(runtime)/bus", "\(runtime)/systemd/private", "\(runtime)/docker.sock", "\(runtime)/podman/podman.sock",
            "\(runtime)/gnupg/S.dirmngr",
        ]
        return candidates.filter(EgretLinux.File.exists)
    }

    /// Where terminal multiplexers listen: who can talk to them can type into a shell of the host.
    private static func hiddenDirectories(user: UserIdentity) -> [String] {
        let name = user.name ?? "\(user.user)"
        let candidates = ["/tmp/tmux-\(user.user)", "/run/screen/S-\(name)", "/tmp/screens/S-\(name)"]
        return candidates.filter { (try? EgretLinux.File.status($0).kind) == .directory }
    }
}
