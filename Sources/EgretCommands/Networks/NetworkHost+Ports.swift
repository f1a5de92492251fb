// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretRun

/// What somebody wants to publish.
struct PortWish {
    var ports: PortMapping
    var namespace: NamespaceReference
    /// The network; `nil` if there is one only that the namespace is connected to.
    var network: String?
    var hostAddress: IPAddress?
    var sources: [IPPrefix] = []
}

extension NetworkHost {
    /// Publishes a port of an endpoint.
    ///
    /// - Returns: The endpoint, and its network.
    /// - Throws: An error that says what is wrong; nothing is changed then.
    @discardableResult
    func publish(_ wish: PortWish) throws -> (network: NetworkRecord, endpoint: NetworkRecord.Endpoint) {
        let connection = try connection(of: wish.namespace, in: wish.network)
        var network = connection.network
        try checkSound(network.name)
        let port = try add(wish, of: connection.endpoint, to: &network)
        try keep(network)
        do {
            try install([port], network)
        } catch {
            try? withdraw([port.number], of: &network)
            throw error
        }
        network.ports = network.ports.map { kept in
            var kept = kept
            if kept.number == port.number { kept.stage = .ready }
            return kept
        }
        try keep(network)
        return (network, connection.endpoint)
    }

    /// Adds a port that is to be published to what is to be kept of a network. Nothing is made yet.
    ///
    /// - Parameters:
    ///   - wish: The port.
    ///   - endpoint: Whose it is: one of the network's.
    ///   - network: The network, with what is not kept yet.
    /// - Returns: The port.
    /// - Throws: An error that says why it cannot be published.
    func add(
        _ wish: PortWish, of endpoint: NetworkRecord.Endpoint, to network: inout NetworkRecord
    ) throws -> NetworkRecord.Port {
        try checkReadable()
        if network.isIsolated {
            throw NetworkProblem("\(network.name) is isolated: nothing from outside comes in")
        }
        let name = network.name
        let others = networks.filter { $0.name != name }.flatMap(\.ports) + network.ports
        let port = NetworkRecord.Port(
            number: (others.map(\.number).max() ?? 0) + 1,
            namespace: endpoint.namespace,
            transport: wish.ports.transport,
            hostAddress: wish.hostAddress,
            hostPort: wish.ports.host,
            targetPort: wish.ports.target,
            count: wish.ports.count,
            sources: wish.sources,
            stage: .making
        )
        try check(port, network, besides: others)
        network.ports.append(port)
        return port
    }

    /// Puts the rules of published ports in place.
    func install(_ ports: [NetworkRecord.Port], _ network: NetworkRecord) throws {
        if !network.isAdopted { try letLoopbackThrough(network) }
        let published = ports.flatMap { network.published($0) }
        try host.dataplane.install(published.map { PublishedPortProgram($0).program }, on: NetworkProgram.base)
        // A connection of TCP or SCTP that goes to the host itself stays there.
        let datagrams = published.filter { $0.transport == .udp }
        if datagrams.isEmpty { return }
        let own = Swift.Set(try links.addresses().map(\.address))
        for port in datagrams {
            try NetworkConnections(host.netfilter).forget(
                to: port.hostPorts.lowerBound...port.hostPorts.upperBound, port.transport.number
            ) { address in
                port.hostAddress.map { $0 == address } ?? (own.contains(address) || address.leadsHome)
            }
        }
    }

    private func check(
        _ port: NetworkRecord.Port, _ network: NetworkRecord, besides others: [NetworkRecord.Port]
    ) throws {
        if network.published(port).isEmpty {
            throw NetworkProblem(
                "\(port.namespace) has no address of the family of \(port.hostAddress.map { "\($0)" } ?? "--from")")
        }
        if network.isAdopted, let address = port.hostAddress, address.leadsHome {
            throw NetworkProblem(
                "\(network.name) lets nothing from \(address) through, and its switches are its owner's",
                advice: "leave --host-ip out, or name another address of this host")
        }
        try checkReach(of: port, network)
        for other in others where other.overlaps(port) {
            let option = other.hostAddress.map { " --host-ip \($0)" } ?? ""
            throw NetworkProblem(
                "\(other.text) is published already, for \(other.namespace)",
                advice: "egret unpublish \(other.hostText)\(option) withdraws it")
        }
    }

    /// Refuses ports that nothing from here would reach: on a bridge of which some other machine is the gateway, the
    /// host may be none of the subnet's.
    private func checkReach(of port: NetworkRecord.Port, _ network: NetworkRecord) throws {
        guard network.isAdopted, let index = network.bridgeIndex else { return }
        let own = try links.addresses(of: index).map(\.address)
        let targets = network.published(port).map(\.target)
        let subnets = network.subnets.map(\.block).filter { block in targets.contains { block.contains($0) } }
        guard let first = subnets.first, !subnets.contains(where: { block in own.contains { block.contains($0) } })
        else { return }
        throw NetworkProblem(
            "this host has no address of \(first) on \(network.name): it reaches no endpoint there",
            advice: "ip address add ADDRESS/\(first.length) dev \(network.name) gives it one")
    }

    /// What is in the way of answers from published ports where some other machine is the endpoints' gateway.
    func strangeGateways(of network: NetworkRecord, _ hostAddress: IPAddress?) throws -> [String] {
        guard network.isAdopted else { return [] }
        let own = Swift.Set(try links.addresses().map(\.address))
        let gateways = network.subnets.map(\.gateway).filter { hostAddress == nil || $0.family == hostAddress?.family }
        return gateways.filter { !own.contains($0) }.map { gateway in
            "\(gateway), the gateway of \(network.name), is not this host: answers to callers from elsewhere go there, "
                + "and these get none unless it sends them here"
        }
    }

    /// The host reaches published ports by 127.0.0.1 as well. Interfaces of ours only.
    func letLoopbackThrough(_ network: NetworkRecord) throws {
        try move(loopbackSwitches(of: network).map { HostSwitch($0, needed: "1") })
    }

    private func loopbackSwitches(of network: NetworkRecord) -> [String] {
        let names = network.mode == .bridge ? [network.name] : network.endpoints.map(\.hostInterface)
        return names.map { "net/ipv4/conf/\($0)/route_localnet" }
    }

    /// The endpoint that a namespace's ports are published for, and its network.
    private func connection(
        of namespace: NamespaceReference, in name: String?
    ) throws -> (network: NetworkRecord, endpoint: NetworkRecord.Endpoint) {
        let cookie = NetworkHost.cookie(of: namespace)
        let found = networks.compactMap { network in
            network.endpoint(in: namespace, cookie).map { (network: network, endpoint: $0) }
        }.filter { $0.endpoint.stage == .ready }
        if let name {
            let wanted = networks[try place(of: name)].name
            if let one = found.first(where: { $0.network.name == wanted }) { return one }
            throw NetworkProblem(
                "\(namespace) is not connected to \(name)", advice: "egret network connect \(name) \(namespace)")
        }
        guard let one = found.first else {
            throw NetworkProblem(
                "\(namespace) is not connected to any network", advice: "egret network connect NETWORK \(namespace)")
        }
        guard found.count == 1 else {
            let names = found.map { $0.network.name }.joined(separator: " and ")
            throw NetworkProblem("\(namespace) is connected to \(names)", advice: "say which: --network NAME")
        }
        return one
    }

    /// What is in the way of answers from published ports, one line for each family: they go where the endpoint's rules and
    /// routes lead. If somebody's rules go before Egret's, or Egret's are gone, that may be another network, and that
    /// refuses addresses that are not its own.
    func obstacles(toAnswersOf endpoint: NetworkRecord.Endpoint, in network: NetworkRecord) throws -> [String] {
        guard let namespace = try endpoint.openNamespace() else { return [] }
        let inside = try namespace.visit { try NetlinkConnection.route() }
        let links = NetworkLinks(inside)
        return try endpoint.addresses.compactMap { address in
            guard let link = try links.wayOut(from: address), link != endpoint.interface,
                let other = networks.first(where: { other in
                    other.endpoints.contains { $0.cookie == endpoint.cookie && $0.interface == link }
                })
            else { return nil }
            return "\(endpoint.namespace) answers from \(address) by \(link), and \(other.name) refuses what is not "
                + "from its own addresses: callers from elsewhere than \(network.name) get no answer. egret network restore puts "
                + "Egret's routing rule back, if it is gone; --network \(other.name) reaches the same ports"
        }
    }

    /// Withdraws what is published at a port of the host.
    ///
    /// Without an address that is what is published at all of them, or else what is published at one, if it is the only
    /// one.
    func unpublish(_ ports: PortMapping, hostAddress: IPAddress?) throws {
        let found = networks.flatMap(\.ports).filter { port in
            port.transport == ports.transport && port.hostPort == ports.host && port.count == ports.count
                && (hostAddress == nil || port.hostAddress == hostAddress)
        }
        guard let port = found.first(where: { $0.hostAddress == hostAddress }) ?? found.first else {
            let words = hostAddress.map { " of \($0)" } ?? ""
            throw NetworkProblem(
                "nothing is published at \(ports.hostText)\(words)", advice: "egret publish ls shows what is")
        }
        if port.hostAddress != hostAddress, found.count > 1 {
            let places = found.map(\.text).sorted().joined(separator: " and ")
            throw NetworkProblem("\(places) are published", advice: "say which: --host-ip ADDRESS")
        }
        guard let place = networks.firstIndex(where: { $0.ports.contains { $0.number == port.number } }) else { return }
        var network = networks[place]
        try withdraw([port.number], of: &network)
    }

    /// Withdraws ports that are kept, and forgets them. What cannot be withdrawn stays kept, for the next command.
    ///
    /// - Parameters:
    ///   - numbers: The ports' numbers.
    ///   - network: Their network, with their endpoints.
    /// - Throws: An error that says what could not be kept or withdrawn.
    func withdraw(_ numbers: Swift.Set<Int>, of network: inout NetworkRecord) throws {
        network.noteLeaving(ports: numbers)
        try keep(network)
        for port in network.ports where numbers.contains(port.number) { try withdraw(port, of: network) }
        network.ports.removeAll { numbers.contains($0.number) }
        try endLoopbackUnlessNeeded(of: network)
        try keep(network)
    }

    /// Lets nothing through to 127.0.0.1 any more once a network's last port is withdrawn. To be done before the network is kept
    /// without it: whoever is killed in between has left it to the next command, which does this as well.
    func endLoopbackUnlessNeeded(of network: NetworkRecord) throws {
        if network.ports.isEmpty { try putBack(loopbackSwitches(of: network)) }
    }

    /// Removes a published port's rules, whichever of them are there.
    func withdraw(_ port: NetworkRecord.Port, of network: NetworkRecord) throws {
        for published in network.published(port) {
            let program = PublishedPortProgram(published).program
            do {
                try host.dataplane.remove([program])
            } catch {
                try host.dataplane.removeRemains(of: program)
            }
        }
    }
}

extension IPAddress {
    /// Whether it is one of those by which a host reaches itself: 127.0.0.0/8, ::1.
    var leadsHome: Bool { family == .ipv4 ? rawValue >> 24 == 127 : rawValue == 1 }
}

extension NetworkRecord.Port {
    /// `8080/tcp`, or `8000-8010/udp`.
    var hostText: String { (count == 1 ? "\(hostPort)" : "\(hostPort)-\(hostPort &+ (count - 1))") + "/" + transport }

    /// The same with its address.
    var text: String { (hostAddress.map { $0.family == .ipv4 ? "\($0):" : "[\($0)]:" } ?? "") + hostText }

    /// `80`, or `9000-9010`.
    var targetText: String { count == 1 ? "\(targetPort)" : "\(targetPort)-\(targetPort &+ (count - 1))" }

    /// Whether both are about addresses of one family: who lets clients of the one through leaves those of the other alone.
    private func sharesFamily(with other: NetworkRecord.Port) -> Bool {
        if sources.isEmpty || other.sources.isEmpty { return true }
        return sources.contains { source in other.sources.contains { $0.family == source.family } }
    }

    /// Whether the two would answer for the same port of the same address.
    func overlaps(_ other: NetworkRecord.Port) -> Bool {
        transport == other.transport && hostAddress == other.hostAddress && sharesFamily(with: other)
            && UInt32(hostPort) < UInt32(other.hostPort) + UInt32(other.count)
            && UInt32(other.hostPort) < UInt32(hostPort) + UInt32(count)
    }
}
