// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretIdentity.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t egret_effective_user(void) { return geteuid(); }
uint32_t egret_effective_group(void) { return getegid(); }
uint32_t egret_real_user(void) { return getuid(); }
uint32_t egret_real_group(void) { return getgid(); }

static int32_t copy_user(int result, const struct passwd *found, struct egret_user *user) {
    // Several errors mean "no such entry" to one name-service module or another; see getpwnam(3).
    if (result == ERANGE || result == ENOMEM || result == EMFILE || result == ENFILE || result == EIO) return -result;
    if (!found) return 0;
    user->user = found->pw_uid;
    user->group = found->pw_gid;
    user->name = found->pw_name;
    user->home = found->pw_dir;
    user->shell = found->pw_shell;
    return 1;
}

int32_t egret_user_by_name(const char *name, struct egret_user *user, char *bytes, size_t count) {
    struct passwd entry, *found = NULL;
    int result;
    do {
        result = getpwnam_r(name, &entry, bytes, count, &found);
    } while (result == EINTR);
    return copy_user(result, found, user);
}

int32_t egret_user_by_number(uint32_t number, struct egret_user *user, char *bytes, size_t count) {
    struct passwd entry, *found = NULL;
    int result;
    do {
        result = getpwuid_r(number, &entry, bytes, count, &found);
    } while (result == EINTR);
    return copy_user(result, found, user);
}

int32_t egret_group_by_name(const char *name, uint32_t *number, char *bytes, size_t count) {
    struct group entry, *found = NULL;
    int result;
    do {
        result = getgrnam_r(name, &entry, bytes, count, &found);
    } while (result == EINTR);
    if (result == ERANGE || result == ENOMEM || result == EMFILE || result == ENFILE || result == EIO) return -result;
    if (!found) return 0;
    *number = found->gr_gid;
    return 1;
}

int32_t egret_group_list(const char *name, uint32_t group, uint32_t *groups, int32_t count) {
    _Static_assert(sizeof(gid_t) == sizeof(uint32_t), "gid_t");
    int found = count;
    getgrouplist(name, group, (gid_t *)groups, &found);
    return found;
}

static int32_t answer(long result) { return result < 0 ? -errno : (int32_t)result; }

int32_t egret_get_groups(uint32_t *groups, int32_t count) { return answer(syscall(SYS_getgroups, count, groups)); }
int32_t egret_set_groups(const uint32_t *groups, size_t count) { return answer(syscall(SYS_setgroups, count, groups)); }

// -1 is no user and no group: nothing is changed, and the answer is the number as it was.
uint32_t egret_file_user(void) { return (uint32_t)syscall(SYS_setfsuid, -1); }
uint32_t egret_file_group(void) { return (uint32_t)syscall(SYS_setfsgid, -1); }

int32_t egret_set_file_user(uint32_t number) {
    syscall(SYS_setfsuid, number);
    return egret_file_user() == number ? 0 : -EPERM;
}

int32_t egret_set_file_group(uint32_t number) {
    syscall(SYS_setfsgid, number);
    return egret_file_group() == number ? 0 : -EPERM;
}

int32_t egret_dumpable(void) { return answer(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)); }

int32_t egret_parent_death_signal(void) {
    int signal = 0;
    return prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) < 0 ? -errno : signal;
}

int32_t egret_set_dumpable(int32_t dumpable) { return answer(prctl(PR_SET_DUMPABLE, (long)dumpable, 0, 0, 0)); }

int32_t egret_set_parent_death_signal(int32_t signal) { return answer(prctl(PR_SET_PDEATHSIG, (long)signal, 0, 0, 0)); }

int32_t egret_get_capabilities(struct egret_capabilities *capabilities) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    capabilities->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
    capabilities->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
    capabilities->inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable;
    return 0;
}

int32_t egret_bounding_capability(int32_t capability) {
    int result = prctl(PR_CAPBSET_READ, (unsigned long)capability, 0, 0, 0);
    return result < 0 ? -errno : result;
}

int32_t egret_no_new_privileges(void) {
    int result = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return result < 0 ? -errno : result;
}
