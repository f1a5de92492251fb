// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// Flags of mount(2).
public struct MountFlags: OptionSet, Hashable, Sendable {
    /// The bits.
    public let rawValue: UInt64
    /// Wraps bits of mount(2).
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// `MS_RDONLY`
    public static let readOnly = MountFlags(rawValue: egret_ms_rdonly)
    /// `MS_NOSUID`
    public static let noSetUserID = MountFlags(rawValue: egret_ms_nosuid)
    /// `MS_NODEV`
    public static let noDevices = MountFlags(rawValue: egret_ms_nodev)
    /// `MS_NOEXEC`
    public static let noExecution = MountFlags(rawValue: egret_ms_noexec)
    /// `MS_NOATIME`
    public static let noAccessTimes = MountFlags(rawValue: egret_ms_noatime)
    /// `MS_RELATIME`
    public static let relativeAccessTimes = MountFlags(rawValue: egret_ms_relatime)
    /// `MS_REMOUNT`
    public static let remount = MountFlags(rawValue: egret_ms_remount)
    /// `MS_BIND`
    public static let bind = MountFlags(rawValue: egret_ms_bind)
    /// `MS_MOVE`
    public static let move = MountFlags(rawValue: egret_ms_move)
    /// `MS_REC`
    public static let recursive = MountFlags(rawValue: egret_ms_rec)
    /// `MS_PRIVATE`
    public static let `private` = MountFlags(rawValue: egret_ms_private)
    /// `MS_SLAVE`
    public static let slave = MountFlags(rawValue: egret_ms_slave)
    /// `MS_SHARED`
    public static let shared = MountFlags(rawValue: egret_ms_shared)
}
