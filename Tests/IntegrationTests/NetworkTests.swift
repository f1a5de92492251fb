// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Networks, as a user makes them: the lab that Egret began with.
@Suite("a network", .serialized, .requiresRoot)
struct NetworkTests {
    /// Servers that answer with the address they are asked from.
    static let helpers = """
        export EGRET_STATE_DIRECTORY=$PWD/state
        inside() { ip netns exec "$@"; }
        outside() { nsenter --net=$ISP "$@"; }
        answer() {
            inside $1 /usr/bin/python3 -uc 'import socketserver as s, sys, socket
        class H(s.BaseRequestHandler):
            def handle(h): h.request.sendall(("%s %d\\n" % (h.client_address[0], h.server.server_address[1])).encode())
        class U(s.BaseRequestHandler):
            def handle(h): h.request[1].sendto(("%s\\n" % h.client_address[0]).encode(), h.client_address)
        class T6(s.ThreadingTCPServer): address_family = socket.AF_INET6; allow_reuse_address = True
        class U6(s.ThreadingUDPServer): address_family = socket.AF_INET6
        import threading
        for p in sys.argv[1:]: threading.Thread(target=T6(("::", int(p)), H).serve_forever).start()
        U6(("::", 53), U).serve_forever()' $2 $3 $4 &
            for i in {1..200}; do inside $1 ss -Hlun | grep -q ':53 ' && break; sleep 0.05; done
        }
        # Two networks, and `a` on both: the first leads out.
        two() {
            egret network create $1 --subnet 10.9.0.0/24; egret network create $2 --subnet 10.8.0.0/24
            egret network connect $1 a --create; egret network connect $2 a --interface eth1
        }
        ask() { timeout 2 bash -c 'exec 3<>/dev/tcp/$0/$1 && cat <&3' "$@" 2>/dev/null | sed 's/::ffff://' || true; }
        finish() { kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; egret network rm $(egret network ls -o json |
            grep -o '"name" : "[^"]*"' | cut -d'"' -f4) --force 2>/dev/null; find $EGRET_STATE_DIRECTORY -mindepth 1; }

        """

    func expect(
        _ name: String,
        _ script: String,
        prints expected: String,
        location: SourceLocation = #_sourceLocation
    ) throws {
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let isp = try Gate(to: .isp, of: internet)
            let output = try internet.script(
                "cd \(directory.path)\nISP=\(isp.path)\n" + NetworkTests.helpers + script, timeout: .seconds(240))
            withExtendedLifetime(isp) {}
            #expect(
                output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
            let remains = try internet.remains()
            #expect(remains == "", sourceLocation: location)
        }
    }

    @Test("whom the host hears: on a link of its own nobody speaks as a neighbour, in both families")
    func speakers() throws {
        try expect(
            "speakers",
            """
            cat >say.py <<'PY'
            import socket, sys
            family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
            s = socket.socket(family, socket.SOCK_DGRAM); s.bind((sys.argv[1], 0)); s.sendto(b"x", (sys.argv[2], 99))
            PY
            cat >hear.py <<'PY'
            import socket
            s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(("::", 99))
            while True: print(s.recvfrom(9)[1][0].replace("::ffff:", ""), flush=True)
            PY
            for mode in bridge routed; do
                egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64 --mode $mode
                for n in a b; do egret network connect br0 $n --create >/dev/null; done
                inside a ip link set lo up
                /usr/bin/python3 hear.py >heard & hearing=$!
                until ss -Hlun | grep -q ':99 '; do sleep 0.05; done
                for address in 10.9.0.3 203.0.113.9 fd00:9::3 2001:db8:9::9; do inside a ip addr add $address dev lo nodad; done
                for address in 10.9.0.2 10.9.0.3 203.0.113.9; do inside a /usr/bin/python3 say.py $address 10.9.0.1; done
                for address in fd00:9::2 fd00:9::3 2001:db8:9::9; do inside a /usr/bin/python3 say.py $address fd00:9::1; done
                sleep 0.3; kill $hearing; wait $hearing 2>/dev/null || true
                echo $mode: $(sort -u heard)
                egret network rm br0 --force; ip netns del a; ip netns del b
            done
            finish
            """,
            prints: """
                bridge: 10.9.0.2 10.9.0.3 2001:db8:9::9 fd00:9::2 fd00:9::3
                routed: 10.9.0.2 fd00:9::2
                """)
    }

    @Test("the lab: a namespace behind a bridge gets no answer until somebody translates its address")
    func lab() throws {
        try expect(
            "nwlab",
            """
            egret network create br0 --subnet 192.168.0.0/16 --no-masquerade
            egret network connect br0 ns0 --create
            inside ns0 ping -c1 -W1 192.168.0.1 >/dev/null && echo reaches the gateway
            inside ns0 ping -c1 -W1 203.0.113.10 >/dev/null || echo no answer
            egret network rm br0 --force
            egret network create br0 --subnet 192.168.0.0/16 --subnet fd00:16::/64
            egret network connect br0 ns0 --create --ip 192.168.0.2
            inside ns0 ping -c1 -W2 203.0.113.10 >/dev/null && echo an answer
            inside ns0 ping -c1 -W2 2001:db8:113::10 >/dev/null && echo an answer by IPv6
            inside ns0 curl -sS -m5 http://203.0.113.10/
            egret nat ls --owner egret | grep -c 'br0-out .* masquerade'
            finish
            """,
            prints: """
                ns0 has 192.168.0.2
                reaches the gateway
                no answer
                ns0 has 192.168.0.2 and fd00:16::2
                an answer
                an answer by IPv6
                hello from web1 to 192.0.2.2
                4
                """)
    }

    @Test("published ports are reached from outside, from the host, from the network and from the endpoint itself")
    func publishing() throws {
        try expect(
            "nwpub",
            """
            egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network connect br0 a --create >/dev/null; egret network connect br0 b --create >/dev/null
            answer a 80 9000 9001
            egret publish 8080:80/tcp a; egret publish 8000-8001:9000-9001 a; egret publish 5300:53/udp a
            egret publish 8081:80 a --host-ip 192.0.2.2; egret publish 8082:80 a --from 198.51.100.0/24
            echo own $(ask 192.0.2.2 8080); echo lo $(ask 127.0.0.1 8080); echo six $(ask ::1 8080)
            echo range $(ask 192.0.2.2 8000) $(ask 192.0.2.2 8001); echo at $(ask 192.0.2.2 8081)
            echo not at $(ask 10.9.0.1 8081); echo not from $(ask 192.0.2.2 8082)
            echo same $(inside b bash -c "$(declare -f ask); ask 192.0.2.2 8080")
            echo self $(inside a bash -c "$(declare -f ask); ask 192.0.2.2 8080")
            echo out $(outside bash -c "$(declare -f ask); ask 192.0.2.2 8080")
            echo out six $(outside bash -c "$(declare -f ask); ask 2001:db8:ffff::2 8080")
            outside ip route add 10.9.0.0/24 via 192.0.2.2
            echo not past the ports $(outside bash -c "$(declare -f ask); ask 10.9.0.2 80")
            echo udp $(echo | timeout 2 nc -u -w1 192.0.2.2 5300 | sed 's/::ffff://')
            egret publish 8080:81 a 2>&1 | head -1
            egret unpublish 8080/tcp; echo gone $(ask 192.0.2.2 8080)
            egret publish ls | tail -n +2
            finish
            """,
            prints: """
                own 192.0.2.2 80
                lo 10.9.0.1 80
                six
                range 192.0.2.2 9000 192.0.2.2 9001
                at 192.0.2.2 80
                not at
                not from
                same 10.9.0.1 80
                self 10.9.0.1 80
                out 192.0.2.1 80
                out six 2001:db8:ffff::1 80
                not past the ports
                udp 192.0.2.2
                egret: 8080/tcp is published already, for a
                gone
                8000-8001/tcp       a          9000-9001  everyone
                5300/udp            a          53         everyone
                192.0.2.2:8081/tcp  a          80         everyone
                8082/tcp            a          80         198.51.100.0/24
                """)
    }

    @Test(
        "a client of UDP that was there before the port is published gets through, and a new endpoint inherits nothing")
    func staleConnections() throws {
        let client =
            "import socket, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.2)\n"
            + "for i in range(30):\n s.sendto(b'x', ('192.0.2.2', 5300))\n try:\n  print(s.recv(99).decode().strip())\n  break\n"
            + " except OSError: time.sleep(0.1)"
        try expect(
            "nwstale",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create
            answer a 80
            outside /usr/bin/python3 -uc "\(client)" & client=$!
            sleep 0.7; egret publish 5300:53/udp a; wait $client
            inside a ping -c1 203.0.113.10 >/dev/null; conntrack -L 2>/dev/null | grep -c 10.9.0.2
            egret network disconnect br0 a; conntrack -L 2>/dev/null | grep -c 10.9.0.2
            finish
            """,
            prints: """
                a has 10.9.0.2
                ::ffff:192.0.2.1
                2
                0
                """)
    }

    @Test(
        "an endpoint of two networks reaches the members of both, and is reached by the ports of both",
        arguments: ["bridge", "routed"])
    func twoNetworks(mode: String) throws {
        try expect(
            "nwtwo",
            """
            egret network create br0 --mode \(mode) --subnet 10.9.0.0/24
            egret network create br1 --mode \(mode) --subnet 10.8.0.0/24 --subnet fd00:8::/64
            for n in a b; do
                egret network connect br0 $n --create; egret network connect br1 $n --interface eth1
            done
            for to in 10.9.0.3 10.8.0.3 fd00:8::3; do inside a ping -c1 -W2 $to >/dev/null && echo $to answers; done
            inside a ping -c1 -W2 203.0.113.10 >/dev/null && echo outside answers
            inside a ip route get 10.8.0.3 | grep -o 'src [0-9.]*'
            egret doctor b --to 10.8.0.2 | tail -1
            answer b 80; egret publish 8080:80 b --network br0; ask 192.0.2.2 8080
            egret publish 8081:80 b --network br1 2>&1; ask 192.0.2.2 8081
            outside bash -c "$(declare -f ask); ask 192.0.2.2 8081"
            egret network disconnect br0 a
            for to in 10.8.0.3 203.0.113.10; do inside a ping -c1 -W2 $to >/dev/null && echo $to still answers; done
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2 and fd00:8::2
                b has 10.9.0.3
                b has 10.8.0.3 and fd00:8::3
                10.9.0.3 answers
                10.8.0.3 answers
                fd00:8::3 answers
                outside answers
                src 10.8.0.2
                Nothing is in the way.
                192.0.2.2 80
                192.0.2.2 80
                192.0.2.1 80
                10.8.0.3 still answers
                203.0.113.10 still answers
                """)
    }

    @Test("a routed network routes between its endpoints, an isolated one lets nobody out")
    func modes() throws {
        try expect(
            "nwmodes",
            """
            egret network create lab --mode routed --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network connect lab a --create; egret network connect lab b --create
            try() { inside $1 ping -c1 -W1 $2 >/dev/null 2>&1 && echo $1 reaches $2 || echo $1 does not reach $2; }
            try a 10.9.0.3; try a fd00:9::3; try b 203.0.113.10; try b 2001:db8:113::10; try b 10.9.0.1
            egret network create cell --subnet 10.8.0.0/24 --isolated
            egret network connect cell c --create; egret network connect cell d --create
            try c 10.8.0.3; try c 10.8.0.1; try c 203.0.113.10; try a 10.8.0.2
            inside c ip route add default via 10.8.0.1; try c 203.0.113.10; try c 10.9.0.2
            egret network disconnect lab a; try b 10.9.0.2
            egret network connect lab e --create
            finish
            """,
            prints: """
                a has 10.9.0.2 and fd00:9::2
                b has 10.9.0.3 and fd00:9::3
                a reaches 10.9.0.3
                a reaches fd00:9::3
                b reaches 203.0.113.10
                b reaches 2001:db8:113::10
                b reaches 10.9.0.1
                c has 10.8.0.2
                d has 10.8.0.3
                c reaches 10.8.0.3
                c reaches 10.8.0.1
                c does not reach 203.0.113.10
                a does not reach 10.8.0.2
                c does not reach 203.0.113.10
                c does not reach 10.9.0.2
                b does not reach 10.9.0.2
                e has 10.9.0.2 and fd00:9::2
                """)
    }

    @Test("source addresses: a network's own, and an endpoint's own")
    func sources() throws {
        try expect(
            "nwsnat",
            """
            outside ip route add 192.0.2.20/31 via 192.0.2.2
            ip addr add 192.0.2.20/32 dev eth0; ip addr add 192.0.2.21/32 dev eth0
            egret network create br0 --subnet 10.9.0.0/24 --source-address 192.0.2.20
            egret network connect br0 a --create >/dev/null
            egret network connect br0 b --create --source-address 192.0.2.21 >/dev/null
            inside a curl -sS -m5 http://203.0.113.10/; inside b curl -sS -m5 http://203.0.113.10/
            egret network inspect br0 | grep source
            finish
            """,
            prints: """
                hello from web1 to 192.0.2.20
                hello from web1 to 192.0.2.21
                  source addresses: 192.0.2.20
                """)
    }

    @Test("what is kept is made again after a restart: networks, Egret's namespaces, published ports")
    func restart() throws {
        try expect(
            "nwboot",
            """
            ip netns add other
            egret network create br0 --subnet 10.9.0.0/24; egret network create lab --mode routed --subnet 10.8.0.0/24
            egret network connect br0 a --create; egret network connect br0 other; egret network connect lab a --interface eth1
            egret publish 8080:80 a --network br0
            # The machine stops: nothing is left but the files, which are from another start.
            ip link del br0; ip netns del a; ip netns del other; nft flush ruleset; rm -r /run/egret
            for n in $(ls /sys/class/net | grep egn); do ip link del $n 2>/dev/null; done
            sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.netfilter.nf_conntrack_acct=0
            sysctl -qw net.ipv6.conf.eth0.force_forwarding=0 2>/dev/null
            sed -i 's/"bootID" : ".*"/"bootID" : "another"/' $EGRET_STATE_DIRECTORY/*/*.json
            echo >/run/netns/a
            egret network restore 2>&1
            inside a curl -sS -m5 http://203.0.113.10/
            answer a 80; ask 192.0.2.2 8080
            egret network ls | tail -n +2
            finish
            """,
            prints: """
                a has 10.9.0.2
                other has 10.9.0.3
                a has 10.8.0.2
                egret: restored br0 with 1 namespaces and 1 published ports
                egret: restored lab with 1 namespaces and 0 published ports
                hello from web1 to 192.0.2.2
                192.0.2.2 80
                br0   bridge  10.9.0.0/24          1          1
                lab   routed  10.8.0.0/24          1          0
                """)
    }

    @Test("after a restart nobody on another's bridge loses the address that an endpoint had, until it is free")
    func restartBesideOthers() throws {
        try expect(
            "nwretake",
            """
            bridge() { ip link add virbr0 type bridge; ip addr add 10.7.0.1/24 dev virbr0
                ip addr add fd00:7::1/64 dev virbr0 nodad; ip link set virbr0 up; }
            bridge; egret network create virbr0 --adopt
            for n in a b; do egret network connect virbr0 $n --create; done
            # The machine is started again, and while the endpoints were away somebody else has taken an address.
            for n in a b; do ip netns del $n; done; ip link del virbr0; nft flush ruleset; rm -r /run/egret
            sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.netfilter.nf_conntrack_acct=0
            sysctl -qw net.ipv6.conf.eth0.force_forwarding=0 2>/dev/null
            sed -i 's/"bootID" : ".*"/"bootID" : "another"/' $EGRET_STATE_DIRECTORY/*/*.json
            bridge; ip netns add quiet; ip link add q type veth peer name eth0 netns quiet; ip link set q master virbr0 up
            ip -n quiet addr add fd00:7::3/64 dev eth0 nodad; ip -n quiet link set eth0 up
            its() { sed "s/$(ip -n quiet -o link show eth0 | grep -o 'ether [^ ]*' | cut -c7-)/its hardware/"; }
            egret network restore 2>&1 | its
            inside a ping -c1 -W1 10.7.0.1 >/dev/null && echo a is back
            egret network inspect virbr0 2>&1 >/dev/null | its
            ip -n quiet addr del fd00:7::3/64 dev eth0; egret network restore 2>&1
            inside b ping -c1 -W1 fd00:7::1 >/dev/null && echo b is back
            ip netns del quiet; egret network rm virbr0 --force; ip link del virbr0
            finish
            """,
            prints: """
                a has 10.7.0.2 and fd00:7::2
                b has 10.7.0.3 and fd00:7::3
                egret: b of virbr0 is still to be restored: fd00:7::3 is in use on virbr0, by its hardware
                egret: restored virbr0 with 1 namespaces and 0 published ports
                a is back
                b is back
                """)
    }

    @Test("an endpoint says who it is to policies, and its labels change while it is there")
    func identity() throws {
        try expect(
            "nwid",
            """
            egret network create br0 --subnet 10.9.0.0/24
            egret network connect br0 a --create --workload shop/web --label app=web --label tier=front \\
                --port-name http=8080/tcp --port-name dns=53/udp
            egret network connect br0 b --create
            egret network connect br0 c --create --workload shop/web 2>&1 | head -1
            egret network connect br0 c --create --label app 2>&1 | head -1
            egret network connect br0 c --create --port-name http=0 2>&1 | head -1
            egret network label br0 a tier- app=api
            egret network label br0 a 'app=not good' 2>&1 | head -1
            egret network label br0 c app=web 2>&1 | head -1
            egret network inspect br0 | tail -n 3
            egret network inspect br0 -o json | grep -A3 '"ports"'
            finish
            """,
            prints: """
                a has 10.9.0.2
                b has 10.9.0.3
                egret: shop/web is the name of an endpoint of br0 already
                egret: “app” is no label
                egret: “http=0” names no port
                egret: “not good” cannot be the value of a label
                egret: c is not connected to br0
                  NAMESPACE  INTERFACE  ADDRESSES  HOST END  WORKLOAD   LABELS
                  a          eth0       10.9.0.2   egn0      shop/web   app=api
                  b          eth0       10.9.0.3   egn1      default/b
                      "ports" : [
                        "http=8080/tcp",
                        "dns=53/udp"
                      ],
                """)
    }

    @Test("what others have made is never removed: bridges, namespaces, addresses")
    func ofOthers() throws {
        try expect(
            "nwours",
            """
            named() { ip netns list | cut -d' ' -f1; }
            ip link add docker0 type bridge
            egret network create docker0 --subnet 10.9.0.0/24 2>&1 | head -1; ip -o link | grep -c docker0
            egret network create br0 --subnet 10.9.0.0/24
            egret network connect br0 a --create; ip netns del a; ip netns add a
            while ip link show egn0 >/dev/null 2>&1; do sleep 0.02; done
            egret network restore 2>&1; named
            egret network connect br0 a; egret network disconnect br0 a; named
            egret network connect br0 d --create; egret network create br1 --subnet 10.8.0.0/24
            egret network connect br1 d --interface eth1; egret network disconnect br0 d; named | grep -c d
            egret network disconnect br1 d; named | grep -c d
            ip addr add 10.7.0.1/24 dev docker0; ip link set docker0 up
            ip link add m0 type veth peer name eth0 netns a; ip link set m0 master docker0 up
            ip -n a addr add 10.7.0.2/24 dev eth0; ip -n a link set eth0 up; sleep 0.2; ping -c1 -W2 10.7.0.2 >/dev/null
            egret network create docker0 --adopt; egret network connect docker0 m --create
            finish >/dev/null; ip -o link show docker0 | wc -l; ip link del docker0; ip link del m0; ip netns del a
            """,
            prints: """
                egret: the host has an interface docker0 already
                1
                a has 10.9.0.2
                egret: gave up a of br0: its namespace is gone
                a
                a has 10.9.0.2
                a
                d has 10.9.0.2
                d has 10.8.0.2
                1
                0
                m has 10.7.0.3
                1
                """)
    }

    @Test("what cannot be restored waits, and keeps nobody else from it")
    func waiting() throws {
        try expect(
            "nwwait",
            """
            egret network create br0 --subnet 10.9.0.0/24
            egret network connect br0 e --create; egret network connect br0 f --create
            egret publish 8080:80 f; egret publish 8081:80 e
            restart() {
                ip link del br0; ip netns del e; ip netns del f; nft flush ruleset; rm -r /run/egret
                for n in $(ls /sys/class/net | grep egn); do ip link del $n 2>/dev/null; done
                sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.netfilter.nf_conntrack_acct=0
                sysctl -qw net.ipv6.conf.eth0.force_forwarding=0 2>/dev/null
                sed -i 's/"bootID" : ".*"/"bootID" : "another"/' $EGRET_STATE_DIRECTORY/*/*.json
            }
            restart
            ip netns add e; ip link add x0 type veth peer name eth0 netns e
            egret network restore 2>&1
            answer f 80; ask 192.0.2.2 8080
            ip link del x0
            egret network restore 2>&1
            answer e 80; ask 192.0.2.2 8081
            egret network disconnect br0 e; ip netns list | cut -d' ' -f1 | grep -c e
            ip netns del e; egret network connect br0 e --create >/dev/null; egret publish 8081:80 e
            kill $(jobs -p); wait 2>/dev/null
            for i in 1 2 3 4 5 6; do
                restart
                egret network restore 2>/dev/null & sleep 0.0$i; kill -9 $! 2>/dev/null; wait $! 2>/dev/null
            done 2>/dev/null
            egret network restore 2>/dev/null; egret network ls | tail -n +2
            answer f 80; ask 192.0.2.2 8080
            finish
            """,
            prints: """
                e has 10.9.0.2
                f has 10.9.0.3
                egret: e of br0 is still to be restored: e has an interface eth0 already
                egret: restored br0 with 1 namespaces and 1 published ports
                192.0.2.2 80
                192.0.2.2 80
                1
                br0   bridge  10.9.0.0/24          2          2
                192.0.2.2 80
                """)
    }

    @Test("a restoration that was stopped before a namespace had its name goes on, and is not taken for another's")
    func unfinished() throws {
        try expect(
            "nwhalf",
            """
            waits() { python3 -c 'import glob, json, sys
            for path in glob.glob(sys.argv[1] + "/*/br0.json"):
                record = json.load(open(path))
                for endpoint in record["endpoints"]: endpoint["stage"] = "waiting"
                json.dump(record, open(path, "w"))' $EGRET_STATE_DIRECTORY; }
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 f --create
            # As it is between the two: noted with the cookie of a namespace that is gone, and a file that holds nothing.
            ip netns del f; while ip link show egn0 >/dev/null 2>&1; do sleep 0.02; done; : > /run/netns/f
            waits
            # What somebody has mounted there stays.
            : > other; mount --bind other /run/netns/f; egret network restore 2>&1 | grep -o 'f of br0 is still to be restored'
            umount /run/netns/f
            egret network restore 2>/dev/null; egret network ls | tail -n +2
            ip netns exec f ping -c 1 -W 1 10.9.0.1 | grep -o '1 received'
            # Who has removed it meanwhile does not want it.
            ip netns del f; while ip link show egn0 >/dev/null 2>&1; do sleep 0.02; done
            waits
            egret network restore 2>&1; egret network ls | tail -n +2
            finish
            """,
            prints: """
                f has 10.9.0.2
                f of br0 is still to be restored
                br0   bridge  10.9.0.0/24          1          0
                1 received
                egret: gave up f of br0: its namespace is gone
                br0   bridge  10.9.0.0/24          0          0
                """)
    }

    @Test("what somebody has mounted where a namespace was to come again stays when its endpoint is taken away")
    func mountedByOthers() throws {
        try expect(
            "nwmount",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 f --create
            ip netns del f; while ip link show egn0 >/dev/null 2>&1; do sleep 0.02; done; : > /run/netns/f
            python3 -c 'import glob, json, sys
            for path in glob.glob(sys.argv[1] + "/*/br0.json"):
                record = json.load(open(path))
                for endpoint in record["endpoints"]: endpoint["stage"] = "waiting"
                json.dump(record, open(path, "w"))' $EGRET_STATE_DIRECTORY
            : > other; mount --bind other /run/netns/f
            egret network disconnect br0 f 2>&1 | grep -o 'f of br0 is still to be restored'
            grep -c ' /run/netns/f ' /proc/self/mountinfo; egret network ls | tail -n +2
            umount /run/netns/f; rm /run/netns/f
            finish
            """,
            prints: """
                f has 10.9.0.2
                f of br0 is still to be restored
                1
                br0   bridge  10.9.0.0/24          0          0
                """)
    }

    @Test("what others remove comes back, and addresses of namespaces that are gone are given again")
    func repair() throws {
        try expect(
            "nwmend",
            """
            egret network create br0 --subnet 10.9.0.0/24
            ip netns add a; egret network connect br0 a; egret network connect br0 b --create
            egret publish 8080:80 b
            # The kernel takes a namespace's links away some time after its name.
            ip netns del a; while ip link show egn0 >/dev/null 2>&1; do sleep 0.02; done
            egret network connect br0 c --create 2>&1
            ip link del br0
            egret network restore 2>&1
            nft flush ruleset
            egret network restore 2>&1
            inside b curl -sS -m5 http://203.0.113.10/
            answer b 80; ask 192.0.2.2 8080
            egret network restore 2>&1
            # Who lives in a namespace does not lose it with its link.
            ip -n b link del eth0; egret network connect br0 d --create 2>&1
            ask 192.0.2.2 8080; ip -n b -br -4 addr show eth0 | awk '{ print $3 }'
            ip link set egn0 address 02:00:00:00:00:77; egret network restore 2>&1 | sed 's/ instead of .*//'
            egret network disconnect br0 b; ip netns list | grep -c '^b'
            # Who is disconnected has no link, whatever somebody calls it by now.
            ip netns add e; egret network connect br0 e; ip link set $(ip -br link | grep -o '^egn[0-9]*' | tail -n1) name renamed
            egret network disconnect br0 e; ip -br link | grep -c renamed; ip netns del e
            finish
            """,
            prints: """
                a has 10.9.0.2
                b has 10.9.0.3
                egret: gave up a of br0: its namespace is gone
                c has 10.9.0.2
                egret: made the bridge br0 again, which somebody had removed
                egret: put the rules of br0 back, which somebody had removed
                hello from web1 to 192.0.2.2
                192.0.2.2 80
                egret: the link of b to br0 is gone, and the namespace is not: it gets another
                d has 10.9.0.4
                192.0.2.2 80
                10.9.0.3/24
                egret: put right for c of br0: egn0, the host's end of eth0, has another hardware address: 02:00:00:00:00:77
                0
                e has 10.9.0.3
                0
                """)
    }

    @Test("what somebody was killed while disconnecting goes with the next command, which says so; its namespace stays")
    func leftHalfDisconnected() throws {
        try expect(
            "nwending",
            """
            egret network create br0 --subnet 10.9.0.0/24; ip netns add a; egret network connect br0 a
            egret publish 8080:80 a; mac=$(ip -o link show dev egn0 | grep -o 'link/ether [^ ]*' | cut -d' ' -f2)
            echo "egn0 $mac" >/run/egret/net-$(stat -Lc %d-%i /proc/self/ns/net)/ending
            egret network restore 2>&1; egret network ls | tail -n +2; ip -br link | grep -c egn; ip netns list | grep -c '^a'
            egret network restore 2>&1; egret network connect br0 a
            finish; ip netns del a
            """,
            prints: """
                a has 10.9.0.2
                egret: gave up a of br0: somebody had begun to take it away
                br0   bridge  10.9.0.0/24          0          0
                0
                1
                a has 10.9.0.2
                """)
    }

    @Test("a network's file that is damaged keeps nobody from the others, and nothing of that network is lost")
    func damagedFile() throws {
        try expect(
            "nwdamage",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network create br1 --subnet 10.8.0.0/24
            ip netns add b; ip netns add c; egret network connect br0 a --create; egret network connect br1 b
            egret network connect br1 a --interface eth1; egret publish 8080:80 a --network br0
            file=$(echo $EGRET_STATE_DIRECTORY/*/br0.json); cp $file good; echo '{' >$file
            egret network ls 2>/dev/null | tail -n +2; egret network ls >/dev/null 2>&1 || echo exit $?
            egret network inspect br1 -o json 2>/dev/null | grep -c '"namespace"'
            egret network inspect br0 2>&1 | grep -o 'br0.json is damaged'
            egret doctor | grep -o 'br0.json is damaged'
            egret network disconnect br1 a 2>/dev/null; ip netns list | grep -c '^a'
            egret network connect br1 c 2>/dev/null
            for name in br0 br2; do
                egret network create $name --subnet 10.7.0.0/24 2>&1 | grep -c 'may be in the way'
            done
            egret publish 8080:80 b 2>&1 | grep -c 'may be in the way'
            egret network restore 2>/dev/null || echo exit $?
            egret network rm br1 --force 2>/dev/null; cat $file
            ip -br link | grep -cE '^(br0|egn0)'; egret nat ls --owner egret | grep -cE 'br0-out .* masquerade|publish-1'
            cp good $file; egret network restore 2>/dev/null && egret network ls | tail -n +2
            finish; ip netns del b; ip netns del c
            """,
            prints: """
                a has 10.9.0.2
                b has 10.8.0.2
                a has 10.8.0.3
                br1   bridge  10.8.0.0/24          2          0
                exit 1
                2
                br0.json is damaged
                br0.json is damaged
                1
                c has 10.8.0.3
                1
                1
                1
                exit 1
                {
                2
                3
                br0   bridge  10.9.0.0/24          1          1
                """)
    }

    @Test("a bridge that somebody has renamed gets its name back, with its addresses, and there is no second one")
    func renamedBridge() throws {
        try expect(
            "nwcalled",
            """
            egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network connect br0 a --create
            # The kernel takes the IPv6 addresses of a link that is set down.
            rename() { ip link set br0 down; ip link set br0 name lan0; ip link set lan0 up; }
            rename; egret network connect br0 b --create 2>&1
            ip link show lan0 2>&1 | grep -o 'does not exist'
            ip -br -6 addr show dev br0 scope global | awk '{ print $3 }'
            inside a ping -c1 -W2 10.9.0.3 >/dev/null && echo a reaches b
            inside a curl -sS -m5 http://203.0.113.10/
            # Whoever has the name by now keeps it.
            rename; ip link add br0 type bridge; egret network connect br0 c --create 2>&1
            ip link del br0; egret network restore 2>&1
            inside b curl -sS -m5 http://203.0.113.10/
            # It goes with its network, whatever it is called.
            rename; egret network rm br0 --force 2>&1; ip -br link | grep -cE 'br0|lan0'
            finish
            """,
            prints: """
                a has 10.9.0.2 and fd00:9::2
                egret: put right: the bridge br0 was called lan0
                egret: put right: br0 has lost fd00:9::1/64
                b has 10.9.0.3 and fd00:9::3
                does not exist
                fd00:9::1/64
                a reaches b
                hello from web1 to 192.0.2.2
                egret: warning: the network br0 cannot be mended: the interface br0 is another one than Egret made; rename or remove it; the network's bridge then comes back
                egret: the interface br0 is another one than Egret made
                       rename or remove it; the network's bridge then comes back
                egret: put right: the bridge br0 was called lan0
                egret: put right: br0 has lost fd00:9::1/64
                hello from web1 to 192.0.2.2
                egret: put right: the bridge br0 was called lan0
                egret: put right: br0 has lost fd00:9::1/64
                0
                """)
    }

    @Test("twenty at once get twenty addresses, and killed at any moment nothing is broken or left")
    func concurrency() throws {
        try expect(
            "nwmany",
            """
            egret network create br0 --subnet 10.9.0.0/24
            for i in $(seq 20); do egret network connect br0 n$i --create >/dev/null & done; wait
            egret network inspect br0 | grep -o '10\\.9\\.0\\.[0-9]* ' | sort -u | wc -l
            for i in $(seq 20); do inside n$i ping -c1 -W2 203.0.113.10 >/dev/null || echo n$i has no answer; done
            egret network rm br0 --force
            for i in $(seq 25); do
                egret network create br1 --subnet 10.9.0.0/24 --mode $([ $((i % 2)) = 0 ] && echo bridge || echo routed) &
                sleep 0.00$((i % 8)); [ $((i % 3)) = 0 ] && kill -9 $! 2>/dev/null; wait $! 2>/dev/null
                egret network connect br1 k --create >/dev/null 2>&1 &
                sleep 0.0$((i % 3))$((i % 10)); [ $((i % 3)) = 1 ] && kill -9 $! 2>/dev/null; wait $! 2>/dev/null
                egret network rm br1 --force >/dev/null 2>&1 &
                sleep 0.0$((i % 2))$((i % 10)); [ $((i % 3)) = 2 ] && kill -9 $! 2>/dev/null; wait $! 2>/dev/null
                egret network restore 2>/dev/null || echo broken after $i
                egret network rm br1 --force 2>/dev/null
                ip -o link | grep -E 'br1|egn'; ip netns list | grep -w k && ip netns del k
            done 2>/dev/null
            finish
            """,
            prints: """
                20
                """)
    }

    @Test("documents make networks, all or none, and a second time nothing")
    func documents() throws {
        try expect(
            "nwdocs",
            """
            cat >two.yaml <<'END'
            apiVersion: egret.dev/v1
            kind: Network
            metadata: { name: br0 }
            spec: { subnets: [{ cidr: 10.9.0.0/24, gateway: 10.9.0.254 }, "fd00:9::/64"], mtu: 1400 }
            ---
            { "apiVersion": "egret.dev/v1", "kind": "Network", "metadata": { "name": "lab" },
              "spec": { "mode": "routed", "subnets": ["10.8.0.0/24"], "masquerade": false } }
            END
            egret network apply -f two.yaml; egret network apply -f two.yaml
            egret network ls -o wide | tail -n +2 | tr -s ' '
            ip -o link show br0 | grep -o 'mtu [0-9]*'
            sed 's/1400/1500/; s/name: br0/name: br0/' two.yaml >other.yaml
            egret network apply -f other.yaml 2>&1 | head -1
            egret network rm br0 lab
            sed 's/10.8.0.0.24/10.9.0.128\\/25/' two.yaml | egret network apply -f - 2>&1; egret network ls | tail -n +2
            sed 's/mtu/mut/; s/routed/rooted/; s/fd00:9::.64/fd00:9::1\\/64/; s/"masquerade": false/"adopt": 3/' two.yaml >bad.yaml
            egret network apply -f bad.yaml 2>&1 | grep -o 'bad.yaml:[0-9:]* [a-z]*'; egret network ls | tail -n +2
            egret explain -f two.yaml --to 192.0.2.1 --port 1/tcp 2>&1 | grep -o 'a Network is no policy' | sort -u
            finish
            """,
            prints: """
                br0 created
                lab created
                br0 unchanged
                lab unchanged
                br0 bridge 10.9.0.0/24 fd00:9::/64 0 0 10.9.0.254 fd00:9::1 masquerade
                lab routed 10.8.0.0/24 0 0 10.8.0.1 none
                mtu 1400
                egret: the network br0 is there and is another one
                egret: 10.9.0.128/25 overlaps 10.9.0.0/24 of the network br0
                bad.yaml:4:63: error
                bad.yaml:4:80: error
                bad.yaml:7:21: error
                bad.yaml:7:68: error
                a Network is no policy
                """)
    }

    @Test("a bridge of somebody else is used as it is, and stays as it is")
    func adoption() throws {
        try expect(
            "nwadopt",
            """
            ip link add virbr0 type bridge; ip addr add 10.7.0.1/24 dev virbr0; ip link set virbr0 up
            state() { ip -d link show virbr0 | grep -o 'stp_state [0-9]*\\|mtu [0-9]*'; ip -4 -o addr show virbr0; sysctl -n net.ipv4.conf.virbr0.route_localnet net.ipv4.conf.virbr0.forwarding; }
            state >before
            egret network create virbr0 --adopt
            egret network connect virbr0 a --create
            inside a curl -sS -m5 http://203.0.113.10/
            egret publish 8080:80 a
            egret network rm virbr0 --force
            state | diff before - && echo as before
            ip link del virbr0
            finish
            """,
            prints: """
                a has 10.7.0.2
                hello from web1 to 192.0.2.2
                as before
                """)
    }

    @Test("a bridge of somebody else that takes an endpoint's hardware address is warned of, with what ends it")
    func borrowedAddress() throws {
        try expect(
            "nwborrow",
            """
            ip link add virbr0 type bridge; ip addr add 10.7.0.1/24 dev virbr0; ip link set virbr0 up
            hardware() { ip -o link show virbr0 | grep -o 'ether [^ ]*'; }
            egret network create virbr0 --adopt; ip netns add a; ip netns add b
            mend=$(egret network connect virbr0 a 2>&1 | grep -o 'ip link set dev virbr0 address .*')
            $mend; hardware >before
            egret network connect virbr0 b 2>&1; inside b ping -c1 -W2 10.7.0.1 >/dev/null && echo an answer
            egret network disconnect virbr0 a; hardware | diff before - && echo as before
            inside b ping -c1 -W2 10.7.0.1 >/dev/null && echo an answer
            finish; ip link del virbr0; ip netns del a; ip netns del b
            """,
            prints: """
                b has 10.7.0.3
                an answer
                as before
                an answer
                """)
    }

    @Test("an endpoint gives the host no routes and takes no other's address; only Egret's own interfaces are told so")
    func ownSwitches() throws {
        try expect(
            "nwswitch",
            """
            sysctl -qw net.ipv6.conf.default.accept_ra=1 net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.rp_filter=0
            sysctl -n net.ipv6.conf.{all,default,lo,eth0}.accept_ra net.ipv4.conf.{all,default,lo,eth0}.rp_filter >before
            ip link add virbr0 type bridge; ip addr add 10.7.0.1/24 dev virbr0; ip link set virbr0 up
            switches() { echo $1 $(cd /proc/sys/net; cat ipv6/conf/$1/accept_ra ipv4/conf/$1/{rp_filter,route_localnet}); }
            # A router advertisement with a prefix, as radvd sends it.
            advertise() {
                inside $1 /usr/bin/python3 -c 'import socket, struct, time
            s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            s.setsockopt(41, socket.IPV6_MULTICAST_HOPS, 255)
            prefix = struct.pack("!BBBBIII", 3, 4, 64, 0xc0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8:bad::")
            for i in range(60):
                try: s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix, ("ff02::1%eth0", 0)); break
                except OSError: time.sleep(0.1)'; sleep 0.2
                ip -6 route | grep -qE "^default.*proto ra|bad::" && echo $1 gives the host routes || echo $1 gives no routes
            }
            # A datagram to the host from a source of the sender's making.
            hear() {
                /usr/bin/python3 - "$@" <<'END'
            import socket, subprocess, sys
            s = socket.socket(2, 2); s.bind(("", 7777)); s.settimeout(0.4)
            code = "import socket, sys; t = socket.socket(2, 2); t.setsockopt(0, 19, 1); t.bind((sys.argv[1], 0)); " \\
                "t.sendto(b'x', (sys.argv[2], 7777))"
            subprocess.run(["ip", "netns", "exec", sys.argv[1], "/usr/bin/python3", "-c", code] + sys.argv[2:])
            try: print("the host hears", s.recvfrom(9)[1][0])
            except TimeoutError: print("the host hears nothing")
            END
            }
            foreign() { nft list counter inet egret br0-foreign-source | grep -o 'packets [0-9]*'; }
            egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network create lab --subnet 10.8.0.0/24 --subnet fd00:8::/64 --mode routed
            egret network create virbr0 --adopt 2>&1
            for n in br0:a lab:b lab:c virbr0:v; do egret network connect ${n%:*} ${n#*:} --create; done
            egret publish 8080:80 a; switches br0; switches egn0; switches egn1; switches virbr0
            advertise a; advertise b; advertise v
            hear a 10.9.0.2 10.9.0.1; hear a 198.51.100.9 10.9.0.1; hear b 10.8.0.3 10.8.0.1; hear b 10.8.0.2 10.8.0.1
            hear a 198.51.100.9 203.0.113.10; foreign
            sysctl -qw net.ipv4.conf.br0.rp_filter=0 net.ipv4.conf.egn1.rp_filter=0
            hear a 198.51.100.9 10.9.0.1; hear b 10.8.0.3 10.8.0.1; hear a 198.51.100.9 203.0.113.10; foreign
            egret unpublish 8080; switches br0
            grep -cE 'br0/(accept_ra|rp_filter)' /run/egret/net-*/switches
            egret network rm br0 --force; egret network disconnect lab c
            grep -cE '/(br0|egn0|egn2)/' /run/egret/net-*/switches
            sysctl -n net.ipv6.conf.{all,default,lo,eth0}.accept_ra net.ipv4.conf.{all,default,lo,eth0}.rp_filter |
                diff before - && echo elsewhere as before
            egret network rm lab virbr0 --force; switches virbr0; ip link del virbr0
            finish
            """,
            prints: """
                egret: warning: virbr0 takes router advertisements: whoever is on it can give the host routes; that ends with: sysctl -w net/ipv6/conf/virbr0/accept_ra=0
                a has 10.9.0.2 and fd00:9::2
                b has 10.8.0.2 and fd00:8::2
                c has 10.8.0.3 and fd00:8::3
                v has 10.7.0.2
                br0 0 1 1
                egn0 0 0 0
                egn1 0 1 0
                virbr0 1 0 0
                a gives no routes
                b gives no routes
                v gives the host routes
                the host hears 10.9.0.2
                the host hears nothing
                the host hears nothing
                the host hears 10.8.0.2
                the host hears nothing
                packets 0
                the host hears 198.51.100.9
                the host hears 10.8.0.3
                the host hears nothing
                packets 1
                br0 0 0 0
                0
                0
                elsewhere as before
                virbr0 1 0 0
                """)
    }

    @Test("a network is shown with what its bridge's packets meet, as the kernel has it")
    func inspection() throws {
        try expect(
            "nwinspect",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network create lab --subnet 10.8.0.0/24 --mode routed
            egret network inspect br0 | grep nf-call
            ip link set br0 type bridge nf_call_iptables 1; sysctl -qw net.bridge.bridge-nf-call-ip6tables=0
            egret network inspect br0 | grep nf-call
            egret network inspect br0 -o json | tr -d ' \\n' | grep -o '"bridgeFiltering":{[^}]*}[^}]*}[^}]*}}'
            sysctl -qw net.bridge.bridge-nf-call-ip6tables=1
            egret network inspect lab -o json | grep -c bridgeFiltering
            finish
            """,
            prints: """
                  bridge-nf-call-iptables: 0 for this bridge, 1 for all bridges
                  bridge-nf-call-ip6tables: 0 for this bridge, 1 for all bridges
                  bridge-nf-call-arptables: 0 for this bridge, 1 for all bridges
                  bridge-nf-call-iptables: 1 for this bridge, 1 for all bridges
                  bridge-nf-call-ip6tables: 0 for this bridge, 0 for all bridges
                  bridge-nf-call-arptables: 0 for this bridge, 1 for all bridges
                "bridgeFiltering":{"arptables":{"bridge":false,"everywhere":true},"ip6tables":{"bridge":false,"everywhere":false},"iptables":{"bridge":true,"everywhere":true}}
                0
                """)
    }

    @Test("on a bridge of somebody else no address is given that a machine has there, however silent it is")
    func silentMachines() throws {
        try expect(
            "nwsilent",
            """
            ip link add virbr0 type bridge; ip link set virbr0 up
            ip addr add 10.7.0.1/24 dev virbr0; ip addr add fd00:7::1/64 dev virbr0 nodad
            ip netns add quiet; ip link add q type veth peer name eth0 netns quiet; ip link set q master virbr0 up
            for a in 2 3 5; do
                ip -n quiet addr add 10.7.0.$a/24 dev eth0; ip -n quiet addr add fd00:7::$((a + 4))/64 dev eth0 nodad
            done
            ip -n quiet addr add fd00:7::2/64 dev eth0 nodad; ip -n quiet link set eth0 up
            known() { ip neigh show dev virbr0 | grep -cE '10.7|fd00'; ip -n quiet neigh show | grep -cE '10.7|fd00'; }
            egret network create virbr0 --adopt; known
            start=$(date +%s%N)
            egret network connect virbr0 a --create; egret network connect virbr0 b --create
            [ $(($(date +%s%N) - start)) -lt 5000000000 ] && echo in time; known
            egret network connect virbr0 c --create --ip 10.7.0.5 2>&1 |
                sed "s/$(ip -n quiet -o link show eth0 | grep -o 'ether [^ ]*' | cut -c7-)/its hardware/"
            egret network connect virbr0 c --create --ip 10.7.0.77 --ip fd00:7::77
            ip link set virbr0 down; egret network connect virbr0 d --create
            ip netns del quiet; egret network rm virbr0 --force; ip link del virbr0
            finish
            """,
            prints: """
                0
                0
                a has 10.7.0.4 and fd00:7::3
                b has 10.7.0.6 and fd00:7::4
                in time
                0
                0
                egret: 10.7.0.5 is in use on virbr0, by its hardware
                       ask for another, or leave --ip out
                c has 10.7.0.77 and fd00:7::77
                d has 10.7.0.2 and fd00:7::2
                """)
    }

    @Test("what is open through a port when it is withdrawn goes on; nothing new comes in")
    func openConnections() throws {
        try expect(
            "nwopen",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create >/dev/null
            inside a /usr/bin/python3 -uc 'import socketserver as s, threading
            class T(s.StreamRequestHandler):
                def handle(h):
                    for line in h.rfile: h.wfile.write(b"tcp " + line)
            class U(s.BaseRequestHandler):
                def handle(h): h.request[1].sendto(b"udp " + h.request[0], h.client_address)
            threading.Thread(target=s.ThreadingTCPServer(("", 80), T).serve_forever).start()
            s.UDPServer(("", 53), U).serve_forever()' &
            for i in {1..200}; do inside a ss -Hlun | grep -q ':53 ' && break; sleep 0.05; done
            egret publish 8080:80 a; egret publish 5300:53/udp a
            outside /usr/bin/python3 -uc 'import os, socket, time
            def ask(s, text):
                try: s.send(text); return s.recv(99).decode().strip()
                except OSError: return "no answer"
            def connect(kind, port):
                s = socket.socket(socket.AF_INET, kind); s.settimeout(1)
                try: s.connect(("192.0.2.2", port))
                except OSError: pass
                return s
            old = [connect(socket.SOCK_STREAM, 8080), connect(socket.SOCK_DGRAM, 5300)]
            print([ask(s, b"before\\n") for s in old]); open("asked", "w").close()
            while not os.path.exists("withdrawn"): time.sleep(0.02)
            print([ask(s, b"after\\n") for s in old])
            print([ask(s, b"new\\n") for s in [connect(socket.SOCK_STREAM, 8080), connect(socket.SOCK_DGRAM, 5300)]])' &
            client=$!; until [ -e asked ]; do sleep 0.02; done
            egret unpublish 8080; egret unpublish 5300/udp; egret publish ls | tail -n +2; touch withdrawn; wait $client
            egret network disconnect br0 a; conntrack -L 2>/dev/null | grep -c 10.9.0.2
            finish
            """,
            prints: """
                ['tcp before', 'udp before']
                ['tcp after', 'udp after']
                ['no answer', 'no answer']
                0
                """)
    }

    @Test("what is kept for a network namespace that is gone is collected, and for no other")
    func collection() throws {
        try expect(
            "nwgc",
            """
            count() { ls $EGRET_STATE_DIRECTORY | grep -c '^networks-'; }
            gc() { egret gc | sed -E 's,[^ ]*/(networks|net)-[-0-9]+,\\1,'; }
            # ip netns exec would have a mount namespace of its own for the name of the one that is made.
            within() { nsenter --net=/run/netns/$1 "${@:2}"; }
            for n in gone held; do ip netns add $n; within $n egret network create br0 --subnet 10.5.0.0/24; done
            within gone egret network connect br0 inner --create; ip netns list | grep -c '^inner'
            gc; count
            exec 9</run/netns/held; ip netns del gone; ip netns del held
            gc; count; ip netns list | grep -c '^inner'
            exec 9<&-; gc; count
            # Of an earlier start of the machine, whatever has the number now.
            mkdir -p $EGRET_STATE_DIRECTORY/networks-99999999; gc; count
            echo '{' | tee $EGRET_STATE_DIRECTORY/networks-4.json >$EGRET_STATE_DIRECTORY/networks-x; gc
            rm $EGRET_STATE_DIRECTORY/networks-{4.json,x}
            finish
            """,
            prints: """
                inner has 10.5.0.2
                1
                nothing to remove
                2
                removed networks
                removed net
                1
                0
                removed networks
                removed net
                0
                removed networks
                0
                nothing to remove
                """)
    }

    @Test("a link that somebody was killed while making is collected without its note, and no other")
    func strayLinks() throws {
        try expect(
            "nwstray",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create; ip netns add b
            begun() { ip link add egn$1 address $2:00:00:00:$1 type veth peer name ${3:-x$1} ${4:+netns $4}; }
            left() { echo left $(ip -o link | grep -o ': egn[0-9]*' | cut -c3- | sort); }
            begun 17 fe:ff eth0 b; begun 18 fe:ff; ip link set egn18 up; begun 19 02:00
            egret gc; left; egret network connect br0 b; begun 20 fe:ff; egret network restore 2>&1; left
            ip link del egn18; ip link del egn19; ip netns del b
            finish
            """,
            prints: """
                a has 10.9.0.2
                removed egn17
                left egn0 egn18 egn19
                b has 10.9.0.3
                egret: removed egn20, a link that somebody has left half made
                left egn0 egn1 egn18 egn19
                """)
    }

    @Test("runs and networks share the host: the end of one leaves the other what it needs")
    func besideRuns() throws {
        try expect(
            "nwruns",
            """
            begin() {
                rm -f ran
                egret run --report none --allow 203.0.113.10 -- \\
                    sh -c 'echo begun; sleep 1; curl -sS -m5 http://203.0.113.10/' >ran & run=$!
                until grep -qs begun ran; do sleep 0.05; done
            }
            begin; egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create
            wait $run; tail -1 ran
            inside a curl -sS -m5 http://203.0.113.10/
            egret run --report none --allow 10.9.0.0/24 -- ping -c1 -W1 10.9.0.2 >/dev/null || echo not from a run
            begin; egret network rm br0 --force
            wait $run; echo $?; tail -1 ran
            finish
            """,
            prints: """
                a has 10.9.0.2
                hello from web1 to 192.0.2.2
                hello from web1 to 192.0.2.2
                not from a run
                0
                hello from web1 to 192.0.2.2
                """)
    }

    @Test("what cannot be is refused with a reason and what to do, and nothing is changed")
    func refusals() throws {
        try expect(
            "nwbad",
            """
            no() { egret "$@" 2>&1 >/dev/null | sed -n 's/^egret: //p' | head -1; }
            no network create br0
            no network create br0 --subnet 10.9.0.0
            no network create br0 --subnet 10.9.0.1/24
            no network create br0 --subnet 10.9.0.0/31
            no network create br0 --subnet 127.0.0.0/8
            no network create br0 --subnet 192.0.2.0/25
            no network create br0 --subnet 10.9.0.0/24 --gateway 10.9.1.1
            no network create br0 --subnet 10.9.0.0/24 --gateway 10.9.0.255
            no network create br0 --subnet 10.9.0.0/24 --subnet 10.8.0.0/24
            no network create 'br 0' --subnet 10.9.0.0/24
            no network create egret0 --subnet 10.9.0.0/24
            no network create abcdefghijklmnop --subnet 10.9.0.0/24
            no network create eth0 --subnet 10.9.0.0/24
            no network create br0 --adopt
            no network create eth0 --adopt
            egret network create br0 --subnet 10.9.0.0/29
            no network create br0 --subnet 10.8.0.0/24
            no network create br1 --subnet 10.9.0.0/16
            no network connect br9 a --create
            no network connect br0 a
            no network connect br0 pid:999999
            no network connect br0 /etc/passwd
            no network connect br0 /proc/self/ns/net
            egret network connect br0 a --create
            no network connect br0 a
            no network connect br0 b --create --ip 10.9.0.2
            no network connect br0 b --create --ip 10.9.0.7
            no network connect br0 b --create --ip 10.8.0.2
            for n in c d e f; do egret network connect br0 $n --create; done >/dev/null
            no network connect br0 g --create
            no network rm br0
            egret network rm br9 2>&1 | tail -1
            no publish 8080:80 z
            no publish 8080-8081:80 a
            no publish 0:80 a
            no publish 80/icmp a
            no unpublish 8080/tcp
            finish
            """,
            prints: """
                the network has no addresses
                “10.9.0.0” is no block of addresses
                10.9.0.1/24 is an address in a block
                10.9.0.0/31 has no room for a gateway and an endpoint
                127.0.0.0/8 cannot be a network's addresses
                192.0.2.0/25 overlaps 192.0.2.0/30, which the host has an address in or a route to
                the gateway 10.9.1.1 is in none of the subnets
                the gateway 10.9.0.255 is not an address that a machine in 10.9.0.0/24 can have
                a network has one subnet of each family at most
                “br 0” cannot be the name of a network
                “egret0” is a name that Egret gives its own interfaces
                “abcdefghijklmnop” cannot be the name of a network
                the host has an interface eth0 already
                the host has no bridge br0
                eth0 is no bridge
                there is a network br0 already
                10.9.0.0/16 overlaps 10.9.0.0/29 of the network br0
                there is no network br9
                there is no network namespace named a
                process 999999 has no network namespace that can be opened
                /etc/passwd is no network namespace: cannot enter namespace net: EINVAL (Invalid argument)
                /proc/self/ns/net is this host's own network namespace, which the networks are in
                a has 10.9.0.2
                a is connected to br0 already
                10.9.0.2 is taken
                10.9.0.7 is not an address that a machine in 10.9.0.0/29 can have
                10.8.0.2 is not in the network
                10.9.0.0/29 is full
                br0 is connected to a, c, d, e, f
                       did you mean br0?
                z is not connected to any network
                the two ranges of “8080-8081:80” differ in size
                “0:80” is not HOST-PORT:PORT/PROTOCOL; write 8080:80/tcp
                the protocol of “80/icmp” is not tcp, udp or sctp
                nothing is published at 8080/tcp
                """)
    }
}
