// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Rules that hold at some times only, as a command meets them.
@Suite("a run whose rules have times", .serialized, .requiresRoot)
struct RunTimesTests {
    /// `policy` writes one with these rules. `talk.py` says something on connections.
    private static let helpers =
        TimesScript.soon + """
            cat >talk.py <<'X'
            import socket, time
            def opened(place):
                try: s = socket.create_connection(place, 0.7)
                except OSError: return None
                s.settimeout(0.7)
                return s
            def talks(s, said=b"x", answer=b"x"):
                try:
                    s.sendall(said)
                    return int(s.recv(4096).startswith(answer))
                except (OSError, AttributeError): return 0
            def wait(moment): time.sleep(max(0, moment - time.time()))
            X
            # How many of so many connections come about, before a moment and after it.
            cat >count.py <<'X'
            import sys
            from talk import *
            def count(port, number):
                made = [opened(("203.0.113.10", port)) for _ in range(number)]
                print(*[int(s is not None) for s in made], flush=True)
                for s in made: s and s.close()
            count(7, 5); count(80, 4)
            wait(float(sys.argv[1]) + 0.5)
            count(80, 4)
            X
            policy() {
                { printf '%s\\n' 'apiVersion: egret.dev/v1' 'kind: EgressPolicy' 'metadata: { name: times }' spec: '  egress:'
                printf '  - { %s }\\n' "$@"; } >p.yaml
            }
            lines() {
                python3 -c 'import json
            for line in sorted(json.load(open("report"))["'$1'"], key=lambda l: l["destination"]):
                if "decidedBy" in line: print(line["destination"], line["service"], line["decidedBy"]["rule"])'
            }

            """

    /// Runs a script on a home of its own, with a name server in the world if there is to be one.
    private func expect(
        _ name: String, in home: (String, (TestInternet) throws -> Void) throws -> Void = withInternet,
        _ script: String, prints expected: String, location: SourceLocation = #_sourceLocation
    ) throws {
        try home(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script("cd \(directory.path)\n" + RunTimesTests.helpers + script)
            #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
            let remains = try internet.remains()
            #expect(remains == "", sourceLocation: location)
        }
    }

    @Test("what is over and what is to come is not there; hours are those of the rule's time zone")
    func moments() throws {
        try expect(
            "rtnow",
            """
            # Two hours back and two ahead in Tokyo; in UTC these are some hours away.
            hours="$(TZ=Asia/Tokyo date -d '-2 hours' +%H:%M)-$(TZ=Asia/Tokyo date -d '+2 hours' +%H:%M)"
            policy 'name: over, action: allow, to: [{ cidr: 203.0.113.11/32 }], when: { until: 2020-01-01 }' \\
                'name: coming, action: allow, to: [{ cidr: 198.51.100.20/32 }], when: { from: 2099-01-01 }' \\
                'name: closed, action: reject, to: [{ cidr: 203.0.113.10/32 }], ports: [8080/tcp], when: { from: 2020-01-01 }' \\
                "name: office, action: allow, to: [{ cidr: 203.0.113.10/32 }], when: { hours: ['$hours'], timezone: Asia/Tokyo }" \\
                "name: elsewhere, action: allow, to: [{ cidr: '2001:db8:113::10/128' }], when: { hours: ['$hours'] }"
            egret run --report json --report-file report -f p.yaml -- sh -c '
                for u in 203.0.113.11 198.51.100.20 203.0.113.10:8080 203.0.113.10 "[2001:db8:113::10]"; do
                    curl -gs -m 1 -o /dev/null -w "%{http_code}\\n" http://$u/; done'
            lines reached; lines refused
            egret run -f p.yaml --print-policy | grep -c 'when:'
            """,
            prints: """
                000
                000
                000
                200
                000
                203.0.113.10 80/tcp times/office
                198.51.100.20 80/tcp times/default
                2001:db8:113::10 80/tcp times/default
                203.0.113.10 8080/tcp times/closed
                203.0.113.11 80/tcp times/default
                5
                """)
    }

    @Test("when a time ends or begins, connections are cut or go on as the rule says, and the report has their rules")
    func ends() throws {
        try expect(
            "rtend",
            """
            soon 12
            until="until: '$at', timezone: Soon"; from="from: '$at', timezone: Soon"
            policy "name: cut, action: allow, to: [{ cidr: 203.0.113.10/32 }], when: { $until }" \\
                "name: drain, action: allow, to: [{ cidr: '2001:db8:113::10/128' }], when: { $until, onClose: drain }" \\
                "name: lunch, action: deny, to: [{ cidr: 203.0.113.11/32 }], when: { $from }" \\
                "name: free, action: allow, to: [{ cidr: 203.0.113.11/32 }]" \\
                "name: later, action: allow, to: [{ cidr: '2001:db8:113::11/128' }], when: { $from }"
            cat >client.py <<'X'
            import sys
            from talk import *
            places = [("203.0.113.10", 7), ("2001:db8:113::10", 7), ("203.0.113.11", 7), ("2001:db8:113::11", 7)]
            first = [opened(place) for place in places]
            print(*[talks(s) for s in first])
            wait(float(sys.argv[1]) + 0.5)
            print(*[talks(s) for s in first])
            print(*[talks(opened(place)) for place in places])
            X
            egret run --report json --report-file report -f p.yaml -- python3 client.py $end
            lines reached; lines refused
            """,
            prints: """
                1 1 1 0
                0 1 0 0
                0 0 0 1
                2001:db8:113::10 7/tcp times/drain
                2001:db8:113::11 7/tcp times/later
                203.0.113.10 7/tcp times/cut
                203.0.113.11 7/tcp times/free
                2001:db8:113::10 7/tcp times/default
                2001:db8:113::11 7/tcp times/default
                203.0.113.10 7/tcp times/default
                203.0.113.11 7/tcp times/lunch
                """)
    }

    @Test("a name is open at its rule's times: a connection to it ends with them, and the report has its rule")
    func names() throws {
        try expect(
            "rtname", in: withNames,
            """
            soon 12
            policy "name: cut, action: allow, to: [{ domains: [www.example.test] }], when: { until: '$at', timezone: Soon }" \\
                "name: later, action: allow, to: [{ domains: [files.example.test] }], when: { from: '$at', timezone: Soon }" \\
                "name: drain, action: allow, to: [{ domains: [wikipedia.org] }], when: { until: '$at', timezone: Soon, onClose: drain }"
            cat >client.py <<'X'
            import sys
            from talk import *
            names = ["www.example.test", "files.example.test", "wikipedia.org"]
            def asks(s, name):
                return talks(s, b"HEAD / HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n" % name.encode(), b"HTTP/1.1 200")
            first = [opened((name, 80)) for name in names]
            print(*[asks(*pair) for pair in zip(first, names)])
            wait(float(sys.argv[1]) + 2.5)
            print(*[asks(*pair) for pair in zip(first, names)])
            print(*[asks(opened((name, 80)), name) for name in names])
            X
            egret run --dns 198.51.100.20 --report json --report-file report -f p.yaml -- python3 client.py $end
            python3 -c 'import json
            for line in json.load(open("report"))["reached"]:
                print(line["name"], line["connections"], line["decidedBy"]["rule"])' | sort
            """,
            prints: """
                1 0 1
                0 0 1
                0 1 0
                files.example.test 1 times/later
                wikipedia.org 1 times/drain
                www.example.test 1 times/cut
                """)
    }

    @Test("limits hold at their times, and from the moment on at which these begin")
    func limits() throws {
        try expect(
            "rtlimit",
            """
            soon 12
            cat >p.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: times }
            spec:
              default: allow
              limits:
              - { connections: 1, when: { until: 2020-01-01 } }
              - { connections: 3, ports: [7/tcp], direction: egress, when: { from: 2020-01-02 } }
              - { connections: 2, ports: [80/tcp], direction: egress, when: { from: '$at', timezone: Soon } }
              - { rate: 1Mbit, when: { until: 2020-01-01 } }
              - { rate: 4Mbit, ports: [8080/tcp], when: { from: 2020-01-02 } }
            X
            egret run --report none -f p.yaml -- python3 count.py $end
            # A megabyte at 4 Mbit a second takes two seconds.
            egret run --report none -f p.yaml -- sh -c '
                for p in 80 8080; do curl -s -o /dev/null -w "%{time_total}\\n" http://203.0.113.10:$p/bytes/1000000; done' |
                awk '{ print ($1 < 1) ? "fast" : ($1 > 1.8 && $1 < 4) ? "slow" : $1 }'
            """,
            prints: """
                1 1 1 0 0
                1 1 1 1
                1 1 0 0
                fast
                slow
                """)
    }

    @Test("budgets count, and hold back, at their times, and from the moment on at which these begin")
    func budgets() throws {
        try expect(
            "rtbudget",
            """
            soon 12
            cat >p.yaml <<X
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: times }
            spec:
              default: allow
              budgets:
              - { name: over, amount: 1 connection, when: { until: 2020-01-01 } }
              - { name: now, amount: 3 connections, ports: [7/tcp], when: { from: 2020-01-02 } }
              - { name: soon, amount: 2 connections, ports: [80/tcp], when: { from: '$at', timezone: Soon } }
            X
            egret run --report json --report-file report -f p.yaml -- python3 count.py $end
            python3 -c 'import json
            for b in json.load(open("report"))["budgets"]: print(b["budget"], b["used"], b["amount"])'
            """,
            prints: """
                1 1 1 0 0
                1 1 1 1
                1 1 0 0
                over 0 1
                now 3 3
                soon 2 2
                """)
    }
}
