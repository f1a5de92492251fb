// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretLinux
import EgretNetworks

/// `egret publish`.
struct PublishCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Forward ports of the host to a namespace.",
        usage: """
            \(PublishPortCommand.usage)
            egret publish ls [-o <format>]
            """,
        discussion: """
            The namespace must be connected to a network. Without a protocol, TCP is meant.

            Examples:
              egret publish 8080:80/tcp ns0
              egret publish 5353:53/udp ns0 --host-ip 192.0.2.7
              egret publish 8000-8010:9000-9010/tcp ns0 --from 198.51.100.0/24
              egret publish ls
            """,
        subcommands: [PublishPortCommand.self, PublishListCommand.self],
        defaultSubcommand: PublishPortCommand.self
    )
}

struct PublishPortCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Forward ports of the host to a namespace. The default.",
        usage: usage
    )

    /// Without the name of the subcommand, which nobody has to write.
    static let usage =
        "egret publish <ports> <namespace> [--host-ip <address>] [--from <cidr>] … [--network <network>]"

    @Argument(help: "HOST-PORT:PORT/PROTOCOL; ranges of equal size are FIRST-LAST.")
    var ports: String

    @Argument(help: "The namespace: a name, pid:NUMBER, or a path.")
    var namespace: String

    @Option(name: .customLong("host-ip"), help: ArgumentHelp("The host's address. Default: all.", valueName: "address"))
    var hostAddress: String?

    @Option(help: ArgumentHelp("Let only these clients through. May be repeated.", valueName: "cidr"))
    var from: [String] = []

    @Option(help: "The network, if the namespace is connected to several.")
    var network: String?

    /// A switch that kernels have which track connections of SCTP.
    private static let sctpSwitch = "net/netfilter/nf_conntrack_sctp_timeout_established"

    func run() throws {
        try asRoot(for: "publishing a port") {
            let wish = PortWish(
                ports: try PortMapping.reading(ports, before: namespace),
                namespace: try NamespaceReference.reading(namespace),
                network: network,
                hostAddress: try hostAddress.map(readHostAddress),
                sources: try from.map { text in
                    guard let prefix = IPPrefix(text) else {
                        throw NetworkProblem(
                            "“\(text)” is no block of addresses", advice: "write for example 198.51.100.0/24")
                    }
                    if let address = IPAddress(text.prefix { $0 != "/" }), address != prefix.address {
                        throw NetworkProblem(
                            "\(text) is an address in a block",
                            advice: "write --from \(prefix) for the block, or --from \(address)")
                    }
                    return prefix
                }
            )
            if wish.ports.transport == "sctp", !File.exists("/proc/sys/\(PublishPortCommand.sctpSwitch)") {
                throw NetworkProblem(
                    "this kernel does not track SCTP, and cannot translate its ports",
                    advice: "use a kernel with CONFIG_NF_CT_PROTO_SCTP, or TCP")
            }
            try NetworkHost.change { host in
                let conflicts = (try? host.conflicts(with: wish)) ?? []
                let (network, endpoint) = try host.publish(wish)
                Console.error(conflicts.map { "egret: warning: \($0)" })
                // It is published by then: what cannot be told is no failure.
                let obstacles =
                    try? host.obstacles(toPortsOf: network)
                    + host.obstacles(toAnswersOf: endpoint, in: network)
                    + host.strangeGateways(of: network, wish.hostAddress)
                    + host.strangeAddresses(of: wish)
                Console.error((obstacles ?? []).map { "egret: warning: \($0)" })
            }
        }
    }
}

struct PublishListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List published ports.")

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asRoot(for: "reading what is kept of networks") {
            let kept = try NetworkHost.read()
            let ports = kept.networks.flatMap { NetworkDocument($0).published }
            Console.error(kept.warnings)
            Console.output(
                try output.text(of: ports)
                    ?? NetworkDocument.table(of: ports).lines.map { $0.drop { $0 == " " } + "\n" }.joined())
            // The list is not whole.
            if !kept.unreadable.isEmpty { throw ExitCode(1) }
        }
    }
}

/// `egret unpublish`.
struct UnpublishCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpublish", abstract: "Withdraw ports that were published.",
        discussion: "Example: egret unpublish 8080/tcp. Connections that are open through the port go on.")

    @Argument(
        help: "The host's ports and the protocol, as egret publish ls prints them: 8080/tcp, 203.0.113.2:5353/udp.")
    var ports: String

    @Option(
        name: .customLong("host-ip"), help: ArgumentHelp("The host's address, if it was named.", valueName: "address"))
    var hostAddress: String?

    func run() throws {
        try asRoot(for: "withdrawing a port") {
            let place = try PublishedPlace.reading(ports)
            let address = try hostAddress.map(readAddress)
            if let address, let other = place.hostAddress, address != other {
                throw NetworkProblem("\(other) and \(address) are two addresses", advice: "leave --host-ip out")
            }
            try NetworkHost.change { host in
                try host.unpublish(place.ports, hostAddress: address ?? place.hostAddress)
            }
        }
    }
}

private func readAddress(_ text: String) throws -> IPAddress {
    guard let address = IPAddress(text) else {
        throw NetworkProblem("“\(text)” is no address", advice: "see --host-ip")
    }
    return address
}

/// Reads an address that ports can be published at. One that they have been published at is read as it is.
private func readHostAddress(_ text: String) throws -> IPAddress {
    let address = try readAddress(text)
    if address.family == .ipv6, address.leadsHome {
        throw NetworkProblem(
            "ports cannot be published at ::1: the kernel sends nothing from there elsewhere",
            advice: "name 127.0.0.1, or another address of this host")
    }
    if !address.leadsHome, IPPrefix.neverSource(from: address, through: address) != nil {
        throw NetworkProblem(
            "ports cannot be published at \(address): no host has that address",
            advice: "leave --host-ip out for all addresses of this host")
    }
    return address
}

extension PublishedPlace {
    /// Reads an argument.
    static func reading(_ text: String) throws -> PublishedPlace {
        do {
            return try PublishedPlace(text)
        } catch {
            throw NetworkProblem(
                error.text, advice: "egret publish ls shows what is published: 8080/tcp, or 203.0.113.2:5353/udp")
        }
    }
}

extension PortMapping {
    /// Reads an argument.
    ///
    /// - Parameters:
    ///   - text: The argument.
    ///   - namespace: The argument behind it.
    /// - Returns: The ports.
    /// - Throws: `NetworkProblem` that says what is wrong, also that the two stand the wrong way round.
    static func reading(_ text: String, before namespace: String) throws -> PortMapping {
        do {
            return try PortMapping(text)
        } catch {
            if (try? PortMapping(namespace)) != nil {
                throw NetworkProblem(
                    "“\(text)” stands where the ports belong",
                    advice: "write them first: egret publish \(namespace) \(text)")
            }
            throw NetworkProblem(error.text, advice: "for example 8080:80/tcp, or 8000-8010:9000-9010/udp")
        }
    }
}
