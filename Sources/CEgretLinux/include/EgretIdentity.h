// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_IDENTITY_H
#define EGRET_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

/// One line of the user database; the strings point into the caller's buffer.
struct egret_user {
    uint32_t user;
    uint32_t group;
    const char *name;
    const char *home;
    const char *shell;
};

/// The capability sets of the calling thread, one bit for each capability.
struct egret_capabilities {
    uint64_t effective;
    uint64_t permitted;
    uint64_t inheritable;
};

uint32_t egret_effective_user(void);
uint32_t egret_effective_group(void);
uint32_t egret_real_user(void);
uint32_t egret_real_group(void);
/// getpwnam_r; returns 1 if found, 0 if not, -ERANGE if the buffer is too small.
int32_t egret_user_by_name(const char *name, struct egret_user *user, char *bytes, size_t count);
/// getpwuid_r; as above.
int32_t egret_user_by_number(uint32_t number, struct egret_user *user, char *bytes, size_t count);
/// getgrnam_r; returns 1 and the number if found, 0 if not.
int32_t egret_group_by_name(const char *name, uint32_t *number, char *bytes, size_t count);
/// getgrouplist; returns the number of groups, which may be larger than `count`: then ask again.
int32_t egret_group_list(const char *name, uint32_t group, uint32_t *groups, int32_t count);
// Of the calling thread alone, without the C library's wrappers, which change every thread.
/// getgroups; returns the number of groups. With a `count` of zero, only that.
int32_t egret_get_groups(uint32_t *groups, int32_t count);
int32_t egret_set_groups(const uint32_t *groups, size_t count);
/// Whom the thread opens files as.
uint32_t egret_file_user(void);
uint32_t egret_file_group(void);
/// setfsuid and setfsgid, which do not say whether they did it: -EPERM if they did not.
int32_t egret_set_file_user(uint32_t number);
int32_t egret_set_file_group(uint32_t number);
/// PR_GET_DUMPABLE of the process and PR_GET_PDEATHSIG of the thread: setfsuid clears both.
int32_t egret_dumpable(void);
int32_t egret_parent_death_signal(void);
int32_t egret_set_dumpable(int32_t dumpable);
int32_t egret_set_parent_death_signal(int32_t signal);

int32_t egret_get_capabilities(struct egret_capabilities *capabilities);
/// 1 if the capability is in the bounding set, 0 if not, -EINVAL if the kernel does not know it.
int32_t egret_bounding_capability(int32_t capability);
int32_t egret_no_new_privileges(void);

#endif
