// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Routes of networks' endpoints: a host with three uplinks, an agent, and two endpoints behind a network.
@Suite("routes of endpoints", .serialized, .requiresRoot)
struct EndpointRouteTests {
    static let helpers = #"""
        mkdir -p /run/egret
        export EGRET_STATE_DIRECTORY=$PWD/state EGRET_AGENT_SOCKET=$PWD/agent.sock
        e() { h $E "$@"; }
        begin() {
            ip netns exec ${P}h $E agent --state $PWD/agent --socket $PWD/agent.sock >>log 2>&1 & agent=$!
            for i in {1..200}; do e get status >/dev/null 2>&1 && return; sleep 0.02; done; cat log
        }
        dies() { kill -9 $agent; wait $agent 2>/dev/null || true; }
        routes() { { printf '%s\n' 'apiVersion: egret.dev/v1' 'kind: EgressPolicy' "metadata: { name: $1 }" 'spec:' \
            "  selects: { matchLabels: { app: $2 } }" '  default: allow' '  routes:'; cat; } > $1.yaml; }
        inside() { ip netns exec $P$1 "${@:2}"; }
        source() { inside $1 bash -c "exec 3<>/dev/tcp/$2/80; echo x >&3; read -t 2 a <&3; echo \$a" 2>/dev/null || echo nothing; }
        network() {
            e network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64 "$@"
            for n in a b; do
                ip netns add $P$n; ip -n $P$n link set lo up
                e network connect br0 $P$n --workload shop/$n --label app=$n >/dev/null
            done
        }
        client() { inside $1 /usr/bin/python3 client.py $2 $3.log & clients="$clients $!"; }
        capture() { for i in 1 2 3; do
            ip netns exec ${P}h tcpdump -ni up$i -Q out --immediate-mode -Z root -U -w up$i.pcap 2>/dev/null & clients="$clients $!"
        done; sleep 0.5; }
        left() {
            h sh -c '{ ip rule; ip -6 rule; } | grep -v "lookup \(local\|main\|default\) *$"; ip route show table all | grep "proto 101"
                nft list tables | grep -v "egret$\|egret-nat$"' || true
            find /run/egret/routes 2>/dev/null || true
            [ $(h cat /proc/sys/net/ipv4/conf/up1/rp_filter) = 1 ] || echo rp_filter
        }
        finish() {
            kill $clients $agent; wait $clients $agent
            e network rm br0 --force
            for n in a b; do
                for i in 1 2 3; do p=$(ip netns pids $P$n 2>/dev/null); [ -z "$p" ] || kill -9 $p; done
                ip netns del $P$n
            done
        } 2>/dev/null
        trap 'finish; cleanup' EXIT

        """#

    private func expect(
        _ script: String, prints expected: String, location: SourceLocation = #_sourceLocation
    ) throws {
        let directory = try TemporaryDirectory()
        let output = try runProgram(
            [
                "unshare", "--mount", "bash", "-c",
                "mount -t tmpfs run /run; cd \(directory.path)\n" + RouteTests.bed + EndpointRouteTests.helpers
                    + script,
            ], timeout: .seconds(300))
        print(output.standardError)
        #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
    }

    static let twoWays = """
        routes one a <<'Y'
          - to: [{ cidr: 198.51.100.0/24 }, { cidr: "2001:db8:100::/64" }]
            via:
            - { gateway: 10.1.0.1, check: { icmp: 172.16.1.2, interval: 500ms, timeout: 300ms, successes: 2 } }
            - { gateway: 10.2.0.1, check: { tcp: "198.51.100.10:80", interval: 500ms, timeout: 300ms, successes: 2 } }
            - { gateway: "fd00:1::1", check: { icmp: "fd01:1::2", interval: 500ms, timeout: 300ms, successes: 2 } }
            - { gateway: "fd00:2::1" }
            fallback: drop
        Y

        """

    @Test(
        "new connections fail over, open ones keep their way, killed agents change nothing, and no source is wrong",
        arguments: ["", "--mode routed"])
    func failover(mode: String) throws {
        try expect(
            """
            network \(mode); begin; capture
            \(EndpointRouteTests.twoWays)
            e apply -f one.yaml | tail -n 1
            client a 198.51.100.10 v4; client a 2001:db8:100::10 v6
            expect v4 '10.1.0.2 10.1.0.2'; expect v6 'fd00:1::2 fd00:1::2'; source b 198.51.100.10
            # Two missed checks and a timeout are 1300 ms; what is tried meanwhile waits for up to half a second.
            silence 1; expect v4 '10.2.0.2 nothing' 2300; expect v6 'fd00:2::2 nothing'
            e get endpoints a -o wide | grep -o 'gateway 10.2.0.1.*given up: [^,]*'
            # Nobody tries the dead way again for a new agent's sake.
            dies; : > v4.log; begin; sleep 0.6; sort -u v4.log
            mend 1; expect v4 '10.1.0.2 10.1.0.2'; expect v6 'fd00:1::2 fd00:1::2'
            # In the middle of a failover.
            silence 1; sleep 0.7; dies; sleep 0.3; begin; expect v4 '10.2.0.2 nothing' 2300; expect v6 'fd00:2::2 nothing'
            # What a dead agent has chosen holds.
            dies; mend 1; sleep 1; expect v4 '10.2.0.2 10.1.0.2'; begin; expect v4 '10.1.0.2 10.1.0.2'
            expect v6 'fd00:1::2 fd00:1::2'
            ip -n ${P}h link set up1 down; expect v4 '10.2.0.2 nothing'; expect v6 'fd00:2::2 nothing'
            kill $clients; wait $clients 2>/dev/null || true; clients=
            packets() { tcpdump -nr up$1.pcap "$2" 2>/dev/null; }
            for i in 1 2 3; do
                echo up$i $(packets $i 'tcp port 80' | grep -oE 'IP6? [0-9a-f.:]+' | sed -E 's/^IP6? //; s/\\.[0-9]+$//' | sort -u)
                packets $i "(ip or ip6) and not (src 10.$i.0.2 or src fd00:$i::2 or src net fe80::/10 or src ::)"
            done
            e delete EgressPolicy/one | tail -n 1; ip -n ${P}h link set up1 up; left
            """,
            prints: """
                revision 1 is in force: 1 object changed, for 1 endpoint
                v4 10.1.0.2 10.1.0.2
                v6 fd00:1::2 fd00:1::2
                10.3.0.2
                v4 10.2.0.2 nothing
                v6 fd00:2::2 nothing
                gateway 10.2.0.1 and gateway fd00:2::1 (given up: gateway 10.1.0.1
                10.2.0.2 nothing
                v4 10.1.0.2 10.1.0.2
                v6 fd00:1::2 fd00:1::2
                v4 10.2.0.2 nothing
                v6 fd00:2::2 nothing
                v4 10.2.0.2 10.1.0.2
                v4 10.1.0.2 10.1.0.2
                v6 fd00:1::2 fd00:1::2
                v4 10.2.0.2 nothing
                v6 fd00:2::2 nothing
                up1 10.1.0.2 fd00:1::2
                up2 10.2.0.2 fd00:2::2
                up3 10.3.0.2
                revision 2 is in force: 1 object changed, for 1 endpoint
                """)
    }

    @Test("source addresses for each endpoint and each destination, single ones and runs of them")
    func sources() throws {
        try expect(
            """
            network; begin
            for i in 70 71 72 73; do ip -n ${P}h addr add 10.3.0.$i/24 dev up3; done
            ip -n ${P}net addr add 198.51.100.11/32 dev lo; for i in 1 2 3; do
                ip -n ${P}net route replace 10.$i.0.0/24 via 172.16.$i.1; done
            routes one a <<'Y'
              - { to: [{ cidr: 198.51.100.10/32 }], ports: [80/tcp], via: { sourceAddress: 10.3.0.70 } }
              - { to: [{ cidr: 198.51.100.11/32 }], via: { gateway: 10.2.0.1, sourceAddress: 10.2.0.77 } }
            Y
            routes two b <<'Y'
              - { to: [{ cidr: 198.51.100.0/24 }], via: { sourceAddress: 10.3.0.71-10.3.0.73 } }
            Y
            e plan -f one.yaml -f two.yaml | grep shop
            e apply -f one.yaml -f two.yaml >/dev/null
            source a 198.51.100.10; source a 198.51.100.11
            source b 198.51.100.10 | sed 's/[123]$/N/'; source b 198.51.100.11 | sed 's/[123]$/N/'
            # Neighbours and the host are on no way.
            inside a ping -c1 -W1 10.9.0.3 >/dev/null && inside a ping -c1 -W1 10.9.0.1 >/dev/null && echo near
            # Other routes, the same rules: nobody is judged anew.
            sed -i s/10.3.0.70/10.3.0.72/ one.yaml; e apply -f one.yaml | grep -o 'shop/a    routes'; source a 198.51.100.10
            e apply -f - <<< "$(sed 's/sourceAddress: 10.3.0.72/interface: wg7/' one.yaml)" 2>&1 | grep -o 'routes: .*'
            source a 198.51.100.10
            e delete EgressPolicy/one EgressPolicy/two >/dev/null; left; source a 198.51.100.10
            """,
            prints: """
                shop/a    egress, routes  -              0
                shop/b    egress, routes  -              0
                10.3.0.70
                10.2.0.77
                10.3.0.7N
                10.3.0.7N
                near
                shop/a    routes
                10.3.0.72
                routes: there is no interface wg7
                10.3.0.72
                10.3.0.2
                """)
    }

    @Test("endpoints with the same routes share them, and what somebody takes away is back within a second")
    func sharing() throws {
        try expect(
            """
            network; begin
            \(EndpointRouteTests.twoWays)
            sed 's/name: one/name: two/; s/app: a/app: b/' one.yaml > two.yaml
            e apply -f one.yaml -f two.yaml >/dev/null
            h nft list table inet egret-routes | grep -c 'chain group'; h ip rule | grep -c fwmark
            client a 198.51.100.10 v4; expect v4 '10.1.0.2 10.1.0.2'
            e delete EgressPolicy/two >/dev/null; source b 198.51.100.10; source a 198.51.100.10
            h nft flush table inet egret-routes; sleep 1; source a 198.51.100.10
            h nft delete table inet egret-routes; h ip rule del priority 500; sleep 1.5
            expect v4 '10.1.0.2 *' | cut -d' ' -f1-2; h ip rule | grep -c fwmark
            grep -q 'nft (process [0-9]*) has changed' log && echo named
            # An endpoint without its policy has its open connections no more: they were on a way that nobody has.
            e delete EgressPolicy/one >/dev/null; expect v4 '10.3.0.2 *' | cut -d' ' -f1-2; left
            """,
            prints: """
                1
                3
                v4 10.1.0.2 10.1.0.2
                10.3.0.2
                10.1.0.2
                10.1.0.2
                v4 10.1.0.2
                3
                named
                v4 10.3.0.2
                """)
    }

    @Test("an agent that starts without a way's interface starts, and takes the way when it comes")
    func late() throws {
        try expect(
            """
            network; begin
            routes one a <<'Y'
              - via: [{ interface: up1, gateway: 10.1.0.1 }, { gateway: 10.2.0.1 }]
            Y
            e apply -f one.yaml >/dev/null; source a 198.51.100.10
            dies; ip -n ${P}h link del up1; begin; source a 198.51.100.10
            join h up1 r1 dn 10.1.0 fd00:1; client a 198.51.100.10 v4; expect v4 '10.1.0.2 *' | cut -d' ' -f1-2
            h sysctl -n net.ipv4.conf.up1.forwarding
            """,
            prints: """
                10.1.0.2
                10.2.0.2
                v4 10.1.0.2
                1
                """)
    }
}
