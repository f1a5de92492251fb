// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretTerminal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

// Masks go to the kernel as 64 bits: the C libraries' sigset_t differ, and they hide signals 32 to 34.
static const size_t mask_size = 8;

int32_t egret_is_terminal(int32_t descriptor) { return isatty(descriptor); }

int32_t egret_foreground_group(int32_t descriptor) {
    pid_t group = tcgetpgrp(descriptor);
    return group < 0 ? -errno : group;
}

int32_t egret_get_mask(uint64_t *signals) {
    return syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, signals, mask_size) < 0 ? -errno : 0;
}

int32_t egret_set_mask(uint64_t signals) {
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &signals, NULL, mask_size) < 0 ? -errno : 0;
}

int32_t egret_set_foreground_group(int32_t descriptor, int32_t group) {
    uint64_t blocked = UINT64_C(1) << (SIGTTOU - 1), old = 0;
    if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, &old, mask_size) < 0) return -errno;
    int32_t result = tcsetpgrp(descriptor, group) < 0 ? -errno : 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, mask_size);
    return result;
}

int32_t egret_open_pseudo_terminal(int32_t *controller, int32_t *terminal) {
    int locked = 0, opened = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (opened < 0) return -errno;
    int other = -1;
    if (ioctl(opened, TIOCSPTLCK, &locked) == 0) other = ioctl(opened, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (other < 0) {
        int error = errno;
        close(opened);
        return -error;
    }
    *controller = opened;
    *terminal = other;
    return 0;
}

int32_t egret_window_size(int32_t descriptor, uint16_t *rows, uint16_t *columns) {
    struct winsize size = {0};
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0) return -errno;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}

int32_t egret_set_window_size(int32_t descriptor, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(descriptor, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int32_t egret_signal_descriptor(uint64_t signals) {
    long result = syscall(SYS_signalfd4, -1, &signals, mask_size, O_CLOEXEC | O_NONBLOCK);
    return result < 0 ? -errno : (int32_t)result;
}

int32_t egret_read_signal(int32_t descriptor, struct egret_signal_record *record) {
    struct signalfd_siginfo found;
    ssize_t count;
    do {
        count = read(descriptor, &found, sizeof found);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return errno == EAGAIN ? 0 : -errno;
    if (count != sizeof found) return -EIO;
    record->number = found.ssi_signo;
    record->code = found.ssi_code;
    record->sender = found.ssi_pid;
    record->sender_user = found.ssi_uid;
    record->status = found.ssi_status;
    return 1;
}

uint64_t egret_ignored_signals(void) {
    uint64_t ignored = 0;
    for (int number = 1; number <= 64; number++) {
        // The kernel's structure is at most 32 bytes here, its first word the handler.
        uint64_t action[8] = {0};
        if (syscall(SYS_rt_sigaction, number, NULL, action, mask_size) == 0 && action[0] == (uint64_t)(uintptr_t)SIG_IGN)
            ignored |= UINT64_C(1) << (number - 1);
    }
    return ignored;
}

int32_t egret_ignore_signal(int32_t number, int32_t ignored) {
    uint64_t action[8] = {ignored ? (uint64_t)(uintptr_t)SIG_IGN : (uint64_t)(uintptr_t)SIG_DFL};
    return syscall(SYS_rt_sigaction, number, action, NULL, mask_size) < 0 ? -errno : 0;
}

int32_t egret_die_by_signal(int32_t number) {
    int32_t result = egret_ignore_signal(number, 0);
    // SIGKILL and SIGSTOP cannot be set, and need not be.
    if (result < 0 && number != SIGKILL && number != SIGSTOP) return result;
    uint64_t one = UINT64_C(1) << (number - 1);
    if (syscall(SYS_kill, getpid(), number) < 0) return -errno;
    syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, NULL, mask_size);
    return 0;
}
