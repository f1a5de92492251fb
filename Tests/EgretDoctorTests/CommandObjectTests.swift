// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretDoctor
import Testing

@Suite("Whose the thing is that a command changes")
struct CommandObjectTests {
    private func isOwn(_ commands: String...) -> Bool {
        let words = commands.map { $0.split(separator: " ").map(String.init) }
        return Finding(.link, "", "", commands: words).isAbout(
            interfaces: ["br0", "egn0", "dev", "net", "all", "set", "other"],
            namespaces: ["ns0", "/proc/7/ns/net"])
    }

    @Test(
        "commands about Egret's own interfaces and in its endpoints' namespaces are its own",
        arguments: [
            "ip link set egn0 up", "ip link set dev egn0 up", "ip link set egn0 master br7",
            "ip link set br0 type bridge stp_state 0", "bridge link set dev egn0 state 3",
            "ip neighbour del 10.9.0.2 dev br0", "ip address add 192.0.2.7/32 dev br0",
            "sysctl -w net/ipv4/conf/br0/forwarding=1", "sysctl -w net/ipv6/conf/br0/force_forwarding=1",
            "ip -n ns0 link set eth0 up", "ip netns exec ns0 sysctl -w a=1", "nsenter --net=/proc/7/ns/net ip link",
        ])
    func own(command: String) { #expect(isOwn(command)) }

    @Test(
        "commands about others' are theirs, whichever word of them is the name of a network or an endpoint",
        arguments: [
            "ip link set eth0 up", "ip link set dev up", "ip link set eth0 master br0",
            "ip address add 192.0.2.7/32 dev eth0", "ip neighbour del 10.9.0.2 dev eth0",
            "sysctl -w net/ipv4/conf/eth0/forwarding=1", "sysctl -w net/ipv4/conf/all/rp_filter=0",
            "sysctl -w net/ipv6/conf/all/forwarding=1", "ip route del blackhole 10.0.0.0/8",
            "ip -6 route del unicast default", "ip -n ns1 link set egn0 up", "ip netns exec other ip link set egn0 up",
            "nsenter --net=/proc/8/ns/net ip link set egn0 up", "nft add table ip other", "ip netns del ns0",
            "nft delete rule inet other set handle 7", "ip link del br0", "ip", "ip link set", "sysctl -w", "",
            "ip netns exec ns0 nft insert rule ip filter input accept", "nsenter --net=/proc/7/ns/net iptables -F",
            "ip netns exec ns0", "nsenter --net=/proc/7/ns/net",
        ])
    func others(command: String) { #expect(!isOwn(command)) }

    @Test("all commands of a finding count")
    func all() {
        #expect(isOwn("ip link set br0 up", "ip -n ns0 link set eth0 up"))
        #expect(!isOwn("ip link set br0 up", "ip link set eth0 up"))
        #expect(!isOwn())
    }
}
