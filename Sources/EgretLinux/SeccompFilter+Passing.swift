// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension SeccompFilter {
    /// The filter for a process of one thread that passes bytes between sockets which it is handed: what it does not need for
    /// that is `EPERM`, whatever its user may do.
    ///
    /// It is a list of what is allowed, so that no call has to be thought of, and none that a later kernel adds: no file is
    /// opened, changed or looked for by its path, no program executed, no process or thread made, traced, signalled or limited, no
    /// memory made executable, no namespace entered, no socket opened, and none led anywhere else. The process installs it itself
    /// (``CurrentProcess/confine(by:)``) when it has opened all that it needs. `docs/design/process.md` gives the reasons.
    ///
    /// - Parameter process: The process's own number, the only one that it may send a signal to: that is how it aborts.
    /// - Returns: The filter.
    public static func passing(by process: Int32) -> SeccompFilter {
        SeccompFilter(
            rules: passingCalls.map { Rule($0, .allow) } + passingRules
                // All of these processes belong to one user, and may send each other signals.
                + [Rule(.tgkill, where: [.argument(0, isAmong: [UInt32(bitPattern: process)])], .allow)],
            unmatched: .refuse(.notPermitted), isNativeOnly: true)
    }

    /// What is allowed whatever its arguments; what is called for each piece first.
    private static let passingCalls: [SystemCall] = [
        .splice, .epoll_wait, .epoll_pwait, .epoll_ctl, .recvfrom, .getsockopt, .recvmsg, .close, .shutdown, .pipe2,
        .getsockname, .accept4, .read, .write, .writev, .fstat,
        // The C library's memory, locks and clocks. Those of the last are in the vDSO on most machines.
        .munmap, .mremap, .madvise, .brk, .futex, .sched_yield, .getrandom, .clock_gettime, .gettimeofday,
        .clock_nanosleep, .nanosleep,
        // Faults, and the end.
        .rt_sigaction, .rt_sigprocmask, .rt_sigreturn, .sigaltstack, .restart_syscall, .getpid, .gettid, .geteuid,
        .exit, .exit_group,
    ]

    private static let passingRules: [Rule] = [
        // MSG_FASTOPEN, 0x20000000, connects a socket whose connection has ended: as connect(2), anywhere.
        Rule(.sendto, where: [.argument(3, mask: 0x2000_0000, isAmong: [0])], .allow),
        Rule(.sendmsg, where: [.argument(2, mask: 0x2000_0000, isAmong: [0])], .allow),
        // SO_LINGER, 13, at level SOL_SOCKET, 1: the close resets the connection.
        Rule(.setsockopt, where: [.argument(1, isAmong: [1]), .argument(2, isAmong: [13])], .allow),
        // F_GETFD to F_SETFL, F_DUPFD_CLOEXEC, F_SETPIPE_SZ and F_GETPIPE_SZ. F_SETOWN would have the kernel send signals.
        Rule(.fcntl, where: [.argument(1, isAmong: [1, 2, 3, 4, 1_030, 1_031, 1_032])], .allow),
        // PROT_EXEC, 4.
        Rule(.mmap, where: [.argument(2, mask: 4, isAmong: [0])], .allow),
        Rule(.mprotect, where: [.argument(2, mask: 4, isAmong: [0])], .allow),
    ]
}
