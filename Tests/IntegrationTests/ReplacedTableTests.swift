// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// An agent that starts and finds tables that it has to make anew, under the packets of an endpoint that wants to use the moment.
@Suite("tables that are made anew", .serialized, .requiresRoot)
struct ReplacedTableTests {
    private func run(_ script: String, location: SourceLocation = #_sourceLocation) throws {
        let directory = try TemporaryDirectory()
        let output = try runProgram(
            [
                "unshare", "--mount", "bash", "-c",
                "mount -t tmpfs run /run; cd \(directory.path)\n" + RouteTests.bed + EndpointRouteTests.helpers
                    + "network; begin\n" + script,
            ], timeout: .seconds(200))
        #expect(output.standardOutput == "", "\(output.standardError)", sourceLocation: location)
        #expect(output.status == 0, "\(output.standardError)", sourceLocation: location)
    }

    @Test(
        "no connection leaves by a way that it may not take",
        arguments: ["", "h nft add rule inet egret-routes forward counter;"])
    func routes(damage: String) throws {
        try run(
            """
            \(EndpointRouteTests.twoWays)
            e apply -f one.yaml >/dev/null
            cat >flood.py <<'PY'
            import socket, sys, time
            while True:
                s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET); s.setblocking(False)
                try: s.connect((sys.argv[1], 80))
                except OSError: pass
                time.sleep(0.001); s.close()
            PY
            for to in 2001:db8:100::10 198.51.100.10; do
                inside a /usr/bin/python3 flood.py $to & clients="$clients $!"
            done
            for i in 1 3; do
                h tcpdump --immediate-mode -Z root -U -ni up$i -Q out -w up$i.pcap 'tcp port 80' 2>/dev/null & clients="$clients $!"
            done
            sleep 1; for i in {1..10}; do dies; \(damage) begin; sleep 0.2; done
            tcpdump -nr up3.pcap 2>/dev/null
            [ "$(tcpdump -nr up1.pcap 2>/dev/null | wc -l)" -gt 1000 ] || echo nothing by the way that it may take
            h nft list chain inet egret-routes hold >/dev/null 2>&1 && echo held || true
            """)
    }

    @Test("no packet passes that is refused")
    func policies() throws {
        try run(
            """
            cat >one.yaml <<'Y'
            apiVersion: egret.dev/v1
            kind: EgressPolicy
            metadata: { name: one }
            spec:
              selects: { matchLabels: { app: a } }
              default: deny
              egress:
              - { action: allow, to: [{ cidr: 198.51.100.10/32 }], ports: [80/tcp] }
            Y
            e apply -f one.yaml >/dev/null
            cat >flood.py <<'PY'
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("198.51.100.10", 9))
            while True:
                try: s.send(b"x" * 20)
                except OSError: pass
            PY
            inside net nft 'table inet seen { counter passed { }; chain c { type filter hook prerouting priority -300; udp dport 9 counter name passed; }; }'
            inside a /usr/bin/python3 flood.py & clients="$clients $!"
            sleep 0.5; for i in {1..40}; do dies; h nft add rule inet egret-policy forward counter; begin; done
            inside net nft list counter inet seen passed | grep packets | grep -v 'packets 0 ' || true
            source a 198.51.100.10 | grep -v '10.3.0.2' || true
            h nft list table inet egret-policy | grep -E 'hold-|counter packets' || true
            """)
    }
}
