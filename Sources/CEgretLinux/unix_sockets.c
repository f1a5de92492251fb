// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretUnixSockets.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

_Static_assert(sizeof(struct egret_peer) == sizeof(struct ucred), "struct ucred");
_Static_assert(offsetof(struct egret_peer, user) == offsetof(struct ucred, uid), "struct ucred");
_Static_assert(offsetof(struct egret_peer, group) == offsetof(struct ucred, gid), "struct ucred");

size_t egret_unix_path_limit(void) { return sizeof((struct sockaddr_un *)0)->sun_path - 1; }

static socklen_t unix_address(struct sockaddr_un *address, const char *path, size_t length) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length == 0 || length > egret_unix_path_limit()) return 0;
    memcpy(address->sun_path, path, length);
    // A name of the abstract namespace is as long as it is said to be; a path ends with a zero.
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != 0));
}

static int32_t closing(int descriptor) {
    int32_t error = -errno;
    close(descriptor);
    return error;
}

static int32_t bind_socket(const char *path, size_t length, int type) {
    struct sockaddr_un address;
    socklen_t size = unix_address(&address, path, length);
    if (size == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    return bind(descriptor, (struct sockaddr *)&address, size) < 0 ? closing(descriptor) : descriptor;
}

int32_t egret_unix_bind(const char *path, size_t length) { return bind_socket(path, length, SOCK_STREAM); }

int32_t egret_unix_bind_messages(const char *path, size_t length) {
    return bind_socket(path, length, SOCK_SEQPACKET | SOCK_NONBLOCK);
}

static int32_t connect_socket(const char *path, size_t length, int type) {
    struct sockaddr_un address;
    socklen_t size = unix_address(&address, path, length);
    if (size == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int result;
    do {
        result = connect(descriptor, (struct sockaddr *)&address, size);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? closing(descriptor) : descriptor;
}

int32_t egret_unix_connect(const char *path, size_t length) { return connect_socket(path, length, SOCK_STREAM); }

int32_t egret_unix_connect_messages(const char *path, size_t length) {
    return connect_socket(path, length, SOCK_SEQPACKET | SOCK_NONBLOCK);
}

int32_t egret_unix_pair(int32_t *first, int32_t *second) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) return -errno;
    *first = ends[0];
    *second = ends[1];
    return 0;
}

int32_t egret_unix_accept(int32_t descriptor) {
    int result;
    do {
        result = accept4(descriptor, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

union attached_control {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(EGRET_MOST_ATTACHED * sizeof(int))];
};

/// Sends a message, to a path or to where the socket is connected (`to` is NULL), with descriptors attached.
static int64_t send_attached(
    int descriptor, struct sockaddr_un *to, socklen_t size, const void *bytes, size_t count, const int32_t *attached,
    uint32_t number, int flags) {
    if (number > EGRET_MOST_ATTACHED) return -EINVAL;
    union attached_control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_name = to, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
    if (number > 0) {
        size_t length = number * sizeof(int);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(length);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(length);
        memcpy(CMSG_DATA(rights), attached, length);
    }
    ssize_t sent;
    do {
        sent = sendmsg(descriptor, &message, MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int64_t egret_unix_send_message(
    int32_t descriptor, const void *bytes, size_t count, const int32_t *attached, uint32_t number) {
    return send_attached(descriptor, NULL, 0, bytes, count, attached, number, MSG_DONTWAIT);
}

int64_t egret_unix_receive_message(
    int32_t descriptor, void *bytes, size_t room, int32_t *attached, uint32_t *number) {
    union attached_control control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = bytes, .iov_len = room};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes};
    *number = 0;
    ssize_t received;
    do {
        received = recvmsg(descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        // The other end has closed with something unread (ECONNRESET). That is told once, before what it has sent.
    } while (received < 0 && (errno == EINTR || errno == ECONNRESET));
    if (received < 0) return -errno;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < count; index++) {
            int taken;
            memcpy(&taken, CMSG_DATA(part) + index * sizeof taken, sizeof taken);
            if (*number < EGRET_MOST_ATTACHED) {
                attached[(*number)++] = taken;
            } else {
                close(taken);
            }
        }
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) return received;
    for (uint32_t index = 0; index < *number; index++) close(attached[index]);
    *number = 0;
    return -EMSGSIZE;
}

int32_t egret_unix_send(const char *path, size_t length, const void *bytes, size_t count, int32_t attached) {
    struct sockaddr_un address;
    socklen_t size = unix_address(&address, path, length);
    if (size == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int64_t sent = send_attached(descriptor, &address, size, bytes, count, &attached, attached >= 0, 0);
    close(descriptor);
    return sent < 0 ? (int32_t)sent : 0;
}

int32_t egret_peer_credentials(int32_t descriptor, struct egret_peer *peer) {
    socklen_t length = sizeof *peer;
    return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, peer, &length) < 0 ? -errno : 0;
}

int32_t egret_peer_groups(int32_t descriptor, uint32_t *groups, uint32_t room) {
    socklen_t length = room * (socklen_t)sizeof *groups;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, groups, &length) < 0) return -errno;
    return (int32_t)(length / sizeof *groups);
}

int32_t egret_chown(const char *path, uint32_t user, uint32_t group) {
    return lchown(path, (uid_t)user, (gid_t)group) < 0 ? -errno : 0;
}
