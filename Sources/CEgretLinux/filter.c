// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretFilter.h"
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

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
