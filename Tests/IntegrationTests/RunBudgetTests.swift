// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Budgets, as a command meets them.
@Suite("a run with a budget", .serialized, .requiresRoot)
struct RunBudgetTests {
    /// `send.py 8 2` sends two datagrams of 1000 bytes on each of eight flows. `receive` counts what comes, until nothing has
    /// for two seconds; `received packets` and `received bytes`, of IP, then say how much.
    private static let helpers = """
        cat >send.py <<'X'
        import socket, sys, time
        flows = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(int(sys.argv[1]))]
        for s in flows * int(sys.argv[2]): s.sendto(b"x" * 1000, ("192.0.2.2", 9999)); time.sleep(0.001)
        X
        receive() {
            rm -f received; python3 -c '
        import socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("192.0.2.2", 9999)); s.settimeout(30)
        print("ready", flush=True); sizes = []
        try:
            while True: sizes.append(len(s.recv(65536)) + 28); s.settimeout(2)
        except TimeoutError: print("packets", len(sizes)); print("bytes", sum(sizes))' >received & receiver=$!
            until grep -qs ready received; do sleep 0.02; done
        }
        received() { wait $receiver; sed -n "s/^$1 //p" received; }

        """

    /// Runs a script on a host of its own, beside a policy that lets out what goes to the host, within budgets.
    private func expect(
        _ name: String, budgets: [String], _ script: String, prints expected: String,
        location: SourceLocation = #_sourceLocation
    ) throws {
        try withInternet(name) { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                """
                cd \(directory.path)
                cat >policy.yaml <<'X'
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: budgets }
                spec:
                  egress: [{ action: allow, to: [{ group: host }] }]
                  budgets: [\(budgets.joined(separator: ", "))]
                X

                """ + RunBudgetTests.helpers + script)
            #expect(output.standardOutput == expected + "\n", "\(output.standardError)", sourceLocation: location)
            let remains = try internet.remains()
            #expect(remains == "", sourceLocation: location)
        }
    }

    @Test("sends to the last packet that fits, tells what it used, and leaves nothing behind")
    func total() throws {
        try expect(
            "runbudget",
            budgets: [
                "{ name: sent, price: 1000 USD/GB }",
                "{ name: web, ports: [80/tcp, 8000-9000/udp], amount: 1MB, direction: both }",
            ],
            """
            receive; egret run --allow host --budget 100kB -- python3 send.py 1 200 2>report
            received bytes; grep -A1 budgets report
            receive; egret run --policy policy.yaml --report json --report-file json -- python3 send.py 1 200
            received bytes
            python3 -c '
            import json
            for b in json.load(open("json"))["budgets"]: print(b["budget"], b["used"], b.get("amount"), b.get("cost"))'
            sed -i 's/amount: 1MB/amount: 1MB, per: day/' policy.yaml
            egret run --policy policy.yaml -- true 2>&1 | head -1
            egret run --allow host --budget 5Gbit -- true 2>&1 | head -1
            nft list tables | grep -c budgets
            """,
            prints: """
                99716
                budgets
                  command-line budget 1: 99.71 kB of 100.00 kB used, 103 packets held back
                205600
                sent 205600 None 0.2056 USD
                web 0 1000000 None
                egret: the budget web is per day, and a run's budget is for the run alone
                --budget 5Gbit: error EGR0030: "5Gbit" is no amount of bytes, packets or connections; write a number and a unit, for example --budget 500MB
                0
                """)
    }

    @Test("goes on when budgets were corrected for one another, and ends when somebody else touches them")
    func corrected() throws {
        try expect(
            "runcorrected",
            budgets: [
                "{ name: large, amount: 1000 packets, onExhausted: cut }",
                "{ name: small, amount: 10 packets, onExhausted: cut }",
            ],
            """
            begin() {
                rm -f sent go
                egret run --policy policy.yaml --report none -- sh -c \
                    'python3 send.py 1 60; touch sent; until [ -e go ]; do sleep 0.05; done; echo goes on' & run=$!
                until [ -e sent ]; do sleep 0.05; done; sleep 2.5
            }
            begin; egret run --allow host --report none -- true; touch go; wait $run; echo $?
            begin; table=$(nft list tables inet | grep -o 'egret-budgets-[0-9]*')
            nft add element inet $table from '{ lo : accept }'; sleep 1; touch go; wait $run; echo $?
            """,
            prints: """
                goes on
                0
                125
                """)
    }

    @Test("counts packets and connections to the last one, and tells of them")
    func counted() throws {
        try expect(
            "runcounted",
            budgets: ["{ name: begun, amount: 3 connections }"],
            """
            receive; egret run --allow host --budget '50 packets' -- python3 send.py 1 200 2>report
            received packets; grep -A1 budgets report
            receive; egret run --policy policy.yaml --report json --report-file json -- python3 send.py 8 2
            received packets
            python3 -c '
            import json
            for b in json.load(open("json"))["budgets"]:
                print(b["budget"], b["unit"], b["used"], b["amount"], b["refused"])'
            """,
            prints: """
                50
                budgets
                  command-line budget 1: 50 packets of 50 packets used, 150 packets held back
                6
                begun connections 3 3 10
                """)
    }

    @Test("what one budget of a run drops, another has again a second later")
    func corrections() throws {
        // 48 datagrams of 1028 bytes fit the small one, and 291 both.
        try expect(
            "runcorrect",
            budgets: [
                "{ name: all, amount: 300kB, onExhausted: cut }",
                "{ name: small, ports: [9998/udp], amount: 50kB, onExhausted: cut }",
            ],
            """
            cat >send.py <<'X'
            import socket, time
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for port in (9998, 9999):
                for i in range(1000): s.sendto(b"x" * 1000, ("192.0.2.2", port)); time.sleep(0.0005)
                time.sleep(2.5)
            X
            egret run --policy policy.yaml --report json --report-file json -- python3 send.py
            python3 -c '
            import json
            for b in json.load(open("json"))["budgets"]: print(b["budget"], b["used"])'
            """,
            prints: """
                all 299148
                small 49344
                """)
    }
}
