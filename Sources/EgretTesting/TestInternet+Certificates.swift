// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension TestInternet {
    /// Makes the lab's authority and a certificate for every host that speaks TLS. Valid for a week.
    func issueCertificates() throws(LabError) {
        try issue(
            "ca",
            subject: "Egret lab authority",
            extensions: ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign, cRLSign"],
            signedBy: []
        )
        for host in LabHost.all where host.services.contains(where: { $0.role == .https }) {
            let names = host.domainNames.map { "DNS:\($0)" } + host.addresses.map { "IP:\($0)" }
            try issue(
                host.name,
                subject: host.domainNames.first ?? host.name,
                extensions: [
                    "basicConstraints = critical, CA:FALSE",
                    "extendedKeyUsage = serverAuth",
                    "subjectAltName = \(names.joined(separator: ", "))",
                ],
                signedBy: ["-CA", authorityPath, "-CAkey", "\(directory)/ca.key"]
            )
        }
    }

    private func issue(_ file: String, subject: String, extensions: [String], signedBy: [String]) throws(LabError) {
        let settings =
            ["[req]", "distinguished_name = dn", "x509_extensions = ext", "prompt = no"]
            + ["[dn]", "CN = \(subject)", "[ext]", "subjectKeyIdentifier = hash"]
            + extensions
        try write(settings.joined(separator: "\n") + "\n", to: "\(file).cnf")
        let path = "\(directory)/\(file)"
        let output = try runTool(
            ["openssl", "req", "-x509", "-batch", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
                + ["-nodes", "-days", "7", "-config", "\(path).cnf", "-keyout", "\(path).key", "-out", "\(path).pem"]
                + signedBy
        )
        guard output.succeeded else { throw LabError("issuing the certificate of \(file)", reason: output.complaint) }
    }
}
