// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Networks that Egret has made, broken by somebody else.
extension DoctorFault {
    static let bridgeNetwork: [DoctorFault] = [
        .init("bridge deleted", "link", "the bridge br0 is gone", "ip link del br0"),
        .init("bridge down", "link", "the bridge br0 is down", "ip link set br0 down"),
        .init(
            "the gateway's address gone", "neighbour", "br0 has lost 192.168.0.1/16",
            "ip -4 address flush dev br0; n ip neighbour flush dev eth0"),
        .init("host's end down", "link", "egn0, the host's end of eth0, is down", "ip link set egn0 down"),
        .init(
            "host's end renamed", "link", "is called foo0 now", "ip link set egn0 down; ip link set egn0 name foo0"),
        .init("host's end is no port", "link", "egn0 is no port of br0", "ip link set egn0 nomaster"),
        .init("host's end deleted", "link", "egn0, the host's end of eth0, is gone", "ip link del egn0"),
        .init("host's end moved", "link", "egn0, the host's end of eth0, is gone", "ip link set egn0 netns $W"),
        .init("inside down", "link", "eth0 is down", "n ip link set eth0 down"),
        .init(
            "inside renamed", "link", "eth0 is called wan0 now",
            "n ip link set eth0 down; n ip link set eth0 name wan0; n ip link set wan0 up"),
        .init("inside address gone", "address", "eth0 has lost 192.168.0.2/16", "n ip -4 address flush dev eth0"),
        .init(
            "inside mask too narrow", "address", "192.168.0.2/32 instead of 192.168.0.2/16",
            "n ip -4 address flush dev eth0; n ip address add 192.168.0.2/32 dev eth0"),
        .init(
            "inside mask too wide", "address", "192.168.0.2/1 instead of 192.168.0.2/16",
            "n ip -4 address flush dev eth0; n ip address add 192.168.0.2/1 dev eth0", to: "--to 203.0.113.1"),
        .init(
            "inside default route gone", "route", "has lost its IPv4 default route by eth0", "n ip route del default"),
        .init(
            "inside default route wrong", "neighbour", "192.168.9.9 does not answer",
            "n ip route replace default via 192.168.9.9"),
        .init(
            "inside default route refuses", "route", "unreachable default",
            "n ip route del default; n ip route add unreachable default"),
        .init(
            "masquerade rule gone", "translation", "the rules of br0 are not as Egret has made them",
            "nft flush chain inet egret-nat br0-out"),
        .init(
            "table of translation gone", "translation", "the rules of br0", "nft delete table inet egret-nat"),
        .init(
            "base chain flushed", "translation", "the rules of br0", "nft flush chain inet egret-nat postrouting"),
        .init(
            "forwarding off at the bridge", "forwarding", "br0", "echo 0 > /proc/sys/net/ipv4/conf/br0/forwarding"),
        .init("IPv6: default route gone", "route", "IPv6 default route", "n ip -6 route del default", to: six),
        .init(
            "IPv6: address gone", "address", "eth0 has lost fd00::2/64",
            "n ip -6 address flush dev eth0 scope global", to: six),
        .init(
            "IPv6: the gateway's address gone", "neighbour", "br0 has lost fd00::1/64",
            "ip -6 address flush dev br0 scope global; n ip -6 neighbour flush dev eth0", to: six),
    ]

    static let routedNetwork: [DoctorFault] = [
        .init(
            "the host's route gone", "neighbour", "the host has lost its route to 192.168.0.2",
            "ip route del 192.168.0.2; n ip neighbour flush dev eth0"),
        .init(
            "the host's route elsewhere", "neighbour", "route to 192.168.0.2 does not lead by egn0",
            "ip route replace 192.168.0.2/32 dev up0; n ip neighbour flush dev eth0"),
        .init(
            "the gateway's address gone", "neighbour", "egn0 has lost 192.168.0.1/32",
            "ip -4 address flush dev egn0; n ip neighbour flush dev eth0"),
        .init("host's end down", "link", "egn0, the host's end of eth0, is down", "ip link set egn0 down"),
        .init(
            "host's end renamed", "link", "is called foo0 now",
            "ip link set egn0 down; ip link set egn0 name foo0; ip link set foo0 up; n ip neighbour flush dev eth0"),
        .init("host's end deleted", "link", "egn0, the host's end of eth0, is gone", "ip link del egn0"),
        .init("inside down", "link", "eth0 is down", "n ip link set eth0 down"),
        .init("inside address gone", "address", "eth0 has lost 192.168.0.2/32", "n ip -4 address flush dev eth0"),
        .init("inside default route gone", "route", "IPv4 default route by eth0", "n ip route del default"),
        .init(
            "inside routes gone", "route", "IPv4 route to 192.168.0.1 by eth0", "n ip -4 route flush dev eth0"),
        .init(
            "masquerade rule gone", "translation", "the rules of br0 are not as Egret has made them",
            "nft flush chain inet egret-nat br0-out"),
        .init(
            "IPv6: the host's route gone", "forwarding", "the host has lost its route to fd00::2",
            "ip -6 route del fd00::2", to: six),
        .init("IPv6: default route gone", "route", "IPv6 default route", "n ip -6 route del default", to: six),
    ]

    static let adoptedNetwork: [DoctorFault] = [
        .init("host's end is no port", "link", "egn0 is no port of br0", "ip link set egn0 nomaster"),
        .init("inside default route gone", "route", "has lost its IPv4 default route", "n ip route del default"),
        .init(
            "masquerade rule gone", "translation", "the rules of br0 are not as Egret has made them",
            "nft flush chain inet egret-nat br0-out"),
    ]
}
