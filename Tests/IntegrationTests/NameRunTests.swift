// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Foundation
import Testing

extension TestInternet {
    /// The names of these tests, on a resolver at friend. web1 is 203.0.113.10, web2 .11.
    static let names = [
        "wikipedia.org=203.0.113.10,2001:db8:113::10", "upload.wikimedia.org=203.0.113.11",
        "www.example.test=203.0.113.10,2001:db8:113::10", "other.example.test=203.0.113.10",
        "files.example.test=203.0.113.11", "rotating.example.test=ttl1:rotate:203.0.113.10,203.0.113.11",
        "lying.example.test=10.1.2.3,169.254.169.254,127.0.0.1,203.0.113.10,fe80::1,::1",
        "long.example.test=cut:203.0.113.10", "slow.example.test=slow1:203.0.113.10", "mute.example.test=mute:",
        "alias.example.test=>www.example.test", "text.example.test=txt:203.0.113.10",
        "evil.example.test=txt:198.51.100.66", "*.evil.example.test=txt:198.51.100.66",
        "*.bulk.example.test=203.0.113.10,203.0.113.11", "home.example.test=\(LabHost.home.ipv4)",
    ]
    static let resolver = "198.51.100.20"

    /// Runs a shell script in `egret run`, with names resolved by friend.
    func named(_ flags: [String], _ script: String, timeout: Duration = .seconds(60)) throws -> ProgramOutput {
        try egret(
            ["--dns", TestInternet.resolver, "--report", "json"] + flags, ["bash", "-c", script],
            environment: ["CA": authorityPath], timeout: timeout)
    }
}

/// An internet whose names friend resolves.
func withNames(_ name: String, _ body: (TestInternet) throws -> Void) throws {
    try withInternet(name) { internet in
        try internet.startResolver(in: .friend, TestInternet.names)
        try body(internet)
    }
}

/// What `--report json` says about names.
struct NameReportJSON: Decodable {
    struct Name: Decodable {
        var name: String
        var type: String?
        var times: UInt64
    }
    struct Connection: Decodable {
        var destination: String
        var port: UInt16
        var transport: String?
        var name: String?
        var reason: String
        var times: UInt64
    }
    struct Address: Decodable {
        var name: String
        var address: String
    }
    struct Event: Decodable { var text: String }
    struct Names: Decodable {
        var resolved: [Name]
        var denied: [Name]
        var refusedConnections: [Connection]
        var removedAddresses: [Address]
        var unverifiedConnections: UInt64
        var limitsReached: [Event]
        var badAnswers: [Event]
    }
    struct Budget: Decodable {
        var budget: String
        var used: UInt64
    }
    struct Reached: Decodable {
        struct Amount: Decodable {
            var packets: UInt64
            var bytes: UInt64
        }
        struct Clause: Decodable { var rule: String }
        var destination: String
        var name: String?
        var service: String
        var decidedBy: Clause?
        var connections: UInt64
        var sent: Amount
        var received: Amount
    }
    var reached: [Reached]
    var budgets: [Budget]?
    var suggestedFlags: [String]
    var names: Names

    /// The report behind what the command itself has written to standard error.
    init(_ output: ProgramOutput) throws {
        let text = output.standardError
        let start = try #require(text.range(of: "{\n  \""), "\(text)").lowerBound
        self = try JSONDecoder().decode(NameReportJSON.self, from: Data(text[start...].utf8))
    }
}

@Suite("names in a run", .serialized, .requiresRoot)
struct NameRunTests {
    @Test("a name and a wildcard let out what they say, over both families, and nothing else")
    func allowedNames() throws {
        try withNames("nallow") { internet in
            let output = try internet.named(
                ["--allow", "wikipedia.org", "--allow", "*.wikimedia.org:443"],
                """
                curl -sIk -m 5 https://wikipedia.org | head -n 1
                curl -sIk -6 -m 5 https://wikipedia.org | head -n 1
                curl -sI -m 5 http://wikipedia.org | head -n 1
                curl -sIk -m 5 https://upload.wikimedia.org | head -n 1
                curl -sI -m 2 http://upload.wikimedia.org; echo $?
                curl -sIk -m 5 https://files.example.test; echo $?
                """)
            let ok = "HTTP/1.1 200 OK\r\n"
            #expect(output.standardOutput == ok + ok + ok + ok + "28\n6\n", "\(output.standardError)")
            let report = try NameReportJSON(output)
            let first = try #require(
                report.reached.first { $0.name == "wikipedia.org" && $0.service == "443/tcp" })
            #expect(first.decidedBy?.rule == "--allow wikipedia.org")
            #expect(first.sent.bytes > 500 && first.sent.packets > 4)
            #expect(report.reached.count == 4 && report.reached.allSatisfy { $0.name != nil && $0.connections == 1 })
            #expect(report.names.denied.map(\.name) == ["files.example.test"])
            #expect(report.suggestedFlags == ["--allow files.example.test", "--allow upload.wikimedia.org:80"])
            let asked = Swift.Set(internet.resolverLog(of: .friend).compactMap { $0.split(separator: " ").last })
            #expect(asked == ["wikipedia.org", "upload.wikimedia.org"])
            #expect(try internet.remains() == "")
        }
    }

    @Test("at an address that an allowed and another name share, only the allowed one is to be said")
    func sharedAddress() throws {
        try withNames("nshare") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test:443,80"],
                """
                curl -s -m 5 --cacert $CA https://www.example.test/ >/dev/null; echo tls $?
                curl -sk -m 5 --connect-to other.example.test:443:www.example.test:443 https://other.example.test; echo $?
                ask() { curl -s -o /dev/null -m 5 -w '%{http_code}\\n' "$@"; }
                ask http://www.example.test
                ask -H 'Host: other.example.test' http://www.example.test
                set -- -s -o /dev/null -m 5 -w '%{http_code} '
                curl "$@" http://www.example.test/a --next "$@" -H 'Host: other.example.test' http://www.example.test/b; echo
                s() { timeout 5 openssl s_client -connect www.example.test:443 "$@" </dev/null 2>&1; }
                s -servername other.example.test | grep -o 'unrecognized name' | head -n 1
                s -noservername | grep -c 'BEGIN CERT'
                s -servername www.example.test | grep -c 'BEGIN CERT'
                curl -sk -m 5 https://203.0.113.10; echo literal $?
                """)
            #expect(
                output.standardOutput == "tls 0\n35\n200\n403\n200 403 \nunrecognized name\n0\n1\nliteral 35\n",
                "\(output.standardError)")
            let report = try NameReportJSON(output)
            let said = report.names.refusedConnections.compactMap { $0.name }
            #expect(said.allSatisfy { $0 == "other.example.test" } && said.count == 2)
            #expect(report.names.refusedConnections.contains { $0.name == nil && $0.port == 443 })
            #expect(report.suggestedFlags.contains("--allow other.example.test:443"))
            #expect(!internet.log(of: .web1).contains("host=other.example.test"))
        }
    }

    @Test("an address is open once its name was resolved, and not before; other resolvers are not asked")
    func addressAlone() throws {
        try withNames("nalone") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test:443"],
                """
                curl -sk -m 2 --resolve www.example.test:443:203.0.113.10 https://www.example.test >/dev/null; echo $?
                dig +short +time=2 +tries=1 @198.51.100.66 www.example.test
                dig +short +time=2 +tries=1 +tcp @198.51.100.66 www.example.test
                curl -sk -m 5 --resolve www.example.test:443:203.0.113.10 https://www.example.test >/dev/null; echo $?
                curl -sk -m 2 --resolve www.example.test:443:203.0.113.11 https://www.example.test >/dev/null; echo $?
                curl -sk -m 2 --resolve www.example.test:443:198.51.100.66 https://www.example.test >/dev/null; echo $?
                timeout 2 bash -c '</dev/tcp/198.51.100.20/853'; echo $?
                """)
            #expect(
                output.standardOutput == "28\n203.0.113.10\n203.0.113.10\n0\n28\n28\n124\n", "\(output.standardError)")
            #expect(internet.log(of: .attacker) == "")
        }
    }

    @Test("a name that no rule allows is refused at once, and no packet about it leaves the host")
    func deniedNames() throws {
        try withNames("ndeny") { internet in
            let isp = try Gate(to: .isp, of: internet)
            let output = try internet.script(
                """
                f=$(mktemp -u)
                timeout 60 nsenter --net=\(isp.path) tcpdump --immediate-mode -Z root -Uni home -w $f \
                    2>$f.log & until grep -q listening $f.log; do sleep 0.05; done
                egret run --dns \(TestInternet.resolver) --report none --allow www.example.test -- bash -c '
                    t0=$(date +%s%N)
                    for i in {1..50}; do dig +time=3 +tries=1 $RANDOM$RANDOM.evil.example.test TXT; done | grep -c REFUSED
                    dig +tcp +time=3 +tries=1 evil.example.test | grep -c REFUSED
                    dig +time=3 +tries=1 @\(LabHost.attacker.ipv4) evil.example.test | grep -c REFUSED
                    dig +time=3 +tries=1 www.example.test TXT | grep -c REFUSED
                    dig +time=3 +tries=1 www.example.test NULL | grep -c REFUSED
                    dig +time=3 +tries=1 www.example.test ANY +notcp | grep -c REFUSED
                    dig +time=3 +tries=1 www.example.test.evil.example.test | grep -c REFUSED
                    [ $(( ($(date +%s%N) - t0) / 1000000 )) -lt 30000 ] && echo soon'
                dig +short +time=2 +tries=1 @\(LabHost.dns.ipv4) www.example.test >/dev/null
                sleep 0.3; kill %1; wait %1
                # The last one, which is the host's own, shows that the capture works.
                tcpdump -nr $f 'port 53 and src host 192.0.2.2' 2>/dev/null | wc -l; rm $f $f.log
                """)
            #expect(output.standardOutput == "50\n1\n1\n1\n1\n1\n1\nsoon\n1\n", "\(output.standardError)")
        }
    }

    @Test("a resolver that lies gets no private address through, one that cuts is asked over TCP, aliases are followed")
    func resolvers() throws {
        try withNames("nlie") { internet in
            let output = try internet.named(
                ["--allow", "*.example.test"],
                """
                dig +short +time=3 +tries=1 lying.example.test
                dig +short +time=3 +tries=1 AAAA lying.example.test
                dig +short +time=3 +tries=1 long.example.test
                curl -s -m 5 -o /dev/null -w '%{http_code}\\n' http://alias.example.test
                curl -s -m 5 -o /dev/null -w '%{http_code}\\n' http://slow.example.test
                timeout 2 bash -c '</dev/tcp/10.1.2.3/80'; echo $?
                """)
            #expect(output.standardOutput == "203.0.113.10\n203.0.113.10\n200\n200\n124\n", "\(output.standardError)")
            let report = try NameReportJSON(output)
            #expect(
                Swift.Set(report.names.removedAddresses.map(\.address))
                    == ["10.1.2.3", "169.254.169.254", "127.0.0.1", "fe80::1", "::1"])
            #expect(internet.resolverLog(of: .friend).contains("tcp A long.example.test"))
        }
    }

    @Test("QUIC and other UDP to a name is refused with an answer, not with silence")
    func quic() throws {
        try withNames("nquic") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test"],
                """
                exec /usr/bin/python3 - <<'PY'
                import socket, time
                address = socket.getaddrinfo("www.example.test", 443, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
                for port in (443,):
                    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
                    s.connect((address[0], port)); t0 = time.monotonic()
                    try:
                        s.send(b"\\xc0" + bytes(1199)); s.recv(1)
                        print("answered")
                    except TimeoutError: print("silence")
                    except OSError: print("refused", time.monotonic() - t0 < 0.5)
                PY
                """)
            #expect(output.standardOutput == "refused True\n", "\(output.standardError)")
        }
    }

    @Test("what is no TLS and no HTTP does not pass where a name is read")
    func otherProtocols() throws {
        try withNames("nproto") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test:443,80,8443,7"],
                """
                getent ahostsv4 www.example.test >/dev/null
                say() { exec 3<>/dev/tcp/203.0.113.10/$1 || return; printf "$2" >&3; timeout 5 head -c 20 <&3; echo "$1 $?"; exec 3>&-; }
                say 443 'SSH-2.0-OpenSSH_9.2\\r\\n' 2>/dev/null
                say 80 'CONNECT other.example.test:443 HTTP/1.1\\r\\nHost: other.example.test:443\\r\\n\\r\\n' 2>/dev/null
                say 80 'GET / HTTP/1.1\\r\\nHost: www.example.test\\r\\nHost: other.example.test\\r\\n\\r\\n' 2>/dev/null
                say 80 'GET http://other.example.test/ HTTP/1.1\\r\\nHost: www.example.test\\r\\n\\r\\n' 2>/dev/null
                say 7 'hello hello hello hello' 2>/dev/null
                curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' https://www.example.test:8443
                """)
            let lines = output.standardOutput.split(separator: "\n").map(String.init)
            #expect(lines.last == "200", "\(output.standardOutput) \(output.standardError)")
            #expect(!output.standardOutput.contains("hello"))
            let log = internet.log(of: .web1)
            #expect(!log.contains("host=other") && !log.contains("CONNECT") && !log.contains("GET http:"), "\(log)")
        }
    }

    @Test("addresses that change with every answer do not cut a download, and each is reached at once")
    func rotation() throws {
        try withNames("nrotate") { internet in
            let output = try internet.named(
                ["--allow", "rotating.example.test"],
                """
                curl -s -m 30 --limit-rate 400k http://rotating.example.test/bytes/2000000 | wc -c >/tmp/$$ &
                for i in {1..24}; do
                    curl -s -m 2 -o /dev/null -w '%{http_code}\\n' http://rotating.example.test; sleep 0.1
                done | sort | uniq -c | xargs
                wait; cat /tmp/$$; rm /tmp/$$
                """)
            #expect(output.standardOutput == "24 200\n2000000\n", "\(output.standardError)")
            let destinations = Swift.Set(try NameReportJSON(output).reached.map(\.destination))
            #expect(destinations == ["203.0.113.10", "203.0.113.11"])
        }
    }

    @Test("a thousand cold names, asked for at once, are all reached by their first connection")
    func coldNames() throws {
        try withNames("ncold") { internet in
            let output = try internet.named(
                ["--allow", "*.bulk.example.test:80"],
                """
                exec /usr/bin/python3 - <<'PY'
                import socket, concurrent.futures
                def fetch(i):
                    try:
                        name = f"n{i}.bulk.example.test"
                        with socket.create_connection((name, 80), timeout=20) as s:
                            s.sendall(f"HEAD / HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
                            return s.recv(12) == b"HTTP/1.1 200"
                    except OSError as error: return repr(error)
                with concurrent.futures.ThreadPoolExecutor(100) as pool:
                    found = list(pool.map(fetch, range(1000)))
                print(found.count(True), [x for x in found if x is not True][:3])
                PY
                """, timeout: .seconds(120))
            #expect(output.standardOutput == "1000 []\n", "\(output.standardError)")
        }
    }

    @Test("an address of the host's own is reached by what the policy says about the host, whatever names it has")
    func hostAddress() throws {
        try withNames("nhost") { internet in
            let home = LabHost.home.ipv4
            let run = "egret run --report none --dns \(TestInternet.resolver)"
            let output = try internet.script(
                """
                python3 -m http.server --bind \(home) --directory /sys/class/net 80 >/dev/null 2>&1 &
                until curl -s -o /dev/null http://\(home); do sleep 0.05; done
                c="curl -s -m 2 -o /dev/null -w %{http_code}\\n http://home.example.test"
                \(run) --allow home.example.test:80 -- $c
                \(run) --allow home.example.test --allow internet -- $c
                \(run) --allow home.example.test:80 --allow host:80 -- $c
                \(run) --allow home.example.test:80 --allow \(home):80 -- $c
                # Nor is a server there one of the internet's.
                d="dig +time=2 +tries=1 @\(home) files.example.test"
                \(run) --allow internet:53/udp --allow www.example.test -- $d | grep -oE 'REFUSED|SERVFAIL'
                \(run) --allow host:53/udp --allow www.example.test -- $d | grep -oE 'REFUSED|SERVFAIL'
                kill %1
                """)
            #expect(
                output.standardOutput == "000\n000\n200\n200\nREFUSED\nSERVFAIL\n", "\(output.standardError)")
        }
    }

    @Test("a name reaches an address by the rules that hold it, and not by those behind a denial of its alias")
    func aliasDenied() throws {
        try withNames("nalias") { internet in
            let output = try internet.script(
                """
                f=$(mktemp --suffix .yaml); cat >$f <<'END'
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: p }
                spec:
                  egress:
                  - { action: allow, to: [{ domains: [alias.example.test] }], ports: [443] }
                  - { action: deny, to: [{ domains: [www.example.test] }] }
                  - { action: allow, to: [{ domains: [alias.example.test, other.example.test] }], ports: [80] }
                END
                egret run --report none --dns \(TestInternet.resolver) -f $f -- bash -c '
                    c() { curl -sk -m 5 -o /dev/null -w "%{http_code}\\n" "$@"; }
                    c https://alias.example.test; c http://other.example.test; c http://alias.example.test'
                rm $f
                """)
            #expect(output.standardOutput == "200\n200\n403\n", "\(output.standardError)")
        }
    }

    @Test("a denied name is refused, or does not exist, as the user wants it")
    func denial() throws {
        try withNames("ndenial") { internet in
            func status(_ flags: String...) throws -> ProgramOutput {
                try internet.egret(
                    ["--dns", TestInternet.resolver, "--allow", "www.example.test"] + flags,
                    ["bash", "-c", "dig +time=2 +tries=1 evil.example.test | grep -oE 'REFUSED|NXDOMAIN'"])
            }
            #expect(try status().standardOutput == "REFUSED\n")
            #expect(try status("--dns-denial", "refused").standardOutput == "REFUSED\n")
            let output = try status("--dns-denial", "nxdomain")
            #expect(output.standardOutput == "NXDOMAIN\n", "\(output.standardError)")
            #expect(try status("--dns-denial", "silence").status == 125)
            #expect(internet.resolverLog(of: .friend).isEmpty)
        }
    }

    @Test("a server that refuses, or is not there, gives way to the next one of --dns, also where it was asked itself")
    func failover() throws {
        try withNames("nfailover") { internet in
            // The lab's own knows example.test alone; nobody resolves names at the web server.
            for first in ["203.0.113.53", "203.0.113.10"] {
                let output = try internet.egret(
                    ["--dns", first, "--dns", TestInternet.resolver, "--report", "json", "--allow", "wikipedia.org"],
                    [
                        "bash", "-c",
                        """
                        dig @\(first) +tries=1 +time=5 wikipedia.org | grep -o 'status: [A-Z]*'
                        curl -s -m 5 -o /dev/null -w '%{http_code}\n' http://wikipedia.org
                        """,
                    ])
                #expect(output.standardOutput == "status: NOERROR\n200\n", "\(output.standardError)")
                let unused = try NameReportJSON(output).names.badAnswers.map(\.text)
                #expect(
                    unused == (first == "203.0.113.53" ? ["\(first) answered REFUSED, and another was asked"] : []))
            }
        }
    }

    @Test("a policy names the servers that are asked, and --dns others")
    func serversOfPolicy() throws {
        try withNames("npolicydns") { internet in
            func run(_ flags: [String], _ server: String) throws -> ProgramOutput {
                try internet.egret(
                    flags + ["--report", "none", "-f", "-"],
                    ["curl", "-s", "-m", "9", "-o", "/dev/null", "-w", "%{http_code}", "http://files.example.test"],
                    standardInput: """
                        apiVersion: egret.dev/v1
                        kind: EgressPolicy
                        metadata: { name: p }
                        spec:
                          dns: [\(server)]
                          egress:
                          - action: allow
                            to: [{ domains: [files.example.test] }]
                            ports: [80]
                        """)
            }
            // Nobody listens at web1.
            let output = try run([], "tcp://\(TestInternet.resolver)")
            #expect(output.standardOutput == "200", "\(output.standardError)")
            #expect(internet.resolverLog(of: .friend).contains { $0.hasSuffix("files.example.test") })
            #expect(try run([], "203.0.113.10").standardOutput == "000")
            #expect(try run(["--dns", TestInternet.resolver], "203.0.113.10").standardOutput == "200")
        }
    }

    @Test("a command that has resolved a name has not done nothing, and a name that is allowed is not suggested")
    func reportOfNames() throws {
        try withNames("nreport") { internet in
            let output = try internet.egret(
                ["--dns", TestInternet.resolver, "--allow", "www.example.test"],
                ["dig", "+short", "+time=2", "+tries=1", "www.example.test"])
            #expect(!output.standardError.contains("no traffic"), "\(output.standardError)")
            // Allowed, and said at an address that only another name has.
            let said = try internet.named(
                ["--allow", "www.example.test", "--allow", "files.example.test"],
                """
                getent ahostsv4 www.example.test >/dev/null; getent ahostsv4 files.example.test >/dev/null
                curl -s -o /dev/null -H 'Host: www.example.test' http://files.example.test
                """)
            let report = try NameReportJSON(said)
            #expect(report.names.refusedConnections.map(\.name) == ["www.example.test"])
            #expect(report.suggestedFlags == [])
        }
    }

    @Test("runs beside each other have their own names")
    func parallelRuns() throws {
        try withNames("nparallel") { internet in
            let run = "egret run --report none --dns \(TestInternet.resolver)"
            let output = try internet.script(
                """
                d=$(mktemp -d)
                ask() { for n in www files; do curl -s -m 3 -o /dev/null -w '%{http_code} ' http://$n.example.test; done; }
                export -f ask
                for i in 1 2 3; do
                    \(run) --allow www.example.test -- bash -c 'sleep 0.3; ask; ask' >$d/a$i &
                    \(run) --allow files.example.test -- bash -c 'sleep 0.3; ask; ask' >$d/b$i &
                    \(run) --allow \(TestInternet.resolver) --allow internet:80 -- bash -c 'sleep 0.3; ask; ask' >$d/c$i &
                done
                wait; cat $d/a*; echo; cat $d/b*; echo; cat $d/c*; echo; rm -r $d
                ip rule | grep -cE '^49[89]'; ip -6 rule | grep -cE '^49[89]'
                """)
            func six(_ text: String) -> String { String(repeating: text, count: 6) + "\n" }
            #expect(
                output.standardOutput == six("200 000 ") + six("000 200 ") + six("200 200 ") + "0\n0\n",
                "\(output.standardError)")
            #expect(try internet.remains() == "")
        }
    }

    @Test("what somebody sends to the ports of a run's proxies is dropped, and what the run leads there is not")
    func uninvited() throws {
        try withNames("nuninvited") { internet in
            let home = LabHost.home.ipv4
            let output = try internet.script(
                """
                f=$(mktemp -u); c="nft list chain inet egret egret0-arrive"
                egret run --report none --dns \(TestInternet.resolver) --allow www.example.test -- bash -c "
                    until [ -e $f ]; do sleep 0.05; done
                    curl -s -m 5 -o /dev/null -w '%{http_code}\\n' http://www.example.test" &
                until $c >/dev/null 2>&1; do sleep 0.05; done
                $c | grep -oE '(udp|tcp) .*dport [0-9]+' | while read protocol rest; do
                    echo $protocol
                    timeout 1 bash -c "echo >/dev/$protocol/\(home)/${rest##* }"
                done
                $c | grep -oE 'packets [0-9]+' | grep -vc 'packets 0'
                touch $f; wait; rm $f
                """)
            #expect(output.standardOutput == "udp\ntcp\ntcp\n3\n200\n", "\(output.standardError)")
            #expect(try internet.remains() == "")
        }
    }

    @Test("nothing is left of a run that was killed, once it was collected")
    func killed() throws {
        try withNames("nkill") { internet in
            let output = try internet.script(
                """
                f=$(mktemp)
                egret run --report none --dns \(TestInternet.resolver) --allow www.example.test -- \
                    bash -c "curl -s http://www.example.test >/dev/null; echo up >$f; exec sleep 60" &
                until [ -s $f ]; do sleep 0.02; done; rm $f
                ip rule | grep -c '^498'; ip route show table all | grep -c '^local default'
                kill -9 $!; wait $! 2>/dev/null
                egret gc
                ip rule | grep -cE '^49[89]'; ip -6 rule | grep -cE '^49[89]'
                ip route show table all | grep -c '^local default'; ip -6 route show table all | grep -c '^local default'
                """)
            #expect(output.standardOutput == "1\n2\nremoved egret0\n0\n0\n0\n0\n", "\(output.standardError)")
            #expect(try internet.remains() == "")
        }
    }

    @Test("while Egret is stopped nothing resolves and nothing opens; what was begun goes on afterwards")
    func stopped() throws {
        try withNames("nstop") { internet in
            let output = try internet.script(
                """
                d=$(mktemp -d)
                egret run --report none --dns \(TestInternet.resolver) --allow '*.example.test' -- bash -c '
                    curl -s -m 30 --limit-rate 300k http://files.example.test/bytes/900000 | wc -c >'$d'/bytes &
                    sleep 0.5; echo >'$d'/up; until [ -e '$d'/stopped ]; do sleep 0.05; done
                    dig +short +time=1 +tries=1 www.example.test | grep -c 203
                    # Of what was resolved the kernel takes the connection, and nothing of it goes on.
                    timeout 1 bash -c "exec 3<>/dev/tcp/203.0.113.11/80; echo connected
                        printf \\"GET /secret HTTP/1.1\\r\\nHost: files.example.test\\r\\n\\r\\n\\" >&3; head -c 1 <&3"; echo $?
                    timeout 1 bash -c "</dev/tcp/203.0.113.10/80" 2>/dev/null; echo $?
                    echo >'$d'/asked; wait
                    curl -s -m 5 -o /dev/null -w "%{http_code}\\n" http://www.example.test; cat '$d'/bytes' &
                until [ -e $d/up ] && grep -q GET \(internet.directory)/web2.log; do sleep 0.05; done
                kill -STOP $!; echo >$d/stopped
                until [ -e $d/asked ]; do sleep 0.05; done
                grep -c secret \(internet.directory)/web2.log; grep -c GET \(internet.directory)/web2.log
                kill -CONT $!; wait $!; rm -r $d
                """)
            #expect(
                output.standardOutput == "0\nconnected\n124\n124\n0\n1\n200\n900000\n", "\(output.standardError)")
        }
    }

    @Test("a policy that is about no names starts no proxy, and its queries go straight to the resolver")
    func withoutNames() throws {
        try withNames("nnone") { internet in
            let output = try internet.script(
                """
                egret run --report none --dns \(TestInternet.resolver) --allow \(TestInternet.resolver):53/udp -- bash -c '
                    dig +short +time=2 +tries=1 evil.example.test
                    ls /proc/[0-9]*/task/*/comm >/dev/null'
                egret run --report none --dns \(TestInternet.resolver) --allow \(TestInternet.resolver):53/udp -- sleep 1 &
                sleep 0.5; cat /proc/$!/task/*/comm | grep -c egret-names; ip rule | grep -c '^498'
                nft list ruleset | grep -c tproxy; wait
                """)
            #expect(output.standardOutput == "198.51.100.66\n0\n0\n0\n", "\(output.standardError)")
        }
    }

    @Test("a resolver that an address rule opens may be asked for what no rule is about, and nothing is opened by that")
    func openResolver() throws {
        try withNames("nopen") { internet in
            let output = try internet.named(
                [
                    "--allow", "\(TestInternet.resolver):53/udp", "--allow", "www.example.test",
                    "--deny", "other.example.test",
                ],
                """
                dig +short +time=2 +tries=1 files.example.test
                dig +short +time=2 +tries=1 evil.example.test TXT
                dig +time=2 +tries=1 other.example.test | grep -c REFUSED
                curl -s -m 2 http://files.example.test; echo $?
                curl -s -m 5 -o /dev/null -w '%{http_code}\\n' http://www.example.test
                """)
            #expect(
                output.standardOutput == "203.0.113.11\n\"evil.example.test\"\n1\n28\n200\n", "\(output.standardError)")
        }
    }
}
