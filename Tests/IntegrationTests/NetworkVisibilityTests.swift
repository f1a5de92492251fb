// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// What Egret says of translation: what it counts, where it ends, and whom it takes a port from.
@Suite("what is seen of networks", .serialized, .requiresRoot)
struct NetworkVisibilityTests {
    private static let bridge = "egret network create br0 --subnet 192.168.0.0/16; egret network connect br0 $N"

    @Test("the masquerade of a run has live counters, as every rule of Egret's that translates")
    func counters() throws {
        let lab = try DoctorLab(.script(NetworkVisibilityTests.bridge))
        let script = """
            n ping -c1 -W2 8.8.8.8 >/dev/null
            egret run --allow 8.8.8.8:icmp -- ping -c1 -W2 8.8.8.8 >/dev/null 2>&1
            # The network keeps what runs share.
            egret nat ls --owner egret
            """
        let output = try lab.onHost(script).standardOutput
        let rules = output.split(separator: "\n").filter { $0.contains("masquerade") }
        let run = rules.filter { $0.contains("@sources4") }
        #expect(run.count == 1 && rules.count > 3, "\(output)")
        for rule in rules {
            let columns = rule.split(separator: " ").map(String.init)
            #expect(columns.count > 5 && Int(columns[4]) != nil && Int(columns[5]) != nil, "\(rule)")
        }
        #expect(run.allSatisfy { $0.split(separator: " ").dropFirst(4).first != "0" }, "\(run)")
    }

    @Test(
        "with duplicate address detection on, the host reaches a new endpoint by IPv6 at once",
        arguments: ["bridge", "routed"])
    func duplicateAddresses(_ mode: String) throws {
        let lab = try DoctorLab(
            .script(
                """
                for n in $H $N $W; do ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=1; done
                egret network create br0 --mode \(mode) --subnet fd00::/64 --no-masquerade
                egret network connect br0 $N
                ip -6 -o address show dev $([ \(mode) = bridge ] && echo br0 || echo egn0) | grep -q tentative && exit 1
                w ip route add fd00::/64 via 2001:db8:113::2
                """))
        // What is passed on is asked for from the link's own address.
        let ping = try lab.onHost("w ping -c1 -W1 fd00::2")
        #expect(ping.standardOutput.contains("1 received"), "\(ping)")
        let switches = try lab.onHost(
            "cat /proc/sys/net/ipv6/conf/\(mode == "bridge" ? "br0" : "egn0")/accept_dad; "
                + "cat /proc/sys/net/ipv6/conf/{all,default,up0}/accept_dad")
        #expect(switches.standardOutput == "0\n0\n1\n0\n")
    }

    @Test("a source address that the host does not have is warned of, and the doctor names it")
    func absentSource() throws {
        let lab = try DoctorLab(.script("true"))
        let made = try lab.onHost(
            "egret network create br0 --subnet 192.168.0.0/16 --source-address 203.0.113.77; egret network connect br0 $N"
        )
        #expect(made.standardError.contains("warning: 203.0.113.77 is no address of this host"), "\(made)")
        let finding = try #require(try lab.examine([]).report.finding)
        #expect(finding.step == "translation", "\(finding)")
        #expect(finding.seen == "192.168.0.2 leaves the host as 203.0.113.77, which is no address of this host")
        try lab.onHost(finding.commands.joined(separator: "\n"))
        #expect(try lab.examine([]).report.healthy)
        let fine = try lab.onHost(
            "egret network create br1 --subnet 10.1.0.0/24 --source-address 203.0.113.77")
        #expect(fine.standardError == "")
        let some = try lab.onHost(
            "egret network create br2 --subnet 10.2.0.0/24 --source-address 203.0.113.76-203.0.113.77")
        #expect(some.standardError.contains("203.0.113.76 of 203.0.113.76-203.0.113.77 is no address"), "\(some)")
    }

    @Test("when a source address has no port left, nothing leaves, and the doctor, nat ls and the counter say so")
    func exhaustion() throws {
        // `ip netns exec` has mounts of its own: the name that is made in one is of no namespace in the next.
        defer { _ = try? runProgram(["ip", "netns", "del", "other"]) }
        let lab = try DoctorLab(
            .script(
                """
                egret network create br0 --subnet 192.168.0.0/16 --source-address 203.0.113.2
                egret network connect br0 $N
                egret network connect br0 other --create
                w nft add table inet far
                w nft 'add chain inet far input { type filter hook input priority 0; }'
                w nft add rule inet far input tcp dport 80 counter drop
                # Ports below 512 are translated to such.
                n sysctl -qw net.ipv4.ip_unprivileged_port_start=0 net.ipv4.ip_local_port_range="100 500"
                ip netns exec other /usr/bin/python3 -c '
                if True:
                  import socket
                  kept = []
                  for port in range(1, 512):
                    client = socket.socket(); client.setblocking(False); client.bind(("", port))
                    client.connect_ex(("8.8.8.8", 80)); kept.append(client)'
                """))
        let before = try lab.onHost("egret nat ls 2>&1 >/dev/null").standardOutput
        #expect(before == "")
        let finding = try #require(try lab.examine(["--to", "8.8.8.8", "--port", "80"]).report.finding)
        #expect(finding.step == "translation", "\(finding)")
        #expect(finding.seen.contains("no port of 203.0.113.2 is left"), "\(finding)")
        let listing = try lab.onHost("egret nat ls 2>&1 >/dev/null").standardOutput
        #expect(listing.contains("(insert_failed)"), "\(listing)")
        #expect(try lab.examine(["--to", "8.8.8.8"]).report.healthy, "ICMP has its own")
    }

    @Test("publish warns of programs and others' rules that answer at the port")
    func conflicts() throws {
        let lab = try DoctorLab(.script(NetworkVisibilityTests.bridge))
        let output = try lab.onHost(
            """
            /usr/bin/python3 -c 'import socket, time; \
            a = socket.socket(); a.bind(("127.0.0.1", 8080)); a.listen(); \
            b = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); b.bind(("::", 5353)); time.sleep(60)' >/dev/null 2>&1 &
            server=$!; for i in {1..100}; do ss -Hlun | grep -q :5353 && break; sleep 0.05; done
            nft add table ip other
            nft 'add chain ip other in { type nat hook prerouting priority -100; }'
            nft add rule ip other in tcp dport 9090 dnat to 192.168.9.9:90
            for port in 8080:80/tcp 5353:53/udp 9090:90/tcp 9091:91/tcp 8080:80/udp; do
                egret publish $port $N 2>&1 | sed "s|$N|N|; s|^|$port: |"
            done
            egret publish 8080:80 $N --host-ip 203.0.113.2 2>&1 | sed "s/^/at: /"
            kill $server; wait $server || true
            """)
        #expect(
            output.standardOutput == """
                8080:80/tcp: egret: warning: a program of this host listens on 8080/tcp: who asks for that port reaches N \
                from now on, and it no longer
                5353:53/udp: egret: warning: a program of this host listens on 5353/udp: who asks for that port reaches N \
                from now on, and it no longer
                9090:90/tcp: egret: warning: nft table other publishes 9090/tcp too (ip other in): Egret's rule is asked \
                first, so that its clients reach N from now on

                """, "\(output.standardError)")
    }

    @Test("an address with a length is no block of clients, and says what to write")
    func clients() throws {
        let lab = try DoctorLab(.script(NetworkVisibilityTests.bridge))
        let output = try lab.onHost("egret publish 80 $N --from 198.51.100.7/24 || egret publish ls | wc -l")
        #expect(
            output.standardError.contains("198.51.100.7/24 is an address in a block")
                && output.standardError.contains("write --from 198.51.100.0/24 for the block, or --from 198.51.100.7"),
            "\(output)")
        #expect(output.standardOutput == "1\n")
    }
}
