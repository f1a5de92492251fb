// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretGreetingWire
import EgretLinux
import EgretNames
import EgretTesting
import Synchronization

/// Connections through the proxy that reads names.
extension NameBench {
    /// Where the shared sites are: www.example.test and evil.example.test have the same addresses.
    static let site = "203.0.113.12"
    static let site6 = "2001:db8:113::10"

    /// What the proxy reported.
    final class ConnectionLog: Sendable {
        let all = Mutex<[ConnectionEvent]>([])

        func contains(_ matches: (ConnectionEvent) -> Bool) -> Bool { all.withLock { $0.contains(where: matches) } }

        /// The names that were refused.
        var refused: [String] {
            all.withLock { events in
                events.compactMap { event in
                    guard case .refused(let attempt) = event else { return nil }
                    switch attempt.speech {
                    case .name(let name): return name.name
                    case .nothing(let absence): return absence.rawValue
                    }
                }
            }
        }
    }

    /// Leads the client's connections to ports 80, 443 and 2525 to a proxy.
    func startChecks(
        _ settings: ConnectionProxy.Settings = ConnectionProxy.Settings(),
        allows: (@Sendable (Int, ConnectionAttempt) -> Bool)? = nil
    ) throws {
        let log = connectionEvents
        let event = { @Sendable (_: Int, event: ConnectionEvent) in log.all.withLock { $0.append(event) } }
        let hooks =
            allows.map { ConnectionProxy.Hooks(allows: $0, event: event) } ?? ConnectionProxy.Hooks(event: event)
        let proxy = try ConnectionProxy(registry: proxy.registry, settings: settings, hooks: hooks)
        checks = proxy
        let ports = "{ 80, 443, 2525 }"
        let text =
            settings.isTransparent
            ? """
            table inet names {
                chain divert {
                    type filter hook prerouting priority mangle;
                    iifname nmc0 meta nfproto ipv4 tcp dport \(ports) tproxy ip to :\(proxy.port) meta mark set 0x1e accept
                    iifname nmc0 meta nfproto ipv6 tcp dport \(ports) tproxy ip6 to :\(proxy.port) meta mark set 0x1e accept
                    meta l4proto tcp socket transparent 1 socket wildcard 0 meta mark set 0x1e accept
                }
            }
            """
            : """
            table inet names {
                chain prerouting {
                    iifname nmc0 meta nfproto ipv4 tcp dport \(ports) dnat ip to 192.0.2.1:\(proxy.port)
                    iifname nmc0 meta nfproto ipv6 tcp dport \(ports) dnat ip6 to [2001:db8:c::1]:\(proxy.port)
                }
            }
            """
        let steps = """
            for f in -4 -6; do
                ip $f rule del fwmark 0x1e lookup 30 2>/dev/null || true
                ip $f rule add fwmark 0x1e lookup 30
                ip $f route replace local default dev lo table 30
            done
            nft -f -
            """
        let output = try runProgram(["sh", "-ec", steps], standardInput: text)
        guard output.succeeded else { throw LabError("leading connections to the proxy", reason: output.standardError) }
    }

    /// Starts Knot and, on the shared addresses, sites by HTTP and HTTPS that write down whom they were asked for.
    func startSites() throws {
        try startKnot()
        let key = "\(path)/key.pem"
        let certificate = "\(path)/cert.pem"
        let made = try runProgram([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=www.site.example.test", "-keyout", key, "-out", certificate,
        ])
        guard made.succeeded else { throw LabError("making a certificate", reason: made.standardError) }
        let program = try file(
            "sites.py",
            """
            import http.server, socket, socketserver, ssl, sys, threading
            class Site(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def do_GET(self):
                    name = getattr(self.connection, "spoken", None)
                    print("asked", self.headers["Host"], "tls", name, "by", self.client_address[0], flush=True)
                    body = b"x" * int(self.path[5:]) if self.path.startswith("/big/") else b"hello\\n"
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                def do_POST(self):
                    n = int(self.headers["Content-Length"])
                    got = 0
                    while got < n: got += len(self.rfile.read(min(65536, n - got)))
                    body = b"%d\\n" % got
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                def log_message(self, *a): pass
            class Server(http.server.ThreadingHTTPServer):
                request_queue_size = 1024
                context = None
                def server_bind(self):
                    # Not as in HTTPServer, which asks the DNS for the address's name.
                    socketserver.TCPServer.server_bind(self)
                    self.server_name, self.server_port = "site", self.server_address[1]
                def finish_request(self, request, address):
                    if self.context:
                        try: request = self.context.wrap_socket(request, server_side=True)
                        except Exception as e: return print("tls failed", e, flush=True)
                    super().finish_request(request, address)
            class Server6(Server): address_family = socket.AF_INET6
            def names(connection, name, context):
                connection.spoken = name
                print("hello for", name, flush=True)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("\(certificate)", "\(key)")
            context.sni_callback = names
            for kind, address in ((Server, "\(NameBench.site)"), (Server6, "\(NameBench.site6)")):
                for port in (80, 443):
                    server = kind((address, port), Site)
                    if port == 443: server.context = context
                    threading.Thread(target=server.serve_forever).start()
            print("ready", flush=True)
            """)
        try startServer(["python3", program], ready: "ready")
    }

    /// Fetches with curl, and the system's resolver asking Knot; returns what was printed, errors included.
    func curl(_ arguments: String...) throws -> String {
        let script = "exec unshare --mount sh -c 'mount --bind \"$0\" /etc/resolv.conf && exec curl \"$@\" 2>&1' \"$@\""
        let resolver = try file("resolv.conf", "nameserver \(NameBench.knot)\noptions timeout:2 attempts:1\n")
        let command = ["sh", "-c", script, "sh", resolver, "-sSk", "--max-time", "20"] + arguments
        return try onClient(command, timeout: .seconds(40)).standardOutput
    }
}
