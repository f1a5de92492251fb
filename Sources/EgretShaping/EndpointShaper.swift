// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing
public import EgretNetlink
import EgretNetlinkWire
public import EgretPolicy

/// Limits the rates of the endpoints of a host's networks, at the host's ends of their links.
///
/// What a limit is made of is known by its link: the queue of an endpoint's frames by its name and hardware address,
/// the bucket at the link by its number. So whoever comes next finds and takes over what is there. An endpoint with several
/// links is known by one of them, and what it sends and is sent waits in queues that its links have together.
public final class EndpointShaper {
    /// The number of the bucket at an endpoint's link, by which it is known as Egret's.
    public static let handle: UInt32 = 0xe9e7_0000
    /// So fast that nothing waits: what a bucket holds passes before the bucket goes.
    private static let unlimited = TokenBucket(
        bytesPerSecond: 1_250_000_000_000, burstBytes: 1 << 24, queueBytes: UInt32.max)

    private let connection: NetlinkConnection
    private let shaper: LinkShaper
    /// What holds at each place, as far as is known.
    private var shapes: [ShapingSite: TrafficShape] = [:]
    /// The indices of the interfaces that are places of their own.
    private var queues: [ShapingSite: UInt32] = [:]
    /// The links by which endpoints with several are known, or may be: frames of the others wait in their queues as well.
    private var gathered: Set<UInt32> = []
    /// Whether the kernel may hold limits that are not known here.
    private var isUnknown = true

    /// Limits in the namespace of a connection of `NetlinkConnection.route()`; nothing is changed yet.
    public init(_ connection: NetlinkConnection) {
        self.connection = connection
        shaper = LinkShaper(connection)
    }

    /// The interface that the frames of an endpoint wait in, by the index of the host's end of its link, or of the one
    /// of its links that it is known by.
    public func queue(
        of link: UInt32, _ direction: TrafficDirection = .egress, isPooled: Bool = false
    ) -> UInt32? {
        queues[.queue(direction, isPooled: isPooled, link)]
    }

    /// Makes and changes limits; what waits stays. Limits that are to go are still there.
    ///
    /// - Parameters:
    ///   - wanted: The rates, by the index of the host's end of the endpoint's link.
    ///   - pools: The interfaces that shared traffic waits in.
    /// - Throws: `NetlinkError` naming the step. What was made is known, and goes with the next ``release(except:pause:)``.
    public func prepare(
        _ wanted: [UInt32: EndpointRates], before pools: [TrafficDirection: UInt32] = [:]
    ) throws(NetlinkError) {
        if isUnknown && wanted.isEmpty { return }
        if isUnknown {
            try look()
            for (link, rates) in wanted where !rates.isGathered { gathered.remove(link) }
        }
        for (link, rates) in wanted where rates.isGathered { gathered.insert(link) }
        // Of hundreds few are others: only these are brought into order.
        let others = EndpointShaper.sites(wanted).filter { shapes[$0.key] != $0.value }
        for (site, shape) in others.sorted(by: { $0.key.order < $1.key.order }) {
            switch site {
            case .link(let link):
                try shaper.limit(link, to: shape, from: shapes[site], handle: EndpointShaper.handle)
            case .queue(let direction, let isPooled, _):
                if let queue = queues[site] {
                    try shaper.limit(queue, to: shape, from: shapes[site])
                } else if let name = site.name.flatMap({ InterfaceName($0) }), let number = site.hardwareNumber {
                    queues[site] = try shaper.makeQueue(
                        name, MACAddress(locallyAdministered: number), shape, before: isPooled ? pools[direction] : nil)
                }
            }
            shapes[site] = shape
        }
    }

    /// Removes limits that nobody has any more. Nothing may be led into their queues then.
    ///
    /// - Parameters:
    ///   - wanted: The rates that stay.
    ///   - pause: Waits for so long until what is on its way has passed. Where a link is gone that is nothing, unless its
    ///     endpoint has others: the kernel drops frames that come out of a queue and belong to no link.
    /// - Throws: `NetlinkError` naming the step.
    public func release(except wanted: [UInt32: EndpointRates], pause: (Duration) -> Void) throws(NetlinkError) {
        if isUnknown { try look() }
        let kept = Set(EndpointShaper.sites(wanted).keys)
        let gone = Set(shapes.keys).union(queues.keys).subtracting(kept).sorted { $0.order < $1.order }
        if gone.isEmpty { return }
        var isNeeded = false
        for site in gone {
            let isPresent = try connection.link(site.link) != nil
            guard isPresent || site.name != nil && gathered.contains(site.link) else { continue }
            try? open(site)
            isNeeded = true
        }
        if isNeeded { pause(.milliseconds(50)) }
        for site in gone {
            try ifThere { () throws(NetlinkError) in try remove(site) }
            shapes[site] = nil
            queues[site] = nil
        }
        gathered.formIntersection(kept.map(\.link))
    }

    /// Forgets what is known: the next call looks at the kernel.
    public func doubt() { isUnknown = true }

    /// What the kernel holds otherwise than it was last given, in words.
    public func drift() throws(NetlinkError) -> [String] {
        if isUnknown || (shapes.isEmpty && queues.isEmpty) { return [] }
        let present = try present()
        var found: [String] = []
        for (site, shape) in shapes.sorted(by: { $0.key.order < $1.key.order }) {
            let index: UInt32
            if let name = site.name {
                guard let queue = queues[site], present.queues[site] == queue else {
                    found.append("link \(name) is missing")
                    continue
                }
                index = queue
            } else {
                index = site.link
            }
            let name = site.name ?? "\(site.link)"
            if try !shaper.holds(shape, at: index, present.records[index]) {
                found.append("the limit of link \(name) has changed")
            }
        }
        return found
    }

    /// What the kernel has counted where endpoints' traffic waits for rates of their own, in the order of links.
    ///
    /// What endpoints share is not among it: there nobody knows whose it was.
    ///
    /// - Returns: One for each endpoint and direction that is limited.
    /// - Throws: `NetlinkError` if the kernel cannot be asked.
    public func counts() throws(NetlinkError) -> [RateCounts] {
        if isUnknown || shapes.isEmpty { return [] }
        let records = try shaper.records()
        var found: [RateCounts] = []
        for site in shapes.keys.sorted(by: { $0.order < $1.order }) {
            guard let index = site.name == nil ? site.link : queues[site], let counts = records[index]?.record.counts
            else {
                continue
            }
            found.append(
                RateCounts(
                    link: site.link, direction: site.direction, packets: counts.packets, bytes: counts.bytes,
                    dropped: counts.dropped, waitingBytes: counts.waitingBytes))
        }
        return found
    }

    private static func sites(_ wanted: [UInt32: EndpointRates]) -> [ShapingSite: TrafficShape] {
        wanted.reduce(into: [:]) { sites, entry in sites.merge(entry.value.sites(entry.key)) { $1 } }
    }

    // MARK: - The kernel

    /// Takes note of limits that a former process has made.
    private func look() throws(NetlinkError) {
        let (records, found) = try present()
        shapes = [:]
        queues = found
        gathered = Set(found.keys.map(\.link))
        let own = Set(found.values)
        for (link, root) in records where !own.contains(link) {
            if root.record.handle == EndpointShaper.handle || root.record.handle == QueueTree.handle {
                shapes[.link(link)] = try shape(of: root)
            }
        }
        for (site, queue) in found {
            guard let root = records[queue] else { continue }
            shapes[site] = try shape(of: root)
        }
        isUnknown = false
    }

    private func shape(of root: RootQueue) throws(NetlinkError) -> TrafficShape {
        root.record.handle == QueueTree.handle
            ? .tree(try shaper.tree(of: root)) : .bucket(RateShape(unknown: root))
    }

    /// Whether a link is a run's, whose queues are not endpoints': the host's end of its link, or what stands for the way back.
    private static func isOfRun(_ link: LinkRecord) -> Bool {
        ["egret", "egq"].contains { link.name.hasPrefix($0) && UInt32(link.name.dropFirst($0.count)) != nil }
    }

    /// What is at the roots of links, and the interfaces that are places of their own.
    private func present() throws(NetlinkError) -> (
        records: [UInt32: RootQueue], queues: [ShapingSite: UInt32]
    ) {
        let links = try connection.dump("list links") { sequence throws(WireError) in
            try RouteWire.linksRequest(sequence: sequence)
        }
        .compactMap { try? RouteWire.decodeLink($0) }
        let shared = Set(
            links.filter { PoolShaper.direction(of: $0) != nil || EndpointShaper.isOfRun($0) }.map(\.index))
        let records = try shaper.records().filter { !shared.contains($0.key) }
        var queues: [ShapingSite: UInt32] = [:]
        for link in links {
            for kind in ShapingSite.kinds where link.name.hasPrefix(kind.prefix) {
                guard let of = UInt32(link.name.dropFirst(kind.prefix.count)) else { continue }
                let site = ShapingSite.queue(kind.direction, isPooled: kind.isPooled, of)
                if link.address == site.hardwareNumber.map({ MACAddress(locallyAdministered: $0) }) {
                    queues[site] = link.index
                }
            }
        }
        return (records, queues)
    }

    /// Makes a limit so fast that nothing waits.
    private func open(_ site: ShapingSite) throws(NetlinkError) {
        guard let index = site.name == nil ? site.link : queues[site] else { return }
        switch shapes[site] {
        case .tree(let tree): try shaper.limit(index, to: .tree(tree.unlimited), from: shapes[site])
        case .bucket:
            let handle = site.name == nil ? EndpointShaper.handle : 0x0001_0000
            try shaper.limit(
                index, to: .bucket(RateShape(EndpointShaper.unlimited)), from: shapes[site], handle: handle)
        case nil: break
        }
    }

    private func remove(_ site: ShapingSite) throws(NetlinkError) {
        if let name = site.name {
            guard let queue = queues[site] else { return }
            try connection.request("delete link \(name)") { sequence throws(WireError) in
                try RouteWire.deleteLink(queue, sequence: sequence)
            }
        } else if let shape = shapes[site] {
            try connection.request("lift the limit of link \(site.link)") { sequence throws(WireError) in
                try RouteWire.deleteQueueingDiscipline(link: site.link, handle: shape.handle, sequence: sequence)
            }
        }
    }

    private func ifThere(_ body: () throws(NetlinkError) -> Void) throws(NetlinkError) {
        do throws(NetlinkError) {
            try body()
        } catch {
            // With its link, a bucket goes by itself.
            if error.code != .notFound { throw error }
        }
    }
}

extension RateShape {
    /// A shape that equals no other, for a bucket that somebody else has made: of it not all is known.
    fileprivate init(unknown root: RootQueue) {
        let record = root.record
        self.init(
            TokenBucket(
                bytesPerSecond: record.bytesPerSecond ?? 0, burstBytes: 0, queueBytes: record.queueBytes ?? 0),
            leaf: root.leaf(at: LeafPlace(record.link, bucket: record.handle)))
    }
}

extension TrafficShape {
    /// The number that it has at an endpoint's link.
    fileprivate var handle: UInt32 {
        switch self {
        case .bucket: EndpointShaper.handle
        case .tree: QueueTree.handle
        }
    }
}
