// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EgretAddressing
import EgretAgentClient
import EgretLinux
import EgretNetworks

/// `egret network`.
struct NetworkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Connect network namespaces: bridges, addresses, a way out.",
        discussion: """
            Examples:
              sudo egret network create br0 --subnet 192.168.0.0/16
              sudo egret network connect br0 ns0 --create
              sudo ip netns exec ns0 ping 8.8.8.8
            """,
        subcommands: [
            NetworkCreateCommand.self, NetworkListCommand.self, NetworkInspectCommand.self, NetworkRemoveCommand.self,
            NetworkConnectCommand.self, NetworkDisconnectCommand.self, NetworkLabelCommand.self,
            NetworkApplyCommand.self,
            NetworkRestoreCommand.self,
        ]
    )
}

/// Runs the body of a command that needs root, and turns what it throws into words and an exit code.
func asRoot(
    _ needed: CapabilitySet = Privilege.needed, for purpose: String, _ body: () throws -> Void
) throws {
    do {
        try Privilege.require(needed, for: purpose)
        try body()
    } catch let code as ExitCode {
        throw code
    } catch let failure as RunFailure {
        Console.error(failure.lines)
        throw ExitCode(1)
    } catch let problem as NetworkProblem {
        Console.error(RunFailure(message: problem.message, advice: problem.advice).lines)
        throw ExitCode(1)
    } catch {
        Console.error(["egret: \(error)"])
        throw ExitCode(1)
    }
}

extension NetworkHost {
    /// Changes networks: takes the locks, mends what is broken, and gives back what nobody needs any more, whether the
    /// body succeeds or not.
    ///
    /// - Parameters:
    ///   - isThorough: Whether rules are read also where the kernel says that none has changed since.
    ///   - agent: Where the agent listens; `nil` for where the environment says.
    ///   - isLasting: Whether it is to outlive a power cut right after this, which takes a few milliseconds.
    ///   - body: What is done.
    /// - Throws: What the body throws, or an error that says why networks cannot be changed.
    static func change(
        isThorough: Bool = false, agent: AgentAddress? = nil, isLasting: Bool = true,
        _ body: (NetworkHost) throws -> Void
    ) throws {
        let host = try NetworkHost()
        if let agent { host.agent = agent }
        do {
            try host.reconcile(isThorough: isThorough)
            Console.error(host.repairs.map { "egret: \($0)" } + host.warningsOfBroken)
            try body(host)
        } catch {
            try? host.close()
            try? host.noteRules()
            throw error
        }
        try host.close()
        if isLasting { try host.store.settle() }
        if !host.networks.isEmpty { host.tellOfEndpoints() }
        try host.noteRules()
    }

    private var warningsOfBroken: [String] {
        broken.sorted { $0.key < $1.key }.map { name, error in
            let advice = (error as? NetworkProblem)?.advice.map { "; \($0)" } ?? ""
            return "egret: warning: the network \(name) cannot be mended: \(error)\(advice)"
        }
    }
}

struct NetworkCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a network.",
        discussion: """
            Makes the bridge, gives it the gateways' addresses, and translates the source addresses of what leaves the
            network. Nobody outside begins a connection to a network that is translated; egret publish opens ports.

            Examples:
              egret network create br0 --subnet 192.168.0.0/16
              egret network create br0 --subnet 10.9.0.0/24 --subnet fd00:9::/64 --gateway 10.9.0.254
              egret network create lab --subnet 10.9.0.0/24 --mode routed --source-address 192.0.2.7-192.0.2.9
              egret network create docker0 --adopt
              egret network create build --subnet 10.9.0.0/24 --docker
            """
    )

    @Argument(help: "The name, which is also the bridge's: at most 15 letters, digits, hyphens, dots, underscores.")
    var name: String

    @Option(help: ArgumentHelp("The addresses, one block of each family at most.", valueName: "cidr"))
    var subnet: [String] = []

    @Option(help: ArgumentHelp("The host's own address in a subnet. Default: its first.", valueName: "address"))
    var gateway: [String] = []

    @Option(help: "bridge: one bridge for all. routed: a link to the host for each, which routes between them.")
    var mode: NetworkMode = .bridge

    @Option(help: "The largest packet, in bytes, 1280 to 65535. Default: what the host's routes take.")
    var mtu: UInt32?

    @Flag(help: "Nothing leaves the network, and nothing from outside comes in. The host itself stays in reach.")
    var isolated = false

    @Flag(help: "Source addresses stay as they are. The world must know a way to the network.")
    var noMasquerade = false

    @Option(
        help: ArgumentHelp(
            "Leave with these source addresses: A or FIRST-LAST. Repeat for the other family.", valueName: "address"))
    var sourceAddress: [String] = []

    @Option(help: SourceUse.help)
    var sourceAddressPer: SourceUse = .endpoint

    @Flag(help: "Use a bridge that is there, as it is. It is not changed, and stays when the network is removed.")
    var adopt = false

    @Option(
        help: ArgumentHelp(
            "Add a rule that accepts the network's packets to another tool's: docker, firewalld, ufw or iptables.",
            valueName: "tool"))
    var allowThrough: [NeighbourTool] = []

    @Flag(
        help: """
            Have Docker make it, on a bridge of that name that is closed, from before it is there, to all but the \
            containers that the agent knows. The agent must run.
            """)
    var docker = false

    func run() throws {
        try asRoot(for: "making a network") {
            try NetworkHost.change { host in
                if docker { return try host.createForDocker(try spec(host)) }
                try host.create(try spec(host))
                try host.warn(of: name)
            }
        }
    }

    private func spec(_ host: NetworkHost) throws -> NetworkSpec {
        let pairs = try sourceAddressPer.pairs(sourceAddress)
        if noMasquerade && !pairs.isEmpty {
            throw NetworkProblem("--no-masquerade and --source-address contradict each other")
        }
        return NetworkSpec(
            name: name,
            mode: mode.mode,
            subnets: try adopt && subnet.isEmpty ? host.subnets(ofBridge: name) : subnets(),
            mtu: mtu,
            isIsolated: isolated,
            translation: noMasquerade ? .none : pairs.isEmpty ? .masquerade : .sourceAddresses(pairs),
            isAdopted: adopt,
            allowedThrough: Set(allowThrough.map(\.tool))
        )
    }

    private func subnets() throws -> [Subnet] {
        var gateways = try gateway.map { text in
            guard let address = IPAddress(text) else {
                throw NetworkProblem("“\(text)” is no address", advice: "see --gateway")
            }
            return address
        }
        let subnets = try subnet.map { text in
            guard text.contains("/"), let block = IPPrefix(text) else {
                throw NetworkProblem(
                    "“\(text)” is no block of addresses", advice: "write ADDRESS/LENGTH, such as 192.168.0.0/16")
            }
            if "\(block)" != text, let address = IPAddress(String(text.prefix { $0 != "/" })), address != block.address
            {
                throw NetworkProblem(
                    "\(text) is an address in a block", advice: "write --subnet \(block) --gateway \(address)")
            }
            let own = gateways.first { block.contains($0) }
            gateways.removeAll { $0 == own }
            return Subnet(block, gateway: own)
        }
        if let other = gateways.first {
            throw NetworkProblem("the gateway \(other) is in none of the subnets")
        }
        return subnets
    }
}

/// How endpoints are joined, as an argument.
enum NetworkMode: String, ExpressibleByArgument, CaseIterable {
    case bridge
    case routed

    var mode: NetworkSpec.Mode { self == .bridge ? .bridge : .routed }
}

/// Who gets one address of a run of source addresses, as an argument.
enum SourceUse: String, ExpressibleByArgument, CaseIterable {
    case endpoint
    case connection

    static let help: ArgumentHelp =
        "Who gets one address of FIRST-LAST: each endpoint keeps to one, or each connection has one by chance."

    /// Reads source addresses.
    func pairs(_ texts: [String]) throws -> [AddressPair] {
        if self == .connection && texts.isEmpty {
            throw NetworkProblem(
                "there are no source addresses to give to connections", advice: "say --source-address FIRST-LAST")
        }
        return try texts.map { text in
            let pair = try AddressPair.reading(text)
            return self == .connection ? pair.perConnection : pair
        }
    }
}

/// Another tool, as an argument.
enum NeighbourTool: String, ExpressibleByArgument, CaseIterable {
    case docker
    case firewalld
    case ufw
    case iptables

    var tool: Passage.Tool {
        switch self {
        case .docker: .docker
        case .firewalld: .firewalld
        case .ufw: .ufw
        case .iptables: .iptables
        }
    }
}

extension AddressPair {
    /// Reads an argument.
    static func reading(_ text: String) throws -> AddressPair {
        guard let pair = AddressPair(text) else {
            throw misorder(of: text)
                ?? NetworkProblem("“\(text)” is no address", advice: "write 192.0.2.7 or 192.0.2.7-192.0.2.9")
        }
        return pair
    }

    /// What is wrong with two addresses that are no run; `nil` if a text is not two addresses.
    static func misorder(of text: String) -> NetworkProblem? {
        let ends = text.split(separator: "-", maxSplits: 1)
        guard ends.count == 2, let first = IPAddress(ends[0]), let last = IPAddress(ends[1]) else { return nil }
        if first.family != last.family {
            return NetworkProblem("“\(text)” is of two families", advice: "write one run of addresses for each family")
        }
        return NetworkProblem("“\(text)” ends before it begins", advice: "write \(last)-\(first)")
    }
}

struct NetworkListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List networks.",
        discussion: """
            The mode of networks that were made with --docker is docker. Docker knows who is on them: egret get endpoints \
            shows those that the agent holds to policies.
            """)

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asRoot(for: "reading what is kept of networks") {
            let (documents, kept) = try NetworkDocument.all()
            Console.error(kept.warnings)
            Console.output(try output.text(of: documents) ?? table(of: documents).lines.map { $0 + "\n" }.joined())
            // The list is not whole.
            if !kept.unreadable.isEmpty { throw ExitCode(1) }
        }
    }

    private func table(of documents: [NetworkDocument]) -> TextTable {
        var header = ["NAME", "MODE", "SUBNETS", "ENDPOINTS", "PUBLISHED"]
        if output == .wide { header += ["GATEWAYS", "SOURCE ADDRESSES"] }
        var table = TextTable(
            indent: "", header: header,
            alignments: [.left, .left, .left, .right, .right] + (output == .wide ? [.left, .left] : []))
        for document in documents {
            var row = [
                document.name, document.mode, document.subnets.joined(separator: " "),
                document.isDockers ? "-" : "\(document.endpoints.count)",
                document.isDockers ? "-" : "\(document.published.count)",
            ]
            if output == .wide { row += [document.gateways.joined(separator: " "), document.translation] }
            table.append(row)
        }
        return table
    }
}

struct NetworkInspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show a network with its endpoints and published ports.",
        discussion: """
            Of a bridge also whether what it passes on meets the rules for routed packets (bridge-nf-call-iptables, \
            -ip6tables, -arptables): the bridge's own switches, and those for all bridges.
            """
    )

    @Argument(help: "The network.")
    var name: String

    @Option(name: [.customShort("o"), .customLong("output")], help: OutputFormat.help)
    var output: OutputFormat = .table

    func run() throws {
        try asRoot(for: "reading what is kept of networks") {
            let (documents, kept) = try NetworkDocument.all()
            let networks = try kept.networks(needing: name)
            Console.error(kept.warnings)
            guard var document = documents.first(where: { $0.name == name }) else {
                throw NetworkName.absence(of: name, among: documents.map(\.name))
            }
            if let network = networks.first(where: { $0.name == name }) {
                document.bridgeFiltering = try BridgeFiltering(of: network)
            }
            Console.output(try output.text(of: document) ?? document.lines.map { $0 + "\n" }.joined())
        }
    }
}

struct NetworkRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a network.",
        discussion: "Takes its bridge, links and rules away. An adopted bridge stays as it is.")

    @Argument(help: "The networks.")
    var names: [String]

    @Flag(help: "Disconnect its endpoints first.")
    var force = false

    func run() throws {
        try asRoot(for: "removing a network") {
            try NetworkHost.change { host in
                for name in names {
                    if try host.removeForDocker(name) { continue }
                    let network = host.networks[try host.place(of: name)]
                    if !network.endpoints.isEmpty && !force {
                        let namespaces = network.endpoints.map(\.namespace).joined(separator: ", ")
                        throw NetworkProblem(
                            "\(name) is connected to \(namespaces)", advice: "disconnect them, or say --force")
                    }
                    try host.unmake(network)
                }
            }
        }
    }
}

struct NetworkRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make networks as they are kept: after a restart, or after others removed some.",
        discussion: """
            The machine's start does this by egret-networks.service, and again by egret-networks-late.service when others
            have made their bridges, chains and routes. Every other change does it first, too.
            """
    )

    func run() throws {
        try asRoot(for: "making networks") {
            var isWhole = true
            try NetworkHost.change(isThorough: true) { host in
                let known = host.repairs.count
                host.mendPassages()
                Console.error(host.repairs.dropFirst(known).map { "egret: \($0)" })
                isWhole = host.broken.isEmpty
            }
            if !isWhole { throw ExitCode(1) }
        }
    }
}
