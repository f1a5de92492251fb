// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretNetworks

struct NetworkConnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Connect a network namespace to a network.",
        discussion: """
            Gives the namespace an interface with an address of each of the network's subnets, and default routes where
            it has none; where it has one by another interface, a routing rule lets what it sends from the new address
            leave by the new interface. The namespace is named as ip netns does, by a process (pid:4711), or by a path. On
            an adopted bridge no address is given that answers there.

            Examples:
              egret network connect br0 ns0 --create
              egret network connect br0 pid:4711 --ip 192.168.0.7 --interface eth1
              egret network connect br0 ns1 --workload shop/web --label app=web --port-name http=8080/tcp
            """
    )

    @Argument(help: "The network.")
    var network: String

    @Argument(help: "The namespace: a name, pid:NUMBER, or a path.")
    var namespace: String

    @Option(help: ArgumentHelp("The address. Default: the lowest that is free.", valueName: "address"))
    var ip: [String] = []

    @Option(help: "The interface's name in the namespace.")
    var interface = "eth0"

    @Flag(help: "Make the namespace if it is not there. It is removed when it is disconnected.")
    var create = false

    @Option(help: ArgumentHelp("Leave with this source address: A or FIRST-LAST.", valueName: "address"))
    var sourceAddress: [String] = []

    @Option(help: SourceUse.help)
    var sourceAddressPer: SourceUse = .endpoint

    @OptionGroup(title: "Policies") var identity: IdentityOptions

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asRoot(for: "connecting a namespace") {
            let wish = EndpointWish(
                namespace: try NamespaceReference.reading(namespace),
                addresses: try ip.map { text in
                    guard let address = IPAddress(text) else {
                        throw NetworkProblem("“\(text)” is no address", advice: "see --ip; its prefix is the network's")
                    }
                    return address
                },
                interface: interface,
                creates: create,
                sourceAddresses: try sourceAddressPer.pairs(sourceAddress),
                identity: try identity.identity(of: namespace)
            )
            try NetworkHost.change { host in
                let addresses = try host.connect(wish, to: network).addresses.map { "\($0)" }
                let text = try output.text(of: ["namespace": [namespace], "addresses": addresses])
                Console.output(text ?? "\(namespace) has \(addresses.joined(separator: " and "))\n")
                try host.warn(of: network)
            }
        }
    }
}

struct NetworkDisconnectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "disconnect", abstract: "Disconnect a network namespace from a network.",
        discussion: "Withdraws its published ports, and removes the namespace if Egret has made it.")

    @Argument(help: "The network.")
    var network: String

    @Argument(help: "The namespace: a name, pid:NUMBER, or a path.")
    var namespace: String

    func run() throws {
        try asRoot(for: "disconnecting a namespace") {
            let reference = try NamespaceReference.reading(namespace)
            try NetworkHost.change { host in try host.disconnect(reference, from: network) }
        }
    }
}

extension NamespaceReference {
    /// Reads an argument.
    static func reading(_ text: String) throws -> NamespaceReference {
        guard let reference = NamespaceReference(text) else {
            throw NetworkProblem(
                "“\(text)” names no network namespace", advice: "write a name of ip netns, pid:NUMBER, or a path")
        }
        return reference
    }
}
