// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretNamespaces.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(CLONE_NEWNS == 0x00020000 && CLONE_NEWNET == 0x40000000 && CLONE_NEWPID == 0x20000000, "sched.h");

int32_t egret_setns(int32_t descriptor, uint32_t kind) { return setns(descriptor, (int)kind) < 0 ? -errno : 0; }

int32_t egret_unshare(uint32_t flags) { return unshare((int)flags) < 0 ? -errno : 0; }

int32_t egret_thread_id(void) { return (int32_t)syscall(SYS_gettid); }

_Noreturn void egret_abort(const char *message) {
    long ignored = write(2, message, strlen(message));
    ignored = write(2, "\n", 1);
    (void)ignored;
    abort();
}

struct thread_body {
    void (*body)(void *);
    void *context;
};

static void *run_body(void *argument) {
    struct thread_body *work = argument;
    work->body(work->context);
    return NULL;
}

int32_t egret_run_on_thread(void (*body)(void *), void *context) {
    struct thread_body work = {body, context};
    pthread_t thread;
    int result = pthread_create(&thread, NULL, run_body, &work);
    if (result != 0) return -result;
    return -pthread_join(thread, NULL);
}
