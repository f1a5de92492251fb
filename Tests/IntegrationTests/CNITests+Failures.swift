// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// What becomes of containers that live when calls of the plugin fail, or are killed.
extension CNITests {
    @Test("a network that cannot be mended keeps no container of another from coming and going, and its own from going")
    func brokenNetwork() throws {
        try expect(
            "cnibroken",
            #"""
            pods '"subnets": ["10.22.0.0/24"]'; for n in a b c d e; do ip netns add $n; done; begin
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            for n in a b c; do cni ADD pods $n $n; done
            egret network create lan0 --subnet 10.23.0.0/24; egret network connect lan0 e
            # Somebody puts another bridge in its place.
            other() { ip link del $1; ip link add $1 type bridge; }
            other lan0; cni ADD pods d d; reach d 203.0.113.10; reach d 203.0.113.11; cni CHECK pods a a && echo sound
            cni DEL pods b b; rows; cni GC pods - - '{"cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}'; rows
            egret network connect lan0 b 2>&1; egret network restore 2>/dev/null || echo not restored
            egret network rm lan0 --force 2>/dev/null; egret network ls | tail -n +2; ip link show lan0 >/dev/null && echo not ours
            ip link del lan0; egret network restore && echo restored
            echo the plugin\'s own; other pods0; cni ADD pods b b; cni ADD pods a a; rows
            cni DEL pods a a; cni GC pods - -  '{"cni.dev/valid-attachments":[]}'; rows; ip -n a link show eth0 2>&1 | grep -o 'does not exist'
            egret network rm pods0 2>/dev/null; ip link del pods0; cni ADD pods b b; reach b 203.0.113.11; cni DEL pods b b
            for n in a b c d e; do ip netns del $n; done; gone; finish
            """#,
            prints: """
                e has 10.23.0.2
                d reaches 203.0.113.10
                d does not reach 203.0.113.11
                sound
                3
                1
                egret: warning: the network lan0 cannot be mended: the interface lan0 is another one than Egret made; rename or remove it; the network's bridge then comes back
                egret: the interface lan0 is another one than Egret made
                       rename or remove it; the network's bridge then comes back
                not restored
                pods0  bridge  10.22.0.0/24          1          0
                not ours
                restored
                the plugin's own
                egret-cni: 101 the interface pods0 is another one than Egret made
                egret-cni: 101 the interface pods0 is another one than Egret made
                1
                0
                does not exist
                b does not reach 203.0.113.11
                """)
    }

    @Test(
        "a second ADD that fails takes nothing from the container that lives, and killed calls leave no address behind")
    func secondAddition() throws {
        try expect(
            "cnisecond",
            #"""
            pods '"ipam": { "type": "host-local", "dataDir": "'$PWD'/ipam", "ranges": [[{ "subnet": "10.22.0.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] }'
            for n in a b c; do ip netns add $n; done; begin
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            given() { ls ipam/pods | grep -v l; }
            cni ADD pods b b '{"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80}]}}'; cni ADD pods a a
            cp results/pods-a first; cni ADD pods a a; cmp first results/pods-a && echo the same once more
            echo otherwise; cni ADD pods a a '{"runtimeConfig":{"mac":"02:00:00:00:00:22"}}'; cni ADD pods a b
            echo a port that is taken
            cni ADD pods a a '{"runtimeConfig":{"portMappings":[{"hostPort":8081,"containerPort":80},{"hostPort":8080,"containerPort":80}]}}'
            egret publish ls | tail -n +2 | awk '{ print $1 }'
            echo no agent; kill -9 $agent; wait $agent 2>/dev/null; cni ADD pods a a; begin
            given; cni CHECK pods a a && echo sound; reach a 203.0.113.10; reach a 203.0.113.11; endpoints
            echo a link that somebody had begun, and one that only has its name
            begun() {
                ip link add egn77 address 02:00:00:00:00:77 type veth peer name x77
                echo "egn77 $1" >/run/egret/net-$(stat -Lc %d-%i /proc/self/ns/net)/link
                cni ADD pods a a; ip -o link | grep -c ': egn77@'; ip link del egn77 2>/dev/null
            }
            begun 02:00:00:00:00:77; begun 02:00:00:00:00:78
            echo an endpoint that somebody was taking away, and one that only has its name
            v=$(result pods-b 'd["interfaces"][1]["name"]'); mac=$(ip -o link show dev $v | grep -o 'link/ether [^ ]*' | cut -d' ' -f2)
            ending() { echo "$v $1" >/run/egret/net-$(stat -Lc %d-%i /proc/self/ns/net)/ending; cni ADD pods a a; rows; }
            ending 02:00:00:00:00:78; ending $mac; ls /run/egret/net-*/ending 2>/dev/null; ip link show $v 2>&1 | grep -o 'does not exist'
            echo killed anywhere; cni DEL pods b b; killed 11 40 0.5
            for n in b c; do cni ADD pods $n $n; reach $n 203.0.113.11; done; given | wc -l; rows; ip -o link | grep -c ': egn'
            reach a 203.0.113.10; for n in a b c; do cni DEL pods $n $n; ip netns del $n; done; given; rows
            egret publish ls | tail -n +2; settle 0; gone; finish
            """#,
            prints: """
                the same once more
                otherwise
                egret-cni: 101 a has an interface eth0 in pods0 already, which is otherwise
                egret-cni: 101 a has an interface eth0 in pods0 already, which is otherwise
                a port that is taken
                egret-cni: 101 8080/tcp is published already, for /run/netns/b
                8080/tcp
                no agent
                egret-cni: 11 the agent does not run: nobody listens at /run/egret/agent.sock
                10.22.0.2
                10.22.0.3
                sound
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                pods/a pods0 policed
                pods/b pods0 policed
                a link that somebody had begun, and one that only has its name
                0
                1
                an endpoint that somebody was taking away, and one that only has its name
                2
                1
                does not exist
                killed anywhere
                b does not reach 203.0.113.11
                c does not reach 203.0.113.11
                3
                3
                3
                a reaches 203.0.113.10
                0
                """)
    }

    @Test("a full disk keeps no container connected, and none begins that could not be noted")
    func fullDisk() throws {
        try expect(
            "cnifull",
            #"""
            mkdir -p state; mount -t tmpfs -o size=1M tmpfs state; pods '"subnets": ["10.22.0.0/24"]'
            for n in a b c; do ip netns add $n; done; begin
            cni ADD pods a a; cni ADD pods b b '{"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80}]}}'; rows
            for i in 1k 1; do dd if=/dev/zero of=state/ballast-$i bs=$i 2>/dev/null; done
            cni ADD pods c c | grep -o 'ENOSPC'; cni DEL pods c c; ip -n c link show eth0 2>&1 | grep -o 'does not exist'; rows
            cni DEL pods b b; cni DEL pods b b; rows; ip -n b link show eth0 2>&1 | grep -o 'does not exist'
            egret publish ls -o json | grep -c 8080; cni CHECK pods a a && echo sound
            cni GC pods - - '{"cni.dev/valid-attachments":[]}'; rows; egret network rm pods0; echo removed $?
            rm state/ballast*; cni ADD pods c c; rows; cni DEL pods c c
            for n in a b c; do ip netns del $n; done; gone; finish; umount state
            """#,
            prints: """
                2
                ENOSPC
                does not exist
                2
                1
                does not exist
                0
                sound
                0
                removed 0
                1
                """)
    }

    @Test("an ADD that fails, and cannot withdraw its ports, leaves them to the next call")
    func lastingPorts() throws {
        try expect(
            "cnilasting",
            #"""
            pods '"subnets": ["10.22.0.0/24"]'; for n in a b; do ip netns add $n; done; begin
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            cni ADD pods b b
            # Somebody has put another chain at the port, and holds the one that is to be the port's.
            nft 'add chain inet egret-nat publish-1v4; add chain inet egret-nat others; add chain inet egret-nat held
                add rule inet egret-nat held jump publish-1v4; add element inet egret-nat published4 { tcp . 8080 : goto others }'
            cni ADD pods a a '{"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80}]}}' >/dev/null || echo failed
            grep -o '10.22.0.3' state/networks-*/pods0.json | sort -u; ip -n a link show eth0 2>&1 | grep -o 'does not exist'
            nft 'flush chain inet egret-nat held'; nft 'delete element inet egret-nat published4 { tcp . 8080 : goto others }' 2>/dev/null
            cni ADD pods a a; nft list table inet egret-nat | grep -c publish-1v4; rows
            reach a 203.0.113.10; reach a 203.0.113.11
            for n in a b; do cni DEL pods $n $n; ip netns del $n; done; gone; finish
            """#,
            prints: """
                failed
                10.22.0.3
                does not exist
                0
                2
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                """)
    }

    @Test("rules are known to be right for as long as only Egret has changed the ruleset, also during a call")
    func knownRules() throws {
        try expect(
            "cniknown",
            #"""
            pods '"subnets": ["10.22.0.0/24"]'; for n in a b; do ip netns add $n; done; begin
            policy job '{ matchLabels: { app: job } }' 203.0.113.10/32 | egret apply -f - >/dev/null
            # Whether the number that was noted of the ruleset (NFT_MSG_GETGEN) is its present one.
            known() { python3 - $(cat /run/egret/net-$(stat -Lc %d-%i /proc/self/ns/net)/ruleset) <<'X'
            import socket, struct, sys
            s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
            s.send(struct.pack("=IHHII", 20, 10 << 8 | 16, 1, 1, 0) + bytes(4))
            print("known" if struct.unpack(">I", s.recv(4096)[24:28])[0] == int(sys.argv[1]) else "to be looked at")
            X
            }
            port() { echo '{"runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80}]}}'; }
            cni ADD pods a a; known; cni ADD pods b b "$(port)"; known; cni DEL pods b b; known
            kill -STOP $agent; cni DEL pods a a & call=$!; sleep 2; nft add table inet strangers; kill -CONT $agent; wait $call; known
            cni ADD pods a a; known; nft flush table inet egret-nat; cni ADD pods b b "$(port)" >/dev/null; known
            nft list table inet egret-nat | grep -q masquerade && echo translated; reach a 203.0.113.10
            for n in a b; do cni DEL pods $n $n; ip netns del $n; done; nft delete table inet strangers; settle 0; gone; finish
            """#,
            prints: """
                known
                known
                known
                to be looked at
                known
                known
                translated
                a reaches 203.0.113.10
                """)
    }
}
