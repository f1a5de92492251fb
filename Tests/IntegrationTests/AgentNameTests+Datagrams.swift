// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

/// QUIC of endpoints, by the names in its first packets.
extension AgentNameTests {
    /// `ask.py LABEL FAMILY DATAGRAM...` sends datagrams to port 9999 of www.example.test as QUIC does: what is not answered is
    /// sent again.
    private static let datagrams = """
        check=', quic: check, ports: [9999/tcp]'
        cat >ask.py <<'PY'
        import base64, socket, sys, time
        label, family = sys.argv[1:3]
        kind = socket.AF_INET6 if family == "6" else socket.AF_INET
        datagrams = [base64.b64decode(text) for text in sys.argv[3:]]
        address = socket.getaddrinfo("www.example.test", 9999, kind, socket.SOCK_DGRAM)[0][4]
        s = socket.socket(kind, socket.SOCK_DGRAM); s.settimeout(0.5); s.connect(address)
        begun = time.monotonic()
        def ask():
            for attempt in range(6):
                try:
                    for datagram in datagrams: s.send(datagram)
                    return label, "answered", s.recv(65536) in datagrams, attempt > 0
                except TimeoutError: continue
                except OSError: return label, "refused", time.monotonic() - begun < 0.4
            return label, "silence"
        print(*ask())
        PY

        """

    private func ask(_ endpoint: String, _ label: String, _ family: Int, _ datagrams: [[UInt8]]) -> String {
        "inside \(endpoint) python3 ask.py \(label) \(family) "
            + datagrams.map { "'\(Data($0).base64EncodedString())'" }.joined(separator: " ")
    }

    @Test(
        "QUIC passes by the name in its first packets where a rule has it read, and else is refused at once",
        arguments: ["", "--mode routed"])
    func readQUIC(mode: String) throws {
        let hello = QUICInitial.hello("www.example.test")
        let client = QUICInitial()
        let allowed = try client.datagram(saying: "www.example.test")
        let split = try [
            client.packet(1, QUICInitial.crypto(hello[30...], at: 30), paddedTo: 1_200),
            client.packet(0, QUICInitial.crypto(hello[..<30], at: 0), paddedTo: 1_200),
        ]
        let asked = try [
            ask("a", "allowed", 4, [allowed]), ask("a", "allowed6", 6, [allowed]),
            ask("a", "version2", 4, [QUICInitial(isVersion2: true).datagram(saying: "www.example.test")]),
            ask("a", "split", 4, split), ask("a", "other", 4, [client.datagram(saying: "other.example.test")]),
            ask("a", "nameless", 4, [client.datagram(saying: nil)]), ask("a", "foreign", 6, [Array("no QUIC".utf8)]),
        ]
        try expect(
            "adgram",
            AgentNameTests.datagrams + """
                lab \(mode); start; policy a '{ domains: [www.example.test] }' "$check" | egret apply -f - >/dev/null
                \(asked.joined(separator: "\n"))
                # What was not let through has left no trace, and what was is a flow like others.
                curl -s --unix-socket /run/egret/agent.sock http://localhost/metrics | grep '^egret_agent_named_conn'
                egret flows --denied --endpoint shop/a | awk '$5 != "PEER" { print $4, $5, $6, $7, $8 }' |
                    grep -o 'deny other.example.test.*'
                for i in {1..50}; do
                    egret flows --endpoint shop/a | grep -q 'allow *www.example.test at 203.0.113.10' && break; sleep 0.1
                done
                egret flows --endpoint shop/a | grep -o 'allow *www.example.test at 203.0.113.10 *9999/udp' | tr -s ' '
                finish
                """,
            prints: """
                allowed answered True True
                allowed6 answered True True
                version2 answered True True
                split answered True True
                other refused True
                nameless refused True
                foreign refused True
                egret_agent_named_connections_total{verdict="allow"} 4
                egret_agent_named_connections_total{verdict="deny"} 3
                deny other.example.test at 203.0.113.10 9999/udp
                allow www.example.test at 203.0.113.10 9999/udp
                """)
    }

    @Test("what one endpoint's QUIC has been let through for lets out nothing of another's that obeys the same policy")
    func apartInQUIC() throws {
        let allowed = try QUICInitial().datagram(saying: "www.example.test")
        try expect(
            "adapart",
            AgentNameTests.datagrams + """
                lab; start
                policy all '{ domains: [www.example.test] }' "$check" '' | egret apply -f - >/dev/null
                \(ask("a", "a", 4, [allowed]))
                cat >other.py <<'PY'
                import socket
                s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(1); s.connect(("203.0.113.10", 9999))
                try: s.send(b"unread"); s.recv(9); print("answered")
                except OSError: print("not answered")
                PY
                inside b python3 other.py; inside a python3 other.py
                finish
                """,
            prints: """
                a answered True True
                not answered
                not answered
                """)
    }

    @Test("open QUIC goes on under other rules that let its name out, and ends under those that do not")
    func changeInQUIC() throws {
        let allowed = Data(try QUICInitial().datagram(saying: "www.example.test")).base64EncodedString()
        try expect(
            "adchange",
            AgentNameTests.datagrams + """
                cat >hold.py <<'PY'
                import base64, os, socket, sys, time
                address = socket.getaddrinfo("www.example.test", 9999, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
                s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(0.5); s.connect(address)
                def isAnswered(datagram):
                    for attempt in range(5):
                        try:
                            s.send(datagram)
                            if s.recv(65536) == datagram: return True
                        except OSError: continue
                    return False
                print("first", isAnswered(base64.b64decode(sys.argv[1])), flush=True)
                for step in ("changed", "denied"):
                    while not os.path.exists(step): time.sleep(0.05)
                    # What comes behind the first packets says no name.
                    print(step, isAnswered(b"@" + step.encode()), flush=True)
                PY
                lab; start; policy a '{ domains: [www.example.test] }' "$check" | egret apply -f - >/dev/null
                inside a python3 hold.py \(allowed) >held & holder=$!
                said() { for i in {1..200}; do grep -q $1 held && return; sleep 0.05; done; }
                said first
                policy a '{ domains: [files.example.test, www.example.test] }' "$check" | egret apply -f - >/dev/null
                touch changed; said changed
                policy a '{ domains: [files.example.test] }' "$check" | egret apply -f - >/dev/null
                touch denied; wait $holder; cat held; finish
                """,
            prints: """
                first True
                changed True
                denied False
                """)
    }
}
