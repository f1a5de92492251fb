// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretRelays.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

static int32_t set(int32_t descriptor, int level, int name, int value) {
    return setsockopt(descriptor, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int32_t egret_transparent(int32_t descriptor, int32_t family) {
    if (family == AF_INET) return set(descriptor, IPPROTO_IP, IP_TRANSPARENT, 1);
    return set(descriptor, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
}

int32_t egret_set_traffic_class(int32_t descriptor, int32_t family, int32_t value) {
    if (family == AF_INET) return set(descriptor, IPPROTO_IP, IP_TOS, value);
    return set(descriptor, IPPROTO_IPV6, IPV6_TCLASS, value);
}

int32_t egret_bind_without_port(int32_t descriptor) {
    // Of both families: the option is of the level IP for IPv6 sockets too.
    return set(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int32_t egret_relay_options(int32_t descriptor) {
    int32_t result = set(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    return result < 0 ? result : set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
}

int32_t egret_shutdown_write(int32_t descriptor) { return shutdown(descriptor, SHUT_WR) < 0 ? -errno : 0; }

int32_t egret_reset_on_close(int32_t descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) < 0 ? -errno : 0;
}

int32_t egret_relay_pipe(int32_t bytes, int32_t *read_end, int32_t *write_end) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
    *read_end = ends[0];
    *write_end = ends[1];
    return egret_resize_pipe(ends[1], bytes);
}

int32_t egret_resize_pipe(int32_t descriptor, int32_t bytes) {
    int size = fcntl(descriptor, F_SETPIPE_SZ, bytes);
    if (size < 0) size = fcntl(descriptor, F_GETPIPE_SZ);
    return size < 0 ? 65536 : size;
}

int64_t egret_splice(int32_t from, int32_t to, size_t count) {
    ssize_t moved;
    do {
        moved = splice(from, NULL, to, NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (moved < 0 && errno == EINTR);
    return moved < 0 ? -errno : moved;
}

int32_t egret_connection_volume(int32_t descriptor, struct egret_tcp_volume *volume) {
    // struct tcp_info of linux/tcp.h, of which the C library knows the beginning: tcpi_bytes_acked is at 120,
    // tcpi_bytes_received at 128, tcpi_segs_out at 136 and tcpi_segs_in at 140.
    unsigned char info[256];
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &length) < 0) return -errno;
    if (length < 144) return -ENOSYS;
    memcpy(&volume->bytes_acknowledged, info + 120, 8);
    memcpy(&volume->bytes_received, info + 128, 8);
    memcpy(&volume->segments_out, info + 136, 4);
    memcpy(&volume->segments_in, info + 140, 4);
    return 0;
}
