// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretDataplane
import EgretNetworks
import EgretNftables
import EgretRun

extension NetworkHost {
    /// Adds to another tool's rules what a network needs, and notes each rule before it is made.
    ///
    /// Does nothing about what is there already, so it also puts back what has vanished.
    ///
    /// - Returns: Whether something was missing.
    /// - Throws: An error that says which command failed. What was added is noted.
    @discardableResult
    func allow(_ network: inout NetworkRecord, through tool: Passage.Tool) throws -> Bool {
        if !network.allPassages.contains(where: { $0.tool == tool }) {
            network.passages = network.allPassages + [Passage(tool)]
        }
        switch tool {
        case .docker, .iptables: return try allowThroughTables(&network, tool)
        case .firewalld:
            let rules = FirewalldRules.rules(network)
            for rule in rules { try note(rule, tool, &network) }
            return try FirewalldRules.put(rules)
        case .ufw:
            var isChanged = false
            // A rule that somebody else has made will do, and stays theirs.
            for rule in UfwRules.rules(network) where try !UfwRules.has(rule) {
                try note(rule, tool, &network)
                try UfwRules.put(rule, comment: UfwRules.comment(network))
                isChanged = true
            }
            return isChanged
        }
    }

    private func allowThroughTables(_ network: inout NetworkRecord, _ tool: Passage.Tool) throws -> Bool {
        var isChanged = false
        var isAnywhere = false
        for subnet in network.subnets {
            let rules = IptablesRules(network, subnet, for: tool)
            let program = IptablesRules.program(subnet.block.family)
            // Docker polices IPv6 only if it was told to.
            if try tool == .docker && !rules.hasParent(program) { continue }
            isAnywhere = true
            try note(program, tool, &network)
            if try rules.put(program) { isChanged = true }
        }
        if !isAnywhere {
            let isNative = try !host.dataplane.chains(in: Table(family: .ip, name: "docker-bridges")).isEmpty
            throw NetworkProblem(
                "there is no chain DOCKER-USER",
                advice: isNative
                    ? "Docker has rules of nftables here, with no place for others'; it drops nothing that is not its own "
                        + "if net.ipv4.ip_forward is on before it starts, or with dockerd --ip-forward-no-drop"
                    : "start Docker first: it makes the chain, and keeps what is in it")
        }
        return isChanged
    }

    private func note(_ rule: String, _ tool: Passage.Tool, _ network: inout NetworkRecord) throws {
        var passages = network.allPassages
        guard let place = passages.firstIndex(where: { $0.tool == tool }), !passages[place].rules.contains(rule)
        else { return }
        passages[place].rules.append(rule)
        network.passages = passages
        try keep(network)
    }

    /// Takes away what was added for a network. What somebody else has taken away before will do; what cannot be taken
    /// away is said, and the network goes all the same.
    func takePassage(of network: NetworkRecord) {
        for passage in network.allPassages {
            do {
                try take(passage, of: network)
            } catch {
                Console.error(["egret: the rule of \(network.name) for \(passage.tool.rawValue) stays: \(error)"])
            }
        }
    }

    private func take(_ passage: Passage, of network: NetworkRecord) throws {
        switch passage.tool {
        case .docker, .iptables:
            for subnet in network.subnets {
                let program = IptablesRules.program(subnet.block.family)
                guard passage.rules.contains(program) else { continue }
                try IptablesRules(network, subnet, for: passage.tool).take(program)
            }
        case .firewalld: try FirewalldRules.take(passage.rules)
        case .ufw: for rule in passage.rules { try UfwRules.take(rule) }
        }
    }

    /// Puts back what has vanished of what was added for networks. What cannot be put back is said; the networks stay.
    func mendPassages() {
        for var network in networks {
            for tool in network.allPassages.map(\.tool) {
                do {
                    if try allow(&network, through: tool) {
                        repairs.append("put the rule of \(network.name) for \(tool.rawValue) back, which was gone")
                    }
                } catch {
                    repairs.append("\(network.name) may not get through \(tool.rawValue): \(error)")
                }
            }
        }
    }

    /// What other tools will do to packets that a network sends on, one line for each tool that ends them.
    func obstacles(to network: NetworkRecord) throws -> [String] {
        guard !network.isIsolated, try host.dataplane.hasForeignFilter(at: .forward) else { return [] }
        let uplinks = try HostNetwork(host.route).uplinks
        let link = network.endpoints.last { $0.stage == .ready && network.mode == .routed }
        let input = link?.hostInterface ?? (network.mode == .bridge ? network.name : "egn0")
        var found: [ForeignObstacle] = []
        for subnet in network.subnets {
            let source = network.endpoints.last?.addresses.first { subnet.block.contains($0) }
            let packet = PassingPacket(
                from: source ?? IPAddress(family: subnet.block.family, rawValue: subnet.block.upperBound - 1),
                input: input,
                inputIndex: link?.hostIndex ?? network.bridgeIndex ?? 0,
                outputs: uplinks
            )
            found += try host.dataplane.obstacles(to: packet, at: .forward)
        }
        return words(for: network, "what \(network.name) sends on").lines(found)
    }

    /// What other tools will do to packets for a network's published ports, one line for each tool that ends them.
    ///
    /// A tool that got a rule for the network is not asked: what was translated passes by that rule.
    func obstacles(toPortsOf network: NetworkRecord) throws -> [String] {
        guard try host.dataplane.hasForeignFilter(at: .forward) else { return [] }
        let outside = try HostNetwork(host.route)
        guard let uplink = outside.uplinks.sorted().first,
            let index = outside.links.first(where: { $0.value == uplink })?.key
        else { return [] }
        let links = network.endpoints.filter { $0.stage == .ready }.map(\.hostInterface)
        var found: [ForeignObstacle] = []
        for subnet in network.subnets {
            // Blocks for documentation stand for anybody (RFC 5737, RFC 3849).
            guard let client = IPAddress(subnet.block.family == .ipv4 ? "198.51.100.1" : "2001:db8::1") else {
                continue
            }
            let packet = PassingPacket(
                from: client, input: uplink, inputIndex: index,
                outputs: network.mode == .bridge ? [network.name] : Swift.Set(links), isTranslated: true)
            found += try host.dataplane.obstacles(to: packet, at: .forward)
        }
        let passed = network.allPassages.map(\.tool.rawValue)
        return words(for: network, "what comes for published ports of \(network.name)")
            .lines(found.filter { !passed.contains($0.owner) })
    }

    private func words(for network: NetworkRecord, _ what: String) -> ObstacleText {
        ObstacleText(
            interface: network.mode == .bridge ? network.name : "egn+",
            what: what,
            request: { owner in
                let isDone = network.allPassages.contains { $0.tool.rawValue == owner }
                return isDone ? "egret network restore" : "egret network create … --allow-through \(owner)"
            }
        )
    }

    /// Warns of what ``obstacles(to:)`` finds, of source addresses that are not the host's, and of an adopted bridge's address
    /// that is an endpoint's.
    func warn(of name: String) throws {
        let network = networks[try place(of: name)]
        if network.isAdopted, let index = network.bridgeIndex, let bridge = try links.link(index),
            let warning = network.warning(ofBorrowedAddressOf: bridge)
        {
            Console.error(["egret: warning: \(warning)"])
        }
        Console.error(try obstacles(to: network).map { "egret: warning: \($0)" })
        let sources = network.sourceAddresses + network.endpoints.flatMap(\.sourceAddresses)
        Console.error(try links.absentSources(sources).map { "egret: warning: \($0)" })
    }
}

extension NetworkRecord {
    /// What was added to other tools' rules.
    fileprivate var allPassages: [Passage] { passages ?? [] }
}
