// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Budgets of networks' endpoints, under an agent, counted at both ends.
@Suite("an endpoint with a budget", .serialized, .requiresRoot)
struct BudgetTests {
    private static let helpers =
        AgentScript.begin + """
            policy() { change "$1" apply >/dev/null; }
            change() { egret $2 -f - <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: metered }
            spec: { selects: { matchLabels: { app: a } }, default: allow, budgets: [$1] }
            X
            }
            inside() { ip netns exec "$@"; }
            outside() { nsenter --net=$ISP "$@"; }
            # Datagrams of 1000 bytes from an endpoint to b, so many, as fast as the second argument's pause lets them.
            send() { inside ${3:-a} python3 -c '
            import socket, sys, time
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for i in range(int(sys.argv[1])):
                s.sendto(b"x" * 1000, ("10.9.0.3", 9999)); time.sleep(float(sys.argv[2]))' $1 ${2:-0.001}; }
            # Counts what arrives at b until nothing does for a second: bytes of IP packets.
            receive() { rm -f received; inside b python3 -c '
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
            s.bind(("10.9.0.3", 9999)); print("ready", flush=True); s.settimeout(20); n = 0
            try:
                while True: n += len(s.recv(65536)) + 28; s.settimeout(2)
            except TimeoutError: print(n)' >received & receiver=$!; until grep -qs ready received; do sleep 0.02; done; }
            received() { wait $receiver; tail -1 received; }
            # Waits until b takes connections.
            listening() { for i in {1..200}; do inside b ss -Hltn | grep -q :9999 && break; sleep 0.05; done; }
            transfer() { receive; send "$@"; received; }
            used() { egret budget ls -o json | python3 -c '
            import json, sys
            for b in json.load(sys.stdin): print(b["budget"], b["account"], b["used"], b["isExhausted"])'; }
            total() { egret usage --by ${1:-policy} -o json |
                python3 -c 'import json, sys; print(sum(r["bytes"] for r in json.load(sys.stdin)))'; }
            build() {
                egret network create br0 --subnet 10.9.0.0/24 $1 && for n in a b c; do
                    egret network connect br0 $n --create --workload shop/$n --label app=${n/c/a} >/dev/null; done
                begin
            }
            finish() {
                egret delete EgressPolicy/metered >/dev/null 2>&1; kill $agent; wait $agent
                egret network rm br0 --force
            }

            """

    private func expect(_ text: String, of script: String, seconds: Int = 300) throws {
        try withInternet("agbudget") { internet in
            let directory = try TemporaryDirectory()
            let isp = try Gate(to: .isp, of: internet)
            let output = try internet.script(
                "cd \(directory.path)\nISP=\(isp.path)\n" + BudgetTests.helpers + script + "\nfinish",
                timeout: .seconds(seconds))
            withExtendedLifetime(isp) {}
            let log = (try? contents(of: directory.path + "/log")).map { String(decoding: $0, as: UTF8.self) } ?? ""
            #expect(output.standardOutput == text, "\(output.standardError)\n\(log)")
            let remains = try internet.remains()
            #expect(remains.split(separator: "\n").filter { !$0.hasSuffix(".lock") } == [])
        }
    }

    @Test(
        "sends to the last packet that fits, and what is counted is what the other end received",
        arguments: ["", "--mode routed"])
    func exact(mode: String) throws {
        try expect(
            """
            99716
            daily shop/a 99716 True
            daily shop/c 0 False
            49344
            daily shop/a 149060 True
            99716
            shop/a budgets
            248776 248776 248776 248776
            0.024877 USD
            0 tables

            """,
            of: """
                build "\(mode)"
                policy '{ name: daily, amount: 100kB, per: day, onExhausted: cut, price: 100 USD/GB }'
                transfer 200; used
                egret budget grant metered daily 50kB --account shop/a >/dev/null; transfer 100
                used | grep shop/a
                transfer 100 0.001 c
                change '{ name: daily, amount: 200kB, per: day }' plan | awk '/^shop.a/ { print $1, $2 }'
                echo $(total) $(total endpoint) $(total day) $(total destination)
                egret usage --by policy --cost | tail -1 | grep -o '[0-9.]* USD'
                egret delete EgressPolicy/metered >/dev/null; policy '{ name: again }'
                egret delete EgressPolicy/metered >/dev/null
                echo $(nft list tables | grep -c egret-budgets) tables
                """)
    }

    @Test("a full disk frees nobody of a budget and gives nobody more; what was used is written when there is room")
    func fullDisk() throws {
        try expect(
            """
            99716
            99716
            egret: the change could not be applied, and everything is as before: database or disk is full
            daily shop/a 99716 True
            daily shop/c 99716 True
            what is used of budgets cannot be written
            0
            0
            daily shop/a 99716 True
            daily shop/c 99716 True
            problem none
            daily shop/a 99716 True
            daily shop/c 99716 True

            """,
            of: """
                mkdir agent; mount -t tmpfs -o size=2M tmpfs agent; build ""
                egret network disconnect br0 c
                policy '{ name: daily, amount: 100kB, per: day }'
                dd if=/dev/zero of=agent/ballast bs=1k 2>/dev/null; dd if=/dev/zero of=agent/rest bs=1 2>/dev/null
                transfer 200
                # One that comes later is held to it as well.
                egret network connect br0 c --create --workload shop/c --label app=a >/dev/null; transfer 200 0.001 c
                egret budget grant metered daily 50kB 2>&1 | head -1; used
                egret get status | grep -o 'what is used of budgets cannot be written'
                # Also by the next agents, which find the disk full, and the log of what was written or none.
                for s in 9 15; do kill -$s $agent; wait $agent 2>/dev/null; begin; transfer 100; done; used
                rm agent/ballast agent/rest; sleep 2; egret get status | awk '/^problem/ { print $1, $2 }'
                kill $agent; wait $agent; begin; used
                finish; finish() { umount agent; }
                """)
    }

    @Test("of packets exactly as many pass as there may, also without an agent, and it goes on after its restart")
    func packets() throws {
        try expect(
            """
            102800
            daily shop/a 100 True
            51400
            daily shop/a 150 True
            150 packets
            is of packets
            154200
            0 tables

            """,
            of: """
                build
                policy '{ name: daily, amount: 100 packets, per: day, onExhausted: cut }'
                kill -9 $agent; wait $agent 2>/dev/null; transfer 200
                begin; sleep 1.2; used | grep shop/a
                egret budget grant metered daily 50 packets --account shop/a >/dev/null
                kill -9 $agent; wait $agent 2>/dev/null; transfer 100
                begin; sleep 1.2; used | grep shop/a
                egret budget ls | grep shop/a | grep -om1 '150 packets' | head -1
                egret budget grant metered daily 5GB 2>&1 | grep -o 'is of packets'
                total
                egret delete EgressPolicy/metered >/dev/null
                echo $(nft list tables | grep -c egret-budgets) tables
                """)
    }

    @Test("of connections exactly as many begin as there may, also without an agent, and those go on")
    func connections() throws {
        try expect(
            """
            5
            go on
            hourly shop/a 5 True
            2
            go on
            hourly shop/a 7 True

            """,
            of: """
                build
                policy '{ name: hourly, amount: 5 connections, per: total }'
                inside b python3 -c '
                import socket, threading
                def echo(c):
                    while (data := c.recv(9)): c.sendall(data)
                s = socket.create_server(("10.9.0.3", 9999))
                while True: threading.Thread(target=echo, args=(s.accept()[0],), daemon=True).start()' & server=$!
                listening
                cat >client.py <<'X'
                import socket
                open = []
                for i in range(8):
                    try: open.append(socket.create_connection(("10.9.0.3", 9999), timeout=1.5))
                    except OSError: pass
                print(len(open))
                for c in open: c.sendall(b"x")
                if all(c.recv(1) == b"x" for c in open): print("go on")
                X
                inside a python3 client.py; sleep 1.2; used | grep shop/a
                egret budget grant metered hourly '2 connections' --account shop/a >/dev/null
                kill -9 $agent; wait $agent 2>/dev/null; inside a python3 client.py
                begin; sleep 1.2; used | grep shop/a
                kill $server
                """)
    }

    @Test("price lists count every endpoint's traffic by where it goes, and price it by the month")
    func priceList() throws {
        try expect(
            """
            PriceList/cloud Enforced
            near 102800 5280
            near 102800 5280 True
            there are no budgets
            near 205600 15560
            near 205600 {}
            0 tables

            """,
            of: """
                build "--mode routed"
                prices() { egret apply -f - <<X
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: near, to: [{ cidr: 10.9.0.0/24 }], free: 50kB, price: $1 USD/GB }
                  - { name: internet, price: 900 USD/GB }
                X
                }
                priced() { egret usage --by endpoint,destination --cost -o json | python3 -c '
                import json, sys
                for r in json.load(sys.stdin):
                    if (r["endpoint"], r["destination"]) == ("shop/a", "near"):
                        print("near", r["bytes"], r["cost"].get("USD", r["cost"]))'; }
                prices 100 >/dev/null; egret get prices | awk 'NR > 1 { print $1, $2 }'
                transfer 100 >/dev/null; sleep 1.2; priced
                egret usage --forecast -o json | python3 -c '
                import json, sys
                for c in json.load(sys.stdin):
                    if c["destination"] == "near":
                        print("near", c["used"], c["cost"], c["forecast"] >= c["used"])'
                egret budget ls
                kill -9 $agent; wait $agent 2>/dev/null; transfer 100 >/dev/null; begin; sleep 1.2; priced
                egret delete PriceList/cloud >/dev/null; priced
                echo $(nft list tables | grep -c egret-budgets) tables
                """)
    }

    @Test("what large segments and many connections send never exceeds the amount, nor does it fall short by a packet")
    func bulk() throws {
        try expect(
            """
            within
            within
            counted

            """,
            of: """
                build
                policy '{ name: daily, amount: 20MB, onExhausted: cut }'
                cat >sink.py <<'X'
                import socket, threading
                s = socket.create_server(("10.9.0.3", 9999)); total = [0]
                def drain(c):
                    c.settimeout(3)
                    try:
                        while (n := len(c.recv(1 << 20))) > 0: total[0] += n
                    except TimeoutError: pass
                threads = []
                for i in range(8): threads.append(threading.Thread(target=drain, args=(s.accept()[0],))); threads[-1].start()
                for t in threads: t.join()
                print(total[0])
                X
                cat >source.py <<'X'
                import socket, threading
                barrier = threading.Barrier(8)
                def send():
                    c = socket.create_connection(("10.9.0.3", 9999)); barrier.wait(); c.settimeout(2)
                    try:
                        while True: c.sendall(b"x" * 100000)
                    except TimeoutError: pass
                for i in range(8): threading.Thread(target=send, daemon=True).start()
                import time; time.sleep(6)
                X
                inside b python3 sink.py >sunk & sink=$!; listening; inside a python3 source.py; wait $sink
                used=$(used | grep shop/a | cut -d' ' -f3); sunk=$(cat sunk)
                (( used <= 20000000 && used > 20000000 - 65536 )) && echo within || echo $used
                # Besides the data, headers: at most 52 bytes for each 1,448, and what was sent again.
                (( sunk <= used && sunk > used * 94 / 100 )) && echo within || echo $sunk of $used
                [ $used = $(total) ] && echo counted
                """)
    }

    @Test("denies new connections, and lets open ones go on")
    func deny() throws {
        try expect(
            """
            open
            True
            refused
            again

            """,
            of: """
                build
                policy '{ name: daily, amount: 100kB, per: day }'
                inside b python3 -c '
                import socket
                s = socket.create_server(("10.9.0.3", 9999))
                while True:
                    c, _ = s.accept(); n = 0
                    while n < 500000: n += len(c.recv(65536))
                    c.sendall(b"done")' & server=$!
                listening
                cat >client.py <<'X'
                import socket, time
                s = socket.create_connection(("10.9.0.3", 9999)); s.settimeout(10)
                s.sendall(b"x" * 400000); time.sleep(2.5); s.sendall(b"x" * 100000); s.recv(4); print("open")
                X
                inside a python3 client.py; used | grep shop/a | cut -d' ' -f4
                inside a timeout 2 python3 -c 'import socket; socket.create_connection(("10.9.0.3", 9999))' 2>/dev/null || echo refused
                egret budget reset metered daily >/dev/null
                inside a timeout 10 python3 client.py >/dev/null && echo again
                kill $server
                """)
    }

    @Test("is slowed down, or only told of")
    func throttle() throws {
        try expect(
            """
            slow
            205600
            all of 100kB is used
            50% of 100kB are used

            """,
            of: """
                build
                policy '{ name: daily, amount: 100kB, per: day, onExhausted: { throttle: 256kbit } }'
                # 99,716 bytes, a burst of 64 KiB, and 32 bytes a millisecond for as long as sending takes, three seconds and more.
                receive; t=$(date +%s%N); send 1500 0.002; t=$(( ($(date +%s%N) - t) / 1000000 )); received >all; bytes=$(cat all)
                (( bytes > 230000 && bytes < 200000 + 32 * t )) && echo slow || echo $bytes in $t ms
                policy '{ name: told, amount: 100kB, per: day, onExhausted: alert, alertAt: [50%] }'
                transfer 50 >/dev/null; sleep 1.2; transfer 150 >first; echo $(( $(cat first) + 51400 )); sleep 1.2
                grep -o 'all of 100kB is used' log; grep -o '50% of 100kB are used' log
                """)
    }

    @Test("two budgets on one endpoint both hold, and what one drops the other does not count")
    func two() throws {
        try expect(
            """
            49344
            small shop/a 49344 True
            large shop/a 49344 False
            99716
            pool  99716 True

            """,
            of: """
                build
                policy '{ name: large, amount: 1MB, onExhausted: cut }, { name: small, amount: 50kB, per: day, onExhausted: cut }'
                transfer 3000 0.0005; sleep 1.2; used | grep shop/a | sort -r
                policy '{ name: pool, amount: 100kB, scope: policy, onExhausted: cut }'
                receive; send 60 0.002 a; send 60 0.002 c; received; used
                """)
    }

    @Test("a sender is not charged for what its receiver's budget drops")
    func bothEnds() throws {
        try expect(
            """
            49344
            out shop/a 49344 False
            in shop/b 49344 True
            98688 98688 98688
            50372
            99716

            """,
            of: """
                build
                policy '{ name: out, amount: 150kB, onExhausted: cut }'
                egret apply -f - >/dev/null <<X
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: receiving }
                spec:
                  selects: { matchLabels: { app: b } }
                  default: allow
                  budgets: [{ name: in, direction: ingress, amount: 50kB, onExhausted: cut }]
                X
                # Twice as much as either has.
                transfer 300 0.002; sleep 1.2; used | grep -v shop/c; echo $(total) $(total endpoint) $(total destination)
                # What has been dropped all the time has used nothing of the sender's: so much is left.
                egret budget grant receiving in 50kB >/dev/null; transfer 100 0.002
                egret budget grant receiving in 500kB >/dev/null; egret budget grant metered out 50kB --account shop/a >/dev/null
                transfer 300 0.002
                egret delete EgressPolicy/receiving >/dev/null
                """)
    }

    @Test("translated traffic counts for the endpoint whose it is, by its far side, in both directions")
    func translated() throws {
        try expect(
            """
            151116 192.0.2.2
            back shop/a 51216 False
            back shop/c 26400 False
            out shop/a 99716 True
            out shop/c 51400 False
            49344 192.0.2.1
            in shop/b 49344 True

            """,
            of: """
                build
                # Answers each datagram with the half of it, and counts what comes, and from whom.
                cat >answer.py <<'X'
                import socket, sys
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 9999)); s.settimeout(20)
                print("ready", flush=True); bytes = 0; senders = set()
                try:
                    while True:
                        data, sender = s.recvfrom(65536); s.sendto(data[:500], sender); s.settimeout(3)
                        bytes += len(data) + 28; senders.add(sender[0])
                except TimeoutError: print(bytes, *senders)
                X
                # Stays until the answers are there: a closed port would say so, and that would count, too.
                cat >ask.py <<'X'
                import socket, sys, time
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for i in range(int(sys.argv[2])): s.sendto(b"x" * 1000, (sys.argv[1], int(sys.argv[3]))); time.sleep(0.001)
                time.sleep(1)
                X
                answer() { rm -f received; "$@" >received & receiver=$!; until grep -qs ready received; do sleep 0.02; done; }
                policy '{ name: out, to: [{ cidr: 192.0.2.1/32 }], amount: 100kB, onExhausted: cut },
                    { name: back, to: [{ cidr: 192.0.2.1/32 }], direction: ingress }'
                # The far side sees one address, the host's.
                answer outside python3 answer.py 192.0.2.1
                inside a python3 ask.py 192.0.2.1 200 9999 & asker=$!; inside c python3 ask.py 192.0.2.1 50 9999
                wait $asker; received; sleep 1.2; used
                # A published port: who asks it knows the host's address alone.
                egret apply -f - >/dev/null <<X
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: receiving }
                spec:
                  selects: { matchLabels: { app: b } }
                  default: allow
                  budgets: [{ name: in, to: [{ cidr: 192.0.2.1/32 }], direction: ingress, amount: 50kB, onExhausted: cut }]
                X
                egret publish 9998:9999/udp b; answer inside b python3 answer.py 10.9.0.3
                outside python3 ask.py 192.0.2.2 100 9998; received; sleep 1.2; used | grep shop/b
                egret delete EgressPolicy/receiving >/dev/null; egret unpublish 9998/udp
                """)
    }

    @Test("fragments count with the datagrams that they are of, also where a budget is for ports")
    func fragments() throws {
        try expect(
            """
            5
            100140
            web shop/a 100140 True

            """,
            of: """
                build
                policy '{ name: web, ports: [9999/udp], amount: 110kB, onExhausted: cut }'
                receive
                inside a python3 -c '
                import socket, time
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for i in range(20): s.sendto(b"x" * 20000, ("10.9.0.3", 9999)); time.sleep(0.02)'
                received >all; bytes=$(cat all); echo $((bytes / 20028)); echo $bytes; sleep 1.2; used | grep shop/a
                """)
    }

    @Test("an endpoint that is gone is shown with what it used, at its price, and can be given more")
    func gone() throws {
        try expect(
            """
            99716
            daily shop/a 99716 False
            0.009971 USD
            daily shop/a 99716 False
            daily shop/a
            99716

            """,
            of: """
                build
                policy '{ name: daily, amount: 100kB, per: week, onExhausted: cut, price: 100 USD/GB }'
                transfer 200; sleep 1.2; egret network disconnect br0 a >/dev/null; sleep 1.5
                used | grep shop/a; egret usage --cost --by endpoint | grep shop/a | grep -o '[0-9.]* USD'
                egret budget grant metered daily 100kB --account shop/a >/dev/null
                used | grep shop/a; egret budget ls -o json | python3 -c '
                import json, sys
                print(*[b["budget"] + " " + b["account"] for b in json.load(sys.stdin) if b["endpoints"] == 0])'
                egret network connect br0 a --create --workload shop/a --label app=a >/dev/null; sleep 1.2
                transfer 200
                """)
    }

    @Test("an agent that is killed a hundred times loses nothing and invents nothing, and nothing opens meanwhile")
    func kills() throws {
        try expect(
            """
            same
            51400000
            closed
            daily shop/a 51400000 False
            packets shop/a 50000 False
            1028000
            daily shop/a 52428000 True
            packets shop/a 51000 False

            """,
            of: """
                build
                policy '{ name: daily, amount: 52428000B, onExhausted: cut }, { name: packets, amount: 60000 packets }'
                # Slowly for as long as agents are killed, and then the rest.
                receive; inside a python3 -c '
                import os, socket, time
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for i in range(50000):
                    s.sendto(b"x" * 1000, ("10.9.0.3", 9999))
                    time.sleep(0.0001 if os.path.exists("enough") else 0.002)' & sender=$!
                # Nobody waits until it answers: a third are killed while they begin, and some after they have counted.
                for i in {1..100}; do
                    t=$((RANDOM % 2000 * (RANDOM % 2000) / 2000)); sleep $((t / 1000)).$(printf %03d $((t % 1000)))
                    kill -9 $agent; wait $agent 2>/dev/null
                    egret agent --state $PWD/agent >>log 2>&1 & agent=$!
                done
                touch enough; wait $sender; received >all; received=$(cat all); sleep 1.1
                [ $((2 * received)) = $(total) ] && echo same || echo $received $(total)
                echo $received
                kill -9 $agent; wait $agent 2>/dev/null
                # What is left without an agent is what was left with it.
                begin; used | grep shop/a >before; kill -9 $agent; wait $agent 2>/dev/null
                transfer 2000 0.0005 >last
                inside a ping -c1 -W1 10.9.0.3 >/dev/null && echo open || echo closed
                cat before; cat last
                begin; used | grep shop/a
                """)
    }
}
