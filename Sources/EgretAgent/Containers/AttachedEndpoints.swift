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

    private let directory: String
    private let connection: NetlinkConnection
    private let links: WatchedLinks
    private let ownCookie: UInt64
    /// The engines that are followed.
    private let followed: Swift.Set<String>
    private var records: [String: AttachedRecord] = [:]
    /// The host's links when the namespaces were last looked at.
    private var seen: Swift.Set<LinkRecord.Place> = []
    /// The state of the links then.
    private var seenVersion: Int?
    /// The kernel's numbers of the namespaces, as far as it has given them any.
    private var numbers: [UInt64: Int32] = [:]
    /// The endpoints that wait for an address that another one still has.
    private var waiting: Swift.Set<String> = []
    /// What its engine runs, and what could not be attached, with the reason. A name may be given again, an engine's number not.
    private var refused: [ContainerNumber: Refused] = [:]
    /// Why links that are there cannot be policed, by endpoint.
    private var obstacles: [String: String] = [:]
    /// The links of endpoints that lead out otherwise than to this host, in words.
    private var otherLinks: [String: String] = [:]
    /// Why the records of endpoints are not written as they are.
    private var unwritten: [String: String] = [:]
    /// Why containers that are not to run still do.
    private var remaining: [String: String] = [:]

    /// A container, as its engine numbers it.
    private struct ContainerNumber: Hashable {
        var engine: String
        var identifier: String

        init(_ target: AttachedTarget) {
            engine = target.origin
            identifier = target.identifier
        }
    }

    /// What could not be attached.
    private struct Refused {
        var target: AttachedTarget
        var problem: String
        var bypasses: [ContainerBypass: String]
        /// Why it still runs though it is not to.
        var remains: String?
    }

    /// Reads what was attached before.
    ///
    /// - Parameters:
    ///   - directory: Where records are kept; it is there for as long as there are any.
    ///   - followed: The engines that are followed.
    ///   - links: The host's links; `nil` to watch them for this alone.
    /// - Throws: An error if the directory cannot be used, a record not be read, or the kernel not be asked. To go on without
    ///   a record would be to take an endpoint's policies away.
    init(directory: String, followed: Swift.Set<String> = [], links: WatchedLinks? = nil) throws {
        self.directory = directory
        self.followed = followed
        connection = try NetlinkConnection.route()
        self.links = try links ?? WatchedLinks()
        ownCookie = try NetworkNamespace.currentCookie()
        guard File.exists(directory) else { return }
        for name in try Directory.names(in: directory) where name.hasSuffix(".json") {
            let data = Data(try File.read("\(directory)/\(name)"))
            do {
                let record = try JSONDecoder().decode(AttachedRecord.self, from: data)
                records[record.target.id] = record
            } catch {
                throw APIError(
                    "failed", "\(directory)/\(name) cannot be read as the record of an endpoint: \(error)",
                    advice:
                        "the kernel goes on with what it was last given; remove the file to let go of that endpoint, "
                        + "and attach it again")
            }
        }
    }

    /// What is attached, by name.
    var all: [AttachedRecord] { records.keys.sorted().compactMap { records[$0] } }

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
            records.values.first { $0.target.identifier == target.identifier && [cookie, 0].contains($0.cookie) }
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
            try keep(record)
        } catch {
            if !followed.contains(target.origin) {
                forget(record)
                records[target.id] = present
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
        let known = records.values.flatMap(\.links)
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
        try? keep(AttachedRecord(target: target, cookie: 0, links: [record]))
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
        try File.remove(file(id))
        // Somebody may look there just now; nothing depends on it.
        if records.isEmpty { try? Directory.remove(directory) }
        return true
    }

    private func forget(_ record: AttachedRecord) {
        let id = record.target.id
        records[id] = nil
        numbers[record.cookie] = nil
        waiting.remove(id)
        obstacles[id] = nil
        otherLinks[id] = nil
        unwritten[id] = nil
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
        try? keep(ended)
    }

    /// Notes that what its engine runs could not be attached.
    ///
    /// - Returns: Whether that is new.
    func refuse(_ target: AttachedTarget, _ problem: String) -> Bool {
        let number = ContainerNumber(target)
        let former = refused[number]
        refused[number] = Refused(
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

    /// Puts a record back that an unsuccessful change has replaced.
    func restore(_ record: AttachedRecord) throws { try keep(record) }

    /// What is attached under a name.
    func record(_ id: String) -> AttachedRecord? { records[id] }

    /// The endpoint that a namespace is the network of; `nil` if it is nobody's.
    func owner(of cookie: UInt64) -> AttachedRecord? { all.first { $0.cookie == cookie && !$0.target.isGuest } }

    /// Whether it is a container of an engine's that is followed.
    func follows(_ record: AttachedRecord) -> Bool { followed.contains(record.target.origin) }

    /// Why not all that an endpoint sends is held to policies; `nil` if it is.
    func problem(of record: AttachedRecord) -> String? {
        let id = record.target.id
        let parts = [record.problem, obstacles[id], remaining[id], unwritten[id]].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
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
    private func sharesHostNetwork(_ target: AttachedTarget, _ cookie: UInt64) -> Bool {
        func isThere(_ target: AttachedTarget, _ cookie: UInt64) -> Bool {
            cookie == ownCookie || target.grant?.usesHostNetwork ?? false
        }
        if isThere(target, cookie) { return true }
        guard let owner = target.grant?.networkOwner, !owner.isEmpty else { return false }
        let attached: [(AttachedTarget, Bool)] = records.values.map { ($0.target, isThere($0.target, $0.cookie)) }
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
        let attached = records.values.filter { $0.isRun && $0.target.origin == runtime }
        let others = refused.values.filter { $0.target.origin == runtime }
        let judged =
            attached.map { (target: $0.target, bypasses: bypasses(of: $0)) }
            + others.map { (target: $0.target, bypasses: $0.bypasses) }
        return judged.sorted { ($0.target.id, $0.target.identifier) < ($1.target.id, $1.target.identifier) }
    }

    private static let isInHostNetwork = "it uses the host's network, which no policy for endpoints is about"
    private static let hasGoneToHostNetwork =
        "its first process has gone to the host's network, which no policy for endpoints is about"

    // MARK: - First processes that have gone elsewhere

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
    private func problems(of elsewhere: AttachedRecord.Elsewhere?) -> [String] {
        guard let elsewhere else { return [] }
        if elsewhere.cookie == ownCookie { return [AttachedEndpoints.hasGoneToHostNetwork] }
        guard let other = owner(of: elsewhere.cookie) else { return elsewhere.ways }
        return ["its first process has gone to the network of \(other.target.id), whose policies hold for it there"]
    }

    /// Notes what the first process of a target shows: what it can do, and where it is if not in the target's own network.
    ///
    /// Since its engine told of it, its number may have become another's. Then nothing of what was noted changes: it is
    /// believed again where it is in a namespace that it was in when it was told of.
    private func noteProcess(_ namespaces: TargetNamespaces, _ record: inout AttachedRecord, isTold: Bool) {
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

    /// The file of a record. The name is for people; engines' names may be longer than a file's.
    private func file(_ id: String) -> String {
        let name = id.replacing("%", with: "%25").replacing("/", with: "%2F")
        let isLong = name.utf8.count > 200
        return "\(directory)/\(isLong ? SHA256.digest(of: Array(id.utf8)) : name).json"
    }

    /// Notes a record, and writes it. What cannot be written holds all the same, until the agent ends, and is written later.
    private func keep(_ record: AttachedRecord) throws {
        let id = record.target.id
        records[id] = record
        do {
            try Directory.make(directory, mode: 0o700)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys]
            try File.replace(file(id), with: Array(try encoder.encode(record)), mode: 0o600, synchronized: false)
            unwritten[id] = nil
        } catch {
            unwritten[id] =
                "its record cannot be written, without which an agent that begins anew does not know it: \(error)"
            throw error
        }
    }

    /// Writes the records that could not be written.
    private func writeRest() {
        // Why not is noted, and told with the endpoint.
        for id in unwritten.keys { if let record = records[id] { try? keep(record) } }
    }

    // MARK: - Looking

    /// The endpoints that are there.
    func endpoints() throws -> [AgentEndpoint] {
        if records.isEmpty { return [] }
        writeRest()
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
        if fresh != record { try? keep(fresh) }
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
        let others = records.values.filter { $0.cookie == record.cookie && $0.target.id != former?.target.id }
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
        let owners = records.values.filter { $0.cookie != record.cookie && $0.target.id != former?.target.id }
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
