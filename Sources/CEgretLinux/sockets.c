// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretSockets.h"
#include "addresses.h"
#include "retry.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#ifndef IP_TRANSPARENT
#define IP_TRANSPARENT 19
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int32_t egret_socket(int32_t family, int32_t type, int32_t protocol) {
    RETRY(socket(family, type | SOCK_CLOEXEC, protocol));
}

int32_t egret_set_option(int32_t descriptor, int32_t level, int32_t name, int32_t value) {
    RETRY(setsockopt(descriptor, level, name, &value, sizeof value));
}

int32_t egret_get_option(int32_t descriptor, int32_t level, int32_t name, int32_t *value) {
    socklen_t length = sizeof *value;
    RETRY(getsockopt(descriptor, level, name, value, &length));
}

int32_t egret_set_buffer(int32_t descriptor, int32_t sending, int32_t bytes) {
    int32_t forced = egret_set_option(descriptor, SOL_SOCKET, sending ? SO_SNDBUFFORCE : SO_RCVBUFFORCE, bytes);
    if (forced != -EPERM) return forced;
    return egret_set_option(descriptor, SOL_SOCKET, sending ? SO_SNDBUF : SO_RCVBUF, bytes);
}

int32_t egret_set_receive_timeout(int32_t descriptor, int64_t microseconds) {
    struct timeval limit = {.tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000};
    RETRY(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
}

int64_t egret_send(int32_t descriptor, const void *bytes, size_t count, int32_t flags) {
    RETRY(send(descriptor, bytes, count, flags | MSG_NOSIGNAL));
}

int64_t egret_receive(int32_t descriptor, void *bytes, size_t count, int32_t flags) {
    RETRY(recv(descriptor, bytes, count, flags));
}

int32_t egret_netlink_bind(int32_t descriptor, uint32_t *port) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof address;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) return -errno;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    *port = address.nl_pid;
    return 0;
}

int32_t egret_netlink_join(int32_t descriptor, uint32_t group) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, (int32_t)group);
}

int32_t egret_netlink_leave(int32_t descriptor, uint32_t group) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, (int32_t)group);
}

int32_t egret_netlink_extended_acks(int32_t descriptor, int32_t on) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, on);
}

int32_t egret_netlink_strict_checks(int32_t descriptor, int32_t on) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, on);
}

int32_t egret_netlink_capped_acks(int32_t descriptor, int32_t on) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, on);
}

int32_t egret_netlink_no_overrun_errors(int32_t descriptor, int32_t on) {
    return egret_set_option(descriptor, SOL_NETLINK, NETLINK_NO_ENOBUFS, on);
}

int64_t egret_netlink_receive(int32_t descriptor, void *bytes, size_t count, int32_t flags, uint32_t *sender) {
    struct sockaddr_nl address = {0};
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &part, .msg_iovlen = 1};
    ssize_t received;
    do {
        received = recvmsg(descriptor, &message, flags);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;
    *sender = message.msg_namelen == sizeof address ? address.nl_pid : UINT32_MAX;
    return received;
}

int32_t egret_packet_bind(int32_t descriptor, int32_t interface_index, uint16_t ethertype) {
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ethertype ? ethertype : ETH_P_ALL),
        .sll_ifindex = interface_index};
    RETRY(bind(descriptor, (struct sockaddr *)&address, sizeof address));
}

int64_t egret_send_frame(int32_t descriptor, const void *bytes, size_t count, int32_t interface_index) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = interface_index};
    RETRY(sendto(descriptor, bytes, count, 0, (struct sockaddr *)&address, sizeof address));
}

int32_t egret_packet_promiscuous(int32_t descriptor, int32_t interface_index) {
    struct packet_mreq request = {.mr_ifindex = interface_index, .mr_type = PACKET_MR_PROMISC};
    RETRY(setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof request));
}

int64_t egret_send_ipv4(int32_t descriptor, const void *bytes, size_t count, const uint8_t destination[4]) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    memcpy(&address.sin_addr, destination, 4);
    RETRY(sendto(descriptor, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address));
}

int64_t egret_send_ipv6(
    int32_t descriptor, const void *bytes, size_t count, const uint8_t destination[16], uint32_t scope) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_scope_id = scope};
    memcpy(&address.sin6_addr, destination, 16);
    RETRY(sendto(descriptor, bytes, count, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address));
}

int32_t egret_bind_any(int32_t descriptor, int32_t family) {
    struct sockaddr_storage address;
    struct egret_endpoint any = {.family = family};
    socklen_t length = socket_address(&address, &any);
    RETRY(bind(descriptor, (struct sockaddr *)&address, length));
}

int32_t egret_own_endpoint(int32_t descriptor, struct egret_endpoint *own) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return -errno;
    read_address(own, (struct sockaddr *)&address);
    return 0;
}

int32_t egret_read_socket(int32_t descriptor, struct egret_socket_state *state) {
    memset(state, 0, sizeof *state);
    int32_t family = 0;
    int32_t result = egret_get_option(descriptor, SOL_SOCKET, SO_DOMAIN, &family);
    if (result < 0) return result;
    if (family != AF_INET && family != AF_INET6) return -EAFNOSUPPORT;
    if ((result = egret_get_option(descriptor, SOL_SOCKET, SO_TYPE, &state->type)) < 0) return result;
    if ((result = egret_get_option(descriptor, SOL_SOCKET, SO_PROTOCOL, &state->protocol)) < 0) return result;
    if ((result = egret_get_option(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &state->is_listening)) < 0) return result;
    result = family == AF_INET ? egret_get_option(descriptor, IPPROTO_IP, IP_TRANSPARENT, &state->is_transparent)
                               : egret_get_option(descriptor, IPPROTO_IPV6, IPV6_TRANSPARENT, &state->is_transparent);
    if (result < 0) return result;
    socklen_t length = sizeof state->network;
    if (getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, &state->network, &length) < 0) return -errno;
    return egret_own_endpoint(descriptor, &state->own);
}

int32_t egret_connect(int32_t descriptor, const struct egret_endpoint *peer) {
    struct sockaddr_storage address;
    socklen_t length = socket_address(&address, peer);
    RETRY(connect(descriptor, (struct sockaddr *)&address, length));
}

int32_t egret_report_errors(int32_t descriptor, int32_t family) {
    return family == AF_INET ? egret_set_option(descriptor, IPPROTO_IP, IP_RECVERR, 1)
                             : egret_set_option(descriptor, IPPROTO_IPV6, IPV6_RECVERR, 1);
}

int32_t egret_forbid_fragments(int32_t descriptor, int32_t family) {
    return family == AF_INET ? egret_set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
                             : egret_set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

int32_t egret_take_error(int32_t descriptor, struct egret_reported_error *error) {
    union {
        struct cmsghdr header;
        uint8_t bytes[512];
    } control;
    uint8_t packet[256];
    struct iovec part = {.iov_base = packet, .iov_len = sizeof packet};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t received;
    do {
        received = recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return errno == EAGAIN ? 0 : -errno;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part != NULL; part = CMSG_NXTHDR(&message, part)) {
        int is_error = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                       (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
        if (!is_error || part->cmsg_len < CMSG_LEN(sizeof(struct sock_extended_err))) continue;
        struct sock_extended_err found;
        memcpy(&found, CMSG_DATA(part), sizeof found);
        memset(error, 0, sizeof *error);
        error->number = (int32_t)found.ee_errno;
        error->origin = found.ee_origin;
        error->type = found.ee_type;
        error->code = found.ee_code;
        error->information = found.ee_info;
        struct sockaddr_storage reporter = {0};
        size_t left = part->cmsg_len - CMSG_LEN(sizeof found);
        memcpy(&reporter, CMSG_DATA(part) + sizeof found, left < sizeof reporter ? left : sizeof reporter);
        read_address(&error->reporter, (struct sockaddr *)&reporter);
        return 1;
    }
    return 0;
}

int32_t egret_interface_index(const char *name) {
    unsigned index = if_nametoindex(name);
    return index == 0 ? -errno : (int32_t)index;
}

int32_t egret_interface_name(uint32_t index, char name[16]) {
    _Static_assert(IF_NAMESIZE == 16, "IF_NAMESIZE");
    return if_indextoname(index, name) ? 0 : -errno;
}

int32_t egret_network_cookie(uint64_t *cookie) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    socklen_t length = sizeof *cookie;
    int result = getsockopt(descriptor, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &length) < 0 ? -errno : 0;
    close(descriptor);
    return result;
}

int32_t egret_bind_endpoint(int32_t descriptor, const struct egret_endpoint *own) {
    struct sockaddr_storage address;
    socklen_t length = socket_address(&address, own);
    RETRY(bind(descriptor, (struct sockaddr *)&address, length));
}

int32_t egret_set_mark(int32_t descriptor, uint32_t mark) {
    return egret_set_option(descriptor, SOL_SOCKET, SO_MARK, (int32_t)mark);
}

int32_t egret_bind_interface(int32_t descriptor, int32_t interface_index) {
    return egret_set_option(descriptor, SOL_SOCKET, SO_BINDTOIFINDEX, interface_index);
}

int32_t egret_timer(void) {
    RETRY(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

int32_t egret_timer_set(int32_t descriptor, int64_t nanoseconds) {
    struct itimerspec when = {
        .it_value = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000}};
    RETRY(timerfd_settime(descriptor, 0, &when, NULL));
}
