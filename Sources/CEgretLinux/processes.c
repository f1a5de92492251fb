// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretProcesses.h"
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

int32_t egret_wait(int32_t process, int32_t options, struct egret_child_status *status) {
    int flags = 0, value = 0;
    if (options & egret_wait_untraced) flags |= WUNTRACED;
    if (options & egret_wait_continued) flags |= WCONTINUED;
    if (options & egret_wait_no_hang) flags |= WNOHANG;
    pid_t found;
    do {
        found = waitpid(process, &value, flags);
    } while (found < 0 && errno == EINTR);
    if (found < 0) return -errno;
    status->process = found;
    if (found == 0) return 0;
    if (WIFEXITED(value)) {
        status->kind = EGRET_STATUS_EXITED;
        status->value = WEXITSTATUS(value);
    } else if (WIFSIGNALED(value)) {
        status->kind = WCOREDUMP(value) ? EGRET_STATUS_DUMPED : EGRET_STATUS_SIGNALED;
        status->value = WTERMSIG(value);
    } else if (WIFSTOPPED(value)) {
        status->kind = EGRET_STATUS_STOPPED;
        status->value = WSTOPSIG(value);
    } else {
        status->kind = EGRET_STATUS_CONTINUED;
        status->value = 0;
    }
    return 0;
}

int32_t egret_signal_process_descriptor(int32_t descriptor, int32_t signal) {
    return syscall(SYS_pidfd_send_signal, descriptor, signal, NULL, 0) < 0 ? -errno : 0;
}

int32_t egret_kill(int32_t process, int32_t signal) { return kill(process, signal) < 0 ? -errno : 0; }

int32_t egret_signal_thread(int32_t thread, int32_t signal) {
    return syscall(SYS_tgkill, getpid(), thread, signal) < 0 ? -errno : 0;
}

int32_t egret_open_process(int32_t process) {
    long result = syscall(SYS_pidfd_open, process, 0);
    return result < 0 ? -errno : (int32_t)result;
}

int32_t egret_process(void) { return getpid(); }
int32_t egret_parent_process(void) { return getppid(); }
void egret_exit(int32_t code) { exit(code); }

void egret_return_free_memory(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void egret_limit_arenas(int32_t count) {
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, count);
#else
    (void)count;
#endif
}

struct build_id {
    uint8_t *bytes;
    size_t room, count;
};

static size_t padded(size_t count, size_t alignment) { return (count + alignment - 1) / alignment * alignment; }

// The notes are part of the program as it is in memory, which its loader has checked.
static void find_build_id(const uint8_t *notes, size_t count, size_t alignment, struct build_id *found) {
    ElfW(Nhdr) note;
    while (count >= sizeof note) {
        memcpy(&note, notes, sizeof note);
        // The offset is what is aligned, and the header has twelve bytes.
        size_t name = sizeof note, content = padded(name + note.n_namesz, alignment);
        size_t end = padded(content + note.n_descsz, alignment);
        if (end > count) end = content + note.n_descsz;
        if (end > count) return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
            note.n_descsz <= found->room) {
            memcpy(found->bytes, notes + content, note.n_descsz);
            found->count = note.n_descsz;
            return;
        }
        notes += end;
        count -= end;
    }
}

static int look_at_program(struct dl_phdr_info *program, size_t size, void *context) {
    (void)size;
    for (size_t index = 0; index < program->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[index];
        if (segment->p_type != PT_NOTE) continue;
        const uint8_t *notes = (const uint8_t *)(program->dlpi_addr + segment->p_vaddr);
        find_build_id(notes, segment->p_memsz, segment->p_align == 8 ? 8 : 4, context);
    }
    // The program comes first, and libraries have digests of their own.
    return 1;
}

int32_t egret_build_id(uint8_t *bytes, size_t room) {
    struct build_id found = {.bytes = bytes, .room = room};
    dl_iterate_phdr(look_at_program, &found);
    return (int32_t)found.count;
}

int32_t egret_process_group(void) { return getpgrp(); }
int32_t egret_session(void) { return getsid(0); }

int32_t egret_raise_limit(int32_t resource) {
    struct rlimit limit;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) < 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    return syscall(SYS_prlimit64, 0, resource, &limit, NULL) < 0 ? -errno : 0;
}

int64_t egret_limit(int32_t resource) {
    struct rlimit limit;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) < 0) return -errno;
    return limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}

int32_t egret_set_process_group(int32_t process, int32_t group) { return setpgid(process, group) < 0 ? -errno : 0; }

int32_t egret_mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data) {
    return mount(source, target, type, (unsigned long)flags, data) < 0 ? -errno : 0;
}

int32_t egret_unmount(const char *target, int32_t flags) { return umount2(target, flags) < 0 ? -errno : 0; }

int32_t egret_process_control(int32_t option, uint64_t argument) {
    int result = prctl(option, (unsigned long)argument, 0, 0, 0);
    return result < 0 ? -errno : result;
}
