// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_DESCRIPTORS_H
#define EGRET_DESCRIPTORS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>

// open(2) flags, as plain integers.
static const int32_t egret_o_rdonly = O_RDONLY;
static const int32_t egret_o_wronly = O_WRONLY;
static const int32_t egret_o_rdwr = O_RDWR;
static const int32_t egret_o_creat = O_CREAT;
static const int32_t egret_o_excl = O_EXCL;
static const int32_t egret_o_trunc = O_TRUNC;
static const int32_t egret_o_append = O_APPEND;
static const int32_t egret_o_noctty = O_NOCTTY;
static const int32_t egret_o_nonblock = O_NONBLOCK;
static const int32_t egret_o_directory = O_DIRECTORY;
static const int32_t egret_o_nofollow = O_NOFOLLOW;
static const int32_t egret_lock_shared = LOCK_SH;
static const int32_t egret_lock_exclusive = LOCK_EX;
static const int32_t egret_lock_nonblocking = LOCK_NB;
static const int16_t egret_poll_in = POLLIN;
static const int16_t egret_poll_out = POLLOUT;
static const int16_t egret_poll_err = POLLERR;
static const int16_t egret_poll_hup = POLLHUP;
static const int16_t egret_poll_nval = POLLNVAL;

// Error numbers that Egret speaks of by name.
static const int32_t egret_eperm = EPERM;
static const int32_t egret_enoent = ENOENT;
static const int32_t egret_esrch = ESRCH;
static const int32_t egret_eintr = EINTR;
static const int32_t egret_eio = EIO;
static const int32_t egret_e2big = E2BIG;
static const int32_t egret_enoexec = ENOEXEC;
static const int32_t egret_ebadf = EBADF;
static const int32_t egret_echild = ECHILD;
static const int32_t egret_eagain = EAGAIN;
static const int32_t egret_enomem = ENOMEM;
static const int32_t egret_eacces = EACCES;
static const int32_t egret_efault = EFAULT;
static const int32_t egret_ebusy = EBUSY;
static const int32_t egret_eexist = EEXIST;
static const int32_t egret_enodev = ENODEV;
static const int32_t egret_enotdir = ENOTDIR;
static const int32_t egret_eisdir = EISDIR;
static const int32_t egret_einval = EINVAL;
static const int32_t egret_enfile = ENFILE;
static const int32_t egret_enotty = ENOTTY;
static const int32_t egret_enospc = ENOSPC;
static const int32_t egret_erofs = EROFS;
static const int32_t egret_epipe = EPIPE;
static const int32_t egret_erange = ERANGE;
static const int32_t egret_enametoolong = ENAMETOOLONG;
static const int32_t egret_enosys = ENOSYS;
static const int32_t egret_enotempty = ENOTEMPTY;
static const int32_t egret_eloop = ELOOP;
static const int32_t egret_emsgsize = EMSGSIZE;
static const int32_t egret_enoprotoopt = ENOPROTOOPT;
static const int32_t egret_eprotonosupport = EPROTONOSUPPORT;
static const int32_t egret_eopnotsupp = EOPNOTSUPP;
static const int32_t egret_eafnosupport = EAFNOSUPPORT;
static const int32_t egret_eaddrinuse = EADDRINUSE;
static const int32_t egret_enobufs = ENOBUFS;
static const int32_t egret_etimedout = ETIMEDOUT;
static const int32_t egret_econnaborted = ECONNABORTED;
static const int32_t egret_econnrefused = ECONNREFUSED;
static const int32_t egret_ehostunreach = EHOSTUNREACH;
static const int32_t egret_exdev = EXDEV;
static const int32_t egret_enetunreach = ENETUNREACH;

/// What stat(2) says of a file, as far as Egret asks.
struct egret_file_status {
    uint64_t device;
    uint64_t inode;
    uint32_t mode;
    uint32_t owner;
    uint32_t group;
    int64_t size;
    int64_t modified_seconds;
    int64_t modified_nanoseconds;
};

/// One entry of a poll(2) set; laid out as struct pollfd.
struct egret_poll_entry {
    int32_t descriptor;
    int16_t requested;
    int16_t returned;
};

int32_t egret_open(const char *path, int32_t flags, uint32_t mode);
int32_t egret_open_at(int32_t directory, const char *path, int32_t flags, uint32_t mode);
int32_t egret_close(int32_t descriptor);
int64_t egret_read(int32_t descriptor, void *bytes, size_t count);
int64_t egret_write(int32_t descriptor, const void *bytes, size_t count);
int64_t egret_write_at(int32_t descriptor, const void *bytes, size_t count, int64_t offset);
int32_t egret_duplicate(int32_t descriptor, int32_t minimum);
int32_t egret_pipe(int32_t *read_end, int32_t *write_end);
int32_t egret_set_nonblocking(int32_t descriptor, int32_t on);
int32_t egret_descriptor_flags(int32_t descriptor);
/// Has a descriptor close on exec; -EEXIST if it does already.
int32_t egret_take_inherited(int32_t descriptor);
int32_t egret_status_of_descriptor(int32_t descriptor, struct egret_file_status *status);
int32_t egret_status_of_path(const char *path, int32_t follow, struct egret_file_status *status);
int32_t egret_flock(int32_t descriptor, int32_t operation);
int32_t egret_fsync(int32_t descriptor);
/// Has a file take the room for so many bytes, or nothing if there is less.
int32_t egret_allocate(int32_t descriptor, int64_t count);
int32_t egret_truncate(int32_t descriptor, int64_t count);
int32_t egret_rename(const char *from, const char *to);
int32_t egret_unlink(const char *path);
int32_t egret_rmdir(const char *path);
int32_t egret_mkdir(const char *path, uint32_t mode);
int32_t egret_chmod(const char *path, uint32_t mode);
int32_t egret_chown_descriptor(int32_t descriptor, uint32_t user, uint32_t group);
int32_t egret_chmod_descriptor(int32_t descriptor, uint32_t mode);
int64_t egret_readlink(const char *path, char *bytes, size_t count);
int32_t egret_current_directory(char *bytes, size_t count);
/// Fills `bytes` with raw linux_dirent64 records; returns their length, zero at the end.
int64_t egret_read_directory(int32_t descriptor, void *bytes, size_t count);
/// poll(2). EINTR is returned, not retried: the caller knows its deadline.
int32_t egret_poll(struct egret_poll_entry *entries, size_t count, int32_t timeout_milliseconds);
/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t egret_monotonic_nanoseconds(void);
/// Seconds by CLOCK_BOOTTIME, whole ones.
int64_t egret_boottime_seconds(void);
/// Seconds since 1970 by CLOCK_REALTIME, and the nanoseconds beside them.
int64_t egret_realtime(int64_t *nanoseconds);
/// The environment of this process: a NULL-terminated array.
char **egret_environment(void);
/// Takes a variable out of it.
int32_t egret_unset_environment(const char *name);

/// The symbolic name of an errno, such as "ENOENT", or NULL.
const char *egret_errno_name(int32_t number);
/// The text of an errno, such as "No such file or directory".
void egret_errno_text(int32_t number, char *bytes, size_t count);

#endif
