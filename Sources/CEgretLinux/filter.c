// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretFilter.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct named_call {
    const char *name;
    int32_t number;
};

#define CALL_NAMED(name) {#name, SYS_##name},

static const struct named_call calls[] = {
    CALL_NAMED(socket) CALL_NAMED(socketpair) CALL_NAMED(setsockopt) CALL_NAMED(ioctl) CALL_NAMED(setns) CALL_NAMED(bpf)
    CALL_NAMED(perf_event_open) CALL_NAMED(userfaultfd) CALL_NAMED(kexec_load) CALL_NAMED(open_by_handle_at)
    CALL_NAMED(keyctl) CALL_NAMED(add_key) CALL_NAMED(request_key) CALL_NAMED(init_module) CALL_NAMED(finit_module)
    CALL_NAMED(delete_module) CALL_NAMED(ptrace) CALL_NAMED(clone) CALL_NAMED(unshare) CALL_NAMED(connect)
    CALL_NAMED(splice) CALL_NAMED(epoll_pwait) CALL_NAMED(epoll_ctl) CALL_NAMED(recvfrom) CALL_NAMED(sendto)
    CALL_NAMED(recvmsg) CALL_NAMED(sendmsg) CALL_NAMED(read) CALL_NAMED(write) CALL_NAMED(writev) CALL_NAMED(getsockopt)
    CALL_NAMED(getsockname) CALL_NAMED(accept4) CALL_NAMED(shutdown) CALL_NAMED(close) CALL_NAMED(pipe2)
    CALL_NAMED(fcntl) CALL_NAMED(fstat) CALL_NAMED(mmap) CALL_NAMED(munmap) CALL_NAMED(mremap) CALL_NAMED(mprotect)
    CALL_NAMED(madvise) CALL_NAMED(brk) CALL_NAMED(futex) CALL_NAMED(sched_yield) CALL_NAMED(getrandom)
    CALL_NAMED(clock_gettime) CALL_NAMED(gettimeofday) CALL_NAMED(clock_nanosleep) CALL_NAMED(nanosleep)
    CALL_NAMED(rt_sigaction) CALL_NAMED(rt_sigprocmask) CALL_NAMED(rt_sigreturn) CALL_NAMED(sigaltstack)
    CALL_NAMED(restart_syscall) CALL_NAMED(tgkill) CALL_NAMED(getpid) CALL_NAMED(gettid) CALL_NAMED(geteuid)
    CALL_NAMED(exit) CALL_NAMED(exit_group)
#ifdef SYS_epoll_wait
    CALL_NAMED(epoll_wait)
#endif
#ifdef SYS_kexec_file_load
    CALL_NAMED(kexec_file_load)
#endif
#ifdef SYS_io_uring_setup
    CALL_NAMED(io_uring_setup) CALL_NAMED(io_uring_enter) CALL_NAMED(io_uring_register)
#endif
#ifdef SYS_pidfd_getfd
    CALL_NAMED(pidfd_getfd)
#endif
};

int32_t egret_syscall_number(const char *name) {
    for (size_t index = 0; index < sizeof calls / sizeof calls[0]; index++)
        if (strcmp(calls[index].name, name) == 0) return calls[index].number;
    return -1;
}

int32_t egret_install_filter(const struct egret_bpf_instruction *instructions, size_t count) {
    struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)instructions};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    if (result < 0) return -errno;
    // The number of a thread that has filters of its own: nothing was installed.
    return result > 0 ? -EBUSY : 0;
}
