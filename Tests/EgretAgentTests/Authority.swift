// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting

/// An authority and its certificates, made by openssl in a directory that goes with it.
final class Authority {
    private let folder: TemporaryDirectory
    private let name: String

    /// The authority's own certificate.
    var certificate: String { "\(folder.path)/ca.pem" }

    init(_ name: String) throws {
        folder = try TemporaryDirectory()
        self.name = name
        try openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=\(name) -keyout ca.key "
                + "-out ca.pem")
    }

    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - name: Whose.
    ///   - address: The address that it is for.
    ///   - isExpired: Whether its time is over.
    /// - Returns: The files of the certificate and of its key.
    /// - Throws: ``OpenSSLFailure``.
    func issue(
        _ name: String, for address: String = "127.0.0.1", isExpired: Bool = false
    ) throws -> (certificate: String, key: String) {
        try write("subjectAltName=IP:\(address),DNS:localhost\n", to: "\(folder.path)/\(name).ext")
        try openssl(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=\(name) -keyout \(name).key "
                + "-out \(name).csr")
        if isExpired {
            // openssl x509 sets times in late releases only.
            try write("", to: "\(folder.path)/index")
            try write("01\n", to: "\(folder.path)/serial")
            try write(
                """
                [ca]
                default_ca=one
                [one]
                database=index
                serial=serial
                new_certs_dir=.
                default_md=sha256
                policy=any
                x509_extensions=ext
                [any]
                commonName=supplied
                [ext]
                subjectAltName=IP:\(address)

                """, to: "\(folder.path)/ca.cnf")
            try openssl(
                "ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in \(name).csr -out \(name).pem -notext "
                    + "-startdate 20200101000000Z -enddate 20200102000000Z")
        } else {
            try openssl(
                "x509 -req -in \(name).csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile \(name).ext "
                    + "-out \(name).pem")
        }
        return ("\(folder.path)/\(name).pem", "\(folder.path)/\(name).key")
    }

    private func openssl(_ arguments: String) throws {
        let output = try runProgram(["sh", "-c", "cd \(folder.path) && openssl \(arguments)"])
        if output.status != 0 { throw OpenSSLFailure(description: output.standardError) }
    }
}

struct OpenSSLFailure: Error, CustomStringConvertible {
    var description: String
}
