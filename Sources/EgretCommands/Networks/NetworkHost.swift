// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretAgentClient
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretNftables
import EgretRun

/// The host as networks share it: what is kept of them, and what of them is in the kernel.
///
/// Whoever has one of these holds the locks of networks and of runs.
final class NetworkHost {
    let host: RunHost
    let links: NetworkLinks
    /// All networks that can be read, by name.
    var networks: [NetworkRecord]
    /// Why the files of others cannot be read. These networks stay as they are, in the kernel and on the disk.
    let unreadable: [String: NetworkProblem]
    /// What was found broken and was mended or given up, in words for the user.
    var repairs: [String] = []
    /// The networks that could not be mended, and why.
    var broken: [String: any Error] = [:]
    /// The endpoints that whoever enforces policies knows of; `nil` if that is not known.
    var enforcedEndpoints: [NetworkRecord.Endpoint]?
    /// How many transactions whoever enforces policies has made in the kernel's ruleset; `nil` if that is not known.
    var policyCommits: Int? = 0
    /// The ruleset's number, without the transactions of this one, when networks' rules were found right, or put right; `nil` if
    /// they were not looked at.
    var soundRuleset: UInt32?
    /// Where the agent listens, if there is one.
    var agent = AgentAddress(chosen: Environment.current[AgentAPI.socketVariable])

    let store: NetworkStore
    let bootID: String
    private let locks: [FileLock]
    private var knownOutside: HostNetwork?

    /// Takes the locks and reads what is kept. Nothing is changed yet.
    init() throws {
        store = try NetworkStore(chosen: Environment.current[NetworkStore.variable])
        let storeLock = try store.lock()
        host = try RunHost()
        locks = [storeLock, try host.state.lock()]
        links = NetworkLinks(host.route)
        // Only what is counted can be told from what others commit.
        host.dataplane.tellCommits { _ in }
        let contents = try store.contents()
        networks = contents.networks
        unreadable = contents.unreadable
        broken = contents.unreadable.mapValues { $0 as any Error }
        bootID = try NetworkStore.currentBootID()
    }

    /// What the host's network looked like when it was asked for first. Nobody else makes networks as long as this holds the
    /// locks, and whoever needs what was made since asks for it by itself.
    func outside() throws -> HostNetwork {
        if let knownOutside { return knownOutside }
        let endpoints = networks.flatMap(\.endpoints)
        // What is noted of an earlier start of the machine has others' numbers.
        let present = networks.filter { $0.bootID == bootID }.flatMap(\.endpoints)
        let network = try HostNetwork.asking(
            host.route, besides: Swift.Set(present.map(\.hostIndex)),
            named: Swift.Set(endpoints.map(\.hostInterface)))
        knownOutside = network
        return network
    }

    /// The networks as they are kept, without waiting for anybody, for commands that only look.
    static func read() throws -> NetworkStoreContents {
        var contents = try NetworkStore(chosen: Environment.current[NetworkStore.variable]).contents()
        let bootID = try NetworkStore.currentBootID()
        // The numbers of namespaces of before a restart are others' by now.
        for place in contents.networks.indices where contents.networks[place].bootID != bootID {
            for endpoint in contents.networks[place].endpoints.indices {
                contents.networks[place].endpoints[endpoint].cookie = 0
            }
        }
        return contents
    }

    /// Gives everything back that nobody needs any more. To be called at the end.
    func close() throws {
        if networks.isEmpty, unreadable.isEmpty { try host.dataplane.removeTables([NetworkProgram.table]) }
        try host.restoreIfLast()
        try store.removeIfEmpty()
    }

    /// Notes for whoever comes next that networks' rules are right, unless anybody may have changed the ruleset but this one
    /// and who enforces policies. To be called when both have done what they do.
    func noteRules() throws {
        guard !networks.isEmpty, broken.isEmpty, let soundRuleset, let policyCommits else { return }
        // In this order: what others commit in between is in the second number.
        let number = try host.dataplane.rulesetGeneration()
        guard try host.dataplane.foreignGeneration() == soundRuleset &+ UInt32(truncatingIfNeeded: policyCommits) else {
            return
        }
        try host.state.note(rulesetGeneration: number)
    }

    /// The place of a network among ``networks``.
    ///
    /// - Throws: ``NetworkProblem`` if there is none by that name, or its file cannot be read.
    func place(of name: String) throws -> Int {
        if let place = networks.firstIndex(where: { $0.name == name }) { return place }
        if let problem = unreadable[name] { throw problem }
        throw NetworkName.absence(of: name, among: networks.map(\.name))
    }

    /// Refuses to add to a network that could not be mended.
    func checkSound(_ name: String) throws {
        if let error = broken[name] { throw error }
    }

    /// Refuses what has to be unlike everything that is kept, such as a new network's addresses and a published port, while some
    /// of that cannot be read.
    func checkReadable() throws {
        guard let (name, problem) = unreadable.min(by: { $0.key < $1.key }) else { return }
        throw NetworkProblem(
            "what the network \(name) has may be in the way, and cannot be read: \(problem.message)",
            advice: problem.advice)
    }

    /// Keeps a network as it is now.
    func keep(_ network: NetworkRecord) throws {
        try store.write(network)
        if let place = networks.firstIndex(where: { $0.name == network.name }) {
            networks[place] = network
        } else {
            networks.append(network)
        }
    }

    // MARK: - Making and unmaking a network

    /// Makes a network.
    ///
    /// - Parameter spec: What it is to be.
    /// - Throws: An error that says what is wrong or which step failed; nothing is left then.
    func create(_ spec: NetworkSpec) throws {
        try spec.check()
        try checkReadable()
        if networks.contains(where: { $0.name == spec.name }) {
            throw NetworkProblem(
                "there is a network \(spec.name) already", advice: "egret network inspect \(spec.name) shows it")
        }
        let outside = try HostNetwork(host.route)
        if spec.mode == .bridge, !spec.isAdopted, outside.links.values.contains(spec.name) {
            throw NetworkProblem(
                "the host has an interface \(spec.name) already",
                advice: "choose another name, or use that bridge as it is: --adopt")
        }
        try checkAddresses(of: spec, outside)
        var network = NetworkRecord(spec, bootID: bootID)
        try keep(network)
        do {
            try make(&network, outside)
            for tool in Passage.Tool.allCases where spec.allowedThrough.contains(tool) {
                try allow(&network, through: tool)
            }
            network.stage = .ready
            try keep(network)
            Console.error(advertisementWarnings(of: network).map { "egret: warning: \($0)" })
        } catch {
            try? unmake(network)
            throw error
        }
    }

    /// Makes what a network consists of besides its endpoints.
    func make(_ network: inout NetworkRecord, _ outside: HostNetwork) throws {
        try host.state.note(network: network.name)
        switch network.mode {
        case .bridge:
            network.bridgeIndex = try network.isAdopted ? bridge(network.name).index : makeBridge(network, outside)
            try keep(network)
        case .routed: break
        }
        try install(network)
        if network.mode == .bridge, !network.isIsolated, let name = InterfaceName(network.name) {
            try host.openForwarding(of: [name], outside)
        }
    }

    /// Makes the bridge of a network.
    func makeBridge(_ network: NetworkRecord, _ outside: HostNetwork) throws -> UInt32 {
        guard let name = InterfaceName(network.name) else {
            throw NetworkProblem("\(network.name) is no interface name")
        }
        return try links.makeBridge(
            name, network.bridgeHardwareAddress, subnets: network.subnets, mtu: network.mtu ?? outside.mtu
        ) { try setSwitches(of: $0, receives: true) }
    }

    /// The blocks that a bridge has addresses in, with those addresses as gateways: the first of each family.
    func subnets(ofBridge name: String) throws -> [Subnet] {
        let addresses = try links.addresses(of: bridge(name).index).filter { $0.scope == 0 }
        let subnets = AddressFamily.allCases.compactMap { family -> Subnet? in
            guard let record = addresses.first(where: { $0.address.family == family }),
                let block = IPPrefix(record.address, length: Int(record.prefixLength))
            else { return nil }
            return Subnet(block, gateway: record.address)
        }
        if subnets.isEmpty {
            throw NetworkProblem(
                "the bridge \(name) has no address",
                advice: "say --subnet and --gateway: some machine on it is the gateway")
        }
        return subnets
    }

    /// The bridge that is to be adopted.
    private func bridge(_ name: String) throws -> LinkRecord {
        guard let link = try links.link(named: name) else {
            throw NetworkProblem("the host has no bridge \(name)", advice: "leave --adopt out to make it")
        }
        guard link.kind == "bridge" else { throw NetworkProblem("\(name) is no bridge") }
        return link
    }

    /// A network's addresses are nobody else's, but an adopted bridge's own.
    private func checkAddresses(of spec: NetworkSpec, _ outside: HostNetwork) throws {
        for other in networks {
            for subnet in spec.subnets {
                guard let clash = other.subnets.first(where: { $0.block.overlaps(subnet.block) }) else { continue }
                throw NetworkProblem("\(subnet.block) overlaps \(clash.block) of the network \(other.name)")
            }
        }
        if spec.isAdopted { return }
        for subnet in spec.subnets {
            guard let clash = outside.occupied.first(where: { $0.overlaps(subnet.block) }) else { continue }
            throw NetworkProblem(
                "\(subnet.block) overlaps \(clash), which the host has an address in or a route to",
                advice: "ip route show \(clash) tells where; choose a block that is free")
        }
    }

    /// Takes a network away, whatever is there of it.
    func unmake(_ network: NetworkRecord) throws {
        var leaving = network
        leaving.stage = .removing
        try keep(leaving)
        for endpoint in leaving.endpoints { try takeAway(endpoint, of: leaving) }
        takePassage(of: leaving)
        try uninstall(leaving)
        try removeBridge(of: leaving)
        try store.remove(leaving.name)
        networks.removeAll { $0.name == leaving.name }
        if leaving.policyFile != nil { try enforceFiles() }
        try host.state.forget(network: leaving.name)
        for endpoint in leaving.endpoints { leadOut(endpoint.cookie) }
    }

    /// Removes a bridge that Egret has made; somebody else's by the same name stays.
    func removeBridge(of network: NetworkRecord) throws {
        if network.bridgeHardwareAddress == nil { return }
        try links.remove(network.name) { network.isOwnBridge($0) }
        try forgetSwitches(of: network.name)
    }

    // MARK: - Rules

    /// Puts a network's rules in place, and those of its published ports.
    func install(_ network: NetworkRecord) throws {
        let program = NetworkProgram(network.plan)
        try host.dataplane.install([program.filter], on: BaseProgram.program)
        try host.dataplane.install(
            [program.translation] + network.readyPorts.map { PublishedPortProgram($0).program }, on: NetworkProgram.base
        )
    }

    /// Removes a network's rules, whichever of them are there.
    func uninstall(_ network: NetworkRecord) throws {
        let program = NetworkProgram(network.plan)
        let all =
            network.allPorts.map { PublishedPortProgram($0).program } + [program.translation, program.filter]
        do {
            try host.dataplane.remove(all.reversed())
        } catch {
            for part in all { try host.dataplane.removeRemains(of: part) }
        }
    }
}

extension NetworkRecord {
    /// The network as the compiler needs to know it.
    var plan: NetworkPlan {
        let ready = endpoints.filter { $0.stage == .ready || $0.stage == .removing }
        return NetworkPlan(
            name: name,
            interfaces: mode == .bridge ? bridgeIndex.map { [$0] } ?? [] : ready.map(\.hostIndex),
            isRouted: mode == .routed,
            subnets: subnets.map(\.block),
            isIsolated: isIsolated,
            translation: !isTranslated
                ? .none
                : sourceAddresses.isEmpty
                    ? .masquerade
                    : .sourceAddresses(sourceAddresses.compactMap(\.pool)),
            endpointSources: ready.flatMap(\.sources)
        )
    }

    /// The published ports that are there, in the compiler's words: one for each family.
    var readyPorts: [PublishedPort] { published(ports.filter { $0.stage == .ready }) }

    /// All that are there or may be.
    var allPorts: [PublishedPort] { published(ports) }

    private func published(_ ports: [Port]) -> [PublishedPort] {
        // Looked up once for all of them: an endpoint may well have a port each.
        let addresses = Dictionary(
            endpoints.map { ($0.namespace, $0.addresses) }, uniquingKeysWith: { first, _ in first })
        return ports.flatMap { published($0, at: addresses[$0.namespace] ?? []) }
    }

    /// A published port in the compiler's words: one for each address of its endpoint that it is about.
    func published(_ port: Port) -> [PublishedPort] {
        published(port, at: endpoints.first { $0.namespace == port.namespace }?.addresses ?? [])
    }

    private func published(_ port: Port, at addresses: [IPAddress]) -> [PublishedPort] {
        guard let transport = PublishedPort.Transport(rawValue: port.transport), port.count > 0,
            let host = PortRange(from: port.hostPort, count: port.count),
            let inner = PortRange(from: port.targetPort, count: port.count)
        else { return [] }
        return addresses.compactMap { address in
            let sources = port.sources.filter { $0.family == address.family }
            if !port.sources.isEmpty && sources.isEmpty { return nil }
            return PublishedPort(
                name: "\(port.number)\(address.family == .ipv4 ? "v4" : "v6")",
                transport: transport,
                hostAddress: port.hostAddress,
                hostPorts: host,
                target: address,
                targetPorts: inner,
                sources: sources.contains { $0.length == 0 } ? [] : sources,
                isAtLoopback: !isAdopted
            )
        }
    }
}

extension NetworkRecord.Endpoint {
    /// Its own source addresses, in the compiler's words.
    var sources: [EndpointSource] {
        sourceAddresses.compactMap { pair in
            guard let address = addresses.first(where: { $0.family == pair.first.family }),
                let pool = pair.pool
            else { return nil }
            return EndpointSource(address, pool)
        }
    }
}

extension AddressPair {
    /// The addresses, in the compiler's words.
    fileprivate var pool: SourcePool? { SourcePool(first, last, isPerConnection: isPerConnection == true) }
}

extension PortRange {
    /// So many ports from the first on; `nil` if there are not as many.
    init?(from first: UInt16, count: UInt16) {
        let (last, isTooFar) = first.addingReportingOverflow(count - 1)
        if isTooFar { return nil }
        self.init(first, last)
    }
}
