// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// What containers, engines and other tools do to a host while policies are to hold.
@Suite("containers in bad weather", .serialized, .requiresRoot)
struct ContainerStormTests {
    private static let helpers =
        ContainerTests.helpers + #"""
            uplink=$(ip -o route get 203.0.113.11 | grep -o 'dev [^ ]*' | cut -d' ' -f2)
            capture() { tcpdump -i $uplink --immediate-mode -U -nn -w $1.pcap $2 2>/dev/null & eval "$1=$!"; sleep 0.5; }
            captured() { sleep 0.3; kill ${!1}; wait ${!1} 2>/dev/null; tcpdump -nn -r $1.pcap 2>/dev/null | wc -l; }
            quarantine="--runtime docker=/run/w/docker.sock --quarantine docker0 --quarantine br-*"
            web='{ matchLabels: { egret.policy: web } }'
            # Opens a connection every 20 ms, for so many seconds.
            knock() { d exec -d $1 sh -c 'end=$(($(date +%s) + '$3')); while [ $(date +%s) -lt $end ]; do nc -w1 '$2' 80 </dev/null & sleep 0.02; done'; }
            tools() { for a in date ip ping nc; do ln -sf busybox /run/w/image/bin/$a; done; }

            """#

    /// `EGRET_STORM` containers, 60 without it.
    private static let storm = Int(ProcessInfo.processInfo.environment["EGRET_STORM"] ?? "") ?? 60

    private func expect(
        _ name: String, _ script: String, prints expected: String, within timeout: Duration = .seconds(180),
        location: SourceLocation = #_sourceLocation
    ) throws {
        try AgentScript.expect(
            name, ContainerStormTests.helpers + script, prints: expected, within: timeout, location: location)
    }

    @Test("a storm of containers, with the agent killed at random: nothing leaks, and nothing is left behind")
    func storm() throws {
        try expect(
            "cstorm",
            #"""
            mkdir -p /run/w/image/bin; tools; up; begin $quarantine
            policy web "$web" 203.0.113.10/32 | egret apply -f - >/dev/null
            capture denied 'host 203.0.113.11'; capture allowed 'tcp and dst host 203.0.113.10'
            one() {
                d run -d --name s$1 --label egret.policy=web box sh -c 'nc -w1 203.0.113.11 80 </dev/null & nc -w1 203.0.113.11 443 </dev/null &
                    for i in 1 2 3 4 5 6; do '"$page"' 203.0.113.10 80 | grep -q hello && break; done; sleep 1000' >/dev/null || echo not started
                sleep 0.$((RANDOM % 10)); [ $(($1 % 10)) = 0 ] || d rm -f s$1 >/dev/null
            }
            touch storm; lane() { for ((n = $1; n < COUNT; n += 4)); do one $n; done; }
            COUNT=\#(ContainerStormTests.storm); lanes=; for l in 0 1 2 3; do lane $l & lanes="$lanes $!"; done
            ( wait $lanes 2>/dev/null; for l in $lanes; do while kill -0 $l 2>/dev/null; do sleep 0.2; done; done; rm storm ) & watch=$!
            while [ -e storm ]; do
                sleep 1.$((RANDOM % 10)); kill -9 $agent; wait $agent 2>/dev/null; sleep 0.$((RANDOM % 10)); begin $quarantine
            done
            wait $watch; settle $(((COUNT + 9) / 10)); endpoints | awk '{ print $2, $3 }' | sort | uniq -c | sed "s/ *$(((COUNT + 9) / 10)) /all /"
            d rm -f $(d ps -aq) >/dev/null; settle 0
            echo $(captured denied) packets of denied flows; [ $(captured allowed) -gt $COUNT ] && echo and many of allowed ones
            ls /run/egret/endpoints-* 2>/dev/null | wc -l; ls -d /run/egret/bridges/* 2>/dev/null
            finish; cleared
            """#,
            prints: """
                all docker0 policed
                0 packets of denied flows
                and many of allowed ones
                0
                """, within: .seconds(Int64(120 + 3 * ContainerStormTests.storm)))
    }

    /// What others do to a host's rules. Each begins and ends with traffic of a quarantined container.
    enum Weather: String, CaseIterable, CustomTestStringConvertible {
        case iptablesFlush =
            "for i in {1..5}; do iptables -F; iptables -t nat -F; iptables -X 2>/dev/null; sleep 0.5; done"
        case nftFlush = "for i in {1..5}; do nft flush ruleset; sleep 0.5; done"
        case dockerRestart = "down; up; down; up"
        case dockerKill =
            "kill -9 $daemon $(cat /run/w/exec/containerd/containerd.pid); wait $daemon 2>/dev/null; rm -f /run/w/pid /run/w/exec/containerd/containerd.pid; up"
        case firewalldReload = """
            mkdir -p /run/dbus /run/firewalld /run/lock; dbus-daemon --system --fork --print-pid --nopidfile >bus
            firewalld --nofork --nopid >>log 2>&1 & firewalld=$!
            for i in {1..100}; do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done
            for i in 1 2 3; do firewall-cmd --reload >/dev/null; sleep 0.5; done; firewall-cmd --complete-reload >/dev/null
            kill $firewalld; wait $firewalld 2>/dev/null; kill $(cat bus)
            """

        var testDescription: String { "\(self)" }
    }

    @Test(
        "whoever flushes or reloads the rules of the host, a quarantined network never opens, and what is allowed works again",
        arguments: Weather.allCases)
    func flush(weather: Weather) throws {
        try expect(
            "cflush",
            #"""
            # Containers go on while the engine is away: there is traffic all the time.
            mkdir -p /run/w/image/bin; tools; settings='{ "live-restore": true }'; up; begin $quarantine
            policy web "$web" 203.0.113.10/32 | egret apply -f - >/dev/null
            d run -d --name web --label egret.policy=web box sleep 1000 >/dev/null; settle 1; reaches web 203.0.113.10
            capture denied 'host 203.0.113.11'; knock web 203.0.113.11 60; sleep 1
            held() { nft list table inet egret-policy | grep -o 'ifname "[^"]*"' | sort | uniq -c | sed 's/^ *//'; }

            """# + weather.rawValue + #"""

                # Its own rules Docker puts back when it starts; Egret's are back within a second, whoever took them.
                sleep 1; held; endpoints; down; up; settle 1; reaches web 203.0.113.10; reaches web 203.0.113.11
                kill -9 $agent; wait $agent 2>/dev/null; iptables -F; iptables -t nat -F; sleep 1; held | wc -l
                begin $quarantine; settle 1; endpoints; echo $(captured denied) packets of denied flows
                d rm -f web >/dev/null; settle 0; finish; cleared
                """#,
            prints: """
                web reaches 203.0.113.10
                3 ifname "br-*"
                3 ifname "docker0"
                docker/web docker0 policed
                web reaches 203.0.113.10
                web does not reach 203.0.113.11
                2
                docker/web docker0 policed
                0 packets of denied flows
                """)
    }

    @Test("networks of every kind: internal, IPv6, published ports, and an address that comes back to somebody else")
    func kinds() throws {
        try expect(
            "ckinds",
            #"""
            mkdir -p /run/w/image/bin; tools; up; begin $quarantine
            policy web "$web" 203.0.113.10/32 | sed 's/to: \[/&{ cidr: 2001:db8:113::10\/128 }, /' | egret apply -f - >/dev/null
            n() { d network create -o com.docker.network.bridge.name=br-$1 "${@:2}" $1 >/dev/null; }
            c() { d run -d --name $1 "${@:2}" box sleep 1000 >/dev/null; }
            policed="--label egret.policy=web"
            n in --internal --subnet 172.31.0.0/24; n six --ipv6 --subnet 172.32.0.0/24 --subnet fd00:32::/64; n five --subnet 172.33.0.0/24
            python3 -m http.server -b 0.0.0.0 80 -d /run/w/image >/dev/null 2>&1 & server=$!
            echo internal: the host itself is somebody to reach
            c inner --network in $policed; c free --network in; settle 2
            gate() { d exec $1 sh -c "$page 172.31.0.1 80" | grep -q 200 && echo $1 reaches the host || echo $1 does not reach the host; }
            gate free; gate inner; reaches inner 203.0.113.10
            echo IPv6
            c six --network six $policed; settle 3
            capture six 'ip6 and dst host 2001:db8:113::10 and tcp'; capture seven 'ip6 and dst host 2001:db8:113::11'
            for a in 10 11; do d exec six sh -c "nc -w1 2001:db8:113::$a 80 </dev/null" >/dev/null 2>&1; done
            [ $(captured six) -gt 0 ] && echo packets to the allowed server; echo $(captured seven) to the other
            echo published
            d run -d --name pub $policed -p 8088:80 box sh -c 'while :; do printf "HTTP/1.0 200 OK\r\n\r\nhello\n" | nc -l -p 80; done' >/dev/null
            settle 4; curl -sm3 http://$(ip -o -4 addr show $uplink | grep -o '[0-9.]*/' | tr -d /):8088/; reaches pub 203.0.113.11
            echo an address comes back
            for label in "$policed" "" "$policed"; do
                c back --network five --ip 172.33.0.5 $label; settle 5; reaches back 203.0.113.11; d rm -f back >/dev/null; settle 4
            done
            echo a second network, later
            c two $policed; settle 5; d network connect five two; settle 6
            d exec two ip route del default; d exec two ip route 2>&1 | grep -c default
            reaches two 203.0.113.11; reaches two 203.0.113.10
            kill $server; d rm -f $(d ps -aq) >/dev/null; settle 0; d network rm in six five >/dev/null; finish; cleared
            """#,
            prints: """
                internal: the host itself is somebody to reach
                free reaches the host
                inner does not reach the host
                inner does not reach 203.0.113.10
                IPv6
                packets to the allowed server
                0 to the other
                published
                hello
                pub does not reach 203.0.113.11
                an address comes back
                back does not reach 203.0.113.11
                back reaches 203.0.113.11
                back does not reach 203.0.113.11
                a second network, later
                1
                two does not reach 203.0.113.11
                two reaches 203.0.113.10
                """)
    }

    @Test("a container with NET_ADMIN speaks for nobody else, and is listed as what cannot be relied upon")
    func administrator() throws {
        try expect(
            "cadmin",
            #"""
            mkdir -p /run/w/image/bin; tools; up; begin $quarantine
            policy web "$web" 203.0.113.10/32 | egret apply -f - >/dev/null
            d run -d --name free box sleep 1000 >/dev/null
            d run -d --name web --cap-add NET_ADMIN --label egret.policy=web box sleep 1000 >/dev/null; settle 2
            egret get endpoints docker/web -o json | grep -o 'it has the capability NET_ADMIN'
            echo others that can get into the host\'s network
            for n in "sys --cap-add SYS_ADMIN" "trace --cap-add SYS_PTRACE --pid host" "plain --cap-add SYS_PTRACE" \
                "module --cap-add SYS_MODULE" "ports --cap-add SYS_RAWIO" "boot --cap-add SYS_BOOT" \
                "files --cap-add DAC_READ_SEARCH" "clock --cap-add SYS_TIME"; do
                d run -d --name $n box sleep 1000 >/dev/null
            done
            others="sys trace plain module ports boot files clock"; settle 10; for n in $others; do echo $n: $(egret get endpoints docker/$n -o json | grep -o '"reason" : "it [^,]*'); done
            d rm -f $others >/dev/null; settle 2
            capture denied 'host 203.0.113.11'
            w() { d exec web "$@" 2>/dev/null; }
            reaches web 203.0.113.11; reaches free 203.0.113.11; echo $(captured denied | grep -c '^0$')
            capture other 'udp port 9 or dst port 9'
            knocks() { for i in 1 2 3; do w sh -c 'nc -w1 203.0.113.11 9 </dev/null; nc -u -w1 203.0.113.11 9 </dev/null; ping -c1 -W1 203.0.113.11' >/dev/null; done; }
            mine=$(w ip -o -4 addr show eth0 | grep -o '172[0-9.]*/16'); theirs=$(d exec free ip -o -4 addr show eth0 | grep -o '172[0-9.]*/16')
            echo the address of the other, one of nobody, and another hardware address
            d pause free >/dev/null; w ip addr del $mine dev eth0; w ip addr add $theirs dev eth0; w ip -o -4 addr show eth0 | grep -c "$theirs"; w ip route add default via 172.17.0.1; knocks
            w ip addr del $theirs dev eth0; w ip addr add 172.17.99.99/16 dev eth0; w ip route add default via 172.17.0.1; knocks
            w ip addr del 172.17.99.99/16 dev eth0; w ip addr add $mine dev eth0; w ip link set eth0 down; w ip link set eth0 address 02:00:00:00:00:99
            w ip link set eth0 up; w ip route add default via 172.17.0.1; knocks
            d unpause free >/dev/null; echo $(captured other) packets to the denied server
            d rm -f web free >/dev/null; settle 0; finish; cleared
            """#,
            prints: """
                it has the capability NET_ADMIN
                others that can get into the host's network
                sys: "reason" : "it has the capability SYS_ADMIN in the host's user namespace
                trace: "reason" : "it sees the host's processes and has the capability SYS_PTRACE
                plain:
                module: "reason" : "it has the capability SYS_MODULE in the host's user namespace
                ports: "reason" : "it has the capability SYS_RAWIO in the host's user namespace
                boot: "reason" : "it has the capability SYS_BOOT in the host's user namespace
                files: "reason" : "it has the capability DAC_READ_SEARCH in the host's user namespace
                clock: "reason" : "it has the capability SYS_TIME in the host's user namespace
                web does not reach 203.0.113.11
                free reaches 203.0.113.11
                0
                the address of the other, one of nobody, and another hardware address
                1
                0 packets to the denied server
                """)
    }
}
