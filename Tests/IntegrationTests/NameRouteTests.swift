// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Connections by name, and questions, which go on from this host, and the routes of policies.
@Suite("routes of connections by name", .serialized, .requiresRoot)
struct NameRouteTests {
    /// Two more uplinks, up7 and up8, each with a router that has the addresses of www.example.test itself: it says by
    /// which way a client came, and from where.
    private static let routing = #"""
        cat >far.py <<'X'
        import socket, socketserver, sys
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while True:
                    line = self.rfile.readline()
                    if not line: return
                    if line.strip(): continue
                    body = ("way%s %s\n" % (sys.argv[1], self.client_address[0].replace("::ffff:", ""))).encode()
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        class Server(socketserver.ThreadingTCPServer):
            address_family = socket.AF_INET6; daemon_threads = True; allow_reuse_address = True
        Server(("::", 80), Handler).serve_forever()
        X
        cat >kept.py <<'X'
        import http.client, sys
        connection = http.client.HTTPConnection("203.0.113.10", timeout=3)
        connection.connect(); connection.auto_open = 0
        for line in sys.stdin:
            try:
                connection.request("GET", "/", headers={"Host": "www.example.test"})
                print(connection.getresponse().read().decode().strip(), flush=True)
            except (OSError, http.client.HTTPException): print("nothing", flush=True)
        X
        cat >server.py <<'X'
        import socket, sys
        s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("198.51.100.77", 53))
        while True:
            d, p = s.recvfrom(4096); n = d.index(0, 12) + 5
            open("asked", "a").write(p[0] + "\n"); s.sendto(d[:2] + b"\x81\x80\0\1\0\0\0\0\0\0" + d[12:n], p)
        X
        far=
        ways() { local i; for i in 7 8; do
            ip netns add way$i; ip link add up$i type veth peer name eth0 netns way$i
            ip addr add 10.$i.0.2/24 dev up$i; ip addr add fd00:$i::2/64 dev up$i nodad; ip link set up$i up
            ip -n way$i link set lo up; ip -n way$i addr add 10.$i.0.1/24 dev eth0
            ip -n way$i addr add fd00:$i::1/64 dev eth0 nodad; ip -n way$i link set eth0 up
            ip -n way$i addr add 203.0.113.10/32 dev lo; ip -n way$i addr add 2001:db8:113::10/128 dev lo nodad
            inside way$i python3 far.py $i >/dev/null 2>&1 & far="$far $!"
            until inside way$i ss -ltn | grep -q :80; do sleep 0.05; done
        done; }
        # What leaves by the main table for the addresses of www.example.test.
        watched() { nft -f - <<'X'
            table inet seen {
                counter v4 { }
                counter v6 { }
                chain out {
                    type filter hook postrouting priority 300;
                    oifname eth0 ip daddr 203.0.113.10 counter name v4
                    oifname eth0 ip6 daddr 2001:db8:113::10 counter name v6
                }
            }
        X
        }
        seen() { nft list counters table inet seen | awk '/packets/ { n += $2 } END { print "by main:", n }'; }
        routed() { policy a '{ domains: [www.example.test] }' " }], routes: [{ to: [$www], fallback: drop, via: [$1] $2" |
            egret apply -f - >/dev/null; }
        www='{ cidr: 203.0.113.10/32 }, { cidr: "2001:db8:113::10/128" }'
        check='interval: 500ms, timeout: 300ms, successes: 2'
        # A reset that comes at once may be the answer to the connection (7) or to the request (56).
        said() { case $1 in 7|56) echo reset;; *) echo "error $1";; esac; }
        text() { inside a curl -s -m 4 $1 http://www.example.test || said $?; }
        turns() { local i; for i in {1..60}; do [ "$(text $1)" = "$2" ] && break; sleep 0.1; done; text $1; }
        silence() { inside way$1 nft "add table inet x; add chain inet x f { type filter hook input priority 0; }
            add rule inet x f icmp type echo-request drop; add rule inet x f icmpv6 type echo-request drop"; }
        mend() { inside way$1 nft delete table inet x; }
        keep() { coproc K { inside a python3 kept.py; }; }
        kept() { echo >&${K[1]}; local line=late; read -t 5 line <&${K[0]}; echo "kept: $line"; }
        over() {
            kill $far $K_PID 2>/dev/null; wait $far 2>/dev/null; nft delete table inet seen
            ip netns del way7; ip netns del way8
        }
        ways

        """#

    private func expect(
        _ name: String, _ script: String, prints expected: String, location: SourceLocation = #_sourceLocation
    ) throws {
        try AgentNameTests().expect(
            name, NameRouteTests.routing + script, prints: expected, leavesAll: true, location: location)
    }

    @Test("connections by name leave by the ways of routes, with their sources; open ones keep theirs in a failover")
    func ways() throws {
        try expect(
            "anways",
            #"""
            lab; start
            routed "{ gateway: 10.7.0.1, check: { icmp: 10.7.0.1, $check } }, { gateway: 10.8.0.1, check: { icmp: 10.8.0.1, $check } },
                { gateway: 'fd00:7::1', check: { icmp: 'fd00:7::1', $check } }, { gateway: 'fd00:8::1', check: { icmp: 'fd00:8::1', $check } }"
            get b http://203.0.113.10; watched; text -4; text -6; keep; kept
            # A connection that says another name goes nowhere.
            get a --resolve other.example.test:80:203.0.113.10 http://other.example.test
            # New connections take the next way; the open one keeps its own.
            silence 7; turns -4 'way8 10.8.0.2'; turns -6 'way8 fd00:8::2'; kept
            # A new agent has the same ways, and no connection of the former one.
            killed; start; turns -4 'way8 10.8.0.2'
            # No way is left: the client hears so at once.
            silence 8; turns -4 reset; turns -6 reset; seen
            mend 7; turns -4 'way7 10.7.0.2'; turns -6 'way7 fd00:7::2'
            # The link itself goes, and comes back.
            ip -n way7 link set eth0 down; turns -4 reset; ip -n way7 link set eth0 up; turns -4 'way7 10.7.0.2'
            seen; over; finish
            """#,
            prints: """
                b: 200
                way7 10.7.0.2
                way7 fd00:7::2
                kept: way7 10.7.0.2
                a: 403
                way8 10.8.0.2
                way8 fd00:8::2
                kept: way7 10.7.0.2
                way8 10.8.0.2
                reset
                reset
                by main: 0
                way7 10.7.0.2
                way7 fd00:7::2
                reset
                way7 10.7.0.2
                by main: 0
                """)
    }

    @Test("source addresses, changes of routes, others' changes, and questions to servers that routes cover")
    func departures() throws {
        try expect(
            "andeparts",
            #"""
            lab; start
            ip addr add 10.8.0.77/24 dev up8
            routed '{ gateway: 10.7.0.1 }'; watched; text -4; keep; kept
            # The way of the open connection is nobody's any more: its client hears so.
            routed '{ gateway: 10.8.0.1, sourceAddress: 10.8.0.77 }'; kept; text -4
            # Without the table of routes, and without its routing rules, nothing leaves otherwise.
            nft delete table inet egret-routes; ip rule del priority 500; text -4 | grep -c 'hello\|way7'
            turns -4 'way8 10.8.0.77'
            # A server that the client means is asked by the way there; one that is asked instead, by the main table.
            ip -n way8 addr add 198.51.100.77/32 dev lo; inside way8 python3 server.py & far="$far $!"
            until inside way8 ss -lun | grep -q :53; do sleep 0.05; done
            policy a '{ domains: [www.example.test] }' " }, { action: allow, to: [{ cidr: 198.51.100.77/32 }], ports: [53/udp] }],
                routes: [{ to: [{ cidr: 198.51.100.0/24 }], via: [{ gateway: 10.8.0.1, sourceAddress: 10.8.0.77 }]" |
                egret apply -f - >/dev/null
            ask a @198.51.100.77 www.example.test; cat asked; ask a @203.0.113.53 www.example.test; wc -l <asked; seen
            # Without routes it is as it was.
            allow a www.example.test; get a -4 http://www.example.test; nft list tables | grep -c egret-routes; over; finish
            """#,
            prints: """
                way7 10.7.0.2
                kept: way7 10.7.0.2
                kept: nothing
                way8 10.8.0.77
                0
                way8 10.8.0.77
                status: NOERROR
                10.8.0.77
                status: NOERROR
                1
                by main: 0
                a: 200
                0
                """)
    }

    @Test("in a run connections by name leave by its ways, with their sources, fail over, and leave nothing behind")
    func run() throws {
        try expect(
            "nrways",
            #"""
            ip addr add 10.8.0.77/24 dev up8; watched
            cat >run.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: p }
            spec:
              egress: [{ action: allow, to: [{ domains: [www.example.test] }] }]
              routes:
              - to: [$www]
                fallback: drop
                via:
                - { gateway: 10.7.0.1, check: { icmp: 10.7.0.1, $check } }
                - { gateway: 10.8.0.1, sourceAddress: 10.8.0.77, check: { icmp: 10.8.0.1, $check } }
                - { gateway: "fd00:7::1" }
            X
            policed() { egret run --report none --dns 198.51.100.20 -f run.yaml -- "$@"; }
            policed curl -s -m 4 -4 http://www.example.test; policed curl -s -m 4 -6 http://www.example.test
            policed curl -s -m 4 -o /dev/null -w '%{http_code}\n' -H 'Host: other.example.test' http://www.example.test
            cat >loop.sh <<'X'
            while sleep 0.2; do curl -s -m 3 -4 http://www.example.test || case $? in 7|56) echo reset;; *) echo error;; esac; done
            X
            egret run --report none --dns 198.51.100.20 -f run.yaml -- bash -c "$(cat loop.sh)" >log & run=$!
            last() { local i; for i in {1..100}; do [ "$(tail -n 1 log)" = "$1" ] && break; sleep 0.1; done; tail -n 1 log; }
            last 'way7 10.7.0.2'; silence 7; last 'way8 10.8.0.77'; silence 8; last reset
            mend 7; last 'way7 10.7.0.2'
            kill $run; wait $run; seen; over
            { ip rule; ip -6 rule; } | grep -c fwmark; nft list tables | grep -c 'egret[0-9]'
            """#,
            prints: """
                way7 10.7.0.2
                way7 fd00:7::2
                403
                way7 10.7.0.2
                way8 10.8.0.77
                reset
                way7 10.7.0.2
                by main: 0
                0
                0
                """)
    }
}
