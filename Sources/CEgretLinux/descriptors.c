// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretDescriptors.h"
#include "retry.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct egret_poll_entry) == sizeof(struct pollfd), "struct pollfd");
_Static_assert(offsetof(struct egret_poll_entry, returned) == offsetof(struct pollfd, revents), "struct pollfd");

extern char **environ;

int32_t egret_open(const char *path, int32_t flags, uint32_t mode) {
    RETRY(open(path, flags | O_CLOEXEC, (mode_t)mode));
}

int32_t egret_open_at(int32_t directory, const char *path, int32_t flags, uint32_t mode) {
    RETRY(openat(directory, path, flags | O_CLOEXEC, (mode_t)mode));
}

// After EINTR the descriptor is gone on Linux: closing again could hit another one.
int32_t egret_close(int32_t descriptor) {
    return close(descriptor) < 0 && errno != EINTR ? -errno : 0;
}

int64_t egret_read(int32_t descriptor, void *bytes, size_t count) { RETRY(read(descriptor, bytes, count)); }

int64_t egret_write(int32_t descriptor, const void *bytes, size_t count) { RETRY(write(descriptor, bytes, count)); }

int64_t egret_write_at(int32_t descriptor, const void *bytes, size_t count, int64_t offset) {
    RETRY(pwrite(descriptor, bytes, count, (off_t)offset));
}

int32_t egret_duplicate(int32_t descriptor, int32_t minimum) { RETRY(fcntl(descriptor, F_DUPFD_CLOEXEC, minimum)); }

int32_t egret_pipe(int32_t *read_end, int32_t *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return 0;
}

int32_t egret_set_nonblocking(int32_t descriptor, int32_t on) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0) return -errno;
    RETRY(fcntl(descriptor, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

int32_t egret_descriptor_flags(int32_t descriptor) { RETRY(fcntl(descriptor, F_GETFD)); }

int32_t egret_take_inherited(int32_t descriptor) {
    int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0) return -errno;
    // It would not have outlived exec: this process has opened it itself.
    if (flags & FD_CLOEXEC) return -EEXIST;
    RETRY(fcntl(descriptor, F_SETFD, FD_CLOEXEC));
}

static int32_t copy_status(int result, const struct stat *from, struct egret_file_status *to) {
    if (result < 0) return -errno;
    to->device = from->st_dev;
    to->inode = from->st_ino;
    to->mode = from->st_mode;
    to->owner = from->st_uid;
    to->group = from->st_gid;
    to->size = from->st_size;
    to->modified_seconds = from->st_mtim.tv_sec;
    to->modified_nanoseconds = from->st_mtim.tv_nsec;
    return 0;
}

int32_t egret_status_of_descriptor(int32_t descriptor, struct egret_file_status *status) {
    struct stat found = {0};
    return copy_status(fstat(descriptor, &found), &found, status);
}

int32_t egret_status_of_path(const char *path, int32_t follow, struct egret_file_status *status) {
    struct stat found = {0};
    return copy_status(fstatat(AT_FDCWD, path, &found, follow ? 0 : AT_SYMLINK_NOFOLLOW), &found, status);
}

int32_t egret_flock(int32_t descriptor, int32_t operation) { RETRY(flock(descriptor, operation)); }

int32_t egret_fsync(int32_t descriptor) { RETRY(fsync(descriptor)); }

int32_t egret_allocate(int32_t descriptor, int64_t count) { RETRY(fallocate(descriptor, 0, 0, (off_t)count)); }

int32_t egret_truncate(int32_t descriptor, int64_t count) { RETRY(ftruncate(descriptor, (off_t)count)); }

int32_t egret_rename(const char *from, const char *to) { RETRY(rename(from, to)); }

int32_t egret_unlink(const char *path) { RETRY(unlink(path)); }

int32_t egret_rmdir(const char *path) { RETRY(rmdir(path)); }

int32_t egret_mkdir(const char *path, uint32_t mode) { RETRY(mkdir(path, (mode_t)mode)); }

int32_t egret_chmod(const char *path, uint32_t mode) { RETRY(chmod(path, (mode_t)mode)); }

int32_t egret_chown_descriptor(int32_t descriptor, uint32_t user, uint32_t group) {
    RETRY(fchown(descriptor, user, group));
}

int32_t egret_chmod_descriptor(int32_t descriptor, uint32_t mode) { RETRY(fchmod(descriptor, (mode_t)mode)); }

int64_t egret_readlink(const char *path, char *bytes, size_t count) { RETRY(readlink(path, bytes, count)); }

int32_t egret_current_directory(char *bytes, size_t count) { return getcwd(bytes, count) ? 0 : -errno; }

int64_t egret_read_directory(int32_t descriptor, void *bytes, size_t count) {
    RETRY(syscall(SYS_getdents64, descriptor, bytes, count));
}

int32_t egret_poll(struct egret_poll_entry *entries, size_t count, int32_t timeout_milliseconds) {
    int ready = poll((struct pollfd *)entries, (nfds_t)count, timeout_milliseconds);
    return ready < 0 ? -errno : ready;
}

uint64_t egret_monotonic_nanoseconds(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t egret_boottime_seconds(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

int64_t egret_realtime(int64_t *nanoseconds) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    *nanoseconds = now.tv_nsec;
    return now.tv_sec;
}

char **egret_environment(void) { return environ; }

int32_t egret_unset_environment(const char *name) { return unsetenv(name) < 0 ? -errno : 0; }
