// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretNftables
import EgretRun

/// What somebody wants of an endpoint.
struct EndpointWish {
    var namespace: NamespaceReference
    /// Addresses that were asked for.
    var addresses: [IPAddress] = []
    var interface = "eth0"
    /// Whether a namespace that is not there is made.
    var creates = false
    /// Source addresses of its own.
    var sourceAddresses: [AddressPair] = []
    /// Who it is to policies.
    var identity: EndpointIdentity?
    /// The hardware address that was asked for.
    var hardwareAddress: MACAddress?
    /// What the container runtime that asks calls it.
    var attachment: ContainerAttachment?
    /// How fast its traffic may be.
    var rates: [EndpointRate]?
    /// Ports that are published with it, all or none.
    var ports: [PortWish] = []
}

extension NetworkHost {
    /// Connects a namespace to a network.
    ///
    /// - Returns: The endpoint.
    /// - Throws: An error that says what is wrong or which step failed; nothing is left then.
    @discardableResult
    func connect(_ wish: EndpointWish, to name: String) throws -> NetworkRecord.Endpoint {
        var network = networks[try place(of: name)]
        try checkSound(name)
        try check(wish, network)
        let addresses = try addresses(wanted: wish.addresses, in: network)
        let isNew = wish.creates && !File.exists(wish.namespace.path)
        if isNew {
            guard case .name = wish.namespace else {
                throw NetworkProblem(
                    "\(wish.namespace) cannot be made", advice: "--create makes namespaces with a name")
            }
        }
        let cookie = isNew ? 0 : try NamespaceReference.cookie(of: wish.namespace.open())
        var endpoint = NetworkRecord.Endpoint(
            namespace: wish.namespace.description,
            cookie: cookie,
            isCreated: isNew || isOurs(wish.namespace, cookie),
            interface: wish.interface,
            hostInterface: try freeLinkName(),
            hostIndex: 0,
            hardwareAddress: (wish.hardwareAddress
                ?? network.hardwareAddress(for: addresses, machine: MachineKey.read())).description,
            hostHardwareAddress: MACAddress.randomForPort().description,
            addresses: addresses,
            sourceAddresses: wish.sourceAddresses,
            identity: wish.identity,
            attachment: wish.attachment,
            rates: wish.rates,
            order: networks.nextOrder,
            stage: .making
        )
        network.endpoints.append(endpoint)
        // They are noted with the endpoint: the file is written as often as without them.
        var ports: [NetworkRecord.Port] = []
        for port in wish.ports { ports.append(try add(port, of: endpoint, to: &network)) }
        if isNew {
            try keep(network)
        } else {
            // Until its link is there, with its index, nothing else of it is: a note of the link alone will do.
            try host.state.note(begunLink: endpoint.hostInterface, endpoint.hostHardwareAddress)
        }
        do {
            if isNew { try create(wish.namespace, for: &endpoint, &network) }
            try attach(&endpoint, wish.namespace, &network)
        } catch {
            giveUp(endpoint, ports, of: &network)
            throw error
        }
        return endpoint
    }

    /// Takes away what there is of an endpoint that could not be connected, and of its ports. Where rules may be left, it stays kept
    /// with its addresses, by which they are known, as on its way out: the next command goes on.
    private func giveUp(
        _ endpoint: NetworkRecord.Endpoint, _ ports: [NetworkRecord.Port], of network: inout NetworkRecord
    ) {
        var leaving = endpoint
        leaving.stage = .removing
        network.endpoints = network.endpoints.map { $0.hostInterface == leaving.hostInterface ? leaving : $0 }
        network.noteLeaving(ports: Swift.Set(ports.map(\.number)))
        let withdrawn = Swift.Set(ports.filter { (try? withdraw($0, of: network)) != nil }.map(\.number))
        network.ports.removeAll { withdrawn.contains($0.number) }
        let isTakenAway = (try? takeAway(leaving, of: network)) != nil
        // Before its link has a number, no rule is about it.
        if withdrawn.count == ports.count, isTakenAway || leaving.hostIndex == 0 {
            network.endpoints.removeAll { $0.hostInterface == leaving.hostInterface }
        }
        if !ports.isEmpty { try? endLoopbackUnlessNeeded(of: network) }
        try? keep(network)
        noteUnlessGone(leaving)
    }

    /// Notes the link of an endpoint that is kept no more, if it could not be removed: the next command removes it.
    private func noteUnlessGone(_ endpoint: NetworkRecord.Endpoint) {
        let isGone: Bool
        do {
            let link = try links.link(named: endpoint.hostInterface)
            isGone = link?.address?.description != endpoint.hostHardwareAddress
        } catch {
            isGone = false
        }
        if isGone {
            try? host.state.forgetBegunLink()
        } else {
            try? host.state.note(begunLink: endpoint.hostInterface, endpoint.hostHardwareAddress)
        }
    }

    /// Makes a namespace, and notes at once by its cookie that it is ours.
    func create(
        _ reference: NamespaceReference,
        for endpoint: inout NetworkRecord.Endpoint,
        _ network: inout NetworkRecord
    ) throws {
        var made = endpoint
        var noted = network
        try NetworkNamespace.create(at: reference.path) { cookie in
            made.cookie = cookie
            try note(made, &noted)
        }
        endpoint = made
        network = noted
    }

    /// Whether Egret has made the namespace, for another network: by this file, however that is written.
    func isOurs(_ reference: NamespaceReference, _ cookie: UInt64) -> Bool {
        cookie != 0
            && networks.flatMap(\.endpoints).contains { other in
                other.isCreated && other.cookie == cookie
                    && NamespaceReference(other.namespace)?.path == reference.path
            }
    }

    /// Makes the link of an endpoint that is noted, its rules, and those of ports that are noted with it.
    func attach(
        _ endpoint: inout NetworkRecord.Endpoint,
        _ reference: NamespaceReference,
        _ network: inout NetworkRecord
    ) throws {
        let namespace = try reference.open()
        endpoint.cookie = try NamespaceReference.cookie(of: namespace)
        let outside = try outside()
        endpoint.hostIndex = try links.connect(
            endpoint, to: network, in: namespace, mtu: network.mtu ?? bridgeMTU(of: network) ?? outside.mtu,
            led: networks.families(leadingBefore: endpoint)
        ) { name, index in
            try setSwitches(of: name, receives: network.mode == .routed)
            // Noted before there are rules by its number: whoever comes after a crash finds them by it.
            endpoint.hostIndex = index
            try note(endpoint, &network)
            try host.state.forgetBegunLink()
            // Policies are in force before the link is up.
            try enforcePolicies()
        }
        let programs = rules(of: endpoint, in: network)
        try host.dataplane.install(programs.filter, on: BaseProgram.program)
        try host.dataplane.install(programs.translation, on: NetworkProgram.base)
        if network.mode == .routed, let name = InterfaceName(endpoint.hostInterface) {
            try host.openForwarding(of: [name], outside)
        }
        let (owner, ports) = (endpoint.namespace, network.ports)
        let begun = ports.filter { $0.namespace == owner && $0.stage == .making }
        if !begun.isEmpty { try install(begun, network) }
        for place in ports.indices where begun.contains(ports[place]) { network.ports[place].stage = .ready }
        endpoint.stage = .ready
        try note(endpoint, &network)
    }

    func note(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        network.endpoints = network.endpoints.map { $0.hostInterface == endpoint.hostInterface ? endpoint : $0 }
        try keep(network)
    }

    /// The rules that come and go with an endpoint, for each of the two tables.
    private func rules(
        of endpoint: NetworkRecord.Endpoint,
        in network: NetworkRecord
    ) -> (filter: [TableProgram], translation: [TableProgram]) {
        let link = network.mode == .routed ? NetworkProgram.link(endpoint.hostIndex, of: network.name) : []
        let sources = endpoint.sources.map { NetworkProgram.endpointSource($0, of: network.name) }
        return (
            link.filter { $0.table == BaseProgram.table }, link.filter { $0.table == NetworkProgram.table } + sources
        )
    }

    private func check(_ wish: EndpointWish, _ network: NetworkRecord) throws {
        guard InterfaceName(wish.interface) != nil, wish.interface != "lo" else {
            throw NetworkProblem(
                "“\(wish.interface)” cannot be the name of an interface", advice: "leave it out for eth0")
        }
        let (name, cookie) = (wish.namespace.description, NetworkHost.cookie(of: wish.namespace))
        let own = try NetworkNamespace.currentCookie()
        if cookie == own {
            throw NetworkProblem(
                "\(name) is this host's own network namespace, which the networks are in",
                advice: "name one of something else: ip netns list shows those that have names")
        }
        let same = network.endpoints.first { $0.cookie == cookie }
        if let other = same ?? network.endpoints.first(where: { $0.isCalled(wish.namespace) }) {
            if same == nil, cookie != nil, other.cookie != 0 {
                throw NetworkProblem(
                    "another namespace was connected to \(network.name) as \(other.namespace), and is gone or has lost that name",
                    advice: "egret network disconnect \(network.name) \(name)")
            }
            let words = other.namespace == name ? "" : ", as \(other.namespace)"
            throw NetworkProblem("\(name) is connected to \(network.name) already\(words)")
        }
        if let identity = wish.identity {
            try check(identity, besides: nil, of: cookie)
        }
        for pair in wish.sourceAddresses where network.spec.subnet(pair.first.family) == nil {
            throw NetworkProblem("\(pair.first) is of a family that \(network.name) has no addresses of")
        }
        for pair in wish.sourceAddresses { try pair.checkSources() }
        if !wish.sourceAddresses.isEmpty && (!network.isTranslated || network.isIsolated) {
            throw NetworkProblem("\(network.name) does not translate addresses, so it gives none to its endpoints")
        }
    }

    /// Refuses a name that another endpoint has.
    private func check(
        _ identity: EndpointIdentity, besides hostInterface: String?, of cookie: UInt64? = nil
    ) throws {
        for network in networks {
            // A container of two networks has one name.
            let isTaken = network.endpoints.contains { other in
                guard other.hostInterface != hostInterface, other.cookie != cookie else { return false }
                let who = other.who
                return who.name == identity.name && who.group == identity.group
            }
            guard isTaken else { continue }
            throw NetworkProblem(
                "\(identity.group)/\(identity.name) is the name of an endpoint of \(network.name) already",
                advice: "give another with --workload")
        }
    }

    /// Changes who an endpoint is to policies. Returns it as it is now.
    @discardableResult
    func identify(
        _ reference: NamespaceReference, of name: String, _ change: (inout EndpointIdentity) -> Void
    ) throws -> NetworkRecord.Endpoint {
        var network = networks[try place(of: name)]
        guard var endpoint = network.endpoint(in: reference, NetworkHost.cookie(of: reference)) else {
            throw NetworkHost.notConnected(reference, name)
        }
        var identity = endpoint.who
        change(&identity)
        try check(
            identity, besides: endpoint.hostInterface, of: endpoint.cookie == 0 ? nil : endpoint.cookie)
        endpoint.identity = identity
        try note(endpoint, &network)
        return endpoint
    }

    private func bridgeMTU(of network: NetworkRecord) throws -> UInt32? {
        guard let index = network.bridgeIndex else { return nil }
        return try links.link(index)?.mtu
    }

    /// A name that no link has, and no endpoint.
    private func freeLinkName() throws -> String {
        let taken = Swift.Set(networks.flatMap(\.endpoints).map(\.hostInterface))
        for number in 0..<1_000_000 {
            let name = "egn\(number)"
            if !taken.contains(name), try links.link(named: name) == nil { return name }
        }
        throw NetworkProblem("there are no names left for links")
    }

    /// Disconnects a namespace from a network. One that has lost its name to another is known by that name, unless the
    /// other one is connected too.
    func disconnect(_ reference: NamespaceReference, from name: String) throws {
        var network = networks[try place(of: name)]
        let found =
            network.endpoint(in: reference, NetworkHost.cookie(of: reference))
            ?? network.endpoints.first { $0.isCalled(reference) }
        guard let endpoint = found else { throw NetworkHost.notConnected(reference, name) }
        try remove(endpoint, from: &network)
    }

    /// Takes an endpoint away. Whoever comes after one that was killed finishes it.
    ///
    /// A note in memory says that it is on its way, so that the file is written once. Not for an endpoint whose namespace Egret
    /// makes again when the machine has been restarted: that must know, too.
    func remove(_ endpoint: NetworkRecord.Endpoint, from network: inout NetworkRecord) throws {
        var leaving = endpoint
        leaving.stage = .removing
        if leaving.isCreated {
            try note(leaving, &network)
        } else {
            try host.state.note(endingLink: leaving.hostInterface, leaving.hostHardwareAddress)
        }
        do {
            try forget(leaving, &network)
        } catch {
            // The note in memory may be the next one's.
            try? note(leaving, &network)
            throw error
        }
        try host.state.forgetEndingLink()
    }

    /// The kernel's cookie of what is called so; `nil` if no namespace is.
    static func cookie(of reference: NamespaceReference) -> UInt64? {
        try? NamespaceReference.cookie(of: reference.open())
    }

    private static func notConnected(_ reference: NamespaceReference, _ name: String) -> NetworkProblem {
        NetworkProblem(
            "\(reference) is not connected to \(name)", advice: "egret network inspect \(name) shows what is")
    }

    /// Takes an endpoint away, with its published ports.
    func forget(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        let ports = network.ports.filter { $0.namespace == endpoint.namespace }
        for port in ports { try withdraw(port, of: network) }
        try takeAway(endpoint, of: network)
        network.ports.removeAll { $0.namespace == endpoint.namespace }
        network.endpoints.removeAll { $0.hostInterface == endpoint.hostInterface }
        if !ports.isEmpty { try endLoopbackUnlessNeeded(of: network) }
        try keep(network)
        leadOut(endpoint.cookie)
    }

    /// Gives a namespace whose default routes went with a link others, by the first of the networks that it still has, which
    /// then needs no table for its answers.
    ///
    /// What was to be done is done by then, so that this fails nobody: what cannot be given is warned of.
    func leadOut(_ cookie: UInt64) {
        for network in networks {
            for endpoint in network.endpoints where endpoint.cookie == cookie && endpoint.stage == .ready {
                do {
                    try leadOut(endpoint, network)
                } catch {
                    Console.error([
                        "egret: warning: \(endpoint.namespace) has no way out now: \(error); "
                            + "egret network restore gives it one"
                    ])
                }
            }
        }
    }

    private func leadOut(_ endpoint: NetworkRecord.Endpoint, _ network: NetworkRecord) throws {
        guard let namespace = try endpoint.openNamespace() else { return }
        let inside = try namespace.visit { try NetlinkConnection.route() }
        let faults = network.faults(
            of: endpoint, host: try NamespaceState(reading: host.route), inside: try NamespaceState(reading: inside),
            led: networks.families(leadingBefore: endpoint))
        for fault in faults where fault.isWayOut || fault.isAboutAnswers { try links.mend(fault, inside: inside) }
    }

    /// Takes away what an endpoint consists of, whatever is there of it; not its published ports.
    func takeAway(_ endpoint: NetworkRecord.Endpoint, of network: NetworkRecord) throws {
        let programs = rules(of: endpoint, in: network)
        for program in programs.filter + programs.translation {
            do {
                try host.dataplane.remove([program])
            } catch {
                try host.dataplane.removeRemains(of: program)
            }
        }
        // Whatever somebody calls it by now: what is kept no longer is held to nothing.
        try links.removeHostEnd(of: endpoint)
        // With a namespace that goes as well, so do its rules.
        if !(endpoint.isCreated && isOnly(endpoint)) { dropAnswerRules(of: endpoint) }
        try forgetSwitches(of: endpoint.hostInterface)
        try NetworkConnections(host.netfilter).forget(of: endpoint.addresses)
        // Another namespace may have the name by now.
        if endpoint.isCreated, isOnly(endpoint), let reference = NamespaceReference(endpoint.namespace) {
            let cookie = NetworkHost.cookie(of: reference)
            if cookie == endpoint.cookie {
                try NetworkNamespace.remove(at: reference.path)
            } else if cookie == nil && endpoint.stage != .ready {
                // Of a namespace that did not come so far there is an empty file. What is mounted there is somebody's, although
                // it cannot be entered now.
                try NetworkNamespace.removeUnfinished(at: reference.path)
            }
        }
    }

    /// Removes the routing rules by which an endpoint answers by its link, if its namespace is there: they do not go with the
    /// link.
    ///
    /// What cannot be removed is warned of, and keeps nothing else: who has `CAP_NET_ADMIN` in the namespace can make such a
    /// rule that the kernel lets nobody remove (`FIB_RULE_PERMANENT`). It leads what that namespace sends, and nothing else.
    private func dropAnswerRules(of endpoint: NetworkRecord.Endpoint) {
        do {
            guard let namespace = try endpoint.openNamespace() else { return }
            let inside = NetworkLinks(try namespace.visit { try NetlinkConnection.route() })
            try inside.removeAnswerRules(from: endpoint.addresses)
        } catch {
            Console.error(["egret: warning: \(endpoint.namespace) keeps a routing rule for its answers: \(error)"])
        }
    }

    /// Whether no other network has the endpoint's namespace, as far as all of them can be read.
    private func isOnly(_ endpoint: NetworkRecord.Endpoint) -> Bool {
        unreadable.isEmpty
            && !networks.flatMap(\.endpoints).contains { other in
                other.sharesNamespace(with: endpoint) && other.hostInterface != endpoint.hostInterface
            }
    }
}
