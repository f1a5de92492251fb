// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

// What a child does between fork and exec.
//
// Nothing here may allocate, lock or call into Swift: the parent may have been anywhere when it forked. Only system
// calls are made, and those whose C library wrapper does more than the call (setresuid, setgroups, sigaction) are
// made raw.

#define _GNU_SOURCE
#include "EgretProcesses.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

_Static_assert(sizeof(struct egret_bpf_instruction) == sizeof(struct sock_filter), "struct sock_filter");
_Static_assert(
    offsetof(struct egret_bpf_instruction, jump_true) == offsetof(struct sock_filter, jt), "struct sock_filter");
_Static_assert(offsetof(struct egret_bpf_instruction, value) == offsetof(struct sock_filter, k), "struct sock_filter");
_Static_assert(MNT_DETACH == 2, "MNT_DETACH");

#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#define CLONE_PIDFD_FLAG UINT64_C(0x00001000)
#define CLOSE_RANGE_CLOEXEC_FLAG 4u
#define MASK_SIZE ((size_t)8)

struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

struct child_state {
    int report; // where a failure is written
    int parent; // a pidfd of the parent, readable once it is dead
};

// Each helper returns zero, or the errno.
#define CALL(expression)                                                                                               \
    do {                                                                                                               \
        long result_;                                                                                                  \
        do {                                                                                                           \
            result_ = (long)(expression);                                                                              \
        } while (result_ < 0 && errno == EINTR);                                                                       \
        if (result_ < 0) return errno;                                                                                 \
    } while (0)

static int control(int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    CALL(syscall(SYS_prctl, option, a, b, c, d));
    return 0;
}

static int write_all(int descriptor, const uint8_t *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(descriptor, bytes, count);
        if (written < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        bytes += written;
        count -= (size_t)written;
    }
    return 0;
}

static int write_file(const char *path, const uint8_t *bytes, size_t count, int flags, mode_t mode) {
    int descriptor = open(path, flags | O_CLOEXEC, mode);
    if (descriptor < 0) return errno;
    int error = write_all(descriptor, bytes, count);
    close(descriptor);
    return error;
}

// Moves one of our own descriptors out of the way of a number the caller wants.
static int vacate(int *descriptor, int wanted) {
    if (*descriptor != wanted) return 0;
    int moved = fcntl(*descriptor, F_DUPFD_CLOEXEC, wanted + 1);
    if (moved < 0) return errno;
    *descriptor = moved;
    return 0;
}

static int duplicate(struct child_state *state, int from, int onto) {
    int error = vacate(&state->report, onto);
    if (error == 0) error = vacate(&state->parent, onto);
    if (error != 0) return error;
    if (from == onto) {
        int flags = fcntl(from, F_GETFD);
        if (flags < 0 || fcntl(from, F_SETFD, flags & ~FD_CLOEXEC) < 0) return errno;
        return 0;
    }
    CALL(dup3(from, onto, 0));
    return 0;
}

static int open_onto(struct child_state *state, int onto, const char *path, int flags, mode_t mode) {
    int descriptor = open(path, flags | O_CLOEXEC, mode);
    if (descriptor < 0) return errno;
    int error = duplicate(state, descriptor, onto);
    if (descriptor != onto) close(descriptor);
    return error;
}

static int close_span(unsigned first, unsigned last, int mark_only) {
    if (first > last) return 0;
    if (syscall(SYS_close_range, first, last, mark_only ? CLOSE_RANGE_CLOEXEC_FLAG : 0u) == 0) return 0;
    if (errno != ENOSYS && errno != EINVAL) return errno;
    // Before Linux 5.9 (5.11 for the flag): one by one, up to the limit.
    struct rlimit limit = {.rlim_cur = 1024};
    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    unsigned end = limit.rlim_max < 1048576 ? (unsigned)limit.rlim_max : 1048576u;
    for (unsigned number = first; number <= last && number < end; number++) {
        if (mark_only)
            fcntl((int)number, F_SETFD, FD_CLOEXEC);
        else
            close((int)number);
    }
    return 0;
}

// Leaves our own two descriptors alone: they are close-on-exec already.
static int close_descriptors(const struct child_state *state, unsigned first, unsigned last, int mark_only) {
    unsigned low = (unsigned)state->report, high = (unsigned)state->parent;
    if (low > high) {
        unsigned swap = low;
        low = high;
        high = swap;
    }
    unsigned spared[2] = {low, high};
    for (int index = 0; index < 2; index++) {
        if (spared[index] < first || spared[index] > last) continue;
        if (spared[index] > first) {
            int error = close_span(first, spared[index] - 1, mark_only);
            if (error != 0) return error;
        }
        if (spared[index] == last) return 0;
        first = spared[index] + 1;
    }
    return close_span(first, last, mark_only);
}

// A new pid namespace hides the parent's number, so getppid() cannot tell whether it died before prctl took effect;
// its pidfd can.
static int die_with_parent(const struct child_state *state, int signal) {
    int error = control(PR_SET_PDEATHSIG, (uint64_t)signal, 0, 0, 0);
    if (error != 0) return error;
    struct pollfd parent = {.fd = state->parent, .events = POLLIN};
    if (poll(&parent, 1, 0) > 0) _exit(128 + SIGKILL);
    return 0;
}

static int drop_bounding(uint64_t kept) {
    for (int capability = 0; capability < 64; capability++) {
        if (kept >> capability & 1) continue;
        long present = syscall(SYS_prctl, PR_CAPBSET_READ, capability, 0, 0, 0);
        if (present < 0) break; // past the last one this kernel knows
        if (present == 0) continue;
        int error = control(PR_CAPBSET_DROP, (uint64_t)capability, 0, 0, 0);
        if (error != 0) return error;
    }
    return 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted, .inheritable = (uint32_t)inheritable},
        {.effective = (uint32_t)(effective >> 32),
         .permitted = (uint32_t)(permitted >> 32),
         .inheritable = (uint32_t)(inheritable >> 32)},
    };
    CALL(syscall(SYS_capset, &header, data));
    return 0;
}

static int clear_ambient(void) {
    int error = control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return error == EINVAL ? 0 : error; // before Linux 4.3 there is no such set
}

static int reset_signals(uint64_t ignored, uint64_t blocked) {
    for (int number = 1; number <= 64; number++) {
        if (number == SIGKILL || number == SIGSTOP) continue;
        uint64_t action[8] = {ignored >> (number - 1) & 1 ? (uint64_t)(uintptr_t)SIG_IGN : 0};
        CALL(syscall(SYS_rt_sigaction, number, action, NULL, MASK_SIZE));
    }
    CALL(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, MASK_SIZE));
    return 0;
}

static int install_filter(const void *instructions, size_t count) {
    struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)instructions};
    CALL(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program));
    return 0;
}

// End of file means that the parent is gone or has given up: then nothing must run.
static int await_byte(int descriptor) {
    uint8_t byte;
    for (;;) {
        ssize_t count = read(descriptor, &byte, 1);
        if (count == 1) return 0;
        if (count == 0) _exit(128 + SIGKILL);
        if (errno != EINTR) return errno;
    }
}

// As execvpe(3): every candidate in order; what is not a program is given to the shell; EACCES is remembered.
static int execute(const struct egret_step *step) {
    const char *const *candidates = step->pointer[0];
    char *const *arguments = (char *const *)step->pointer[1];
    char *const *environment = (char *const *)step->pointer[2];
    const char **shell_arguments = (const char **)step->pointer[3];
    int refused = 0, error = ENOENT;
    for (; *candidates; candidates++) {
        execve(*candidates, arguments, environment);
        error = errno;
        if (error == ENOEXEC) {
            shell_arguments[1] = *candidates;
            execve("/bin/sh", (char *const *)shell_arguments, environment);
            return errno;
        }
        switch (error) {
        case EACCES:
            refused = 1;
            continue;
        case ENOENT:
        case ENOTDIR:
        case ESTALE:
        case ENODEV:
        case ETIMEDOUT:
            continue;
        default:
            return error;
        }
    }
    return refused ? EACCES : error;
}

// The first process of a pid namespace. It holds nothing and can do nothing; the kernel reaps for it, because it
// ignores SIGCHLD; its death ends the namespace.
static int become_init(struct child_state *state) {
    int error = control(PR_SET_NAME, (uint64_t)(uintptr_t)"egret-init", 0, 0, 0);
    if (error == 0) error = reset_signals(UINT64_C(1) << (SIGCHLD - 1), ~UINT64_C(0));
    if (error == 0) error = clear_ambient();
    if (error == 0) error = drop_bounding(0);
    if (error == 0) error = set_capabilities(0, 0, 0);
    if (error == 0) error = control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (error == 0) error = control(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (error == 0 && chdir("/") < 0) error = errno;
    // After the credentials: changing those clears it.
    if (error == 0) error = die_with_parent(state, SIGKILL);
    if (error == 0) error = close_descriptors(state, 0, ~0u, 0);
    if (error != 0) return error;
    close(state->parent);
    close(state->report); // this tells the parent that all went well
    for (;;) syscall(SYS_ppoll, NULL, 0, NULL, NULL, MASK_SIZE);
}

/// Makes every mount at and below a path `nosuid`, with mount_setattr(2). A kernel before 5.12 has no such call; the
/// mounts then stay as they are.
static int ignore_set_user_id(const char *path) {
    // struct mount_attr in linux/mount.h: set, clear, propagation, user namespace. MOUNT_ATTR_NOSUID is 2.
    uint64_t attributes[4] = {2, 0, 0, 0};
    const unsigned int recursive = 0x8000; // AT_RECURSIVE
    if (syscall(SYS_mount_setattr, AT_FDCWD, path, recursive, attributes, sizeof attributes) == 0) return 0;
    return errno == ENOSYS ? 0 : errno;
}

static int perform(struct child_state *state, const struct egret_step *step) {
    const int64_t *n = step->number;
    const void *const *p = step->pointer;
    switch ((enum egret_step_kind)step->kind) {
    case EGRET_STEP_SET_NAMESPACE:
        CALL(syscall(SYS_setns, (int)n[0], (int)n[1]));
        return 0;
    case EGRET_STEP_UNSHARE:
        CALL(syscall(SYS_unshare, (unsigned long)n[0]));
        return 0;
    case EGRET_STEP_MOUNT:
        CALL(mount(p[0], p[1], p[2], (unsigned long)n[0], p[3]));
        return 0;
    case EGRET_STEP_UNMOUNT:
        CALL(umount2(p[0], (int)n[0]));
        return 0;
    case EGRET_STEP_IGNORE_SET_USER_ID:
        return ignore_set_user_id(p[0]);
    case EGRET_STEP_MAKE_DIRECTORY:
        if (mkdir(p[0], (mode_t)n[0]) < 0 && errno != EEXIST) return errno;
        return 0;
    case EGRET_STEP_CHANGE_OWNER:
        CALL(fchownat(AT_FDCWD, p[0], (uid_t)n[0], (gid_t)n[1], AT_SYMLINK_NOFOLLOW));
        return 0;
    case EGRET_STEP_MAKE_SYMLINK:
        CALL(symlink(p[0], p[1]));
        return 0;
    case EGRET_STEP_WRITE_FILE:
        return write_file(p[0], p[1], (size_t)n[1], (int)n[2], (mode_t)n[0]);
    case EGRET_STEP_OPEN:
        return open_onto(state, (int)n[0], p[0], (int)n[1], (mode_t)n[2]);
    case EGRET_STEP_CHANGE_DIRECTORY:
        CALL(chdir(p[0]));
        return 0;
    case EGRET_STEP_CHANGE_DIRECTORY_TO:
        CALL(fchdir((int)n[0]));
        return 0;
    case EGRET_STEP_SET_HOST_NAME:
        CALL(sethostname(p[0], (size_t)n[0]));
        return 0;
    case EGRET_STEP_START_SESSION:
        CALL(syscall(SYS_setsid));
        return 0;
    case EGRET_STEP_SET_PROCESS_GROUP:
        CALL(syscall(SYS_setpgid, 0, (int)n[0]));
        return 0;
    case EGRET_STEP_CLAIM_TERMINAL:
        CALL(ioctl((int)n[0], TIOCSCTTY, 0));
        return 0;
    case EGRET_STEP_TAKE_TERMINAL: {
        // The number as this pid namespace knows it, which is how the kernel reads it.
        pid_t group = (pid_t)syscall(SYS_getpgid, 0);
        CALL(ioctl((int)n[0], TIOCSPGRP, &group));
        return 0;
    }
    case EGRET_STEP_DUPLICATE:
        return duplicate(state, (int)n[0], (int)n[1]);
    case EGRET_STEP_CLOSE_RANGE:
        return close_descriptors(state, (unsigned)n[0], (unsigned)n[1], (int)n[2]);
    case EGRET_STEP_PROCESS_CONTROL:
        return control((int)n[0], (uint64_t)n[1], (uint64_t)n[2], (uint64_t)n[3], (uint64_t)n[4]);
    case EGRET_STEP_DIE_WITH_PARENT:
        return die_with_parent(state, (int)n[0]);
    case EGRET_STEP_DROP_BOUNDING:
        return drop_bounding((uint64_t)n[0]);
    case EGRET_STEP_CLEAR_AMBIENT:
        return clear_ambient();
    case EGRET_STEP_SET_CAPABILITIES:
        return set_capabilities((uint64_t)n[0], (uint64_t)n[1], (uint64_t)n[2]);
    case EGRET_STEP_SET_GROUPS:
        CALL(syscall(SYS_setgroups, (size_t)n[0], p[0]));
        return 0;
    case EGRET_STEP_SET_GROUP:
        CALL(syscall(SYS_setresgid, (uint32_t)n[0], (uint32_t)n[0], (uint32_t)n[0]));
        return 0;
    case EGRET_STEP_SET_USER:
        CALL(syscall(SYS_setresuid, (uint32_t)n[0], (uint32_t)n[0], (uint32_t)n[0]));
        return 0;
    case EGRET_STEP_SET_LIMIT: {
        uint64_t limit[2] = {(uint64_t)n[1], (uint64_t)n[2]};
        CALL(syscall(SYS_prlimit64, 0, (int)n[0], limit, NULL));
        return 0;
    }
    case EGRET_STEP_SET_CREATION_MASK:
        umask((mode_t)n[0]);
        return 0;
    case EGRET_STEP_RESET_SIGNALS:
        return reset_signals((uint64_t)n[0], (uint64_t)n[1]);
    case EGRET_STEP_INSTALL_FILTER:
        return install_filter(p[0], (size_t)n[0]);
    case EGRET_STEP_AWAIT_BYTE:
        return await_byte((int)n[0]);
    case EGRET_STEP_SEND_BYTE: {
        uint8_t byte = (uint8_t)n[1];
        return write_all((int)n[0], &byte, 1);
    }
    case EGRET_STEP_EXECUTE:
        return execute(step);
    case EGRET_STEP_BECOME_INIT:
        return become_init(state);
    case EGRET_STEP_EXIT:
        _exit((int)n[0]);
    }
    return ENOSYS;
}

static _Noreturn void run_child(struct child_state state, const struct egret_step *steps, size_t count) {
    for (size_t index = 0; index < count; index++) {
        int error = perform(&state, &steps[index]);
        if (error == 0) continue;
        struct egret_step_failure failure = {(int32_t)index, error};
        write_all(state.report, (const uint8_t *)&failure, sizeof failure);
        _exit(127);
    }
    // Steps that end without exec: done, and that is success.
    _exit(0);
}

static long legacy_clone(uint64_t flags, int *descriptor) {
    // The order of the last two arguments differs between machines; both are zero.
    return syscall(SYS_clone, flags | SIGCHLD, 0, descriptor, 0, 0);
}

// Linux 5.3 has clone3; some container sandboxes answer ENOSYS to it. Before 5.2 clone knows no pidfd either.
static long fork_with_descriptor(uint64_t namespaces, int *descriptor) {
    struct clone_arguments arguments = {
        .flags = namespaces | CLONE_PIDFD_FLAG, .pidfd = (uint64_t)(uintptr_t)descriptor, .exit_signal = SIGCHLD};
    long process = syscall(SYS_clone3, &arguments, sizeof arguments);
    if (process >= 0 || (errno != ENOSYS && errno != EPERM)) return process;
    int first = errno;
    process = legacy_clone(namespaces | CLONE_PIDFD_FLAG, descriptor);
    if (process < 0 && first == EPERM) errno = first;
    return process;
}

int32_t egret_start_child(uint64_t namespaces, struct egret_step *steps, size_t count, struct egret_child *child) {
    int report[2], descriptor = -1, parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (parent < 0) return -errno;
    if (pipe2(report, O_CLOEXEC) < 0) {
        int error = errno;
        close(parent);
        return -error;
    }
    uint64_t all = ~UINT64_C(0), old = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, MASK_SIZE);
    long process = fork_with_descriptor(namespaces, &descriptor);
    int error = errno;
    if (process == 0) {
        close(report[0]);
        run_child((struct child_state){.report = report[1], .parent = parent}, steps, count);
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, MASK_SIZE);
    close(report[1]);
    close(parent);
    if (process < 0) {
        close(report[0]);
        return -error;
    }
    child->process = (int32_t)process;
    child->process_descriptor = descriptor;
    child->report_descriptor = report[0];
    return 0;
}
