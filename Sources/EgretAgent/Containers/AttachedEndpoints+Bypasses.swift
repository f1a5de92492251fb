// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretNetworks

/// A container, as its engine numbers it. A name may be given again, a number not.
struct ContainerNumber: Hashable {
    var engine: String
    var identifier: String

    init(_ target: AttachedTarget) {
        engine = target.origin
        identifier = target.identifier
    }
}

/// A container that its engine runs, and that could not be attached.
struct RefusedContainer {
    var target: AttachedTarget
    var problem: String
    var bypasses: [ContainerBypass: String]
    /// Why it still runs though it is not to.
    var remains: String?
}

// What gets past policies, of what is attached and of what could not be.
extension AttachedEndpoints {
    /// Notes that what its engine runs could not be attached.
    ///
    /// - Returns: Whether that is new.
    func refuse(_ target: AttachedTarget, _ problem: String) -> Bool {
        let number = ContainerNumber(target)
        let former = refused[number]
        refused[number] = RefusedContainer(
            target: target, problem: problem, bypasses: bypasses(ofRefused: target), remains: former?.remains)
        return former?.problem != problem
    }

    /// The ways in which what could not be attached gets past policies, or could, as far as they can be seen.
    private func bypasses(ofRefused target: AttachedTarget) -> [ContainerBypass: String] {
        let namespaces = try? TargetNamespaces(of: target)
        var found: [ContainerBypass: String] = [:]
        if sharesHostNetwork(target, namespaces?.own.cookie ?? 0) {
            found[.hostNetwork] = AttachedEndpoints.isInHostNetwork
        } else if let namespaces {
            let links = target.isGuest ? [] : (try? NamespaceLink.all(in: namespaces.own.namespace)) ?? []
            let other = elsewhere(namespaces)
            let waysOut = AttachedEndpoints.waysOut(of: links, isConnected: false) + waysPast(other)
            if !waysOut.isEmpty { found[.otherLinks] = waysOut.joined(separator: "; ") }
            if other?.cookie == ownCookie { found[.hostNetwork] = AttachedEndpoints.hasGoneToHostNetwork }
        }
        found[.privileged] = target.wayToHost
        return found
    }

    /// How links lead past the host, in words.
    ///
    /// - Parameters:
    ///   - links: The links of a namespace.
    ///   - isConnected: Whether it has had links that are policed, which may be elsewhere now.
    /// - Returns: What is to be said of each that leads out.
    static func waysOut(of links: [NamespaceLink], isConnected: Bool) -> [String] {
        let ways = links.filter { !$0.isPoliced }.compactMap(\.wayOut)
        // What such a device takes would go nowhere if nobody outside carried it: there is no other way.
        let isCarried = !isConnected && !links.contains(where: \.isPoliced)
        return ways
            + links.filter { isCarried && $0.kind == "tun" }.map { link in
                "what goes by \(link.name) a process of the host's carries out, as slirp4netns and pasta do"
            }
    }

    /// What its engine runs and is not attached, with the reason, by name and number. One whose name is another endpoint's is
    /// among them: that one's policies are not its own.
    var unattached: [(target: AttachedTarget, problem: String)] {
        refused.values.filter { records[$0.target.id]?.target.identifier != $0.target.identifier }
            .sorted { ($0.target.id, $0.target.identifier) < ($1.target.id, $1.target.identifier) }
            .map { (target: $0.target, problem: [$0.problem, $0.remains].compactMap(\.self).joined(separator: "; ")) }
    }

    /// Forgets what could not be attached and is attached now, or runs no longer.
    func forgetRefused(where isGone: (AttachedTarget) -> Bool) {
        refused = refused.filter { !isGone($0.value.target) }
    }

    /// The ways in which what an endpoint sends gets past its policies, or could, each in words.
    func bypasses(of record: AttachedRecord) -> [ContainerBypass: String] {
        let links =
            [otherLinks[record.target.id], obstacles[record.target.id]].compactMap(\.self) + waysPast(record.elsewhere)
        var found: [ContainerBypass: String] = [:]
        if sharesHostNetwork(record.target, record.cookie) {
            found[.hostNetwork] = AttachedEndpoints.isInHostNetwork
        } else if record.elsewhere?.cookie == ownCookie {
            found[.hostNetwork] = AttachedEndpoints.hasGoneToHostNetwork
        }
        if !links.isEmpty { found[.otherLinks] = links.joined(separator: "; ") }
        found[.privileged] = record.wayToHost
        return found
    }

    /// Whether what a target sends leaves from the host's network, as the kernel shows, or as its engine tells: a first process
    /// that has left may have others stay.
    func sharesHostNetwork(_ target: AttachedTarget, _ cookie: UInt64) -> Bool {
        func isThere(_ target: AttachedTarget, _ cookie: UInt64) -> Bool {
            cookie == ownCookie || target.grant?.usesHostNetwork ?? false
        }
        if isThere(target, cookie) { return true }
        guard let owner = target.grant?.networkOwner, !owner.isEmpty else { return false }
        let attached: [(AttachedTarget, Bool)] = records.unsorted.map { ($0.target, isThere($0.target, $0.cookie)) }
        let others: [(AttachedTarget, Bool)] = refused.values.map { ($0.target, $0.bypasses[.hostNetwork] != nil) }
        let known = (attached + others).filter { $0.0.origin == target.origin }
        let named = known.filter { $0.0.identifier == owner || $0.0.name == owner }
        // Engines take the beginning of a number for the whole where nothing is called so.
        let meant = named.isEmpty ? known.filter { $0.0.identifier.hasPrefix(owner) } : named
        return meant.contains { $0.1 }
    }

    /// An engine's containers, attached or not, each with its ways past policies, by name; but for those that are only
    /// expected.
    func judged(of runtime: String) -> [(target: AttachedTarget, bypasses: [ContainerBypass: String])] {
        let attached = records.unsorted.filter { $0.isRun && $0.target.origin == runtime }
        let others = refused.values.filter { $0.target.origin == runtime }
        let judged =
            attached.map { (target: $0.target, bypasses: bypasses(of: $0)) }
            + others.map { (target: $0.target, bypasses: $0.bypasses) }
        return judged.sorted { ($0.target.id, $0.target.identifier) < ($1.target.id, $1.target.identifier) }
    }

    static let isInHostNetwork = "it uses the host's network, which no policy for endpoints is about"
    private static let hasGoneToHostNetwork =
        "its first process has gone to the host's network, which no policy for endpoints is about"

    /// Where the first process of a target is, if not in its own network.
    private func elsewhere(_ namespaces: TargetNamespaces) -> AttachedRecord.Elsewhere? {
        guard let process = namespaces.process, process.cookie != namespaces.own.cookie else { return nil }
        let ways = process.cookie == ownCookie ? [] : namespaces.waysElsewhere
        return AttachedRecord.Elsewhere(cookie: process.cookie, ways: ways)
    }

    /// What leads past policies from where a first process has gone; nothing if that is another endpoint's network, whose
    /// policies hold there.
    private func waysPast(_ elsewhere: AttachedRecord.Elsewhere?) -> [String] {
        elsewhere.map { owner(of: $0.cookie) == nil ? $0.ways : [] } ?? []
    }

    /// Why what a first process sends that has gone elsewhere is not held to the policies of its own network, in words.
    func problems(of elsewhere: AttachedRecord.Elsewhere?) -> [String] {
        guard let elsewhere else { return [] }
        if elsewhere.cookie == ownCookie { return [AttachedEndpoints.hasGoneToHostNetwork] }
        guard let other = owner(of: elsewhere.cookie) else { return elsewhere.ways }
        return ["its first process has gone to the network of \(other.target.id), whose policies hold for it there"]
    }

    /// Notes what the first process of a target shows: what it can do, and where it is if not in the target's own network.
    ///
    /// Since its engine told of it, its number may have become another's. Then nothing of what was noted changes: it is
    /// believed again where it is in a namespace that it was in when it was told of.
    func noteProcess(_ namespaces: TargetNamespaces, _ record: inout AttachedRecord, isTold: Bool) {
        let places = [record.cookie, record.elsewhere?.cookie]
        guard isTold || namespaces.process.map({ places.contains($0.cookie) }) ?? false else { return }
        record.wayToHost = record.target.wayToHost ?? record.wayToHost
        record.wayToClock = record.target.wayToClock ?? record.wayToClock
        record.elsewhere = elsewhere(namespaces)
    }

    /// Notes why a container is still there, attached or not, that is not to be; `nil` if it may be.
    ///
    /// - Returns: Whether that is new. Of what is not known nothing is noted.
    func noteRemaining(_ target: AttachedTarget, _ problem: String?) -> Bool {
        var isNew = false
        if records[target.id]?.target.identifier == target.identifier {
            isNew = remaining.removeValue(forKey: target.id) != problem
            remaining[target.id] = problem
        }
        let number = ContainerNumber(target)
        if let entry = refused[number] {
            isNew = isNew || entry.remains != problem
            refused[number]?.remains = problem
        }
        return isNew
    }
}

extension NamespaceLink {
    /// Whether it leads to this host, where policies can be in force.
    fileprivate var isPoliced: Bool { hostIndex != nil && hardwareAddress != nil }

    /// What leads out of the namespace and past the host's end of its links; `nil` for one that does not.
    var wayOut: String? {
        guard let kind else { return "\(name) is a device of the machine's" }
        // Tunnels and the like that stand in the namespace lead nowhere by themselves.
        if !leadsOut { return nil }
        return switch kind {
        case "veth": "\(name) leads to another namespace than the host's"
        case "macvlan", "ipvlan", "macvtap", "ipvtap": "\(name) is a \(kind), whose packets pass the host by"
        default: "\(name) is a \(kind), which leads out where no policy can be in force"
        }
    }
}
