// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_ADDRESSES_H
#define EGRET_ADDRESSES_H

#include "EgretSockets.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

// An endpoint as the kernel takes it; returns its length.
static inline socklen_t socket_address(struct sockaddr_storage *address, const struct egret_endpoint *endpoint) {
    memset(address, 0, sizeof *address);
    if (endpoint->family == AF_INET) {
        struct sockaddr_in *four = (struct sockaddr_in *)address;
        four->sin_family = AF_INET;
        four->sin_port = htons(endpoint->port);
        memcpy(&four->sin_addr, endpoint->address, 4);
        return sizeof *four;
    }
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(endpoint->port);
    six->sin6_scope_id = endpoint->scope;
    memcpy(&six->sin6_addr, endpoint->address, 16);
    return sizeof *six;
}

// An address of the kernel's as an endpoint; of another family than IP it has the family alone.
static inline void read_address(struct egret_endpoint *endpoint, const struct sockaddr *address) {
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->family = address->sa_family;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)address;
        memcpy(endpoint->address, &four->sin_addr, 4);
        endpoint->port = ntohs(four->sin_port);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
        memcpy(endpoint->address, &six->sin6_addr, 16);
        endpoint->port = ntohs(six->sin6_port);
        endpoint->scope = six->sin6_scope_id;
    }
}

#endif
