// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_NAMESPACES_H
#define EGRET_NAMESPACES_H

#include <stdint.h>

// CLONE_NEW* of linux/sched.h.
static const uint32_t egret_clone_newns = 0x00020000;
static const uint32_t egret_clone_newcgroup = 0x02000000;
static const uint32_t egret_clone_newuts = 0x04000000;
static const uint32_t egret_clone_newipc = 0x08000000;
static const uint32_t egret_clone_newuser = 0x10000000;
static const uint32_t egret_clone_newpid = 0x20000000;
static const uint32_t egret_clone_newnet = 0x40000000;

int32_t egret_setns(int32_t descriptor, uint32_t kind);
int32_t egret_unshare(uint32_t flags);
int32_t egret_thread_id(void);
/// Writes the message to standard error and aborts.
_Noreturn void egret_abort(const char *message);
/// Runs body(context) on a new thread and waits for it to end.
int32_t egret_run_on_thread(void (*body)(void *), void *context);

#endif
