// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Flags of a netlink message (`linux/netlink.h`).
public enum NetlinkFlag {
    /// `NLM_F_REQUEST`: to the kernel.
    public static let request: UInt16 = 0x1
    /// `NLM_F_MULTI`: one of several, ended by `NLMSG_DONE`.
    public static let multi: UInt16 = 0x2
    /// `NLM_F_ACK`: answer also when all is well.
    public static let acknowledge: UInt16 = 0x4
    /// `NLM_F_ECHO`: tell the sender, too, what the request has changed.
    public static let echo: UInt16 = 0x8
    /// `NLM_F_DUMP_INTR`: what is being dumped changed meanwhile.
    public static let dumpInterrupted: UInt16 = 0x10
    /// `NLM_F_DUMP`: everything that fits (`NLM_F_ROOT | NLM_F_MATCH`).
    public static let dump: UInt16 = 0x300
    /// `NLM_F_REPLACE`.
    public static let replace: UInt16 = 0x100
    /// `NLM_F_EXCL`: refuse what exists.
    public static let exclusive: UInt16 = 0x200
    /// `NLM_F_CREATE`: make what does not exist.
    public static let create: UInt16 = 0x400
    /// `NLM_F_APPEND`: at the list's end.
    public static let append: UInt16 = 0x800
    /// `NLM_F_CAPPED`, on an acknowledgement: the request is not repeated in it.
    public static let capped: UInt16 = 0x100
    /// `NLM_F_ACK_TLVS`, on an acknowledgement: attributes follow.
    public static let acknowledgementAttributes: UInt16 = 0x200
}

/// Message types that every netlink family shares (`linux/netlink.h`).
public enum NetlinkControl {
    /// `NLMSG_NOOP`.
    public static let noop: UInt16 = 1
    /// `NLMSG_ERROR`: an error, or with code 0 an acknowledgement.
    public static let error: UInt16 = 2
    /// `NLMSG_DONE`: a dump's end.
    public static let done: UInt16 = 3
    /// `NLMSG_OVERRUN`.
    public static let overrun: UInt16 = 4
}

/// Address families as netlink headers carry them (`AF_*`).
enum SocketFamily {
    /// `AF_UNSPEC`.
    static let unspecified: UInt8 = 0
    /// `AF_BRIDGE`.
    static let bridge: UInt8 = 7
    /// `AF_INET`.
    static let inet: UInt8 = 2
    /// `AF_INET6`.
    static let inet6: UInt8 = 10
}
