// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// Limits besides one rate for everything, as a command meets them.
@Suite("a run with limits", .serialized, .requiresRoot)
struct LimitTests {
    private static let helpers = """
        cat >servers.py <<X
        import socket, threading
        def keep(connection):
            with connection: connection.recv(1)
        def serve(port):
            server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=500)
            while True: threading.Thread(target=keep, args=server.accept()[:1]).start()
        for port in (9000, 9001): threading.Thread(target=serve, args=(port,)).start()
        X
        cat >connect.py <<X
        import socket, sys
        kept = []
        for target in sys.argv[2:]:
            host, port = target.rsplit(":", 1)
            for _ in range(int(sys.argv[1])):
                try: kept.append(socket.create_connection((host, int(port)), 0.3)); print(1, end="")
                except OSError: print(0, end="")
        print(flush=True)
        X
        python3 servers.py & servers=$!; until ss -ltn | grep -q :9001; do sleep 0.05; done
        quietly() { egret run --allow host --report none "$@" 2>/dev/null; }

        """

    private func script(_ name: String, _ text: String, timeout: Duration = .seconds(120)) throws -> String {
        var result = ""
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path)\n" + LimitTests.helpers + text + "\nkill $servers", timeout: timeout)
            result = output.standardOutput
            if !output.standardError.isEmpty { result += output.standardError }
            let remains = try internet.remains()
            #expect(remains == "")
        }
        return result
    }

    @Test("so many connections are open at once and no more, those of a part of the traffic by themselves")
    func connections() throws {
        let output = try script(
            "lconn",
            """
            quietly --connections 4 -- python3 connect.py 6 192.0.2.2:9000
            quietly --connections 192.0.2.2:9000=2 -- python3 connect.py 4 192.0.2.2:9000 192.0.2.2:9001
            quietly --connections 3 -- python3 connect.py 2 192.0.2.2:9000 2001:db8:ffff::2:9001
            quietly --connections ingress=1 -- python3 connect.py 3 192.0.2.2:9000
            quietly --connections 1 -- sh -c 'for i in 1 2 3; do python3 connect.py 1 192.0.2.2:9000; done'
            egret run --allow host --connections 2 --user nobody -- python3 connect.py 3 192.0.2.2:9000 2>&1 |
                grep -o 'limit 2 connections *deny *[0-9]*'
            """)
        #expect(
            output == """
                111100
                11001111
                1110
                111
                1
                1
                1
                limit 2 connections  deny           1

                """)
    }

    @Test("so many connections begin in a time, also of datagrams, whose later packets do not count")
    func newConnections() throws {
        let output = try script(
            "lnew",
            """
            quietly --new-connections 3/min -- python3 connect.py 5 192.0.2.2:9000
            quietly --new-connections 192.0.2.2:9001/tcp=1/h -- python3 connect.py 2 192.0.2.2:9000 192.0.2.2:9001
            cat >datagrams.py <<X
            import socket
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(("192.0.2.2", 9002))
            server.settimeout(3); found = []
            try:
                while len(found) < 6: found.append(server.recvfrom(9)[1][1])
            except TimeoutError: pass
            print(len(found), len(set(found)))
            X
            python3 datagrams.py & counting=$!; sleep 0.5
            quietly --new-connections 2/min -- python3 -c '
            import socket
            for _ in range(4):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for _ in range(3): s.sendto(b"x", ("192.0.2.2", 9002))'
            wait $counting
            """)
        #expect(output == "11100\n1110\n6 2\n")
    }

    @Test("so many packets pass in a time, in each direction")
    func packets() throws {
        let output = try script(
            "lpkt",
            """
            for way in egress=100/s ingress=100/s; do
                quietly --packets $way -- ping -q -i 0.002 -c 500 192.0.2.2 |
                    awk '/received/ { n = $4; t = $10 / 1000; bound = 12 + 100 * (t + 0.05)
                        print (n <= bound && n >= 0.8 * 100 * (t - 0.05)) ? "held" : $0 }'
            done
            quietly --packets 2001:db8::/32=1/h -- ping -q -i 0.002 -c 100 192.0.2.2 | grep -o '[0-9]* received'
            """)
        #expect(output == "held\nheld\n100 received\n")
    }

    @Test("each far address has as many connections and packets by itself, of both families, and no more")
    func destinations() throws {
        let output = try script(
            "ldest",
            """
            far='192.0.2.2:9000 2001:db8:ffff::2:9000 192.0.2.2:9001'
            quietly --connections destination=2 -- python3 connect.py 3 $far
            quietly --new-connections destination=1/h -- python3 connect.py 2 $far
            quietly --connections destination=192.0.2.0/24:9000=1 -- python3 connect.py 2 $far
            quietly --packets destination=egress=1/h -- sh -c '
                for far in 192.0.2.2 2001:db8:ffff::2; do ping -q -i 0.002 -W 1 -c 14 $far; done' |
                grep -o '[0-9]* received'
            egret run --allow host --connections destination=1 --user nobody -- python3 connect.py 2 192.0.2.2:9000 2>&1 |
                grep -o 'limit 1 connections per destination *deny *[0-9]*' | tr -s ' '
            quietly --rate destination=1Mbit -- true || echo refused
            """)
        #expect(
            output == """
                110110000
                101000
                101111
                10 received
                10 received
                limit 1 connections per destination deny 1
                refused

                """)
    }

    @Test("packets get the code point that a limit says, of both families, and their checksums stay right")
    func marks() throws {
        let output = try script(
            "ldscp",
            """
            cat >p.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: marks }
            spec:
              default: allow
              limits: [{ ports: [9000], dscp: ef, direction: egress }]
            X
            nft -f - <<X
            table inet seen {
                counter v4 { }; counter v6 { }; counter other { }
                chain c { type filter hook input priority 1
                    ip dscp ef tcp dport 9000 counter name v4; ip6 dscp ef tcp dport 9000 counter name v6
                    ip dscp ef tcp dport 9001 counter name other
                }
            }
            X
            quietly --policy p.yaml -- python3 connect.py 1 192.0.2.2:9000 2001:db8:ffff::2:9000 192.0.2.2:9001
            nft list counters table inet seen | awk '/packets/ { print ($2 > 0) }'; nft delete table inet seen
            """)
        #expect(output == "111\n1\n1\n0\n")
    }

    @Test("connections by name, which leave from Egret itself, get the code point too")
    func marksByName() throws {
        try withNames("ldscpn") { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                """
                cd \(directory.path)
                cat >p.yaml <<X
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: marks }
                spec:
                  egress: [{ action: allow, to: [{ domains: [www.example.test, files.example.test] }] }]
                  limits:
                  - { to: [{ cidr: 203.0.113.10/32 }, { cidr: 2001:db8:113::10/128 }], ports: [80], dscp: ef, direction: egress }
                X
                nft -f - <<X
                table inet seen {
                    counter v4 { }; counter v6 { }; counter other { }
                    chain c { type filter hook postrouting priority 0
                        ip dscp ef ip daddr 203.0.113.10 tcp dport 80 counter name v4
                        ip6 dscp ef ip6 daddr 2001:db8:113::10 tcp dport 80 counter name v6
                        ip dscp ef ip daddr 203.0.113.11 counter name other
                    }
                }
                X
                egret run --dns \(TestInternet.resolver) --report none --policy p.yaml -- sh -c '
                    get() { curl -s -m 5 -o /dev/null -w "%{http_code}\\n" "$@"; }
                    get -4 http://www.example.test; get -6 http://www.example.test; get -4 http://files.example.test'
                nft list counters table inet seen | awk '/packets/ { print ($2 > 0) }'; nft delete table inet seen
                """, timeout: .seconds(60))
            #expect(output.standardOutput == "200\n200\n200\n1\n1\n0\n", "\(output.standardError)")
        }
    }
}

/// Limits for names, which hold at the addresses that a run has resolved them to.
@Suite("a run with limits for names", .serialized, .requiresRoot)
struct NamedLimitTests {
    private func run(
        _ name: String, _ policy: String, flags: String = "", _ script: String
    ) throws -> ProgramOutput {
        var result: ProgramOutput?
        try withNames(name) { internet in
            let directory = try TemporaryDirectory()
            result = try internet.script(
                """
                cd \(directory.path)
                cat >p.yaml <<X
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: named }
                spec:
                \(policy)
                X
                cat >s.sh <<'X'
                get() { curl -s -m 2 -o /dev/null -w '%{http_code}\\n' "$@"; }
                kbits() { curl -4 -s -m 30 -o /dev/null -w "%{speed_$1}\\n" "${@:2}" | awk '{ print $1 * 8 / 1000 }'; }
                \(script)
                X
                egret run --dns \(TestInternet.resolver) --report none --policy p.yaml \(flags) -- bash s.sh
                """, timeout: .seconds(120))
            #expect(try internet.remains() == "")
        }
        return try #require(result)
    }

    @Test("connections to a name are limited through the proxy, of both families, and those to another name are not")
    func connections() throws {
        let output = try run(
            "lnamec",
            """
              egress: [{ action: allow, to: [{ domains: ["*.example.test"] }] }]
              limits: [{ to: [{ domains: [www.example.test] }], newConnections: 2/h, direction: egress }]
            """,
            """
            get -4 http://files.example.test
            get -4 http://www.example.test; get -6 http://www.example.test; get -4 http://www.example.test
            get -4 http://files.example.test
            """)
        #expect(output.standardOutput == "200\n200\n200\n000\n200\n", "\(output.standardError)")
    }

    @Test("a name that no rule is about is limited all the same, and so is whoever shares its address")
    func unnamed() throws {
        let output = try run(
            "lnameu", "  default: allow", flags: "--connections www.example.test=1",
            """
            get -4 http://files.example.test; get -4 http://other.example.test; get -4 http://other.example.test
            exec 3<>/dev/tcp/$(dig +short www.example.test A)/80
            get -4 http://other.example.test; get -4 http://files.example.test
            """)
        #expect(output.standardOutput == "200\n200\n200\n000\n200\n", "\(output.standardError)")
    }

    @Test("budgets for names count through the proxy, of both families, hold back what is beyond, and leave no link")
    func budgets() throws {
        let output = try run(
            "lnameb",
            """
              egress: [{ action: allow, to: [{ domains: ["*.example.test"] }] }]
              budgets:
              - { name: begun, to: [{ domains: [www.example.test] }], amount: 2 connections }
              - { name: sent, to: [{ domains: [files.example.test] }], direction: ingress, amount: 500kB, onExhausted: cut }
            """,
            """
            get -4 http://www.example.test; get -6 http://www.example.test; get -4 http://www.example.test
            down() { curl -4 -s -m 3 -o /dev/null http://$1.example.test/bytes/300000; echo $?; }
            down files; down files; get -6 http://files.example.test
            """)
        #expect(output.standardOutput == "200\n200\n000\n0\n28\n000\n", "\(output.standardError)")
    }

    @Test("a name is as fast as its limit says, in both directions, and another name beside it is not slowed down")
    func rates() throws {
        let output = try run(
            "lnamer",
            """
              egress: [{ action: allow, to: [{ domains: ["*.example.test"] }] }]
              limits:
              - { to: [{ domains: ["*.example.test"] }], rate: 100Mbit }
              - { to: [{ domains: [files.example.test] }], rate: 1Mbit }
            """,
            """
            kbits download http://files.example.test/bytes/500000
            head -c 300000 /dev/zero | kbits upload --data-binary @- -H Expect: http://files.example.test
            kbits download http://www.example.test/bytes/5000000
            """)
        let rates = output.standardOutput.split(separator: "\n").compactMap { Double($0) }
        #expect(rates.count == 3, "\(output)")
        guard rates.count == 3 else { return }
        #expect((700...1_000).contains(rates[0]) && (700...1_150).contains(rates[1]), "\(rates)")
        #expect(rates[2] > 5_000, "\(rates)")
    }
}

/// Rates for parts of the traffic.
@Suite("a run whose parts have rates", .serialized, .requiresRoot)
struct RateShareTests {
    /// Kilobits a second that transfers beside each other have brought, one of them for each port.
    private func measured(_ name: String, _ flags: String, policy: String = "", _ transfers: [String]) throws
        -> [Double]
    {
        var rates: [Double] = []
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let runs = transfers.enumerated().map { place, arguments in
                "iperf3 -l 8K -c \(arguments) -p \(5_201 + place) -t 4 -O 1 -f k >\(place) &"
            }
            let output = try internet.script(
                """
                cd \(directory.path)
                cat >p.yaml <<X
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: shares }
                spec:
                  default: allow
                \(policy.isEmpty ? "" : "  limits:\n" + policy)
                X
                for p in 5201 5202; do iperf3 -s -p $p -D -I $PWD/$p.pid; done
                until ss -ltn | grep -q :5201 && ss -ltn | grep -q :5202; do sleep 0.05; done
                cat >all.sh <<'X'
                \(runs.joined(separator: "\n"))
                wait
                X
                for try in 1 2 3; do
                    egret run --policy p.yaml --default allow \(flags) --report none -- sh all.sh 2>/dev/null
                    awk '/receiver/ { for (i = 1; i < NF; i++) if ($(i + 1) == "Kbits/sec") print $i }' \
                        \(transfers.indices.map(String.init).joined(separator: " ")) >rates
                    [ $(wc -l <rates) = \(transfers.count) ] && break; sleep 0.5
                done
                cat rates; kill $(cat *.pid | tr -d '\\0' | tr '\\n' ' ') 2>/dev/null
                """)
            rates = output.standardOutput.split(separator: "\n").compactMap { Double($0) }
            #expect(rates.count == transfers.count, "\(output.standardError)")
        }
        return rates
    }

    private static let goodput = 1448.0 / 1514

    @Test(
        "a part has its rate and the rest what the total leaves, over both families and in both directions",
        arguments: ["192.0.2.2", "192.0.2.2 -R", "2001:db8:ffff::2", "2001:db8:ffff::2 -R"])
    func parts(target: String) throws {
        let flags = "--rate *:5201=4Mbit --rate 20Mbit"
        let rates = try measured("lpart", flags, [target, target])
        try #require(rates.count == 2)
        #expect((3.5e3...4.05e3).contains(rates[0]), "\(rates)")
        #expect((13e3...16.2e3).contains(rates[1]), "\(rates)")
    }

    @Test("guarantees are met when everybody wants everything", arguments: ["192.0.2.2", "192.0.2.2 -R"])
    func guarantees(target: String) throws {
        let policy = """
              - { rate: 20Mbit }
              - { ports: [5201], guarantee: 15Mbit, weight: 1 }
              - { ports: [5202], guarantee: 1Mbit, weight: 1000 }
            """
        let rates = try measured("lguar", "", policy: policy, [target, target])
        try #require(rates.count == 2)
        #expect(rates[0] >= 15e3 * RateShareTests.goodput * 0.95, "\(rates)")
        #expect(rates[0] + rates[1] <= 20e3 * 1.01, "\(rates)")
    }

    @Test("weights divide what is left within five per cent", arguments: ["192.0.2.2", "192.0.2.2 -R"])
    func weights(target: String) throws {
        let policy = """
              - { rate: 20Mbit }
              - { ports: [5201], rate: 20Mbit, weight: 300 }
              - { ports: [5202], rate: 20Mbit, weight: 100 }
            """
        let rates = try measured("lweight", "", policy: policy, [target, target])
        try #require(rates.count == 2)
        let share = rates[0] / (rates[0] + rates[1])
        #expect(abs(share - 0.75) < 0.75 * 0.05, "\(rates)")
        #expect(rates[0] + rates[1] > 20e3 * RateShareTests.goodput * 0.93, "\(rates)")
    }

    @Test("a ping beside transfers of another class does not wait behind them")
    func latency() throws {
        try withInternet("llate") { internet in
            let output = try internet.script(
                """
                iperf3 -s -D -1 -I /run/iperf3.pid; until ss -ltn | grep -q :5201; do sleep 0.05; done
                egret run --default allow --rate 10Mbit --rate *:5201=10Mbit --report none -- sh -c '
                iperf3 -c 192.0.2.2 -t 4 >/dev/null & sleep 1; ping -q -i 0.05 -c 40 192.0.2.2; wait' |
                awk -F/ '/^rtt/ { print ($5 < 25) ? "short" : $0 }'
                egret run --default allow --rate 192.0.2.0/24:80=1Mbit --rate 192.0.2.2=2Mbit -- true
                """)
            #expect(output.standardOutput == "short\n", "\(output.standardError)")
            #expect(output.standardError.contains("overlap, and neither lies within the other"))
        }
    }
}
