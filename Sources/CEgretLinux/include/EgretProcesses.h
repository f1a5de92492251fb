// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_PROCESSES_H
#define EGRET_PROCESSES_H

#include "EgretFilter.h"
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/// What the child does, one step at a time, between fork and exec.
///
/// `number` and `pointer` hold a step's arguments, in the order named beside it.
enum egret_step_kind {
    EGRET_STEP_SET_NAMESPACE,       // descriptor, kinds
    EGRET_STEP_UNSHARE,             // flags
    EGRET_STEP_MOUNT,               // flags; source, target, type, data
    EGRET_STEP_UNMOUNT,             // flags; target
    EGRET_STEP_IGNORE_SET_USER_ID,  // ; path
    EGRET_STEP_MAKE_DIRECTORY,      // mode; path
    EGRET_STEP_CHANGE_OWNER,        // user, group; path
    EGRET_STEP_MAKE_SYMLINK,        // ; destination, path
    EGRET_STEP_WRITE_FILE,          // mode, length, open flags; path, bytes
    EGRET_STEP_OPEN,                // descriptor number wanted, flags, mode; path
    EGRET_STEP_CHANGE_DIRECTORY,    // ; path
    EGRET_STEP_CHANGE_DIRECTORY_TO, // descriptor
    EGRET_STEP_SET_HOST_NAME,       // length; name
    EGRET_STEP_START_SESSION,
    EGRET_STEP_SET_PROCESS_GROUP,   // group, zero for its own
    EGRET_STEP_CLAIM_TERMINAL,      // descriptor
    EGRET_STEP_TAKE_TERMINAL,       // descriptor
    EGRET_STEP_DUPLICATE,           // from, onto
    EGRET_STEP_CLOSE_RANGE,         // first, last, 1 to set close-on-exec in place of closing
    EGRET_STEP_PROCESS_CONTROL,     // option, four arguments
    EGRET_STEP_DIE_WITH_PARENT,     // signal
    EGRET_STEP_DROP_BOUNDING,       // bits to keep
    EGRET_STEP_CLEAR_AMBIENT,
    EGRET_STEP_SET_CAPABILITIES,    // effective, permitted, inheritable
    EGRET_STEP_SET_GROUPS,          // count; groups
    EGRET_STEP_SET_GROUP,           // number
    EGRET_STEP_SET_USER,            // number
    EGRET_STEP_SET_LIMIT,           // resource, soft, hard
    EGRET_STEP_SET_CREATION_MASK,   // mode
    EGRET_STEP_RESET_SIGNALS,       // signals to ignore, signals to block
    EGRET_STEP_INSTALL_FILTER,      // count; instructions
    EGRET_STEP_AWAIT_BYTE,          // descriptor
    EGRET_STEP_SEND_BYTE,           // descriptor, byte
    EGRET_STEP_EXECUTE,             // ; candidates, arguments, environment, arguments for /bin/sh (slot 1 free)
    EGRET_STEP_BECOME_INIT,
    EGRET_STEP_EXIT,                // code
};

/// One step.
struct egret_step {
    uint32_t kind;
    int64_t number[5];
    const void *pointer[4];
};

/// A child made by ``egret_start_child``.
struct egret_child {
    int32_t process;
    int32_t process_descriptor;
    int32_t report_descriptor;
};

/// What the child writes to its report descriptor when a step fails.
struct egret_step_failure {
    int32_t index;
    int32_t error;
};

/// How a child changed state.
struct egret_child_status {
    int32_t process; // zero if nothing happened
    int32_t kind;    // one of egret_status_kind
    int32_t value;   // exit code or signal
};

enum egret_status_kind {
    EGRET_STATUS_EXITED,
    EGRET_STATUS_SIGNALED,
    EGRET_STATUS_DUMPED,
    EGRET_STATUS_STOPPED,
    EGRET_STATUS_CONTINUED,
};

static const uint64_t egret_ms_rdonly = MS_RDONLY;
static const uint64_t egret_ms_nosuid = MS_NOSUID;
static const uint64_t egret_ms_nodev = MS_NODEV;
static const uint64_t egret_ms_noexec = MS_NOEXEC;
static const uint64_t egret_ms_noatime = MS_NOATIME;
static const uint64_t egret_ms_relatime = MS_RELATIME;
static const uint64_t egret_ms_remount = MS_REMOUNT;
static const uint64_t egret_ms_bind = MS_BIND;
static const uint64_t egret_ms_move = MS_MOVE;
static const uint64_t egret_ms_rec = MS_REC;
static const uint64_t egret_ms_private = MS_PRIVATE;
static const uint64_t egret_ms_slave = MS_SLAVE;
static const uint64_t egret_ms_shared = MS_SHARED;
static const int32_t egret_mnt_detach = 2; // MNT_DETACH, an enumerator under glibc
static const int32_t egret_pr_set_no_new_privs = PR_SET_NO_NEW_PRIVS;
static const int32_t egret_pr_set_dumpable = PR_SET_DUMPABLE;
static const int32_t egret_pr_set_securebits = PR_SET_SECUREBITS;
static const int32_t egret_rlimit_core = RLIMIT_CORE;
static const int32_t egret_rlimit_nofile = RLIMIT_NOFILE;
static const int32_t egret_rlimit_nproc = RLIMIT_NPROC;
static const int32_t egret_rlimit_cpu = RLIMIT_CPU;
static const int32_t egret_rlimit_as = RLIMIT_AS;
static const int32_t egret_rlimit_fsize = RLIMIT_FSIZE;
static const uint64_t egret_rlim_infinity = RLIM_INFINITY;

/// Forks a child that runs the steps and reports the first failure.
///
/// Every signal is blocked from before the fork until the parent's mask is put back; the child starts with all of
/// them blocked and its steps decide the rest. The report descriptor closes at exec, at `BECOME_INIT` and on exit.
int32_t egret_start_child(
    uint64_t namespaces, struct egret_step *steps, size_t count, struct egret_child *child);

static const int32_t egret_wait_untraced = 1;
static const int32_t egret_wait_continued = 2;
static const int32_t egret_wait_no_hang = 4;
/// waitpid(2). EINTR is retried.
int32_t egret_wait(int32_t process, int32_t options, struct egret_child_status *status);
/// Sends a signal through a pidfd, which cannot hit another process that got the same number.
int32_t egret_signal_process_descriptor(int32_t descriptor, int32_t signal);
int32_t egret_kill(int32_t process, int32_t signal);
/// Sends a signal to one thread of this process.
int32_t egret_signal_thread(int32_t thread, int32_t signal);
int32_t egret_open_process(int32_t process);
int32_t egret_process(void);
int32_t egret_parent_process(void);
_Noreturn void egret_exit(int32_t code);
/// Gives the kernel back the pages that the C library's allocator keeps free: malloc_trim(3). Musl keeps few.
void egret_return_free_memory(void);
/// Has the threads of this process share so many heaps of the C library's allocator: mallopt(3), M_ARENA_MAX. Musl has one.
void egret_limit_arenas(int32_t count);
/// The digest that the linker has put into this process's program (NT_GNU_BUILD_ID): how many bytes, 0 if there is none that fits.
int32_t egret_build_id(uint8_t *bytes, size_t room);
int32_t egret_process_group(void);
int32_t egret_session(void);
/// Raises the calling process's soft limit of a resource to the hard one.
int32_t egret_raise_limit(int32_t resource);
/// The calling process's soft limit of a resource, INT64_MAX where there is none.
int64_t egret_limit(int32_t resource);
int32_t egret_set_process_group(int32_t process, int32_t group);
int32_t egret_mount(
    const char *source, const char *target, const char *type, uint64_t flags, const char *data);
int32_t egret_unmount(const char *target, int32_t flags);
int32_t egret_process_control(int32_t option, uint64_t argument);

#endif
