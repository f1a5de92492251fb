// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import EgretAddressing
public import EgretNames

/// The servers that `--dns`, or a policy, names, and whom those over TLS must be vouched for by.
struct ConfiguredServers: Sendable {
    /// The servers.
    var servers: [NameServer]
    /// `nil` if none of them is asked over TLS, and nobody has said whom to trust.
    var trust: ServerTrust?

    /// Prepares for the servers.
    ///
    /// - Parameters:
    ///   - servers: What `--dns` says, or else the policies do.
    ///   - authorities: What `--dns-ca` says.
    /// - Throws: `RunFailure` if the authorities cannot be read.
    init(_ servers: [NameServer], authorities: String?) throws {
        self.servers = servers
        // Policies that come later may name such servers too.
        guard servers.contains(where: \.isEncrypted) || authorities != nil else { return }
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
            advice: "name an address alone with --dns, or under dns in the policy, or allow domains")
    }
}

extension NameServer: ExpressibleByArgument {
    /// Reads a server.
    public init?(argument: String) {
        self.init(argument)
    }
}
