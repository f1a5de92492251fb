// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// An error number of the kernel, with its name and text.
public struct Errno: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The number, such as 2.
    public var rawValue: Int32

    /// Wraps a positive error number.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The symbolic name, such as `ENOENT`; the number in words if it has none.
    public var name: String {
        guard let name = unsafe egret_errno_name(rawValue) else { return "error \(rawValue)" }
        return unsafe String(cString: name)
    }

    /// What the C library says of it, such as `No such file or directory`.
    public var text: String {
        var bytes = [CChar](repeating: 0, count: 128)
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            unsafe egret_errno_text(rawValue, buffer.baseAddress, buffer.count)
        }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The name followed by the text.
    public var description: String { "\(name) (\(text))" }
}

extension Errno {
    /// `EPERM`: not permitted.
    public static let notPermitted = Errno(rawValue: egret_eperm)
    /// `ENOENT`: no such file.
    public static let noEntry = Errno(rawValue: egret_enoent)
    /// `ESRCH`: no such process.
    public static let noProcess = Errno(rawValue: egret_esrch)
    /// `EINTR`: interrupted by a signal.
    public static let interrupted = Errno(rawValue: egret_eintr)
    /// `EIO`: input or output failed.
    public static let inputOutput = Errno(rawValue: egret_eio)
    /// `E2BIG`: the argument list is too long.
    public static let argumentsTooLong = Errno(rawValue: egret_e2big)
    /// `ENOEXEC`: not a program.
    public static let notExecutable = Errno(rawValue: egret_enoexec)
    /// `ECHILD`: no such child.
    public static let noChild = Errno(rawValue: egret_echild)
    /// `EAGAIN`: it would block, or a time limit passed.
    public static let again = Errno(rawValue: egret_eagain)
    /// `EACCES`: permission denied.
    public static let accessDenied = Errno(rawValue: egret_eacces)
    /// `EBUSY`: in use.
    public static let busy = Errno(rawValue: egret_ebusy)
    /// `EEXIST`: it exists.
    public static let exists = Errno(rawValue: egret_eexist)
    /// `ENODEV`: no such device.
    public static let noDevice = Errno(rawValue: egret_enodev)
    /// `ENOTDIR`: not a directory.
    public static let notDirectory = Errno(rawValue: egret_enotdir)
    /// `EINVAL`: an invalid argument.
    public static let invalid = Errno(rawValue: egret_einval)
    /// `ENFILE`: too many open files; of a set of addresses, that it is full.
    public static let tableFull = Errno(rawValue: egret_enfile)
    /// `ENOSPC`: no room on the device.
    public static let noSpace = Errno(rawValue: egret_enospc)
    /// `ENOTTY`: not a terminal.
    public static let notTerminal = Errno(rawValue: egret_enotty)
    /// `ERANGE`: the result does not fit.
    public static let range = Errno(rawValue: egret_erange)
    /// `ENOSYS`: this kernel has no such call.
    public static let notImplemented = Errno(rawValue: egret_enosys)
    /// `ENOTEMPTY`: the directory is not empty.
    public static let notEmpty = Errno(rawValue: egret_enotempty)
    /// `EMSGSIZE`: the message is too long.
    public static let messageTooLong = Errno(rawValue: egret_emsgsize)
    /// `EPROTONOSUPPORT`: no such protocol.
    public static let protocolNotSupported = Errno(rawValue: egret_eprotonosupport)
    /// `ENOPROTOOPT`: no such option.
    public static let optionNotSupported = Errno(rawValue: egret_enoprotoopt)
    /// `EOPNOTSUPP`: not supported.
    public static let notSupported = Errno(rawValue: egret_eopnotsupp)
    /// `EAFNOSUPPORT`: no such address family.
    public static let familyNotSupported = Errno(rawValue: egret_eafnosupport)
    /// `ENOBUFS`: messages were lost because the receive buffer was full.
    public static let overrun = Errno(rawValue: egret_enobufs)
    /// `ENETUNREACH`: there is no route.
    public static let networkUnreachable = Errno(rawValue: egret_enetunreach)
    /// `ECONNREFUSED`: nobody listens there.
    public static let connectionRefused = Errno(rawValue: egret_econnrefused)
    /// `EHOSTUNREACH`: a route refuses, or a neighbour does not answer.
    public static let hostUnreachable = Errno(rawValue: egret_ehostunreach)
    /// `EXDEV`: of a route, the source is not expected on that interface.
    public static let crossDevice = Errno(rawValue: egret_exdev)
    /// `ETIMEDOUT`: it took too long.
    public static let timedOut = Errno(rawValue: egret_etimedout)
}
