// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting

/// Servers over TLS, and who vouches for them.
extension NameBench {
    /// The certificates of a test: an authority's, one of a server that it vouches for by name and address, one that is over,
    /// and another authority's.
    struct Certificates {
        private let folder: TemporaryDirectory
        var authority: String { "\(folder.path)/ca.pem" }
        var stranger: String { "\(folder.path)/stranger.pem" }
        func file(_ name: String) -> String { "\(folder.path)/\(name)" }

        init() throws {
            folder = try TemporaryDirectory()
            let steps = """
                cd \(folder.path)
                key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
                for ca in ca stranger; do
                    openssl req -x509 $key -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem
                done
                openssl req -new $key -subj /CN=dns -keyout dns.key -out dns.csr
                echo 'subjectAltName=IP:203.0.113.54,DNS:dns.example.test' >ext
                openssl x509 -req -in dns.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile ext -out dns.pem
                : >index; echo 01 >serial; cp dns.key old.key
                printf '%s\\n' [ca] default_ca=one [one] database=index serial=serial new_certs_dir=. default_md=sha256 \\
                    policy=any x509_extensions=ext [any] commonName=supplied [ext] "$(cat ext)" >ca.cnf
                openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in dns.csr -out old.pem -notext \\
                    -startdate 20200101000000Z -enddate 20200102000000Z
                """
            let output = try runProgram(["sh", "-ec", steps])
            guard output.succeeded else { throw LabError("making certificates", reason: output.standardError) }
        }
    }

    /// Starts unbound on port 853 alone, which asks Knot.
    func startEncryptedUnbound(_ certificates: Certificates, _ certificate: String = "dns") throws {
        try startUnbound(
            configuration: "unbound-tls.conf",
            listening: [
                "interface: 203.0.113.54@853", "tls-port: 853",
                "tls-service-key: \"\(certificates.file("\(certificate).key"))\"",
                "tls-service-pem: \"\(certificates.file("\(certificate).pem"))\"",
            ])
    }

    /// Starts a server over TLS that says on standard output what it hears, and behaves as it is told: `once` ends each
    /// connection after its first answer, `silent` answers nothing.
    func startEncryptedLiar(_ certificates: Certificates, _ habit: String) throws {
        let program = try file(
            "tls.py",
            """
            import socket, ssl, struct, sys, threading
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain("\(certificates.file("dns.pem"))", "\(certificates.file("dns.key"))")
            t = socket.socket()
            t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            t.bind(("203.0.113.54", 853))
            t.listen(16)
            print("ready", flush=True)
            def exactly(c, n):
                b = b""
                while len(b) < n:
                    more = c.recv(n - len(b))
                    if not more: raise OSError
                    b += more
                return b
            def serve(raw):
                try:
                    c = context.wrap_socket(raw, server_side=True)
                    while True:
                        q = exactly(c, struct.unpack(">H", exactly(c, 2))[0])
                        print("asked", len(q), flush=True)
                        if "\(habit)" == "silent": continue
                        end = 12
                        while q[end]: end += 1 + q[end]
                        a = (q[:2] + b"\\x81\\x80\\0\\x01\\0\\x01\\0\\0\\0\\0" + q[12:end + 5]
                             + b"\\xc0\\x0c\\0\\x01\\0\\x01\\0\\0\\0\\x3c\\0\\x04\\xcb\\x00\\x71\\x0a")
                        c.sendall(struct.pack(">H", len(a)) + a)
                        if "\(habit)" == "once": return c.close()
                except OSError as error: print("ended", error, flush=True)
            while True:
                raw, _ = t.accept()
                print("connected", flush=True)
                threading.Thread(target=serve, args=(raw,), daemon=True).start()
            """)
        try startServer(["python3", program], ready: "ready")
    }

    /// Asks for the addresses of names, all at once, and returns how often each code was answered.
    func askAll(_ names: [String], at server: String = knot) throws -> [String: Int] {
        let program = try file(
            "all.py",
            """
            import collections, socket, struct, sys
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
            names = sys.argv[1:]
            for i, n in enumerate(names):
                q = b"".join(bytes([len(l)]) + l.encode() for l in n.split(".")) + b"\\0\\0\\1\\0\\1"
                s.sendto(struct.pack("!HHHHHH", i, 0x100, 1, 0, 0, 0) + q, ("\(server)", 53))
            codes = collections.Counter()
            try:
                for n in names: codes[s.recv(4096)[3] & 15] += 1
            except OSError: codes["none"] += 1
            for c, n in sorted(codes.items(), key=str): print(c, n)
            """)
        let output = try onClient(["python3", program] + names, timeout: .seconds(60)).standardOutput
        let pairs = output.split(separator: "\n").map { $0.split(separator: " ") }
        return Dictionary(
            pairs.map { (String($0[0]), Int($0[1]) ?? 0) }, uniquingKeysWith: { first, _ in first })
    }
}
