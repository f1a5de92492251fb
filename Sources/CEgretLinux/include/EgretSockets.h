// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_SOCKETS_H
#define EGRET_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

static const int32_t egret_af_unix = AF_UNIX;
static const int32_t egret_af_inet = AF_INET;
static const int32_t egret_af_inet6 = AF_INET6;
static const int32_t egret_af_netlink = AF_NETLINK;
static const int32_t egret_af_packet = AF_PACKET;
static const int32_t egret_sock_stream = SOCK_STREAM;
static const int32_t egret_sock_dgram = SOCK_DGRAM;
static const int32_t egret_sock_raw = SOCK_RAW;
static const int32_t egret_sol_socket = SOL_SOCKET;
static const int32_t egret_so_rcvbuf = SO_RCVBUF;
static const int32_t egret_so_sndbuf = SO_SNDBUF;
static const int32_t egret_so_mark = SO_MARK;

static const int32_t egret_msg_peek = MSG_PEEK;
static const int32_t egret_msg_trunc = MSG_TRUNC;
static const int32_t egret_msg_dontwait = MSG_DONTWAIT;

/// A socket with SOCK_CLOEXEC.
int32_t egret_socket(int32_t family, int32_t type, int32_t protocol);
int32_t egret_set_option(int32_t descriptor, int32_t level, int32_t name, int32_t value);
int32_t egret_get_option(int32_t descriptor, int32_t level, int32_t name, int32_t *value);
/// Sets a buffer's size in bytes past the system's limit where allowed, else up to it.
int32_t egret_set_buffer(int32_t descriptor, int32_t sending, int32_t bytes);
int32_t egret_set_receive_timeout(int32_t descriptor, int64_t microseconds);
int64_t egret_send(int32_t descriptor, const void *bytes, size_t count, int32_t flags);
int64_t egret_receive(int32_t descriptor, void *bytes, size_t count, int32_t flags);

/// Binds a netlink socket to a port id of the kernel's choice; returns that port id in `port`.
int32_t egret_netlink_bind(int32_t descriptor, uint32_t *port);
int32_t egret_netlink_join(int32_t descriptor, uint32_t group);
int32_t egret_netlink_leave(int32_t descriptor, uint32_t group);
int32_t egret_netlink_extended_acks(int32_t descriptor, int32_t on);
int32_t egret_netlink_strict_checks(int32_t descriptor, int32_t on);
int32_t egret_netlink_capped_acks(int32_t descriptor, int32_t on);
int32_t egret_netlink_no_overrun_errors(int32_t descriptor, int32_t on);
/// recvmsg with the port id of the sender, which is zero for the kernel.
int64_t egret_netlink_receive(int32_t descriptor, void *bytes, size_t count, int32_t flags, uint32_t *sender);

/// Binds an AF_PACKET socket to an interface, for one ethertype or, with 0, for all of them.
int32_t egret_packet_bind(int32_t descriptor, int32_t interface_index, uint16_t ethertype);
int32_t egret_packet_promiscuous(int32_t descriptor, int32_t interface_index);
/// Sends a frame, link-layer header included, through an interface that the AF_PACKET socket need not be bound to.
int64_t egret_send_frame(int32_t descriptor, const void *bytes, size_t count, int32_t interface_index);
/// Sends an IPv4 packet, header included, to the destination in its header.
int64_t egret_send_ipv4(int32_t descriptor, const void *bytes, size_t count, const uint8_t destination[4]);
/// Sends the payload of an IPv6 packet; `scope` is an interface index, or zero.
int64_t egret_send_ipv6(
    int32_t descriptor, const void *bytes, size_t count, const uint8_t destination[16], uint32_t scope);
/// An address and port, in the machine's order; `scope` is the interface of a link-local address, or zero.
struct egret_endpoint {
    uint8_t address[16];
    int32_t family;
    uint16_t port;
    uint32_t scope;
};

/// What an extended error (IP_RECVERR) says: who reported it, and with which ICMP message.
struct egret_reported_error {
    int32_t number;
    uint8_t origin; // SO_EE_ORIGIN_*: 1 the host itself, 2 ICMP, 3 ICMPv6
    uint8_t type;
    uint8_t code;
    uint32_t information; // with EMSGSIZE the size that would pass
    struct egret_endpoint reporter;
};

/// What a UDP or TCP socket is, and where.
struct egret_socket_state {
    struct egret_endpoint own;
    uint64_t network; // SO_NETNS_COOKIE
    int32_t type;     // SOCK_DGRAM or SOCK_STREAM
    int32_t protocol;
    int32_t is_listening;
    int32_t is_transparent;
};

static const int32_t egret_errno_in_progress = 115; // EINPROGRESS

int32_t egret_bind_any(int32_t descriptor, int32_t family);
/// The socket's own address and port.
int32_t egret_own_endpoint(int32_t descriptor, struct egret_endpoint *own);
int32_t egret_connect(int32_t descriptor, const struct egret_endpoint *peer);
/// What the kernel says of a socket; -EAFNOSUPPORT for one that is not of IPv4 or IPv6, -ENOTSOCK for what is none.
int32_t egret_read_socket(int32_t descriptor, struct egret_socket_state *state);
/// Makes a socket report ICMP errors with their senders, and never fragment.
int32_t egret_report_errors(int32_t descriptor, int32_t family);
int32_t egret_forbid_fragments(int32_t descriptor, int32_t family);
/// Takes an error from the socket's queue: 1, or 0 if there is none.
int32_t egret_take_error(int32_t descriptor, struct egret_reported_error *error);

int32_t egret_interface_index(const char *name);
int32_t egret_interface_name(uint32_t index, char name[16]);

/// SO_NETNS_COOKIE (Linux 5.14) of the network namespace that the calling thread is in.
int32_t egret_network_cookie(uint64_t *cookie);

/// Gives a socket its own address and port; port 0 for one of the kernel's choice.
int32_t egret_bind_endpoint(int32_t descriptor, const struct egret_endpoint *own);
int32_t egret_set_mark(int32_t descriptor, uint32_t mark);
int32_t egret_bind_interface(int32_t descriptor, int32_t interface_index);
int32_t egret_timer(void);
/// Lets a timer expire once, after this time; zero stops it.
int32_t egret_timer_set(int32_t descriptor, int64_t nanoseconds);

#endif
