// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_DATAGRAMS_H
#define EGRET_DATAGRAMS_H

#include <stddef.h>
#include <stdint.h>

#include "EgretSockets.h"

static const int32_t egret_epoll_in = 0x001;
static const int32_t egret_epoll_out = 0x004;
static const int32_t egret_epoll_err = 0x008;
static const int32_t egret_epoll_hup = 0x010;

/// A datagram and its ends: who sent it, and the own address that it was sent to (its port is filled in only for
/// egret_tell_original_destinations).
struct egret_datagram {
    struct egret_endpoint peer;
    struct egret_endpoint own;
    uint32_t count;
    int32_t is_truncated;
};

/// What a descriptor is ready for, and the number under which it was added.
struct egret_ready {
    uint64_t token;
    uint32_t events;
};

/// Binds to an address and port, with SO_REUSEADDR if asked.
int32_t egret_bind(int32_t descriptor, const struct egret_endpoint *own, int32_t reuse);
int32_t egret_listen(int32_t descriptor, int32_t backlog);
/// A connection, non-blocking and close-on-exec, and who opened it.
int32_t egret_accept(int32_t descriptor, struct egret_endpoint *peer);
/// Keeps an IPv6 socket to IPv6.
int32_t egret_ipv6_only(int32_t descriptor);
/// Has datagrams tell the address that they were sent to.
int32_t egret_tell_destinations(int32_t descriptor, int32_t family);
/// Has datagrams tell the address and port that they were sent to, before any socket was found for them
/// (IP_RECVORIGDSTADDR).
int32_t egret_tell_original_destinations(int32_t descriptor, int32_t family);
/// Where a redirected TCP connection was going (SO_ORIGINAL_DST).
int32_t egret_original_destination(int32_t descriptor, int32_t family, struct egret_endpoint *destination);
/// recvmmsg without waiting: up to `limit` datagrams, each at its `slot` of the buffer. Returns their number.
int32_t egret_receive_datagrams(
    int32_t descriptor, uint8_t *buffer, size_t slot, struct egret_datagram *found, int32_t limit);
/// Sends a datagram from an own address to a peer, without waiting.
int64_t egret_send_datagram(
    int32_t descriptor, const void *bytes, size_t count, const struct egret_endpoint *peer,
    const struct egret_endpoint *own);

int32_t egret_epoll_create(void);
/// Adds (1), changes (3) or removes (2) a descriptor.
int32_t egret_epoll_control(int32_t epoll, int32_t operation, int32_t descriptor, uint32_t events, uint64_t token);
int32_t egret_epoll_wait(int32_t epoll, struct egret_ready *ready, int32_t limit, int32_t milliseconds);
int32_t egret_eventfd(void);
/// CLOCK_BOOTTIME in microseconds.
uint64_t egret_boot_microseconds(void);
int64_t egret_random_bytes(void *bytes, size_t count);

/// Starts a thread with every signal blocked; `thread` is for egret_join.
int32_t egret_start_thread(void (*body)(void *), void *context, const char *name, uint64_t *thread);
int32_t egret_join(uint64_t thread);

#endif
