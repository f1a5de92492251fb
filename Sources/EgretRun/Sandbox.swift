// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretLinux

/// What a command's own view of the machine consists of, as the steps of two children: an init that makes the
/// namespaces and prepares the mounts, and the command that joins them.
public struct Sandbox: Sendable {
    /// A file that the command sees in place of the host's.
    public struct File: Sendable, Hashable {
        /// Where: the host's file, with no symbolic link in the path.
        public var path: String
        /// What the command reads there.
        public var contents: String

        /// Creates a replacement.
        public init(path: String, contents: String) {
            self.path = path
            self.contents = contents
        }
    }

    /// Where the files are made: a directory of the host, hidden from the command by what is mounted there.
    public var stage: String
    /// Files that the command sees in place of the host's.
    public var files: [File]
    /// Paths that the command finds empty: sockets of services that would act on its behalf.
    public var hiddenPaths: [String]
    /// Directories that the command finds empty and closed, for the same reason.
    public var hiddenDirectories: [String]
    /// Mount points below `/sys/fs/cgroup`, in the order of the mount table.
    public var controlGroupMounts: [String]
    /// Paths below `/proc` that are made read-only.
    public var readOnlyPaths: [String]

    /// Creates a description.
    public init(
        stage: String,
        files: [File],
        hiddenPaths: [String],
        hiddenDirectories: [String],
        controlGroupMounts: [String],
        readOnlyPaths: [String]
    ) {
        self.stage = stage
        self.files = files
        self.hiddenPaths = hiddenPaths
        self.hiddenDirectories = hiddenDirectories
        self.controlGroupMounts = controlGroupMounts
        self.readOnlyPaths = readOnlyPaths
    }

    private static let unprivileged: MountFlags = [.noSetUserID, .noDevices, .noExecution]

    /// The steps by which the init of new namespaces prepares the mounts.
    public var setUp: [ChildOperation] {
        // Mounts of the host still arrive; nothing mounted here goes back.
        [.mount(source: nil, target: "/", flags: [.slave, .recursive])]
            + stageOperations + processOperations + deviceOperations + fileOperations
            // A program with file capabilities, such as ping, then runs without them instead of not at all.
            + [.ignoreSetUserID(below: "/")]
    }

    private var stageOperations: [ChildOperation] {
        [.mount(source: "tmpfs", target: stage, type: "tmpfs", flags: Sandbox.unprivileged, data: "mode=0711,size=1m")]
    }

    /// `/proc` of the new pid namespace: no process of the host is in it.
    ///
    /// Every group may open sockets for echo requests, which the policy decides about: ping(8) has no capability here.
    private var processOperations: [ChildOperation] {
        [
            .mount(source: "proc", target: "/proc", type: "proc", flags: Sandbox.unprivileged),
            // ping(8) without privilege: ICMP datagram sockets for every group of this network namespace.
            .writeExistingFile("/proc/sys/net/ipv4/ping_group_range", Array("0 2147483647".utf8)),
        ]
            + readOnlyPaths.flatMap(Sandbox.readOnly)
    }

    /// `/sys` of the new network namespace, read-only, with the host's control groups in it.
    private var deviceOperations: [ChildOperation] {
        let old = stage + "/sys"
        let root = "/sys/fs/cgroup"
        return [
            .makeDirectory(old),
            .mount(source: "/sys", target: old, flags: [.bind, .recursive]),
            .mount(source: "sysfs", target: "/sys", type: "sysfs", flags: Sandbox.unprivileged.union(.readOnly)),
        ]
            + (controlGroupMounts.contains(root)
                ? [.mount(source: old + "/fs/cgroup", target: root, flags: [.bind, .recursive])] : [])
            + (controlGroupMounts.contains(root)
                ? controlGroupMounts.map { Sandbox.remountReadOnly($0) } : [])
            + [.unmount(old, detach: true)]
    }

    private var fileOperations: [ChildOperation] {
        let empty = stage + "/empty"
        let replacements = files.enumerated().flatMap { index, file in
            let copy = "\(stage)/file\(index)"
            return [
                ChildOperation.writeFile(copy, Array(file.contents.utf8)),
                .mount(source: copy, target: file.path, flags: .bind),
                Sandbox.remountReadOnly(file.path),
            ]
        }
        let hidden = hiddenPaths.map { ChildOperation.mount(source: empty, target: $0, flags: .bind) }
        let emptyDirectory = stage + "/none"
        let hiddenDirectories = self.hiddenDirectories.map {
            ChildOperation.mount(source: emptyDirectory, target: $0, flags: .bind)
        }
        return replacements + [.writeFile(empty, [], mode: 0)] + hidden
            + [.makeDirectory(emptyDirectory, mode: 0)] + hiddenDirectories
    }

    private static func readOnly(_ path: String) -> [ChildOperation] {
        [.mount(source: path, target: path, flags: [.bind, .recursive]), remountReadOnly(path)]
    }

    private static func remountReadOnly(_ path: String) -> ChildOperation {
        .mount(source: nil, target: path, flags: unprivileged.union([.remount, .bind, .readOnly]))
    }
}

/// The command, and who it runs as.
public struct SandboxedCommand: Sendable {
    /// What to execute.
    public var command: Command
    /// The user, group and supplementary groups.
    public var user: UserIdentity
    /// Where it starts.
    public var workingDirectory: NativeString
    /// Signals that the command finds ignored, as Egret found them (`nohup`).
    public var ignoredSignals: SignalSet

    /// Creates a description.
    public init(
        command: Command,
        user: UserIdentity,
        workingDirectory: NativeString,
        ignoredSignals: SignalSet
    ) {
        self.command = command
        self.user = user
        self.workingDirectory = workingDirectory
        self.ignoredSignals = ignoredSignals
    }

    /// The steps of the command's process: into init's namespaces, then down to no privilege at all.
    ///
    /// The working directory is entered by path, so that it lies in the new mount namespace: a descriptor of it
    /// would be a way back to the host's mounts. Descriptors beyond the three standard ones are closed for the
    /// same reason.
    public func operations(joining namespaces: NamespaceInit, filter: [BPFInstruction]) -> [ChildOperation] {
        namespaces.join + [
            .closeDescriptors(3...UInt32.max),
            .dropBoundingCapabilities(),
            .clearAmbientCapabilities,
            .setGroups(user.groups),
            .setGroup(user.group),
            .setUser(user.user),
            .setCapabilities(effective: [], permitted: [], inheritable: []),
            .changeDirectory(workingDirectory),
            .forbidNewPrivileges,
            .installFilter(filter),
            .dieWithParent(.kill),
            .resetSignals(ignoring: ignoredSignals),
            .execute(command),
        ]
    }
}
