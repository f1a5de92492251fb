// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// Namespaces of several networks, and what comes back after it was gone.
extension NetworkTests {
    @Test("a namespace leaves by the network that it was connected to first, whatever the networks are called")
    func firstLeadsOut() throws {
        try expect(
            "nwfirst",
            """
            two zz aa
            way() { echo $(ip -n a route show default | cut -d' ' -f3,5; ip -n a rule |
                grep -o 'from [0-9.]* lookup' | cut -d' ' -f2); }
            way
            ip -n a route del default; egret network restore 2>/dev/null; way
            ip netns del a; ip link del aa; ip link del zz; nft flush ruleset; rm -r /run/egret
            for n in $(ls /sys/class/net | grep egn); do ip link del $n 2>/dev/null; done
            sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.netfilter.nf_conntrack_acct=0
            sysctl -qw net.ipv6.conf.all.forwarding=0; sysctl -qw net.ipv6.conf.eth0.force_forwarding=0 2>/dev/null
            sed -i 's/"bootID" : ".*"/"bootID" : "another"/' $EGRET_STATE_DIRECTORY/*/*.json
            egret network restore 2>/dev/null; way
            egret network disconnect zz a; way; egret network connect zz a; way
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                10.9.0.1 eth0 10.8.0.2
                10.9.0.1 eth0 10.8.0.2
                10.9.0.1 eth0 10.8.0.2
                10.8.0.1 eth1
                a has 10.9.0.2
                10.8.0.1 eth1 10.9.0.2
                """)
    }

    @Test(
        "callers from outside are answered by the network whose port they ask, also after a restart of the link",
        arguments: ["bridge", "routed"])
    func answersByTheirNetwork(mode: String) throws {
        try expect(
            "nwanswer",
            """
            egret network create br0 --mode \(mode) --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network create br1 --mode \(mode) --subnet 10.8.0.0/24 --subnet fd00:8::/64
            egret network connect br0 a --create; egret network connect br1 a --interface eth1
            asks() { echo $1 $(outside bash -c "$(declare -f ask); ask 192.0.2.2 $2; ask 2001:db8:ffff::2 $2"); }
            led() { echo led $( (ip -n a rule; ip -n a -6 rule) | grep -o 'from [0-9a-f.:]* lookup [0-9]' | cut -d' ' -f2); }
            answer a 80; egret publish 8080:80 a --network br0 2>&1; egret publish 8081:80 a --network br1 2>&1
            asks first 8080; asks second 8081; led
            ip -n a rule del from 10.8.0.2; ip -n a link set eth1 down; asks lost 8081
            egret network restore 2>/dev/null
            # The kernel makes sure that nobody else has the address (RFC 4862 section 5.4).
            for i in {1..50}; do [ -z "$(ip -n a -6 address show tentative)" ] && break; sleep 0.1; done
            asks restored 8081; led; egret network restore 2>&1
            ip -n a rule add from 10.8.0.2 lookup main priority 100
            egret publish 8082:80 a --network br1 2>&1 | cut -d: -f2,3
            egret network disconnect br1 a; led; ip -n a rule | grep -c 'from 10.8.0.2 lookup main'
            finish
            """,
            prints: """
                a has 10.9.0.2 and fd00:9::2
                a has 10.8.0.2 and fd00:8::2
                first 192.0.2.1 80 2001:db8:ffff::1 80
                second 192.0.2.1 80 2001:db8:ffff::1 80
                led 10.8.0.2 fd00:8::2
                lost
                restored 192.0.2.1 80 2001:db8:ffff::1 80
                led 10.8.0.2 fd00:8::2
                 warning: a answers from 10.8.0.2 by eth0, and br0 refuses what is not from its own addresses
                led
                1
                """)
    }

    @Test("ports of the networks that stay are reached when the way out passes from one to another")
    func answersAfterPassing() throws {
        try expect(
            "nwpass",
            """
            for n in 7 8 9; do egret network create br$n --subnet 10.$n.0.0/24; done
            egret network connect br9 a --create; egret network connect br8 a --interface eth1
            egret network connect br7 a --interface eth2; answer a 80
            for n in 7 8 9; do egret publish 808$n:80 a --network br$n 2>&1; done
            asks() { for n in 7 8 9; do echo $n $(outside bash -c "$(declare -f ask); ask 192.0.2.2 808$n"); done
                echo $(ip -n a rule | grep -o 'from [0-9.]* lookup' | cut -d' ' -f2); }
            asks; egret network disconnect br9 a; asks; egret network rm br8 --force; asks
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                a has 10.7.0.2
                7 192.0.2.1 80
                8 192.0.2.1 80
                9 192.0.2.1 80
                10.8.0.2 10.7.0.2
                7 192.0.2.1 80
                8 192.0.2.1 80
                9
                10.7.0.2
                7 192.0.2.1 80
                8
                9

                """)
    }

    @Test("ports of a namespace that leaves by a link of somebody else's are reached, and no rule stays behind")
    func strangersWayOut() throws {
        try expect(
            "nwstranger",
            """
            ip netns add a; ip link add other0 type veth peer name eth0 netns a; ip addr add 10.77.0.1/24 dev other0
            ip link set other0 up; ip -n a link set lo up; ip -n a link set eth0 up
            ip -n a addr add 10.77.0.2/24 dev eth0; ip -n a route add default via 10.77.0.1
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --interface eth1
            answer a 80; egret publish 8080:80 a 2>&1
            echo out $(outside bash -c "$(declare -f ask); ask 192.0.2.2 8080")
            ip -n a route show default | cut -d' ' -f3,5
            egret network disconnect br0 a; ip -n a rule | grep -c 10.9.0.2
            finish; ip link del other0; ip netns del a
            """,
            prints: """
                a has 10.9.0.2
                out 192.0.2.1 80
                10.77.0.1 eth0
                0
                """)
    }

    @Test(
        "a network is left, or removed, also where the one that is to lead out instead cannot yet",
        arguments: ["network disconnect br0 a", "network rm br0 --force"])
    func noOtherWayOut(leaving: String) throws {
        try expect(
            "nwnoway",
            """
            two br0 br1
            ip -n a link set eth1 down
            egret \(leaving) 2>said; echo $?; cut -d: -f2,3 said; grep -o '; egret network restore.*' said
            egret network restore 2>/dev/null; ip -n a route show default | cut -d' ' -f3,5
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                0
                 warning: a has no way out now
                ; egret network restore gives it one
                10.8.0.1 eth1
                """)
    }

    @Test("a bridge that is made again lets the host reach published ports by 127.0.0.1")
    func loopbackAgain() throws {
        try expect(
            "nwloagain",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create
            egret publish 8080:80 a; answer a 80; echo lo $(ask 127.0.0.1 8080)
            ip link del br0; egret network restore 2>&1
            echo own $(ask 192.0.2.2 8080); echo lo $(ask 127.0.0.1 8080)
            egret unpublish 8080/tcp; sysctl -n net.ipv4.conf.br0.route_localnet
            finish
            """,
            prints: """
                a has 10.9.0.2
                lo 10.9.0.1 80
                egret: made the bridge br0 again, which somebody had removed
                own 192.0.2.2 80
                lo 10.9.0.1 80
                0
                """)
    }

    @Test("a port that could not be published, and not be withdrawn either, is withdrawn by the next change")
    func lastingPort() throws {
        try expect(
            "nwlasting",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create
            # Somebody has put another chain at the port, and holds the one that is to be the port's.
            nft 'add chain inet egret-nat publish-1v4; add chain inet egret-nat others; add chain inet egret-nat held
                add rule inet egret-nat held jump publish-1v4; add element inet egret-nat published4 { tcp . 8080 : goto others }'
            egret publish 8080:80 a 2>/dev/null || echo failed
            nft 'flush chain inet egret-nat held'; nft 'delete element inet egret-nat published4 { tcp . 8080 : goto others }' 2>/dev/null
            egret network connect br0 b --create 2>/dev/null
            nft list table inet egret-nat | grep -c publish-1v4
            egret publish 8080:80 a 2>/dev/null; answer a 80; ask 192.0.2.2 8080
            finish
            """,
            prints: """
                a has 10.9.0.2
                failed
                b has 10.9.0.3
                0
                192.0.2.2 80
                """)
    }

    @Test(
        "127.0.0.1 leads to no endpoint any more when the last that has published ports is disconnected",
        arguments: ["bridge", "routed"])
    func loopbackEnded(mode: String) throws {
        try expect(
            "nwloend",
            """
            egret network create net0 --subnet 10.9.0.0/24 --mode \(mode)
            for n in a b c; do egret network connect net0 $n --create; done >/dev/null
            position() { echo $1 $(cat /proc/sys/net/ipv4/conf/\(mode == "bridge" ? "net0" : "egn2")/route_localnet); }
            position none; egret publish 8080:80 a; egret publish 8081:80 b; position two
            egret network disconnect net0 a; position one; egret network disconnect net0 b; position none
            grep -c route_localnet /run/egret/net-*/switches
            finish
            """,
            prints: """
                none 0
                two 1
                one 1
                none 0
                0
                """)
    }

    @Test("the doctor blames no other network's link for a packet that goes by this one's")
    func othersLink() throws {
        try expect(
            "nwblame",
            """
            two br0 br1
            ip link set egn1 down; ip link set br0 arp off; ip -n a neigh flush all
            egret doctor a --to 203.0.113.10 >said; grep -o 'ip link set br0 arp on' said | head -1; grep -c eth1 said
            ip link set br0 arp on; ip -n a neigh flush all; egret doctor a --to 203.0.113.10 | tail -1
            egret doctor a --to 10.8.0.1 | grep -o 'the host.s end of eth1, is down' | head -1
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                ip link set br0 arp on
                0
                Nothing is in the way.
                the host's end of eth1, is down
                """)
    }

    @Test("a namespace that is named in two ways is one, and goes with its last connection")
    func twoNames() throws {
        try expect(
            "nwnames",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network create br1 --subnet 10.8.0.0/24
            named() { ip netns list | cut -d' ' -f1 | grep -cx n; }
            egret network connect br0 n --create; egret network connect br1 /run/netns/n --interface eth1
            egret network connect br0 /run/netns/n --interface eth2 2>&1 | head -1
            egret network disconnect br0 n; named; inside n ping -c1 -W2 203.0.113.10 >/dev/null && echo leaves by br1
            egret network disconnect br1 /run/netns/n; named
            finish
            """,
            prints: """
                n has 10.9.0.2
                /run/netns/n has 10.8.0.2
                egret: /run/netns/n is connected to br0 already, as n
                1
                leaves by br1
                0
                """)
    }

    @Test("commands about a connection know its namespace by every name that it has, and by none that it has lost")
    func anyName() throws {
        try expect(
            "nwany",
            """
            egret network create br0 --subnet 10.9.0.0/24; ip netns add n; ip netns exec n sleep 300 & held=$!
            for i in {1..200}; do [ "$(ip netns identify $held)" = n ] && break; sleep 0.05; done
            egret network connect br0 pid:$held | sed 's/[0-9]* has/ has/'
            egret publish 8080:80 n && egret publish 8081:81 /run/netns/n; answer n 80 81
            ask 192.0.2.2 8080; egret network label br0 n app=web
            egret network inspect br0 -o json | grep -c '"app" : "web"'
            egret network disconnect br0 /run/netns/n && egret publish ls | tail -n +2 | wc -l
            egret network connect br0 n --ip 10.9.0.2; ip netns del n; ip netns add n
            egret publish 8080:80 n 2>&1 | head -1; egret network connect br0 /run/netns/n 2>&1 | head -1; egret publish 8080:80 pid:$held && ask 192.0.2.2 8080
            egret network disconnect br0 n && egret network inspect br0 -o json | grep -c '"10.9.0.2"'
            ip netns del n; finish
            """,
            prints: """
                pid: has 10.9.0.2
                192.0.2.2 80
                1
                0
                n has 10.9.0.2
                egret: n is not connected to any network
                egret: another namespace was connected to br0 as n, and is gone or has lost that name
                192.0.2.2 80
                0
                """)
    }

    @Test("a namespace of several networks is labelled in each of them, and keeps its one name")
    func labels() throws {
        try expect(
            "nwlabels",
            """
            two br0 br1
            egret network label br0 a app=web; egret network label br1 a app=api
            for n in br0 br1; do egret network inspect $n -o json | grep -o '"app" : "[a-z]*"'; done
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                "app" : "web"
                "app" : "api"
                """)
    }

    @Test("a rule that a namespace has made so that nobody can remove it keeps no connection")
    func ruleToStay() throws {
        try expect(
            "nwstay",
            """
            two br0 br1
            inside a /usr/bin/python3 -c 'import socket, struct
            def put(kind, value): return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
            # RTM_NEWRULE from 10.8.0.2 lookup 0x67000099 protocol 101, FIB_RULE_PERMANENT.
            rule = struct.pack("=8BI", 2, 0, 32, 0, 0, 0, 0, 1, 1) + put(2, socket.inet_aton("10.8.0.2"))
            rule += put(6, struct.pack("=I", 99)) + put(15, struct.pack("=I", 0x67000099)) + put(21, bytes([101]))
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
            s.send(struct.pack("=IHHII", 16 + len(rule), 32, 0x405, 1, 0) + rule)
            print("made", struct.unpack_from("=i", s.recv(4096), 16)[0])'
            inside a ip rule del priority 32765; egret network restore 2>&1 | cut -d';' -f1
            inside a ip rule | grep -c 'from 10.8.0.2 lookup'; egret network restore 2>&1 | grep -c 'put right'
            egret network disconnect br1 a 2>&1 | grep -o 'warning: [^:]*'
            inside a ip rule | grep -o 'from 10.8.0.2 lookup [0-9]*'
            inside a ip -o link show type veth | wc -l; egret network rm br1 && echo gone
            finish
            """,
            prints: """
                a has 10.9.0.2
                a has 10.8.0.2
                made 0
                egret: put right for a of br1: a has lost its routing rule for what it sends from 10.8.0.2
                egret: a has made a routing rule that nobody can remove: from 10.8.0.2 lookup 1728053401, priority 99
                2
                0
                warning: a keeps a routing rule for its answers
                from 10.8.0.2 lookup 1728053401
                1
                gone
                """)
    }

    @Test("a port that is published on an adopted bridge leaves 127.0.0.1 to the host's own programs")
    func adoptedLoopback() throws {
        try expect(
            "nwadlo",
            """
            ip link add virbr0 type bridge; ip addr add 10.7.0.1/24 dev virbr0; ip link set virbr0 up
            egret network create virbr0 --adopt; egret network connect virbr0 a --create
            /usr/bin/python3 -c 'import socketserver as s
            class H(s.BaseRequestHandler):
                def handle(h): h.request.sendall(b"the host\\n")
            s.TCPServer(("127.0.0.1", 8080), H).serve_forever()' &
            for i in {1..200}; do ss -Hltn | grep -q '127.0.0.1:8080 ' && break; sleep 0.05; done
            answer a 80; egret publish 8080:80 a 2>&1
            echo own $(ask 192.0.2.2 8080); echo lo $(ask 127.0.0.1 8080)
            egret publish 8081:80 a --host-ip 127.0.0.1 2>&1 | head -1
            finish; ip link del virbr0
            """,
            prints: """
                a has 10.7.0.2
                own 192.0.2.2 80
                lo the host
                egret: virbr0 lets nothing from 127.0.0.1 through, and its switches are its owner's
                """)
    }

    @Test("publishing a port of UDP forgets nobody's connections to that port of others")
    func othersConnections() throws {
        try expect(
            "nwothers",
            """
            egret network create br0 --subnet 10.9.0.0/24
            egret network connect br0 a --create; egret network connect br0 b --create
            known() { conntrack -L -p udp 2>/dev/null | grep -c "$1 sport=[0-9]* dport=5300 "; }
            send() { inside b bash -c "echo >/dev/udp/$1/5300"; }
            send 203.0.113.10; send 192.0.2.2; send 10.9.0.1
            known dst=203.0.113.10; known dst=192.0.2.2; known dst=10.9.0.1
            egret publish 5300:53/udp a --host-ip 10.9.0.1
            known dst=203.0.113.10; known dst=192.0.2.2; known dst=10.9.0.1
            egret publish 5300:53/udp a
            known dst=203.0.113.10; known dst=192.0.2.2
            finish
            """,
            prints: """
                a has 10.9.0.2
                b has 10.9.0.3
                1
                1
                1
                1
                1
                0
                1
                0
                """)
    }

    @Test("what is withdrawn is what was named, and who has published at several addresses says at which")
    func withdrawing() throws {
        try expect(
            "nwwithdraw",
            """
            egret network create br0 --subnet 10.9.0.0/24; egret network connect br0 a --create
            left() { echo left $(egret publish ls | tail -n +2 | cut -d' ' -f1 | sort); }
            egret publish 5353:53/udp a --host-ip 192.0.2.2; egret publish 5353:53/udp a
            egret unpublish 5353/udp; left
            egret publish 5353:53/udp a --host-ip 192.0.2.2 2>&1 | grep -o 'egret unpublish .*'
            egret publish 5353:53/udp a --host-ip 10.9.0.1; egret unpublish 5353/udp 2>&1 | head -1
            egret unpublish 5353/udp --host-ip 10.9.0.9 2>&1 | head -1
            egret unpublish 10.9.0.1:5353/udp --host-ip 10.9.0.9 2>&1 | head -1; left
            egret unpublish 10.9.0.1:5353/udp; left
            egret unpublish 5353/udp; left
            finish
            """,
            prints: """
                a has 10.9.0.2
                left 192.0.2.2:5353/udp
                egret unpublish 5353/udp --host-ip 192.0.2.2 withdraws it
                egret: 10.9.0.1:5353/udp and 192.0.2.2:5353/udp are published
                egret: nothing is published at 5353/udp of 10.9.0.9
                egret: 10.9.0.1 and 10.9.0.9 are two addresses
                left 10.9.0.1:5353/udp 192.0.2.2:5353/udp
                left 192.0.2.2:5353/udp
                left
                """)
    }

    @Test("on a bridge with another gateway, ports that the host cannot reach are refused, and lost answers told of")
    func strangeGateway() throws {
        try expect(
            "nwgateway",
            """
            ip link add virbr0 type bridge; ip link set virbr0 up
            egret network create virbr0 --adopt --subnet 10.7.0.0/24 --gateway 10.7.0.254
            egret network connect virbr0 a --create --ip 10.7.0.2
            egret publish 8080:80 a 2>&1; egret publish ls | tail -n +2
            ip addr add 10.7.0.1/24 dev virbr0
            egret publish 8080:80 a 2>&1 | cut -d: -f1-3; egret publish ls | tail -n +2 | cut -d' ' -f1
            finish; ip link del virbr0
            """,
            prints: """
                a has 10.7.0.2
                egret: this host has no address of 10.7.0.0/24 on virbr0: it reaches no endpoint there
                       ip address add ADDRESS/24 dev virbr0 gives it one
                egret: warning: 10.7.0.254, the gateway of virbr0, is not this host
                8080/tcp
                """)
    }

    @Test("ports at an address that is not the host's are warned of, and at one that no host has are refused")
    func hostAddresses() throws {
        try expect(
            "nwhostip",
            """
            egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64
            egret network connect br0 a --create >/dev/null
            for i in 0.0.0.0 :: 224.0.0.1 ::1; do egret publish 8080:80 a --host-ip $i 2>&1 | head -n1; done
            egret publish ls | tail -n +2
            for i in 192.0.2.2 127.0.0.1 198.51.100.9; do egret publish 8080:80 a --host-ip $i 2>&1; done
            egret publish ls | tail -n +2
            finish
            """,
            prints: """
                egret: ports cannot be published at 0.0.0.0: no host has that address
                egret: ports cannot be published at ::: no host has that address
                egret: ports cannot be published at 224.0.0.1: no host has that address
                egret: ports cannot be published at ::1: the kernel sends nothing from there elsewhere
                egret: warning: 198.51.100.9 is no address of this host: nobody else reaches a by it unless somebody routes it here, and what this host and its networks ask it for at 8080/tcp goes to a from now on
                192.0.2.2:8080/tcp     a          80     everyone
                127.0.0.1:8080/tcp     a          80     everyone
                198.51.100.9:8080/tcp  a          80     everyone
                """)
    }
}
