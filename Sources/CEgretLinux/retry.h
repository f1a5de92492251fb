// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_RETRY_H
#define EGRET_RETRY_H

#include <errno.h>

// Returns what the call returns, or -errno; a call that a signal interrupts is made again.
#define RETRY(call)                                                                                                    \
    do {                                                                                                               \
        long result_;                                                                                                  \
        do {                                                                                                           \
            result_ = (long)(call);                                                                                    \
        } while (result_ < 0 && errno == EINTR);                                                                       \
        return result_ < 0 ? -errno : result_;                                                                         \
    } while (0)

#endif
