// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_RELAYS_H
#define EGRET_RELAYS_H

#include <stddef.h>
#include <stdint.h>

/// Lets a socket take and make connections under addresses that are not this host's (IP_TRANSPARENT).
int32_t egret_transparent(int32_t descriptor, int32_t family);
/// Sets the byte of the header that has the differentiated-services code point (IP_TOS, IPV6_TCLASS).
int32_t egret_set_traffic_class(int32_t descriptor, int32_t family, int32_t value);
/// Has the port chosen when the socket connects, and not when it is bound (IP_BIND_ADDRESS_NO_PORT).
int32_t egret_bind_without_port(int32_t descriptor);
/// Sends small pieces at once, and finds out after a while that the other end is gone (TCP_NODELAY, SO_KEEPALIVE).
int32_t egret_relay_options(int32_t descriptor);
/// Ends the writing direction.
int32_t egret_shutdown_write(int32_t descriptor);
/// Has the next close send a reset (SO_LINGER of no time).
int32_t egret_reset_on_close(int32_t descriptor);
/// A pipe whose both ends never wait; `bytes` is its size, if the system allows it. Returns the size it has.
int32_t egret_relay_pipe(int32_t bytes, int32_t *read_end, int32_t *write_end);
/// Changes a pipe's size, if the system allows it. Returns the size it has.
int32_t egret_resize_pipe(int32_t descriptor, int32_t bytes);
/// splice(2) between a socket and a pipe, without waiting.
int64_t egret_splice(int32_t from, int32_t to, size_t count);

/// What a TCP connection has taken in and what of it was acknowledged (TCP_INFO): bytes, then segments, of each.
struct egret_tcp_volume {
    uint64_t bytes_received;
    uint64_t bytes_acknowledged;
    uint32_t segments_in;
    uint32_t segments_out;
};
int32_t egret_connection_volume(int32_t descriptor, struct egret_tcp_volume *volume);

#endif
