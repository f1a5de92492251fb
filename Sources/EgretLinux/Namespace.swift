// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Kinds of namespace, as bits of clone(2).
public struct NamespaceKinds: OptionSet, Hashable, Sendable {
    /// The `CLONE_NEW*` bits.
    public let rawValue: UInt32
    /// Wraps `CLONE_NEW*` bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// `CLONE_NEWNET`
    public static let network = NamespaceKinds(rawValue: egret_clone_newnet)
    /// `CLONE_NEWPID`: for children to come, never for the caller.
    public static let process = NamespaceKinds(rawValue: egret_clone_newpid)
    /// `CLONE_NEWNS`
    public static let mount = NamespaceKinds(rawValue: egret_clone_newns)
    /// `CLONE_NEWUSER`
    public static let user = NamespaceKinds(rawValue: egret_clone_newuser)
    /// `CLONE_NEWUTS`: host and domain name.
    public static let host = NamespaceKinds(rawValue: egret_clone_newuts)
    /// `CLONE_NEWIPC`
    public static let ipc = NamespaceKinds(rawValue: egret_clone_newipc)
    /// `CLONE_NEWCGROUP`
    public static let cgroup = NamespaceKinds(rawValue: egret_clone_newcgroup)
}

/// An open handle on a namespace, which keeps the namespace alive.
public struct Namespace: Sendable {
    /// One kind of namespace.
    public enum Kind: String, Sendable, CaseIterable {
        /// Devices, addresses, routes, nftables.
        case network = "net"
        /// Process numbers.
        case process = "pid"
        /// The file tree.
        case mount = "mnt"
        /// Users and capabilities.
        case user

        /// The bit of clone(2) and setns(2).
        public var bit: NamespaceKinds {
            switch self {
            case .network: .network
            case .process: .process
            case .mount: .mount
            case .user: .user
            }
        }
    }

    /// What tells one namespace from every other that exists at the same time.
    public struct Identity: Hashable, Sendable {
        /// The device of nsfs.
        public var device: UInt64
        /// The inode, which the kernel uses again once the namespace is gone.
        public var inode: UInt64

        /// Names a namespace by its file.
        public init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }

    /// Which kind this is.
    public let kind: Kind
    /// The open nsfs file.
    public let descriptor: Descriptor

    /// Wraps an open nsfs file.
    public init(_ kind: Kind, descriptor: Descriptor) {
        self.kind = kind
        self.descriptor = descriptor
    }

    /// Opens a namespace by a file, such as `/run/netns/blue`. A file that is none is found out when it is used; a pipe that
    /// nobody writes to is not waited for.
    public static func open(_ kind: Kind, path: String) throws(LinuxError) -> Namespace {
        Namespace(kind, descriptor: try Descriptor.open(path, .nonBlocking))
    }

    /// Opens the namespace a process is in; for ``Kind/process``, the one it was born in.
    public static func open(_ kind: Kind, process: Int32) throws(LinuxError) -> Namespace {
        try open(kind, path: "/proc/\(process)/ns/\(kind.rawValue)")
    }

    /// Opens the namespace the calling thread is in.
    public static func current(_ kind: Kind) throws(LinuxError) -> Namespace {
        try open(kind, path: "/proc/thread-self/ns/\(kind.rawValue)")
    }

    /// What tells this namespace from others.
    public var identity: Identity {
        get throws(LinuxError) {
            var status = egret_file_status()
            try check(unsafe egret_status_of_descriptor(descriptor.number, &status), "read namespace", kind.rawValue)
            return Identity(device: status.device, inode: status.inode)
        }
    }

    /// Moves the calling thread into this namespace, for good.
    public func enter() throws(LinuxError) {
        try check(egret_setns(descriptor.number, kind.bit.rawValue), "enter namespace", kind.rawValue)
    }

    /// Moves the calling thread into new namespaces, for good.
    public static func unshare(_ kinds: NamespaceKinds) throws(LinuxError) {
        try check(egret_unshare(kinds.rawValue), "make namespaces")
    }
}
