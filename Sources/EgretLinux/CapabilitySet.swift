// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A set of capabilities, one bit each, as in `linux/capability.h`.
public struct CapabilitySet: OptionSet, Hashable, Sendable {
    /// Bit *n* stands for capability *n*.
    public let rawValue: UInt64
    /// Wraps a mask.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// `CAP_CHOWN`
    public static let changeOwner = CapabilitySet(rawValue: 1 << 0)
    /// `CAP_DAC_OVERRIDE`
    public static let overrideFileRights = CapabilitySet(rawValue: 1 << 1)
    /// `CAP_DAC_READ_SEARCH`
    public static let readAllFiles = CapabilitySet(rawValue: 1 << 2)
    /// `CAP_FOWNER`
    public static let actAsOwner = CapabilitySet(rawValue: 1 << 3)
    /// `CAP_SETGID`
    public static let setGroup = CapabilitySet(rawValue: 1 << 6)
    /// `CAP_SETUID`
    public static let setUser = CapabilitySet(rawValue: 1 << 7)
    /// `CAP_SETPCAP`
    public static let setCapabilities = CapabilitySet(rawValue: 1 << 8)
    /// `CAP_NET_BIND_SERVICE`
    public static let bindLowPorts = CapabilitySet(rawValue: 1 << 10)
    /// `CAP_NET_ADMIN`
    public static let networkAdministration = CapabilitySet(rawValue: 1 << 12)
    /// `CAP_NET_RAW`
    public static let rawSockets = CapabilitySet(rawValue: 1 << 13)
    /// `CAP_SYS_CHROOT`
    public static let changeRoot = CapabilitySet(rawValue: 1 << 18)
    /// `CAP_SYS_PTRACE`
    public static let trace = CapabilitySet(rawValue: 1 << 19)
    /// `CAP_SYS_ADMIN`
    public static let systemAdministration = CapabilitySet(rawValue: 1 << 21)

    /// What the calling thread may do now.
    public static func effective() throws(LinuxError) -> CapabilitySet {
        try CapabilitySet(rawValue: current().effective)
    }

    /// What the calling thread may make effective.
    public static func permitted() throws(LinuxError) -> CapabilitySet {
        try CapabilitySet(rawValue: current().permitted)
    }

    /// What a program this thread executes can gain at most.
    public static func bounding() -> CapabilitySet {
        var mask: UInt64 = 0
        for capability in Int32(0)..<64 {
            let present = egret_bounding_capability(capability)
            if present < 0 { break }
            if present > 0 { mask |= 1 << UInt64(capability) }
        }
        return CapabilitySet(rawValue: mask)
    }

    private static func current() throws(LinuxError) -> egret_capabilities {
        var found = egret_capabilities()
        try check(unsafe egret_get_capabilities(&found), "read capabilities")
        return found
    }
}
