// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import CEgretLinux

/// A system call convention that a program may use, as seccomp sees it.
public enum SeccompArchitecture: Sendable, CaseIterable {
    /// 64-bit x86, x32 included: x32 has the same number and sets bit 30 of the call.
    case x86_64
    /// 32-bit x86: 32-bit programs, and `int 0x80` in 64-bit ones.
    case i386
    /// 64-bit ARM.
    case aarch64

    /// The `AUDIT_ARCH_*` number.
    public var auditNumber: UInt32 {
        switch self {
        case .x86_64: egret_audit_arch_x86_64
        case .i386: egret_audit_arch_i386
        case .aarch64: egret_audit_arch_aarch64
        }
    }

    /// What this machine runs natively.
    public static var native: SeccompArchitecture {
        #if arch(x86_64)
            .x86_64
        #elseif arch(arm64)
            .aarch64
        #else
            #error("Egret supports x86_64 and aarch64.")
        #endif
    }

    /// The number of a call by the machine's own headers; -1 if this filter's shim does not know the name.
    static func nativeNumber(of call: SystemCall) -> Int32 {
        unsafe egret_syscall_number(call.rawValue)
    }

    /// What a filter for this machine understands: itself and, on x86, the 32-bit convention.
    public var understood: [SeccompArchitecture] {
        switch self {
        case .x86_64, .i386: [.x86_64, .i386]
        case .aarch64: [.aarch64]
        }
    }
}

/// A system call the filter speaks of.
public enum SystemCall: String, Sendable, CaseIterable {
    /// Opens a socket.
    case socket
    /// Opens two joined sockets.
    case socketpair
    /// Sets an option of a socket.
    case setsockopt
    /// All socket calls of 32-bit x86, arguments in memory.
    case socketcall
    /// Device control.
    case ioctl
    /// Enters a namespace.
    case setns
    /// Makes a ring of asynchronous operations.
    case io_uring_setup
    /// Submits to a ring.
    case io_uring_enter
    /// Registers resources with a ring.
    case io_uring_register
    /// Loads BPF.
    case bpf
    /// Opens a performance counter.
    case perf_event_open
    /// Handles page faults in user space.
    case userfaultfd
    /// Loads a kernel.
    case kexec_load
    /// Loads a kernel from a file.
    case kexec_file_load
    /// Opens a file, process or namespace by handle.
    case open_by_handle_at
    /// Takes a descriptor out of another process.
    case pidfd_getfd
    /// Works on keyrings.
    case keyctl
    /// Adds a key.
    case add_key
    /// Asks for a key, if need be from a helper outside.
    case request_key
    /// Loads a module.
    case init_module
    /// Loads a module from a file.
    case finit_module
    /// Removes a module.
    case delete_module

    /// The number of the call, or `nil` if the convention lacks it.
    ///
    /// From `asm/unistd_64.h`, `asm/unistd_32.h` and `asm-generic/unistd.h`; a test holds the native ones against the
    /// machine's own headers.
    public func number(on architecture: SeccompArchitecture) -> UInt32? {
        let (x86_64, i386, aarch64) = numbers
        return switch architecture {
        case .x86_64: x86_64
        case .i386: i386
        case .aarch64: aarch64
        }
    }

    private var numbers: (x86_64: UInt32?, i386: UInt32?, aarch64: UInt32?) {
        switch self {
        case .socket: (41, 359, 198)
        case .socketpair: (53, 360, 199)
        case .setsockopt: (54, 366, 208)
        case .socketcall: (nil, 102, nil)
        case .ioctl: (16, 54, 29)
        case .setns: (308, 346, 268)
        case .io_uring_setup: (425, 425, 425)
        case .io_uring_enter: (426, 426, 426)
        case .io_uring_register: (427, 427, 427)
        case .bpf: (321, 357, 280)
        case .perf_event_open: (298, 336, 241)
        case .userfaultfd: (323, 374, 282)
        case .kexec_load: (246, 283, 104)
        case .kexec_file_load: (320, nil, 294)
        case .open_by_handle_at: (304, 342, 265)
        case .pidfd_getfd: (438, 438, 438)
        case .keyctl: (250, 288, 219)
        case .add_key: (248, 286, 217)
        case .request_key: (249, 287, 218)
        case .init_module: (175, 128, 105)
        case .finit_module: (313, 350, 273)
        case .delete_module: (176, 129, 106)
        }
    }
}
