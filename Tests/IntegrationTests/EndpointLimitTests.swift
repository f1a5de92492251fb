// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Limits of networks' endpoints, under an agent.
@Suite("an endpoint with limits", .serialized, .requiresRoot)
struct EndpointLimitTests {
    private static let helpers =
        AgentScript.begin + """
            inside() { ip netns exec "$@"; }
            set_limits() { egret apply -f - <<X >/dev/null
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: shop }
            spec: { selects: { matchLabels: { shop: mine } }, default: allow, limits: [$1] }
            X
            }
            cat >server.py <<X
            import socket, threading
            def keep(connection):
                with connection: connection.recv(1)
            server = socket.create_server(("10.9.0.4", 9000), backlog=500)
            while True: threading.Thread(target=keep, args=server.accept()[:1]).start()
            X
            cat >connect.py <<X
            import socket, sys
            kept = []
            for _ in range(int(sys.argv[1])):
                try: kept.append(socket.create_connection(("10.9.0.4", 9000), 0.9)); print(1, end="")
                except OSError: print(0, end="")
            print(flush=True)
            if len(sys.argv) > 2: sys.stdin.read()
            X
            # A server of its own for every transfer: one that has just ended a transfer is busy with it for a while.
            serve() {
                if [ -e $1.pid ]; then
                    server=$(tr -d '\\0' <$1.pid); kill $server; while kill -0 $server 2>/dev/null; do sleep 0.02; done
                fi
                inside s iperf3 -s -p $1 -D -I $PWD/$1.pid; until inside s ss -ltn | grep -q :$1; do sleep 0.02; done
            }
            # Megabits a second from an endpoint to the server: as many as are meant, headers included, if there are so many.
            rate() {
                case "$*" in *"-p 5202"*) port=5202;; *) port=5201;; esac
                for try in 1 2 3 4 5; do
                    serve $port; inside $1 timeout 30 iperf3 -l 4K -c 10.9.0.4 -t 3 -O 1 -f k "${@:3}" >$1-rate
                    rate=$(awk -v meant=$2 '/receiver/ { for (i = 1; i < NF; i++) if ($(i + 1) == "Kbits/sec") r = $i / 1000 }
                        END { print (r > 100) ? "free" : (r > 0.89 * meant && r < meant) ? meant : r }' $1-rate)
                    [ "$rate" = $2 ] && break
                done
                echo $rate
            }
            # What a transfer of a's, and one of $1 to $2 beside it, bring together of ten megabits a second.
            both() {
                for try in 1 2 3 4; do
                    serve 5201; serve 5202; inside a timeout 30 iperf3 -c 10.9.0.4 -t 4 -O 1 -f k $3 >x & other=$!
                    inside $1 timeout 30 iperf3 -c $2 -t 4 -O 1 -f k -p 5202 $3 >y; wait $other
                    sum=$(awk '/receiver/ { for (i = 1; i < NF; i++) if ($(i + 1) == "Kbits/sec" && $i > 0) { s += $i / 1000; n++ } }
                        END { print (n == 2 && s > 8.5 && s < 10) ? "ten" : n " bring " s }' x y)
                    [ "$sum" = ten ] && break
                done
                echo $sum
            }
            up() {
                egret network create br0 --subnet 10.9.0.0/24 $mode
                for n in a b; do
                    egret network connect br0 $n --create --workload shop/$n --label shop=mine >/dev/null
                done
                egret network connect br0 s --create --workload shop/s >/dev/null
                begin; inside s python3 server.py & python=$!; until inside s ss -ltn | grep -q :9000; do sleep 0.05; done
            }
            down() {
                kill $agent $python; for p in 5201 5202; do [ -e $p.pid ] && kill $(tr -d '\\0' <$p.pid); done
                wait 2>/dev/null; egret network rm br0 --force
            }
            left() { ip -br link show type ifb | wc -l; ip -br link show type macvlan | wc -l; nft list tables | grep -c limits; }

            """

    private func script(_ name: String, mode: String = "", _ text: String) throws -> String {
        var result = ""
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path); mode='\(mode)'\n" + EndpointLimitTests.helpers + "up\n" + text + "\ndown",
                timeout: .seconds(420))
            result = output.standardOutput + output.standardError
            let remains = try internet.remains()
            #expect(remains.split(separator: "\n").filter { !$0.hasSuffix(".lock") } == [])
        }
        return result
    }

    @Test(
        "egret limit sets, changes and lifts them while traffic flows, and another agent takes them over",
        arguments: ["", "--mode routed"])
    func command(mode: String) throws {
        let output = try script(
            "eglimit", mode: mode,
            """
            egret limit shop/nobody --rate 3Mbit; echo $?
            egret limit shop/a --rate 20Mbit --rate 10.9.0.4:5202=4Mbit --connections 10.9.0.4:9000=3 | grep -c limits
            egret get endpoints a -o wide | grep -o '10.9.0.4 5202.*connections'
            rate a 4 -p 5202; rate a 4 -p 5202 -R; rate a 20; rate b free -p 5202
            egret get endpoints a -o json | python3 -c 'import json, sys
            for r in json.load(sys.stdin)[0]["rates"]: print(r["direction"], r["bytes"] > 1000000, r["dropped"] < r["packets"])'
            inside a python3 connect.py 5
            inside a ping -q -i 0.005 -c 800 10.9.0.4 >pings & pings=$!
            for r in 2 8 6; do egret limit shop/a --rate 20Mbit --rate 10.9.0.4:5202=${r}Mbit >/dev/null; sleep 0.3; done
            kill -9 $agent; wait $agent 2>/dev/null; begin; wait $pings; grep -o ' [0-9.]*% packet loss' pings
            rate a 6 -p 5202
            egret flows --denied | grep -c 'EgressPolicy/limit.shop.a  *limit 10.9.0.4 9000/tcp: 3 connections'
            egret limit shop/a --clear | grep -c removed; rate a free -p 5202; left
            """)
        #expect(
            output == """
                1
                1
                10.9.0.4 5202/tcp: 4Mbit, 10.9.0.4 9000/tcp: 3 connections
                4
                4
                20
                free
                egress True True
                ingress True True
                11100
                 0% packet loss
                6
                1
                1
                free
                0
                0
                0
                egret: there is no endpoint shop/nobody
                       egret get endpoints lists them

                """)
    }

    @Test("endpoints of a policy share its connections, and what the agent counted outlives it")
    func sharedConnections() throws {
        let output = try script(
            "egshare",
            """
            set_limits '{ connections: 3, per: policy, direction: egress }'
            mkfifo open; inside a python3 connect.py 2 keep <open & exec 9>open; sleep 1
            inside b python3 connect.py 2
            kill -9 $agent; wait $agent 2>/dev/null; begin 9>&-
            inside b python3 connect.py 3
            exec 9>&-; sleep 1; inside b python3 connect.py 4
            set_limits '{ connections: 3 }'; inside a python3 connect.py 4; inside b python3 connect.py 4
            egret delete EgressPolicy/shop >/dev/null; inside b python3 connect.py 4; left
            """)
        #expect(output == "11\n10\n100\n1110\n1110\n1110\n1111\n0\n0\n0\n")
    }

    @Test("each endpoint has its connections to each far address, and what the kernel counted outlives the agent")
    func destinations() throws {
        let output = try script(
            "egdest",
            """
            sed 's/10.9.0.4/10.9.0.3/' server.py >other-server.py; sed 's/10.9.0.4/10.9.0.3/' connect.py >other.py
            inside b python3 other-server.py & other=$!; until inside b ss -ltn | grep -q :9000; do sleep 0.05; done
            set_limits '{ connections: 2, per: destination, direction: egress }'
            egret get endpoints a -o wide | grep -o 'egress 2 connections per destination'
            mkfifo open; inside a python3 connect.py 3 keep <open & exec 9>open; sleep 2
            inside a python3 other.py 3; inside b python3 connect.py 3
            kill -9 $agent; wait $agent 2>/dev/null; begin 9>&-
            inside a python3 connect.py 1; inside a python3 other.py 1
            exec 9>&-; sleep 2; inside a python3 connect.py 3
            egret flows --denied | grep -q 'EgressPolicy/shop  *limit 2 connections per destination' && echo told
            egret delete EgressPolicy/shop >/dev/null; inside a python3 connect.py 4; kill $other; left
            """)
        #expect(
            output == """
                egress 2 connections per destination
                110
                110
                110
                0
                1
                110
                told
                1111
                0
                0
                0

                """)
    }

    @Test("limits hold at their times and not at others, and what was counted outlives the agent")
    func times() throws {
        let output = try script(
            "egtimes",
            TimesScript.soon + """
                past='{ until: 2020-01-01 }'; present='{ from: 2020-01-02 }'
                set_limits "{ rate: 20Mbit, when: $present }, { rate: 2Mbit, when: $past }, { rate: 4Mbit, ports: [5202], when: $present }"
                rate a 20; rate a 20 -R; rate a 4 -p 5202; rate a 4 -p 5202 -R
                egret get endpoints a -o wide | grep -o '4Mbit only from 2020-01-02 (UTC)'
                set_limits "{ rate: 6Mbit, per: policy, ports: [5201], when: $present }, { rate: 1Mbit, per: policy, when: $past }"
                rate a 6; rate a 6 -R; rate b free -p 5202
                set_limits "{ connections: 1, when: $past }, { connections: 3, direction: egress, when: $present }"
                mkfifo open; inside a python3 connect.py 2 keep <open & exec 9>open; sleep 1
                export TZDIR=$PWD; kill -9 $agent; wait $agent 2>/dev/null; begin 9>&-
                inside a python3 connect.py 3; exec 9>&-; sleep 1
                set_limits "{ connections: 2, ports: [9000], when: $present }, { rate: 3Mbit }, { rate: 5Mbit, ports: [9], when: $past }"
                rate a 3; inside a python3 connect.py 4
                set_limits "{ rate: 5Mbit, ports: [80], when: { hours: ['09:00-17:00'] } }, { rate: 3Mbit, when: { hours: ['12:00-20:00'] } }" \
                    2>&1 | grep -o 'overlap, in traffic and in times'
                # Until then nothing is held back, and then it is.
                soon 30; from="{ from: '$at', timezone: Soon }"
                set_limits "{ rate: 4Mbit, when: $from }, { connections: 2, ports: [9000], when: $from }"
                inside a python3 connect.py 4; rate a free
                while [ $(date +%s) -lt $end ]; do sleep 0.2; done
                inside a python3 connect.py 4; rate a 4; rate a 4 -R
                egret delete EgressPolicy/shop >/dev/null; inside a python3 connect.py 4; rate a free; left
                """)
        #expect(
            output == """
                20
                20
                4
                4
                4Mbit only from 2020-01-02 (UTC)
                6
                6
                free
                11
                100
                3
                1100
                overlap, in traffic and in times
                1111
                free
                1100
                4
                4
                1111
                free
                0
                0
                0

                """)
    }

    @Test(
        "endpoints of a policy share its rate, beside each one's own, in both directions",
        arguments: ["", "--mode routed"])
    func sharedRate(mode: String) throws {
        let output = try script(
            "egpool", mode: mode,
            """
            set_limits '{ rate: 20Mbit, per: policy }, { rate: 8Mbit }'
            rate a 8; rate a 8 -R
            set_limits '{ rate: 10Mbit, per: policy }, { rate: 8Mbit }'
            both b 10.9.0.4; both b 10.9.0.4 -R
            set_limits '{ rate: 6Mbit, per: policy, ports: [5201] }'; rate a 6; rate a 6 -R; rate a free -p 5202; rate b 6
            kill -9 $agent; wait $agent 2>/dev/null; begin; rate a 6 -R; rate a 6
            egret delete EgressPolicy/shop >/dev/null; rate a free; rate b free -R; left; tc qdisc | grep -c egret-
            """)
        #expect(
            output == """
                8
                8
                ten
                ten
                6
                6
                free
                6
                6
                6
                free
                free
                0
                0
                0
                0

                """)
    }

    @Test(
        "what somebody removes or changes of a shared rate is told of and put back", arguments: ["", "--mode routed"])
    func sharedDrift(mode: String) throws {
        let output = try script(
            "egdrift", mode: mode,
            """
            set_limits '{ rate: 20Mbit, per: policy }, { rate: 6Mbit, per: policy, ports: [5201] }'
            rate a 6; rate a 6 -R
            # Waits until the agent has told of so much.
            told() { for i in {1..450}; do grep -q "$1" log && break; sleep 0.1; done; grep -o "$1" log; sleep 2; }
            tc qdisc del dev egret-out root; told 'the limits of link egret-out have changed'
            inner=$(tc class show dev egret-in | awk '/ceil 6Mbit/ { print $3; exit }')
            outer=$(tc class show dev egret-in | awk '/root rate/ { print $3; exit }')
            tc class change dev egret-in parent $outer classid $inner htb rate 60mbit ceil 60mbit 2>/dev/null
            told 'the limits of link egret-in have changed'
            tc qdisc del dev $(tc qdisc | awk '/clsact/ { print $5; exit }') clsact; told 'is not led through what limits it'
            rate a 6; rate a 6 -R; tc qdisc | grep -c clsact; egret get status | grep -ci 'not in force'
            egret delete EgressPolicy/shop >/dev/null; left
            """)
        #expect(
            output == """
                6
                6
                the limits of link egret-out have changed
                the limits of link egret-in have changed
                is not led through what limits it
                6
                6
                2
                0
                0
                0
                0

                """)
    }

    @Test(
        "an endpoint with two links has one rate and one count of connections for both",
        arguments: ["", "--mode routed"])
    func twoLinks(mode: String) throws {
        let output = try script(
            "egtwo", mode: mode,
            """
            egret network create br1 --subnet 10.8.0.0/24 $mode
            egret network connect br1 a --interface eth1 --workload shop/a --label shop=mine >/dev/null
            egret network connect br1 s --interface eth1 --workload shop/s >/dev/null
            to=$(ip -n s -o -4 addr show dev eth1 | awk '{ print $4 }' | cut -d/ -f1)
            set_limits '{ rate: 10Mbit }, { connections: 3, ports: [9000] }'
            both a $to; both a $to -R; ip -br link show type ifb | wc -l
            sed "s/10.9.0.4/$to/" connect.py >other.py
            mkfifo open; inside a python3 connect.py 2 keep <open & exec 9>open; sleep 1
            inside s python3 -c "exec(open('server.py').read().replace('10.9.0.4', '$to'))" 9>&- & more=$!; sleep 0.5
            inside a python3 other.py 3; exec 9>&-
            kill -9 $agent; wait $agent 2>/dev/null; begin; both a $to; both a $to -R
            set_limits '{ rate: 30Mbit, per: policy }, { rate: 10Mbit }'; both a $to; both a $to -R; rate b 10
            set_limits '{ rate: 12Mbit, guarantee: 1Mbit, ports: [5201] }, { rate: 10Mbit }'; both a $to; both a $to -R
            egret network disconnect br1 a >/dev/null; set_limits '{ rate: 10Mbit }'; rate a 10; rate a 10 -R
            egret delete EgressPolicy/shop >/dev/null; left
            kill $more; egret network rm br1 --force
            """)
        #expect(
            output == """
                ten
                ten
                3
                11
                100
                ten
                ten
                ten
                ten
                10
                ten
                ten
                10
                10
                0
                0
                0

                """)
    }
}
