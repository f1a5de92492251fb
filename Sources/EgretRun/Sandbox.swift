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
    /// A path of the host below `/run` that stays in the command's reach.
    public struct Exposed: Sendable, Hashable {
        /// Where, with no symbolic link in the path.
        public var path: String
        /// Whether a directory is there.
        public var isDirectory: Bool

        /// Names a path.
        public init(path: String, isDirectory: Bool) {
            self.path = path
            self.isDirectory = isDirectory
        }
    }

    /// Who the command runs as: the directory `/run/user/UID` is theirs.
    public var user: UserIdentity
    /// What of the host's `/run` stays in the command's reach. Everything else there is out of it.
    public var exposed: [Exposed]
    /// Symbolic links below `/run` that the command finds there too.
    public var links: [File]
    /// Files that the command finds empty and closed.
    public var hiddenFiles: [String]
    /// Directories that the command finds empty and closed, none of them below another: sockets of services that
    /// would act on its behalf are in them, or the host's processes. A file alone would come back: when it is removed
    /// or replaced on the host, the kernel takes away what covers it here.
    public var hiddenDirectories: [String]
    /// Mount points below `/sys/fs/cgroup`, in the order of the mount table.
    public var controlGroupMounts: [String]
    /// Paths below `/proc` that are made read-only.
    public var readOnlyPaths: [String]

    /// Creates a description.
    public init(
        stage: String,
        files: [File],
        user: UserIdentity,
        exposed: [Exposed],
        links: [File],
        hiddenFiles: [String],
        hiddenDirectories: [String],
        controlGroupMounts: [String],
        readOnlyPaths: [String]
    ) {
        self.stage = stage
        self.files = files
        self.user = user
        self.exposed = exposed
        self.links = links
        self.hiddenFiles = hiddenFiles
        self.hiddenDirectories = hiddenDirectories
        self.controlGroupMounts = controlGroupMounts
        self.readOnlyPaths = readOnlyPaths
    }

    private static let unprivileged: MountFlags = [.noSetUserID, .noDevices, .noExecution]

    /// The steps by which the init of new namespaces prepares the mounts.
    public var setUp: [ChildOperation] {
        // Nothing mounted on the host from now on arrives here, where nothing would cover it; nothing goes back.
        [.mount(source: nil, target: "/", flags: [.private, .recursive]), .setCreationMask(0)]
            + stageOperations + processOperations + deviceOperations + runOperations + fileOperations + hidingOperations
            // Last: the stage, and all of the host's sockets in /run, are below this from here on.
            + [.mount(source: ownRun, target: "/run", flags: .move)]
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

    /// Where the command's own `/run` is made.
    private var ownRun: String { stage + "/run" }

    /// What the path will be in the command's own `/run`, as long as that is still on the stage; `nil` if the path is
    /// not below `/run`.
    private func staged(_ path: String) -> String? {
        path.hasPrefix("/run/") ? stage + path : nil
    }

    /// Makes the directories between the command's own `/run` and a path of it.
    private func makeParents(of path: String) -> [ChildOperation] {
        let names = path.split(separator: "/").dropFirst().dropLast()
        return names.indices.map { index in
            .makeDirectory(ownRun + "/" + names[...index].joined(separator: "/"))
        }
    }

    /// A `/run` of the command's own: what a service makes there on the host, now or later, is not in it.
    private var runOperations: [ChildOperation] {
        let runtime = "\(ownRun)/user/\(user.user)"
        return [
            .makeDirectory(ownRun),
            .mount(
                source: "tmpfs", target: ownRun, type: "tmpfs", flags: Sandbox.unprivileged,
                data: "mode=0755,size=10%"),
            .makeDirectory(ownRun + "/lock", mode: 0o1777),
            .makeDirectory(ownRun + "/user"),
            .makeDirectory(runtime, mode: 0o700),
            .changeOwner(runtime, user: user.user, group: user.group),
        ]
            + links.flatMap { link in
                guard let place = staged(link.path) else { return [ChildOperation]() }
                return makeParents(of: link.path) + [.makeSymbolicLink(at: place, to: link.contents)]
            }
            + exposed.flatMap { exposed in
                guard let place = staged(exposed.path) else { return [ChildOperation]() }
                return makeParents(of: exposed.path) + [
                    exposed.isDirectory ? .makeDirectory(place) : .writeFile(place, [], mode: 0),
                    .mount(source: exposed.path, target: place, flags: [.bind, .recursive]),
                ]
            }
    }

    private var fileOperations: [ChildOperation] {
        files.enumerated().flatMap { index, file in
            let copy = "\(stage)/file\(index)"
            let place = staged(file.path)
            let makePlace = place.map { makeParents(of: file.path) + [.writeFile($0, [])] } ?? []
            return makePlace + [
                ChildOperation.writeFile(copy, Array(file.contents.utf8)),
                .mount(source: copy, target: place ?? file.path, flags: .bind),
                Sandbox.remountReadOnly(place ?? file.path),
            ]
        }
    }

    private var hidingOperations: [ChildOperation] {
        let file = stage + "/empty"
        let directory = stage + "/none"
        return [.writeFile(file, [], mode: 0), .makeDirectory(directory, mode: 0)]
            + hiddenFiles.map { ChildOperation.mount(source: file, target: $0, flags: .bind) }
            + hiddenDirectories.map { ChildOperation.mount(source: directory, target: $0, flags: .bind) }
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
