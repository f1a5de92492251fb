// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A small internet of our own, in network namespaces: the test bed, and a place to play.
///
/// ```
///   home ── 192.0.2.0/30 ── isp ─┬─ 203.0.113.0/24 ── web1 .10, web2 .11, dns .53
///   (Egret runs here)            └─ 198.51.100.0/24 ── friend .20, attacker .66
/// ```
///
/// IPv6 beside it: 2001:db8:ffff::/64, 2001:db8:113::/64 and 2001:db8:51::/64. Nothing leaves the machine and
/// nothing needs a network. Several can exist at once, each under a name of its own. The state is in the kernel and
/// in ``directory``, not in the value: two values with one name speak of the same internet, in whatever process.
///
/// Needs root, and the Debian packages of `scripts/install-dependencies`.
public struct TestInternet: Hashable, Sendable {
    /// The name: the prefix of its namespaces, 1 to 12 of `a`–`z` and `0`–`9`.
    public let name: String

    /// Speaks of the internet called `name`, whether or not it exists.
    ///
    /// - Throws: ``LabError`` for a name that is not 1 to 12 of `a`–`z` and `0`–`9`.
    public init(name: String = "lab") throws(LabError) {
        let letters = name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
        guard letters, (1...12).contains(name.utf8.count) else {
            throw LabError("naming a lab", reason: "“\(name)” is not 1 to 12 of a–z and 0–9")
        }
        self.name = name
    }

    /// Where everything is that is not in the kernel: keys, logs, the servers' program.
    public var directory: String { "/var/lib/egret-lab/\(name)" }

    /// The certificate of the authority that signed the web servers' certificates, in PEM.
    public var authorityPath: String { "\(directory)/ca.pem" }

    /// The file that keeps the network namespace of a host alive.
    public func namespacePath(of host: LabHost) -> String { "/run/netns/\(namespaceName(of: host))" }

    /// The name that `ip netns` shows for a host.
    public func namespaceName(of host: LabHost) -> String { "\(name)-\(host.name)" }

    /// Whether its directory exists: true from the first step of ``up()`` to the last of ``down()``.
    public var exists: Bool { FileManager.default.fileExists(atPath: directory) }

    /// What a host's servers wrote down: a line for each connection, request and datagram.
    public func log(of host: LabHost) -> String {
        (try? String(contentsOfFile: "\(directory)/\(host.name).log", encoding: .utf8)) ?? ""
    }

    /// Builds it, starts its servers, and returns once every one of them answers `home` over IPv4 and IPv6.
    ///
    /// Takes about a second. When a step fails, what was built is removed before the error is thrown.
    ///
    /// - Throws: ``LabError``: not root, it exists already, or what a step's program complained of.
    public func up() throws(LabError) {
        guard geteuid() == 0 else {
            throw LabError("building the lab", reason: "network namespaces need root", advice: "try it with sudo")
        }
        try createDirectory()
        do {
            try buildNetwork()
            try issueCertificates()
            try startServers()
            try furnishHome()
            try awaitServers(for: .seconds(10))
            try emptyLogs()
        } catch {
            down()
            throw error
        }
    }

    /// Waits until every host with servers answers `home` on all of its addresses: the echo servers with an echo,
    /// the resolver with a connection.
    ///
    /// A host's servers are one program that binds all its ports before it serves any, so one answer stands for all.
    public func awaitServers(for timeout: Duration) throws(LabError) {
        let pairs = LabHost.all.flatMap { host in
            host.addresses.flatMap { address in
                host.services.filter { $0.role == .echo || $0.role == .dns }.flatMap { ["\(address)", "\($0.port)"] }
            }
        }
        let probe = [python, "\(directory)/servers.py", "probe", "\(timeout.components.seconds)"] + pairs
        try perform("waiting for the lab's servers", probe, in: .home)
    }

    /// Forgets what the servers wrote down while they were being waited for.
    private func emptyLogs() throws(LabError) {
        for host in LabHost.all where !host.services.isEmpty {
            let path = "\(directory)/\(host.name).log"
            guard unsafe truncate(path, 0) == 0 else {
                throw LabError("emptying \(path)", reason: describe(errno: errno))
            }
        }
    }

    /// The directory is the lock: whoever creates it owns the name.
    private func createDirectory() throws(LabError) {
        _ = unsafe mkdir("/var/lib/egret-lab", 0o755)
        guard unsafe mkdir(directory, 0o755) != 0 else { return }
        let code = errno
        throw LabError(
            "creating \(directory)",
            reason: code == EEXIST ? "the lab “\(name)” exists already" : describe(errno: code),
            advice: code == EEXIST ? "remove it with: egret-lab down --name \(name)" : nil
        )
    }
}

/// Debian's own interpreter: the one on `PATH` may be a slow wrapper, or lack the ssl module.
let python = "/usr/bin/python3"
