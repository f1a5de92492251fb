// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import EgretAddressing
public import EgretNames

/// The servers that `--dns` names, and whom those over TLS must be vouched for by.
struct ConfiguredServers: Sendable {
    /// The servers.
    var servers: [NameServer]
    /// `nil` if none of them is asked over TLS.
    var trust: ServerTrust?

    /// Prepares for the servers.
    ///
    /// - Parameters:
    ///   - servers: What `--dns` says.
    ///   - authorities: What `--dns-ca` says.
    /// - Throws: `RunFailure` if the authorities cannot be read.
    init(_ servers: [NameServer], authorities: String?) throws {
        self.servers = servers
        guard servers.contains(where: \.isEncrypted) else { return }
        do {
            trust = try ServerTrust(authorities: authorities)
        } catch {
            throw RunFailure(
                message: "no certificates can be read from \(authorities ?? "the system's authorities"): \(error)",
                advice: "--dns-ca takes a file of certificates in PEM; the system's come with ca-certificates")
        }
    }

    /// Ends before anything runs where a command would have to ask the servers itself, and could not.
    func refuseWithoutProxy() throws {
        guard let server = servers.first(where: { !$0.isPlain }) else { return }
        throw RunFailure(
            message: "\(server) can be asked only in a policy with rules about names, where Egret asks for the command",
            advice: "name an address alone with --dns, or allow domains")
    }
}

extension NameServer: ExpressibleByArgument {
    /// Reads a server.
    public init?(argument: String) {
        self.init(argument)
    }
}
