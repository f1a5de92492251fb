// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Limits and budgets that are about where connections go, and connections by name, which come to this host.
extension AgentNameTests {
    /// Shell functions: `down` and `up` say whether 1.5 MB from or to a server take as long as at 4 Mbit/s.
    private static let timing = """
        head -c 1500000 /dev/zero >body
        # 1.5 MB are 3 s of 4 Mbit/s.
        speed() { awk '{ print ($1 > 2.6 && $1 < 5) ? "held" : ($1 < 2) ? "free" : $1 }'; }
        get() { inside a curl -s -m 20 -o /dev/null -w '%{time_total}\\n' "$@" | speed; }
        down() { get "${@:2}" http://$1.example.test/bytes/1500000; }
        up() { get "${@:2}" --data-binary @body -H 'Expect:' http://$1.example.test/; }

        """

    /// Shell functions: `limited` and `metered` give a the names of both web servers, with limits or budgets; `resolve` has it
    /// resolve them; `table` tells one table of limits or budgets from the next.
    private static let limiting = """
        named() { policy a '{ domains: [www.example.test, files.example.test] }' " }], $1" | egret apply -f - >/dev/null; }
        limited() { named "limits: [{ $1"; }
        metered() { named "budgets: [{ $1"; }
        resolve() { for n in www files; do for t in A AAAA; do ask a -t $t $n.example.test; done; done | uniq -c | tr -s ' '; }
        table() { nft -j list tables | grep -o "\\"inet\\", \\"name\\": \\"egret-$1\\", \\"handle\\": [0-9]*"; }
        www='{ cidr: 203.0.113.10/32 }, { cidr: 2001:db8:113::10/128 }'
        files='{ cidr: 203.0.113.11/32 }, { cidr: 2001:db8:113::11/128 }'
        # So many connections at a time to port 80 of each address.
        cat >connect.py <<X
        import socket, sys
        kept = []
        def begin(address):
            try: kept.append(socket.create_connection((address, 80), 0.4)); return "1"
            except OSError: return "0"
        print(*("".join(begin(address) for _ in range(int(sys.argv[1]))) for address in sys.argv[2:]))
        X
        lab; start

        """

    @Test("connections by name count where they go, of both families, and in one count with each other")
    func limitedConnections() throws {
        try expect(
            "anlimconn",
            AgentNameTests.limiting + """
                limited "name: web, to: [$www], ports: [80/tcp], connections: 2, direction: egress"; resolve
                inside a python3 connect.py 3 203.0.113.10 2001:db8:113::10 203.0.113.11
                egret flows --denied | grep -o 'EgressPolicy/a  *limit web' | uniq | tr -s ' '
                limited 'to: [{ cidr: 203.0.113.0/28 }, { cidr: 2001:db8:113::/122 }], connections: 2, per: destination, direction: egress'
                inside a python3 connect.py 3 203.0.113.10 2001:db8:113::10 203.0.113.11
                limited "to: [$files], newConnections: 2/h"
                inside a python3 connect.py 3 203.0.113.10 203.0.113.11
                before=$(table limits); killed; start; [ "$before" = "$(table limits)" ] && echo the table stays
                inside a python3 connect.py 3 203.0.113.10 203.0.113.11
                finish
                """,
            prints: """
                 4 status: NOERROR
                110 000 111
                EgressPolicy/a limit web
                110 110 110
                111 110
                the table stays
                111 000
                """)
    }

    @Test("packets of connections by name are limited by where they go and come from")
    func limitedPackets() throws {
        try expect(
            "anlimpack",
            AgentNameTests.limiting + """
                refused() { nft list counters table inet egret-limits | awk '/packets/ { n += $2 } END { print (n > 0) }'; }
                bytes() { inside a curl -s -m ${2:-10} -o /dev/null -w '%{size_download}\\n' http://$1.example.test/bytes/3000000; }
                head -c 3000000 /dev/zero >body
                send() { inside a curl -s -m ${2:-10} -o /dev/null --data-binary @body -H 'Expect:' http://$1.example.test/; }
                limited "to: [$www], packets: 20/s, direction: ingress"; resolve
                bytes files; send files; refused; bytes www 2 >/dev/null; refused
                limited "to: [$files], ports: [80], packets: 20/s, direction: egress"
                bytes www; send www; refused; send files 2; refused
                finish
                """,
            prints: """
                 4 status: NOERROR
                3000000
                0
                1
                3000000
                0
                1
                """)
    }

    @Test(
        "a rate for a part of the traffic holds for connections by name, in both directions and families",
        arguments: ["", "--mode routed"])
    func limitedRates(mode: String) throws {
        try expect(
            "anlimrate",
            AgentNameTests.limiting.replacing("lab; start", with: "lab \(mode); start")
                + AgentNameTests.timing + """
                    limited "to: [$www], ports: [80], rate: 4Mbit"; resolve
                    down www -4; down www -6; up www -4; up www -6; down files; up files
                    limited "to: [$files], rate: 4Mbit, per: policy"
                    down files; up files; down www
                    egret delete EgressPolicy/a >/dev/null; finish
                    """,
            prints: """
                 4 status: NOERROR
                held
                held
                held
                held
                free
                free
                held
                held
                free
                """)
    }

    @Test("limits for names hold for each endpoint by what it has resolved, with and without rules, over a restart")
    func limitsForNames() throws {
        try expect(
            "anlimname",
            AgentNameTests.limiting + """
                limited 'to: [{ domains: [www.example.test] }], connections: 2, direction: egress'; resolve
                # No rule of b's is about names.
                policy b '{ cidr: 0.0.0.0/0 }' ' }], limits: [{ to: [{ domains: [files.example.test] }], connections: 1, direction: egress' |
                    egret apply -f - >/dev/null
                inside b python3 connect.py 2 203.0.113.11
                for n in www files; do ask b @198.51.100.20 $n.example.test; done
                inside a python3 connect.py 3 203.0.113.10 2001:db8:113::10 203.0.113.11
                inside b python3 connect.py 2 203.0.113.11 203.0.113.10
                before=$(table limits); killed; start; [ "$before" = "$(table limits)" ] && echo the table stays
                inside a python3 connect.py 3 203.0.113.10 203.0.113.11
                inside b python3 connect.py 2 203.0.113.11 203.0.113.10
                # Made anew while no agent looks, it has what was resolved.
                killed; nft delete table inet egret-limits; start
                inside a python3 connect.py 3 203.0.113.10 203.0.113.11
                inside b python3 connect.py 2 203.0.113.11 203.0.113.10
                nft list sets | grep -c 'set names[46]-'
                egret delete EgressPolicy/b >/dev/null
                nft list sets | grep -c 'set names[46]-'
                finish
                """,
            prints: """
                 4 status: NOERROR
                11
                status: NOERROR
                status: NOERROR
                110 000 111
                10 11
                the table stays
                110 111
                10 11
                110 111
                10 11
                4
                2
                """)
    }

    @Test("a rate for a name holds for connections by name in both directions, and another name is not slowed down")
    func ratesForNames() throws {
        try expect(
            "anlimnrate",
            AgentNameTests.limiting + AgentNameTests.timing + """
                limited 'to: [{ domains: [www.example.test] }], rate: 4Mbit'; resolve
                down www -4; down www -6; up www -4; up www -6; down files; up files
                finish
                """,
            prints: """
                 4 status: NOERROR
                held
                held
                held
                held
                free
                free
                """)
    }

    @Test("budgets for a part count connections by name by where they go, each byte once, and hold them back")
    func budgets() throws {
        try expect(
            "anbudget",
            AgentNameTests.limiting + """
                used() { egret budget ls -o json | python3 -c '
                import json, sys
                b = {b["budget"]: b["used"] for b in json.load(sys.stdin)}
                for arg in sys.argv[1:]:
                    name, least, most = arg.split(":")
                    print(name, "as it should be" if int(least) <= b[name] <= int(most) else b[name])' "$@"; }
                down() { inside a curl -s -m ${3:-10} -o /dev/null $2 http://$1.example.test/bytes/1000000; echo $1 $?; }
                metered "name: www, to: [$www], ports: [80/tcp], direction: both, amount: 500kB, per: day, onExhausted: cut }, \\
                    { name: files, to: [$files], direction: ingress, amount: 1GB, per: day }, \\
                    { name: sent, to: [$files], amount: 1GB, per: day }, \\
                    { name: begun, to: [$www, $files], amount: 4 connections, per: day"; resolve
                down files -4; down files -4; sleep 1.2; used files:2000000:2200000 sent:200:200000
                down www -4 2; sleep 1.2; used www:430000:500000 files:2000000:2200000
                before=$(table budgets); killed; start; [ "$before" = "$(table budgets)" ] && echo the table stays
                # Three have begun to both: one more, and no other.
                inside a python3 connect.py 2 203.0.113.11
                sleep 1.2; used begun:4:4
                finish
                """,
            prints: """
                 4 status: NOERROR
                files 0
                files 0
                files as it should be
                sent as it should be
                www 28
                www as it should be
                files as it should be
                the table stays
                10
                begun as it should be
                """)
    }

    @Test("budgets for names count by what each endpoint has resolved, with and without rules, over a restart")
    func budgetsForNames() throws {
        try expect(
            "anbudname",
            AgentNameTests.limiting + """
                metered 'name: web, to: [{ domains: [www.example.test] }], amount: 3 connections'; resolve
                # No rule of b's is about names.
                policy b '{ cidr: 0.0.0.0/0 }' ' }], budgets: [{ name: files, to: [{ domains: [files.example.test] }], amount: 2 connections' |
                    egret apply -f - >/dev/null
                inside b python3 connect.py 1 203.0.113.11
                for n in www files; do ask b @198.51.100.20 $n.example.test; done
                inside a python3 connect.py 3 203.0.113.10 2001:db8:113::10 203.0.113.11
                inside b python3 connect.py 3 203.0.113.11 203.0.113.10
                sleep 1.2; before=$(table budgets); killed; start; [ "$before" = "$(table budgets)" ] && echo the table stays
                inside a python3 connect.py 1 203.0.113.10 203.0.113.11
                inside b python3 connect.py 1 203.0.113.11 203.0.113.10
                # Made anew while no agent looks, it has what was resolved.
                killed; nft delete table inet egret-budgets; start
                inside a python3 connect.py 1 203.0.113.10 203.0.113.11
                inside b python3 connect.py 1 203.0.113.11 203.0.113.10
                nft list sets | grep -c 'set names[46]-'
                egret delete EgressPolicy/b >/dev/null
                nft list sets | grep -c 'set names[46]-'
                finish
                """,
            prints: """
                 4 status: NOERROR
                1
                status: NOERROR
                status: NOERROR
                111 000 111
                110 111
                the table stays
                0 1
                0 1
                0 1
                0 1
                4
                2
                """)
    }

    @Test("prices count connections by name by where they go")
    func prices() throws {
        try expect(
            "anprice",
            AgentNameTests.limiting + """
                allow a 'www.example.test, files.example.test'; resolve; egret apply -f - <<X >/dev/null
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: www, to: [$www], direction: ingress, price: 1 USD/GB }
                  - { name: rest, direction: ingress, price: 2 USD/GB }
                X
                get a -6 http://www.example.test/bytes/1000000; get a http://files.example.test/bytes/2000000; sleep 1.2
                egret usage --by endpoint,destination --cost -o json | python3 -c '
                import json, sys
                for r in json.load(sys.stdin):
                    if r["endpoint"] == "shop/a": print(r["destination"], round(r["bytes"] / 1e6))' | sort
                egret delete PriceList/cloud >/dev/null; finish
                """,
            prints: """
                 4 status: NOERROR
                a: 200
                a: 200
                rest 2
                www 1
                """)
    }

    @Test("prices for names count what an endpoint has resolved, whether its rules are about them or other names")
    func pricesForNames() throws {
        try expect(
            "anpname",
            AgentNameTests.limiting + """
                allow a 'www.example.test'; resolve; egret apply -f - <<X >/dev/null
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: www, to: [{ domains: [www.example.test] }], direction: ingress, price: 1 USD/GB }
                  - { name: rest, direction: ingress, price: 2 USD/GB }
                X
                get a -6 http://www.example.test/bytes/1000000; sleep 1.2
                used() { egret usage --by endpoint,destination --cost -o json | python3 -c '
                import json, sys
                for r in json.load(sys.stdin):
                    if r["endpoint"] == "shop/a": print(r["destination"], round(r["bytes"] / 1e6))' | grep -v rest | sort; }
                used
                # What was resolved stays known when the list changes, and another name counts from then on.
                allow a 'www.example.test, files.example.test'
                egret apply -f - <<X >/dev/null
                apiVersion: egret.dev/v1
                kind: PriceList
                metadata: { name: cloud }
                spec:
                  prices:
                  - { name: www, to: [{ domains: [www.example.test] }], direction: ingress, price: 1 USD/GB }
                  - { name: files, to: [{ domains: [files.example.test] }], direction: ingress, price: 1 USD/GB }
                  - { name: rest, direction: ingress, price: 2 USD/GB }
                X
                get a http://files.example.test/bytes/2000000; get a -4 http://www.example.test/bytes/1000000
                sleep 1.2; used; egret delete PriceList/cloud >/dev/null; finish
                """,
            prints: """
                 2 status: NOERROR
                 2 status: REFUSED
                a: 200
                www 1
                a: 200
                a: 200
                files 2
                www 2
                """)
    }

    @Test("connections by name bear the code point that a limit says, of both families")
    func codePoints() throws {
        try expect(
            "andscp",
            AgentNameTests.limiting + """
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
                limited "to: [$www], ports: [80], dscp: ef, direction: egress"; resolve
                get a -4 http://www.example.test; get a -6 http://www.example.test; get a -4 http://files.example.test
                nft list counters table inet seen | awk '/packets/ { print ($2 > 0) }'; nft delete table inet seen
                finish
                """,
            prints: """
                 4 status: NOERROR
                a: 200
                a: 200
                a: 200
                1
                1
                0
                """)
    }
}
