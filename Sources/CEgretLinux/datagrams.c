// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "EgretDatagrams.h"
#include "addresses.h"
#include "retry.h"
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>

#ifndef SO_ORIGINAL_DST
#define SO_ORIGINAL_DST 80
#endif
// linux/in.h and linux/in6.h, which cannot be had beside netinet/in.h.
#ifndef IP_ORIGDSTADDR
#define IP_ORIGDSTADDR 20
#endif
#ifndef IPV6_ORIGDSTADDR
#define IPV6_ORIGDSTADDR 74
#endif

_Static_assert(EPOLLIN == 0x001 && EPOLLOUT == 0x004 && EPOLLERR == 0x008 && EPOLLHUP == 0x010, "epoll events");

enum { batch_limit = 64 };

int32_t egret_bind(int32_t descriptor, const struct egret_endpoint *own, int32_t reuse) {
    struct sockaddr_storage address;
    socklen_t length = socket_address(&address, own);
    if (reuse) {
        int on = 1;
        if (setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) return -errno;
    }
    RETRY(bind(descriptor, (struct sockaddr *)&address, length));
}

int32_t egret_listen(int32_t descriptor, int32_t backlog) { RETRY(listen(descriptor, backlog)); }

int32_t egret_accept(int32_t descriptor, struct egret_endpoint *peer) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    int result;
    do {
        result = accept4(descriptor, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    read_address(peer, (struct sockaddr *)&address);
    return result;
}

int32_t egret_ipv6_only(int32_t descriptor) {
    int on = 1;
    RETRY(setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
}

int32_t egret_tell_destinations(int32_t descriptor, int32_t family) {
    int on = 1;
    if (family == AF_INET) RETRY(setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on));
    RETRY(setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on));
}

int32_t egret_tell_original_destinations(int32_t descriptor, int32_t family) {
    int on = 1;
    if (family == AF_INET) RETRY(setsockopt(descriptor, IPPROTO_IP, IP_ORIGDSTADDR, &on, sizeof on));
    RETRY(setsockopt(descriptor, IPPROTO_IPV6, IPV6_ORIGDSTADDR, &on, sizeof on));
}

int32_t egret_original_destination(int32_t descriptor, int32_t family, struct egret_endpoint *destination) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    int level = family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (getsockopt(descriptor, level, SO_ORIGINAL_DST, &address, &length) < 0) return -errno;
    read_address(destination, (struct sockaddr *)&address);
    return 0;
}

static void read_own_address(struct msghdr *header, struct egret_endpoint *own) {
    memset(own, 0, sizeof *own);
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo information;
            memcpy(&information, CMSG_DATA(part), sizeof information);
            own->family = AF_INET;
            own->scope = (uint32_t)information.ipi_ifindex;
            memcpy(own->address, &information.ipi_addr, 4);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo information;
            memcpy(&information, CMSG_DATA(part), sizeof information);
            own->family = AF_INET6;
            own->scope = information.ipi6_ifindex;
            memcpy(own->address, &information.ipi6_addr, 16);
        } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_ORIGDSTADDR) {
            struct sockaddr_in address;
            memcpy(&address, CMSG_DATA(part), sizeof address);
            read_address(own, (const struct sockaddr *)&address);
        } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_ORIGDSTADDR) {
            struct sockaddr_in6 address;
            memcpy(&address, CMSG_DATA(part), sizeof address);
            read_address(own, (const struct sockaddr *)&address);
        }
    }
}

int32_t egret_receive_datagrams(
    int32_t descriptor, uint8_t *buffer, size_t slot, struct egret_datagram *found, int32_t limit) {
    struct mmsghdr headers[batch_limit];
    struct iovec parts[batch_limit];
    struct sockaddr_storage peers[batch_limit];
    uint64_t control[batch_limit][8];
    if (limit > batch_limit) limit = batch_limit;
    for (int32_t index = 0; index < limit; index++) {
        parts[index] = (struct iovec){.iov_base = buffer + slot * (size_t)index, .iov_len = slot};
        headers[index] = (struct mmsghdr){.msg_hdr = {
                                              .msg_name = &peers[index],
                                              .msg_namelen = sizeof peers[index],
                                              .msg_iov = &parts[index],
                                              .msg_iovlen = 1,
                                              .msg_control = control[index],
                                              .msg_controllen = sizeof control[index],
                                          }};
    }
    int count;
    do {
        count = recvmmsg(descriptor, headers, (unsigned)limit, MSG_DONTWAIT, NULL);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return -errno;
    for (int index = 0; index < count; index++) {
        read_address(&found[index].peer, (struct sockaddr *)&peers[index]);
        read_own_address(&headers[index].msg_hdr, &found[index].own);
        found[index].count = headers[index].msg_len;
        found[index].is_truncated = (headers[index].msg_hdr.msg_flags & MSG_TRUNC) != 0;
    }
    return count;
}

int64_t egret_send_datagram(
    int32_t descriptor, const void *bytes, size_t count, const struct egret_endpoint *peer,
    const struct egret_endpoint *own) {
    struct sockaddr_storage address;
    uint64_t control[8] = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr header = {
        .msg_name = &address,
        .msg_namelen = socket_address(&address, peer),
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
    };
    struct cmsghdr *information = (struct cmsghdr *)control;
    if (own->family == AF_INET) {
        struct in_pktinfo source = {0};
        memcpy(&source.ipi_spec_dst, own->address, 4);
        header.msg_controllen = CMSG_SPACE(sizeof source);
        information->cmsg_level = IPPROTO_IP;
        information->cmsg_type = IP_PKTINFO;
        information->cmsg_len = CMSG_LEN(sizeof source);
        memcpy(CMSG_DATA(information), &source, sizeof source);
    } else {
        // The interface matters for link-local addresses alone; elsewhere the routes decide.
        int is_link_local = own->address[0] == 0xfe && (own->address[1] & 0xc0) == 0x80;
        struct in6_pktinfo source = {.ipi6_ifindex = is_link_local ? own->scope : 0};
        memcpy(&source.ipi6_addr, own->address, 16);
        header.msg_controllen = CMSG_SPACE(sizeof source);
        information->cmsg_level = IPPROTO_IPV6;
        information->cmsg_type = IPV6_PKTINFO;
        information->cmsg_len = CMSG_LEN(sizeof source);
        memcpy(CMSG_DATA(information), &source, sizeof source);
    }
    RETRY(sendmsg(descriptor, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int32_t egret_epoll_create(void) { RETRY(epoll_create1(EPOLL_CLOEXEC)); }

int32_t egret_epoll_control(int32_t epoll, int32_t operation, int32_t descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    RETRY(epoll_ctl(epoll, operation, descriptor, &event));
}

int32_t egret_epoll_wait(int32_t epoll, struct egret_ready *ready, int32_t limit, int32_t milliseconds) {
    struct epoll_event events[batch_limit];
    int count = epoll_wait(epoll, events, limit < batch_limit ? limit : batch_limit, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < count; index++) {
        ready[index].token = events[index].data.u64;
        ready[index].events = events[index].events;
    }
    return count;
}

int32_t egret_eventfd(void) { RETRY(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

uint64_t egret_boot_microseconds(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int64_t egret_random_bytes(void *bytes, size_t count) { RETRY(getrandom(bytes, count, 0)); }

struct started_body {
    void (*body)(void *);
    void *context;
};

static void *run_started(void *argument) {
    struct started_body work = *(struct started_body *)argument;
    free(argument);
    work.body(work.context);
    return NULL;
}

int32_t egret_start_thread(void (*body)(void *), void *context, const char *name, uint64_t *thread) {
    struct started_body *work = malloc(sizeof *work);
    if (work == NULL) return -ENOMEM;
    *work = (struct started_body){body, context};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    // Not what RLIMIT_STACK says, nor the little that some C libraries give.
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 8u << 20);
    pthread_t started;
    int result = pthread_create(&started, &attributes, run_started, work);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) {
        free(work);
        return -result;
    }
    pthread_setname_np(started, name);
    _Static_assert(sizeof started <= sizeof *thread, "pthread_t");
    *thread = 0;
    memcpy(thread, &started, sizeof started);
    return 0;
}

int32_t egret_join(uint64_t thread) {
    pthread_t started;
    memcpy(&started, &thread, sizeof started);
    return -pthread_join(started, NULL);
}
