// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Hosts of other kinds than the usual one.
@Suite("a run on a host with particular ways", .serialized, .requiresRoot)
struct RunNetworkTests {
    private let fetch = "curl -sS -m 5 http://203.0.113.10/"
    private let hello = "hello from web1 to 192.0.2.2\n"

    @Test("the first packets of a command meet the policy: a connect at once reaches nobody")
    func firstPackets() throws {
        try withInternet("nfirst") { internet in
            let isp = try Gate(to: .isp, of: internet)
            let output = try internet.script(
                """
                f=$(mktemp)
                timeout 60 nsenter --net=\(isp.path) tcpdump --immediate-mode -Z root -Uni home -w $f \
                    'host 198.51.100.66' 2>$f.log & dump=$!
                until grep -q listening $f.log; do sleep 0.05; done
                for i in {1..25}; do
                    egret run --report none --allow 203.0.113.10 -- bash -c 'echo x >/dev/udp/198.51.100.66/4444;
                        (exec 3<>/dev/tcp/198.51.100.66/4444) 2>/dev/null & sleep 0.01' &
                    egret run --report none --allow 203.0.113.10 -- /usr/bin/python3 -Sc '
                import socket
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("198.51.100.66", 53))' &
                    wait %2 %3 2>/dev/null; wait $! 2>/dev/null
                done
                nsenter --net=\(isp.path) ping -c1 -W1 192.0.2.2 >/dev/null
                egret run --report none --allow 198.51.100.66 -- bash -c 'echo x >/dev/udp/198.51.100.66/4444'
                sleep 0.3; kill $dump; wait $dump 2>/dev/null
                # The last one alone, which is allowed, shows that the capture works.
                tcpdump -nr $f 'dst host 198.51.100.66 and not icmp' 2>/dev/null | wc -l; rm $f $f.log
                """.replacing("                import", with: "import").replacing(
                    "                socket", with: "socket"))
            #expect(output.standardOutput == "1\n", "\(output.standardError)")
            withExtendedLifetime(isp) {}
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("where the uplink takes small packets, the run's link does too, and a large transfer works")
    func smallPackets() throws {
        try withInternet("nmtu") { internet in
            let isp = try Gate(to: .isp, of: internet)
            let output = try internet.script(
                """
                ip link set eth0 mtu 1300
                nsenter --net=\(isp.path) ip link set home mtu 1300
                egret run --report none --allow 203.0.113.10:80 --allow '[2001:db8:113::10]:80' -- sh -c '
                    ip -o link show eth0 | grep -o "mtu [0-9]*"
                    head -c 2000000 /dev/zero >/tmp/egret-mtu-$$
                    curl -sS -m 10 --data-binary @/tmp/egret-mtu-$$ http://203.0.113.10/ -o /dev/null -w "%{size_upload}\\n"
                    curl -sS -m 10 "http://[2001:db8:113::10]/bytes/2000000" | wc -c; rm /tmp/egret-mtu-$$'
                """)
            #expect(output.standardOutput == "mtu 1300\n2000000\n2000000\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test(
        "a host without IPv6 runs with IPv4",
        arguments: [
            "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6",
            "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6",
            "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6",
            "ip -6 route flush all",
        ])
    func withoutIPv6(_ change: String) throws {
        try withInternet("nsix") { internet in
            let output = try internet.script(
                "\(change); egret run --report none --allow 203.0.113.10 -- \(fetch); egret gc >/dev/null")
            #expect(output.standardOutput == hello, "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test(
        "a host whose routes take the private blocks, or halves of the internet, still has room for runs",
        arguments: [
            "10.0.0.0/8", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
            "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10",
            "0.0.0.0/1 128.0.0.0/1", "2000::/3 fd65:6772:6574::/48", "8000::/1 ::/1",
        ])
    func occupied(_ blocks: String) throws {
        try withInternet("nroutes") { internet in
            let output = try internet.script(
                """
                for b in \(blocks); do
                    case $b in *::*) ip route add $b via 2001:db8:ffff::1 ;; *) ip route add $b via 192.0.2.1 ;; esac
                done
                egret run --report none --allow 203.0.113.10 -- \(fetch)
                egret run --report none --allow 203.0.113.10 -- ip -o addr show eth0 | grep -cE 'inet (10|172|192)[.]'
                """)
            #expect(output.standardOutput.hasPrefix(hello), "\(output.standardError)")
            if blocks.contains("100.64") { #expect(output.standardOutput.hasSuffix("\n0\n")) }
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test(
        "a resolv.conf that is a link, missing or leads nowhere is no reason to fail",
        arguments: ["ln -s ../run/elsewhere.conf", "ln -s /nowhere/at/all", "true"])
    func resolverFile(_ make: String) throws {
        try withInternet("nresolv") { internet in
            // A view of /etc of its own: the machine's file is not touched.
            let output = try internet.script(
                """
                unshare -m bash -c '
                    umount /etc/resolv.conf 2>/dev/null; d=$(mktemp -d); cp -a /etc/. $d/; mount --bind $d /etc
                    rm -f /etc/resolv.conf; cp \(internet.directory)/resolv.conf /run/elsewhere.conf
                    \(make) /etc/resolv.conf
                    egret run --report none --allow 203.0.113.53:53/udp -- getent ahostsv4 www.example.test | head -1 | cut -c1-12
                    egret run --report none -- echo ran
                    umount -l /etc; rm -rf $d; rm /run/elsewhere.conf'
                """)
            let found = make.contains("elsewhere") ? "203.0.113.10\n" : ""
            #expect(output.standardOutput == found + "ran\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }
}
