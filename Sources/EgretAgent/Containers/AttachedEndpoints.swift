// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
import EgretAgentAPI
import EgretLinux
import EgretNetlink
import EgretNetlinkWire
import EgretNetworks
import EgretPolicy

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The endpoints that others have connected: containers of engines, and namespaces that an operator has attached.
///
/// They are kept in a directory that does not outlive the machine's start, as they do not. An endpoint is its link: it is there
/// for as long as the host's end is, whatever becomes of the process, its name or its engine.
final class AttachedEndpoints {
    /// The beginning of labels that Egret gives; nobody else's have it.
    static let labelPrefix = "egret.dev/"

    private let connection: NetlinkConnection
    private let links: WatchedLinks
    let ownCookie: UInt64
    /// The engines that are followed.
    private let followed: Swift.Set<String>
    var records: AttachedRecords
    /// The host's links when the namespaces were last looked at.
    private var seen: Swift.Set<LinkRecord.Place> = []
    /// The state of the links then.
    private var seenVersion: Int?
    /// The kernel's numbers of the namespaces, as far as it has given them any.
    private var numbers: [UInt64: Int32] = [:]
    /// The endpoints that wait for an address that another one still has.
    private var waiting: Swift.Set<String> = []
    /// What its engine runs, and what could not be attached.
    var refused: [ContainerNumber: RefusedContainer] = [:]
    /// Why links that are there cannot be policed, by endpoint.
    var obstacles: [String: String] = [:]
    /// The links of endpoints that lead out otherwise than to this host, in words.
    var otherLinks: [String: String] = [:]
    /// Why containers that are not to run still do.
    var remaining: [String: String] = [:]

    /// Reads what was attached before.
    ///
    /// - Parameters:
    ///   - directory: Where records are kept; it is there for as long as there are any.
    ///   - followed: The engines that are followed.
    ///   - links: The host's links; `nil` to watch them for this alone.
    /// - Throws: An error if the directory cannot be used, a record not be read, or the kernel not be asked. To go on without
    ///   a record would be to take an endpoint's policies away.
    init(directory: String, followed: Swift.Set<String> = [], links: WatchedLinks? = nil) throws {
        self.followed = followed
        records = try AttachedRecords(directory: directory)
        connection = try NetlinkConnection.route()
        self.links = try links ?? WatchedLinks()
        ownCookie = try NetworkNamespace.currentCookie()
    }

    /// What is attached, by name.
    var all: [AttachedRecord] { records.all }

    // MARK: - Changes

    private static func advice(forNoNamespaceAt path: String) -> String {
        let directory = NamespaceReference.directory
        if path.hasPrefix(directory + "/") {
            return "ip netns list shows those there are; containers are docker:NAME, podman:NAME, processes pid:NUMBER"
        }
        if path.hasPrefix("/proc/") { return "the process may have ended: ps -e shows those that run" }
        return "name a file that is one, as those in \(directory) are"
    }

    /// Attaches a namespace, or has one that is attached be called and labelled otherwise.
    ///
    /// - Parameter target: The namespace.
    /// - Returns: The record, with a problem if not all of its links can be policed.
    /// - Throws: `APIError` if there is no such namespace, or the name is another's, and an error if the record cannot be written:
    ///   nothing is changed then. Of a container of an engine that is followed the engine tells again: it is held to its policies
    ///   without a record, which is written as soon as it can be.
    @discardableResult
    func attach(_ target: AttachedTarget) throws -> AttachedRecord {
        let namespaces: TargetNamespaces
        do {
            namespaces = try TargetNamespaces(of: target)
        } catch {
            throw APIError(
                "notFound", "\(target.path) is no network namespace: \(error)",
                advice: AttachedEndpoints.advice(forNoNamespaceAt: target.path))
        }
        let cookie = namespaces.own.cookie
        // Of one that has ended the name is free.
        if let other = records[target.id], ![cookie, 0].contains(other.cookie), other.isRun, isPresent(other) {
            throw APIError(
                "conflict", "\(target.id) is another endpoint, which is still there",
                advice: "give it another name, or detach the other one: egret detach \(target.id)")
        }
        // What is called otherwise now is the same endpoint; what a hook has said of it before its engine did is so still.
        let former =
            records.unsorted.first { $0.target.identifier == target.identifier && [cookie, 0].contains($0.cookie) }
            ?? records[target.id].flatMap { $0.cookie == cookie ? $0 : nil }
        var record = AttachedRecord(target: target, cookie: cookie, links: former?.links ?? [])
        // What was expected was a guess.
        if former?.cookie == 0 { record.links = [] }
        // Another container of the same name, in the host's network or another's, has nothing of what the former one had.
        if let former, former.cookie == cookie, former.target.identifier == target.identifier {
            record.wayToHost = former.wayToHost
            record.wayToClock = former.wayToClock
        }
        if let former {
            record.told = former.target.origin == target.origin ? former.told : former.target.labels
            record.target.labels.merge(record.told ?? [:]) { own, _ in own }
        }
        try look(into: namespaces, &record, instead: former, isTold: true)
        if records[target.id]?.target.identifier != target.identifier { remaining[target.id] = nil }
        let present = records[target.id]
        do {
            try records.keep(record)
        } catch {
            if !followed.contains(target.origin) {
                if present == nil { forget(record) }
                records.restore(present, as: target.id)
                throw error
            }
        }
        forgetRefused { $0.origin == target.origin && $0.identifier == target.identifier }
        if let former, former.target.id != target.id { _ = try detach(former.target.id) }
        return record
    }

    /// Notes the link that an engine has made for a namespace that is not there yet: its other end is still here.
    ///
    /// Of several such links on the bridge nobody can say whose is whose; then nothing is noted. A link that is taken for
    /// another's passes nothing, as the addresses are not its own, until its namespace is attached.
    ///
    /// - Parameters:
    ///   - target: What will be attached, with the addresses at this link.
    ///   - bridge: The bridge that the link is on.
    /// - Returns: Whether there is such a link, and nothing is attached that is called so.
    /// - Throws: An error if the kernel cannot be asked.
    func expect(_ target: AttachedTarget, bridge: String) throws -> Bool {
        guard records[target.id].map({ $0.hasEnded == true }) ?? true,
            let (hardware, addresses) = target.addresses?.first
        else { return false }
        let present = try links.current(knowsOtherEnds: true)
        let known = records.unsorted.flatMap(\.links)
        let found = present.values.filter { link in
            guard link.kind == "veth", link.masterIndex == nil, link.peerNamespaceID == nil,
                let host = link.peerIndex.flatMap({ present[$0] }), host.peerIndex == link.index
            else { return false }
            return host.masterIndex.flatMap { present[$0]?.name } == bridge
                && !known.contains { $0.hostIndex == host.index }
        }
        guard found.count == 1, let link = found.first, let peer = link.peerIndex else { return false }
        let taken = Swift.Set(known.flatMap(\.addresses))
        let record = AttachedRecord.Link(
            interface: link.name, hostIndex: peer, hardwareAddress: hardware,
            addresses: addresses.filter { !taken.contains($0) })
        try? records.keep(AttachedRecord(target: target, cookie: 0, links: [record]))
        return true
    }

    /// Forgets a namespace: it is held to policies no longer.
    ///
    /// - Parameter id: `group/name`.
    /// - Returns: Whether it was attached.
    /// - Throws: An error if its record cannot be removed.
    func detach(_ id: String) throws -> Bool {
        guard let record = records[id] else { return false }
        forget(record)
        try records.remove(id)
        return true
    }

    /// Forgets what was seen of an endpoint.
    private func forget(_ record: AttachedRecord) {
        let id = record.target.id
        numbers[record.cookie] = nil
        waiting.remove(id)
        obstacles[id] = nil
        otherLinks[id] = nil
        remaining[id] = nil
    }

    /// Notes that its engine runs a container no longer. Whoever shares its network sends for as long as its links are there:
    /// until then it is held to its policies.
    ///
    /// - Parameter record: What is attached.
    /// - Throws: An error if its record cannot be changed.
    func end(_ record: AttachedRecord) throws {
        guard isPresent(record) else {
            _ = try detach(record.target.id)
            return
        }
        var ended = record
        ended.hasEnded = true
        ended.problem = nil
        otherLinks[record.target.id] = nil
        remaining[record.target.id] = nil
        // Where it cannot be written, that is noted, and its engine tells again that it has ended.
        try? records.keep(ended)
    }

    /// Puts a record back that an unsuccessful change has replaced.
    func restore(_ record: AttachedRecord) throws { try records.keep(record) }

    /// What is attached under a name.
    func record(_ id: String) -> AttachedRecord? { records[id] }

    /// The endpoint that a namespace is the network of; `nil` if it is nobody's.
    func owner(of cookie: UInt64) -> AttachedRecord? { all.first { $0.cookie == cookie && !$0.target.isGuest } }

    /// Whether it is a container of an engine's that is followed.
    func follows(_ record: AttachedRecord) -> Bool { followed.contains(record.target.origin) }

    /// What is otherwise than it should be with an endpoint, though all that it sends is held to policies.
    func conditions(of record: AttachedRecord) -> [Condition] {
        let ended = "\(record.target.origin) runs it no longer; its policies hold until its links are gone"
        let unwritten = records.problems[record.target.id].map {
            "an agent that begins anew does not know it, until its record can be written: \($0)"
        }
        return (record.hasEnded == true ? [Condition(.running, false, reason: ended)] : [])
            + (unwritten.map { [Condition(.recorded, false, reason: $0)] } ?? [])
    }

    /// Why not all that an endpoint sends is held to policies; `nil` if it is.
    func problem(of record: AttachedRecord) -> String? {
        let id = record.target.id
        let parts = [record.problem, obstacles[id], remaining[id]].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    // MARK: - Looking

    /// The endpoints that are there.
    func endpoints() throws -> [AgentEndpoint] {
        if records.unsorted.isEmpty { return [] }
        records.keepRest()
        let present = try links.current(knowsOtherEnds: true)
        let places = links.version == seenVersion ? seen : Swift.Set(present.values.map(\.place))
        let changed = links.version == seenVersion ? [] : places.symmetricDifference(seen)
        let indices = Swift.Set(changed.map(\.index))
        let namespaces = Swift.Set(changed.compactMap(\.namespace))
        for record in all {
            let number = numbers[record.cookie]
            // Of a namespace that has no link nothing else tells that it is gone.
            let isConcerned =
                record.links.isEmpty || waiting.contains(record.target.id)
                || record.links.contains { indices.contains($0.hostIndex) }
                || !changed.isEmpty && (number.map { namespaces.contains($0) } ?? true)
            if isConcerned { try lookAgain(record, present) }
        }
        (seen, seenVersion) = (places, links.version)
        return all.flatMap { endpoints(of: $0, present) }
    }

    private func endpoints(of record: AttachedRecord, _ present: [UInt32: LinkRecord]) -> [AgentEndpoint] {
        let target = record.target
        var labels = target.labels.filter { !$0.key.hasPrefix(AttachedEndpoints.labelPrefix) }
        labels[AttachedEndpoints.labelPrefix + "runtime"] = target.origin
        labels.merge(target.image?.labels ?? [:]) { $1 }
        let workload = Workload(
            Workload.ID(namespace: target.group, name: target.name, kind: target.kind), labels: labels,
            addresses: record.links.flatMap(\.addresses))
        var problems: [String] = []
        defer { obstacles[target.id] = problems.isEmpty ? nil : problems.joined(separator: "; ") }
        return record.links.compactMap { link in
            guard let host = present[link.hostIndex], host.kind == "veth", let interface = InterfaceName(host.name),
                let hardware = MACAddress(text: link.hardwareAddress)
            else { return nil }
            var bridge: AgentEndpoint.Bridge?
            if let master = host.masterIndex {
                guard let other = present[master], other.kind == "bridge", let name = InterfaceName(other.name) else {
                    let kind = present[master].map { "\($0.name), a \($0.kind ?? "device")" } ?? "another device"
                    problems.append("\(link.interface) leads to \(kind), where no policy can be in force")
                    return nil
                }
                bridge = AgentEndpoint.Bridge(name: name, index: master)
            }
            return AgentEndpoint(
                workload: workload, network: bridge?.name.rawValue ?? interface.rawValue, namespace: target.path,
                interface: interface, interfaceIndex: link.hostIndex, bridge: bridge, hardwareAddress: hardware,
                addresses: link.addresses)
        }
    }

    /// Looks at a namespace after the host's links have changed. One that is gone is forgotten with its last link.
    private func lookAgain(_ record: AttachedRecord, _ present: [UInt32: LinkRecord]) throws {
        var fresh = record
        fresh.links.removeAll { present[$0.hostIndex]?.kind != "veth" }
        // The number of its process may be another's by now.
        let namespaces = record.hasEnded == true ? nil : try? TargetNamespaces(of: record.target)
        if let namespaces, namespaces.own.cookie == record.cookie {
            do {
                try look(into: namespaces, &fresh, instead: record, isTold: false)
            } catch {
                // The others are none the worse.
                fresh.problem = "its namespace cannot be looked at: \(error)"
            }
        } else if fresh.links.isEmpty {
            _ = try detach(record.target.id)
            return
        }
        // Where it cannot be written, that is noted, and the others are none the worse.
        if fresh != record { try? records.keep(fresh) }
    }

    private func isPresent(_ record: AttachedRecord) -> Bool {
        let present = (try? links.current()) ?? [:]
        return record.links.contains { present[$0.hostIndex] != nil }
    }

    /// Notes the links of a namespace that were not known yet, if they are nobody else's.
    private func look(
        into namespaces: TargetNamespaces, _ record: inout AttachedRecord, instead former: AttachedRecord?, isTold: Bool
    ) throws {
        let namespace = namespaces.own.namespace
        let others = records.unsorted.filter { $0.cookie == record.cookie && $0.target.id != former?.target.id }
        noteProcess(namespaces, &record, isTold: isTold)
        if sharesHostNetwork(record.target, record.cookie) {
            record.problem = AttachedEndpoints.isInHostNetwork
            otherLinks[record.target.id] = nil
            return
        }
        let host = others.first { !$0.target.isGuest }
        let ways = problems(of: record.elsewhere) + [record.wayToHost, record.wayToClock].compactMap(\.self)
        if record.target.isGuest || host != nil {
            let name = host?.target.id ?? "another container"
            let shared = "it shares the network of \(name), whose policies hold for both"
            record.problem = ([shared] + ways).joined(separator: "; ")
            otherLinks[record.target.id] = nil
            return
        }
        let number = try connection.get("ask for the number of a namespace") { sequence throws(WireError) in
            try RouteWire.namespaceIDRequest(of: namespace.descriptor.number, sequence: sequence)
        }
        numbers[record.cookie] = try RouteWire.decodeNamespaceID(number)
        // What was expected of itself is nobody else's.
        let owners = records.unsorted.filter { $0.cookie != record.cookie && $0.target.id != former?.target.id }
        waiting.remove(record.target.id)
        var problems = ways
        let present = try NamespaceLink.all(in: namespace)
        let waysOut = AttachedEndpoints.waysOut(of: present, isConnected: !record.links.isEmpty)
        otherLinks[record.target.id] = waysOut.isEmpty ? nil : waysOut.joined(separator: "; ")
        problems += waysOut
        for link in present {
            guard let index = link.hostIndex, let hardware = link.hardwareAddress else { continue }
            let known = record.target.addresses.map { $0[hardware.description] ?? [] }
            let place = record.links.firstIndex { $0.hostIndex == index }
            // What it gives itself later is not its own.
            if place != nil, known == nil { continue }
            let addresses = (known ?? link.addresses).filter { address in
                let owner = owners.first { $0.links.contains { $0.addresses.contains(address) } }
                guard let owner else { return true }
                problems.append("\(link.name) has an address of \(owner.target.id)'s")
                waiting.insert(record.target.id)
                return false
            }
            if let place {
                record.links[place].addresses = addresses
            } else {
                record.links.append(
                    AttachedRecord.Link(
                        interface: link.name, hostIndex: index, hardwareAddress: hardware.description,
                        addresses: addresses))
            }
        }
        record.problem = problems.isEmpty ? nil : problems.joined(separator: "; ")
    }
}

extension LinkRecord {
    /// What a link's place among the others is.
    struct Place: Hashable {
        var index: UInt32
        var master: UInt32?
        /// The number of the namespace that its other end is in.
        var namespace: Int32?
    }

    fileprivate var place: Place { Place(index: index, master: masterIndex, namespace: peerNamespaceID) }
}
