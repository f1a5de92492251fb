// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The error numbers that netlink answers with, by their names (`asm-generic/errno.h`).
enum NetlinkErrno {
    static let interrupted: Int32 = 4
    static let again: Int32 = 11
    static let noBufferSpace: Int32 = 105

    /// The name, or `errno N` for numbers that netlink does not use.
    static func name(_ number: Int32) -> String {
        names[number] ?? "errno \(number)"
    }

    private static let names: [Int32: String] = [
        1: "EPERM", 2: "ENOENT", 3: "ESRCH", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 9: "EBADF", 11: "EAGAIN",
        12: "ENOMEM", 13: "EACCES", 14: "EFAULT", 16: "EBUSY", 17: "EEXIST", 18: "EXDEV", 19: "ENODEV",
        20: "ENOTDIR", 22: "EINVAL", 23: "ENFILE", 24: "EMFILE", 27: "EFBIG", 28: "ENOSPC", 31: "EMLINK", 32: "EPIPE",
        33: "EDOM", 34: "ERANGE", 36: "ENAMETOOLONG", 38: "ENOSYS", 39: "ENOTEMPTY", 40: "ELOOP", 52: "EBADE",
        61: "ENODATA", 71: "EPROTO", 74: "EBADMSG", 75: "EOVERFLOW", 85: "ERESTART", 90: "EMSGSIZE",
        92: "ENOPROTOOPT", 93: "EPROTONOSUPPORT", 95: "EOPNOTSUPP", 96: "EPFNOSUPPORT", 97: "EAFNOSUPPORT",
        98: "EADDRINUSE", 99: "EADDRNOTAVAIL", 100: "ENETDOWN", 101: "ENETUNREACH", 104: "ECONNRESET",
        105: "ENOBUFS", 107: "ENOTCONN", 110: "ETIMEDOUT", 111: "ECONNREFUSED", 113: "EHOSTUNREACH",
        114: "EALREADY", 122: "EDQUOT",
    ]
}
