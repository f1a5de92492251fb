// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// One step of a child between fork and exec.
///
/// Steps run in the order given, in C, with system calls only. The first that fails ends the child, and
/// ``ChildProcess/spawn(in:joining:_:)`` throws an error that names it. Order matters where the kernel makes it
/// matter; `docs/design/process.md` has the table.
public enum ChildOperation: Sendable {
    /// Enters a namespace with setns(2). For a mount namespace, root and working directory become its root.
    case join(Namespace)
    /// Enters several namespaces of a process by its pidfd, in one call (Linux 5.8).
    case joinNamespaces(NamespaceKinds, of: Descriptor)
    /// Leaves for new namespaces with unshare(2).
    case unshare(NamespaceKinds)
    /// Mounts, as mount(2).
    case mount(source: String?, target: String, type: String? = nil, flags: MountFlags = [], data: String? = nil)
    /// Unmounts, as umount2(2).
    case unmount(String, detach: Bool = false)
    /// Makes set-user-ID bits and file capabilities count for nothing at and below a mount point: `nosuid` on every
    /// mount there. A kernel before 5.12 leaves them; ``forbidNewPrivileges`` then refuses what they would give.
    case ignoreSetUserID(below: String)
    /// Makes a directory; one that is there already will do.
    case makeDirectory(String, mode: UInt32 = 0o755)
    /// Gives a file or directory to a user and a group; a symbolic link is not followed.
    case changeOwner(String, user: UInt32, group: UInt32)
    /// Makes a symbolic link at a path.
    case makeSymbolicLink(at: String, to: String)
    /// Writes a file whole, creating or truncating it.
    case writeFile(String, [UInt8], mode: UInt32 = 0o644)
    /// Writes to a file that must exist, such as a sysctl, without truncating it.
    case writeExistingFile(String, [UInt8])
    /// Opens a file as a given descriptor number, not close-on-exec.
    case open(String, Descriptor.OpenFlags = .readOnly, mode: UInt32 = 0o600, as: Int32)
    /// Changes the working directory.
    case changeDirectory(NativeString)
    /// Changes the working directory to an open one.
    case changeDirectoryTo(Descriptor)
    /// Sets the host name of this host-name namespace.
    case setHostName(String)
    /// Starts a session without a controlling terminal, as setsid(2).
    case startSession
    /// Enters a process group; 0 starts one of its own.
    case setProcessGroup(Int32)
    /// Makes a terminal the controlling one of the child's session; after ``startSession``.
    case claimTerminal(Descriptor)
    /// Makes the child's process group the foreground group of a terminal.
    case takeTerminal(Descriptor)
    /// Gives the child a descriptor under a number, not close-on-exec. Both may be the same.
    ///
    /// Descriptors in any step are the caller's at the time of the fork: `.duplicate(a, onto: 1)` and then
    /// `.duplicate(.standardOutput, onto: 2)` gives 2 what was the caller's standard output, not `a`.
    case duplicate(Descriptor, onto: Int32)
    /// Closes a range of descriptors.
    case closeDescriptors(ClosedRange<UInt32>)
    /// Marks a range of descriptors close-on-exec.
    case closeOnExecute(ClosedRange<UInt32>)
    /// Sets `no_new_privs`: no set-user-ID program and no file capability raises privileges from here on.
    case forbidNewPrivileges
    /// Sets or clears the dumpable flag, without which `/proc/<pid>` and ptrace(2) are closed to equals.
    case setDumpable(Bool)
    /// Sends the child a signal when the thread that made it ends. A change of user or group cancels it, so it comes
    /// after those; exec of a set-user-ID program cancels it too.
    case dieWithParent(Signal)
    /// Drops capabilities from the bounding set. Needs `CAP_SETPCAP`, so it comes before the user is changed.
    case dropBoundingCapabilities(keeping: CapabilitySet = [])
    /// Empties the ambient set.
    case clearAmbientCapabilities
    /// Sets the capability sets of the child.
    case setCapabilities(effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet)
    /// Sets the securebits, as in `linux/securebits.h`.
    case setSecureBits(UInt64)
    /// Sets the supplementary groups.
    case setGroups([UInt32])
    /// Sets real, effective and saved group.
    case setGroup(UInt32)
    /// Sets real, effective and saved user. From 0 to another, the kernel clears the capability sets.
    case setUser(UInt32)
    /// Sets a resource limit.
    case setLimit(ResourceLimit, soft: UInt64, hard: UInt64)
    /// Sets the file creation mask.
    case setCreationMask(UInt32)
    /// Sets every signal to its default but those to ignore, then the mask. Until this step all are blocked.
    case resetSignals(ignoring: SignalSet = [], blocking: SignalSet = [])
    /// Installs a seccomp filter. Needs ``forbidNewPrivileges`` before it, or `CAP_SYS_ADMIN`.
    case installFilter([BPFInstruction])
    /// Waits for one byte. At end of file the child ends: whoever should have written is gone.
    case awaitByte(from: Descriptor)
    /// Writes one byte.
    case sendByte(to: Descriptor)
    /// Executes a program; the last step.
    case execute(Command)
    /// Becomes the first process of a pid namespace: without capabilities, descriptors or signals, killed with its
    /// parent, and there until killed. The last step.
    case becomeInit
    /// Ends with an exit code; the last step.
    case exit(Int32)
}

/// A resource of setrlimit(2).
public struct ResourceLimit: RawRepresentable, Hashable, Sendable {
    /// The number of the resource.
    public var rawValue: Int32
    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// `RLIMIT_CORE`: bytes of a core dump.
    public static let coreSize = ResourceLimit(rawValue: egret_rlimit_core)
    /// `RLIMIT_NOFILE`: one more than the largest descriptor number.
    public static let openFiles = ResourceLimit(rawValue: egret_rlimit_nofile)
    /// `RLIMIT_NPROC`: processes of the user.
    public static let processes = ResourceLimit(rawValue: egret_rlimit_nproc)
    /// `RLIMIT_CPU`: seconds.
    public static let processorTime = ResourceLimit(rawValue: egret_rlimit_cpu)
    /// `RLIMIT_AS`: bytes.
    public static let addressSpace = ResourceLimit(rawValue: egret_rlimit_as)
    /// `RLIMIT_FSIZE`: bytes.
    public static let fileSize = ResourceLimit(rawValue: egret_rlimit_fsize)
    /// No limit: `RLIM_INFINITY`.
    public static let unlimited = UInt64.max
}
