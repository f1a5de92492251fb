// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretCompiler
import EgretDataplane
import EgretLinux
import EgretNetlinkWire
import EgretNetworks
import EgretRun

extension NetworkHost {
    /// Brings what is kept and what is in the kernel together: finishes what somebody who was killed has begun, gives
    /// back the addresses of endpoints whose namespace is gone, and makes anew what was there before the machine was
    /// restarted, or before somebody else removed it.
    ///
    /// A network that cannot be brought together keeps nobody from the others: it is noted in ``broken``, and is as it is. While
    /// a network's file cannot be read, links that nobody knows stay: they may be its endpoints'.
    ///
    /// - Parameter isThorough: Whether rules are read also where the kernel says that none has changed since.
    /// - Throws: An error if what is kept of networks, or the kernel's rules, cannot be read.
    func reconcile(isThorough: Bool = false) throws {
        // Before anything is committed by way of this, it is the ruleset's own.
        let ruleset = try host.dataplane.foreignGeneration()
        let isUnchanged = !isThorough && host.state.rulesetGeneration == ruleset
        for name in try host.state.notedNetworks() where unreadable[name] == nil {
            if !networks.contains(where: { $0.name == name }) { try host.state.forget(network: name) }
        }
        if !store.outlivesRestart {
            for network in networks where network.bootID != bootID { try store.remove(network.name) }
            networks.removeAll { $0.bootID != bootID }
        }
        // The numbers of namespaces of before a restart are others' by now.
        for place in networks.indices where networks[place].bootID != bootID {
            for endpoint in networks[place].endpoints.indices { networks[place].endpoints[endpoint].cookie = 0 }
        }
        do {
            try removeBegunLink()
            if isThorough, unreadable.isEmpty {
                repairs += try host.removeBegunLinks(besides: networks).map { name in
                    "removed \(name), a link that somebody has left half made"
                }
            }
        } catch {
            // It stays noted, and is tried again; it keeps nobody from the networks.
            repairs.append("could not remove the link that somebody has left half made: \(error)")
        }
        try finishEndingLink()
        for name in networks.map(\.name) {
            do {
                try bringTogether(name, rulesAreRight: isUnchanged, isThorough: isThorough)
            } catch {
                broken[name] = error
            }
        }
        soundRuleset = ruleset
    }

    /// Has an endpoint go that somebody who was killed was taking away.
    private func finishEndingLink() throws {
        guard let ending = host.state.endingLink else { return }
        for var network in networks {
            let found = network.endpoints.first { endpoint in
                endpoint.hostInterface == ending.name && endpoint.hostHardwareAddress == ending.hardwareAddress
            }
            guard var endpoint = found else { continue }
            endpoint.stage = .removing
            try note(endpoint, &network)
            return try host.state.forgetEndingLink()
        }
        if unreadable.isEmpty { try host.state.forgetEndingLink() }
    }

    /// Removes a link that somebody who was killed has made, and has not noted as an endpoint's.
    private func removeBegunLink() throws {
        guard unreadable.isEmpty, let begun = host.state.begunLink else { return }
        let isNoted = networks.flatMap(\.endpoints).contains { endpoint in
            endpoint.hostInterface == begun.name && endpoint.hostHardwareAddress == begun.hardwareAddress
        }
        if !isNoted {
            try links.remove(begun.name) { $0.address?.description == begun.hardwareAddress }
            try forgetSwitches(of: begun.name)
        }
        try host.state.forgetBegunLink()
    }

    private func bringTogether(_ name: String, rulesAreRight: Bool, isThorough: Bool) throws {
        var network = networks[try place(of: name)]
        if network.stage != .ready {
            try unmake(network)
            repairs.append("took away what was left of the network \(network.name)")
        } else if network.bootID != bootID {
            try restore(&network)
        } else {
            try mend(&network, rulesAreRight: rulesAreRight, isThorough: isThorough)
        }
    }

    // MARK: - While the machine runs

    private func mend(_ network: inout NetworkRecord, rulesAreRight: Bool, isThorough: Bool) throws {
        let present = try presentLinks(of: network)
        let byIndex = Dictionary(present.map { ($0.index, $0) }) { first, _ in first }
        let byName = Dictionary(present.map { ($0.name, $0) }) { first, _ in first }
        let unfinished = network.ports.filter { $0.stage != .ready && $0.stage != .waiting }
        if !unfinished.isEmpty { try withdraw(Set(unfinished.map(\.number)), of: &network) }
        for endpoint in network.endpoints {
            let isThere =
                byIndex[endpoint.hostIndex].map(endpoint.isHostEnd) ?? false
                || endpoint.stage != .ready && byName[endpoint.hostInterface].map(endpoint.isFirstSeen) ?? false
            if endpoint.stage == .ready && isThere || endpoint.stage == .waiting { continue }
            if endpoint.stage == .ready, try lives(endpoint) {
                try unlink(endpoint, &network)
                repairs.append(
                    "the link of \(endpoint.namespace) to \(network.name) is gone, and the namespace is not: it gets another"
                )
                continue
            }
            try forget(endpoint, &network)
            let reason =
                endpoint.stage == .removing
                ? "somebody had begun to take it away" : isThere ? "was never finished" : "its namespace is gone"
            repairs.append("gave up \(endpoint.namespace) of \(network.name): \(reason)")
        }
        if network.mode == .bridge { try mendBridge(&network, present) }
        try host.state.note(network: network.name)
        let isAnew = try !rulesAreRight && !isInstalled(network)
        if isAnew {
            for base in [BaseProgram.program, NetworkProgram.base] { try host.dataplane.mend(base: base) }
            if try !isInstalled(network) {
                try uninstall(network)
                try install(network)
            }
            if network.isTranslated {
                try NetworkConnections(host.netfilter).forgetUntranslated(
                    from: network.subnets.map(\.block), besides: Set(links.addresses().map(\.address)))
            }
            repairs.append("put the rules of \(network.name) back, which somebody had removed")
        }
        if isThorough { mendLinks(&network) }
        let leading = try leadingLinks(of: network, byName)
        if !leading.isEmpty {
            // The host's uplinks may have come since. To ask for each endpoint's own link takes its time: whoever has switched
            // one off has done so with all of them.
            let outside = try outside()
            let wasOff = try host.openForwarding(of: isThorough ? leading : [leading[0]], outside, isAnew: isAnew)
            if wasOff && !isThorough { try host.openForwarding(of: leading, outside) }
        }
        try resume(&network)
    }

    /// The links of the host that a network's file is about: its bridge, and the host's ends of its endpoints' links; others
    /// may be among them.
    ///
    /// Of a bridge's ports nobody asks where their other ends are, which takes the kernel longer the more namespaces there are.
    /// Only what is not among them is asked for by itself: it may be no port any more, or was missed.
    private func presentLinks(of network: NetworkRecord) throws -> [LinkRecord] {
        if network.mode == .routed { return try links.all() }
        var present = try links.bridgePorts()
        if let bridge = try links.link(named: network.name) { present.append(bridge) }
        let ports = Dictionary(present.map { ($0.index, $0) }) { first, _ in first }
        for endpoint in network.endpoints where !(ports[endpoint.hostIndex].map(endpoint.isHostEnd) ?? false) {
            let own = [try links.link(endpoint.hostIndex), try links.link(named: endpoint.hostInterface)]
            present += own.compactMap(\.self)
        }
        return present
    }

    /// Whether the namespace of an endpoint is there still, and no other of its name.
    func lives(_ endpoint: NetworkRecord.Endpoint) throws -> Bool {
        try endpoint.openNamespace() != nil
    }

    /// Takes away what is left of an endpoint's link, which is then to be made again, with the same addresses and ports.
    func unlink(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        for place in network.ports.indices where network.ports[place].namespace == endpoint.namespace {
            try withdraw(network.ports[place], of: network)
            network.ports[place].stage = .waiting
        }
        // Its namespace stays.
        var former = endpoint
        former.isCreated = false
        try takeAway(former, of: network)
        // Where the host's end was moved elsewhere, the other one is there still.
        try NetworkHost.removeInside(endpoint)
        var waiting = endpoint
        waiting.stage = .waiting
        waiting.hostIndex = 0
        try note(waiting, &network)
    }

    /// The links by which packets of endpoints come to be passed on.
    private func leadingLinks(
        of network: NetworkRecord, _ present: [String: LinkRecord]
    ) throws -> [InterfaceName] {
        if network.mode == .routed {
            return network.endpoints.filter { present[$0.hostInterface] != nil }
                .compactMap { InterfaceName($0.hostInterface) }
        }
        // It may have been made a moment ago.
        let isThere = try !network.isIsolated && links.link(named: network.name) != nil
        return isThere ? [InterfaceName(network.name)].compactMap(\.self) : []
    }

    private func mendBridge(_ network: inout NetworkRecord, _ present: [LinkRecord]) throws {
        if present.contains(where: { $0.name == network.name && $0.index == network.bridgeIndex }) { return }
        if network.isAdopted {
            guard let link = present.first(where: { $0.name == network.name && $0.kind == "bridge" }) else { return }
            try uninstall(network)
            network.bridgeIndex = link.index
        } else {
            guard !present.contains(where: { $0.name == network.name }) else {
                throw NetworkProblem(
                    "the interface \(network.name) is another one than Egret made",
                    advice: "rename or remove it; the network's bridge then comes back")
            }
            if try takeNameBack(network) { return }
            try uninstall(network)
            network.bridgeIndex = try makeBridge(network, HostNetwork(host.route))
        }
        try keep(network)
        do {
            try install(network)
            // The switches of the one before went with it.
            if !network.isAdopted, !network.readyPorts.isEmpty { try letLoopbackThrough(network) }
            // No policy knows the bridge by its new number yet: nobody is on it before they do.
            try enforcePolicies()
        } catch {
            try? uninstall(network)
            if !network.isAdopted { try? removeBridge(of: network) }
            // Whoever comes next begins again.
            network.bridgeIndex = nil
            try keep(network)
            throw error
        }
        try links.setMaster(of: network.readyIndices, to: network.bridgeIndex ?? 0)
        repairs.append("made the bridge \(network.name) again, which somebody had removed")
    }

    /// Gives a network's bridge its name again, if somebody calls it otherwise; a second one would have the same addresses.
    ///
    /// - Returns: Whether the bridge is there.
    private func takeNameBack(_ network: NetworkRecord) throws -> Bool {
        guard let index = network.bridgeIndex, let bridge = try links.link(index), network.isOwnBridge(bridge) else {
            return false
        }
        try links.rename(index, to: network.name)
        repairs.append("put right: the bridge \(network.name) was called \(bridge.name)")
        // Who renamed it, or older kernels, had it down, which takes IPv6 addresses.
        try mendBridgeLink(network)
        return true
    }

    private func isInstalled(_ network: NetworkRecord) throws -> Bool {
        try host.dataplane.holds(network.programs)
    }

    // MARK: - After the machine was restarted

    /// Makes a network anew, with the endpoints in namespaces that Egret had made. All other namespaces are gone.
    ///
    /// The file says so until the bridge is there: whoever is stopped before begins again. Endpoints wait until they are there.
    private func restore(_ network: inout NetworkRecord) throws {
        network.endpoints = network.endpoints.filter { $0.isCreated && $0.stage != .removing }
        let names = Set(network.endpoints.map(\.namespace))
        network.ports = network.ports.filter { $0.stage != .removing && names.contains($0.namespace) }
        // What an attempt that was stopped has left.
        for endpoint in network.endpoints {
            try links.remove(endpoint.hostInterface) { $0.address?.description == endpoint.hostHardwareAddress }
        }
        // Numbers of interfaces are others' by now.
        network.bridgeIndex = nil
        for place in network.endpoints.indices {
            network.endpoints[place].stage = .waiting
            network.endpoints[place].hostIndex = 0
        }
        for place in network.ports.indices { network.ports[place].stage = .waiting }
        try uninstall(network)
        try removeBridge(of: network)
        try keep(network)
        try make(&network, HostNetwork(host.route))
        // Whoever enforces policies asks for the networks of this start: an endpoint is one before its link is up.
        network.bootID = bootID
        try keep(network)
        try resume(&network)
        let endpoints = network.endpoints.filter { $0.stage == .ready }.count
        let ports = network.ports.filter { $0.stage == .ready }.count
        repairs.append("restored \(network.name) with \(endpoints) namespaces and \(ports) published ports")
    }

    /// Makes what waits to be made again. What cannot be made goes on waiting; so does who has an address that somebody on
    /// an adopted bridge has taken meanwhile.
    private func resume(_ network: inout NetworkRecord) throws {
        let waiting = network.endpoints.filter { $0.stage == .waiting }
        let owners = try owners(of: waiting.flatMap(\.addresses), in: network)
        for endpoint in waiting {
            do {
                if let address = endpoint.addresses.first(where: { owners[$0] != nil }) {
                    throw NetworkHost.inUse(
                        address, owners[address], network, advice: "free it, or disconnect the endpoint")
                }
                // What an attempt that was stopped has left.
                try links.remove(endpoint.hostInterface) { $0.address?.description == endpoint.hostHardwareAddress }
                try resume(endpoint, &network)
            } catch {
                try links.remove(endpoint.hostInterface) { $0.address?.description == endpoint.hostHardwareAddress }
                try note(endpoint, &network)
                repairs.append("\(endpoint.namespace) of \(network.name) is still to be restored: \(error)")
            }
        }
        let ready = Set(network.endpoints.filter { $0.stage == .ready }.map(\.namespace))
        for place in network.ports.indices where network.ports[place].stage == .waiting {
            guard ready.contains(network.ports[place].namespace) else { continue }
            try install([network.ports[place]], network)
            network.ports[place].stage = .ready
            try keep(network)
        }
    }

    private func resume(_ endpoint: NetworkRecord.Endpoint, _ network: inout NetworkRecord) throws {
        guard let reference = NamespaceReference(endpoint.namespace) else { return }
        var endpoint = endpoint
        let namespace = try? reference.open()
        let cookie = try namespace.map { try NamespaceReference.cookie(of: $0) }
        // Whoever makes one notes it before it has its name: stopped in between, an empty file is left of it.
        let isUnfinished = cookie == nil && endpoint.isCreated && File.exists(reference.path)
        if endpoint.cookie != 0, cookie != endpoint.cookie, !isUnfinished {
            // What is called so now is somebody else's, who must not get its addresses and policies.
            try forget(endpoint, &network)
            repairs.append("gave up \(endpoint.namespace) of \(network.name): its namespace is gone")
            return
        }
        if let cookie {
            // Somebody has made one by that name, if it was not Egret, for another network.
            endpoint.isCreated = isOurs(reference, cookie) || endpoint.isCreated && cookie == endpoint.cookie
        } else if !endpoint.isCreated {
            return try forget(endpoint, &network)
        } else {
            // A file that is left, also from before the machine's restart, holds nothing. What is mounted there is somebody's,
            // although it cannot be entered now, and keeps the file from being removed (EBUSY).
            try File.remove(reference.path)
            try create(reference, for: &endpoint, &network)
        }
        try attach(&endpoint, reference, &network)
    }
}
