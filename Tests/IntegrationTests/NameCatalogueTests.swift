// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// Ways round rules about names that other tests do not take, with real clients.
@Suite("ways round names", .serialized, .requiresRoot)
struct NameCatalogueTests {
    @Test(
        "resolvers that are asked in another way are as closed as any destination: over TLS, QUIC, HTTPS, and by multicast"
    )
    func otherResolvers() throws {
        try withNames("nways") { internet in
            let server = try EncryptedServer(in: internet)
            defer { server.end() }
            let output = try internet.named(
                ["--allow", "www.example.test"],
                """
                getent ahostsv4 www.example.test >/dev/null
                python3 - <<'PY'
                import errno, socket
                def code(kind, address, port):
                    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind); s.settimeout(1)
                    try:
                        s.connect((address, port)); s.send(b"x" * 20); s.recv(20); return "answered"
                    except OSError as error: return "refused"
                # DNS over TLS and QUIC, HTTPS, mDNS, LLMNR and NetBIOS.
                tries = [(socket.SOCK_STREAM, a, p) for a in ("198.51.100.20", "203.0.113.10") for p in (853, 5353, 8443)]
                tries += [(socket.SOCK_STREAM, "198.51.100.20", 443), (socket.SOCK_DGRAM, "198.51.100.20", 853)]
                tries += [(socket.SOCK_DGRAM, a, p) for a, p in (("224.0.0.251", 5353), ("224.0.0.252", 5355), ("10.255.255.255", 137))]
                print(sorted(set(code(*t) for t in tries)))
                PY
                """)
            #expect(output.standardOutput == "['refused']\n", "\(output)")
            let asked = internet.resolverLog(of: .friend)
            #expect(!asked.isEmpty && asked.allSatisfy { $0.contains("www.example.test") }, "\(asked)")
        }
    }

    @Test("a redirection to a name that is not allowed leads nowhere, and one to an allowed name goes on")
    func redirection() throws {
        try withNames("nredir") { internet in
            let server = try internet.start(
                in: .web1,
                [
                    "python3", "-uc",
                    """
                    import http.server
                    class Handler(http.server.BaseHTTPRequestHandler):
                        def do_GET(self):
                            self.send_response(301)
                            self.send_header("Location", "http:/" + self.path)
                            self.end_headers()
                    server = http.server.HTTPServer(("203.0.113.10", 8088), Handler)
                    print("ready"); server.serve_forever()
                    """,
                ])
            defer {
                server.send(signal: 9)
                _ = server.wait()
            }
            for _ in 0..<400 where !server.outputSoFar.contains("ready") { _ = try runProgram(["sleep", "0.02"]) }
            let output = try internet.named(
                ["--allow", "www.example.test", "--allow", "files.example.test"],
                """
                c() { curl -sL -m 5 -o /dev/null -w '%{http_code} %{num_redirects} ' "$@"; echo $?; }
                c http://www.example.test:8088/files.example.test/; c http://www.example.test:8088/other.example.test/
                # To an address: by no name.
                c http://www.example.test:8088/203.0.113.10/
                """)
            let lines = output.standardOutput.split(separator: "\n")
            #expect(lines.prefix(2) == ["200 1 0", "301 1 6"] && lines.count == 3, "\(output)")
            #expect(lines.last?.hasPrefix("200") == false, "\(output)")
        }
    }

    @Test("bytes in the first packet of a connection do not reach a server before the name is read")
    func fastOpen() throws {
        try withNames("ntfo") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test"],
                """
                getent ahostsv4 www.example.test >/dev/null
                python3 - <<'PY'
                import socket
                for host in ("other.example.test", "www.example.test"):
                    s = socket.socket(); s.settimeout(3)
                    data = b"GET / HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n" % host.encode()
                    # MSG_FASTOPEN.
                    try: s.sendto(data, 0x20000000, ("203.0.113.10", 80))
                    except OSError: s.connect(("203.0.113.10", 80)); s.send(data)
                    print(s.recv(100).split(b" ")[1].decode())
                PY
                """)
            #expect(output.standardOutput == "403\n200\n", "\(output)")
            #expect(!internet.log(of: .web1).contains("other.example.test"))
        }
    }

    @Test("what a variable or an option says of a proxy changes nothing: it is a destination like any other")
    func proxies() throws {
        try withNames("nproxies") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test"],
                """
                export http_proxy=http://203.0.113.11:80 https_proxy=http://203.0.113.11:80 ALL_PROXY=socks5h://198.51.100.20:1080
                c() { curl -sk -m 5 -o /dev/null -w '%{http_code} ' "$@"; echo $?; }
                c http://www.example.test; c https://www.example.test; c --noproxy '*' http://www.example.test
                c --noproxy '*' --preproxy '' --resolve www.example.test:80:203.0.113.11 http://www.example.test
                c --noproxy '*' --dns-servers 203.0.113.53 http://other.example.test
                """)
            let lines = output.standardOutput.split(separator: "\n")
            #expect(lines.count == 5 && lines[2] == "200 0", "\(output)")
            #expect(lines.enumerated().allSatisfy { $0.offset == 2 || !$0.element.hasSuffix(" 0") }, "\(output)")
            #expect(!internet.log(of: .web2).contains("http"))
        }
    }

    /// What cannot be seen from outside is let through, and the documentation says so.
    @Test("fronting inside TLS, and what an allowed server is told, pass as the documentation says")
    func whatRemains() throws {
        try withNames("nremain") { internet in
            let output = try internet.named(
                ["--allow", "www.example.test"],
                """
                # The name of the connection is allowed; the one inside its encryption is another.
                curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' -H 'Host: other.example.test' https://www.example.test
                curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' --data secret https://www.example.test/upload
                """)
            #expect(output.standardOutput == "200\n200\n", "\(output)")
            let log = internet.log(of: .web1)
            #expect(log.contains("host=other.example.test") && log.contains("POST /upload"), "\(log)")
        }
    }
}
