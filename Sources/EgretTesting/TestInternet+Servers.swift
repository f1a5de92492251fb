// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation

extension TestInternet {
    /// Starts every host's servers; each program returns when it has bound its ports and gone into the background.
    func startServers() throws(LabError) {
        try write(String(decoding: PackageResources.servers_py, as: UTF8.self), to: "servers.py")
        var starting: [(String, RunningProgram)] = []
        for host in LabHost.all where !host.services.isEmpty {
            let command = host == .dns ? resolverCommand : serverCommand(for: host)
            starting.append((host.name, try start(in: host, command)))
        }
        for (host, program) in starting {
            let output = program.wait(timeout: .seconds(10))
            guard output.succeeded else { throw LabError("starting the servers of \(host)", reason: output.complaint) }
        }
    }

    private func serverCommand(for host: LabHost) -> [String] {
        [python, "\(directory)/servers.py", "serve", host.name, directory] + host.services.map(\.description)
    }

    /// dnsmasq, with no configuration but this, no upstream, and nothing outside the lab's directory.
    private var resolverCommand: [String] {
        let records = LabHost.all.filter { !$0.domainNames.isEmpty }.map { host in
            "--host-record=" + (host.domainNames + ["\(host.ipv4)", "\(host.ipv6)"]).joined(separator: ",")
        }
        return [
            "dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv",
            "--local=/example.test/", "--bind-interfaces", "--interface=eth0", "--except-interface=lo",
            "--user=nobody", "--pid-file=", "--log-queries", "--log-facility=\(directory)/dns.log",
            "--txt-record=example.test,a record of the lab",
        ] + records
    }

    /// Gives `home` its resolver, a `/run` of its own, and a process that keeps this view of files.
    func furnishHome() throws(LabError) {
        try write("nameserver \(LabHost.dns.ipv4)\n", to: "resolv.conf")
        let script = String(decoding: PackageResources.home_sh, as: UTF8.self)
        let output = try runTool(
            ["nsenter", "--net=\(namespacePath(of: .home))", "unshare", "--mount", "--propagation", "private"]
                + ["--", "sh", "-c", script, "home.sh", directory]
        )
        guard output.succeeded else { throw LabError("furnishing home", reason: output.complaint) }
    }

    /// Writes a file of the lab's directory.
    func write(_ text: String, to file: String) throws(LabError) {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(file)"))
        } catch {
            throw LabError("writing \(directory)/\(file)", reason: "\(error)")
        }
    }
}
