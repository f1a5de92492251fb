// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting

/// A server over TLS at friend, before the resolver there: its certificate is for `dns.example.test`.
final class EncryptedServer {
    private let folder: TemporaryDirectory
    private let program: RunningProgram
    /// Who vouches for it: a file in PEM.
    var authority: String { "\(folder.path)/ca.pem" }

    init(in internet: TestInternet) throws {
        folder = try TemporaryDirectory()
        let steps = """
            cd \(folder.path)
            key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
            openssl req -x509 $key -days 2 -subj /CN=ca -keyout ca.key -out ca.pem
            openssl req -new $key -subj /CN=dns -keyout dns.key -out dns.csr
            echo 'subjectAltName=DNS:dns.example.test' >ext
            openssl x509 -req -in dns.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile ext -out dns.pem
            """
        let output = try runProgram(["sh", "-ec", steps])
        guard output.succeeded else { throw LabError("making certificates", reason: output.standardError) }
        let place = "OPENSSL-LISTEN:853,reuseaddr,fork,verify=0,cert=\(folder.path)/dns.pem,key=\(folder.path)/dns.key"
        program = try internet.start(in: .friend, ["socat", place, "TCP:198.51.100.20:53"])
        for _ in 0..<400 {
            let listening = try internet.run(in: .friend, ["ss", "-Hltn", "sport", "=", ":853"])
            if !listening.standardOutput.isEmpty { return }
            _ = try runProgram(["sleep", "0.02"])
        }
        throw LabError("starting a server over TLS", reason: program.outputSoFar)
    }

    /// Ends it.
    func end() {
        program.send(signal: 9)
        _ = program.wait()
    }
}
