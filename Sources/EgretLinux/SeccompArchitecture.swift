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
    /// Moves bytes between a pipe and another descriptor.
    case splice
    /// Waits for descriptors.
    case epoll_wait
    /// Waits for descriptors, with another signal mask meanwhile.
    case epoll_pwait
    /// Says which descriptors are waited for.
    case epoll_ctl
    /// Receives from a socket.
    case recvfrom
    /// Sends to a socket.
    case sendto
    /// Receives a message from a socket, and descriptors with it.
    case recvmsg
    /// Sends a message to a socket, and descriptors with it.
    case sendmsg
    /// Reads from a descriptor.
    case read
    /// Writes to a descriptor.
    case write
    /// Writes several pieces to a descriptor.
    case writev
    /// Reads an option of a socket.
    case getsockopt
    /// Reads a socket's own address.
    case getsockname
    /// Accepts a connection.
    case accept4
    /// Ends a direction of a connection.
    case shutdown
    /// Closes a descriptor.
    case close
    /// Makes a pipe.
    case pipe2
    /// Works on a descriptor.
    case fcntl
    /// Tells what a descriptor is.
    case fstat
    /// Maps memory.
    case mmap
    /// Gives mapped memory back.
    case munmap
    /// Moves or resizes mapped memory.
    case mremap
    /// Changes what may be done with memory.
    case mprotect
    /// Says how memory will be used.
    case madvise
    /// Moves the end of the heap.
    case brk
    /// Waits for a lock, or wakes who waits.
    case futex
    /// Lets others run.
    case sched_yield
    /// Gets random bytes.
    case getrandom
    /// Reads a clock.
    case clock_gettime
    /// Reads the time of day.
    case gettimeofday
    /// Sleeps by a clock.
    case clock_nanosleep
    /// Sleeps.
    case nanosleep
    /// Says what a signal does.
    case rt_sigaction
    /// Blocks signals.
    case rt_sigprocmask
    /// Returns from a signal's handler.
    case rt_sigreturn
    /// Sets the stack of signals' handlers.
    case sigaltstack
    /// Goes on with a call that a stop has interrupted.
    case restart_syscall
    /// Sends a signal to a thread.
    case tgkill
    /// Tells the process's number.
    case getpid
    /// Tells the thread's number.
    case gettid
    /// Tells the user whose rights the process has.
    case geteuid
    /// Ends the thread.
    case exit
    /// Ends the process.
    case exit_group

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
        case .splice: (275, 313, 76)
        case .epoll_wait: (232, 256, nil)
        case .epoll_pwait: (281, 319, 22)
        case .epoll_ctl: (233, 255, 21)
        case .recvfrom: (45, 371, 207)
        case .sendto: (44, 369, 206)
        case .recvmsg: (47, 372, 212)
        case .sendmsg: (46, 370, 211)
        case .read: (0, 3, 63)
        case .write: (1, 4, 64)
        case .writev: (20, 146, 66)
        case .getsockopt: (55, 365, 209)
        case .getsockname: (51, 367, 204)
        case .accept4: (288, 364, 242)
        case .shutdown: (48, 373, 210)
        case .close: (3, 6, 57)
        case .pipe2: (293, 331, 59)
        case .fcntl: (72, 55, 25)
        case .fstat: (5, 108, 80)
        case .mmap: (9, 90, 222)
        case .munmap: (11, 91, 215)
        case .mremap: (25, 163, 216)
        case .mprotect: (10, 125, 226)
        case .madvise: (28, 219, 233)
        case .brk: (12, 45, 214)
        case .futex: (202, 240, 98)
        case .sched_yield: (24, 158, 124)
        case .getrandom: (318, 355, 278)
        case .clock_gettime: (228, 265, 113)
        case .gettimeofday: (96, 78, 169)
        case .clock_nanosleep: (230, 267, 115)
        case .nanosleep: (35, 162, 101)
        case .rt_sigaction: (13, 174, 134)
        case .rt_sigprocmask: (14, 175, 135)
        case .rt_sigreturn: (15, 173, 139)
        case .sigaltstack: (131, 186, 132)
        case .restart_syscall: (219, 0, 128)
        case .tgkill: (234, 270, 131)
        case .getpid: (39, 20, 172)
        case .gettid: (186, 224, 178)
        case .geteuid: (107, 49, 175)
        case .exit: (60, 1, 93)
        case .exit_group: (231, 252, 94)
        }
    }
}
