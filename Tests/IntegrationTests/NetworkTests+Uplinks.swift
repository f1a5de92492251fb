// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Ways out of the host, and whether it passes packets on.
extension NetworkTests {
    @Test("who comes by a second uplink is answered by the main routing table's way, with the address that it asked")
    func secondUplink() throws {
        try expect(
            "nwuplink",
            """
            ip netns add isp2; ip link add eth1 type veth peer name eth0 netns isp2
            ip addr add 198.51.100.1/30 dev eth1; ip link set eth1 up
            ip -n isp2 addr add 198.51.100.2/30 dev eth0; ip -n isp2 link set eth0 up; ip -n isp2 link set lo up
            ip -n isp2 addr add 198.51.100.129/32 dev lo; ip -n isp2 route add default via 198.51.100.1
            sysctl -qw net.ipv4.conf.eth1.rp_filter=0 net.ipv4.conf.all.rp_filter=0
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create; egret publish 8080:80 a
            answer a 80
            asks() { (inside isp2 nc -s $1 -w 2 198.51.100.1 8080 </dev/null || echo $1 hears nothing) | sed 's/::ffff://'; }
            asks 198.51.100.2
            tcpdump -lni eth0 'tcp and src host 198.51.100.1' >elsewhere 2>dumping & dump=$!
            until grep -q listening dumping; do sleep 0.05; done; asks 198.51.100.129; kill $dump; wait $dump 2>/dev/null
            grep -o '198.51.100.1.8080 > 198.51.100.129' elsewhere | sort -u
            ip rule add from 10.9.0.2 lookup 77; ip route add default via 198.51.100.2 dev eth1 table 77
            asks 198.51.100.129
            ip rule del from 10.9.0.2; ip route flush table 77
            ip route add 198.51.100.128/25 via 198.51.100.2; asks 198.51.100.129
            finish; ip netns del isp2
            """,
            prints: """
                a has 10.9.0.2
                198.51.100.2 80
                198.51.100.129 hears nothing
                198.51.100.1.8080 > 198.51.100.129
                198.51.100.129 80
                198.51.100.129 80
                """)
    }

    @Test("forwarding that is off at all routed links comes back by any change, at one of several by restoring")
    func forwardingOff() throws {
        try expect(
            "nwforward",
            """
            egret network create lab --subnet 10.8.0.0/24 --mode routed
            for n in a b; do egret network connect lab $n --create; done
            off() { for n in $@; do sysctl -qw net.ipv4.conf.$n.forwarding=0; done; }
            position() { echo $1 $(sysctl -n net.ipv4.conf.egn0.forwarding net.ipv4.conf.egn1.forwarding); }
            position made
            off egn1; egret publish 8080:80 a 2>/dev/null; position one
            egret network restore 2>/dev/null; position restored
            off egn0 egn1; egret unpublish 8080; position all
            finish
            """,
            prints: """
                a has 10.8.0.2
                b has 10.8.0.3
                made 1 1
                one 1 0
                restored 1 1
                all 1 1
                """)
    }
}
