// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_UNIX_SOCKETS_H
#define EGRET_UNIX_SOCKETS_H

#include <stddef.h>
#include <stdint.h>

/// Who holds the other end of a unix socket: SO_PEERCRED, as it was when the connection was made.
struct egret_peer {
    int32_t process;
    uint32_t user;
    uint32_t group;
};

/// The longest path of a unix socket, in bytes.
size_t egret_unix_path_limit(void);
/// A stream socket bound to a path, which must not exist. It does not listen yet.
int32_t egret_unix_bind(const char *path, size_t length);
/// A stream socket connected to whoever listens at a path.
int32_t egret_unix_connect(const char *path, size_t length);
/// Sends one datagram to a path; a path whose first byte is zero is a name of the abstract namespace. The receiver gets a
/// copy of the descriptor `attached` with it (SCM_RIGHTS), if that is not negative.
int32_t egret_unix_send(const char *path, size_t length, const void *bytes, size_t count, int32_t attached);

/// The most descriptors that go with a message.
#define EGRET_MOST_ATTACHED 4
static const uint32_t egret_most_attached = EGRET_MOST_ATTACHED;
/// As egret_unix_bind, for messages that keep their order and their ends (SOCK_SEQPACKET). Nothing waits.
int32_t egret_unix_bind_messages(const char *path, size_t length);
/// As egret_unix_connect, for such messages. -EAGAIN if too many wait to be accepted.
int32_t egret_unix_connect_messages(const char *path, size_t length);
/// Two sockets for such messages, connected to each other.
int32_t egret_unix_pair(int32_t *first, int32_t *second);
/// The next connection to a socket that listens.
int32_t egret_unix_accept(int32_t descriptor);
/// Sends a message, with copies of up to EGRET_MOST_ATTACHED descriptors, without waiting.
int64_t egret_unix_send_message(
    int32_t descriptor, const void *bytes, size_t count, const int32_t *attached, uint32_t number);
/// Receives a message without waiting: 0 at the end. `attached` has room for EGRET_MOST_ATTACHED descriptors, which close on
/// exec. -EMSGSIZE for a message that is longer than `room` or has more of them: it is gone then, and so are they.
int64_t egret_unix_receive_message(
    int32_t descriptor, void *bytes, size_t room, int32_t *attached, uint32_t *number);
/// Who holds the other end.
int32_t egret_peer_credentials(int32_t descriptor, struct egret_peer *peer);
/// The other end's groups beside its own (SO_PEERGROUPS). Returns their number; -ERANGE if there are more than `room`.
int32_t egret_peer_groups(int32_t descriptor, uint32_t *groups, uint32_t room);
/// Gives a file to a user and a group; links are not followed. UINT32_MAX leaves one as it is.
int32_t egret_chown(const char *path, uint32_t user, uint32_t group);

#endif
