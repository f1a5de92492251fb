// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// The agent, as an operator meets it: policies for the endpoints of networks.
@Suite("the agent", .serialized, .requiresRoot)
struct AgentTests {
    static let helpers =
        AgentScript.begin + """
            inside() { ip netns exec "$@"; }
            reaches() { inside $1 ping -c1 -W1 $2 >/dev/null && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            policy() { cat > $1.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: $1 }
            spec:
              selects: { matchLabels: { app: $2 } }
              egress: [$3]
            X
            }
            to() { echo "{ action: $1, to: [{ endpoints: { matchLabels: { app: $2 } } }] }"; }
            lab() {
                egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64 $1
                for n in a b c; do egret network connect br0 $n --create --workload shop/$n --label app=$n >/dev/null; done
            }
            finish() {
                kill $agent 2>/dev/null; wait 2>/dev/null
                egret network rm br0 --force
                begin; egret delete $(egret get policies -o json | grep -o '"object" : "[^"]*"' | cut -d'"' -f4) >/dev/null
                kill $agent; wait 2>/dev/null
            }

            """

    func expect(
        _ name: String, _ script: String, prints expected: String, location: SourceLocation = #_sourceLocation
    ) throws {
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path)\n" + AgentTests.helpers + script, timeout: .seconds(300))
            #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
            let remains = try internet.remains()
            #expect(remains.split(separator: "\n").filter { !$0.hasSuffix(".lock") } == [])
        }
    }

    @Test(
        "policies are in force when apply returns, on a bridge and on routed links", arguments: ["", "--mode routed"])
    func applying(mode: String) throws {
        try expect(
            "agapply",
            """
            lab "\(mode)"; begin
            reaches a 10.9.0.3; reaches a fd00:9::3; reaches a 203.0.113.10
            policy one a "$(to allow b)"
            egret plan -f one.yaml | head -1
            egret apply -f one.yaml >/dev/null
            reaches a 10.9.0.3; reaches a fd00:9::3; reaches a 10.9.0.4; reaches a fd00:9::4; reaches a 203.0.113.10
            reaches b 10.9.0.2; reaches c 203.0.113.10
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml >/dev/null
            reaches a 10.9.0.3; reaches a fd00:9::3; reaches a 203.0.113.10; reaches a 10.9.0.4
            egret network label br0 c app=b >/dev/null; reaches a 10.9.0.4
            egret rollback >/dev/null; reaches a 10.9.0.4; reaches a 203.0.113.10
            finish
            """,
            prints: """
                a reaches 10.9.0.3
                a reaches fd00:9::3
                a reaches 203.0.113.10
                EgressPolicy/one would be added
                a reaches 10.9.0.3
                a reaches fd00:9::3
                a does not reach 10.9.0.4
                a does not reach fd00:9::4
                a does not reach 203.0.113.10
                b reaches 10.9.0.2
                c reaches 203.0.113.10
                a does not reach 10.9.0.3
                a does not reach fd00:9::3
                a reaches 203.0.113.10
                a reaches 10.9.0.4
                a does not reach 10.9.0.4
                a reaches 10.9.0.4
                a does not reach 203.0.113.10
                """)
    }

    @Test("a cluster's policy about nodes holds for the addresses of the Nodes that were applied")
    func nodes() throws {
        try expect(
            "agnodes",
            """
            lab; begin
            cat > deny.yaml <<X
            apiVersion: policy.networking.k8s.io/v1alpha2
            kind: ClusterNetworkPolicy
            metadata: { name: deny }
            spec:
              tier: Admin
              priority: 1
              subject: { namespaces: {} }
              egress: [{ name: control, action: Deny, to: [{ nodes: { matchLabels: { role: control } } }] }]
            X
            cat > node.yaml <<X
            apiVersion: v1
            kind: Node
            metadata: { name: n1, labels: { role: control } }
            status: { addresses: [{ type: InternalIP, address: 203.0.113.10 }] }
            X
            egret apply -f deny.yaml 2>&1 | grep -c 'no Node is known'; reaches a 203.0.113.10
            egret apply -f node.yaml 2>&1 | grep -c 'no Node is known'; reaches a 203.0.113.10
            egret delete -f node.yaml >/dev/null; reaches a 203.0.113.10
            finish
            """,
            prints: """
                1
                a reaches 203.0.113.10
                0
                a does not reach 203.0.113.10
                a reaches 203.0.113.10
                """)
    }

    @Test("a plan tells of an endpoint of two networks once, and of connections that are open and pass")
    func plans() throws {
        try expect(
            "agplans",
            """
            lab; begin
            reaches a 203.0.113.10
            # Nobody listens there: the connection is reset.
            inside a timeout 5 bash -c 'exec 3<>/dev/tcp/203.0.113.10/9' 2>/dev/null
            egret network create br1 --subnet 10.10.0.0/24
            egret network connect br1 a --interface eth1 --workload shop/a --label app=a >/dev/null
            policy one a "$(to allow b)"
            egret plan -f one.yaml -o json | grep -c '"endpoint" :'
            egret plan -f one.yaml | grep -c 'a  10.9.0.2 .*203.0.113.10'
            egret apply -f one.yaml -o json | grep -c '"endpoint" :'
            reaches a 203.0.113.10; reaches a 10.9.0.3
            policy one a "$(to allow c)"
            egret plan -f one.yaml > again || echo "there is no plan"
            head -1 again; grep -A9 '^open' again | grep -o 'shop/a  10.9.0.2 .*' | sort -u
            egret network rm br1 --force; finish
            """,
            prints: """
                a reaches 203.0.113.10
                1
                1
                1
                a does not reach 203.0.113.10
                a reaches 10.9.0.3
                EgressPolicy/one would be changed
                shop/a  10.9.0.2 → 10.9.0.3 icmp
                """)
    }

    @Test("what is refused, and what an audited policy would refuse, is counted and told over restarts and changes")
    func flows() throws {
        try expect(
            "agflows",
            """
            lab; begin
            policy one a "$(to allow b)"; policy two b "$(to deny c), { action: allow }"
            sed -i 's/^spec:/spec:\\n  mode: audit/' two.yaml
            egret apply -f one.yaml -f two.yaml >/dev/null
            ping3() { inside $1 ping -q -c3 -i0.1 -W1 $2 >/dev/null; }
            ping3 a 10.9.0.3; ping3 a 10.9.0.4; ping3 b fd00:9::4
            count() { egret get policies -o wide | grep -E 'deny|reject' | sort; }
            count; sleep 2; kill -9 $agent; wait $agent 2>/dev/null
            ping3 a 10.9.0.4; begin; count
            sed -i 's/egress:/default: reject\\n  egress:/' one.yaml; egret apply -f one.yaml >/dev/null
            ping3 a 10.9.0.4; count
            egret flows --denied | tail -n +2 | cut -d' ' -f3- | tr -s ' '
            egret flows --endpoint nobody 2>&1 | head -2
            finish
            """,
            prints: """
                EgressPolicy/one  default  egress     deny              3    252
                EgressPolicy/two  rule 1   egress     would-deny        1    104
                EgressPolicy/one  default  egress     deny              6    504
                EgressPolicy/two  rule 1   egress     would-deny        1    104
                EgressPolicy/one  default  egress     deny              6    504
                EgressPolicy/one  default  egress     reject            3    252
                EgressPolicy/two  rule 1   egress     would-deny        1    104
                shop/a egress deny 10.9.0.4 (shop/c) icmp/8 3 252 EgressPolicy/one default
                shop/b egress would-deny fd00:9::4 (shop/c) icmpv6/128 1 104 EgressPolicy/two rule 1
                shop/a egress reject 10.9.0.4 (shop/c) icmp/8 3 252 EgressPolicy/one default
                egret: there is no endpoint nobody
                       egret get endpoints lists them
                """)
    }

    @Test("explain, map and prove without files answer about what is in force")
    func answers() throws {
        try expect(
            "aganswers",
            """
            lab; begin
            policy one a "$(to allow b), { action: allow, to: [{ cidr: 203.0.113.0/24 }], ports: [443/tcp] }"
            egret apply -f one.yaml >/dev/null
            for to in shop/b shop/c 203.0.113.10; do egret explain --from shop/a --to $to --port 443/tcp | head -1; done
            egret map --endpoint shop/a | grep -E '^shop/a' | tr -s ' '
            egret prove "no app=a reaches app=c" "app=a reaches app=c" | cut -d: -f1 | grep -v '^ '; echo ${PIPESTATUS[0]}
            kill $agent; wait $agent; egret prove "no app=a reaches app=c" 2>&1 | head -1; echo ${PIPESTATUS[0]}
            begin; finish
            """,
            prints: """
                shop/a -> shop/b 443/tcp: allow
                shop/a -> shop/c 443/tcp: deny
                shop/a -> 203.0.113.10 443/tcp: allow
                shop/a shop/b - all
                shop/a 203.0.113.0/24 - 443/tcp
                shop/a host 203.0.113.0/24 - 443/tcp
                holds
                fails
                1
                egret: the agent does not run: nobody listens at /run/egret/agent.sock
                2
                """)
    }

    @Test("a list from a URL is closed before it comes, in force when it has, and stays when its server is gone")
    func feeds() throws {
        let server =
            String(#filePath.prefix(upTo: #filePath.lastIndex(of: "/") ?? #filePath.endIndex))
            + "/../EgretAgentTests/FeedServer.py"
        try expect(
            "agfeeds",
            """
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=feeds -addext subjectAltName=IP:127.0.0.1 \
                -keyout key.pem -out ca.pem 2>/dev/null
            serve() { python3 \(server) 4430 ca.pem key.pem requests & server=$!
                for i in {1..100}; do nc -z 127.0.0.1 4430 && return; sleep 0.1; done; }
            group() { printf '%s\\n' 'apiVersion: egret.dev/v1' 'kind: DestinationGroup' "metadata: { name: $1 }" \
                "spec: { feed: { url: \"https://127.0.0.1:4430/$1\" } }" > $1.yaml; }
            comes() { for i in {1..100}; do egret get groups | grep -q "$1 *$2" && break; sleep 0.1; done
                egret get groups | grep -oE "DestinationGroup/$1 +(not )?[A-Za-z]+" | tr -s ' '; }
            lab; serve; begin --feed-ca ca.pem; group good; group missing
            policy one a "{ action: allow, to: [{ group: good }] }"; policy two b "{ action: reject, to: [{ group: missing }] }, { action: allow }"
            egret apply -f good.yaml -f missing.yaml -f one.yaml -f two.yaml 2>/dev/null >/dev/null
            comes good Fresh; comes missing 'not Loaded: the server'
            reaches a 203.0.113.10; reaches b 203.0.113.10
            egret get policies | grep -o 'two.*not FeedsLoaded'| tr -s ' '
            kill $server; kill -9 $agent; wait $agent 2>/dev/null; begin --feed-ca ca.pem; reaches a 203.0.113.10; comes good 'not Fresh'
            finish
            """,
            prints: """
                DestinationGroup/good Fresh
                DestinationGroup/missing not Loaded
                a reaches 203.0.113.10
                b does not reach 203.0.113.10
                two workload enforce 1 not FeedsLoaded
                a reaches 203.0.113.10
                DestinationGroup/good not Fresh
                """)
    }

    @Test("lists of a hundred thousand blocks, of a file and of a URL, are in force in time and in bounded memory")
    func largeFeeds() throws {
        let server = #filePath.replacing("IntegrationTests/AgentTests.swift", with: "EgretAgentTests/FeedServer.py")
        try expect(
            "agbigfeed",
            """
            openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=feeds -addext subjectAltName=IP:127.0.0.1 \
                -keyout key.pem -out ca.pem 2>/dev/null
            blocks() { awk -v first=$1 'BEGIN { for (i = 0; i < 100000; i++) { n = i * 2
                printf "%d.%d.%d.%d\\n", first + int(n / 16777216), int(n / 65536) % 256, int(n / 256) % 256, n % 256 } }'; }
            (blocks 20; echo 203.0.113.10) >list; (blocks 30; echo 203.0.113.11) >file
            python3 \(server) 4430 ca.pem key.pem requests & server=$!
            for i in {1..100}; do nc -z 127.0.0.1 4430 && break; sleep 0.1; done
            group() { printf '%s\n' 'apiVersion: egret.dev/v1' 'kind: DestinationGroup' "metadata: { name: $1 }" \
                "spec: { feed: { $2 } }" > $1.yaml; }
            rss() { awk '/VmHWM/ { print int($2 / 1024) }' /proc/$agent/status; }
            lab; begin --feed-ca ca.pem; group url 'url: "https://127.0.0.1:4430/kept"'; group file "file: $PWD/file"
            policy one a "{ action: allow, to: [{ group: url }] }"; policy two b "{ action: allow, to: [{ group: file }] }"
            before=$(rss); egret apply -f url.yaml -f file.yaml -f one.yaml -f two.yaml >/dev/null 2>&1
            fresh() { for i in {1..200}; do egret get groups | grep -q "url *Fresh" && break; sleep 0.1; done; }
            fresh; for n in a b; do reaches $n 203.0.113.10; reaches $n 203.0.113.11; done
            [ $(rss) -lt $((before + 400)) ] && echo bounded || rss
            echo 'not a list' >file; echo 'nor this' >list; sleep 3; reaches b 203.0.113.11
            kill -9 $agent; wait $agent 2>/dev/null; begin --feed-ca ca.pem; sleep 2; reaches a 203.0.113.10
            for i in {1..300}; do egret get groups 2>/dev/null | grep -q 'url *not Fresh' && break; sleep 0.1; done
            egret get groups | grep -o 'url *not Fresh' | tr -s ' '
            kill $server; finish
            """,
            prints: """
                a reaches 203.0.113.10
                a does not reach 203.0.113.11
                b does not reach 203.0.113.10
                b reaches 203.0.113.11
                bounded
                b reaches 203.0.113.11
                a reaches 203.0.113.10
                url not Fresh
                """)
    }

    @Test("killed again and again, the agent opens nothing and cuts nothing")
    func kills() throws {
        try expect(
            "agkill",
            """
            lab; begin
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml >/dev/null
            inside a ping -q -i 0.01 -w 6 10.9.0.3 >denied & denied=$!
            inside a ping -q -i 0.01 -w 6 203.0.113.10 >allowed & allowed=$!
            for i in {1..10}; do kill -9 $agent; wait $agent 2>/dev/null; begin; done
            wait $denied $allowed
            grep -o ', [0-9]* received' denied; grep -o ', [0-9.]*% packet loss' allowed
            egret get status | grep -E 'revision|problem'
            finish
            """,
            prints: """
                , 0 received
                , 0% packet loss
                revision   1
                problem    none
                """)
    }

    @Test("who flushes the rules is named, and the rules are back within a second")
    func flush() throws {
        try expect(
            "agflush",
            """
            lab; begin
            # Tables that are there without an owner stay open to others, as on kernels before 6.9.
            for family in inet netdev bridge; do nft add table $family egret-policy; done
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml >/dev/null
            # Waits until so many changes have been mended, a second at the most for each.
            mended() {
                for i in {1..100}; do
                    [ "$(egret get status | awk '$1 == "repairs" { print $2 }')" -ge $1 ] && break; sleep 0.01
                done
            }
            chain=$(nft list table inet egret-policy | grep -o 'chain from-[0-9]*' | head -1 | cut -d' ' -f2)
            nft flush chain inet egret-policy $chain; mended 1
            reaches a 10.9.0.3
            nft delete table inet egret-policy; mended 2
            reaches a 10.9.0.3
            nft flush ruleset; mended 3
            reaches a 10.9.0.3
            egret get status | grep -E 'repairs|problem'
            grep -c 'nft (process [0-9]*) has changed what the kernel holds' log
            egret network inspect br0 >/dev/null; finish
            """,
            prints: """
                a does not reach 10.9.0.3
                a does not reach 10.9.0.3
                a does not reach 10.9.0.3
                repairs    3
                problem    none
                3
                """)
    }

    @Test("while the agent runs nobody else can flush its tables, and a killed agent's are taken over")
    func ownership() throws {
        try expect(
            "agown",
            """
            lab; begin
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml >/dev/null
            inside a ping -q -i 0.002 -w 4 10.9.0.3 >denied & denied=$!
            for i in {1..20}; do nft flush ruleset; sleep 0.05; done
            nft delete table inet egret-policy 2>/dev/null || echo refused
            kill -9 $agent; wait $agent 2>/dev/null; begin
            nft flush ruleset; nft delete table netdev egret-policy 2>/dev/null || echo refused
            wait $denied; grep -o ', [0-9]* received' denied
            egret get status | grep -E 'repairs|problem'
            kill -9 $agent; wait $agent 2>/dev/null
            nft list table inet egret-policy | grep -c 'policy accept'
            nft flush ruleset; reaches a 10.9.0.3; begin; reaches a 10.9.0.3
            finish
            """,
            prints: """
                refused
                refused
                , 0 received
                repairs    0
                problem    none
                2
                a reaches 10.9.0.3
                a does not reach 10.9.0.3
                """)
    }

    @Test("a new agent keeps what is right: no connection is judged anew, and no number changes")
    func takingOver() throws {
        try expect(
            "agkeep",
            """
            numbers() {
                egret get endpoints -o json | tr -d ' \\n' | grep -o 'generations":.[0-9,]*' | grep -o '[0-9]*' | xargs
            }
            lab; begin
            policy one a "$(to deny b), { action: allow }"; policy two b "{ action: allow }"
            egret apply -f one.yaml -f two.yaml >/dev/null
            first=$(numbers); nft -s list table inet egret-policy >before
            kill -9 $agent; wait $agent 2>/dev/null; begin
            [ "$first" = "$(numbers)" ] && echo "the same numbers"
            nft -s list table inet egret-policy | cmp before - && echo "the same rules"
            kill -9 $agent; wait $agent 2>/dev/null
            # Somebody lets a through while no agent runs: that program goes, and the other stays.
            for chain in g${first%% *} g${first%% *}-reply; do nft insert rule inet egret-policy $chain accept; done
            reaches a 10.9.0.3
            begin; reaches a 10.9.0.3
            [ "$first" = "$(numbers)" ] || echo "another number"
            for n in $first; do numbers | grep -o "$n"; done | wc -l
            policy two b "$(to deny a), { action: allow }"; kill $agent; wait $agent 2>/dev/null; begin
            egret apply -f two.yaml >/dev/null; reaches b 10.9.0.2
            finish
            """,
            prints: """
                the same numbers
                the same rules
                a reaches 10.9.0.3
                a does not reach 10.9.0.3
                another number
                1
                b does not reach 10.9.0.2
                """)
    }

    @Test("while an agent is started anew, a connection of a rule that closes ends or goes on as its rule says")
    func drain() throws {
        try expect(
            "agdrain",
            """
            ip netns add out; ip link add eth1 type veth peer name eth0 netns out; ip addr add 198.51.100.1/30 dev eth1
            ip link set eth1 up; ip -n out addr add 198.51.100.2/30 dev eth0; ip -n out link set eth0 up
            lab; begin
            # Rules close with a minute: the next one that is not too near.
            end=$(( ($(date +%s) + 69) / 60 * 60 )); until="$(date -u -d @$end +%Y-%m-%dT%H:%M)"
            rule() { echo "{ action: allow, to: [{ cidr: 198.51.100.2/32 }], ports: [$1], when: { until: \"$until\", onClose: $2 } }"; }
            policy one a "$(rule 81/tcp drain), $(rule 82/tcp cut)"; egret apply -f one.yaml >/dev/null
            for p in 81 82; do inside out socat TCP4-LISTEN:$p,fork,reuseaddr SYSTEM:cat & done
            for p in 81 82; do until inside out ss -Hltn | grep -q :$p; do sleep 0.05; done; done
            # Says something four times a second until it is stopped; what was said and what came back are kept.
            speak() { (i=0; until [ -e stop ]; do i=$((i + 1)); echo $i; echo $i >&3; sleep 0.25; done) 3>said$1 |
                timeout 100 ip netns exec a socat -t 2 - TCP4:198.51.100.2:$1 >heard$1; }
            speak 81 & one=$!; speak 82 & two=$!
            until [ $(date +%s) -ge $((end - 2)) ]; do sleep 0.2; done
            kill -9 $agent; wait $agent 2>/dev/null; until [ $(date +%s) -gt $end ]; do sleep 0.2; done; begin
            sleep 2; for p in 81 82; do inside a nc -z -w1 198.51.100.2 $p && echo $p is open; done
            kill -9 $agent; wait $agent 2>/dev/null; begin; sleep 1
            touch stop; wait $one $two
            cmp said81 heard81 && echo drained to its end
            missed=$(($(tail -n 1 said82) - $(tail -n 1 heard82))); [ $missed -gt 10 ] && echo cut when the rule closed
            kill $(jobs -p) 2>/dev/null; finish; ip netns del out
            """,
            prints: """
                drained to its end
                cut when the rule closed
                """)
    }

    @Test("a change that nobody confirms goes back, and a confirmed one stays")
    func confirmation() throws {
        try expect(
            "agconf",
            """
            lab; begin
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml --confirm 2s >/dev/null; reaches a 10.9.0.3
            sleep 3.2; reaches a 10.9.0.3
            egret apply -f one.yaml --confirm 8s >/dev/null; egret confirm >/dev/null
            sleep 8.5; reaches a 10.9.0.3
            finish
            """,
            prints: """
                a does not reach 10.9.0.3
                a reaches 10.9.0.3
                a does not reach 10.9.0.3
                """)
    }

    @Test("an endpoint that comes obeys before its link is up, and does not come while nobody can see to it")
    func arrival() throws {
        try expect(
            "agarrive",
            """
            lab; begin
            policy one d "$(to deny b), { action: allow }"
            policy two a "{ action: allow }"
            egret apply -f one.yaml -f two.yaml >/dev/null
            ip netns add d
            inside d bash -c 'for i in {1..400}; do ping -c1 -W0.05 10.9.0.3 2>/dev/null >&2 && echo leaked; done' >leaks &
            sleep 0.3; egret network connect br0 d --workload shop/d --label app=d; reaches d 10.9.0.3
            reaches d 203.0.113.10
            kill %2; wait %2 2>/dev/null; wc -l <leaks
            kill -9 $agent; wait $agent 2>/dev/null; ip netns add e
            egret network connect br0 e --workload shop/e --label app=d 2>&1 | head -1 | cut -c1-57
            inside e ip -br link | grep -c eth0
            begin; egret network connect br0 e --workload shop/e --label app=d; reaches e 10.9.0.3
            ip netns del e; ip netns del d; finish
            """,
            prints: """
                d has 10.9.0.5 and fd00:9::5
                d does not reach 10.9.0.3
                d reaches 203.0.113.10
                0
                egret: the endpoint's policies cannot be put in force: th
                0
                e has 10.9.0.6 and fd00:9::6
                e does not reach 10.9.0.3
                """)
    }

    @Test("a full disk and a damaged store change nothing, and say what to do")
    func stores() throws {
        try expect(
            "agstore",
            """
            lab; mkdir agent; mount -t tmpfs -o size=2M tmpfs agent; begin
            policy one a "$(to deny b), { action: allow }"
            egret apply -f one.yaml >/dev/null; reaches a 10.9.0.3
            dd if=/dev/zero of=agent/ballast bs=4k 2>/dev/null
            policy one a "{ action: allow }"; for i in {1..20000}; do echo "# more"; done >> one.yaml
            egret apply -f one.yaml 2>&1 | head -1; reaches a 10.9.0.3
            rm agent/ballast; egret apply -f one.yaml >/dev/null; reaches a 10.9.0.3
            policy one a "$(to deny b), { action: allow }"; egret apply -f one.yaml >/dev/null
            kill $agent; wait $agent 2>/dev/null
            # All in one file: an agent that is busy as it ends may leave its last changes beside it.
            /usr/bin/python3 -c 'import sqlite3
            sqlite3.connect("agent/agent.sqlite").execute("PRAGMA wal_checkpoint(TRUNCATE)")'
            dd if=/dev/urandom of=agent/agent.sqlite bs=1k seek=1 count=30 conv=notrunc 2>/dev/null
            timeout 60 egret agent --state $PWD/agent 2>&1 | grep -o 'move .* away' | sed "s:$PWD/::"
            reaches a 10.9.0.3
            rm agent/agent.sqlite*; begin; egret apply -f one.yaml >/dev/null; reaches a 10.9.0.3
            finish; umount agent
            """,
            prints: """
                a does not reach 10.9.0.3
                egret: the change could not be applied, and everything is as before: database or disk is full
                a does not reach 10.9.0.3
                a reaches 10.9.0.3
                move agent/agent.sqlite away
                a does not reach 10.9.0.3
                a does not reach 10.9.0.3
                """)
    }

    @Test("an agent that cannot read what is in force leaves it so, and says why, and what to do")
    func unreadable() throws {
        try expect(
            "agunread",
            """
            rewrite() {
                /usr/bin/python3 -c 'import sqlite3, sys
            store = sqlite3.connect("agent/agent.sqlite")
            store.execute("UPDATE text SET text = replace(text, ?, ?)", sys.argv[1:])
            store.commit()' "$@"
            }
            lab; begin; policy one a "$(to deny b), { action: allow }"; egret apply -f one.yaml >/dev/null
            kill $agent; wait $agent 2>/dev/null
            rewrite 'action: deny' 'action: denny'
            timeout 60 egret agent --state $PWD/agent >told 2>&1; echo $?
            grep -o 'revision 1 cannot be read any more' told; grep -o 'did you mean "deny"' told
            grep -o 'start the version of Egret that has applied it' told
            grep -o 'and agent.sqlite-wal and agent.sqlite-shm' told
            reaches a 10.9.0.3
            rewrite 'action: denny' 'action: deny'; begin; reaches a 10.9.0.3
            finish
            """,
            prints: """
                1
                revision 1 cannot be read any more
                did you mean "deny"
                start the version of Egret that has applied it
                and agent.sqlite-wal and agent.sqlite-shm
                a does not reach 10.9.0.3
                a does not reach 10.9.0.3
                """)
    }
}
